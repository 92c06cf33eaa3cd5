"""Outcomes to bodies: what a caller is told of one customer, as far as its role may know."""

from collections.abc import Callable

import numpy as np

from engine.coupon_records import Answer
from engine.policy.quantities import yuan_text
from engine.records import NONE, Channel, Reason
from gateway.blocks import Outcome
from gateway.bodies import Decision, Granted, Quote, Shown
from gateway.dictionary import Dictionary


class Answering:
    """Speaks of one policy. Outcomes are of one event each."""

    def __init__(self, dictionary: Dictionary) -> None:
        self.dictionary = dictionary
        self.counted: Callable[[str, str], object] = lambda kind, name: None  # outcomes that callers are told

    def decision(self, outcome: Outcome, customer: str, tells_why: bool) -> Decision:
        row = outcome.decisions[0]
        reason = Reason(row["reason"])
        self.counted("decision", reason.name.lower())
        return Decision(
            customer=customer,
            time_ms=int(row["time_ms"]),
            show=self._shown(row) if reason is Reason.SHOWN else None,
            late=bool(row["late"]),
            reason=reason.name.lower() if tells_why else None,
        )

    def _shown(self, row: np.void) -> Shown:
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

    def granted(self, outcome: Outcome, customer: str, coupon: str) -> Granted:
        """What became of a claim; what the Ledger was asked is what it replied."""
        receipt, reply = outcome.receipts[0], self._reply(outcome)
        answer = Answer(receipt["answer"] if reply is None else reply["answer"])
        self.counted("claim", answer.name.lower())
        told = Granted(customer=customer, time_ms=int(outcome.decisions["time_ms"][0]), answer=answer.name.lower())
        if answer in (Answer.DONE, Answer.FALLBACK):
            told.number = int(receipt["number"])
            told.coupon = coupon if answer is Answer.DONE else None
        if reply is not None and answer is Answer.FALLBACK:
            told.coupon = self.dictionary.coupons[int(reply["coupon"])]
        return told

    def _reply(self, outcome: Outcome) -> np.void | None:
        """The Ledger's, to an ask that waited for it."""
        receipt = outcome.receipts[0]
        if receipt["answer"] != Answer.PENDING:
            return None
        mine = outcome.replies[(outcome.replies["claim"] == receipt["number"]) & (outcome.replies["number"] != NONE)]
        return mine[0] if len(mine) else None

    def quote(self, outcome: Outcome, customer: str, order: int | None) -> Quote:
        """A cart that was not priced has no price."""
        receipt, known = outcome.receipts[0], self.dictionary.coupons
        told = Quote(
            customer=customer, time_ms=int(outcome.decisions["time_ms"][0]),
            answer=Answer(receipt["answer"]).name.lower(), coupons=[], order=order,
        )  # fmt: skip
        self.counted("checkout", told.answer)
        if receipt["answer"] == Answer.DONE:
            told.paid, told.discount = yuan_text(int(receipt["paid"])), yuan_text(int(receipt["discount"]))
            told.coupons = [name for slot, name in known.items() if int(receipt["slots"]) >> slot & 1]
            if (more := int(receipt["unlock_missing"])) > 0:
                told.add, told.saves = yuan_text(more), yuan_text(int(receipt["unlock_saves"]))
        return told
