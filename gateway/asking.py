"""Bodies to blocks: what a caller says of one customer, as records."""

import hashlib
from collections.abc import Callable, Sequence
from datetime import date
from ipaddress import AddressValueError, IPv4Address
from typing import Any

import numpy as np
from msgspec import UNSET

from engine.coupon_records import ASK, LINE
from engine.fraud_records import ORIGIN, Agent
from engine.policy.conditions import GENDERS
from engine.profile_records import PROFILE, Given
from engine.records import NONE, Channel, EventKind, Flag
from gateway.blocks import Block, Outcome, new_events
from gateway.bodies import (
    Cancel,
    Challenge,
    Checkout,
    Claim,
    Decide,
    Line,
    Origin,
    Pay,
    Profile,
    Redeem,
    Refund,
    Transfer,
)
from gateway.dictionary import Dictionary, Names
from gateway.identifying import FIELDS, problems

Told = Callable[[Outcome], None]
FLAGS = {
    "card_active": Flag.CARD_ACTIVE,
    "card_used": Flag.CARD_USED,
    "likely_minor": Flag.LIKELY_MINOR,
    "high_risk": Flag.HIGH_RISK,
}
_REACTIONS = ("click", "close", "mute", "snooze", "complaint", "not_shown")
NEEDED = {  # by event: what says nothing without
    "page_view": ("page",), "page_dwell": ("page", "dwell_ms"), "page_leave": ("page_view",), "slot_view": ("page",),
    "payment": ("amount",), "top_up": ("amount",), "money_transfer": ("amount",),
    "consent_given": ("channel",), "consent_withdrawn": ("channel",),
    **dict.fromkeys(_REACTIONS, ("campaign", "exposure")),
}  # fmt: skip
_IDENTITY_BYTES = 8


def fen(yuan: str) -> int:
    """ "20.5" is 2 050."""
    whole, _, part = yuan.partition(".")
    return int(whole) * 100 + int(part.ljust(2, "0") or 0)


def identity(what: str, value: str | None, pepper: bytes) -> int:
    """A number for something that is only ever compared: positive; NONE without one. pepper: the folder's, without
    which nobody finds the value by trying those there are."""
    if value is None:
        return NONE
    digest = hashlib.blake2b(value.encode(), digest_size=_IDENTITY_BYTES, key=pepper, person=what.encode()).digest()
    return int.from_bytes(digest, "little") >> 1


def identifying(body: Profile) -> dict[str, str]:
    """The fields of a profile that identify, as far as they are said."""
    said = {field: getattr(body, field) for field in FIELDS}
    return {field: value for field, value in said.items() if value is not UNSET}


def _leaving(customer: int) -> np.ndarray:
    row = np.zeros(1, PROFILE)
    row["customer"], row["given"] = customer, Given.LEAVES
    return row


