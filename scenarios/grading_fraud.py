"""Whether a single feature of accounts would find the fraudsters of the library's population (FIDELITY 4).

Worlds without any rule, so that crews have no reason to hide, and all that was seen of each account after launch.
"""

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import numpy as np

from engine.coupon_records import RECEIPT
from engine.fraud_records import ORIGIN, Agent
from engine.records import DAY_MS, NONE, EventKind
from results.stump import RECALL_MOST, Accounts, Stump, stumps
from scenarios.fraud_outputs import kind_name
from scenarios.grading_population import Fact
from scenarios.load import Options, load_scenario, plan_of
from scenarios.lone_world import LoneWorld
from scenarios.recording import STEP, Recorded, recording_of
from sim.origin_model import FRAUD, Account

SCENARIO = Path(__file__).resolve().parent / "library" / "fraud_shop.scenario.yaml"
WORLDS, CUSTOMERS = 20, 24_000
SHARED = ("device_id", "ip", "card", "address", "code")


def stump_facts(tell: Callable[[float], None], worlds: int = WORLDS, customers: int = CUSTOMERS) -> Iterator[Fact]:
    """One line a feature."""
    found = []
    for number in range(worlds):
        found.append(lived(number, customers))
        tell((number + 1) / worlds)
    for stump in stumps(found):
        wanted = f"by itself finds less than {RECALL_MOST:.0%} of the money, and of at least six of eight kinds"
        yield Fact("one feature, 95 % precise", stump.feature.replace("_", " "), wanted, told(stump), stump.fails)


def told(stump: Stump) -> str:
    if np.isnan(stump.threshold):
        return "no threshold is precise enough"
    most = [kind_name(Account(kind)) for kind, recall in stump.by_kind.items() if recall >= RECALL_MOST]
    return f"{stump.recall:.0%}" + (f", {', '.join(most)} nearly whole" if most else "")


def lived(replication: int, customers: int) -> Accounts:
    """One world without rules."""
    loaded = load_scenario(SCENARIO, Options(customers=customers, set={"policy.fraud": "none"}))
    plan = plan_of(loaded, replication=replication, record=True)
    world = LoneWorld(plan, customers)
    world.run()
    crews = world.adversaries
    assert crews is not None
    seen = [Seen(recording_of(one.recorder).recorded(), plan.spans.launch) for one in (world.worker, crews)]
    joined = np.concatenate([world.worker.shard.customers["joined_ms"], crews.shard.customers["joined_ms"]])
    kinds = np.concatenate([np.zeros(customers, np.int64), crews.kinds])
    return accounts_of(Seen.both(seen), kinds, plan.spans.end - joined)


class Seen:
    """What was seen of everybody after launch, event by event: i8[n] each."""

    def __init__(self, recorded: Recorded, launch_ms: int) -> None:
        events, steps = recorded.events, recorded.steps
        after = events["time_ms"] >= launch_ms
        self.times, self.customers = events["time_ms"][after], events["customer"][after]
        self.kinds = events["kind"][after]
        self.origins = rows_of(recorded.origins, events["origin"], steps, "origins", ORIGIN)[after]
        self.receipts = rows_of(recorded.receipts, events["ask"], steps, "asks", RECEIPT)[after]

    @classmethod
    def both(cls, parts: Sequence["Seen"]) -> "Seen":
        whole = cls.__new__(cls)
        for name in vars(parts[0]):
            setattr(whole, name, np.concatenate([getattr(part, name) for part in parts]))
        return whole


def rows_of(table: np.ndarray, rows: np.ndarray, steps: np.ndarray, counted: str, dtype: np.dtype) -> np.ndarray:
    """The row of each event (of a table whose numbers begin anew with every step); NONE in all fields without one."""
    sizes, lengths = steps[:, STEP.index(counted)], steps[:, STEP.index("events")]
    firsts = np.repeat(np.cumsum(sizes) - sizes, lengths)
    found = np.zeros(len(rows), dtype)
    for name in dtype.names or ():
        found[name] = NONE
    there = np.flatnonzero(rows[: len(firsts)] != NONE)
    found[there] = table[rows[there] + firsts[there]]
    return found


def accounts_of(seen: Seen, kinds: np.ndarray, ages_ms: np.ndarray) -> Accounts:
    """Features of all who did anything, but the persons' own accounts. kinds, ages_ms: i8[accounts]."""
    n, who = len(kinds), seen.customers
    features = {f"accounts on one {field.removesuffix('_id')}": shared(who, seen.origins[field], n) for field in SHARED}
    features |= {f"{field.removesuffix('_id')} used": used(who, seen.origins[field], n) for field in SHARED[:4]}
    counts = {kind: np.bincount(who[seen.kinds == kind], minlength=n).astype(float) for kind in EventKind}
    paid = seen.kinds == EventKind.PAYMENT
    discounts = np.bincount(who[paid], np.maximum(seen.receipts["discount"][paid], 0), n)
    spent = np.bincount(who[paid], np.maximum(seen.receipts["paid"][paid], 0), n)
    claims = counts[EventKind.CLAIM]
    features |= {
        "claims": claims,
        "claims on one day": most_on_a_day(
            who[seen.kinds == EventKind.CLAIM], seen.times[seen.kinds == EventKind.CLAIM], n
        ),
        "claims a payment": claims / np.maximum(counts[EventKind.PAYMENT], 1),
        "few pages a claim": -np.where(claims > 0, counts[EventKind.PAGE_VIEW] / np.maximum(claims, 1), np.inf),
        "log-ins": counts[EventKind.LOGIN],
        "orders": counts[EventKind.ORDER],
        "discounts": discounts,
        "discounts of spend": discounts / np.maximum(spent + discounts, 1),
        "events by a script": np.bincount(who[seen.origins["agent"] == Agent.SCRIPT], minlength=n).astype(float),
        "young account": -ages_ms.astype(float),
    }
    active = (np.bincount(who, minlength=n) > 0) & (kinds != Account.OWN)
    money = np.where(np.isin(kinds, FRAUD), discounts, 0.0)
    return Accounts({name: values[active] for name, values in features.items()}, kinds[active], money[active])


def pairs(who: np.ndarray, values: np.ndarray) -> np.ndarray:
    """Which customer was seen with which value, each once: i8[2, n]."""
    known = values != NONE
    return np.unique(np.stack([values[known], who[known]]), axis=1)


def shared(who: np.ndarray, values: np.ndarray, n: int) -> np.ndarray:
    """How many accounts were seen with a thing of theirs, at most."""
    found = pairs(who, values)
    _, thing, accounts = np.unique(found[0], return_inverse=True, return_counts=True)
    most = np.zeros(n)
    np.maximum.at(most, found[1], accounts[thing])
    return most


def used(who: np.ndarray, values: np.ndarray, n: int) -> np.ndarray:
    """How many different things an account was seen with."""
    return np.bincount(pairs(who, values)[1], minlength=n).astype(float)


def most_on_a_day(who: np.ndarray, times: np.ndarray, n: int) -> np.ndarray:
    (_, accounts), counts = np.unique(np.stack([times // DAY_MS, who]), axis=1, return_counts=True)
    most = np.zeros(n)
    np.maximum.at(most, accounts, counts)
    return most
