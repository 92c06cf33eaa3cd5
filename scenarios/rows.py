"""Reads a table of rows with the policy it is about, and every name in it that the policy does not have."""

from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

from engine.coupon_records import Answer
from engine.policy.calendar_days import wall_ms
from engine.policy.document import Policy
from engine.policy.quantities import UnreadableError
from engine.policy.tables import CompiledPolicy, compile_policy
from engine.policy.yaml_source import NO_CHANGES, Loaded, Source
from engine.records import DAY_MS, Reason
from scenarios.load import Reader
from scenarios.rows_document import DAYS_MAX, CartLine, Facts, Row, Rows, Step

SUFFIX = ".rows.yaml"
NOTHING = "nothing"
REASONS = {reason.name.lower(): reason for reason in Reason if reason is not Reason.SHOWN}
ANSWERS = {answer.name.lower(): answer for answer in Answer if answer not in (Answer.NONE, Answer.PENDING)}
Problem = tuple[str, str]  # path and sentence


@dataclass(frozen=True)
class LoadedRows:
    """A table that can be played."""

    path: Path
    table: Rows
    source: Source
    compiled: CompiledPolicy

    def line(self, number: int) -> int:
        """Where row `number` (from 0) stands in its file."""
        return self.source.line(("rows", number))

    def start_ms(self, row: Row) -> int:
        return at_ms(row.start or self.table.start, self.compiled.policy)


def at_ms(at: datetime, policy: Policy) -> int:
    """A minute on the policy's wall clock."""
    return wall_ms(at.date(), at.hour * 60 + at.minute, ZoneInfo(policy.time_zone))


def load_rows(path: Path, changes: Mapping[str, str] = NO_CHANGES) -> LoadedRows:
    """Raises DocumentError with all problems of the table and its policy.

    changes: of the policy, path → YAML. What they take away, rows may still name: they miss it when they are played.
    """
    reader = Reader()
    loaded = reader.read(path, Rows)
    policy = reader.read(policy_of(path, loaded), Policy, changes)
    reader.check()
    assert loaded and policy
    first, last = days_of(loaded.document)
    if (days := (last - first).days) > DAYS_MAX:
        reader.say(loaded.source, [("rows", f"must begin and end within {DAYS_MAX} days (got {days})")])
    if not changes:
        reader.say(loaded.source, list(misnamed(loaded.document, policy.document)))
    reader.check()
    compiled = compile_policy(policy.document, first, last, source=policy.source)
    return LoadedRows(path, loaded.document, loaded.source, compiled)


def policy_of(path: Path, loaded: Loaded[Rows] | None) -> Path | None:
    """The file that a table names, where that can be read."""
    with suppress(UnreadableError):
        return None if loaded is None else path.parent / loaded.document.policy
    return None


