"""Outcomes to bodies: what a caller is told of one customer, as far as its role may know."""

from collections.abc import Callable
from typing import TypeVar

import numpy as np

from engine.coupon_records import Answer
from engine.policy.quantities import yuan_text
from engine.records import NONE, Channel, EventKind, Reason
from gateway.blocks import Outcome
from gateway.bodies import Decision, Granted, Passed, Quote, Redeemed, Refusal, Returned, Shown
from gateway.dictionary import Challenges, Dictionary
from gateway.refusal_book import RefusalBook, Refused
from results.fraud_words import rule_family
from scenarios.explain_fraud import fired_value, threshold

# What a customer may be told: whoever probes learns no rule, no value and no threshold from it.
CATEGORIES = {
    Answer.DENIED: "A rule that protects customers and offers does not allow it.",
    Answer.CHALLENGED: "Show that it is you, then ask again.",
    Answer.IN_REVIEW: "A person looks at it, within a day.",
}
Body = TypeVar("Body", Granted, Quote, Redeemed, Returned)


Counted = Callable[[str, str], object]


def nothing(kind: str, name: str) -> None:
    """Nobody counts."""


class Answering:
    """Speaks of one policy. Outcomes are of one event each. tells_why: to somebody who may know reasons."""

    def __init__(
        self, dictionary: Dictionary, challenges: Challenges, book: RefusalBook, counted: Counted = nothing
    ) -> None:
        """counted: is told of every answer to an ask: of what kind, and which."""
        self.dictionary, self.challenges, self.book, self.counted = dictionary, challenges, book, counted
        policy = dictionary.policy
        self.appeal = policy.fraud.appeal or f"Ask {policy.provider}: a person looks at it."

    def decision(self, outcome: Outcome, customer: str, tells_why: bool) -> Decision:
        row = outcome.decisions[0]
        reason = Reason(row["reason"])
        return Decision(
            customer=customer,
            time_ms=int(row["time_ms"]),
            show=self._shown(row),
            late=bool(row["late"]),
            reason=reason.name.lower() if tells_why else None,
        )

    def granted(self, outcome: Outcome, customer: str, coupon: str, tells_why: bool) -> Granted:
        """What became of a claim; what the Ledger was asked is what it replied."""
        answer, reply = self._answer(outcome), self._reply(outcome)
        self.counted("claim", answer.name.lower())
        told = Granted(customer=customer, time_ms=time_of(outcome), answer=answer.name.lower())
        if answer in (Answer.DONE, Answer.FALLBACK):
            told.number = int(outcome.receipts["number"][0])
            told.coupon = coupon if answer is Answer.DONE else None
        if reply is not None and answer is Answer.FALLBACK:
            told.coupon = self.dictionary.coupons[int(reply["coupon"])]
        return self._beside(told, outcome, tells_why)

    def quote(self, outcome: Outcome, customer: str, order: int | None, tells_why: bool) -> Quote:
        """A cart that was not priced has no price."""
        receipt = outcome.receipts[0]
        self.counted("checkout", self._answer(outcome).name.lower())
        told = Quote(
            customer=customer, time_ms=time_of(outcome), answer=self._answer(outcome).name.lower(), order=order
        )
        if receipt["answer"] == Answer.DONE:
            discount, slots = int(receipt["discount"]), int(receipt["slots"])
            told.paid, told.discount = yuan_text(int(receipt["paid"])), yuan_text(discount)
            if slots or not discount:  # an id remembers the sums, not the coupons
                told.coupons = [name for slot, name in self.dictionary.coupons.items() if slots >> slot & 1]
            if (more := int(receipt["unlock_missing"])) > 0:
                told.add, told.saves = yuan_text(more), yuan_text(int(receipt["unlock_saves"]))
        return self._beside(told, outcome, tells_why)

    def redeemed(self, outcome: Outcome, customer: str, number: int, tells_why: bool) -> Redeemed:
        """Of a coupon that is given away, too: nothing is taken off."""
        answer = self._answer(outcome)
        told = Redeemed(customer=customer, time_ms=time_of(outcome), answer=answer.name.lower(), number=number)
        if answer is Answer.DONE and (discount := int(outcome.receipts["discount"][0])):
            told.discount = yuan_text(discount)
        return self._beside(told, outcome, tells_why)

    def returned(self, outcome: Outcome, customer: str, order: int, refunds: bool) -> Returned:
        answer = self._answer(outcome)
        told = Returned(customer=customer, time_ms=time_of(outcome), answer=answer.name.lower(), order=order)
        if refunds and answer is Answer.DONE:
            told.returned = yuan_text(int(outcome.receipts["paid"][0]))
        told.show = self._shown(outcome.decisions[0])
        return told

    def passed(self, outcome: Outcome, customer: str) -> Passed:
        return Passed(customer=customer, time_ms=time_of(outcome))

    # --- parts --------------------------------------------------------------------------------------------------------
    def _answer(self, outcome: Outcome) -> Answer:
        reply = self._reply(outcome)
        return Answer(outcome.receipts["answer"][0] if reply is None else reply["answer"])

    def _reply(self, outcome: Outcome) -> np.void | None:
        """The Ledger's, to an ask that waited for it."""
        receipt = outcome.receipts[0]
        if receipt["answer"] != Answer.PENDING:
            return None
        mine = outcome.replies[(outcome.replies["claim"] == receipt["number"]) & (outcome.replies["number"] != NONE)]
        return mine[0] if len(mine) else None

    def _beside(self, told: Body, outcome: Outcome, tells_why: bool) -> Body:
        """What any ask may lead to: a refusal by fraud rules, a message."""
        told.show = self._shown(outcome.decisions[0])
        if not isinstance(told, Returned):
            told.refusal = self._refusal(outcome, tells_why)
        return told

    def _refusal(self, outcome: Outcome, tells_why: bool) -> Refusal | None:
        answer, reply = self._answer(outcome), self._reply(outcome)
        if answer not in CATEGORIES:
            return None
        rule = self.challenges.rules.get(int(outcome.receipts["rule"][0] if reply is None else reply["rule"]))
        told = Refusal(category=CATEGORIES[answer], appeal=self.appeal)
        if rule is not None:  # one that is asked for again under its key is not told which rule it was
            self._note(outcome, answer, rule)
            told.challenge = self.challenges.by_rule[rule] if answer is Answer.CHALLENGED else None
            told.family = rule_family(rule) if tells_why else None
        return told

    def _note(self, outcome: Outcome, answer: Answer, rule: str) -> None:
        decision, row = outcome.decisions[0], self.dictionary.policy.fraud.rows()[rule]
        self.book.note(Refused(
            int(decision["customer"]), time_of(outcome), EventKind(decision["kind"]), answer, rule, fired_value(row),
            threshold(row),
        ))  # fmt: skip

    def _shown(self, row: np.void) -> Shown | None:
        if row["reason"] != Reason.SHOWN:
            return None
        campaign = self.dictionary.campaigns[int(row["campaign"])]
        arm, creative = self.dictionary.creative(campaign, int(row["arm"]))
        return Shown(
            campaign=campaign,
            channel=Channel(row["channel"]).name.lower(),
            exposure=int(row["exposure"]),
            arm=arm,
            text=creative.text,
            style=creative.style,
            ad_label=creative.ad_label,
            opt_out=creative.opt_out,
        )


def time_of(outcome: Outcome) -> int:
    return int(outcome.decisions["time_ms"][0])
