"""Explains one customer of a run: lives the run again for that customer alone, with the reference engine.

Between settlements customers are independent, so one customer alone meets the very same decisions; the digest of the
decisions says so when the run was recorded.
"""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np

from engine.coupon_records import Inbox
from engine.policy.document import Policy
from engine.policy.quantities import duration_text, yuan_text
from engine.records import CONSENT_CHANNELS, DECISION, NEVER_MS, NONE, Channel, EventKind, Flag, Reason, records
from engine.reference import GENDERS, Answer, Reference
from results.words import channel, reason
from scenarios.build import model_of
from scenarios.calendar import calendar_of
from scenarios.exits import UsageError
from scenarios.explain_coupons import Note, coupon_words, customer_notes, summary
from scenarios.explain_evidence import Evidence, Witness
from scenarios.explain_levels import FAMILIES, LEVELS, customer_lines, customer_view
from scenarios.explain_recorded import RecordedLife
from scenarios.load import LoadedScenario, Options, load_scenario, plan_of
from scenarios.run_folder import existing_run, recorded_run
from scenarios.worker import RunPlan
from sim.cohort import Cohort
from sim.slow import SlowWorld

# What a customer did, in words. Page views, dwells and leaves are told only where a message could have been shown.
EVENTS = {
    EventKind.LOGIN: "logged in",
    EventKind.PAGE_VIEW: "opened {page}",
    EventKind.PAGE_DWELL: "stayed {dwell} on {page}",
    EventKind.PAGE_LEAVE: "left {page}",
    EventKind.SLOT_VIEW: "saw a place for content on {page}",
    EventKind.BALANCE_QUERY: "looked at the balance",
    EventKind.BILL_VIEWED: "viewed the bill",
    EventKind.PAYMENT: "paid {amount} yuan",
    EventKind.TOP_UP: "topped up {amount} yuan",
    EventKind.CARD_BOUND: "bound a card",
    EventKind.FEATURE_USED: "used the feature",
    EventKind.REGISTER: "joined",
    EventKind.INSTALMENT: "took an instalment plan",
    EventKind.CLAIM: "claimed a coupon",
    EventKind.CHECKOUT: "asked what the cart costs",
    EventKind.ORDER: "ordered",
    EventKind.CANCEL: "cancelled an order",
    EventKind.REFUND: "sent something back",
    EventKind.TRANSFER: "passed a coupon on",
    EventKind.CLICK: "clicked {campaign}",
    EventKind.CLOSE: "closed {campaign}",
    EventKind.MUTE: "said “don't show again” to {campaign}",
    EventKind.SNOOZE: "said “remind me later” to {campaign}",
    EventKind.COMPLAINT: "complained about {campaign}",
    EventKind.NOT_SHOWN: "did not get to see {campaign}",
    EventKind.MOMENT: "calendar: {moment}",
    EventKind.CONSENT_GIVEN: "gave consent",
    EventKind.CONSENT_WITHDRAWN: "withdrew consent",
    EventKind.PERSONALISATION_ON: "switched personalisation on",
    EventKind.PERSONALISATION_OFF: "switched personalisation off",
    EventKind.LOGIN_FAILED: "failed to log in",
    EventKind.PAYMENT_DECLINED: "had a payment declined",
    EventKind.REDEEM: "used a coupon by hand",
    EventKind.CHECK_IN: "checked in",
    EventKind.MONEY_TRANSFER: "sent {amount} yuan to somebody",
    EventKind.GROUP_JOIN: "joined a group buy",
    EventKind.CHALLENGE_PASSED: "passed a challenge",
}
UNTOLD = (EventKind.LOGIN, EventKind.PAGE_VIEW, EventKind.PAGE_DWELL, EventKind.PAGE_LEAVE, EventKind.SLOT_VIEW,
          EventKind.MOMENT)  # fmt: skip
REACTIONS = {
    EventKind.CLICK: "clicked", EventKind.CLOSE: "closed", EventKind.MUTE: "muted", EventKind.SNOOZE: "snoozed",
    EventKind.COMPLAINT: "complained about",
}  # fmt: skip
PHASES = {
    "before": "Before the campaign, under the baseline",
    "campaign": "The campaign",
    "after": "After the campaign",
}


class Paused:
    """A bulletin in which some campaigns are paused."""

    def __init__(self, slots: int, paused: tuple[int, ...]) -> None:
        self.open = np.array([slot not in paused for slot in range(slots)], np.int8)
        self.in_stock = self.in_budget = np.ones(slots, np.int8)
        self.pacing_price = np.zeros(slots, np.int64)


@dataclass(frozen=True)
class Met:
    """One event of a customer, as EVENT fields, the engine's answer, and what an auditor is told of each candidate."""

    event: dict[str, int]
    answer: Answer
    evidence: dict[int, Evidence] = field(default_factory=dict)


