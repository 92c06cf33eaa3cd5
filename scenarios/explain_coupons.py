"""One customer's coupons in a recorded run: claims, prices, payments, refunds, transfers and what ran out, in words.

The reference engine takes the recorded events again, with the replies that the Ledger gave this customer then; what it
answers must be what was recorded.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from engine.coupon_records import Answer, CheckoutReason, Life, OrderState, RequestKind
from engine.policy.coupon import Coupon
from engine.policy.document import Policy
from engine.policy.quantities import yuan_text
from engine.policy.tables import CompiledPolicy
from engine.records import NONE, EventKind
from engine.reference import Answer as Decided
from engine.reference import Reference
from engine.reference_checkout import Priced
from engine.reference_terms import Numbers
from engine.reference_wallet import Question, Row, Wallet, Wallets
from results.words import claim_answer
from scenarios.explain_fraud import fraud_told, fraud_words

# Why a coupon is not in a checkout's answer.
NOT_USED = {
    CheckoutReason.NOT_YET_VALID: "not valid yet",
    CheckoutReason.EXPIRED: "expired",
    CheckoutReason.PLACE: "not for this shop",
    CheckoutReason.REGION: "not for this city",
    CheckoutReason.MEMBERS: "for members of another tier",
    CheckoutReason.NO_ITEMS: "nothing in the cart that it is for",
    CheckoutReason.THRESHOLD: "the cart does not reach its threshold",
    CheckoutReason.NO_EFFECT: "nothing left to take off",
    CheckoutReason.NOT_BEST: "other coupons together cost the customer less",
}
GRANTED = (Answer.DONE, Answer.FALLBACK)


@dataclass(frozen=True)
class Note:
    """One thing that happened to a customer's coupons. `coupon` is a name, or nothing where it is about an order."""

    at_ms: int
    what: str
    coupon: str | None = None
    answer: str | None = None
    amounts: dict[str, int] = field(default_factory=dict)  # fen
    numbers: dict[str, int] = field(default_factory=dict)  # claim, order, other customer
    coupons: list[dict[str, Any]] = field(default_factory=list)  # of a checkout: used, or why not
    until_ms: int | None = None
    fraud: dict[str, Any] | None = None  # what fraud rules said: see explain_fraud


class Watched(Wallets):
    """Wallets that remember the latest price, under a policy some of whose coupons are closed to claims."""

    shut: frozenset[str] = frozenset()
    priced: tuple[Priced, list[Row]] | None = None

    def price(self, wallet: Wallet, question: Question, receipt: Row) -> tuple[Priced, list[Row]] | None:
        self.priced = super().price(wallet, question, receipt)
        return self.priced

    def is_open(self, coupon: Coupon, t: int) -> bool:
        closed = any(self.policy.coupons.get(name) is coupon for name in self.shut)
        return not closed and super().is_open(coupon, t)


def numbers_of(compiled: CompiledPolicy) -> Numbers:
    """By which numbers the run's records know a policy's coupons and budgets."""
    terms = {name: int(compiled.tables.coupons[slot].terms) for name, slot in compiled.coupons.items()}
    return Numbers(compiled.coupons, compiled.budgets, terms, compiled.rules)


