"""Seeded random policies, customers and events that sit on the edges of the rules; for engines held against each other.

Everything is drawn from a `random.Random`, so a seed is the whole test case. Times cluster where rules change their
mind: a cool-down's or window's end to the millisecond, midnight, the edges of quiet hours, ten minutes after showing.
"""

from collections import deque
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from random import Random
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np

from engine.policy.campaign import Campaign
from engine.policy.document import Policy
from engine.records import (
    CUSTOMER,
    DAY_MS,
    EVENT,
    HOUR_MS,
    LONG_AGO_MS,
    MINUTE_MS,
    MUTE_WORD_BITS,
    NONE,
    NOT_SHOWN_WITHIN_MS,
    SECOND_MS,
    WEEKS,
    Bulletin,
    Channel,
    EventKind,
    Flag,
    records,
)

START_DATE = date(2026, 3, 4)  # a Wednesday; American and European clocks change within the month
END_DATE = date(2027, 3, 1)  # no event is later: calendar tables need not reach further
FIRST_MONDAY = date(1970, 1, 5)
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)

PAGES = ["home", "account", "bill", "offers", "card", "pay"]
CITIES = ["beijing", "shanghai", "chengdu"]
TIERS = ["standard", "gold", "platinum"]
TAGS = ["opinion_leader", "price_sensitive"]
SEGMENTS = {
    "high_risk": "high_risk",  # a segment may have the name of a fact
    "young": "age < 25",
    "heavy": "purchases_13w >= 128 or spend_13w > 21474836.47",  # beyond what one week can hold
    "collector": "points >= 5000 and points_expire_in <= 2",
    "dormant": "days_since_purchase >= 3",
    "recent": "r_score == 3 or m_score == 2",
    "valuable": "m_score >= 3 and f_score >= 2",
    "opinion": "tag.opinion_leader or tag.price_sensitive and not young",
}

EVENT_CONDITIONS = [
    "amount >= 50.00", "home_city == city", "balance < amount or balance > 10.00", "0.01 <= amount < 50.00",
    "amount > 49.99", "page == 'home'", "page != home",
    "page in ['home', 'bill', offers]", "page not in [pay]", "city == 'beijing'", "city not in ['beijing', 'shanghai']",
    "hour >= 8 and hour < 22", "not 9 <= hour <= 11", "weekday == 'monday'", "weekday >= 6 or day_of_month <= 15",
    "dwell >= '5s' or page == 'home'", "not (amount == 50.00)",
]  # fmt: skip
CUSTOMER_CONDITIONS = [
    "card_active", "card_used", "not card_used", "card_active and not card_used", "high_risk or age >= 30",
    "gender == 'female'", "gender != female", "home_city == home_city", "home_city != 'shanghai'", "tier != 'standard'",
    "tier in [gold, platinum]", "balance >= 100.00", "balance < spend_13w or balance > 10.00", "spend_13w >= 500.00",
    "points >= 100", "points_expire_in <= 7", "points_expire_in > 2", "days_since_joined < 30", "purchases > 3",
    "days_since_login >= 1", "days_since_login < 3", "days_since_purchase < 7", "purchases_13w >= 2", "heavy",
    "not heavy", "days_since_joined >= 1", "r_score >= 2", "f_score == 1 or m_score == 1", "r_score <= f_score",
    "tag.opinion_leader", "not tag.price_sensitive", "dormant", "not valuable", "young or opinion",
    "not (dormant and card_used) or tier == gold",
]  # fmt: skip

SPLITS = {2: ["50%", "50%"], 3: ["33.3333%", "33.3333%", "33.3334%"], 4: ["10%", "0.5%", "60%", "29.5%"]}
FAVOURITES = 2  # the first customers, with half of the events
CREATIVE = {
    "text": "Example Bank",
    "ad_label": "true",
    "close": {"visible": "true"},
    "opt_out": "Reply TD",
}  # lawful on every channel


# --- Policies ---------------------------------------------------------------------------------------------------------
def random_policy(rng: Random) -> Policy:
    """A valid policy of 6 to 16 campaigns in which every rule of a message may appear."""
    return Policy.model_validate(random_document(rng))


