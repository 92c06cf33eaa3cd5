"""Seeded random policies with coupons of every kind, and customers who claim, shop, give back and give away.

As in `traffic.py` everything comes from a `random.Random`, and times cluster where rules change their mind: a coupon's
expiry, a hold's end, an id's ten minutes, the edge of a limit's or a claim window, each to the millisecond.
"""

import copy
from collections import deque
from dataclasses import dataclass, field, replace
from datetime import timedelta
from random import Random
from typing import Any

import numpy as np

from engine.coupon_records import (
    ASK,
    HOLD_MS,
    ID_REMEMBERED_MS,
    LINE,
    LINES_MAX,
    RECEIPT,
    Answer,
    Inbox,
    Life,
    OrderState,
)
from engine.fraud_records import ORIGIN
from engine.policy.document import Policy
from engine.records import EVENT, HOUR_MS, NONE, SECOND_MS, EventKind, records
from engine.reference import Reference
from engine.reference_wallet import pieces_left
from tests.engine.traffic import (
    CITIES,
    FAVOURITES,
    START_DATE,
    TIERS,
    Person,
    Traffic,
    optional,
    random_condition,
    random_document,
    start_ms,
    wall_ms,
)

CATEGORIES, BRANDS, PRODUCTS, PLACES = ["shoes", "hats", "socks"], ["alba", "brio"], ["p1", "p2"], ["shop", "app"]
CUSTOMER_CONDITIONS = ["purchases >= 1", "tier != standard", "card_used", "balance >= 10.00", "purchases_13w < 3"]
CAMPAIGNS = 5
PRICES = (0, 1, 999, 1_000, 3_333, 5_000, 9_999, 10_000, 20_000)
SOMEBODY_ELSE, NOBODY = 1_000_000, -7


# --- policies ---------------------------------------------------------------------------------------------------------
def random_shop(rng: Random) -> dict[str, Any]:
    """The document of a valid policy: a few campaigns, some of which give coupons, and coupons of every kind."""
    document = random_document(rng)
    document["names"] |= {"categories": CATEGORIES, "brands": BRANDS, "products": PRODUCTS, "places": PLACES}
    document["budgets"] = random_budgets(rng)
    document["coupons"] = random_coupons(rng, list(document["budgets"]))
    document["campaigns"] = dict(list(document["campaigns"].items())[:CAMPAIGNS])
    for campaign in document["campaigns"].values():
        offer_coupon(rng, campaign, document)
    return document