class Historian:
    """Writes down what the events and replies of one customer do to the wallet."""

    def __init__(self, customer: int, coupons: Mapping[str, int]) -> None:
        self.customer = customer
        self.wallets = Watched()
        self.names = {slot: name for name, slot in coupons.items()}
        self.rules: dict[int, str] = {}
        self.fraud: dict[str, Any] | None = None  # what rules said of the ask or reply at hand
        self.notes: list[Note] = []

    def watch(self, engine: Reference, policy: Policy, compiled: CompiledPolicy, shut: Sequence[str] = ()) -> None:
        """The engine takes up a policy, with this wallet."""
        self.wallets.shut = frozenset(shut)
        self.policy, self.rules = policy, {slot: name for name, slot in compiled.rules.items()}
        engine.wallets = self.wallets
        engine.adopt(policy, compiled.registry.slots, numbers_of(compiled))

    @property
    def wallet(self) -> Wallet:
        return self.wallets.wallet(self.customer)

    # --- time ---------------------------------------------------------------------------------------------------------
    def lapse(self, t: int) -> None:
        """Bring the wallet up to t, and tell what ran out."""
        states = {instance["number"]: instance["state"] for instance in self.wallet["instances"]}
        held = [order for order in self.wallet["orders"] if order["state"] == OrderState.HELD]
        self.wallets.lapse(self.wallet, t)
        for order in held:
            if order["state"] == OrderState.CANCELLED:
                self.tell(t, "order_lapsed", numbers={"order": order["number"]})
        for instance in self.wallet["instances"]:
            was = states.get(instance["number"])
            if was != instance["state"] and instance["state"] == Life.EXPIRED:
                self.tell(min(t, instance["expires"]), "expired", instance)

    # --- events -------------------------------------------------------------------------------------------------------
    def took(self, event: np.record, ask: Any, answer: Decided, claims_before: int) -> None:
        """An event was taken: what it asked for and what came of it."""
        t = int(answer.decision["time_ms"])
        if ask is not None and answer.receipt is not None:
            self.fraud = self.judged(answer.receipt, t)
            self.asked(int(event.kind), ask, answer.receipt, t)
        elif self.wallet["claims"] > claims_before:
            self.tell(t, "given_with_message", self.wallet["instances"][-1])

    def judged(self, said: Row, t: int) -> dict[str, Any] | None:
        """What fraud rules say in a receipt or reply."""
        return fraud_told(self.policy, self.rules, said | {"customer": self.customer}, self.wallets.watch, t)

    def asked(self, kind: int, ask: Any, receipt: Row, t: int) -> None:
        word, order = claim_answer(Answer(receipt["answer"]).name.lower()), {"order": int(ask["order"])}
        if receipt["answer"] == Answer.WAITS:
            return
        if kind == EventKind.CLAIM:
            if receipt["answer"] != Answer.PENDING:
                numbers = {} if receipt["number"] == NONE else {"claim": receipt["number"]}
                what = "claimed_again" if receipt["answer"] in GRANTED else "refused"
                self.notes.append(
                    Note(t, what, self.names.get(int(ask["coupon"])), word, numbers=numbers, fraud=self.fraud)
                )
        elif kind in (EventKind.CHECKOUT, EventKind.ORDER):
            self.price(kind, receipt, t, order, word)
        elif kind == EventKind.PAYMENT:
            if ask["order"] != NONE:
                self.paid(receipt, t, order, word)
        elif receipt["answer"] not in (Answer.DONE, Answer.PENDING):
            self.tell(t, "not_done", answer=word, numbers=order)
        elif kind == EventKind.REFUND:
            self.tell(t, "refunded", amounts={"returned": receipt["paid"]}, numbers=order)
        elif kind == EventKind.CANCEL:
            self.tell(t, "cancelled", numbers=order)
        elif kind in (EventKind.TRANSFER, EventKind.REDEEM):
            what = "passed_on" if kind == EventKind.TRANSFER else "used_by_hand"
            numbers = {"other": int(ask["other"])} if kind == EventKind.TRANSFER else {}
            self.tell(t, what, self.instance(int(ask["claim"])), numbers=numbers)

    def instance(self, number: int) -> Row | None:
        return next((one for one in self.wallet["instances"] if one["number"] == number), None)

    def price(self, kind: int, receipt: Row, t: int, order: dict[str, int], word: str) -> None:
        """A cart was priced: each coupon that was looked at, used or not and why."""
        what = "asked_price" if kind == EventKind.CHECKOUT else "ordered"
        if receipt["answer"] != Answer.DONE or self.wallets.priced is None:
            self.tell(t, "not_done", answer=word, numbers=order)
            return
        priced, mine = self.wallets.priced
        looked_at = [
            {
                "coupon": instance["kept"].name, "used": bool(used), "discount": int(discount) if used else 0,
                "why": "" if used else NOT_USED[CheckoutReason(reason)], "missing": int(missing),
            }
            for instance, used, discount, reason, missing in zip(
                mine, priced.used, priced.discounts, priced.reasons, priced.missing, strict=True
            )
        ]  # fmt: skip
        amounts = {name: int(receipt[name]) for name in ("paid", "discount", "unlock_missing", "unlock_saves")}
        self.tell(t, what, amounts=amounts, numbers=order if kind == EventKind.ORDER else {}, coupons=looked_at)

    def paid(self, receipt: Row, t: int, order: dict[str, int], word: str) -> None:
        if receipt["answer"] != Answer.DONE:
            self.tell(t, "not_done", answer=word, numbers=order)
            return
        used = [one for one in self.wallet["instances"]
                if one["order"] == order["order"] and one["state"] == Life.REDEEMED]  # fmt: skip
        coupons = [{"coupon": one["kept"].name, "used": True, "discount": one["spent"], "why": "", "missing": 0}
                   for one in used]  # fmt: skip
        self.tell(t, "paid", amounts={"paid": receipt["paid"], "discount": receipt["discount"]}, numbers=order,
                  coupons=coupons)  # fmt: skip

    # --- replies ------------------------------------------------------------------------------------------------------
    def heard(self, engine: Reference, reply: Row, t: int) -> None:
        """A reply of the Ledger reaches the customer."""
        kind, granted = reply["kind"], reply["answer"] in GRANTED
        about = None if reply["number"] == NONE else self.instance(reply["claim"])
        before = self.wallet["claims"]
        engine.apply(reply, t)
        self.fraud = self.judged(reply, t)
        word = claim_answer(Answer(reply["answer"]).name.lower())
        if reply["answer"] == Answer.IN_REVIEW:
            self.tell(t, "in_review", about, word)
        elif kind == RequestKind.TRANSFER and reply["number"] == NONE:
            if self.wallet["claims"] > before:
                self.tell(t, "received", self.wallet["instances"][-1], numbers={"other": reply["other"]})
        elif kind == RequestKind.TRANSFER:
            self.tell(t, "arrived" if granted else "came_back", about, word, numbers={"other": reply["other"]})
        elif kind == RequestKind.CONFIRM:
            self.tell(t, "collected" if granted else "not_collected", about, word)
        elif kind in (RequestKind.CLAIM, RequestKind.RESERVE):
            self.tell(t, "granted" if granted else "refused", about, word)

    def tell(self, t: int, what: str, instance: Row | None = None, answer: str | None = None, **more: Any) -> None:
        if instance is not None:
            more["numbers"] = {"claim": instance["number"], **more.get("numbers", {})}
            more["until_ms"] = int(instance["expires"])
        fraud = self.fraud if what in JUDGED_NOTES else None
        self.notes.append(Note(t, what, instance["kept"].name if instance else None, answer, fraud=fraud, **more))