class Narrator:
    """Decides by the reference and keeps what it said."""

    def __init__(self, engine: Reference, bulletin: Paused) -> None:
        self.engine, self.bulletin = engine, bulletin
        self.met: list[Met] = []

    def decide(self, events: np.ndarray, inbox: Inbox) -> tuple[np.ndarray, np.ndarray]:
        assert len(events) == 1
        answer = self.engine.decide(events[0], self.bulletin)
        evidence = self.engine.evidence if isinstance(self.engine, Witness) else {}
        self.met.append(Met({name: int(events[0][name]) for name in events.dtype.names or ()}, answer, evidence))
        return as_records([answer.decision]), as_records(answer.ghosts)


def as_records(rows: list[dict[str, int]]) -> np.ndarray:
    table = records(len(rows), DECISION)
    for record, row in zip(table, rows, strict=True):
        for name, value in row.items():
            record[name] = value
    return table


def narrated(plan: RunPlan, customer: int, loaded: LoadedScenario) -> list[Answer]:
    """Every answer one customer got, in order."""
    return [met.answer for met in lived(plan, customer, loaded)[1]]


def lived(
    plan: RunPlan, customer: int, loaded: LoadedScenario, engine_kind: type[Reference] = Reference
) -> tuple[np.record, list[Met]]:
    """What is known of one customer at the run's start (CUSTOMER), and every event with its answer."""
    stream = (plan.seed, plan.replication)
    size = len(plan.policy.tables.campaigns)
    cohort = Cohort(customer, 1, model_of(plan.population, plan.baseline, plan.spans, stream), plan.spans)
    slots = dict(plan.policy.registry.slots)

    def engine_of(policy: Policy) -> Reference:
        return engine_kind(policy, {name: slots[name] for name in policy.campaigns}, plan.replication)

    profile = cohort.profiles[0]
    engine = engine_of(loaded.baseline)
    engine.add(customer, profile)
    narrator = Narrator(engine, Paused(size, plan.paused_before))
    slow = SlowWorld(cohort, narrator.decide, calendar_of(plan).moments)
    slow.advance(plan.spans.launch)
    if loaded.baseline is not loaded.policy:
        tested = engine_of(loaded.policy)
        tested.customers = engine.customers
        narrator.engine = tested
    narrator.bulletin = Paused(size, ())
    cohort.adopt(model_of(plan.population, plan.policy, plan.spans, stream))
    cohort.launch()
    slow.advance(plan.spans.campaign_end)
    narrator.bulletin = Paused(size, plan.paused_after)
    slow.advance(plan.spans.end)
    return profile, narrator.met


def load_run(folder: Path) -> tuple[LoadedScenario, dict[str, Any]]:
    """The scenario of a run, from the copies in its folder, with the options it was run with."""
    manifest = existing_run(folder).manifest
    inputs = folder / "inputs"
    given = {name: manifest[name] for name in ("customers", "days", "before", "after", "seed", "set")}
    options = Options(**given)
    return load_scenario(inputs / "scenario.yaml", options, inputs), manifest


def explanation(folder: Path, customer: int, level: str = "support") -> dict[str, Any]:
    """Everything one customer met and did, in order, as far as a level tells it (DESK, the law 9).

    support: every candidate of every event with its reason; auditor: with what was compared; customer: categories.
    Raises UsageError where the folder is no run or has no such customer, DocumentError where its inputs are broken.
    """
    if level not in LEVELS:
        raise UsageError(f"--level must be one of {', '.join(LEVELS)} (got {level})")
    loaded, manifest = load_run(folder)
    if not 0 <= customer < manifest["customers"]:
        raise UsageError(f"--customer must be between 0 and {manifest['customers'] - 1} (got {customer})")
    plan = plan_of(loaded, replication=manifest["replication"])
    engine_kind = Witness if level == "auditor" else Reference
    notes: list[Note] = []
    if plan.shares:
        profile, met, notes = lived_with_others(folder, plan, customer, loaded, engine_kind)
    else:
        profile, met = lived(plan, customer, loaded, engine_kind)
    teller = Teller(plan, loaded, level)
    if level == "customer":
        view = customer_view([one.answer for one in met], personal_slots(plan), loaded.policy.provider)
        refused = any(note.fraud and note.what in ("refused", "not_done") for note in notes)
        view["appeal"] = loaded.policy.fraud.appeal if refused else None
        return {**view, "coupons": customer_notes(notes, coupon_texts(loaded), teller.clock)} if plan.shares else view
    history = [teller.told(one) for one in met if teller.is_told(one)]
    outcomes = Counter(row["reason"] for row in history)
    reactions = Counter(row["event"] for row in history)
    return {
        "level": level,
        **{name: manifest[name] for name in ("policy", "baseline", "seed", "digest") if level == "auditor"},
        "run_id": manifest["run_id"],
        "scenario": manifest["scenario"],
        "customer": customer,
        "profile": teller.profile(profile),
        "events": len(met),
        "could_have_shown": sum(bool(row["candidates"]) for row in history),
        "shown": outcomes["shown"],
        "held_out": sum("held_out" in row["candidates"].values() for row in history),
        "reactions": {kind.name.lower(): reactions[kind.name.lower()] for kind in REACTIONS},
        "history": history,
        **(
            {"coupons": [teller.noted(note) for note in notes], "coupon_summary": summary(notes)} if plan.shares else {}
        ),
    }


