"""What documents are made of: blocks of fields, and the quantities a strategist writes (`20.00`, `3d`, `5%`).

Values arrive as text and become the engine's integers. Every refusal is a sentence `must be … (got …)`.
"""

import re
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from datetime import date, datetime
from typing import TYPE_CHECKING, Annotated, Any, Self

from pydantic import (
    BaseModel,
    ConfigDict,
    ModelWrapValidatorHandler,
    PlainValidator,
    ValidationInfo,
    ValidatorFunctionWrapHandler,
    WithJsonSchema,
    field_validator,
    model_validator,
)
from pydantic_core import PydanticCustomError

MONEY_MAX = 100_000_000_000  # fen: a thousand million yuan
DURATION_DAYS_MAX = 3_660  # ten years
COUNT_MAX = 1_000_000_000_000
IDENTIFIER_LETTERS_MAX, TEXT_LETTERS_MAX = 60, 2_000
GOT_LETTERS_MAX = 60  # of a refused value that a sentence repeats

UNITS_MS = {"ms": 1, "s": 1_000, "min": 60_000, "h": 3_600_000, "d": 86_400_000, "w": 604_800_000}
HUNDRED_PERCENT = 1_000_000  # a share, in millionths


class Scalar(str):
    """One value of a document as written; `quoted` tells "no" from no."""

    quoted: bool

    def __new__(cls, text: str, quoted: bool = True) -> Self:
        scalar = super().__new__(cls, text)
        scalar.quoted = quoted
        return scalar


# What YAML 1.1 readers (or spreadsheets) would not take for text: booleans, nulls, numbers, dates, times.
NOT_TEXT = re.compile(
    r"""(?xi)
    y|yes|n|no|on|off|true|false|~|null|=|<<
    |[-+]?[0-9][0-9_]*(:[0-5]?[0-9])*(\.[0-9_]*)?(e[-+]?[0-9]+)?|[-+]?\.[0-9][0-9_]*(e[-+]?[0-9]+)?
    |[-+]?0x[0-9a-f_]+|[-+]?0b[01_]+|[-+]?0o[0-7_]+|[-+]?\.(inf|nan)
    |[0-9]{4}-[0-9]{1,2}-[0-9]{1,2}([t\s].*)?
    """
)


def got(value: object) -> str:
    """A refused value as a sentence repeats it."""
    if isinstance(value, dict | list | tuple):
        return "a block of fields" if isinstance(value, dict) else "a list"
    text = " ".join(str(value).split())
    if not text:
        return "nothing"
    return text if len(text) <= GOT_LETTERS_MAX else text[: GOT_LETTERS_MAX - 1] + "…"


def refusal(must: str, value: object) -> PydanticCustomError:
    return PydanticCustomError("refusal", "{sentence}", {"sentence": f"must be {must} (got {got(value)})"})


def written(value: object, must: str) -> str:
    """The text of a single value; anything else (a list, a block, nothing) is refused."""
    if isinstance(value, str):
        return str(value)
    raise refusal(must, value)


# --- Text -------------------------------------------------------------------------------------------------------------
def text(value: object) -> str:
    words = written(value, "text")
    if isinstance(value, Scalar) and not value.quoted and NOT_TEXT.fullmatch(words):
        raise refusal_of_trap(words)
    if not words.strip():
        raise refusal("text", value)
    if len(words) > TEXT_LETTERS_MAX:
        raise refusal(f"at most {TEXT_LETTERS_MAX} letters", f"{len(words)} letters")
    return words


def refusal_of_trap(words: str) -> PydanticCustomError:
    return PydanticCustomError("refusal", "{sentence}", {"sentence": f"must be text: put it in quotes (got {words})"})


def identifier(value: object) -> str:
    must = "a name of small letters, digits and _, starting with a letter"
    words = text(value) if isinstance(value, str) and value.strip() else written(value, must)
    if not re.fullmatch(r"[a-z][a-z0-9_]*", words):
        raise refusal(must, words)
    if len(words) > IDENTIFIER_LETTERS_MAX:
        raise refusal(f"a name of at most {IDENTIFIER_LETTERS_MAX} letters", words)
    return words


