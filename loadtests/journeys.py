"""What a scenario's people and rings do, as steps that a service is asked to take, in the order they did it."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from engine.fraud_records import Agent
from engine.policy.conditions import GENDERS
from engine.policy.tables import CompiledPolicy
from engine.records import CONSENT_CHANNELS, NONE, Channel, EventKind, Flag
from loadtests.generator.profiles import Manners
from loadtests.traffic import lines_of, steps_of
from scenarios.load import Options, load_scenario, plan_of
from scenarios.lone_world import LoneWorld
from scenarios.recording import Recorded, recording_of

DAYS_BEFORE = 0
FEN = 100
NOT_SENT = (EventKind.MOMENT, EventKind.CHALLENGE_PASSED)  # the gateway's own; under a name that only it knows


@dataclass(frozen=True)
class Step:
    """Something a customer does. fields: by the names and in the units of the gateway's bodies."""

    journey: str
    action: str  # decide, claim, checkout, order, pay, cancel, refund, redeem, transfer, events
    customer: int
    fields: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class People:
    """A scenario, lived."""

    policy: Path
    compiled: CompiledPolicy
    profiles: np.ndarray  # CUSTOMER[n], rings included, as it begins
    first_of_rings: int
    recorded: list[Recorded]  # by worker: people, rings

    def __len__(self) -> int:
        return len(self.profiles)

    def journey(self, customer: int) -> str:
        if customer >= self.first_of_rings:
            return "ring"
        return "member" if self.profiles["tier"][customer] > 0 else "shopper"


def lived(scenario: Path, customers: int, days: int, seed: int) -> People:
    """Everything that the scenario's people did, from its first day on. Raises what loading it does."""
    loaded = load_scenario(scenario, Options(customers=customers, days=days, before=DAYS_BEFORE, after=0, seed=seed))
    plan = plan_of(loaded, record=True)
    world = LoneWorld(plan, customers)
    profiles = [world.worker.shard.customers.copy()]
    if world.adversaries is not None:
        profiles.append(world.adversaries.shard.customers.copy())
    world.run()
    recorders = [world.worker.recorder, *([world.adversaries.recorder] if world.adversaries is not None else [])]
    recorded = [recording_of(recorder).recorded() for recorder in recorders]
    policy = loaded.path.parent / str(loaded.scenario.policy)
    return People(policy, plan.policy, np.concatenate(profiles), customers, recorded)


def steps(people: People) -> Iterator[Step]:
    """In order of time; the steps of one customer in theirs."""
    wording = Fields(people)
    for parts in zip(*(steps_of(recorded) for recorded in people.recorded), strict=False):
        found = [(event, part) for part in parts for event in part.events]
        found.sort(key=lambda one: (int(one[0]["time_ms"]), int(one[0]["customer"]), int(one[0]["sequence"])))
        for event, part in found:
            if event["kind"] not in NOT_SENT and (step := wording.step(event, part)) is not None:
                yield step