def lived_with_others(
    folder: Path, plan: RunPlan, customer: int, loaded: LoadedScenario, engine_kind: type[Reference]
) -> tuple[np.record, list[Met], list[Note]]:
    """As `lived`, and what became of coupons: from the recording, where customers share stock or a budget."""
    life = RecordedLife(recorded_run(folder), plan, loaded, customer, engine_kind)
    met = []
    for event, answer in life.lived():
        evidence = life.engine.evidence if isinstance(life.engine, Witness) else {}
        met.append(Met(event, answer, evidence))
    return life.profile, met, life.notes


def coupon_texts(loaded: LoadedScenario) -> dict[str, str]:
    """What stands on a coupon, by name."""
    coupons = loaded.baseline.coupons | loaded.policy.coupons
    return {name: f"“{coupon.text}”" for name, coupon in coupons.items() if coupon.text}


def personal_slots(plan: RunPlan) -> dict[int, bool]:
    """Which campaigns read facts about the customer."""
    tables = (plan.baseline.tables.campaigns, plan.policy.tables.campaigns)
    return {slot: any(bool(table[slot]["personal"]) for table in tables) for slot in range(len(tables[0]))}


class Teller:
    """Turns numbers into the names of a policy."""

    def __init__(self, plan: RunPlan, loaded: LoadedScenario, level: str) -> None:
        self.level = level
        self.spans, self.names = plan.spans, loaded.policy.names
        self.campaigns = {slot: name for name, slot in plan.policy.registry.slots.items()}
        self.moments = list(loaded.policy.moments)
        self.baseline_moments = list(loaded.baseline.moments)
        self.zone = ZoneInfo(loaded.policy.time_zone)

    def is_told(self, met: Met) -> bool:
        """Whether a message could have been shown, or the customer did something that matters."""
        decision = met.answer.decision
        return bool(met.answer.reasons) or decision["credited"] != NONE or decision["kind"] not in UNTOLD

    def phase(self, time_ms: int) -> str:
        if time_ms < self.spans.launch:
            return "before"
        return "campaign" if time_ms < self.spans.campaign_end else "after"

    def clock(self, time_ms: int) -> str:
        return datetime.fromtimestamp(time_ms / 1000, self.zone).isoformat(timespec="seconds")

    def noted(self, note: Note) -> dict[str, Any]:
        until = note.until_ms if note.until_ms is not None and note.until_ms < NEVER_MS else None
        return {
            "at": self.clock(note.at_ms), "phase": self.phase(note.at_ms), "what": note.what, "coupon": note.coupon,
            "answer": note.answer, "until": None if until is None else self.clock(until), "amounts": note.amounts,
            "numbers": note.numbers, "coupons": note.coupons, "fraud": self.judged(note),
        }  # fmt: skip

    def judged(self, note: Note) -> dict[str, Any] | None:
        """What fraud rules said, as far as the level is told: support knows the family."""
        if note.fraud is None or self.level == "auditor":
            return note.fraud
        return {"family": note.fraud["family"]} if note.fraud["rule"] else None

    def told(self, met: Met) -> dict[str, Any]:
        event, decision = met.event, met.answer.decision
        return {
            "at": self.clock(decision["time_ms"]),
            "phase": self.phase(decision["time_ms"]),
            "event": EventKind(decision["kind"]).name.lower(),
            "did": self.did(event),
            "page": name_of(self.names.pages, decision["page"]),
            "campaign": self.campaigns.get(decision["campaign"]),
            "channel": Channel(decision["channel"]).name.lower() if decision["channel"] != NONE else None,
            "reason": Reason(decision["reason"]).name.lower(),
            "counts_for": self.campaigns.get(decision["credited"]),
            "candidates": {self.campaigns[slot]: Reason(r).name.lower() for slot, r in met.answer.reasons.items()},
            "families": {self.campaigns[slot]: FAMILIES[Reason(r)] for slot, r in met.answer.reasons.items()},
            "evidence": {self.campaigns[slot]: vars(compared) for slot, compared in met.evidence.items()},
        }

    def did(self, event: Mapping[str, int]) -> str:
        """The event in words."""
        moments = self.baseline_moments if event["time_ms"] < self.spans.launch else self.moments
        return EVENTS[EventKind(event["kind"])].format(
            page=name_of(self.names.pages, event["page"]) or "the app",
            dwell=duration_text(event["dwell_ms"]),
            amount=yuan_text(event["amount"]),
            campaign=self.campaigns.get(event["campaign"], "a message"),
            moment=name_of(moments, event["moment"]),
        )

    def profile(self, profile: np.record) -> dict[str, Any]:
        """What the engine knew of the customer at the start."""
        marks, names = int(profile.marks), self.names
        start = datetime.fromtimestamp(self.spans.start / 1000, self.zone)
        return {
            "gender": GENDERS[int(profile.gender)],
            "age": (start.year * 10_000 + start.month * 100 + start.day - int(profile.birth_date)) // 10_000,
            "home_city": name_of(names.cities, int(profile.home_city)),
            "tier": name_of(names.tiers, int(profile.tier)),
            "tags": [tag for number, tag in enumerate(names.tags) if int(profile.tags) >> number & 1],
            "consents": [kind.name.lower() for kind in CONSENT_CHANNELS if int(profile.consent) >> kind & 1],
            "marks": [flag.name.lower() for flag in Flag if marks & flag],
            "purchases": int(profile.purchases),
        }