def changed_shop(rng: Random, document: dict[str, Any]) -> dict[str, Any]:
    """The same campaigns under another policy: other amounts, some coupons on other terms, one of them gone."""
    changed = copy.deepcopy(document)
    gone, *others = rng.sample(list(changed["coupons"]), len(changed["coupons"]))
    for name in others[: len(others) // 2]:
        changed["coupons"][name] = random_coupon(rng, name.rsplit("_", 1)[0], list(changed["budgets"]))
    changed["budgets"]["coupons"]["amount"] = "700.00"
    del changed["coupons"][gone]
    for coupon in changed["coupons"].values():
        if coupon.get("fallback") == gone:
            del coupon["fallback"]
    for campaign in changed["campaigns"].values():
        if campaign.get("coupon") == gone:
            del campaign["coupon"], campaign["issue"]
    return changed


def random_budgets(rng: Random) -> dict[str, Any]:
    channels = rng.sample(["popup", "push", "sms", "inbox"], 2)
    reserve = {"reserve": {"amount": "30.00", "at": rng.choice(["50%", "100%"])}}
    return {
        "coupons": {"amount": rng.choice(["150.00", "600.00", "9000.00"])} | optional(rng, 0.4, **reserve),
        "messages": {"amount": rng.choice(["3.00", "40.00"]), "channels": channels},
        "spare": {"amount": "5000.00", "channels": []},
    }


def offer_coupon(rng: Random, campaign: dict[str, Any], document: dict[str, Any]) -> None:
    campaign.pop("audience", None) if rng.random() < 0.7 else None
    if rng.random() < 0.5:
        campaign["budget"] = rng.choice(list(document["budgets"]))
    if campaign["purpose"] != "service" and rng.random() < 0.7:
        campaign["coupon"] = rng.choice(list(document["coupons"]))
        campaign["issue"] = rng.choice(["direct", "direct", "click"])


def random_coupons(rng: Random, budgets: list[str]) -> dict[str, Any]:
    kinds = ["amount_off", "each_full", "percent_off", "nth_item", "free_shipping", "right", "prize", "stamp"]
    kinds += ["prize", *rng.sample(["amount_off", "percent_off", "each_full", "right"], 2)]
    rng.shuffle(kinds)
    coupons: dict[str, Any] = {}
    for number, kind in enumerate(kinds):
        coupon = random_coupon(rng, kind, budgets)
        if coupons and rng.random() < 0.5:
            coupon["fallback"] = rng.choice(list(coupons))
        coupons[f"{kind}_{number}"] = coupon
    return coupons


def random_coupon(rng: Random, kind: str, budgets: list[str]) -> dict[str, Any]:
    paid = {"budget": rng.choice(budgets)} if rng.random() < 0.6 else {}
    coupon = (
        {"limits": random_limits(rng)}
        | optional(rng, 0.5, claim=random_window(rng))
        | optional(rng, 0.3, pieces=rng.choice([2, 9, 30, 500]))
        | optional(rng, 0.2, audience=random_condition(rng, CUSTOMER_CONDITIONS))
        | optional(rng, 0.1, members=rng.sample(TIERS, 2), regions=rng.sample(CITIES, 2))
        | optional(rng, 0.1, places=[rng.choice(PLACES)])
    )
    if kind == "prize":
        prize = {"worth": "12.00", "confirm_within": rng.choice(["1ms", "25min", "2h", "1d"])}
        return coupon | paid | {"kind": "right"} | prize
    coupon |= optional(rng, 0.85, valid=random_validity(rng)) | optional(rng, 0.6, transferable="true")
    if kind == "right":
        return coupon | paid | {"kind": "right", "worth": rng.choice(["1.00", "30.00"])}
    if kind == "stamp":  # one customer can have many
        many = {"limits": [{"most": 300, "per": "3h"}], "claim": {}, "valid": rng.choice(["20min", "2h"])}
        return coupon | paid | many | {"kind": "right", "worth": "0.10"}
    return coupon | paid | random_effect(rng, kind, bounded="budget" in paid) | random_order_rules(rng)


def random_effect(rng: Random, kind: str, bounded: bool) -> dict[str, Any]:
    up_to = {"up_to": rng.choice(["3.00", "15.00"])} if bounded or rng.random() < 0.3 else {}
    over = optional(rng, 0.5, over=rng.choice(["0.01", "50.00", "99.99", "100.00"]))
    if kind == "amount_off":
        return {"kind": kind, "off": rng.choice(["0.01", "5.00", "10.00"])} | optional(rng, 0.7, over="50.00")
    if kind == "each_full":
        step = {"up_to": "15.00"} if up_to else {}
        return {"kind": kind, "off": "5.00", "full": rng.choice(["10.00", "99.99"])} | step
    if kind == "free_shipping":
        return {"kind": kind} | over | up_to
    every = {"every": rng.choice([2, 3]), "across": rng.choice(["true", "false"])} if kind == "nth_item" else {}
    return {"kind": kind, "rate": rng.choice(["10%", "33.3333%", "50%"])} | every | over | up_to


def random_order_rules(rng: Random) -> dict[str, Any]:
    items = {"categories": rng.sample(CATEGORIES, 2)} | optional(rng, 0.3, brands=[rng.choice(BRANDS)])
    return (
        optional(rng, 0.2, items=items)
        | optional(rng, 0.15, exclusive="true")
        | optional(rng, 0.3, group="general")
        | optional(rng, 0.3, base="original")
    )


def random_limits(rng: Random) -> list[dict[str, Any]]:
    pers = rng.sample(["10min", "1h", "3h", "day", "week", "month", None], rng.choice([1, 1, 2, 3]))
    return [{"most": rng.choice([1, 2, 4, 9])} | ({"per": per} if per else {}) for per in pers]


def random_window(rng: Random) -> dict[str, Any]:
    first = START_DATE + timedelta(days=rng.choice([-2, 0, 1]))
    opens = optional(rng, 0.7, **{"from": first.isoformat()})
    if opens:
        opens |= optional(rng, 0.5, at=rng.choice(["00:30", "10:00"]))
    return opens | optional(rng, 0.5, until=(first + timedelta(days=rng.choice([1, 2, 9]))).isoformat())


def random_validity(rng: Random) -> Any:
    lasts = rng.choice(["1s", "15min", "1h", "3h", "1d", "3d", "3d", "9d"])
    if rng.random() < 0.7:
        return lasts
    return {"for": lasts} | optional(rng, 0.5, **{"from": (START_DATE + timedelta(days=1)).isoformat()})


# --- customers --------------------------------------------------------------------------------------------------------
SHOPPING = {
    EventKind.CLAIM: 34, EventKind.CHECKOUT: 8, EventKind.ORDER: 14, EventKind.PAYMENT: 20, EventKind.CANCEL: 4,
    EventKind.REFUND: 12, EventKind.TRANSFER: 6, EventKind.REDEEM: 12,
}  # fmt: skip
BURSTS = (EventKind.CLAIM, EventKind.CLAIM, EventKind.ORDER)


@dataclass(frozen=True)
class Happening:
    """An EVENT, the fields of its ASK, of its cart's LINEs and of its ORIGIN."""

    event: Any
    ask: dict[str, int] | None = None
    lines: tuple[dict[str, int], ...] = ()
    origin: dict[str, int] | None = None


@dataclass
class Shopper:
    """What the generator knows of one customer beside their wallet."""

    orders: int = 0
    ids: int = 0
    sent: deque[Happening] = field(default_factory=lambda: deque(maxlen=6))  # with an id
    waiting: list[Happening] = field(default_factory=list)
    burst: EventKind = EventKind.CLAIM
    burst_left: int = 0
    burst_coupon: int = 0


class CouponTraffic(Traffic):
    """Messages and shopping between two settlements: `begin` a step, `next` and `observe` in turn.

    It looks into the reference's wallets, so that most numbers are of something that is there.
    """

    deeds = SHOPPING

    def __init__(self, policy: Policy, slots: dict[str, int], customers: Any, engine: Reference) -> None:
        super().__init__(policy, slots, customers)
        self.engine = engine
        self.shoppers = [Shopper() for _ in self.people]
        self.now, self.claiming = start_ms(policy), True

    def begin(self, now: int, until: int, claiming: bool) -> None:
        """Events from now on are before `until`, late ones apart. Who claims makes most other things wait."""
        self.now, self.last_ms, self.claiming = now, until - 1, claiming
        for person in self.people:
            person.latest_ms = max(person.latest_ms, now)

    def next(self, rng: Random) -> Happening:
        """What happens next, to be decided before the next is asked for."""
        customer = self.active.customer
        waiting = self.shoppers[customer].waiting
        if waiting and rng.random() < 0.5:
            return self.sent_again(rng, waiting.pop(0))
        shopper = self.shoppers[customer]
        if shopper.burst_left == 0 and rng.random() < 0.35:
            return Happening(self.next_event(rng).copy())
        return self.shop(rng)

    def observe_answer(self, happening: Happening, answer: Any) -> None:
        self.observe(answer.decision, answer.ghosts)
        shopper = self.shoppers[int(happening.event.customer)]
        if answer.receipt is not None and answer.decision["answer"] == Answer.WAITS:
            shopper.waiting.append(happening)
        elif happening.ask is not None and happening.ask["id"]:
            shopper.sent.append(happening)

    def sent_again(self, rng: Random, happening: Happening) -> Happening:
        """What had to wait comes again, most times at the present time."""
        event = happening.event.copy()
        person = self.people[int(event.customer)]
        event.time_ms = max(int(event.time_ms), self.now) if rng.random() < 0.7 else event.time_ms
        person.latest_ms = max(person.latest_ms, int(event.time_ms))
        event.sequence, person.sequence = person.sequence, person.sequence + 1
        return replace(happening, event=event)

    # asking
    def shop(self, rng: Random) -> Happening:
        if self.shoppers[self.active.customer].burst_left == 0 and rng.random() < 0.3:
            self.active = rng.choice(self.people if rng.random() < 0.5 else self.people[:FAVOURITES])
        person, shopper = self.active, self.shoppers[self.active.customer]
        event = records(1, EVENT)[0]
        self.fill(rng, event, person, EventKind.SLOT_VIEW)
        event.customer, event.sequence = person.customer, person.sequence
        event.kind, event.ask = self.next_deed(rng, shopper), 0
        event.time_ms = self.next_shop_ms(rng, person, shopper)
        person.sequence += 1
        person.latest_ms = max(person.latest_ms, int(event.time_ms))
        again = rng.choice(shopper.sent) if shopper.sent and rng.random() < 0.15 else None
        if again is not None:
            event.kind, event.amount = again.event.kind, again.event.amount
            changed = {"pieces": 7} if rng.random() < 0.2 else {}
            return Happening(event, (again.ask or {}) | changed, again.lines)
        ask, lines = self.wanted(rng, event, shopper)
        if rng.random() < (0.9 if shopper.burst_left > 30 else 0.4):
            shopper.ids += 1
            ask["id"] = rng.choice([shopper.ids, shopper.ids, -shopper.ids])
        return Happening(event, ask, lines)

    def next_deed(self, rng: Random, shopper: Shopper) -> EventKind:
        if shopper.burst_left:
            shopper.burst_left -= 1
            return shopper.burst
        if rng.random() < 0.02:
            shopper.burst, shopper.burst_left = rng.choice(BURSTS), rng.choice([3, 20, 40, 80])
            shopper.burst_coupon = rng.choice([self.slot(rng), *self.stamps()])
        weights = self.deeds | ({} if self.claiming else {EventKind.CLAIM: 0})
        able = self.able(self.active.customer)
        return rng.choices(list(weights), [w if able.get(kind, True) else w / 9 for kind, w in weights.items()])[0]

    def able(self, customer: int) -> dict[EventKind, bool]:
        """What the customer has something for."""
        wallet = self.engine.wallets.wallet(customer)
        orders = {order["state"] for order in wallet["orders"]}
        available = [one for one in wallet["instances"] if one["state"] == Life.AVAILABLE]
        return {
            EventKind.PAYMENT: OrderState.HELD in orders,
            EventKind.CANCEL: OrderState.HELD in orders,
            EventKind.REFUND: OrderState.PAID in orders,
            EventKind.TRANSFER: any(one["kept"].transferable for one in available),
            EventKind.REDEEM: any(one["kept"].worth for one in available),
        }

    def next_shop_ms(self, rng: Random, person: Person, shopper: Shopper) -> int:
        latest, draw = person.latest_ms, rng.random()
        if draw < 0.03:
            return latest - rng.choice([1, SECOND_MS, HOUR_MS])  # late
        if shopper.burst_left or draw < 0.4:
            return self.within_horizon(latest + rng.choice([0, 0, 1, SECOND_MS]))
        edges = [edge + beside for edge in self.wallet_edges(person.customer) for beside in (-1, 0, 1)]
        near = [edge for edge in edges if latest <= edge <= self.last_ms]
        if near and draw < 0.8:
            return rng.choice(near)
        return rng.randint(latest, max(latest, self.last_ms)) if draw < 0.85 else self.within_horizon(latest + 1)

    def wallet_edges(self, customer: int) -> list[int]:
        """Instants at which something about this customer's wallet changes."""
        wallet = self.engine.wallets.wallet(customer)
        edges = [instance["expires"] for instance in wallet["instances"]]
        edges += [order["held"] + HOLD_MS for order in wallet["orders"] if order["state"] == OrderState.HELD]
        edges += [recent["first"] + ID_REMEMBERED_MS for recent in wallet["ids"]]
        windows = {limit.per for coupon in self.policy.coupons.values() for limit in coupon.limits or []}
        rolling = [per for per in windows if isinstance(per, int)]
        edges += [instance["claimed"] + per for instance in wallet["instances"][-6:] for per in rolling]
        for coupon in self.policy.coupons.values():
            days = (coupon.claim.from_, coupon.claim.until, START_DATE + timedelta(days=1))
            edges += [wall_ms(self.policy, day, coupon.claim.at or 0) for day in days if day is not None]
        return edges

    def slot(self, rng: Random) -> int:
        return rng.choice(list(self.engine.numbers.coupons.values()))

    def stamps(self) -> list[int]:
        numbers = self.engine.numbers.coupons
        return [numbers[name] for name in self.policy.coupons if name.startswith("stamp")]

    def wanted(self, rng: Random, event: Any, shopper: Shopper) -> tuple[dict[str, int], tuple[dict[str, int], ...]]:
        """The ask of an event by its kind, and its cart."""
        customer, kind = int(event.customer), EventKind(int(event.kind))
        ask = dict.fromkeys(ASK.names or (), 0)
        ask |= dict.fromkeys(("other", "order", "claim", "coupon", "place", "campaign"), NONE)
        event.amount = rng.choice([0, 1, 300, 5_000, 123_456] + [-5] * (kind == EventKind.REDEEM))
        if kind == EventKind.CLAIM:
            ask["coupon"] = rng.choice([self.slot(rng)] * 15 + [NONE, 59, 99])
            if shopper.burst_left:
                ask["coupon"] = shopper.burst_coupon
            ask["campaign"] = rng.choice([NONE, *self.slots.values()])
            return ask, ()
        if kind in (EventKind.CHECKOUT, EventKind.ORDER):
            return self.cart(rng, ask, kind, shopper)
        if kind in (EventKind.PAYMENT, EventKind.CANCEL, EventKind.REFUND):
            return self.about_order(rng, ask, kind, customer), ()
        return self.about_coupon(rng, ask, kind, customer), ()

    def cart(
        self, rng: Random, ask: dict[str, int], kind: EventKind, shopper: Shopper
    ) -> tuple[dict[str, int], tuple[dict[str, int], ...]]:
        count = rng.choice([1, 1, 2, 2, 3, 5]) if rng.random() < 0.96 else rng.choice([0, LINES_MAX, LINES_MAX + 1])
        lines = tuple(random_line(rng) for _ in range(count))
        ask["shipping"] = rng.choice([0, 600, 1_000]) if rng.random() < 0.98 else -1
        ask["place"], ask["lines"] = rng.randrange(NONE, len(PLACES)), len(lines)
        if kind == EventKind.ORDER:
            shopper.orders += 1
            ask["order"] = shopper.orders if rng.random() < 0.93 else rng.randrange(NONE, shopper.orders)
        return ask, lines

    def about_order(self, rng: Random, ask: dict[str, int], kind: EventKind, customer: int) -> dict[str, int]:
        """Pay, cancel or give back one of the customer's orders, or one that is not there."""
        state = OrderState.PAID if kind == EventKind.REFUND else OrderState.HELD
        orders = self.engine.wallets.wallet(customer)["orders"]
        fitting = [order for order in orders if order["state"] == state]
        if not fitting or rng.random() < 0.08:
            ask["order"] = rng.choice([NONE, 1, 9_999, *(order["number"] for order in orders)])
            return ask
        order = rng.choice(fitting)
        ask["order"] = order["number"]
        if kind == EventKind.REFUND:
            number = rng.choice([*range(len(order["lines"])), len(order["lines"]), -2])
            ask["first_line"] = NONE if rng.random() < 0.4 else number
            most = pieces_left(order)
            ask["pieces"] = rng.choice([1, 1, 2, max(1, most), 0, -1, most + 1])
        return ask

    def about_coupon(self, rng: Random, ask: dict[str, int], kind: EventKind, customer: int) -> dict[str, int]:
        """Use a coupon by hand or give it away, or one that is not to be had."""
        instances = self.engine.wallets.wallet(customer)["instances"]
        fitting = [instance for instance in instances if instance["state"] == Life.AVAILABLE]
        if kind == EventKind.TRANSFER:
            fitting = [one for one in fitting if one["kept"].transferable] or fitting
            nonsense = [customer, NONE, NOBODY, SOMEBODY_ELSE]
            ask["other"] = rng.randrange(len(self.people)) if rng.random() < 0.85 else rng.choice(nonsense)
        elif rng.random() < 0.8:
            fitting = [one for one in fitting if one["prize"]] or fitting
        ask["place"] = rng.randrange(NONE, len(PLACES))
        ask["claim"] = rng.choice([one["number"] for one in fitting]) if fitting else NONE
        if instances and rng.random() < 0.1:
            ask["claim"] = rng.choice([NONE, 0, 5_000, instances[-1]["number"]])
        return ask


def random_line(rng: Random) -> dict[str, int]:
    line = {"unit_price": rng.choice(PRICES), "quantity": rng.choice([1, 1, 1, 2, 3, 7])}
    if rng.random() < 0.01:
        line |= rng.choice([{"unit_price": -1}, {"quantity": 0}, {"unit_price": 10**9 + 1}, {"quantity": 10**6 + 1}])
    kinds = {"category": CATEGORIES, "brand": BRANDS, "product": PRODUCTS}
    return line | {name: rng.randrange(NONE, len(names)) for name, names in kinds.items()}


# --- batches ----------------------------------------------------------------------------------------------------------
def inbox_of(happenings: list[Happening]) -> tuple[Any, Inbox]:
    """EVENT[n] and what they ask for."""
    events = records(len(happenings), EVENT)
    asking = [happening for happening in happenings if happening.ask is not None]
    traced = [happening.origin for happening in happenings if happening.origin is not None]
    lines = [line for happening in asking for line in happening.lines]
    inbox = Inbox(
        records(len(asking), ASK),
        records(len(lines), LINE),
        records(len(asking), RECEIPT),
        records(len(traced), ORIGIN),
        np.zeros(3, np.int64),
    )
    for origin, fields in zip(inbox.origins, traced, strict=True):
        fill(origin, fields)
    rows, origins, begin = iter(range(len(asking))), iter(range(len(traced))), 0
    for number, happening in enumerate(happenings):
        events[number] = happening.event
        event = events[number]
        event.ask = NONE
        event.origin = NONE if happening.origin is None else next(origins)
        if happening.ask is not None:
            event.ask = next(rows)
            fill(inbox.asks[event.ask], happening.ask)
            if happening.lines or happening.event.kind != EventKind.REFUND:
                inbox.asks[event.ask].first_line = begin
            for line in happening.lines:
                fill(inbox.lines[begin], line)
                begin += 1
    inbox.used[:] = len(asking), len(lines), len(traced)
    return events, inbox


def fill(record: Any, fields: dict[str, int]) -> None:
    for name, value in fields.items():
        record[name] = value


def as_lines(lines: tuple[dict[str, int], ...]) -> Any:
    table = records(len(lines), LINE)
    for record, line in zip(table, lines, strict=True):
        fill(record, line)
    return table
