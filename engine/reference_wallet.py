"""Wallets once more, naively, from the words of docs/readings.md: the oracle of claims, orders, refunds and gifts.

Plain dicts and lists, one customer at a time; whatever time does is done when a wallet is looked at. It shares only the
records and the parsed document with the fast engine. Section numbers below are the page's.
"""

from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from typing import Any
from zoneinfo import ZoneInfo

from engine.coupon_records import (
    CHECKOUT_COUPONS_MAX,
    EVERYTHING,
    HOLD_MS,
    ID_REMEMBERED_MS,
    IDS_MAX,
    LINES_MAX,
    ORDERS_MAX,
    PIECES_MAX,
    PRICE_MAX,
    RECEIPT,
    REQUEST,
    WALLET_MAX,
    Answer,
    CouponCell,
    CouponKind,
    InstanceMark,
    Life,
    OrderState,
    RequestKind,
    Spend,
)
from engine.fraud_records import JUDGED, Field, Verdict
from engine.policy.coupon import Coupon, Limit
from engine.policy.document import Policy
from engine.records import NEVER_MS, NONE, EventKind
from engine.reference_checkout import Cart, Line, Priced, Terms, best, refunded
from engine.reference_checkout import Coupon as Owned
from engine.reference_fraud import Judged, Sight, Watch
from engine.reference_terms import Kept, Numbers, Reader

UNTRACED = dict.fromkeys(("device_id", "ip", "card", "address", "code", "inviter", "group"), NONE)
REFUSALS = {Verdict.DENY: Answer.DENIED, Verdict.CHALLENGE: Answer.CHALLENGED}
GOING_THERE = (EventKind.CLAIM, EventKind.TRANSFER)  # asks that become requests

Row = dict[str, Any]  # the fields of an EVENT, ASK, RECEIPT, REQUEST or REPLY; an instance, an order, an id
Wallet = dict[str, Any]

ASKING = (
    EventKind.PAYMENT, EventKind.CLAIM, EventKind.CHECKOUT, EventKind.ORDER, EventKind.CANCEL, EventKind.REFUND,
    EventKind.TRANSFER, EventKind.REDEEM,
)  # fmt: skip
NEVER_WAITING = (EventKind.CLAIM, EventKind.CANCEL)
ABOUT_ORDERS = (EventKind.ORDER, EventKind.PAYMENT, EventKind.CANCEL, EventKind.REFUND)
DEAD = (Life.EXPIRED, Life.WITHDRAWN, Life.MOVED)


NOT_JUDGED = Judged()


@dataclass(frozen=True)
class Senses:
    """What wallets read of the engine around them."""

    zone: ZoneInfo
    holds: Callable[[str | None, dict[str, int]], bool]  # a condition, of facts
    is_personal: Callable[[str | None], bool]
    edge_ms: Callable[[int, str, ZoneInfo], int]  # start of the calendar day, week or month
    start_ms: Callable[[Any, ZoneInfo], int]  # of a date
    day: Callable[[int, ZoneInfo], int]  # yyyymmdd


@dataclass(frozen=True)
class Question:
    """An event that asks for something, and whose it is; facts as before the event."""

    event: Row
    ask: Row
    cart: tuple[Line, ...]
    customer: Row
    facts: dict[str, int]
    t: int
    sight: Sight
    judged: Judged = NOT_JUDGED

    @property
    def body(self) -> tuple[Any, ...]:
        """All it asks for but its time. A cart may lie anywhere; the line of a refund counts."""
        names = ("other", "shipping", "pieces", "order", "claim", "coupon", "place", "campaign")
        line = self.ask["first_line"] if self.event["kind"] == EventKind.REFUND else 0
        return self.event["kind"], self.event["amount"], line, *(self.ask[name] for name in names), self.cart


def blank(dtype: Any, **fields: int) -> Row:
    return dict.fromkeys(dtype.names, 0) | fields


def new_receipt() -> Row:
    return blank(RECEIPT, number=NONE, unlock_terms=NONE, optimal=1, rule=NONE)


def new_wallet(customer: int) -> Wallet:
    return {"customer": customer, "instances": [], "orders": [], "ids": [], "claims": 0, "requests": 0, "open": 0}