class Asking:
    """Makes blocks of bodies under one policy. Raises BodyError with every name that the policy does not have."""

    def __init__(self, dictionary: Dictionary, pepper: bytes) -> None:
        self.dictionary = dictionary
        self._pepper = pepper

    def identity(self, what: str, value: str | None) -> int:
        """See above."""
        return identity(what, value, self._pepper)

    def decide(self, body: Decide, customer: int, told: Told) -> Block:
        names = Names(self.dictionary)
        for field in NEEDED.get(body.event, ()):
            if getattr(body, field) is None:
                names.problems.append((f"$.{field}", f"must be given with {body.event} (got nothing)"))
        event = self._event(customer, EventKind[body.event.upper()])
        event["page_view"], event["dwell_ms"] = body.page_view or 0, body.dwell_ms or 0
        event["amount"] = fen(body.amount) if body.amount is not None else 0
        event["exposure"] = NONE if body.exposure is None else body.exposure
        event["channel"] = NONE if body.channel is None else Channel[body.channel.upper()]
        for kind in ("page", "city", "campaign"):
            event[kind] = names.number(kind, getattr(body, kind))
        origins = self._origins(event, body.origin, names)
        names.raise_if_unknown()
        return Block(event, told, origins=origins)

    def claim(self, body: Claim, customer: int, told: Told, request: int = 0) -> Block:
        """request: the caller's id of it; 0 without."""
        names = Names(self.dictionary)
        event, ask = self._asking(customer, EventKind.CLAIM, request)
        ask["coupon"], ask["campaign"] = names.number("coupon", body.coupon), names.number("campaign", body.campaign)
        return self._asked(event, told, ask, body, names)

    def checkout(self, body: Checkout, customer: int, told: Told, request: int = 0) -> Block:
        """A quote, or an order where the body numbers one."""
        names = self._names_with_coupons()
        kind = EventKind.CHECKOUT if body.order is None else EventKind.ORDER
        event, ask = self._asking(customer, kind, request)
        ask["shipping"], ask["place"] = fen(body.shipping), names.number("place", body.place)
        ask["first_line"], ask["lines"] = 0, len(body.lines)
        ask["order"] = NONE if body.order is None else body.order
        lines = self._lines(body.lines, names)
        origins = self._origins(event, body.origin, names)
        names.raise_if_unknown()
        return Block(event, told, ask, lines, origins)

    def pay(self, body: Pay, customer: int, told: Told, request: int = 0) -> Block:
        names = self._names_with_coupons()
        event, ask = self._asking(customer, EventKind.PAYMENT, request)
        event["amount"], ask["order"] = fen(body.amount), body.order
        event["page"], event["city"] = names.number("page", body.page), names.number("city", body.city)
        return self._asked(event, told, ask, body, names)

    def cancel(self, body: Cancel, customer: int, told: Told, request: int = 0) -> Block:
        event, ask = self._asking(customer, EventKind.CANCEL, request)
        ask["order"] = body.order
        return self._asked(event, told, ask, body, self._names_with_coupons())

    def refund(self, body: Refund, customer: int, told: Told, request: int = 0) -> Block:
        names = self._names_with_coupons()
        if (body.line is None) != (body.pieces is None):
            lacks, other = ("line", "pieces") if body.line is None else ("pieces", "line")
            names.problems.append((f"$.{lacks}", f"must be given with {other} (got nothing)"))
        event, ask = self._asking(customer, EventKind.REFUND, request)
        ask["order"], ask["pieces"] = body.order, body.pieces or 0
        ask["first_line"] = NONE if body.line is None else body.line
        return self._asked(event, told, ask, body, names)

    def redeem(self, body: Redeem, customer: int, told: Told, request: int = 0) -> Block:
        names = self._names_with_coupons()
        event, ask = self._asking(customer, EventKind.REDEEM, request)
        event["amount"], ask["claim"] = fen(body.amount), body.number
        event["city"], ask["place"] = names.number("city", body.city), names.number("place", body.place)
        return self._asked(event, told, ask, body, names)

    def transfer(self, body: Transfer, customer: int, other: int, told: Told, request: int = 0) -> Block:
        event, ask = self._asking(customer, EventKind.TRANSFER, request)
        ask["claim"], ask["other"] = body.number, other
        return self._asked(event, told, ask, body, self._names_with_coupons())

    def challenge(self, body: Challenge, customer: int, rule: int, told: Told) -> Block:
        """rule: its slot."""
        event, ask = self._asking(customer, EventKind.CHALLENGE_PASSED, 0)
        ask["rule"] = rule
        return self._asked(event, told, ask, body, Names(self.dictionary))

    def profile(self, body: Profile, customer: int, told: Told, is_leaving: bool = False) -> Block:
        """is_leaving: the shard has to forget the customer first, and was not told yet."""
        names, row = Names(self.dictionary), np.zeros(1, PROFILE)
        row["customer"] = customer
        for bit, name, value in self._said(body, names):
            row["given"] |= bit
            row[name] = value
        for name, flag in FLAGS.items():
            self._mark(row, flag, getattr(body, name))
        personal = body.personalisation
        self._mark(row, Flag.PERSONALISATION_OFF, UNSET if personal is UNSET else not personal)
        names.problems += problems(identifying(body))
        names.raise_if_unknown()
        rows = np.concatenate([_leaving(customer), row]) if is_leaving else row
        return Block(new_events(0), told, profiles=rows)

    def leave(self, customer: int, told: Told) -> Block:
        """The shard forgets a customer: what limits count stays."""
        return Block(new_events(0), told, profiles=_leaving(customer))

    # --- parts --------------------------------------------------------------------------------------------------------
    def _event(self, customer: int, kind: EventKind) -> np.ndarray:
        event = new_events(1)
        event["customer"], event["kind"] = customer, kind
        return event

    def _asking(self, customer: int, kind: EventKind, request: int) -> tuple[np.ndarray, np.ndarray]:
        event, ask = self._event(customer, kind), np.zeros(1, ASK)
        for name in ("other", "order", "claim", "coupon", "place", "campaign", "rule"):
            ask[name] = NONE
        event["ask"], ask["id"] = 0, request
        return event, ask

    def _names_with_coupons(self) -> Names:
        names = Names(self.dictionary)
        if not self.dictionary.coupons:
            names.problems.append(("$", "the policy has no coupons, so there is nothing to work out"))
        return names

    def _asked(self, event: np.ndarray, told: Told, ask: np.ndarray, body: Any, names: Names) -> Block:
        """With where it comes from; raises what is wrong with it."""
        origins = self._origins(event, body.origin, names)
        names.raise_if_unknown()
        return Block(event, told, ask, origins=origins)

    def _lines(self, lines: Sequence[Line], names: Names) -> np.ndarray:
        rows = np.zeros(len(lines), LINE)
        for number, (row, line) in enumerate(zip(rows, lines, strict=True)):
            row["unit_price"], row["quantity"] = fen(line.unit_price), line.quantity
            for kind in ("category", "brand", "product"):
                row[kind] = names.number(kind, getattr(line, kind), "lines", number, kind)
        return rows

    def _origins(self, event: np.ndarray, origin: Origin | None, names: Names) -> np.ndarray:
        if origin is None:
            return np.zeros(0, ORIGIN)
        row = np.zeros(1, ORIGIN)
        row["device_id"], row["card"] = self.identity("device", origin.device), self.identity("card", origin.card)
        row["address"], row["ip"] = self.identity("address", origin.address), self._ip(origin.ip, names)
        row["code"] = row["inviter"] = row["group"] = NONE
        row["agent"] = Agent.UNKNOWN if origin.agent is None else Agent[origin.agent.upper()]
        event["origin"] = 0
        return row

    def _ip(self, text: str | None, names: Names) -> int:
        if text is None:
            return NONE
        try:
            return int(IPv4Address(text))
        except AddressValueError:
            names.problems.append(("$.origin.ip", f"must be an IPv4 address like 203.0.113.7 (got {text})"))
            return NONE

    def _said(self, body: Profile, names: Names) -> list[tuple[Given, str, int]]:
        """(bit, field, value) of what a profile says, marks apart."""
        said: list[tuple[Given, str, Any]] = [
            (Given.JOINED_MS, "joined_ms", body.joined_ms),
            (Given.POINTS, "points", body.points),
            (Given.POINTS_EXPIRE_MS, "points_expire_ms", body.points_expire_ms),
            (Given.BALANCE, "balance", UNSET if body.balance is UNSET else fen(body.balance)),
            (Given.HOME_CITY, "home_city", self._named("city", body.home_city, "home_city", names)),
            (Given.TIER, "tier", self._named("tier", body.tier, "tier", names)),
            (Given.GENDER, "gender", UNSET if body.gender is UNSET else GENDERS.index(body.gender)),
            (Given.BIRTH_DATE, "birth_date", self._birth_date(body.birth_date, names)),
            (Given.TAGS, "tags", self._tags(body.tags, names)),
            (Given.CONSENT, "consent", self._consent(body.consent)),
        ]
        return [(bit, name, value) for bit, name, value in said if value is not UNSET]

    def _named(self, kind: str, name: Any, path: str, names: Names) -> Any:
        return UNSET if name is UNSET else names.number(kind, name, path)

    def _birth_date(self, text: Any, names: Names) -> Any:
        if text is UNSET:
            return UNSET
        try:
            day = date.fromisoformat(text)
        except ValueError:
            names.problems.append(("$.birth_date", f"must be a date like 1990-05-17 (got {text})"))
            return 0
        return day.year * 10_000 + day.month * 100 + day.day

    def _tags(self, tags: Any, names: Names) -> Any:
        if tags is UNSET:
            return UNSET
        numbers = {names.number("tag", tag, "tags", place) for place, tag in enumerate(tags)}
        return sum(1 << number for number in numbers if number != NONE)

    def _consent(self, channels: Any) -> Any:
        return UNSET if channels is UNSET else sum(1 << Channel[channel.upper()] for channel in set(channels))

    def _mark(self, row: np.ndarray, flag: Flag, said: Any) -> None:
        if said is not UNSET:
            row["marks_given"] |= np.int8(flag)
            row["marks"] |= np.int8(flag if said else 0)