def truth(value: object) -> bool:
    if isinstance(value, bool):
        return value
    if value not in ("true", "false"):
        raise refusal("true or false", value)
    return value == "true"


# --- Numbers ----------------------------------------------------------------------------------------------------------
WHOLE = r"(0|[1-9][0-9]*)"  # 012 is ten to some readers


def decimal(words: str, places: int) -> int | None:
    """A plain decimal number times 10^places, exactly; None if it is none or has more places."""
    match = re.fullmatch(rf"(-?){WHOLE}(?:\.([0-9]+))?", words)
    if match is None or len(match[3] or "") > places or len(words) > 30:
        return None
    number = int(match[2] + (match[3] or "").ljust(places, "0"))
    return -number if match[1] else number


def count(value: object) -> int:
    must = "a plain number without decimals, like 3"
    if isinstance(value, int) and not isinstance(value, bool):
        number: int | None = value
    else:
        number = decimal(written(value, must), 0)
    if number is None:
        raise refusal(must, value)
    return bounded(number, 0, COUNT_MAX, str, value)


def number(value: object) -> float:
    must = "a plain number, like 0.25"
    if isinstance(value, int | float) and not isinstance(value, bool):
        return float(value)
    words = written(value, must)
    if decimal(words, 20) is None:
        raise refusal(must, value)
    return float(words)


def factor(value: object) -> float:
    result = number(value)
    if result <= 0:
        raise refusal("> 0", value)
    return result


def bounded(number: int, low: int, high: int, shown: Callable[[int], str], value: object) -> int:
    if number < low:
        raise refusal(f">= {shown(low)}", value)
    if number > high:
        raise refusal(f"<= {shown(high)}", value)
    return number


# --- Quantities with units --------------------------------------------------------------------------------------------
def money(value: object) -> int:
    """Fen."""
    must = "a plain number of yuan, like 20.00"
    fen = decimal(written(value, must), 2)
    if fen is None:
        raise refusal(must, value)
    return bounded(fen, 0, MONEY_MAX, yuan_text, value)


def yuan_text(fen: int) -> str:
    return "0" if fen == 0 else f"{fen // 100}.{fen % 100:02}"


def duration(value: object) -> int:
    """Milliseconds."""
    must = "a duration like 500ms, 5s, 10min, 24h, 3d or 2w"
    match = re.fullmatch(rf"{WHOLE}(ms|s|min|h|d|w)", written(value, must))
    if match is None or len(match[1]) > 15:
        raise refusal(must, value)
    return bounded(int(match[1]) * UNITS_MS[match[2]], 0, DURATION_DAYS_MAX * UNITS_MS["d"], duration_text, value)


def duration_text(ms: int) -> str:
    """The duration in the largest unit that divides it."""
    if ms == 0:
        return "0s"
    unit = next(unit for unit, size in reversed(UNITS_MS.items()) if unit != "w" and ms % size == 0)
    return f"{ms // UNITS_MS[unit]}{unit}"


def percent(value: object, must: str, places: int) -> int:
    words = written(value, must)
    parts = decimal(words.removesuffix("%"), places) if words.endswith("%") else None
    if parts is None:
        raise refusal(must, value)
    return bounded(parts, 0, 100 * 10**places, lambda parts: f"{parts // 10**places}%", value)


def share(value: object) -> int:
    """Millionths."""
    return percent(value, "a share like 5% or 0.5%", 4)


def share_text(millionths: int) -> str:
    whole, rest = divmod(millionths, 10_000)
    return f"{whole}.{rest:04}".rstrip("0").rstrip(".") + "%"


def response(value: object) -> int:
    """1e-9."""
    return percent(value, "a response like 1.2%", 7)


def response_text(billionths: int) -> str:
    whole, rest = divmod(billionths, 10_000_000)
    return f"{whole}.{rest:07}".rstrip("0").rstrip(".") + "%"