def random_document(rng: Random) -> dict[str, Any]:
    zone = rng.choice(["Asia/Shanghai", "Asia/Shanghai", "Europe/Berlin", "America/New_York"])
    loose = rng.random() < 0.25  # shows so much that exposures leave the ring
    moments = random_moments(rng)
    campaigns = {f"campaign_{number}": random_campaign(rng, moments, loose) for number in range(rng.randint(6, 16))}
    names = {"pages": PAGES, "cities": CITIES, "tiers": TIERS, "tags": TAGS, "topics": ["offers"]}
    document: dict[str, Any] = {
        "policy": f"random_{rng.randrange(1000)}",
        "time_zone": zone,
        "provider": "Example Bank",
        "names": names,
        "segments": shuffled_segments(rng),
        "moments": moments,
        "protected_pages": rng.choice([[], ["pay"], ["card"], ["pay", "card"]]),
        "adult_age": rng.choice([18, 20]),
        "fatigue": random_fatigue(rng, zone, loose),
        "ranking": {"by": rng.choice(["uplift", "response"]), "price_of_attention": rng.choice(["0.00", "0.05"])},
        "campaigns": campaigns,
    }
    if rng.random() < 0.8:
        thresholds = {"recency_days": [2, 14, 45], "frequency": [1, 4, 10], "monetary": ["100.00", "500.00", "2000.00"]}
        document["rfm"] = thresholds
    if rng.random() < 0.6:
        document["universal_holdout"] = {"share": rng.choice(["2%", "15%"])} | optional(rng, 0.3, salt="everyone")
    return document


def shuffled_segments(rng: Random) -> dict[str, str]:
    """In any order, but a segment may name only those declared before it."""
    order = rng.sample(list(SEGMENTS), len(SEGMENTS))
    order.sort(key=lambda name: name == "opinion")
    return {name: SEGMENTS[name] for name in order}


def optional(rng: Random, probability: float, **fields: Any) -> dict[str, Any]:
    return fields if rng.random() < probability else {}


def random_moments(rng: Random) -> dict[str, Any]:
    moments = {
        "bill_day": {"monthly": 1, "at": "10:00"},
        "wednesday": {"weekly": "wednesday", "at": "11:00"},
        "spring": {"on": "2026-04-05", "at": "09:30"},
    }
    return dict(rng.sample(list(moments.items()), rng.randint(1, 3)))


def random_fatigue(rng: Random, zone: str, loose: bool) -> dict[str, Any]:
    if loose:
        return optional(rng, 0.5, back_off={"closes": 1, "rest": "10min", "repeat": 3})
    channels = {
        "popup": {"caps": [{"most": rng.randint(1, 3), "per": rng.choice(["1h", "24h", "day"])}]},
        "push": {"caps": [{"most": 1, "per": rng.choice(["day", "24h"])}, {"most": 2, "per": "week"}]},
        "inbox": {"caps": [{"most": 2, "per": "24h"}]},
        "carousel": {"caps": [{"most": 2, "per": rng.choice(["6h", "day"])}]},
    }
    quiet = [("22:00", "08:00"), ("21:30", "06:15"), ("12:00", "14:00")]
    if zone == "Asia/Shanghai":  # edges in the hours that a clock change skips or repeats have no agreed reading
        quiet += [("00:00", "01:30"), ("23:00", "00:00")]
    from_, until = rng.choice(quiet)
    back_off = {
        "closes": rng.choice([1, 1, 1, 2, 3]),
        "rest": rng.choice(["1h", "12h", "1d"]),
        "repeat": rng.randint(1, 3),
    }
    return {
        "caps": rng.choice([[], [{"most": 1, "per": "6h"}], [{"most": 2, "per": "24h"}, {"most": 9, "per": "week"}]]),
        "channels": dict(rng.sample(list(channels.items()), rng.randint(0, 3))),
        **optional(rng, 0.8, quiet_hours={"from": from_, "until": until}),
        **optional(rng, 0.9, back_off=back_off | optional(rng, 0.5, rest_max="36h")),
    }