def name_of(names: Sequence[str], number: int) -> str | None:
    return names[number] if 0 <= number < len(names) else None


# --- as text ----------------------------------------------------------------------------------------------------------
def lines_of(found: Mapping[str, Any]) -> Iterator[str]:
    """An explanation as lines to read."""
    if found["level"] == "customer":
        yield from customer_lines(found)
        return
    yield f"Customer {found['customer']} of {found['run_id']}: {profile_words(found['profile'])}."
    yield summary_words(found)
    if found["level"] == "auditor":
        policies = f"policy {found['policy']}, before launch {found['baseline']}"
        yield f"Decided again by the reference engine: {policies}, seed {found['seed']}, digest {found['digest']}."
    if not found["could_have_shown"]:
        yield "No event of this customer could have shown a message: none was a campaign's trigger."
    width = max((len(name) for row in found["history"] for name in row["candidates"]), default=0)
    phase = ""
    for row in found["history"]:
        if row["phase"] != phase:
            phase = row["phase"]
            yield f"\n{PHASES[phase]}"
        counted = f"  → the goal of {row['counts_for']}" if row["counts_for"] else ""
        yield f"{row['at'][:10]} {row['at'][11:19]}  {row['did']}{counted}"
        for name in row["candidates"]:
            yield f"{'':19}  {candidate_words(row, name, width)}"
    yield from coupon_history(found)


def coupon_history(found: Mapping[str, Any]) -> Iterator[str]:
    """What became of the customer's coupons, where the policy has any."""
    if "coupons" not in found:
        return
    yield f"\nCoupons: {found['coupon_summary']}"
    for row in found["coupons"]:
        first, *rest = coupon_words(row, found["level"])
        yield f"{row['at'][:10]} {row['at'][11:19]}  {first}"
        yield from (f"{'':19}  {line}" for line in rest)


def candidate_words(row: Mapping[str, Any], name: str, width: int) -> str:
    """One campaign at one moment: what became of it, and for an auditor why."""
    code, compared = row["candidates"][name], row["evidence"].get(name)
    how = f" ({channel(row['channel'])})" if code == "shown" and row["channel"] else ""
    family = "" if row["families"][name] in ("shown", reason(code)) else f"{row['families'][name]}: "
    words = f"{'→' if code == 'shown' else ' '} {name:{width}}  {family}{reason(code)}{how}"
    return words if compared is None else f"{words}: {', '.join(filter(None, compared.values()))}"


def profile_words(profile: Mapping[str, Any]) -> str:
    words = [f"{'a woman' if profile['gender'] == 'female' else 'a man'} of {profile['age']}"]
    words += [f"from {profile['home_city']}"] if profile["home_city"] else []
    words += [f"tier {profile['tier']}"] if profile["tier"] else []
    words += ["card used before" if "card_used" in profile["marks"] else "card never used"]
    words += [mark.replace("_", " ") for mark in profile["marks"] if not mark.startswith("card_")]
    words += [tag.replace("_", " ") for tag in profile["tags"]]
    return ", ".join([*words, f"consents to {' and '.join(map(channel, profile['consents'])) or 'no channel'}"])


def summary_words(found: Mapping[str, Any]) -> str:
    done = [f"{REACTIONS[EventKind[name.upper()]]} {n}" for name, n in found["reactions"].items() if n]
    return (
        f"{found['events']:,} events, {found['could_have_shown']:,} of them could have shown a message: "
        f"{found['shown']} shown, {found['held_out']} held out{''.join(', ' + words for words in done)}."
    )
