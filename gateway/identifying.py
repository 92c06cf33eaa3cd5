"""What identifies a customer: how it must be written, and how much of it is shown to whom. No message quotes it."""

import re
from collections.abc import Callable
from datetime import date
from itertools import cycle

PHONE = re.compile(r"(\+86)?1[3-9][0-9]{9}|\+(?!86)[1-9][0-9]{6,14}")
CARD = re.compile(r"[0-9]{12,19}")
IDENTITY = re.compile(r"[1-9][0-9]{5}[0-9]{8}[0-9]{3}[0-9Xx]")

_WEIGHTS = [pow(2, 17 - place, 11) for place in range(17)]
_CHECK_DIGITS = "10X98765432"  # by the weighted sum modulo 11


def check_digit(digits: str) -> str:
    """Of the first 17 digits of an identity number. GB 11643-1999, ISO 7064 MOD 11-2."""
    return _CHECK_DIGITS[sum(int(digit) * weight for digit, weight in zip(digits, _WEIGHTS, strict=True)) % 11]


def passes_luhn(digits: str) -> bool:
    """ISO/IEC 7812-1, annex B: from the right every second digit counts double, and its digits are added."""
    doubled = (int(digit) * weight for digit, weight in zip(reversed(digits), cycle((1, 2)), strict=False))
    return sum(sum(divmod(value, 10)) for value in doubled) % 10 == 0


def _phone(value: str) -> str | None:
    if PHONE.fullmatch(value):
        return None
    return "must be a mainland number of 11 digits, or + with the country's code and 7 to 15 digits in all"


def _card(value: str) -> str | None:
    if not CARD.fullmatch(value):
        return "must have 12 to 19 digits and nothing else"
    return None if passes_luhn(value) else "its digits must add up (Luhn): one of them is wrong"


def _identity(value: str) -> str | None:
    if not IDENTITY.fullmatch(value):
        return "must have 17 digits and a check digit, 0 to 9 or X"
    try:
        date(int(value[6:10]), int(value[10:12]), int(value[12:14]))
    except ValueError:
        return "its 7th to 14th digit must be a date of birth"
    return None if value[17].upper() == check_digit(value[:17]) else "its check digit must fit: a digit is wrong"


def _name(value: str) -> str | None:
    return None if value.isprintable() and value.strip() == value else "must be letters, with blanks only between them"


_WRONG: dict[str, Callable[[str], str | None]] = {
    "phone": _phone, "card_number": _card, "identity_number": _identity, "name": _name,
}  # fmt: skip
FIELDS = tuple(_WRONG)


def problems(said: dict[str, str]) -> list[tuple[str, str]]:
    """(path, message) of every field that is not as it must be."""
    found = [(field, _WRONG[field](value)) for field, value in said.items()]
    return [(f"$.{field}", message) for field, message in found if message is not None]


def masked(said: dict[str, str]) -> dict[str, str]:
    """Enough to tell two of a customer's own apart on the telephone, too little to use: 138****5678."""
    return {field: _MASKS[field](value) for field, value in said.items()}


def _ends(value: str, first: int, last: int) -> str:
    return f"{value[:first]}****{value[-last:]}"


_MASKS: dict[str, Callable[[str], str]] = {
    "phone": lambda value: _ends(value, 3, 4) if len(value) >= 11 else _ends(value, 2, 2),
    "card_number": lambda value: _ends(value, 0, 4),
    "identity_number": lambda value: _ends(value, 1, 1),
    "name": lambda value: f"{value[:1]}**",
}