@dataclass
class Wallets:
    """The wallets of all customers under one policy.

    `requests` are those not yet taken to the Ledger, `spend` what it has not been told; `answers` counts claims by
    (yyyymmdd, coupon slot, Answer), `cohorts` by (yyyymmdd of the claim, coupon slot, CouponCell).
    """

    wallets: dict[int, Wallet] = field(default_factory=dict)
    requests: list[Row] = field(default_factory=list)
    spend: Counter[tuple[int, Spend]] = field(default_factory=Counter)
    answers: Counter[tuple[int, int, Answer]] = field(default_factory=Counter)
    cohorts: Counter[tuple[int, int, CouponCell]] = field(default_factory=Counter)
    groups: dict[str, int] = field(default_factory=dict)  # of coupons, by name
    kept: dict[int, Kept] = field(default_factory=dict)  # by row of terms, of all policies so far
    watch: Watch = field(default_factory=Watch)

    def adopt(self, policy: Policy, numbers: Numbers, senses: Senses) -> None:
        """Take up a policy; what customers have stays as it is."""
        self.policy, self.numbers, self.senses = policy, numbers, senses
        self.names = {slot: name for name, slot in numbers.coupons.items() if name in policy.coupons}
        reader = Reader(policy, numbers, self.groups, lambda day: senses.start_ms(day, senses.zone))
        for declared, (name, coupon) in enumerate(policy.coupons.items()):
            row = numbers.terms[name]
            self.kept.setdefault(row, reader.terms_of(name, coupon, declared, row))

    def wallet(self, customer: int) -> Wallet:
        return self.wallets.setdefault(customer, new_wallet(customer))

    # --- §1 what time does --------------------------------------------------------------------------------------------
    def lapse(self, wallet: Wallet, t: int) -> None:
        """Orders not paid in time give their coupons back, coupons run out, redeemed ones cannot come back."""
        for order in wallet["orders"]:
            if order["state"] == OrderState.HELD and order["held"] + HOLD_MS <= t:
                order["state"] = OrderState.CANCELLED
                self.release(wallet, order, order["held"] + HOLD_MS)
                self.watch.unpaid(wallet["customer"], order["number"], order["held"] + HOLD_MS)
        for instance in wallet["instances"]:
            if instance["expires"] <= t:
                if instance["state"] == Life.AVAILABLE:
                    self.expire(instance)
                elif instance["state"] == Life.REDEEMED:
                    self.close(instance)

    def expire(self, instance: Row) -> None:
        instance["state"] = Life.EXPIRED
        self.tell(instance, Spend.FREED, instance["kept"].cost_most)
        self.count(instance, CouponCell.EXPIRED, 1)

    def close(self, instance: Row) -> None:
        """It cannot come back any more: what the redemption did not use is free."""
        if not instance["closed"]:
            instance["closed"] = True
            self.tell(instance, Spend.FREED, (instance["kept"].cost_most or 0) - instance["spent"])

    def make_available(self, instance: Row, t: int) -> None:
        instance["state"], instance["order"], instance["spent"] = Life.AVAILABLE, NONE, 0
        if instance["expires"] <= t:
            self.expire(instance)

    def release(self, wallet: Wallet, order: Row, t: int) -> None:
        for instance in self.of_order(wallet, order, Life.HELD):
            self.make_available(instance, t)

    def of_order(self, wallet: Wallet, order: Row, state: Life) -> list[Row]:
        """The coupons of an order in a state; closed ones are an earlier order's of the same number."""
        return [i for i in wallet["instances"]
                if i["state"] == state and i["order"] == order["number"] and not i["closed"]]  # fmt: skip

    def redeem(self, instance: Row, discount: int) -> None:
        instance["state"], instance["spent"] = Life.REDEEMED, discount
        self.tell(instance, Spend.REDEEMED, discount)
        self.count(instance, CouponCell.REDEEMED, 1)
        self.count(instance, CouponCell.DISCOUNT, discount)

    def tell(self, instance: Row, what: Spend, amount: int | None) -> None:
        """The Ledger hears of it; of a prize it knows by itself."""
        if instance["kept"].budget is not None and not instance["prize"]:
            self.spend[instance["kept"].budget, what] += amount or 0

    def count(self, instance: Row, cell: CouponCell, amount: int) -> None:
        self.cohorts[self.senses.day(instance["claimed"], self.senses.zone), instance["kept"].slot, cell] += amount

    # --- §2 claims ----------------------------------------------------------------------------------------------------
    def claim(self, slot: int, campaign: int, question: Question) -> Row:
        """A claim's receipt; also of one that an exposure makes for the customer."""
        event, t = question.event, question.t
        receipt, wallet = new_receipt(), self.wallet(event["customer"])
        receipt["answer"] = self.refusal(slot, wallet, question.customer, question.facts, t)
        if receipt["answer"] == Answer.DONE:
            coupon = self.policy.coupons[self.names[slot]]
            kept = self.kept[self.numbers.terms[self.names[slot]]]
            instance = self.new_instance(wallet, kept, t, prize=coupon.confirm_within is not None)
            kind = RequestKind.RESERVE if instance["prize"] else RequestKind.CLAIM
            self.ask_about(instance, kind, event, t, **asked(question) | {"campaign": campaign})
            receipt["answer"], receipt["number"] = Answer.PENDING, instance["number"]
        if slot in self.names:
            self.answers[self.senses.day(t, self.senses.zone), slot, receipt["answer"]] += 1
        return receipt

    def refusal(self, slot: int, wallet: Wallet, customer: Row, facts: dict[str, int], t: int) -> Answer:
        """The first test that fails; DONE if none does."""
        if slot not in self.names:
            return Answer.NOT_OPEN
        coupon = self.policy.coupons[self.names[slot]]
        tests: list[tuple[Answer, Callable[[], bool]]] = [
            (Answer.NOT_OPEN, lambda: not self.is_open(coupon, t)),
            (Answer.BLOCKED, lambda: customer["blocked"]),
            (Answer.MINOR, lambda: facts["age"] < self.policy.adult_age or customer["likely_minor"]),
            (Answer.PERSONALISATION_OFF, lambda: self.is_too_personal(coupon, customer)),
            (Answer.NOT_ELIGIBLE, lambda: not self.senses.holds(coupon.audience, facts)),
            (Answer.LIMIT, lambda: any(self.reaches(wallet, self.names[slot], x, t) for x in limits(coupon))),
            (Answer.WALLET_FULL, lambda: self.is_full(wallet, t)),
        ]
        return next((answer for answer, fails in tests if fails()), Answer.DONE)

    def is_open(self, coupon: Coupon, t: int) -> bool:
        window, zone = coupon.claim, self.senses.zone
        begins = self.senses.start_ms(window.from_, zone) + (window.at or 0) * 60_000 if window.from_ else 0
        ends = self.senses.start_ms(window.until, zone) if window.until else NEVER_MS
        return begins <= t < ends

    def is_too_personal(self, coupon: Coupon, customer: Row) -> bool:
        return bool(customer["personalisation_off"]) and self.senses.is_personal(coupon.audience)

    def reaches(self, wallet: Wallet, name: str, limit: Limit, t: int) -> bool:
        claims = [i for i in wallet["instances"] if i["as"] == name and not i["received"]]
        return sum(self.counts(limit, instance, t) for instance in claims) >= limit.most

    def counts(self, limit: Limit, instance: Row, t: int) -> bool:
        """Whether a claim is in the limit's window."""
        if limit.per is None:
            return True
        if isinstance(limit.per, str):
            return bool(instance["claimed"] >= self.senses.edge_ms(t, limit.per, self.senses.zone))
        return bool(instance["claimed"] > t - limit.per)

    def is_full(self, wallet: Wallet, t: int) -> bool:
        """Looks for room: what is over, counted by no limit and not to come back is forgotten."""
        wallet["instances"] = [instance for instance in wallet["instances"] if self.is_needed(instance, t)]
        return len(wallet["instances"]) >= WALLET_MAX

    def is_needed(self, instance: Row, t: int) -> bool:
        if instance["state"] not in DEAD and not instance["closed"]:
            return True
        coupon = self.policy.coupons.get(instance["as"])
        if instance["received"] or coupon is None:
            return False
        return any(self.counts(limit, instance, t) for limit in limits(coupon))

    def new_instance(self, wallet: Wallet, kept: Kept, t: int, **fields: Any) -> Row:
        instance = {
            "number": wallet["claims"], "kept": kept, "as": kept.name, "claimed": t, "expires": kept.expiry(t),
            "state": Life.PENDING, "order": NONE, "spent": 0, "received": False, "closed": False, "prize": False,
            "weaker": False, "in_review": False, **fields,
        }  # fmt: skip
        wallet["claims"] += 1
        wallet["instances"].append(instance)
        return instance

    def request(self, customer: int, kind: RequestKind, kept: Kept | None, t: int, **fields: int) -> None:
        wallet = self.wallet(customer)
        terms, coupon = (NONE, NONE) if kept is None else (kept.row, kept.slot)
        row = blank(
            REQUEST, time_ms=t, customer=customer, other=NONE, number=wallet["requests"], campaign=NONE, terms=terms,
            coupon=coupon, kind=int(kind), verdict=int(Verdict.ALLOW), rule=NONE, **UNTRACED,
        )  # fmt: skip
        wallet["requests"] += 1
        self.requests.append(row | fields)

    def ask_about(self, instance: Row, kind: RequestKind, event: Row, t: int, **fields: int) -> None:
        about = {"claim": instance["number"], "sequence": event["sequence"], **fields}
        self.request(event["customer"], kind, instance["kept"], t, **about)
        self.wallet(event["customer"])["open"] += 1

    # --- §3 replies ---------------------------------------------------------------------------------------------------
    def hear(self, reply: Row, t: int) -> None:
        """One reply of the Ledger, at its settlement's time."""
        kind, wallet = reply["kind"], self.wallet(reply["customer"])
        if kind == RequestKind.TRANSFER and reply["number"] == NONE:
            self.take_in(wallet, reply, t)
        elif kind in (RequestKind.OBSERVED, RequestKind.LISTED, RequestKind.REVIEWED):
            self.watch.hear(reply)
        else:
            instance = instance_of(wallet, reply["claim"])
            wallet["open"] -= not instance["in_review"]
            for recent in wallet["ids"]:
                waiting = recent["answer"] in (Answer.PENDING, Answer.IN_REVIEW)
                if waiting and recent["number"] == reply["claim"]:
                    recent["answer"] = reply["answer"]
            instance["in_review"] = reply["answer"] == Answer.IN_REVIEW
            if instance["in_review"]:
                return
            learn = {RequestKind.TRANSFER: self.given, RequestKind.CONFIRM: self.collected}.get(kind, self.claimed)
            learn(wallet, instance, reply, t)

    def claimed(self, wallet: Wallet, instance: Row, reply: Row, t: int) -> None:
        if reply["answer"] not in (Answer.DONE, Answer.FALLBACK):
            wallet["instances"].remove(instance)
            return
        if reply["answer"] == Answer.FALLBACK:
            instance["kept"], instance["weaker"] = self.kept[reply["terms"]], True
            instance["expires"] = instance["kept"].expiry(instance["claimed"])
        if instance["prize"]:
            instance["expires"] = reply["expires_ms"]
        self.count(instance, CouponCell.GRANTED, 1)
        self.make_available(instance, t)

    def collected(self, wallet: Wallet, instance: Row, reply: Row, t: int) -> None:
        if reply["answer"] == Answer.DONE:
            self.redeem(instance, instance["kept"].worth)
            self.close(instance)
        elif reply["answer"] == Answer.LAPSED:
            self.expire(instance)
        else:
            self.make_available(instance, t)

    def given(self, wallet: Wallet, instance: Row, reply: Row, t: int) -> None:
        if reply["answer"] == Answer.DONE:
            instance["state"] = Life.MOVED
            self.count(instance, CouponCell.GRANTED, -1)
        else:
            self.make_available(instance, t)

    def take_in(self, wallet: Wallet, reply: Row, t: int) -> None:
        self.lapse(wallet, t)
        kept, kind = self.kept[reply["terms"]], RequestKind.RETURNED
        if not self.is_full(wallet, t):
            kind = RequestKind.ARRIVED
            fields = {"expires": reply["expires_ms"], "state": Life.AVAILABLE, "received": True}
            self.count(self.new_instance(wallet, kept, t, **fields), CouponCell.GRANTED, 1)
        self.request(reply["customer"], kind, kept, t, other=reply["other"], claim=reply["claim"])

    # --- §4 ids and waiting -------------------------------------------------------------------------------------------
    def must_wait(self, customer: int, kind: int) -> bool:
        return self.wallet(customer)["open"] > 0 and kind not in NEVER_WAITING

    def answer(self, question: Question) -> tuple[Row, bool]:
        """The receipt, and whether the event counts: not a repetition, nor a payment of no order."""
        wallet, id = self.wallet(question.event["customer"]), question.ask["id"]
        self.lapse(wallet, question.t)
        if id == 0:
            receipt = self.judged(wallet, question)
        else:
            wallet["ids"] = [recent for recent in wallet["ids"] if question.t - recent["first"] < ID_REMEMBERED_MS]
            known = next((recent for recent in wallet["ids"] if recent["id"] == id), None)
            if known is not None:
                return self.repeated(known, question), False
            if len(wallet["ids"]) >= IDS_MAX:
                return new_receipt() | {"answer": Answer.TOO_MANY_IDS}, False
            receipt = self.judged(wallet, question)
            wallet["ids"].append({"id": id, "body": question.body, "first": question.t, **receipt})
        counts = question.event["kind"] != EventKind.PAYMENT or receipt["answer"] == Answer.DONE
        return receipt, counts and receipt["answer"] not in REFUSALS.values()

    def judged(self, wallet: Wallet, question: Question) -> Row:
        """Fraud 3 to 6: counted and judged once, then done unless it is refused; what the Ledger counts goes there."""
        kind, ask = question.event["kind"], question.ask
        sight = self.told_of(wallet, question.sight, ask)
        self.watch.see(sight)
        judged = self.watch.judge(sight) if kind in JUDGED else Judged(counted=self.watch.counted_there(sight))
        question = replace(question, sight=sight, judged=judged)
        if judged.verdict in REFUSALS and kind != EventKind.CLAIM:
            receipt = new_receipt() | {"answer": REFUSALS[judged.verdict]}
        else:
            receipt = self.do(wallet, question)
        if receipt["answer"] != Answer.PENDING or kind not in GOING_THERE:
            self.observe(sight, question.event)
        return receipt | {"fired": judged.fired, "rule": judged.rule}

    def claimed_at_once(self, slot: int, campaign: int, question: Question) -> None:
        """Fraud 4: by an exposure, for the customer."""
        wallet = self.wallet(question.event["customer"])
        self.lapse(wallet, question.t)
        ask = dict.fromkeys(("other", "order"), NONE) | {"coupon": slot, "campaign": campaign, "claim": NONE}
        sight = self.told_of(wallet, replace(question.sight, kind=int(EventKind.CLAIM)), ask)
        self.watch.see(sight)
        receipt = self.claim(slot, campaign, replace(question, sight=sight, judged=self.watch.judge(sight)))
        if receipt["answer"] != Answer.PENDING:
            self.observe(sight, question.event)

    def told_of(self, wallet: Wallet, sight: Sight, ask: Row) -> Sight:
        """Fraud 3, 10: with what only the ask and the coupon it is about say."""
        fields: dict[int, int] = {Field.RECEIVER: ask["other"] if sight.kind == EventKind.TRANSFER else NONE}
        fields[Field.ORDER] = ask["order"] if sight.kind in ABOUT_ORDERS else NONE
        kept = None
        if sight.kind == EventKind.CLAIM:
            fields[Field.CAMPAIGN] = ask["campaign"]
            kept = self.kept[self.numbers.terms[self.names[ask["coupon"]]]] if ask["coupon"] in self.names else None
        elif sight.kind == EventKind.REDEEM:
            kept = next((i["kept"] for i in wallet["instances"] if i["number"] == ask["claim"]), None)
        if kept is None:
            return replace(sight, fields=sight.fields | fields)
        worth = None if kept.cost_most is None else max(kept.cost_most, kept.worth)
        return replace(sight, fields=sight.fields | fields, worth=worth, regions=kept.priced.regions)

    def observe(self, sight: Sight, event: Row) -> None:
        """Fraud 8: the Ledger hears of what its rules count, granted ones apart."""
        rules, counting = self.watch.fraud.rules, self.watch.counted_there(sight)
        counted = sum(1 << slot for slot, rule in rules.items() if counting >> slot & 1 and not rule.granted)
        if counted:
            about = {name: sight.traced.get(name, NONE) for name in UNTRACED}
            self.request(
                event["customer"], RequestKind.OBSERVED, None, sight.t, counted=counted, claim=NONE,
                sequence=event["sequence"], event_kind=sight.kind, campaign=sight.fields.get(Field.CAMPAIGN, NONE),
                other=sight.fields.get(Field.RECEIVER, NONE), **about,
            )  # fmt: skip

    def repeated(self, known: Row, question: Question) -> Row:
        if known["body"] != question.body:
            return new_receipt() | {"answer": Answer.ID_REUSED}
        return new_receipt() | {name: known[name] for name in ("answer", "number", "paid", "discount")}

    def do(self, wallet: Wallet, question: Question) -> Row:
        kind, ask = question.event["kind"], question.ask
        if kind == EventKind.CLAIM:
            return self.claim(ask["coupon"], ask["campaign"], question)
        receipt = new_receipt()
        deeds: dict[EventKind, Callable[[Wallet, Question, Row], Answer]] = {
            EventKind.CHECKOUT: self.checkout, EventKind.ORDER: self.order, EventKind.PAYMENT: self.pay,
            EventKind.CANCEL: self.cancel, EventKind.REFUND: self.refund, EventKind.TRANSFER: self.transfer,
            EventKind.REDEEM: self.use,
        }  # fmt: skip
        receipt["answer"] = deeds[EventKind(kind)](wallet, question, receipt)
        return receipt

    # --- §5 carts and orders ------------------------------------------------------------------------------------------
    def checkout(self, wallet: Wallet, question: Question, receipt: Row) -> Answer:
        return Answer.CART if self.price(wallet, question, receipt) is None else Answer.DONE

    def price(self, wallet: Wallet, question: Question, receipt: Row) -> tuple[Priced, list[Row]] | None:
        """The cheapest legal combination and the coupons looked at; its sums into the receipt. None: no such cart."""
        if not is_cart(question.cart, question.ask["shipping"]):
            return None
        mine = [instance for instance in wallet["instances"] if instance["state"] == Life.AVAILABLE]
        mine = sorted(mine, key=lambda i: (i["expires"], i["number"]))[:CHECKOUT_COUPONS_MAX]
        mine.sort(key=lambda instance: -instance["number"])
        cart = Cart(
            question.cart, question.ask["shipping"], question.customer["tier"], question.event["city"],
            question.ask["place"], question.t,
        )  # fmt: skip
        priced = best(cart, [Owned(i["kept"].priced, i["kept"].row, i["number"], i["expires"]) for i in mine])
        receipt["paid"], receipt["discount"] = priced.paid, sum(priced.discounts)
        receipt["coupons"] = sum(priced.used)
        receipt["slots"] = slots_of([instance for instance, used in zip(mine, priced.used, strict=True) if used])
        if priced.unlock != NONE:
            receipt["unlock_missing"] = priced.missing[priced.unlock]
            receipt["unlock_saves"] = priced.saves[priced.unlock]
            receipt["unlock_terms"] = mine[priced.unlock]["kept"].row
        return priced, mine

    def order(self, wallet: Wallet, question: Question, receipt: Row) -> Answer:
        found, number = self.price(wallet, question, receipt), question.ask["order"]
        if found is None:
            return Answer.CART
        if number < 0 or order_of(wallet, number) is not None:
            return Answer.NO_ORDER
        if not self.make_order_room(wallet):
            return Answer.TOO_MANY_ORDERS
        priced, mine = found
        lines = [
            {"paid": paid, "quantity": line.quantity, "returned": 0}
            for paid, line in zip(priced.line_paid, question.cart, strict=True)
        ]
        wallet["orders"].append({
            "number": number, "held": question.t, "state": OrderState.HELD, "lines": lines, "paid": priced.paid,
            "shipping": priced.shipping_paid, "discount": receipt["discount"], "returned": 0,
        })  # fmt: skip
        for instance, used, discount in zip(mine, priced.used, priced.discounts, strict=True):
            if used:
                instance["state"], instance["order"], instance["spent"] = Life.HELD, number, discount
        return Answer.DONE

    def make_order_room(self, wallet: Wallet) -> bool:
        """Room for one more: the oldest with nothing left to return is forgotten, else the oldest that is paid."""
        if len(wallet["orders"]) < ORDERS_MAX:
            return True
        paid = [order for order in wallet["orders"] if order["state"] == OrderState.PAID]
        over = [o for o in wallet["orders"] if o["state"] == OrderState.CANCELLED or (o in paid and not pieces_left(o))]
        for order in (over or paid)[:1]:
            for instance in self.of_order(wallet, order, Life.REDEEMED):
                self.close(instance)
            wallet["orders"].remove(order)
            return True
        return False

    def pay(self, wallet: Wallet, question: Question, receipt: Row) -> Answer:
        order = order_of(wallet, question.ask["order"], OrderState.HELD)
        if order is None:
            return Answer.NO_ORDER
        order["state"] = OrderState.PAID
        coupons = self.of_order(wallet, order, Life.HELD)
        for instance in coupons:
            self.redeem(instance, instance["spent"])
        receipt |= {"paid": order["paid"], "discount": order["discount"], "coupons": len(coupons)}
        receipt["slots"] = slots_of(coupons)
        return Answer.DONE

    def cancel(self, wallet: Wallet, question: Question, receipt: Row) -> Answer:
        order = order_of(wallet, question.ask["order"], OrderState.HELD)
        if order is None:
            return Answer.NO_ORDER
        order["state"] = OrderState.CANCELLED
        self.release(wallet, order, question.t)
        return Answer.DONE

    def refund(self, wallet: Wallet, question: Question, receipt: Row) -> Answer:
        order, ask = order_of(wallet, question.ask["order"], OrderState.PAID), question.ask
        if order is None or not NONE <= ask["first_line"] < len(order["lines"]):
            return Answer.NO_ORDER
        wanted = {ask["first_line"]: ask["pieces"]}
        if ask["first_line"] == NONE:
            wanted = {n: left(line) for n, line in enumerate(order["lines"]) if left(line)}
        if not wanted or any(not 1 <= pieces <= left(order["lines"][n]) for n, pieces in wanted.items()):
            return Answer.PIECES
        for number, pieces in wanted.items():
            line = order["lines"][number]
            before, line["returned"] = line["returned"], line["returned"] + pieces
            receipt["paid"] += refunded(line["paid"], before, line["returned"], line["quantity"])
        if not pieces_left(order):
            receipt["paid"] += order["shipping"]
            for instance in self.of_order(wallet, order, Life.REDEEMED):
                if question.t < instance["expires"]:
                    self.give_back(instance, question.t)
        order["returned"] += receipt["paid"]
        return Answer.DONE

    def give_back(self, instance: Row, t: int) -> None:
        self.tell(instance, Spend.REDEEMED, -instance["spent"])
        self.count(instance, CouponCell.RETURNED, 1)
        self.count(instance, CouponCell.DISCOUNT, -instance["spent"])
        self.make_available(instance, t)

    # --- §6 gifts, rights, prizes -------------------------------------------------------------------------------------
    def transfer(self, wallet: Wallet, question: Question, receipt: Row) -> Answer:
        instance, other = self.usable(wallet, question), question.ask["other"]
        if instance is None or not instance["kept"].transferable or other < 0 or other == question.event["customer"]:
            return Answer.NO_COUPON
        instance["state"], receipt["number"] = Life.MOVING, instance["number"]
        fields = asked(question) | {"other": other, "expires_ms": instance["expires"]}
        self.ask_about(instance, RequestKind.TRANSFER, question.event, question.t, **fields)
        return Answer.PENDING

    def usable(self, wallet: Wallet, question: Question) -> Row | None:
        """The instance it is about, if it is available."""
        number = question.ask["claim"]
        found = (i for i in wallet["instances"] if i["number"] == number and i["state"] == Life.AVAILABLE)
        return next(found, None)

    def use(self, wallet: Wallet, question: Question, receipt: Row) -> Answer:
        """By hand, without a cart: a right, a code at the desk, a prize."""
        instance = self.usable(wallet, question)
        if instance is None or not self.may_use(instance["kept"].priced, question):
            return Answer.NO_COUPON
        receipt["number"] = instance["number"]
        if instance["prize"]:
            instance["state"] = Life.HELD
            self.ask_about(instance, RequestKind.CONFIRM, question.event, question.t)
            return Answer.PENDING
        kept, amount = instance["kept"], max(question.event["amount"], 0)
        if kept.priced.kind == CouponKind.RIGHT:
            receipt["discount"] = kept.worth
        else:
            receipt["discount"] = amount if kept.cost_most is None else min(amount, kept.cost_most)
        self.redeem(instance, receipt["discount"])
        self.close(instance)
        return Answer.DONE

    def may_use(self, terms: Terms, question: Question) -> bool:
        where = (
            (terms.tiers, question.customer["tier"]),
            (terms.regions, question.event["city"]),
            (terms.places, question.ask["place"]),
        )
        return question.t >= terms.valid_from_ms and all(
            allowed == EVERYTHING or (number >= 0 and allowed >> number & 1) for allowed, number in where
        )

    # --- what is asked of it ------------------------------------------------------------------------------------------
    def take_requests(self) -> list[Row]:
        """The requests since the last time, in the order they were asked."""
        requests, self.requests = self.requests, []
        return requests

    def take_spend(self) -> dict[int, dict[Spend, int]]:
        """Fen by budget slot since the last time."""
        spend, self.spend = self.spend, Counter()
        table: dict[int, dict[Spend, int]] = {}
        for (budget, what), amount in spend.items():
            table.setdefault(budget, {})[what] = amount
        return table


