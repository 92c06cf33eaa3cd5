"""The benchmarks: how fast the engine decides, settles and the world lives, whether size costs, what a customer weighs.

Other work on the machine only ever slows a measurement down, so each takes the best of several turns, taken in turns
with what it is compared to.
"""

import json
import statistics
import subprocess
import sys
import time
from collections.abc import Iterable, Mapping
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np

from engine.host.shard import CustomerShard
from engine.records import CUSTOMER, NONE, as_records
from engine.reference import Answer, Reference
from scenarios import bench_checkout, bench_durable, bench_fraud, bench_recovery
from scenarios.bench_rows import MILLION, Benchmark, Row, kept, reached, say
from scenarios.bench_settle import ledger_seconds, redis_installed, redis_seconds, stampede
from scenarios.bench_worlds import FIRST_USE, HEAVY, Clock, Days, Recorded, live, plan_of, recorded, warm_up
from scenarios.worker import CohortWorker
from sim.slow import SlowWorld, bare_timeouts

ROOT = Path(__file__).resolve().parent.parent
BATCH = 10_000

ENGINE_AIM, ENGINE_FLOOR = 3.0, 1.5  # million decisions a second
SIMULATION_AIM, SIMULATION_FLOOR, BARE_AIM = 20.0, 10.0, 10.0  # times SimPy
SETTLE_AIM = 1.0  # million requests a second
FRAUD_AIM = 0.5  # million judged requests a second
UNHEARD_LIMIT = 1.05  # times the settlement without rules
CHECKOUT_LIMIT, CHECKOUT_P99_LIMIT = 50.0, 1_000.0  # microseconds
PIECES_LIMIT = 1.0  # times a checkout of single pieces
SCALE_LIMIT = 1.20  # times the time per event
MEMORY_LIMIT, WALLETS_LIMIT = 1_000, 2_000  # bytes a customer
HOT_LIMIT = 256  # bytes of a customer that every decision reads


# --- engine -----------------------------------------------------------------------------------------------------------
ENGINE_CUSTOMERS, ENGINE_DAYS = 100_000, 7
ENGINE_TURNS = 5
REFERENCE_CUSTOMERS = 60  # of each turn


def engine() -> Row:
    """Decisions a second of one core: recorded events in batches, against the reference engine."""
    say(f"engine: recording {ENGINE_CUSTOMERS:,} customers under {HEAVY}")
    run = recorded(HEAVY, ENGINE_CUSTOMERS, ENGINE_DAYS)
    fast, slow = [], []
    for turn in range(ENGINE_TURNS):
        fast.append(replay(run))
        slow.append(replay_reference(run, turn * REFERENCE_CUSTOMERS, (turn + 1) * REFERENCE_CUSTOMERS))
        say(f"engine: turn {turn + 1} of {ENGINE_TURNS}: {fast[-1] / MILLION:.2f} M/s, reference {slow[-1]:,.0f}/s")
    rate, reference = max(fast), max(slow)
    events = len(run.events)
    with_candidates = float(np.mean(run.decisions["campaign"] != NONE))
    note = (
        f"{reached(rate / MILLION, 'M/s', ENGINE_AIM, ENGINE_FLOOR)}; "
        f"{len(run.plan.policy.policy.campaigns)} campaigns, {ENGINE_CUSTOMERS:,} customers, "
        f"{events:,} events in order of time, batches of {BATCH:,}; "
        f"{run.candidates / events:.2f} candidates an event, {with_candidates:.0%} of events have one; "
        f"digest as simulated; turns {min(fast) / MILLION:.2f}–{max(fast) / MILLION:.2f}"
    )
    return Row(rate, "decisions/s on one core", f"reference engine, {reference:,.0f}/s", rate / reference, note)