def per(value: object) -> str | int:
    """day, week, month of the calendar; or a rolling duration in ms."""
    return window(value, ("day", "week", "month"), "day, week, month or a duration like 24h")


def day_or_duration(value: object) -> str | int:
    return window(value, ("day",), "day or a duration like 1h")


def window(value: object, calendar: tuple[str, ...], must: str) -> str | int:
    if isinstance(value, str) and value in calendar:
        return str(value)
    words = written(value, must)
    if re.fullmatch(rf"{WHOLE}(ms|s|min|h|d|w)", words) is None:
        raise refusal(must, value)
    ms = duration(words)
    if ms == 0:
        raise refusal("longer than 0s", value)
    return ms


# --- Time of day and dates --------------------------------------------------------------------------------------------
def clock_time(value: object) -> int:
    """Minutes since midnight."""
    must = "a time of day like 08:00"
    match = re.fullmatch(r"([01][0-9]|2[0-3]):([0-5][0-9])", written(value, must))
    if match is None:
        raise refusal(must, value)
    return int(match[1]) * 60 + int(match[2])


def clock_text(minutes: int) -> str:
    return f"{minutes // 60:02}:{minutes % 60:02}"


def day(value: object) -> date:
    must = "a date like 2026-11-01"
    if isinstance(value, date):
        return value
    words = written(value, must)
    if not re.fullmatch(r"(19|20)[0-9]{2}-[0-9]{2}-[0-9]{2}", words):
        raise refusal(must, value)
    try:
        return date.fromisoformat(words)
    except ValueError:
        raise refusal("a date of the calendar", value) from None


def instant(value: object) -> datetime:
    """A minute on the wall clock of the document's zone."""
    must = "a date and time like 2026-11-11 00:00"
    if isinstance(value, datetime):
        return value
    words = written(value, must)
    if not re.fullmatch(r"(19|20)[0-9]{2}-[0-9]{2}-[0-9]{2} ([01][0-9]|2[0-3]):[0-5][0-9]", words):
        raise refusal(must, value)
    try:
        return datetime.fromisoformat(words)
    except ValueError:
        raise refusal("a date of the calendar", value) from None


# --- The types --------------------------------------------------------------------------------------------------------
def text_schema(pattern: str, example: str) -> WithJsonSchema:
    """What an editor accepts for a quantity that is written as text."""
    return WithJsonSchema({"type": "string", "pattern": pattern, "examples": [example]}, mode="validation")


def number_schema(pattern: str, example: str, kind: str = "number") -> WithJsonSchema:
    """What an editor accepts for a plain number, in quotes or not."""
    either = [{"type": kind, "minimum": 0}, {"type": "string", "pattern": pattern}]
    return WithJsonSchema({"anyOf": either, "examples": [example]}, mode="validation")


DURATION_PATTERN = r"(0|[1-9][0-9]*)(ms|s|min|h|d|w)"
PERCENT_PATTERN = r"^(0|[1-9][0-9]?|100)(\.[0-9]+)?%$"

Text = Annotated[str, PlainValidator(text), WithJsonSchema({"type": "string", "minLength": 1}, mode="validation")]
Identifier = Annotated[str, PlainValidator(identifier), text_schema(r"^[a-z][a-z0-9_]*$", "first_use")]
Truth = Annotated[bool, PlainValidator(truth), WithJsonSchema({"type": "boolean"}, mode="validation")]
Count = Annotated[int, PlainValidator(count), number_schema(r"^(0|[1-9][0-9]*)$", "3", "integer")]


def raw(value: object) -> str:
    """Any single value, as it was written."""
    return written(value, "a single value, in quotes where it is more")


