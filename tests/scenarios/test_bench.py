"""The benchmarks at toy sizes: that they measure what they say, not how fast this machine is."""

import pytest

from engine.host.ledger import LedgerHost
from engine.host.ledger_fraud import rules_at_work
from engine.host.shard import CustomerShard
from engine.policy.lint import lint
from engine.reference import Reference
from scenarios import bench, bench_checkout, bench_durable, bench_fraud, bench_recovery, bench_rows, bench_settle
from scenarios.bench_worlds import HEAVY, plan_of, recorded

TOY = {
    "ENGINE_CUSTOMERS": 300, "ENGINE_DAYS": 4, "ENGINE_TURNS": 2, "REFERENCE_CUSTOMERS": 4,
    "CLAIMS": 8_000, "PIECES": 200, "SETTLE_TURNS": 2, "REDIS_TURNS": 1,
    "HEARD": 4_000, "FRAUD_TURNS": 1,
    "BASKETS": 20, "NAIVE_BASKETS": 3, "NAIVE_COUPONS": 4, "RULE_BASKETS": 20,
    "SIMULATED_CUSTOMERS": 300, "SIMULATED_DAYS": 4, "SLOW_CUSTOMERS": 10, "SLOW_DAYS": 3, "SIMULATION_TURNS": 1,
    "SCALE_SIZES": (200, 400, 800), "SCALE_DAYS": 2, "MEMORY_CUSTOMERS": 2_000, "MEMORY_DAYS": 2,
    "WALLETS": 2_000, "WALLETS_DAYS": 2,
}  # fmt: skip


TOY_DURABLE = {"CUSTOMERS": 1_000, "DAYS": 2, "EVENTS": 4_000, "LARGE": 1_000, "SMALL": 500, "SINGLES": 50, "TURNS": 1}
TOY_RECOVERY = {
    "CUSTOMERS": 1_000, "DAYS": 2, "EVENTS": 4_000, "BATCH": 500, "TURNS": 1, "SHOP_CUSTOMERS": 500, "SHOP_DAYS": 1,
}  # fmt: skip


@pytest.fixture
def toy(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, size in TOY.items():
        monkeypatch.setattr(bench, name, size)
    for name, size in TOY_DURABLE.items():
        monkeypatch.setattr(bench_durable, name, size)
    for name, size in TOY_RECOVERY.items():
        monkeypatch.setattr(bench_recovery, name, size)


LONGER = ("durable", "recovery", "scale")  # they begin hosts, which the drills do in every test


def test_there_are_eleven() -> None:
    rows = ["engine", "settle", "fraud", "checkout", "checkout_rules", "simulation", "durable", "recovery"]
    rows += ["scale", "memory", "memory_wallets"]
    assert list(bench.BENCHMARKS) == rows


@pytest.mark.usefixtures("toy", "ray_cluster")
@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=pytest.mark.long if name in LONGER else []) for name in bench.BENCHMARKS]
)
def test_a_row_says_its_value_and_what_it_is_held_against(name: str) -> None:
    row = bench.measure([name])[name]
    assert set(row) == {"value", "unit", "baseline", "ratio", "note"}
    assert row["value"] > 0
    assert row["ratio"] > 0
    assert any(word in row["note"] for word in ("reached", "MISSED", "kept", "EXCEEDED"))


@pytest.mark.parametrize(
    ("value", "verdict"),
    [(3.0, "aim of 3 M/s reached"), (2.9, "aim of 3 M/s MISSED, floor"), (1.4, "floor of 1.5 M/s MISSED")],
)
def test_what_should_be_high(value: float, verdict: str) -> None:
    assert bench_rows.reached(value, "M/s", 3.0, 1.5).startswith(verdict)
    assert bench_rows.reached(2.9, "×", 3.0) == "aim of 3 × MISSED"


def test_what_should_be_low() -> None:
    assert bench_rows.kept(1.2, 1.2, "×") == "limit of 1.2 × kept"
    assert bench_rows.kept(1.21, 1.2, "×") == "limit of 1.2 × EXCEEDED"


# --- what is measured -------------------------------------------------------------------------------------------------
def test_the_heavy_policy_is_heavy_and_clean() -> None:
    compiled = plan_of(HEAVY, 40).policy
    assert len(compiled.policy.campaigns) == 32
    assert lint(compiled.policy, compiled) == []


def test_every_rule_of_the_ledger_listens_to_the_hour() -> None:
    run = bench_fraud.two_hours(4_000)
    heard = 0
    for mask in {*run.second["counted"].tolist(), *run.second["judging"].tolist()}:
        heard |= mask
    assert heard == sum(1 << slot for slot in rules_at_work(run.policy.tables.rules))
    assert bench_fraud.measured(run, run.policy, listening=True).fired > 0
    assert bench_fraud.measured(run, run.policy, listening=False).fired == 0


def test_a_replay_that_ends_elsewhere_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    run = recorded(HEAVY, 200, 3)
    bench.replay(run)
    monkeypatch.setattr(CustomerShard, "digest", lambda shard: "0" * 32)
    with pytest.raises(AssertionError, match="must end as the run"):
        bench.replay(run)


def test_a_reference_that_answers_otherwise_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    run = recorded(HEAVY, 200, 3)
    bench.replay_reference(run, 0, 5)
    answered = Reference.decide

    def late(engine: Reference, event: object, bulletin: object = None) -> object:
        answer = answered(engine, event, bulletin)
        answer.decision["late"] = 1
        return answer

    monkeypatch.setattr(Reference, "decide", late)
    with pytest.raises(AssertionError, match="must agree"):
        bench.replay_reference(run, 0, 5)


def test_a_settlement_that_sells_too_much_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    run = bench_settle.stampede(400, 20)
    bench_settle.ledger_seconds(run)
    monkeypatch.setattr(LedgerHost, "restock", lambda ledger, coupon, pieces, t: None)
    with pytest.raises(AssertionError):
        bench_settle.ledger_seconds(run)


def test_without_redis_the_row_says_so(toy: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bench, "redis_installed", lambda: False)
    assert bench.settle().baseline == "the aim: redis-server is not installed"


def test_a_checkout_that_the_reference_prices_otherwise_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    baskets = [bench_checkout.draw(seed, 4) for seed in range(3)]
    bench_checkout.against_reference(baskets)
    monkeypatch.setattr(bench_checkout.Basket, "price", lambda basket, desk: 0)
    with pytest.raises(AssertionError, match="must agree"):
        bench_checkout.against_reference(baskets)


def test_a_rule_that_beats_the_search_is_seen(toy: None, monkeypatch: pytest.MonkeyPatch) -> None:
    assert "limit of 0 fen kept" in bench.checkout_rules().note
    monkeypatch.setattr(bench_checkout, "best_of_each_group", lambda cart, coupons: 10**9)
    assert "limit of 0 fen EXCEEDED" in bench.checkout_rules().note
