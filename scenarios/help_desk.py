"""The support desk beside a world: contacts of all workers and reviews go in, decisions come out as requests."""

from collections.abc import Iterator, Sequence
from typing import Protocol

import numpy as np

from engine.coupon_records import REQUEST, Answer, RequestKind
from engine.fraud_records import Verdict
from engine.host.messages import Settled
from engine.records import NONE, records
from scenarios.adversaries_build import crew_plans
from scenarios.support_build import desk_plan
from scenarios.worker import RunPlan
from sim.adversaries.underworld import kinds_of
from sim.contacts import Cause
from sim.desk import SupportDesk
from sim.desk_book import Case, Contact, DeskBook
from sim.origin_model import FRAUD

NO_REQUESTS = records(0, REQUEST)
OWN_NUMBERS = 1 << 30  # its requests are numbered from here on, above all that shards ask in a customer's name
_NOBODY = ("other", "terms", "coupon", "campaign", "rule", "device_id", "ip", "card", "address", "code", "inviter",
           "group")  # fmt: skip


class HelpDesk:
    """Open from launch on. customers: 0 … customers - 1; the accounts of adversaries come after them."""

    def __init__(self, plan: RunPlan, customers: int) -> None:
        support = plan.population.support
        assert support is not None
        self.plan = desk_plan(support, plan.spans, (plan.seed, plan.replication))
        self.desk = SupportDesk(self.plan)
        self.contacts: list[Contact] = []  # as they came, repeated ones not among them
        self._allows_ms, self._asked = support.reviewers.allows, 0
        self._customers, self._kinds = customers, kinds_of(crew_plans(plan.population.adversaries))

    @property
    def book(self) -> DeskBook:
        return self.desk.book

    def live(self, contacts: Sequence[np.ndarray], until_ms: int) -> np.ndarray:
        """Serve up to a settlement: CONTACT[n] of each worker in, what persons decided meanwhile out, REQUEST[m]."""
        if until_ms <= self.plan.day_ms:
            return NO_REQUESTS
        came = sorted(self._read(contacts), key=lambda contact: (contact.time_ms, contact.customer, contact.cause))
        self.contacts += came
        self.desk.take(came)
        return self.requests(self.desk.live(until_ms))

    def hear(self, settled: Sequence[Settled | None], since_ms: int, until_ms: int) -> None:
        """What a settlement put under review, at since_ms at the earliest."""
        if until_ms <= self.plan.day_ms:
            return
        found = [
            (int(reply["customer"]), int(reply["claim"]))
            for one in settled
            if one is not None and len(one.replies)
            for reply in one.replies[one.replies["answer"] == Answer.IN_REVIEW]
        ]
        for customer, claim in sorted(found):
            self.desk.review(since_ms, customer, claim, self._is_fraud(customer))

    def _read(self, contacts: Sequence[np.ndarray]) -> Iterator[Contact]:
        for table in contacts:
            for row in table:
                customer = int(row["customer"])
                yield Contact(
                    int(row["time_ms"]), Cause(int(row["cause"])), customer, int(row["trouble_ms"]),
                    fraud=self._is_fraud(customer),
                )  # fmt: skip

    def _is_fraud(self, customer: int) -> bool:
        return customer >= self._customers and int(self._kinds[customer - self._customers]) in FRAUD

    def requests(self, decided: Sequence[Case]) -> np.ndarray:
        """What the Ledger is asked: to end a review, or to let whoever was right be. REQUEST[n]"""
        wanted = [case for case in decided if case.claim != NONE or case.upheld]
        if not wanted:
            return NO_REQUESTS
        rows = records(len(wanted), REQUEST)
        for name in _NOBODY:
            rows[name] = NONE
        for row, case in zip(rows, wanted, strict=True):
            assert case.decided_ms is not None
            row.time_ms, row.customer, row.claim = case.decided_ms, case.customer, case.claim
            row.verdict = Verdict.ALLOW if case.upheld else Verdict.DENY
            row.kind, row.number = RequestKind.REVIEWED, OWN_NUMBERS + self._asked
            if case.claim == NONE:
                row.kind, row.other = RequestKind.LISTED, case.customer
                row.expires_ms = case.decided_ms + self._allows_ms
            self._asked += 1
        return rows


class Workers(Protocol):
    """Customers who share nothing: nobody settles."""

    def advance(self, since_ms: int, until_ms: int) -> list[np.ndarray]: ...

    def moment(self, t: int, moment: int) -> None: ...

    def rush(self, slot: int, t: int) -> None: ...

    def launch(self) -> None: ...

    def end_campaign(self) -> None: ...


class Helped:
    """The same with the desk beside them. What persons decide there changes nothing."""

    def __init__(self, workers: Workers, desk: HelpDesk) -> None:
        self._workers, self._desk = workers, desk
        self.moment, self.rush = workers.moment, workers.rush
        self.launch, self.end_campaign = workers.launch, workers.end_campaign

    def advance(self, since_ms: int, until_ms: int) -> None:
        self._desk.live(self._workers.advance(since_ms, until_ms), until_ms)


def help_desk(plan: RunPlan, customers: int) -> HelpDesk | None:
    """The desk of a plan's population, where it has one."""
    return HelpDesk(plan, customers) if plan.population.support is not None else None


def helped(workers: Workers, desk: HelpDesk | None) -> Helped | Workers:
    return workers if desk is None else Helped(workers, desk)