def asked(question: Question) -> Row:
    """What a claim, reservation or transfer tells the Ledger of where it comes from and what the shard makes of it."""
    judged, traced, kind = question.judged, question.sight.traced, question.sight.kind
    if not judged.judging | judged.counted:
        traced, kind = {}, 0  # nobody there looks at it
    said = {name: getattr(judged, name) for name in ("rule", "fired", "counted", "judging", "exempt")}
    about = {name: traced.get(name, NONE) for name in UNTRACED}
    return said | about | {"verdict": int(judged.verdict), "event_kind": kind}


# --- one thing --------------------------------------------------------------------------------------------------------
def limits(coupon: Coupon) -> list[Limit]:
    """How often one customer may claim it: once, unless the policy says otherwise."""
    return coupon.limits or [Limit(most=1)]


def instance_of(wallet: Wallet, number: int) -> Row:
    found: Iterator[Row] = (instance for instance in wallet["instances"] if instance["number"] == number)
    return next(found)


def order_of(wallet: Wallet, number: int, state: OrderState | None = None) -> Row | None:
    found: Iterator[Row] = (order for order in wallet["orders"] if order["number"] == number)
    order = next(found, None)
    return order if order is None or state is None or order["state"] == state else None


def left(line: Row) -> int:
    return int(line["quantity"] - line["returned"])


def pieces_left(order: Row) -> int:
    return sum(left(line) for line in order["lines"])


def slots_of(instances: list[Row]) -> int:
    """The coupons as a mask of slots."""
    return sum(1 << slot for slot in {instance["kept"].slot for instance in instances})


def is_cart(cart: tuple[Line, ...], shipping: int) -> bool:
    lines = all(1 <= line.quantity <= PIECES_MAX and 0 <= line.unit_price <= PRICE_MAX for line in cart)
    return 1 <= len(cart) <= LINES_MAX and 0 <= shipping <= PRICE_MAX and lines


def marks_of(instance: Row) -> int:
    """Its INSTANCE.marks."""
    names = {
        "received": InstanceMark.RECEIVED, "closed": InstanceMark.CLOSED, "prize": InstanceMark.PRIZE,
        "weaker": InstanceMark.WEAKER, "in_review": InstanceMark.REVIEWED,
    }  # fmt: skip
    return sum(mark for name, mark in names.items() if instance[name])
