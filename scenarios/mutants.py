"""Mutants: one-line changes of a policy, such as people make by mistake, which its scenarios should notice.

What is changed follows from what stands there: a quantity doubled and halved, a bound or a list's item taken out, a
switch or a mode turned, a condition said otherwise. Text that customers read, names and whatever nothing reads stay.
"""

import json
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

from engine.policy import quantities
from engine.policy.document import Policy
from engine.policy.quantities import (
    UNITS_MS,
    Block,
    clock_text,
    duration_text,
    got,
    path_text,
    response_text,
    share_text,
    yuan_text,
)
from engine.policy.quantities import Path as Where
from engine.policy.yaml_source import TAKEN_OUT, DocumentError, Place, Source, Tree, file_text, validated
from scenarios.essence import essence, rivals_of
from scenarios.mutated_conditions import mutated_condition

# Fields that say nothing of whom a policy decides for, or what: texts, names, lots, room in tables, contents of lists.
ASIDE = {
    "policy", "time_zone", "provider", "names", "lint", "text", "name", "salt", "colour", "opt_out", "annual_rate",
    "appeal", "topic", "purpose", "values", "ranges", "file", "keys",
}  # fmt: skip
CONDITIONS = ("audience", "when", "where")
NAMED_WHOLE = (("fraud", "rules"), ("breakers",), ("fatigue", "channels"))  # whose entries may be taken out
SECTIONS = ("campaigns", "coupons", "budgets", "breakers", "segments", "moments", "fraud")  # of which each has its own
STAYS = (*SECTIONS, "rfm", "fatigue")  # too much for one slip: `compare --each` leaves out what is whole
SCORES = {"recency_days": "r_score", "frequency": "f_score", "monetary": "m_score"}
NAME = re.compile(r"[a-z][a-z0-9_]*")
DURATION = re.compile(rf"\d+({'|'.join(UNITS_MS)})")
CLOCK_LATER, DAY_MINUTES = 120, 24 * 60

# A field that says one of a few words, and what it says after a slip.
SLIPS: dict[str, dict[str, str]] = {
    "mode": {"active": "shadow", "shadow": "off", "off": "active"},
    "answer": {"deny": "challenge", "challenge": "review", "review": "deny", "weaker": "deny"},
    "sees": {"nothing": "next_best", "next_best": "nothing"},
    "issue": {"click": "direct", "direct": "click"},
    "by": {"uplift": "response", "response": "uplift"},
    "base": {"running": "original", "original": "running"},
    "urgency": {"days": TAKEN_OUT, "pieces": TAKEN_OUT},
    "channel": {"popup": "inbox", "inbox": "popup", "push": "sms", "sms": "push", "carousel": "inbox"},
    "style": {"full_screen": "banner", "overlay": "banner", "banner": "overlay", "plain": "banner"},
    "on": {"page_view": "login", "login": "page_view", "balance_query": "login", "payment": "login"},
    "event": {"payment": "login", "first_use": "payment", "top_up": "payment", "bill_viewed": "login"},
    "over": {"all": "campaign", "campaign": "all"},
    "measure": {"payment_failures": "complaints", "complaints": "payment_failures"},
    "weekly": {"monday": "tuesday", "wednesday": "thursday", "friday": "saturday", "sunday": "monday"},
}
WINDOWS = {"day": ("week",), "week": ("day",), "month": ("week",)}


@dataclass(frozen=True)
class Mutant:
    """A policy with one thing said otherwise. text: YAML in place of what stands at `path`; `none` takes it out."""

    policy: Path
    line: int
    path: str
    before: str
    after: str
    text: str

    @property
    def change(self) -> dict[str, str]:
        """As `set` of a scenario has it."""
        return {f"policy.{self.path}": self.text}

    @property
    def section(self) -> str:
        """The part of the policy that it is in: `fatigue`, `campaigns.first_use`."""
        first, *rest = self.path.replace("[", ".[").split(".")
        return f"{first}.{rest[0]}" if first in SECTIONS and rest else first

    @property
    def name(self) -> str:
        return f"{self.policy}:{self.line} {self.path}: {self.before} → {self.after}"