# --- in words ---------------------------------------------------------------------------------------------------------
SENTENCES = {
    "granted": "{coupon} is granted",
    "refused": "{coupon} is refused: {answer}",
    "in_review": "{coupon} is {answer}",
    "claimed_again": "claimed {coupon} once more: it was granted already",
    "given_with_message": "{coupon} comes with the message; it is asked of the stock",
    "asked_price": "asked what the cart costs: {paid} yuan to pay, {discount} off",
    "ordered": "ordered: {paid} yuan to pay, {discount} off; the coupons are held for it",
    "paid": "paid the order: {paid} yuan, {discount} off",
    "order_lapsed": "the order was not paid in time: its coupons are free again",
    "cancelled": "the order is cancelled: its coupons are free again",
    "refunded": "sent something back: {returned} yuan returned",
    "passed_on": "passed {coupon} on",
    "arrived": "{coupon} has arrived there",
    "came_back": "{coupon} came back: {answer}",
    "received": "{coupon} arrived from another customer",
    "used_by_hand": "used {coupon} without a cart",
    "collected": "{coupon} is collected",
    "not_collected": "{coupon} is not collected: {answer}",
    "expired": "{coupon} ran out unused",
    "not_done": "not done: {answer}",
}
WITH_END = ("granted", "received")
JUDGED_NOTES = ("granted", "refused", "in_review", "not_done", "ordered", "paid", "used_by_hand", "passed_on",
                "came_back")  # fmt: skip