class Fields:
    """Numbers of records to the names and units of the gateway's bodies."""

    def __init__(self, people: People) -> None:
        self.people, names = people, people.compiled.policy.names
        self.names: dict[str, Sequence[str | None]] = {
            "page": names.pages, "city": names.cities, "category": names.categories, "brand": names.brands,
            "product": names.products, "place": names.places, "tier": names.tiers, "tag": names.tags,
            "campaign": by_number(people.compiled.registry.slots), "coupon": by_number(people.compiled.coupons),
        }  # fmt: skip

    def step(self, event: np.void, part: Recorded) -> Step | None:
        """None of what cannot be sent."""
        kind, customer = EventKind(int(event["kind"])), int(event["customer"])
        ask = part.asks[event["ask"]] if event["ask"] != NONE else None
        if ask is None:
            action, fields = "decide", {"event": kind.name.lower(), **self._behaviour(event)}
        else:
            action, fields = self._asked(kind, event, ask, part)
        if event["origin"] != NONE:
            fields["origin"] = self._origin(part.origins[event["origin"]])
        return Step(self.people.journey(customer), action, customer, fields)

    def _behaviour(self, event: np.void) -> dict[str, Any]:
        fields: dict[str, Any] = {kind: self._name(kind, event[kind]) for kind in ("page", "city", "campaign")}
        fields |= {"page_view": int(event["page_view"]) or None, "dwell_ms": int(event["dwell_ms"]) or None}
        fields["amount"] = yuan(event["amount"]) if event["amount"] else None
        fields["exposure"] = int(event["exposure"]) if event["exposure"] != NONE else None
        channel = Channel(int(event["channel"])) if event["channel"] != NONE else None
        fields["channel"] = channel.name.lower() if channel in CONSENT_CHANNELS else None
        return said(fields)

    def _asked(self, kind: EventKind, event: np.void, ask: np.void, part: Recorded) -> tuple[str, dict[str, Any]]:
        order, number = int(ask["order"]) + 1, int(ask["claim"])
        place = self._name("place", ask["place"])
        match kind:
            case EventKind.CLAIM:
                campaign = self._name("campaign", ask["campaign"])
                return "claim", said({"coupon": self._name("coupon", ask["coupon"]), "campaign": campaign})
            case EventKind.CHECKOUT | EventKind.ORDER:
                lines = [self._line(part.cart_lines[at]) for at in lines_of(ask)]
                fields = said({"lines": lines, "shipping": yuan(ask["shipping"]), "place": place})
                return ("order", fields | {"order": order}) if kind == EventKind.ORDER else ("checkout", fields)
            case EventKind.PAYMENT:
                return "pay", {"order": order, "amount": yuan(event["amount"])}
            case EventKind.CANCEL:
                return "cancel", {"order": order}
            case EventKind.REFUND:
                line = {} if ask["first_line"] == NONE else {"line": int(ask["first_line"])}
                return "refund", {"order": order} | line | ({"pieces": int(ask["pieces"])} if line else {})
            case EventKind.REDEEM:
                return "redeem", said({"number": number, "amount": yuan(event["amount"]), "place": place})
            case EventKind.TRANSFER:
                return "transfer", {"number": number, "to": int(ask["other"])}
        raise AssertionError(f"a {kind.name} asks for nothing")

    def _line(self, line: np.void) -> dict[str, Any]:
        kinds = {kind: self._name(kind, line[kind]) for kind in ("category", "brand", "product")}
        return said({"unit_price": yuan(line["unit_price"]), "quantity": int(line["quantity"]), **kinds})

    def _origin(self, origin: np.void) -> dict[str, Any]:
        known = {"device": "device_id", "card": "card", "address": "address"}
        fields: dict[str, Any] = {
            name: f"{name[0]}-{int(origin[field])}" for name, field in known.items() if origin[field] != NONE
        }
        if origin["ip"] != NONE:
            fields["ip"] = ".".join(str(part) for part in int(origin["ip"]).to_bytes(4, "big"))
        agent = Agent(int(origin["agent"]))
        return fields | ({"agent": agent.name.lower()} if agent != Agent.UNKNOWN else {})

    def _name(self, kind: str, number: Any) -> str | None:
        names = self.names[kind]
        return names[int(number)] if 0 <= number < len(names) else None

    def customer(self, number: int) -> dict[str, Any]:
        """What is known of somebody before anything."""
        row = self.people.profiles[number]
        marks, consent, tags = int(row["marks"]), int(row["consent"]), int(row["tags"])
        return said({
            "customer": number,
            "tier": self._name("tier", row["tier"]),
            "home_city": self._name("city", row["home_city"]),
            "gender": GENDERS[row["gender"]] if 0 <= row["gender"] < len(GENDERS) else None,
            "birth_date": day(int(row["birth_date"])),
            "balance": yuan(row["balance"]),
            "points": int(row["points"]),
            "tags": [name for at, name in enumerate(self.names["tag"]) if tags >> at & 1],
            "consent": [channel.name.lower() for channel in CONSENT_CHANNELS if consent >> channel & 1],
            "card_active": bool(marks & Flag.CARD_ACTIVE),
            "card_used": bool(marks & Flag.CARD_USED),
            "personalisation": not marks & Flag.PERSONALISATION_OFF,
        })  # fmt: skip


def by_number(slots: Any) -> list[str | None]:
    names: list[str | None] = [None] * (max(slots.values(), default=-1) + 1)
    for name, slot in slots.items():
        names[slot] = name
    return names


def said(fields: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in fields.items() if value is not None}


def yuan(fen: Any) -> str:
    return f"{int(fen) // FEN}.{int(fen) % FEN:02d}"


def day(number: int) -> str | None:
    """Of yyyymmdd."""
    return f"{number // 10_000}-{number // 100 % 100:02d}-{number % 100:02d}" if number else None


# --- mix --------------------------------------------------------------------------------------------------------------
@dataclass(frozen=True)
class Mix:
    """What is changed of what people did."""

    hot_customers: float = 0.0  # share of the page views and log-ins that are given to the busiest few
    hot_coupon: float = 0.0  # share of the claims that are for the coupon most claimed
    bulk: float = 0.005  # share of the requests that bring many events at once
    bulk_events: int = 200  # each


HOT_CUSTOMERS = 20
BULK_EVENTS = ("login", "page_view", "page_leave", "balance_query", "bill_viewed")


def mixed(found: list[Step], mix: Mix, manners: Manners, seed: int) -> list[Step]:
    """Steps as they are sent: hot customers, a hot coupon, and bulk between."""
    chance = np.random.Generator(np.random.Philox(seed))
    draws, counts = chance.random((len(found), 2)), np.bincount([step.customer for step in found])
    hot = np.argsort(-counts, kind="stable")[:HOT_CUSTOMERS].tolist()
    claims = [step.fields["coupon"] for step in found if step.action == "claim"]
    coupon = max(sorted(set(claims)), key=claims.count) if claims else ""
    hot_coupon = max(mix.hot_coupon, manners.hot_coupon)
    passive = [step for step in found if step.action == "decide" and step.fields["event"] in BULK_EVENTS]
    out = []
    for number, step in enumerate(found):
        if step.action == "claim" and draws[number, 0] < hot_coupon:
            step = replace(step, fields=step.fields | {"coupon": coupon})
        elif step.action == "decide" and step.fields["event"] in BULK_EVENTS and draws[number, 0] < mix.hot_customers:
            step = replace(step, customer=hot[number % len(hot)])
        out.append(step)
        if passive and draws[number, 1] < mix.bulk / max(1.0 - mix.bulk, 1e-9):
            picks = chance.integers(len(passive), size=mix.bulk_events).tolist()
            events = [{"customer": passive[pick].customer, **passive[pick].fields} for pick in picks]
            out.append(Step("bulk", "events", number, {"events": events}))
    return out
