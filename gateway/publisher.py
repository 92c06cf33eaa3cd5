"""Publishes policies: two persons, stages, guardrails. Hosts are told step by step, and say when it is done.

`receive(message, now)` as hosts; it is the operator whom they answer.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Protocol
from zoneinfo import ZoneInfo

from engine.coupon_records import Answer
from engine.host.editions import Editions, Running, day_of, shared_changes, unfit
from engine.host.machines import RUN
from engine.host.messages import Envelope, Message, Order, Ordered, Tick
from engine.policy.document import Policy
from engine.policy.findings import Finding
from engine.policy.lint import lint
from engine.policy.tables import CompiledPolicy
from engine.policy.yaml_source import load_text
from engine.records import DAY_MS, SHARE_ONE, EventKind
from gateway.blocks import Outcome
from gateway.guardrails import BREAKS_AT, HOLDS_BACK_AT, Counts, Guardrails
from gateway.publications import Ledger, Publication, PublishingError, State, read, write
from gateway.speaking import Speaking, Words

AGAIN_MS = 1_000  # until hosts that did not say that they are done are told again
KEEP_MS = 5_000  # between two writings of what a trial counts
DAYS_LEFT, DAYS_AHEAD = timedelta(days=90), timedelta(days=400)
SECOND_PERSON = "another person than {} must approve it"


class Log(Protocol):
    def __call__(self, event: str, **told: object) -> None: ...


@dataclass(frozen=True)
class Proposal:
    """What somebody wants to publish."""

    text: str
    by: str
    stages: Sequence[int]  # shares in millionths
    hold_ms: int
    least_shown: int
    guardrails: Guardrails


class Publisher:
    """One folder's. Everything that hosts are told is on the disk before."""

    def __init__(
        self,
        folder: Path,
        begun: CompiledPolicy,
        seats: Sequence[str],
        customers: int,
        clock: Callable[[], int],
        log: Log,
    ) -> None:
        """clock: ms since 1970. Raises PublishingError."""
        self.folder, self.begun, self.seats, self.customers = folder, begun, list(seats), customers
        self.clock, self.log = clock, log
        self.kept = read(folder) or Ledger(Editions(begun).state())
        self.editions = self._restored(self.kept.editions)
        settled = self.kept.orders - (1 if self.kept.steps else 0)
        self.speaking = Speaking(settled, Words.of(self.editions, customers))
        self._done: set[str] = set()  # seats that have carried out the order
        self._next: Editions | None = None  # what hosts decide by once they have
        self._told_ms = -AGAIN_MS
        self._written_ms = 0
        self._prepare()

    # --- persons ------------------------------------------------------------------------------------------------------
    def propose(self, proposal: Proposal) -> Publication:
        """One that was checked."""
        number = len(self.kept.publications) + 1
        publication = Publication(
            number, proposal.text, proposal.by, self.clock(), list(proposal.stages), proposal.hold_ms,
            proposal.least_shown, proposal.guardrails,
        )  # fmt: skip
        self.kept.publications.append(publication)
        self._write()
        return publication

    def may_approve(self, number: int, by: str) -> Publication:
        """Raises UnknownPublicationError, PublishingError."""
        publication = self._in(number, State.PROPOSED)
        if by == publication.by:
            raise PublishingError(SECOND_PERSON.format(by))
        if self.kept.on_trial is not None:
            raise PublishingError(f"publication {self.kept.on_trial.number} is on trial: one at a time")
        return publication

    def approve(self, number: int, by: str) -> Publication:
        """Begin the first stage of one that was checked against what decides now. Raises as `may_approve`."""
        publication = self.may_approve(number, by)
        publication.approved_by, publication.state = by, State.ON_TRIAL
        self._plan(Running(self.kept.running, publication.text, 0, publication.salt, self.kept.until))
        return self._advance(publication)

    def advance(self, number: int) -> Publication:
        """Its next stage. Raises UnknownPublicationError, PublishingError where it is not to go on yet."""
        publication = self._in(number, State.ON_TRIAL)
        reasons = self.held_back_by(publication)
        if reasons:
            raise PublishingError(*reasons)
        return self._advance(publication)

    def roll_back(self, number: int, why: str) -> Publication:
        """Everybody has what they had before. Raises UnknownPublicationError, PublishingError."""
        publication, trial = self.kept.of(number), self.kept.on_trial
        if publication.state is State.PUBLISHED:
            if trial is not None:
                raise PublishingError(f"publication {trial.number} is on trial: roll that back first")
            self.kept.published.pop()
            if self.kept.published:
                self.kept.of(self.kept.published[-1]).state = State.PUBLISHED
            before = self.kept.running
            self._plan(
                Running(publication.text, before, 0, publication.salt, self.kept.until),
                Running(before, until=self.kept.until),
            )
        elif publication.state is State.ON_TRIAL:
            self._plan(Running(self.kept.running, until=self.kept.until))
        else:
            raise PublishingError(f"publication {number} is {publication.state.value}: there is nothing to roll back")
        publication.state, publication.why = State.ROLLED_BACK, why
        self._write()
        self.log("policy rolled back", publication=number, why=why)
        return publication

    def withdraw(self, number: int) -> Publication:
        """Raises UnknownPublicationError, PublishingError."""
        publication = self._in(number, State.PROPOSED)
        publication.state = State.WITHDRAWN
        self._write()
        return publication

    def held_back_by(self, publication: Publication) -> list[str]:
        """Why a trial is not to have more customers yet."""
        if self.kept.steps:
            return ["hosts are still being told of its present stage"]
        reasons, counts = [], publication.counts
        left_ms = publication.since_ms + publication.hold_ms - self.clock()
        if left_ms > 0:
            reasons.append(f"its present stage is held for another {-(-left_ms // 1_000):,} s")
        if counts.tried.shown < publication.least_shown:
            reasons.append(f"at least {publication.least_shown:,} messages of it must be shown in its present stage "
                           f"(got {counts.tried.shown:,})")  # fmt: skip
        return reasons + publication.guardrails.exceeded(counts, HOLDS_BACK_AT)

    # --- what is seen of a trial --------------------------------------------------------------------------------------
    def watch(self, outcome: Outcome) -> None:
        """What shards decided while a policy is on trial."""
        publication, words = self.kept.on_trial, self.speaking.present
        if publication is None or words.chosen is None or not len(outcome.decisions):
            return
        decisions, counts = outcome.decisions, publication.counts
        on_trial = words.chosen[decisions["customer"]]
        counts.take(decisions, on_trial)
        if len(outcome.receipts) == 1 == len(decisions) and decisions["kind"][0] == EventKind.ORDER:
            (receipt,) = outcome.receipts
            if receipt["answer"] == Answer.DONE:
                counts.take_order(int(receipt["discount"]), bool(on_trial[0]))
        exceeded = publication.guardrails.exceeded(publication.counts, BREAKS_AT)
        if exceeded and publication.counts.tried.shown >= publication.least_shown:
            self.roll_back(publication.number, "; ".join(exceeded))

    @property
    def calendar_ends_ms(self) -> int:
        """From then on days are counted no more; it is made longer in time."""
        return int(self.editions.base.tables.days["start_ms"][-1]) + DAY_MS

    # --- hosts --------------------------------------------------------------------------------------------------------
    def receive(self, message: Message, now: int) -> list[Envelope]:
        if isinstance(message, Ordered):
            if message.number == self.kept.orders and self.kept.steps:
                self._done.add(message.seat)
                if self._done >= set(self.seats):
                    self._carried_out()
                    return self._orders(now)
        elif isinstance(message, Tick):
            self._keep_counts()
            self._extend_calendar()
            if now - self._told_ms >= AGAIN_MS:
                return self._orders(now)
        return []

    @property
    def is_told(self) -> bool:
        """Hosts have done all they were to do."""
        return not self.kept.steps

    def _orders(self, now: int) -> list[Envelope]:
        """To those that have not said that they are done."""
        running = self.kept.order
        if running is None:
            return []
        self._told_ms = now
        order = Order(self.kept.orders, RUN, tuple(vars(running).values()))
        return [Envelope(seat, order) for seat in self.seats if seat not in self._done]

    def _plan(self, *steps: Running) -> None:
        idle = self.is_told
        self.kept.plan(*steps)
        if idle:
            self._prepare()

    def _prepare(self) -> None:
        """From now on a host may decide by what they are told."""
        self._done, self._told_ms, running = set(), -AGAIN_MS, self.kept.order
        if running is not None:
            self._next = self._restored(self.editions.state())
            self._next.run(running)
            self.speaking.prepare(self.kept.orders, Words.of(self._next, self.customers))

    def _carried_out(self) -> None:
        assert self._next is not None
        self.editions, self._next = self._next, None
        self.speaking.settle(self.kept.orders)
        self.kept.carried_out(self.editions.state())
        self._prepare()
        self._write()
        self.log("policies changed", order=self.kept.orders, share=self.editions.running.share / SHARE_ONE)

    # --- parts --------------------------------------------------------------------------------------------------------
    def _restored(self, state: str) -> Editions:
        editions = Editions(self.begun)
        editions.restore(state)
        return editions

    def _in(self, number: int, state: State) -> Publication:
        publication = self.kept.of(number)
        if publication.state is not state:
            raise PublishingError(f"publication {number} must be {state.value} (got {publication.state.value})")
        return publication

    def _advance(self, publication: Publication) -> Publication:
        publication.stage += 1
        publication.since_ms, publication.counts = self.clock(), Counts()
        if publication.share < SHARE_ONE:
            self._plan(
                Running(self.kept.running, publication.text, publication.share, publication.salt, self.kept.until)
            )
        else:
            if self.kept.published:
                self.kept.of(self.kept.published[-1]).state = State.REPLACED
            publication.state = State.PUBLISHED
            self.kept.published.append(publication.number)
            self._plan(Running(publication.text, until=self.kept.until))
        self._write()
        self.log("policy published", publication=publication.number, share=publication.share / SHARE_ONE)
        return publication

    def check(self, text: str, stages: Sequence[int]) -> list[Finding]:
        """Whether a policy can follow the one that decides now; what lint says of it. May run in another thread: takes
        a second. Raises DocumentError with the policy's problems, PublishingError with why it cannot follow."""
        policy, before = load_text(text, "policy", Policy), self.editions.base
        reasons = unfit(before.policy, policy)
        if reasons:
            raise PublishingError(*reasons)
        trial = self._restored(self.editions.state())
        try:
            trial.run(Running(self.kept.running, text, 0, "", self.kept.until))
        except OverflowError as error:
            raise PublishingError(str(error)) from None
        assert trial.trial is not None
        shared = shared_changes(trial.base, trial.trial)
        if shared and stages[0] < SHARE_ONE:
            raise PublishingError(
                f"what all customers share cannot be tried on some of them: {', '.join(shared)}; new names may come, "
                "or publish it to everybody at once (stages: 100%)"
            )
        found = lint(policy, trial.trial)
        errors = [f"{one.sentence}: {one.advice}" for one in found if one.severity == "error"]
        if errors:
            raise PublishingError(*errors)
        return found

    def _write(self) -> None:
        self._written_ms = self.clock()
        write(self.folder, self.kept)

    def _extend_calendar(self) -> None:
        """Days that policies look up are made in time."""
        today = datetime.fromtimestamp(self.clock() / 1_000, ZoneInfo(self.begun.policy.time_zone)).date()
        last = day_of(int(self.editions.base.tables.days["date"][-1]))
        if self.kept.steps or last - today >= DAYS_LEFT:
            return
        self.kept.until = (today + DAYS_AHEAD).isoformat()
        self._plan(replace(self.editions.running, until=self.kept.until))
        self._write()
        self.log("calendar extended", until=self.kept.until)

    def _keep_counts(self) -> None:
        if self.kept.on_trial is not None and self.clock() - self._written_ms >= KEEP_MS:
            self._write()