def random_campaign(rng: Random, moments: dict[str, Any], loose: bool) -> dict[str, Any]:
    response = rng.choice(["1.2%", "5%", "0.000001%"])
    campaign: dict[str, Any] = {
        "purpose": rng.choice(["activation", "transaction", "churn_prevention", "education", "service"]),
        "topic": "offers",
        "channel": weighted(rng, popup=9, push=3, sms=1, email=1, voice=1, inbox=2, carousel=2, campaign_page=1),
        "window": random_window(rng),
        "trigger": random_trigger(rng, moments),
        "goal": random_goal(rng),
        "priority": rng.choice([0, 0, 0, 1, 2]),
        "value": rng.choice(["0.00", "5.00", "5.00", "30.00"]),
        "cost": rng.choice(["0.00", "0.00", "0.10"]),
        "response": {"shown": response, "otherwise": rng.choice([response, "0%", "0.5%"])},
        "response_by_segment": random_responses(rng),
        "frequency": {} if loose else random_frequency(rng),
        "remind_after": rng.choice(["30min", "1h", "1d", "2d"]),
        **optional(rng, 0.0 if loose else 0.35, audience=random_condition(rng, CUSTOMER_CONDITIONS)),
        **optional(rng, 0.4, holdout=random_holdout(rng)),
        **optional(rng, 0.2, salt=rng.choice(["shared", "own"])),
    }
    return campaign | random_creatives(rng)


def weighted(rng: Random, **weights: int) -> str:
    return rng.choices(list(weights), list(weights.values()))[0]


def random_window(rng: Random) -> dict[str, str]:
    from_ = START_DATE + timedelta(days=rng.randint(-5, 5))
    until = from_ + timedelta(days=rng.randint(5, 40))
    return optional(rng, 0.2, **{"from": from_.isoformat()}) | optional(rng, 0.2, until=until.isoformat())


def random_trigger(rng: Random, moments: dict[str, Any]) -> dict[str, Any]:
    on = weighted(
        rng, page_view=20, slot_view=4, login=2, payment=2, top_up=1, balance_query=1, bill_viewed=1, card_bound=1,
        feature_used=1, register=1, moment=3,
    )  # fmt: skip
    if on == "moment":
        return {"on": on, "moment": rng.choice(list(moments))} | optional(rng, 0.3, when="hour < 12")
    dwell = optional(rng, 0.25, dwell=rng.choice(["3s", "5s"])) if on == "page_view" else {}
    pages = optional(rng, 0.3, pages=rng.sample(PAGES, rng.randint(2, 4)))
    when = optional(rng, 0.25, when=random_condition(rng, EVENT_CONDITIONS + CUSTOMER_CONDITIONS[:8]))
    return {"on": on} | pages | dwell | when


def random_condition(rng: Random, texts: list[str]) -> str:
    first, second = rng.sample(texts, 2)
    both = [f"({first}) or ({second})", f"not ({first}) or {second}", f"({first}) and ({second})"]
    return rng.choice([first, first, *both])


def random_goal(rng: Random) -> dict[str, str]:
    event = weighted(rng, first_use=3, payment=4, top_up=2, card_bound=1, bill_viewed=1, login=2, feature_used=1)
    return {"event": event, "window": rng.choice(["1h", "6h", "1d", "7d"])}


def random_responses(rng: Random) -> dict[str, Any]:
    segments = rng.sample(list(SEGMENTS), rng.choice([0, 0, 1, 2]))
    return {segment: {"shown": rng.choice(["2%", "9%"]), "otherwise": rng.choice(["0%", "3%"])} for segment in segments}


def random_frequency(rng: Random) -> dict[str, Any]:
    periods = rng.sample(["10min", "1h", "24h", "3d", "day", "week", "month"], rng.choice([0, 1, 1, 2]))
    caps = [{"most": rng.randint(1, 4), "per": per} for per in periods]
    return {"caps": caps, "cool_down": rng.choice(["0s", "0s", "10min", "1h", "24h"])}


