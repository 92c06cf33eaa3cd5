"""Plays the rows of a table: somebody of whom it is said what is known does one thing after the other, and what the
engine decides is held against what the row expects.
"""

import hashlib
import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import partial
from ipaddress import IPv4Address
from typing import Any

import numpy as np

from engine.coupon_records import Answer
from engine.fraud_records import Agent
from engine.policy.quantities import share_text, yuan_text
from engine.records import NONE, SHARE_ONE, Channel, EventKind, Reason
from engine.rules.experiments import assigned_arm, mark_share
from scenarios.rows import ANSWERS, NOTHING, LoadedRows, at_ms
from scenarios.rows_booth import PEOPLE, Booth, Got
from scenarios.rows_document import CartLine, From, Looks, Row, Shares, Step
from scenarios.rows_numbers import Numbers, Unplayable, customer_row

REACTIONS = ("click", "close", "mute", "snooze", "complaint", "not_shown")
CLAIMS = {"claim": EventKind.CLAIM, "quote": EventKind.CHECKOUT, "order": EventKind.ORDER, "pay": EventKind.PAYMENT,
          "cancel": EventKind.CANCEL, "refund": EventKind.REFUND, "redeem": EventKind.REDEEM}  # fmt: skip


HELD_OUT = "customers held out by lot"
LOTS, DEVIATIONS = 100_000, 4.0


@dataclass(frozen=True)
class Played:
    """What became of a row: every sentence that is missed, and a hash of all that was decided."""

    text: str  # what the row says
    place: str  # file:line
    misses: tuple[str, ...]
    digest: str

    @property
    def missed(self) -> bool:
        return bool(self.misses)

    @property
    def verdict(self) -> str:
        return "fails" if self.misses else "holds"

    def sentence(self) -> str:
        """A line for each miss."""
        return "\n".join(f"{self.place}: {miss}" for miss in self.misses)


def plays_of(loaded: LoadedRows) -> list[tuple[str, Callable[[], Played]]]:
    """What a table asks, each with what it says."""
    rows = [(row.says, partial(play_row, loaded, number)) for number, row in enumerate(loaded.table.rows)]
    return [*([(HELD_OUT, partial(play_shares, loaded))] if loaded.table.shares != Shares() else []), *rows]


def play_shares(loaded: LoadedRows) -> Played:
    """Who is held out is drawn by lot: of so many customers, about the share that the table says."""
    tables, said = loaded.compiled.tables, loaded.table.shares
    policy, misses = tables.policy[0], []
    found: dict[str, tuple[int, np.ndarray]] = {}
    if said.universal_holdout is not None:
        out = np.zeros(LOTS, np.bool_)
        mark_share(policy.universal_salt, policy.replication, policy.universal_holdout, 0, out)
        found["everything"] = said.universal_holdout, out
    for name, share in said.held_out.items():
        campaign, out = tables.campaigns[loaded.compiled.registry.slots[name]], np.zeros(LOTS, np.bool_)
        mark_share(campaign.holdout_salt, policy.replication, campaign.holdout_share, 0, out)
        found[name] = share, out
    for name, (share, out) in found.items():
        wanted, had = share / SHARE_ONE, float(out.mean())
        if abs(had - wanted) > DEVIATIONS * math.sqrt(wanted * (1 - wanted) / LOTS):
            misses.append(f"must hold {share_text(share)} out from {name} (got {100 * had:.1f}% of {LOTS:,} customers)")
    place = f"{loaded.path}:{loaded.source.line(('shares',))}"
    return Played(HELD_OUT, place, tuple(misses), " ".join(str(int(out.sum())) for _, out in found.values()))


def play_row(loaded: LoadedRows, number: int) -> Played:
    """Row `number`, from 0. Raises AssertionError where an invariant of the engine was broken."""
    row, digest = loaded.table.rows[number], hashlib.blake2b(digest_size=8)
    misses: tuple[str, ...]
    try:
        misses = tuple(Play(loaded, row).missed(digest.update))
    except Unplayable as error:
        misses = (str(error),)
    return Played(row.says, f"{loaded.path}:{loaded.line(number)}", misses, digest.hexdigest())