def mutants_of(file: Path) -> list[Mutant]:
    """Every mutant of a policy, by line. What cannot be loaded is none; of those that come to the same, the first is.

    Raises DocumentError where the policy itself cannot be loaded.
    """
    tree = Tree.of(file_text(file), str(file))
    document = validated(tree, Policy)
    if document is None or tree.problems:
        raise DocumentError(tree.source.sentences(tree.problems))
    seen, found = {essence(document)}, []
    for spot in spots(tree.root, Place.of(Policy), ()):
        for after, text in spot.changes() if is_read(spot.path, tree.root, document) else ():
            changed = said_otherwise(tree, path_text(spot.path), text)
            if changed is not None and (comes_to := essence(changed)) not in seen:
                seen.add(comes_to)
                found.append(Mutant(file, tree.source.line(spot.path), path_text(spot.path), spot.written, after, text))
    return sorted(found, key=lambda mutant: mutant.line)


def said_otherwise(tree: Tree, path: str, text: str) -> Policy | None:
    """The policy with one change; None where that is none."""
    source = Source(tree.source)
    source.lines = dict(tree.source.lines)
    changed = Tree(copied(tree.root), source)
    changed.change(path, text)
    document = validated(changed, Policy)
    return None if changed.problems else document


def copied(value: Any) -> Any:
    """Blocks and lists anew, what is written in them as it is."""
    if isinstance(value, dict):
        return {name: copied(inside) for name, inside in value.items()}
    return [copied(inside) for inside in value] if isinstance(value, list) else value


# --- what stands where ------------------------------------------------------------------------------------------------
@dataclass(frozen=True)
class Spot:
    """Something that a policy says."""

    path: Where
    value: Any  # as written
    place: Place
    may_go: bool

    @property
    def written(self) -> str:
        return flow(self.value)

    def changes(self) -> Iterator[tuple[str, str]]:
        """What it may say instead, as shown and as YAML."""
        if isinstance(self.value, str):
            for text in self.said_otherwise(str(self.value)):
                yield shown(text), json.dumps(text) if self.is_condition or ":" in text else text
        if self.may_go:
            yield shown(TAKEN_OUT), TAKEN_OUT

    def said_otherwise(self, written: str) -> Iterator[str]:
        slips = SLIPS.get(str(self.path[-1]), {})
        if self.is_condition:
            yield from mutated_condition(written, in_conditions)
        elif written in slips:
            yield slips[written]
        elif self.path[-1] == "until" and quantities.day in kinds(self.place):
            yield later(written, -1)
        elif self.place.block is not None and DURATION.fullmatch(written):  # `valid: 3d`
            yield from of_duration(written)
        else:
            yield from next((OPERATORS[kind](written) for kind in kinds(self.place) if kind in OPERATORS), ())

    @property
    def is_condition(self) -> bool:
        return self.path[-1] in CONDITIONS or self.path[0] == "segments"


def spots(value: Any, place: Place, path: Where, may_go: bool = False) -> Iterator[Spot]:
    """Everything that is said at a path and below, what is aside left out."""
    if path:
        yield Spot(path, value, place, may_go)
    if isinstance(value, list):
        for number, inside in enumerate(value):
            yield from spots(inside, place.below(number), (*path, number), True)
    elif isinstance(value, dict):
        fields = place.fields() if place.block is not None else {}
        for name, inside in value.items():
            if not fields:
                yield from spots(inside, place.below(name), (*path, str(name)), path in NAMED_WHOLE)
            elif name not in ASIDE:
                below = place.below(name)
                may_go = is_optional(fields[name], below) and (path != () or name not in STAYS)
                yield from spots(inside, below, (*path, str(name)), may_go and (*path, name) not in NAMED_WHOLE)


def is_optional(info: Any, place: Place) -> bool:
    """Whether a field without a line means that something is not done, rather than done by default."""
    if info.is_required():
        return False
    no_time = info.default == 0 and quantities.duration in kinds(place)
    return info.default is None or isinstance(info.default, Block | list | dict) or no_time