def replay(run: Recorded) -> float:
    """Decisions a second of a fresh shard, which must end as the recorded one did."""
    policy, clock = run.plan.policy, Clock()
    shard = CustomerShard(0, len(run.profiles), policy.tables, policy.registry.slots)
    shard.customers[:] = run.profiles
    shard.arrays.rings[:] = 0  # every page is there, as in a shard that has been at work
    clock.time(lambda: [shard.decide(run.events[low : low + BATCH]) for low in range(0, len(run.events), BATCH)])
    assert shard.digest() == run.digest, "a replay must end as the run it replays"
    return len(run.events) / clock.best


def replay_reference(run: Recorded, first: int, end: int) -> float:
    """Decisions a second of the reference over all events of some customers, which must agree."""
    policy, clock = run.plan.policy, Clock()
    reference = Reference(policy.policy, policy.registry.slots)
    for customer in range(first, end):
        reference.add(customer, run.profiles[customer])
    chosen = np.flatnonzero((run.events["customer"] >= first) & (run.events["customer"] < end))
    events = as_records(run.events[chosen])
    answers: list[Answer] = []
    clock.time(lambda: answers.extend(reference.decide(event) for event in events))
    for answer, decision in zip(answers, run.decisions[chosen], strict=True):
        assert answer.decision == {name: int(decision[name]) for name in answer.decision}, "the engines must agree"
    return len(events) / clock.best


# --- settle -----------------------------------------------------------------------------------------------------------
CLAIMS, PIECES = 1_000_000, 1_000
SETTLE_TURNS = 5
REDIS_TURNS = 2  # of them; it takes some seconds