@dataclass
class Person:
    """What somebody's app remembers."""

    number: int
    shown: dict[int, int] = field(default_factory=dict)  # campaign → its latest exposure
    latest: int = NONE  # campaign shown last
    page: int = NONE
    page_view: int = 0
    orders: int = 0
    costs: dict[int, int] = field(default_factory=dict)  # order → what is to be paid
    coupons: dict[int, int] = field(default_factory=dict)  # slot → number of the latest granted


class Play:
    """One row."""

    def __init__(self, loaded: LoadedRows, row: Row) -> None:
        self.loaded, self.row, self.compiled = loaded, row, loaded.compiled
        self.now = loaded.start_ms(row)
        self.names = Numbers(self.compiled)
        facts = row.customer.over(loaded.table.customer)
        self.booth = Booth(self.compiled, customer_row(facts, self.now, self.names), self.now)
        spent = {self.compiled.budgets[name]: fen for name, fen in row.spent.items() if name in self.compiled.budgets}
        if spent:
            self.booth.spend(self.now, spent)
        self.people: dict[str, Person] = {}
        self.unused = iter(self.alike())

    # --- who ----------------------------------------------------------------------------------------------------------
    def alike(self) -> list[int]:
        """Customers in the groups that the row says, those first whom most campaigns may reach."""
        row, shard = self.row, self.booth.shard
        fits, reached = np.ones(PEOPLE, np.bool_), np.zeros(PEOPLE, np.int64)
        about = {step.shows.partition("/")[0] for step in row.steps if step.shows} - {NOTHING}
        about |= {name for step in row.steps for name in step.refuses} | set(row.arms)
        fits &= shard.universal_holdout() == row.universal_holdout
        for name, slot in self.names.campaigns.items():
            out = shard.assignment(slot) == 1
            if name in row.held_out:
                fits &= out
            elif name in about:
                fits &= ~out
            reached += ~out
        for name in row.held_out:
            self.names.number("campaign", name)
        found = [int(n) for n in np.argsort(-reached, kind="stable") if fits[n] and self.is_in_arms(int(n))]
        if not found:
            raise Unplayable("no customer is in the groups that the row says")
        return found

    def is_in_arms(self, customer: int) -> bool:
        tables = self.compiled.tables
        with np.errstate(over="ignore"):  # the hash wraps on purpose
            return all(
                self.names.arm(name, int(assigned_arm(tables.campaigns[slot], tables.policy[0].replication, customer)))
                == arm
                for name, arm in self.row.arms.items()
                if (slot := self.names.number("campaign", name)) != NONE
            )

    def person(self, step: Step) -> Person:
        name = f"other {len(self.people)}" if step.others else step.who
        if name not in self.people:
            number = next(self.unused, None)
            if number is None:
                raise Unplayable(f"among {PEOPLE:,} customers there are too few in the groups that the row says")
            self.people[name] = Person(number)
        return self.people[name]

    # --- what ---------------------------------------------------------------------------------------------------------
    def missed(self, hear: Callable[[bytes], object]) -> Iterator[str]:
        """Every expectation that is missed, as a sentence."""
        for place, step in enumerate(self.row.steps, 1):
            which = f"step {place} ({step.event or step.deed})"
            try:
                self.now = self.time_of(step, is_first=place == 1)
                for turn in range(step.times):
                    self.now += step.every if turn else 0
                    got = self.take(step, self.person(step))
                    hear(got.decision.tobytes() + got.receipt.tobytes() + bytes([got.answer]))
            except Unplayable as error:
                yield f"{which} cannot be: {error}"
                return
            yield from (f"{which} {sentence}" for sentence in self.unlike(step, got))

    def time_of(self, step: Step, is_first: bool) -> int:
        if step.at is not None:
            at = at_ms(step.at, self.names.policy)
            if at < self.now:
                raise Unplayable("it lies before the step before it")
            return at
        return self.now if is_first and "after" not in step.model_fields_set else self.now + step.after

    def take(self, step: Step, person: Person) -> Got:
        event = self.event(step, person)
        ask, lines = None, list[tuple[int, ...]]()
        if step.deed != "event":
            event["kind"] = CLAIMS[step.deed]
            ask, lines = self.ask(step, person)
        got = self.booth.do(self.now, person.number, event, self.origin(step.origin), ask, lines)
        if got.decision["reason"] == Reason.SHOWN:
            person.latest = int(got.decision["campaign"])
            person.shown[person.latest] = int(got.decision["exposure"])
        if step.order is not None:
            person.costs[person.orders] = int(got.receipt["paid"])
        if step.claim is not None and got.answer is Answer.DONE:
            person.coupons[self.names.number("coupon", step.claim)] = int(got.receipt["number"])
        return got

    def event(self, step: Step, person: Person) -> dict[str, int]:
        """What an event says; a page that is looked at goes on being looked at."""
        amount = step.amount if step.pay is None or step.amount is not None else person.costs.get(step.pay)
        said: dict[str, int] = {"amount": amount or 0, "dwell_ms": step.lasting or 0}
        if step.event is not None:
            said["kind"] = EventKind[step.event.upper()]
        if step.event == "page_view":
            person.page, person.page_view = self.names.number("page", step.page), person.page_view + 1
        page = person.page if step.page is None else self.names.number("page", step.page)
        if step.event in ("page_view", "page_dwell", "page_leave") or step.page is not None:
            said |= {"page": page, "page_view": person.page_view}
        if step.event in REACTIONS:
            campaign = person.latest if step.of is None else self.names.number("campaign", step.of)
            if campaign not in person.shown:
                raise Unplayable(f"there is no message that {step.event} could be about")
            said |= {"campaign": campaign, "exposure": person.shown[campaign], "page_view": person.page_view}
        said["city"] = self.names.number("city", step.city)
        said["channel"] = NONE if step.channel is None else Channel[step.channel.upper()]
        said["moment"] = self.names.number("moment", step.moment)
        if step.moment is not None and (self.now, said["moment"]) not in self.compiled.moments:
            raise Unplayable(f"the calendar makes no {step.moment} then")
        return said

    def ask(self, step: Step, person: Person) -> tuple[dict[str, int], list[tuple[int, ...]]]:
        ask = {"shipping": step.shipping, "place": self.names.number("place", step.place)}
        cart: list[CartLine] = step.quote or step.order or []
        if step.claim is not None:
            ask |= {
                "coupon": self.names.number("coupon", step.claim),
                "campaign": self.names.number("campaign", step.of),
            }
        if step.redeem is not None:
            slot = self.names.number("coupon", step.redeem)
            if slot not in person.coupons:
                raise Unplayable(f"there is no {step.redeem} to redeem")
            ask["claim"] = person.coupons[slot]
        if cart:
            ask["first_line"] = 0
        if step.order is not None:
            person.orders += 1
            ask["order"] = person.orders
        for number in (step.pay, step.cancel, step.refund):
            if number is not None:
                ask["order"] = number
        if step.line is not None:
            ask |= {"first_line": step.line - 1, "pieces": step.pieces or 0}
        return ask, [self.line(line) for line in cart]

    def line(self, line: CartLine) -> tuple[int, ...]:
        kinds = (self.names.number(kind, getattr(line, kind)) for kind in ("category", "brand", "product"))
        return line.price, line.pieces, *kinds

    def origin(self, said: From) -> dict[str, int]:
        found = {f"{name}_id" if name == "device" else name: self.names.thing(name, getattr(said, name))
                 for name in ("device", "card", "address", "code")}  # fmt: skip
        ip = NONE if said.ip is None else int(IPv4Address(said.ip))
        return found | {"ip": ip, "agent": Agent[said.agent.upper()] if said.agent else 0}

    # --- held against the row -----------------------------------------------------------------------------------------
    def unlike(self, step: Step, got: Got) -> Iterator[str]:
        if step.shows is not None and (message := self.message(got, step)) != step.shows:
            yield f"must show {step.shows} (showed {message}{self.because(step, got)})"
        for name in (name for name in Looks.model_fields if name in step.looks.model_fields_set):
            want, had = getattr(step.looks, name), self.look(step, got).get(name)
            if want != had:
                what = "a coupon" if step.claim else "a message"
                yield f"must show {what} with {name}: {as_written(want)} (got {as_written(had)})"
        if step.segment is not None and (segment := self.segment(got)) != step.segment:
            yield f"must be by a customer of segment {step.segment} (got {segment})"
        for campaign, reason in step.refuses.items():
            ended = self.end_of(self.names.number("campaign", campaign), got)
            if ended != reason:
                yield f"must refuse {campaign} for {reason} (got {ended})"
        if step.credits is not None and (credited := self.credited(got)) != step.credits:
            yield f"must credit {step.credits} (credited {credited})"
        yield from self.answered_otherwise(step, got)

    def answered_otherwise(self, step: Step, got: Got) -> Iterator[str]:
        if step.answers is not None and got.answer is not ANSWERS[step.answers]:
            yield f"must answer {step.answers} (answered {got.answer.name.lower()}{self.by_rule(got)})"
        if step.rule is not None and (rule := self.names.rules.get(got.rule)) != step.rule:
            yield f"must be answered by fraud rule {step.rule} (got {rule or 'no rule'})"
        for budget, fen in step.charges.items():
            slot = self.compiled.budgets.get(budget)
            had = 0 if slot is None else int(got.charged[slot])
            if had != fen:
                yield f"must charge {yuan_text(fen)} to {budget} (charged {yuan_text(had)})"
        for name, column in (("pays", "paid"), ("saves", "discount"), ("returns", "paid")):
            want, had = getattr(step, name), int(got.receipt[column])
            if want is not None and want != had:
                yield f"must have {name}: {yuan_text(want)} (got {yuan_text(had)})"
        if step.uses is not None and set(step.uses) != (used := self.used(got)):
            yield f"must use {' and '.join(step.uses) or 'no coupon'} (used {' and '.join(sorted(used)) or 'none'})"

    def message(self, got: Got, step: Step) -> str:
        """What was shown, as the row says it: with its arm where it asks for one."""
        if got.decision["reason"] != Reason.SHOWN:
            return NOTHING
        name = self.names.campaign(int(got.decision["campaign"]))
        arm = self.names.arm(name, int(got.decision["arm"])) if step.shows and "/" in step.shows else ""
        return f"{name}/{arm}" if arm else name

    def look(self, step: Step, got: Got) -> dict[str, Any]:
        """Of the coupon that is claimed, or the message that was shown; nothing without one."""
        if step.claim is not None:
            return {"urgency": self.names.policy.coupons[step.claim].urgency}
        if got.decision["reason"] != Reason.SHOWN:
            return {}
        campaign = self.names.policy.campaigns[self.names.campaign(int(got.decision["campaign"]))]
        creative = campaign.arms[int(got.decision["arm"])].creative if campaign.arms else campaign.creative
        assert creative is not None
        close = creative.close
        is_plain = close is not None and close.visible and close.taps == 1 and close.countdown == 0
        return creative.model_dump() | {
            "channel": campaign.channel,
            "close": is_plain,
            "coupon": campaign.coupon,
            "reward": campaign.reward,
        }

    def segment(self, got: Got) -> str:
        number = int(self.booth.shard.segments(self.now)[int(got.decision["customer"])])
        return [*self.names.policy.segments, "other"][number]

    def credited(self, got: Got) -> str:
        slot = int(got.decision["credited"])
        return NOTHING if slot == NONE else self.names.campaign(slot)

    def because(self, step: Step, got: Got) -> str:
        """Why what was wanted was not shown."""
        wanted = (step.shows or "").partition("/")[0]
        ended = self.end_of(self.names.campaigns.get(wanted, NONE), got) if wanted != NOTHING else "shown"
        return "" if ended == "shown" else f"; {wanted}: {ended}"

    def end_of(self, slot: int, got: Got) -> str:
        if got.decision["reason"] == Reason.SHOWN and int(got.decision["campaign"]) == slot:
            return "shown"
        return got.refused.get(slot, Reason.NO_CANDIDATE).name.lower()

    def by_rule(self, got: Got) -> str:
        rule = self.names.rules.get(got.rule)
        return f", by {rule}" if rule and got.answer in (Answer.DENIED, Answer.CHALLENGED, Answer.IN_REVIEW) else ""

    def used(self, got: Got) -> set[str]:
        slots = int(got.receipt["slots"])
        return {name for name, slot in self.compiled.coupons.items() if slots >> slot & 1}


def as_written(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else "nothing" if value is None else str(value)