def random_holdout(rng: Random) -> dict[str, Any]:
    share, sees = rng.choice(["10%", "40%", "60%"]), rng.choice(["nothing", "next_best", "next_best"])
    return {"share": share, "sees": sees} | optional(rng, 0.3, salt="held")


def random_creatives(rng: Random) -> dict[str, Any]:
    if rng.random() < 0.5:
        return {"creative": CREATIVE}
    shares = SPLITS[rng.randint(2, 4)]
    return {"arms": [{"name": f"arm_{n}", "share": share, "creative": CREATIVE} for n, share in enumerate(shares)]}


def random_slots(rng: Random, policy: Policy) -> dict[str, int]:
    """Slots out of declaration order and with gaps, across both words of the mute mask."""
    numbers = rng.sample(range(MUTE_WORD_BITS + 10), len(policy.campaigns))
    return dict(zip(policy.campaigns, numbers, strict=True))


def random_bulletin(rng: Random, slots: int) -> Bulletin:
    """Most campaigns open, in stock and in budget; `slots` is one more than the highest slot."""
    flags = [np.array([rng.random() < share for _ in range(slots)], np.int8) for share in (0.95, 0.92, 0.92)]
    prices = np.array([rng.choice([0, 0, 500_000, 3_000_000]) for _ in range(slots)], np.int64)
    return Bulletin(flags[0], flags[1], flags[2], prices)


# --- Customers --------------------------------------------------------------------------------------------------------
def start_ms(policy: Policy) -> int:
    """The first instant of traffic: START_DATE in the policy's zone."""
    return wall_ms(policy, START_DATE)