def days_of(table: Rows) -> tuple[date, date]:
    """From the day before the earliest row begins until the day after the latest has ended."""
    starts = [row.start or table.start for row in table.rows]
    ends = []
    for row, start in zip(table.rows, starts, strict=True):
        lasts = sum(step.after + step.every * step.times for step in row.steps)
        ends.append(max([start, *(step.at for step in row.steps if step.at)]) + timedelta(days=lasts // DAY_MS + 2))
    return min(starts).date() - timedelta(days=1), max(ends).date()


# --- names ------------------------------------------------------------------------------------------------------------
def misnamed(table: Rows, policy: Policy) -> Iterator[Problem]:
    """Names that the policy does not have."""
    known = known_names(policy)
    for path, kind, name in named(table):
        if name not in known[kind]:
            some = ", ".join(list(known[kind])[:5]) + (", …" if len(known[kind]) > 5 else "")
            yield path, f"must be {WORDS.get(kind, f'a {kind} of the policy')}: {some or 'there is none'} (got {name})"
    for number, row in enumerate(table.rows):
        for campaign, arm in row.arms.items():
            if campaign in policy.campaigns and arm not in arm_names(policy, campaign):
                arms = ", ".join(arm_names(policy, campaign)) or "none"
                yield f"rows[{number}].arms.{campaign}", f"must be an arm of it: {arms} (got {arm})"


WORDS = {"reason": "a reason", "answer": "an answer", "shown": "nothing or a campaign of the policy"}


def known_names(policy: Policy) -> dict[str, tuple[str, ...]]:
    names = policy.names
    known = {kind: tuple(getattr(names, f"{kind}s" if kind != "city" else "cities")) for kind in
             ("page", "city", "tier", "tag", "brand", "product", "place")}  # fmt: skip
    return known | {
        "category": tuple(names.categories),
        "campaign": tuple(policy.campaigns),
        "shown": (NOTHING, *policy.campaigns),
        "coupon": tuple(policy.coupons),
        "budget": tuple(policy.budgets),
        "moment": tuple(policy.moments),
        "segment": (*policy.segments, "other"),
        "fraud rule": tuple(policy.fraud.rows()),
        "reason": tuple(REASONS),
        "answer": tuple(ANSWERS),
    }


def arm_names(policy: Policy, campaign: str) -> list[str]:
    return [arm.name for arm in policy.campaigns[campaign].arms or ()]


def named(table: Rows) -> Iterator[tuple[str, str, str]]:
    """Every name in a table: where, of what, and which."""
    yield from named_facts(table.customer, "customer")
    yield from ((f"shares.held_out.{name}", "campaign", name) for name in table.shares.held_out)
    for number, row in enumerate(table.rows):
        at = f"rows[{number}]"
        yield from named_facts(row.customer, f"{at}.customer")
        yield from ((f"{at}.held_out[{n}]", "campaign", name) for n, name in enumerate(row.held_out))
        yield from ((f"{at}.arms.{name}", "campaign", name) for name in row.arms)
        yield from ((f"{at}.spent.{name}", "budget", name) for name in row.spent)
        for place, step in enumerate(row.steps):
            yield from named_step(step, f"{at}.steps[{place}]")


def named_facts(facts: Facts, at: str) -> Iterator[tuple[str, str, str]]:
    for field, kind in (("home_city", "city"), ("tier", "tier")):
        if (name := getattr(facts, field)) is not None:
            yield f"{at}.{field}", kind, name
    yield from ((f"{at}.tags[{n}]", "tag", name) for n, name in enumerate(facts.tags or []))


def named_step(step: Step, at: str) -> Iterator[tuple[str, str, str]]:
    for field, kind in (("page", "page"), ("city", "city"), ("moment", "moment"), ("of", "campaign"),
                        ("claim", "coupon"), ("redeem", "coupon"), ("place", "place"), ("answers", "answer"),
                        ("rule", "fraud rule")):  # fmt: skip
        if (name := getattr(step, field)) is not None:
            yield f"{at}.{field}", kind, name
    if step.shows is not None:
        yield f"{at}.shows", "shown", step.shows.partition("/")[0]
    yield from ((f"{at}.charges.{name}", "budget", name) for name in step.charges)
    if step.segment is not None:
        yield f"{at}.segment", "segment", step.segment
    if step.credits is not None:
        yield f"{at}.credits", "shown", step.credits
    for campaign, reason in step.refuses.items():
        yield f"{at}.refuses.{campaign}", "campaign", campaign
        yield f"{at}.refuses.{campaign}", "reason", reason
    yield from ((f"{at}.uses[{n}]", "coupon", name) for n, name in enumerate(step.uses or []))
    for field in ("quote", "order"):
        for n, line in enumerate(getattr(step, field) or []):
            yield from named_line(line, f"{at}.{field}[{n}]")


def named_line(line: CartLine, at: str) -> Iterator[tuple[str, str, str]]:
    for kind in ("category", "brand", "product"):
        if (name := getattr(line, kind)) is not None:
            yield f"{at}.{kind}", kind, name
