"""Small shops whose customers come from somewhere, and an engine that refuses some of what they ask."""

from dataclasses import dataclass, field

import numpy as np

from engine.coupon_records import ASK, REPLY, Answer, Inbox, RequestKind
from engine.fraud_records import ORIGIN
from engine.records import EVENT, NONE, EventKind, records
from scenarios.lone_world import LoneWorld
from scenarios.worker import RunPlan
from sim.waves import waves_of
from tests.sim.shop_worlds import EAGER, library_plan

ORIGINS = """{
  groups: {
    family: {share: 30%, people: 3, device: 25%}, dormitory: {share: 12%, people: 30}, office: {share: 12%, people: 20},
    shared_tablet: {share: 6%, people: 3}, frequent_flyer: {share: 10%, away: 50%, trip: 2d},
    bargain_hunter: {share: 5%, since: 10d}
  },
  mobile: {share: 40%, behind: 20}, second_device: {share: 30%, used: 30%}, second_card: 30%,
  browser: 20%, other_address: 10%, invited: 30%, log_in_fails: {share: 5%, again: 40%},
  declined: {share: 6%, again: 40%}, challenge: {passes: 80%}, appeals: 50%
}"""


def traced_plan(customers: int, before: int, days: int, after: int, further: dict[str, str] | None = None) -> RunPlan:
    changes = {**EAGER, "population.origins": ORIGINS, "population.customers.joined_within": "60d", **(further or {})}
    return library_plan("winback", customers, before, days, after, changes)


@dataclass
class Kept:
    """Events with their origins and asks, as they were decided."""

    events: list[np.ndarray] = field(default_factory=list)
    origins: list[np.ndarray] = field(default_factory=list)  # row by row with events; zeros where there is none
    asks: list[np.ndarray] = field(default_factory=list)

    def keep(self, events: np.ndarray, inbox: Inbox) -> None:
        origins, asks = records(len(events), ORIGIN), records(len(events), ASK)
        for rows, source, into in ((events["origin"], inbox.origins, origins), (events["ask"], inbox.asks, asks)):
            into[rows != NONE] = source[rows[rows != NONE]]
        self.events.append(events.copy())
        self.origins.append(origins)
        self.asks.append(asks)

    def tables(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        return (
            np.concatenate(self.events or [records(0, EVENT)]),
            np.concatenate(self.origins or [records(0, ORIGIN)]),
            np.concatenate(self.asks or [records(0, ASK)]),
        )


RULE = 7


def refusal(customer: int, number: int) -> int:
    """What the stubborn engine says of one ask: every fourth is challenged, every fifteenth denied."""
    mixed = (customer * 2_654_435_761 + number * 40_503) >> 4
    if mixed % 15 == 0:
        return int(Answer.DENIED)
    return int(Answer.CHALLENGED) if mixed % 4 == 0 else int(Answer.NONE)


class StubbornWorld(LoneWorld):
    """A world in which asks and claims are refused by a fixed pattern, beside what the engine says."""

    def __init__(self, plan: RunPlan, customers: int, stubborn: bool = True) -> None:
        super().__init__(plan, customers)
        self.kept, self.stubborn = Kept(), stubborn
        self.worker._choose_play = lambda: None  # type: ignore[method-assign]
        self.worker.play = waves_of(self.decide)
        apply = self.worker.cohort.apply
        self.worker.cohort.apply = lambda replies, t: apply(self.refused(replies), t)  # type: ignore[method-assign]

    def decide(self, events: np.ndarray, inbox: Inbox | None = None) -> tuple[np.ndarray, np.ndarray]:
        assert inbox is not None
        self.kept.keep(events, inbox)
        said = [refusal(int(event["customer"]), int(event["sequence"])) for event in events]
        said = np.array(said) * (events["kind"] == EventKind.ORDER) * self.stubborn
        put = events.copy()
        put["kind"][said > 0] = EventKind.CHECKOUT  # an order that is refused holds nothing
        decisions, ghosts = self.worker.shard.decide(put, inbox)
        for row in np.flatnonzero((said > 0) & (decisions["answer"] != Answer.WAITS)):
            receipt = inbox.receipts[events["ask"][row]]
            receipt.answer, receipt.rule = said[row], RULE
        return decisions, ghosts

    def refused(self, replies: np.ndarray) -> np.ndarray:
        """Replies as the customers hear them: some grants are refused, reviewed or weaker."""
        told = replies.copy()
        assert told.dtype == REPLY
        for reply in told if self.stubborn else ():
            if reply["kind"] == RequestKind.CLAIM and reply["answer"] == Answer.DONE:
                said = refusal(int(reply["customer"]), int(reply["claim"]))
                reply["answer"], reply["rule"] = (said, RULE) if said else (Answer.DONE, NONE)
        return told