def wall_ms(policy: Policy, day: date, minute: int = 0) -> int:
    clock = datetime.combine(day, time(minute // 60, minute % 60), ZoneInfo(policy.time_zone))
    return (clock - EPOCH) // timedelta(milliseconds=1)


def random_customers(rng: Random, n: int, policy: Policy) -> np.ndarray:
    """CUSTOMER[n] just before START_DATE; the customer's id is the row."""
    customers = records(n, CUSTOMER)
    for row in range(n):
        random_customer(rng, customers[row], start_ms(policy))
    for row in range(min(n, FAVOURITES)):  # who may be shown everything
        customers[row].birth_date, customers[row].consent = 19_900_412, 0b11111
        customers[row]["marks"] &= Flag.CARD_ACTIVE | Flag.CARD_USED
    return customers


def random_customer(rng: Random, customer: Any, start: int) -> None:
    customer.latest_ms = start - rng.randint(0, DAY_MS)
    customer.joined_ms = start - rng.randint(1, 90) * DAY_MS
    customer.login_ms = start - rng.randint(1, 5) * DAY_MS
    customer.purchase_ms = LONG_AGO_MS
    customer.balance = rng.choice([0, 999, 1_000, 10_000, 500_000])
    customer.points = rng.choice([0, 99, 100, 5_000, 5_000])
    customer.points_expire_ms = start + rng.randint(-1, 8) * DAY_MS + rng.choice([-1, 0, 1])
    customer.tags = rng.getrandbits(len(TAGS))
    customer.birth_date = random_birth_date(rng)
    customer.home_city = rng.randint(NONE, len(CITIES) - 1)
    customer.gender = rng.randint(0, 1)
    customer.tier = rng.randrange(len(TIERS))
    customer["marks"] = random_flags(rng)
    customer.consent = rng.getrandbits(5) | rng.getrandbits(5) & ~1
    random_purchases(rng, customer, start)


def random_birth_date(rng: Random) -> int:
    """Some come of age while traffic runs, some on a 29 February."""
    year = START_DATE.year - rng.choice([18, 20, 25, 25, 30, 40, 60, 60])
    day = date(year, 1, 1) + timedelta(days=rng.randint(55, 140))
    return rng.choice([day.year * 10_000 + day.month * 100 + day.day, (year - 2) * 10_000 + 229, 19_900_412])


def random_flags(rng: Random) -> int:
    chances = {
        Flag.CARD_ACTIVE: 0.6, Flag.CARD_USED: 0.3, Flag.PERSONALISATION_OFF: 0.1, Flag.LIKELY_MINOR: 0.05,
        Flag.BLOCKED: 0.05, Flag.HIGH_RISK: 0.1,
    }  # fmt: skip
    return sum(flag for flag, chance in chances.items() if rng.random() < chance)


def random_purchases(rng: Random, customer: Any, start: int) -> None:
    """A history of weeks, some of it about to leave the window, some at the counters' ends."""
    week = (START_DATE - FIRST_MONDAY).days // 7 - rng.choice([0, 0, 0, 1, 5, 14])
    customer.week = week
    if rng.random() < 0.5:
        return
    for slot in [week % WEEKS, *rng.sample(range(WEEKS), rng.choice([0, 3]))]:
        customer.week_purchases[slot] = rng.choice([1, 2, 126, 127])
        customer.week_spend[slot] = rng.choice([9_999, 50_000, 2**31 - 2])
    customer.purchases = int(sum(customer.week_purchases.tolist()))
    customer.purchase_ms = start - rng.randint(1, 20) * DAY_MS


# --- Events -----------------------------------------------------------------------------------------------------------
KIND_WEIGHTS: dict[EventKind, float] = {
    EventKind.PAGE_VIEW: 40, EventKind.PAGE_DWELL: 8, EventKind.PAGE_LEAVE: 3, EventKind.SLOT_VIEW: 12,
    EventKind.LOGIN: 4, EventKind.PAYMENT: 5, EventKind.TOP_UP: 2, EventKind.CARD_BOUND: 1, EventKind.BALANCE_QUERY: 2,
    EventKind.BILL_VIEWED: 2, EventKind.FEATURE_USED: 2, EventKind.REGISTER: 1, EventKind.MOMENT: 5,
    EventKind.CLICK: 2, EventKind.CLOSE: 6, EventKind.MUTE: 0.4, EventKind.SNOOZE: 3, EventKind.COMPLAINT: 1,
    EventKind.NOT_SHOWN: 4, EventKind.CONSENT_GIVEN: 1, EventKind.CONSENT_WITHDRAWN: 0.6,
    EventKind.PERSONALISATION_ON: 1, EventKind.PERSONALISATION_OFF: 0.4, EventKind.NO_EVENT: 0.3,
}  # fmt: skip
# Some customers do one thing a great deal, so that what a customer can remember of it overflows.
MOODS: tuple[dict[EventKind, float], ...] = (
    {}, {}, {EventKind.SNOOZE: 40},
    {EventKind.PAGE_LEAVE: 15, EventKind.PAGE_DWELL: 40, EventKind.CLOSE: 12}, {EventKind.PAYMENT: 20},
    {EventKind.SLOT_VIEW: 60},
    {EventKind.CLOSE: 40, EventKind.CLICK: 10}, {EventKind.NOT_SHOWN: 10, EventKind.LOGIN: 10},
)  # fmt: skip
REACTIONS = (
    EventKind.CLICK, EventKind.CLOSE, EventKind.MUTE, EventKind.SNOOZE, EventKind.COMPLAINT, EventKind.NOT_SHOWN,
)  # fmt: skip
ON_THE_PAGE = (EventKind.PAGE_DWELL, EventKind.PAGE_LEAVE, EventKind.SLOT_VIEW, *REACTIONS)
GOAL_KINDS = {"first_use": "payment"}  # the engine derives a first use from a payment
AMOUNTS = [1, 100, 4_999, 5_000, 5_001, 20_000, 123_456]
DWELLS_MS = [1, 2_999, 3_000, 3_001, 4_999, 5_000, 60_000]
SEEN_FIELDS = ("exposure", "campaign", "time_ms", "page_view", "sequence")
PAGE_STRIDE = 1_000_000  # page view ids do not repeat between customers


@dataclass
class Person:
    """What the generator knows of one customer."""

    customer: int
    latest_ms: int
    sequence: int = 0
    page: int = 0
    page_view: int = 0
    page_views: int = 0
    seen: deque[dict[str, int]] = field(default_factory=lambda: deque(maxlen=80))  # exposures and ghosts, as decided
    edges_ms: list[int] = field(default_factory=list)  # instants of this customer's own at which a fact changes
    mood: dict[EventKind, float] | None = None
    reacted_ms: deque[int] = field(default_factory=lambda: deque(maxlen=8))  # times of reactions: rests, snoozes


class Traffic:
    """Interactive traffic: `next_event`, then `observe` what was decided, so that reactions name real exposures."""

    def __init__(self, policy: Policy, slots: dict[str, int], customers: Any) -> None:
        self.policy, self.slots = policy, slots
        self.campaigns = {slot: policy.campaigns[name] for name, slot in slots.items()}
        self.people = [person_of(row, customers[row]) for row in range(len(customers))]
        self.active: Person = self.people[0]
        self.last_ms = wall_ms(policy, END_DATE) - 1
        self.spans_ms = spans_ms(policy)
        self.edge_minutes = edge_minutes(policy)
        self.window_edges_ms = window_edges_ms(policy)

    def next_event(self, rng: Random) -> Any:
        """One EVENT record, to be decided before the next is asked for."""
        if rng.random() < 0.3:
            self.active = rng.choice(self.people if rng.random() < 0.5 else self.people[:FAVOURITES])
        person = self.active
        if rng.random() < 0.02 or person.mood is None:
            person.mood = rng.choice(MOODS)
        kind = self.next_kind(rng, person)
        event = records(1, EVENT)[0]
        event.kind, event.customer, event.sequence = kind, person.customer, person.sequence
        event.time_ms = self.next_ms(rng, person, kind)
        self.fill(rng, event, person, kind)
        if person.seen and kind not in REACTIONS and rng.random() < 0.4:
            self.aim(rng, event, person)
        person.sequence += 1
        person.latest_ms = max(person.latest_ms, int(event.time_ms))
        return event

    def observe(self, decision: Any, ghosts: Any = ()) -> None:
        """Learn what became of the last event; records or mappings with DECISION's fields."""
        for row in (*ghosts, decision):
            fields = row if isinstance(row, dict) else {name: row[name] for name in row.dtype.names}
            if int(fields["exposure"]) != NONE:
                known = {name: int(fields[name]) for name in SEEN_FIELDS}
                if all(known["exposure"] != seen["exposure"] for seen in self.people[int(fields["customer"])].seen):
                    self.people[int(fields["customer"])].seen.append(known)

    def next_kind(self, rng: Random, person: Person) -> EventKind:
        """Of every customer's events a mixture; what was just shown is often reacted to at once."""
        just_shown = bool(person.seen) and person.seen[-1]["sequence"] == person.sequence - 1
        kinds = REACTIONS if just_shown and rng.random() < 0.4 else tuple(KIND_WEIGHTS)
        weights = KIND_WEIGHTS | (person.mood or {})
        return rng.choices(kinds, [weights[kind] for kind in kinds])[0]

    # time
    def next_ms(self, rng: Random, person: Person, kind: EventKind) -> int:
        now = person.latest_ms
        draw = rng.random()
        if draw < 0.04:
            return now - rng.choice([1, SECOND_MS, HOUR_MS, 3 * DAY_MS])  # late
        if kind == EventKind.NOT_SHOWN and person.seen and draw < 0.5:
            return max(now, person.seen[-1]["time_ms"] + NOT_SHOWN_WITHIN_MS + rng.choice([-1, 0]))
        if draw < 0.35:
            return self.within_horizon(self.edge_ms(rng, person))
        if kind in ON_THE_PAGE:
            return self.within_horizon(now + rng.choice([0, 1, 3 * SECOND_MS, 5 * SECOND_MS, MINUTE_MS]))
        steps = [0, 1, SECOND_MS, MINUTE_MS, 10 * MINUTE_MS, HOUR_MS, 5 * HOUR_MS]
        return self.within_horizon(now + rng.choice(steps) + rng.choice([0, rng.randrange(HOUR_MS)]))

    def within_horizon(self, time_ms: int) -> int:
        return min(time_ms, self.last_ms)

    def edge_ms(self, rng: Random, person: Person) -> int:
        """A near instant at which a rule may change its mind, or a millisecond beside it."""
        now = person.latest_ms
        draw = rng.random()
        if draw < 0.6:
            bases = [seen["time_ms"] for seen in list(person.seen)[-4:]] + list(person.reacted_ms)[-3:]
            edges = [base + span for base in bases for span in self.spans_ms]
        elif draw < 0.85:
            today = (EPOCH + timedelta(milliseconds=now)).astimezone(ZoneInfo(self.policy.time_zone)).date()
            edges = [
                wall_ms(self.policy, today + timedelta(days=days), m) for days in (0, 1) for m in self.edge_minutes
            ]
        else:
            edges = self.window_edges_ms + person.edges_ms
        near = [edge + beside for edge in edges for beside in (-1, 0, 1) if now <= edge + beside <= now + 2 * DAY_MS]
        return rng.choice(near) if near else now

    # another try of what was just seen
    def aim(self, rng: Random, event: Any, person: Person) -> None:
        """Trigger a campaign seen before again, or do what it is for, when one of its own rules changes its mind."""
        seen = rng.choice(list(person.seen)[-3:])
        campaign = self.campaigns[seen["campaign"]]
        if rng.random() < 0.25:
            event.kind, spans = EventKind[GOAL_KINDS.get(campaign.goal.event, campaign.goal.event).upper()], [0]
            spans += [campaign.goal.window]
        else:
            self.trigger(rng, event, person, campaign)
            spans = own_spans_ms(self.policy, campaign)
        bases = [seen["time_ms"], *list(person.reacted_ms)[-2:]]
        times = [base + span + beside for base in bases for span in spans for beside in (-1, 0, 1)]
        near = [at for at in times if person.latest_ms <= at <= min(person.latest_ms + 3 * DAY_MS, self.last_ms)]
        event.time_ms = rng.choice(near) if near else event.time_ms

    def trigger(self, rng: Random, event: Any, person: Person, campaign: Campaign) -> None:
        trigger = campaign.trigger
        event.kind = EventKind.PAGE_DWELL if trigger.dwell else EventKind[trigger.on.upper()]
        event.dwell_ms = trigger.dwell or 0
        if trigger.moment is not None:
            event.moment = list(self.policy.moments).index(trigger.moment)
            return
        person.page = PAGES.index(rng.choice(trigger.pages or PAGES))
        person.page_views += 1
        person.page_view = person.customer * PAGE_STRIDE + person.page_views
        event.page, event.page_view = person.page, person.page_view

    # fields
    def fill(self, rng: Random, event: Any, person: Person, kind: EventKind) -> None:
        event.campaign = event.channel = event.moment = event.page = event.exposure = event.ask = event.origin = NONE
        event.city = rng.randint(NONE, len(CITIES) - 1)
        event.amount = rng.choice([*AMOUNTS, rng.randrange(1, 10_000)]) if has_amount(kind) or rng.random() < 0.1 else 0
        if kind == EventKind.MOMENT:
            event.moment = rng.randrange(len(self.policy.moments))
            return
        self.fill_page(rng, event, person, kind)
        if kind == EventKind.PAGE_DWELL:
            event.dwell_ms = rng.choice(DWELLS_MS)
        elif kind in REACTIONS:
            self.fill_reaction(rng, event, person)
        elif kind in (EventKind.CONSENT_GIVEN, EventKind.CONSENT_WITHDRAWN):
            event.channel = rng.choice([Channel.PUSH, Channel.SMS, Channel.EMAIL, Channel.VOICE])

    def fill_page(self, rng: Random, event: Any, person: Person, kind: EventKind) -> None:
        if kind == EventKind.PAGE_VIEW and rng.random() < 0.9:
            person.page = rng.choice([NONE, *range(len(PAGES)), 0, 0, 0])
            person.page_views += 1
            person.page_view = person.customer * PAGE_STRIDE + person.page_views
        event.page, event.page_view = person.page, person.page_view
        if rng.random() < (0.4 if kind in (EventKind.PAGE_LEAVE, EventKind.PAGE_DWELL) else 0.1):
            event.page_view = self.other_page_view(rng, person)

    def other_page_view(self, rng: Random, person: Person) -> int:
        """None, or one of the last few: some of them are just forgotten."""
        back = rng.randint(0, 8)
        number = person.page_views - back + 1
        return 0 if back == 0 or number < 1 else person.customer * PAGE_STRIDE + number

    def fill_reaction(self, rng: Random, event: Any, person: Person) -> None:
        person.reacted_ms.append(int(max(event.time_ms, person.latest_ms)))
        if not person.seen or rng.random() < 0.05:
            event.exposure, event.campaign = rng.randint(-1, 70), rng.choice(list(self.slots.values()))
            return
        seen = person.seen[-1] if rng.random() < 0.6 else rng.choice(person.seen)
        event.exposure, event.campaign = seen["exposure"], seen["campaign"]
        if rng.random() < 0.03:
            event.campaign = rng.choice(list(self.slots.values()))
        if rng.random() < 0.5:
            event.page_view = seen["page_view"]
        elif rng.random() < 0.4:
            event.page_view = self.other_page_view(rng, person)


def person_of(row: int, customer: Any) -> Person:
    person = Person(row, int(customer.latest_ms))
    person.edges_ms = [int(customer.points_expire_ms), int(customer.joined_ms) + 30 * DAY_MS]
    return person


def has_amount(kind: EventKind) -> bool:
    return kind in (EventKind.PAYMENT, EventKind.TOP_UP)


def own_spans_ms(policy: Policy, campaign: Campaign) -> list[int]:
    """The durations that decide when this campaign may be shown again."""
    channel = policy.fatigue.channels.get(campaign.channel)
    caps = [*campaign.frequency.caps, *policy.fatigue.caps, *(channel.caps if channel else [])]
    back_off = policy.fatigue.back_off
    rests = [back_off.rest * factor for factor in (1, 2, 3, 4, 8)] if back_off else []
    rolling = [cap.per for cap in caps if not isinstance(cap.per, str)]
    return [campaign.frequency.cool_down, campaign.remind_after, *rests, *rolling]


def spans_ms(policy: Policy) -> list[int]:
    """Every duration of the policy up to two days: gaps worth hitting exactly."""
    spans = {NOT_SHOWN_WITHIN_MS, DAY_MS}
    for campaign in policy.campaigns.values():
        spans |= {campaign.goal.window, *own_spans_ms(policy, campaign)}
    return sorted(span for span in spans if 0 < span <= 2 * DAY_MS)


def edge_minutes(policy: Policy) -> list[int]:
    quiet = policy.fatigue.quiet_hours
    return [0] + ([quiet.from_, quiet.until] if quiet else [])


def window_edges_ms(policy: Policy) -> list[int]:
    windows = [campaign.window for campaign in policy.campaigns.values()]
    return [wall_ms(policy, day) for window in windows for day in (window.from_, window.until) if day is not None]


def random_events(rng: Random, customers: Any, policy: Policy, n: int, slots: dict[str, int] | None = None) -> Any:
    """EVENT[n] without an engine to watch: reactions guess exposure numbers. Slots default to declaration order."""
    slots = slots or {name: number for number, name in enumerate(policy.campaigns)}
    traffic = Traffic(policy, slots, customers)
    events = records(n, EVENT)
    for row in range(n):
        events[row] = traffic.next_event(rng)
        traffic.observe(guessed_decision(rng, events[row], slots, traffic.active))
    return events


def guessed_decision(rng: Random, event: Any, slots: dict[str, int], person: Person) -> dict[str, int]:
    """A decision as an engine might have made it: now and then something was shown."""
    shown = event.kind in (EventKind.PAGE_VIEW, EventKind.PAGE_DWELL, EventKind.SLOT_VIEW) and rng.random() < 0.3
    return {
        "customer": int(event.customer),
        "exposure": person.seen[-1]["exposure"] + 1 if shown and person.seen else 0 if shown else NONE,
        "campaign": rng.choice(list(slots.values())),
        "time_ms": person.latest_ms,
        "page_view": int(event.page_view),
        "sequence": int(event.sequence),
    }