def kinds(place: Place) -> list[Any]:
    """What reads the quantity at a place: functions of `quantities`."""
    return [item.func for item in place.metadata if hasattr(item, "func")]


def is_read(path: Where, root: Mapping[str, Any], policy: Policy) -> bool:
    """Whether anything of the policy reads what is said: segments that no condition names are for reports only."""
    if path[0] not in ("segments", "rfm", "moments") or len(path) < 2:
        return True
    name = str(path[1])
    if path[0] == "moments":
        return any(campaign.trigger.moment == name for campaign in policy.campaigns.values())
    words = {word for text in conditions(root) for word in NAME.findall(text)}
    words |= {segment for rival in rivals_of(policy) for segment in policy.campaigns[rival].response_by_segment}
    left = [segment for segment in policy.segments if segment in words]
    while left:  # what a segment that is read says is read
        more = {*NAME.findall(str(root["segments"][left.pop()]))} - words
        words |= more
        left += [segment for segment in policy.segments if segment in more]
    return SCORES.get(name, name) in words


def conditions(value: Any, path: Where = ()) -> Iterator[str]:
    """The texts of all conditions; segments are none before somebody reads them."""
    if isinstance(value, dict):
        for name, inside in value.items():
            yield from conditions(inside, (*path, str(name))) if path or name != "segments" else ()
    elif isinstance(value, str) and path[-1] in CONDITIONS:
        yield str(value)


def flow(value: Any) -> str:
    """As it could stand in one line."""
    if isinstance(value, dict):
        return got("{" + ", ".join(f"{name}: {flow(inside)}" for name, inside in value.items()) + "}")
    return got("[" + ", ".join(map(flow, value)) + "]" if isinstance(value, list) else value)


def shown(text: str) -> str:
    return "taken out" if text == TAKEN_OUT else text


# --- what it may say instead ------------------------------------------------------------------------------------------
def doubled_and_halved(number: int, shown: Callable[[int], str], most: int | None = None) -> list[str]:
    if number == 0:
        return []
    double = 2 * number if most is None else min(2 * number, most)
    return [shown(double), shown(number // 2)]


def of_count(written: str) -> list[str]:
    return doubled_and_halved(quantities.count(written), str) or ["1"]


def of_money(written: str) -> list[str]:
    return doubled_and_halved(quantities.money(written), yuan_text)


def of_duration(written: str) -> list[str]:
    return doubled_and_halved(quantities.duration(written), duration_text)


def of_share(written: str) -> list[str]:
    return doubled_and_halved(quantities.share(written), share_text, quantities.HUNDRED_PERCENT)


def of_response(written: str) -> list[str]:
    return doubled_and_halved(quantities.response(written), response_text, 10**9)


def of_window(written: str) -> Sequence[str]:
    return WINDOWS[written] if written in WINDOWS else of_duration(written)


def of_truth(written: str) -> list[str]:
    return ["false" if quantities.truth(written) else "true"]


def of_clock(written: str) -> list[str]:
    minutes = (quantities.clock_time(written) + CLOCK_LATER) % DAY_MINUTES
    return [clock_text(minutes)]


def later(written: str, days: int = 1) -> str:
    return str(quantities.day(written) + timedelta(days=days))


def of_date(written: str) -> list[str]:
    return [later(written)]


def of_instant(written: str) -> list[str]:
    moment = quantities.instant(written)
    return [f"{moment + timedelta(hours=hours):%Y-%m-%d %H:%M}" for hours in (1, -1)]


def in_conditions(written: str) -> list[str]:
    """Of a number in a condition, which has at most two decimals where it is money."""
    if "." in written:
        return [f"{2 * float(written):.2f}", f"{float(written) / 2:.2f}"]
    return of_count(written)


OPERATORS: dict[Any, Callable[[str], Sequence[str]]] = {
    quantities.count: of_count,
    quantities.money: of_money,
    quantities.duration: of_duration,
    quantities.share: of_share,
    quantities.response: of_response,
    quantities.per: of_window,
    quantities.day_or_duration: of_window,
    quantities.truth: of_truth,
    quantities.clock_time: of_clock,
    quantities.day: of_date,
    quantities.instant: of_instant,
}