def coupon_words(row: Mapping[str, Any], level: str) -> Iterator[str]:
    """One row of the history: a line, and one for each coupon of a checkout."""
    amounts = {name: yuan_text(fen) for name, fen in row["amounts"].items()}
    line = SENTENCES[row["what"]].format(coupon=row["coupon"] or "a coupon", answer=row["answer"], **amounts)
    if row["what"] in WITH_END and row["until"]:
        line += f", valid until {row['until'][:10]} {row['until'][11:19]}"
    if level == "auditor" and row["numbers"]:
        line += f" ({', '.join(f'{name} {number}' for name, number in row['numbers'].items())})"
    yield line
    if row["fraud"]:
        yield f"  {fraud_words(row['fraud'], level)}"
    for coupon in row["coupons"]:
        why = f"used, {yuan_text(coupon['discount'])} off" if coupon["used"] else f"not used: {coupon['why']}"
        missing = f" ({yuan_text(coupon['missing'])} yuan more would do)" if coupon["missing"] else ""
        yield f"  {coupon['coupon']}: {why}{missing}"


def summary(notes: Sequence[Note]) -> str:
    """The coupon part of the first lines."""
    counts = {what: sum(note.what == what for note in notes) for what in ("granted", "refused", "expired")}
    discount = sum(note.amounts["discount"] for note in notes if note.what == "paid")
    return (
        f"{counts['granted']} coupons granted, {counts['refused']} claims refused, {counts['expired']} ran out; "
        f"orders paid with {yuan_text(discount)} yuan off."
    )


# --- for the customer -------------------------------------------------------------------------------------------------
# What a customer is told of a refusal: nothing of suspicions, of others, or of limits that are not their own doing.
CUSTOMER_WORDS = {
    "limit": "you already have as many as one customer may have",
    "wallet_full": "your wallet was full",
    "not_open": "it could not be claimed at that moment",
    "personalisation_off": "it is chosen by what is known of you, and you have personalisation off",
    "not_eligible": "it was meant for customers in another situation",
    "region": "it was meant for customers in another situation",
    "out_of_stock": "all of them had been given out",
    "budget": "all of them had been given out",
    "no_room": "all of them had been given out",
    "blocked": "a rule protects customers, or an account",
    "minor": "a rule protects customers, or an account",
    "denied": "a rule protects customers, or an account",
    "challenged": "we wanted to be sure first that it was you",
    "in_review": "a person looks at it, and you hear within a day",
}
FOR_CUSTOMERS = {
    "granted": "You got {coupon}",
    "refused": "You did not get {coupon}: {why}",
    "in_review": "You have not got {coupon} yet: {why}",
    "not_done": "What you asked for was not done: {why}",
    "received": "You were given {coupon}",
    "paid": "You paid {paid} yuan, {discount} off by coupons",
    "order_lapsed": "Your order was not paid in time; its coupons are yours again",
    "cancelled": "Your order is cancelled; its coupons are yours again",
    "refunded": "{returned} yuan were returned to you",
    "passed_on": "You passed {coupon} on",
    "arrived": "{coupon} has arrived",
    "came_back": "{coupon} came back to you",
    "used_by_hand": "You used {coupon}",
    "collected": "You collected {coupon}",
    "not_collected": "{coupon} was not collected",
    "expired": "{coupon} ran out",
}


def customer_notes(notes: Sequence[Note], texts: Mapping[str, str], at: Any) -> list[str]:
    """A customer's own coupon history, by the texts on the coupons."""
    told = []
    for note in notes:
        sentence = FOR_CUSTOMERS.get(note.what)
        if sentence and (note.what != "not_done" or note.fraud):
            code = next((code for code in CUSTOMER_WORDS if claim_answer(code) == note.answer), None)
            amounts = {name: yuan_text(fen) for name, fen in note.amounts.items()}
            coupon = texts.get(note.coupon or "", "a coupon")
            why = CUSTOMER_WORDS.get(code or "", "ask us")
            told.append(f"{at(note.at_ms)[:10]}  {sentence.format(coupon=coupon, why=why, **amounts)}.")
    return told