Raw = Annotated[str, PlainValidator(raw), WithJsonSchema({"type": ["string", "number", "boolean"]}, mode="validation")]
Number = Annotated[float, PlainValidator(number), WithJsonSchema({"type": "number"}, mode="validation")]
Factor = Annotated[
    float, PlainValidator(factor), WithJsonSchema({"type": "number", "exclusiveMinimum": 0}, mode="validation")
]
Money = Annotated[int, PlainValidator(money), number_schema(r"^(0|[1-9][0-9]*)(\.[0-9]{1,2})?$", "20.00")]
Duration = Annotated[int, PlainValidator(duration), text_schema(rf"^{DURATION_PATTERN}$", "3d")]
Share = Annotated[int, PlainValidator(share), text_schema(PERCENT_PATTERN, "5%")]
Response = Annotated[int, PlainValidator(response), text_schema(PERCENT_PATTERN, "1.2%")]
Per = Annotated[str | int, PlainValidator(per), text_schema(rf"^(day|week|month|{DURATION_PATTERN})$", "week")]
DayOrDuration = Annotated[str | int, PlainValidator(day_or_duration), text_schema(rf"^(day|{DURATION_PATTERN})$", "1h")]
ClockTime = Annotated[int, PlainValidator(clock_time), text_schema(r"^([01][0-9]|2[0-3]):[0-5][0-9]$", "08:00")]
Date = Annotated[date, PlainValidator(day), text_schema(r"^[0-9]{4}-[0-9]{2}-[0-9]{2}$", "2026-11-01")]
Instant = Annotated[
    datetime,
    PlainValidator(instant),
    text_schema(r"^[0-9]{4}-[0-9]{2}-[0-9]{2} [0-9]{2}:[0-9]{2}$", "2026-11-11 00:00"),
]

UNIT_TEXTS: dict[object, Callable[[int], str]] = {
    money: yuan_text, duration: duration_text, share: share_text, response: response_text, clock_time: clock_text,
}  # fmt: skip  # how a bound is written in the words of the quantity


# --- Blocks -----------------------------------------------------------------------------------------------------------
Path = tuple[str | int, ...]
Problem = tuple[Path, str]  # where below this block, and the sentence `must …`
Check = Callable[[], Iterable[Problem]]
BROKEN: Any = object()  # stands in a document for a value already reported, so that the other checks still run
DEFER_CHECKS: dict[str, object] = {"defer_checks": True}  # context of a validation whose caller runs the checks itself


class UnreadableError(Exception):
    """A check read a field that is itself broken: it has nothing to say."""


class Block(BaseModel):
    """A block of a document: unknown fields are errors; values do not change after loading.

    `cross_checks` are the rules between fields: each yields problems, and is left out where a field it reads is broken.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, populate_by_name=True)

    def cross_checks(self) -> Iterator[Check]:
        """Checks of this block alone; those of blocks inside are their own."""
        yield from ()

    def own_problems(self) -> Iterator[Problem]:
        """What the checks of this block, not of those inside, find."""
        with suppress(UnreadableError):
            for check in self.cross_checks():
                with suppress(UnreadableError):
                    yield from check()

    @field_validator("*", mode="wrap")
    @classmethod
    def pass_broken_field(cls, value: object, handler: ValidatorFunctionWrapHandler) -> object:
        return value if value is BROKEN else handler(value)

    @model_validator(mode="wrap")
    @classmethod
    def pass_broken_block(cls, value: object, handler: ModelWrapValidatorHandler[Self], info: ValidationInfo) -> Self:
        if value is BROKEN:
            block = cls.model_construct()
            block.__dict__.clear()
            return block
        block = handler(value)
        for name in [name for name, field in block.__dict__.items() if field is BROKEN]:
            del block.__dict__[name]
        if not (info.context or {}).get("defer_checks"):
            block.raise_problems()
        return block

    def raise_problems(self) -> None:
        found = list(self.own_problems())
        if found:
            sentences = "; ".join(f"{path_text(path)} {sentence}" for path, sentence in found)
            raise PydanticCustomError("checks", "{sentences}", {"sentences": sentences})

    if not TYPE_CHECKING:

        def __getattr__(self, name: str) -> Any:
            if name in type(self).model_fields:
                raise UnreadableError(name)
            return super().__getattr__(name)


def path_text(path: Path) -> str:
    """`campaigns.first_use.frequency.caps[0].most`."""
    parts = [f"[{step}]" if isinstance(step, int) else f".{step}" for step in path]
    return "".join(parts).removeprefix(".")