def settle() -> Row:
    """Requests a second that one core settles in a stampede, against Redis with a Lua script."""
    run, against = stampede(CLAIMS, PIECES), redis_installed()
    ledger_seconds(stampede(CLAIMS // 100, PIECES // 100))
    fast, slow = [], []
    for turn in range(SETTLE_TURNS):
        fast.append(CLAIMS / ledger_seconds(run))
        said = f"settle: turn {turn + 1} of {SETTLE_TURNS}: {fast[-1] / MILLION:.2f} M/s"
        if against and turn < REDIS_TURNS:
            slow.append(CLAIMS / redis_seconds(run))
            said += f", Redis {slow[-1]:,.0f}/s"
        say(said)
    rate = max(fast)
    note = (
        f"{reached(rate / MILLION, 'M/s', SETTLE_AIM)}; {CLAIMS:,} claims of one virtual second for {PIECES:,} pieces, "
        f"1 in 40 sent twice and 1 in 40 answered before; put in a fair order, each answered once; turns "
        f"{min(fast) / MILLION:.2f}–{max(fast) / MILLION:.2f}"
    )
    if not slow:
        aim = SETTLE_AIM * MILLION
        return Row(rate, "requests/s on one core", "the aim: redis-server is not installed", rate / aim, note)
    baseline = f"Redis, Lua script in a pipeline, claims as they come, nothing durable, {max(slow):,.0f}/s"
    return Row(rate, "requests/s on one core", baseline, rate / max(slow), note)


# --- fraud ------------------------------------------------------------------------------------------------------------
HEARD = 500_000  # in each of two hours; the second is measured
FRAUD_TURNS = 5


def fraud() -> Row:
    """Claims and transfers a second that one core judges by all core rules of the Ledger, against the same settlement
    without rules."""
    run, none = bench_fraud.two_hours(HEARD), bench_fraud.without_rules()
    bench_fraud.measured(bench_fraud.two_hours(HEARD // 100), run.policy, listening=True)
    ruled, plain, unheard = [], [], []
    for turn in range(FRAUD_TURNS):
        ruled.append(bench_fraud.measured(run, run.policy, listening=True))
        plain.append(bench_fraud.measured(run, none, listening=False).seconds)
        unheard.append(bench_fraud.measured(run, run.policy, listening=False).seconds)
        say(f"fraud: turn {turn + 1} of {FRAUD_TURNS}: {run.judged / ruled[-1].seconds / MILLION:.2f} M/s judged")
    best = min(one.seconds for one in ruled)
    rate, silent = run.judged / best, min(unheard) / min(plain)
    note = (
        f"{reached(rate / MILLION, 'M/s', FRAUD_AIM)}; {HEARD:,} requests of an hour of {bench_fraud.CUSTOMERS:,} "
        f"customers, {run.judged / HEARD:.0%} judged, the rest observed ({bench_fraud.mix_in_words()}), "
        f"{HEARD / best / MILLION:.2f} M/s in all; {bench_fraud.rules_in(run.policy)} rules, all active, fire on "
        f"{ruled[0].fired:.1%} of what they judge; without rules {HEARD / min(plain) / MILLION:.2f} M/s, with rules "
        f"that do not listen {silent:.2f} × its time, {kept(silent, UNHEARD_LIMIT, '×')}; tables of 200,000 keys a "
        f"rule, {ruled[0].resident / MILLION:,.0f} MB in use"
    )
    baseline = "the time of the same settlement without rules"
    return Row(rate, "judged requests/s on one core", baseline, best / min(plain), note)


# --- checkout ---------------------------------------------------------------------------------------------------------
BASKETS, NAMED_GROUPS = 3_000, 6
NAIVE_BASKETS, NAIVE_COUPONS = 100, 8  # the naive reference tries all 2 ** coupons sets
PIECES_OF_A_LINE = 6_000
RULE_BASKETS = 1_000


def checkout() -> Row:
    """Microseconds of a checkout with 20 coupons and 30 lines, against the naive reference on smaller wallets."""
    coupons, lines = bench_checkout.COUPONS, bench_checkout.LINES
    baskets = [bench_checkout.draw(seed) for seed in range(BASKETS)]
    each = bench_checkout.times(baskets)
    median, p99 = statistics.median(each), bench_checkout.percentile(each, 99)
    say(f"checkout: median {median:.1f} µs, 99th percentile {p99:.1f} µs")
    named = bench_checkout.times([bench_checkout.draw(seed, named_groups=NAMED_GROUPS) for seed in range(BASKETS)])
    one = statistics.median(bench_checkout.times([bench_checkout.with_pieces(basket, 1) for basket in baskets]))
    many = bench_checkout.times([bench_checkout.with_pieces(basket, PIECES_OF_A_LINE) for basket in baskets])
    pieces = statistics.median(many) / one
    fast, slow = bench_checkout.against_reference(
        [bench_checkout.draw(seed, NAIVE_COUPONS) for seed in range(NAIVE_BASKETS)]
    )
    note = (
        f"{kept(median, CHECKOUT_LIMIT, 'µs')}; 99th percentile {p99:.1f} µs, {kept(p99, CHECKOUT_P99_LIMIT, 'µs')}; "
        f"{PIECES_OF_A_LINE:,} pieces a line take {pieces:.2f} × the time of one, {kept(pieces, PIECES_LIMIT, '×')}; "
        f"{BASKETS:,} random baskets of {coupons} coupons and {lines} lines, one of each stage, unlocks included; "
        f"single calls from Python, the best of {bench_checkout.TURNS}; in {NAMED_GROUPS} named groups median "
        f"{statistics.median(named):.1f}, 99th percentile {bench_checkout.percentile(named, 99):.1f} µs"
    )
    baseline = f"the naive reference, with {NAIVE_COUPONS} coupons {slow:,.0f} µs to {fast:.1f}"
    return Row(median, "µs a checkout", baseline, slow / fast, note)


def checkout_rules() -> Row:
    """What simpler rules of choosing coupons leave on the table, a line each; the value is that of the best of them."""
    baskets = [bench_checkout.draw(seed) for seed in range(RULE_BASKETS)]
    left = bench_checkout.left_on_the_table(baskets)
    best, worst = (chosen(left, key=lambda name: left[name].mean) for chosen in (min, max))
    table = [f"{'rule':26} {'costs more':>10} {'mean fen':>10} {'most fen':>10} {'of goods':>9}"]
    table += [
        f"{name:26} {lost.share:>10.1%} {lost.mean:>10,.0f} {lost.most:>10,} {lost.of_goods:>9.2%}"
        for name, lost in left.items()
    ]
    beaten = max(0, *(-lost.least for lost in left.values()))
    note = (
        f"no rule takes off more than the search, {kept(beaten, 0, 'fen')}; {RULE_BASKETS:,} of the same baskets; "
        "our own versions of rules that shops describe in words, no product was measured\n" + "\n".join(table)
    )
    baseline = f"{worst}, {left[worst].mean:,.0f} fen"
    return Row(left[best].mean, "fen left on the table", baseline, left[best].mean / left[worst].mean, note)


# --- simulation -------------------------------------------------------------------------------------------------------
SIMULATED_CUSTOMERS, SIMULATED_DAYS = 60_000, 35
SLOW_CUSTOMERS, SLOW_DAYS = 300, 14
BARE_TIMEOUTS = 8  # of one process a customer
SIMULATION_TURNS = 4


def simulation() -> Row:
    """Simulated events a second of one core, against SimPy processes that ask the compiled engine one by one."""
    warm_up()
    slow_world()
    waves, slow, bare = [], [], []
    for turn in range(SIMULATION_TURNS):
        waves.append(waves_world())
        slow.append(slow_world())
        bare.append(bare_world())
        say(
            f"simulation: turn {turn + 1} of {SIMULATION_TURNS}: {waves[-1] / MILLION:.2f} M/s, SimPy with decisions "
            f"{slow[-1]:,.0f}/s, bare SimPy {bare[-1]:,.0f}/s"
        )
    rate, against, ceiling = max(waves), max(slow), max(bare)
    note = (
        f"{reached(rate / against, '×', SIMULATION_AIM, SIMULATION_FLOOR)}; {rate / ceiling:.1f} × bare SimPy "
        f"time-outs of as many processes ({ceiling:,.0f}/s), {reached(rate / ceiling, '×', BARE_AIM)}; "
        f"{SIMULATED_CUSTOMERS:,} customers × {SIMULATED_DAYS} days, drawing them and summing up included; "
        f"turns {min(waves) / MILLION:.2f}–{max(waves) / MILLION:.2f} M/s"
    )
    baseline = f"SimPy processes, one decision at a time, {against:,.0f}/s"
    return Row(rate, "simulated events/s", baseline, rate / against, note)


def waves_world() -> float:
    """Events a second of world, population, engine and metrics, from the first customer drawn to the last sum."""
    plan = plan_of(FIRST_USE, SIMULATED_DAYS)
    began = time.perf_counter()
    result = live(plan, CohortWorker(plan, 0, SIMULATED_CUSTOMERS))
    return int(result.statistics["events"][0]) / (time.perf_counter() - began)


def slow_world() -> float:
    plan, clock = plan_of(FIRST_USE, SLOW_DAYS), Clock()
    worker = CohortWorker(plan, 0, SLOW_CUSTOMERS)
    worker.launch()
    world = SlowWorld(worker.cohort, worker.decide, plan.policy.moments)
    clock.time(lambda: world.advance(plan.spans.end))
    return worker.cohort.events / clock.best


def bare_world() -> float:
    clock = Clock()
    clock.time(lambda: bare_timeouts(SIMULATED_CUSTOMERS, BARE_TIMEOUTS))
    return SIMULATED_CUSTOMERS * BARE_TIMEOUTS / clock.best


# --- scale ------------------------------------------------------------------------------------------------------------
SCALE_SIZES = (250_000, 1_000_000, 4_000_000)
SCALE_DAYS = 8
SCALE_TWINS = 3  # cohorts of the least size, lived in between the others: the shortest measurement needs most turns


def scale() -> Row:
    """Time per event as customers grow: the best day of each size against the best day of the least."""
    warm_up()
    say(f"scale: drawing {sum(SCALE_SIZES):,} customers")
    twins = [Days(FIRST_USE, SCALE_SIZES[0], SCALE_DAYS) for _ in range(SCALE_TWINS)]
    larger = [Days(FIRST_USE, size, SCALE_DAYS) for size in SCALE_SIZES[1:]]
    days = [live_days(twins, larger, day) for day in range(SCALE_DAYS)]
    best = [min(times) for times in zip(*days, strict=True)]
    ratios = [max(day[1:]) / day[0] for day in days]
    rates = ", ".join(
        f"{size:,}: {1e3 / ns:.2f} M/s ({ns / best[0]:.2f} ×)" for size, ns in zip(SCALE_SIZES, best, strict=True)
    )
    worst = max(best[1:]) / best[0]
    note = (
        f"{kept(worst, SCALE_LIMIT, '×')}; best of {SCALE_DAYS} days {rates}; the worst ratio day by day: median "
        f"{statistics.median(ratios):.2f}, highest {max(ratios):.2f}"
    )
    return Row(worst, "× time per event", f"{SCALE_SIZES[0]:,} customers", worst, note)


def live_days(twins: list[Days], larger: list[Days], day: int) -> list[float]:
    """One day of every size, nanoseconds an event; of the least size the best of its twins."""
    least, others = [], []
    for twin, cohort in zip(twins, [*larger, None], strict=True):
        least.append(twin.live_a_day())
        if cohort is not None:
            others.append(cohort.live_a_day())
    times = [min(least), *others]
    say(f"scale: day {day + 1} of {SCALE_DAYS}: " + ", ".join(f"{t:.0f}" for t in times) + " ns an event")
    return times


# --- memory -----------------------------------------------------------------------------------------------------------
MEMORY_CUSTOMERS, MEMORY_DAYS = 1_000_000, 14
WALLETS, WALLETS_DAYS = 300_000, 14


def memory() -> Row:
    """Customers who hold no coupons."""
    row, _ = resident("cards", MEMORY_CUSTOMERS, MEMORY_DAYS, MEMORY_LIMIT)
    return row


def memory_wallets() -> Row:
    """Customers with wallets, the Ledger beside them; and what every decision reads of each."""
    row, found = resident("wallets", WALLETS, WALLETS_DAYS, WALLETS_LIMIT)
    hot = f"{CUSTOMER.itemsize} bytes in every decision, {kept(CUSTOMER.itemsize, HOT_LIMIT, 'bytes')}"
    return replace(row, note=f"{row.note}; {found['granted'] / WALLETS:.2f} coupons a customer; {hot}")


def resident(kind: str, customers: int, days: int, limit: int) -> tuple[Row, dict[str, float]]:
    """Growth of the resident memory of a fresh process with a cohort after some days; and all that was measured."""
    warm_up()
    say(f"memory, {kind}: {customers:,} customers live {days} days in a process of their own")
    command = [sys.executable, "-m", "scenarios.bench_memory", kind, str(customers), str(days)]
    found = json.loads(subprocess.run(command, cwd=ROOT, check=True, stdout=subprocess.PIPE).stdout)
    value = found["resident"] / customers
    note = (
        f"{kept(value, limit, 'bytes')}; {customers:,} customers after {days} days and {found['events']:,} events; "
        f"arrays {found['arrays'] / customers:,.0f} bytes, peak while drawing {found['peak'] / customers:,.0f}"
    )
    return Row(value, "bytes a customer", f"limit of {limit:,} bytes", value / limit, note), found


BENCHMARKS: dict[str, Benchmark] = {
    "engine": engine,
    "settle": settle,
    "fraud": fraud,
    "checkout": checkout,
    "checkout_rules": checkout_rules,
    "simulation": simulation,
    "durable": bench_durable.durable,
    "recovery": bench_recovery.recovery,
    "scale": scale,
    "memory": memory,
    "memory_wallets": memory_wallets,
}


def measure(names: Iterable[str], benchmarks: Mapping[str, Benchmark] = BENCHMARKS) -> dict[str, dict[str, Any]]:
    """Measure, one after the other; rows by name."""
    rows: dict[str, dict[str, Any]] = {}
    for name in names:
        found = benchmarks[name]()
        several = {name: found} if isinstance(found, Row) else found
        rows |= {own: asdict(row) for own, row in several.items()}
    return rows
