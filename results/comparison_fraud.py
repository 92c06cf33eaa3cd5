"""Figures of a comparison that judge fraud rules: money that fraud got, what was stopped, good customers harmed.

The unit is the world: adversaries adapt to the policy, so no account is independent of the next. `rules_off` is the
world without any rule, with the same crews; money of crews is what their accounts got less what the same persons got
with an honest account of their own.
"""

from collections.abc import Iterator, Sequence
from typing import Any

from results.paired import PairedWorlds, RatioOfWorlds
from results.query import Database, quoted
from results.statistics import Estimate, Interval, Proportion

Keyed = Iterator[tuple[str, Estimate]]
RULES_OFF, WITHOUT = "rules_off", "without_rule_"
BY_WORLD = "the world as unit, Student's t"
BY_DELTA = "delta method, the world as unit (Deng 2018)"
OBTAINED = "sum(face + resale + rewards - honest)"
ALL = ""
SHARE_APART = "max(let_through_share) / 1000000.0"


def fraud_figures(database: Database, manifest: dict[str, Any], confidence: float) -> Keyed:
    """Nothing where no population says who is who."""
    policies = [manifest["reference"], *manifest["rivals"]]
    frauds, goods = (kinds_of(database, truth) for truth in ("fraud", "good"))
    for policy in policies if frauds else []:
        for kind in (ALL, *frauds):
            yield key("fraud_money", policy, kind), money(database, policy, kind, confidence)
            if RULES_OFF in policies and policy != RULES_OFF:
                yield key("fraud_stopped", policy, kind), stopped(database, policy, kind, confidence)
        yield key("fraud_charged_back", policy), charged_back(database, policy, confidence)
        yield key("fraud_stopped_naive", policy), stopped_naive(database, policy, confidence)
        if lets_through(database, policy):
            yield key("fraud_stopped_estimated", policy), stopped_estimated(database, policy, confidence)
        if policy.startswith(WITHOUT):
            rule = policy.removeprefix(WITHOUT)
            yield f"fraud_money_without[{rule}]", money_without(database, policy, policies[0], confidence)
    for policy in policies if goods else []:
        for group in (ALL, *goods):
            yield key("fraud_harmed", policy, group), share(database, policy, group, "harmed", confidence)
            yield key("fraud_challenges_passed", policy, group), share(database, policy, group, "passed", confidence)


def key(name: str, policy: str, part: str = ALL) -> str:
    return f"{name}[{policy}/{part}]" if part else f"{name}[{policy}]"


def kinds_of(database: Database, truth: str) -> list[str]:
    sql = f"SELECT DISTINCT kind FROM accounts WHERE truth = {quoted(truth)} ORDER BY kind"
    return [kind for (kind,) in database.rows(sql)]


def lets_through(database: Database, policy: str) -> bool:
    sql = f"SELECT coalesce(max(let_through_share), 0) FROM accounts WHERE policy = {quoted(policy)}"
    return bool(database.rows(sql)[0][0])


# --- money ------------------------------------------------------------------------------------------------------------
def money_sql(policy: str, kind: str = ALL) -> str:
    """(world, yuan) of the crews of a kind, or of all."""
    narrowed = f" AND kind = {quoted(kind)}" if kind else ""
    where = f"policy = {quoted(policy)} AND truth = 'fraud'{narrowed}"
    return f"SELECT world, {OBTAINED} / 100.0 AS yuan FROM accounts WHERE {where} GROUP BY world"


def money(database: Database, policy: str, kind: str, confidence: float) -> Estimate:
    """Yuan a world."""
    by_world = f"SELECT yuan FROM ({money_sql(policy, kind)}) ORDER BY world"
    return of_worlds(database, f"SELECT avg(yuan) FROM ({money_sql(policy, kind)})", by_world, "yuan", confidence)


def money_without(database: Database, policy: str, reference: str, confidence: float) -> Estimate:
    """Yuan a world that fraud gets more where one rule is off: what that rule alone is worth, adversaries adapting."""
    both = f"({money_sql(policy)}) AS a JOIN ({money_sql(reference)}) AS b USING (world)"
    by_world = f"SELECT a.yuan - b.yuan FROM {both} ORDER BY world"
    return of_worlds(database, f"SELECT avg(a.yuan - b.yuan) FROM {both}", by_world, "yuan", confidence)


def of_worlds(database: Database, value: str, by_world: str, unit: str, confidence: float) -> Estimate:
    worlds = PairedWorlds(tuple(float(row[0]) for row in database.rows(by_world)))
    found, total = worlds.interval(confidence), database.value(value)
    assert not isinstance(total, str | bool)
    return Estimate(
        total, found.low, found.high, unit, worlds.worlds, "world", found.note, BY_WORLD, value, by_world
    )  # fmt: skip


def stopped(database: Database, policy: str, kind: str, confidence: float) -> Estimate:
    """The truth: 1 - money under the policy ÷ money with the rules off."""
    both = f"({money_sql(policy, kind)}) AS a JOIN ({money_sql(RULES_OFF, kind)}) AS b USING (world)"
    value = f"SELECT 1 - sum(a.yuan) / nullif(sum(b.yuan), 0) FROM {both}"
    return complement(database, value, f"SELECT a.yuan, b.yuan FROM {both} ORDER BY world", confidence)


def complement(database: Database, value: str, by_world: str, confidence: float) -> Estimate:
    """1 - Σ x ÷ Σ y over the worlds (x, y)."""
    ratio = RatioOfWorlds(tuple((float(x), float(y)) for x, y in database.rows(by_world)))
    low, high, note = ratio.interval(confidence)
    if low is not None and high is not None:
        low, high = 1 - high, 1 - low
    total = database.value(value)
    assert not isinstance(total, str | bool)
    return Estimate(total, low, high, "share", ratio.worlds, "world", note, BY_DELTA, value, by_world)


# --- what can be seen without knowing the truth -----------------------------------------------------------------------
def seen_sql(policy: str) -> str:
    """(world, charged back, given to customers, refused), fen: what comes out about those who were let through, and
    the face value of everything that rules refused."""
    of = f"policy = {quoted(policy)}"
    back = f"(SELECT world, sum(face + rewards) AS back FROM accounts WHERE {of} AND truth = 'fraud' GROUP BY world)"
    given = f"(SELECT world, sum(discount) AS given FROM by_coupon WHERE {of} GROUP BY world)"
    refused = f"(SELECT world, sum(stopped_fraud + stopped_good) AS refused FROM rules WHERE {of} GROUP BY world)"
    return (
        "SELECT world, back, coalesce(given, 0) AS given, coalesce(refused, 0) AS refused "
        f"FROM {back} LEFT JOIN {given} USING (world) LEFT JOIN {refused} USING (world)"
    )


def charged_back(database: Database, policy: str, confidence: float) -> Estimate:
    """Of what was let through, the share that turned out to be fraud: all that charge-backs can tell."""
    seen = seen_sql(policy)
    value = f"SELECT sum(back) / nullif(sum(back + given), 0) FROM ({seen})"
    return ratio_of(database, value, f"SELECT back, back + given FROM ({seen}) ORDER BY world", confidence)


def stopped_naive(database: Database, policy: str, confidence: float) -> Estimate:
    """Refused ÷ (refused + charged back): counts every attempt again, and good customers' too."""
    seen = seen_sql(policy)
    value = f"SELECT 1 - sum(back) / nullif(sum(back + refused), 0) FROM ({seen})"
    return complement(database, value, f"SELECT back, back + refused FROM ({seen}) ORDER BY world", confidence)


def stopped_estimated(database: Database, policy: str, confidence: float) -> Estimate:
    """By the few whom no rule answers: 1 - what the others brought ÷ what it would be if they had brought as much."""
    where = f"policy = {quoted(policy)} AND truth = 'fraud'"
    brought = f"sum(face + resale + rewards - let_through) AS others, sum(let_through) AS apart, {SHARE_APART} AS share"
    rows = f"SELECT world, {brought} FROM accounts WHERE {where} GROUP BY world"
    value = f"SELECT 1 - sum(others / (1 - share)) / nullif(sum(apart / share), 0) FROM ({rows}) WHERE share > 0"
    by_world = f"SELECT others / (1 - share), apart / share FROM ({rows}) WHERE share > 0 ORDER BY world"
    return complement(database, value, by_world, confidence)


# --- good customers ---------------------------------------------------------------------------------------------------
def share(database: Database, policy: str, group: str, column: str, confidence: float) -> Estimate:
    """Of good customers who came at least once. harmed: denied, in review over an hour, failed a challenge, or given a
    weaker coupon."""
    narrowed = f" AND kind = {quoted(group)}" if group else ""
    rows = f"FROM accounts WHERE policy = {quoted(policy)} AND truth = 'good'{narrowed}"
    value = f"SELECT sum({column}) / nullif(sum(active), 0) {rows}"
    by_world = f"SELECT sum({column}), sum(active) {rows} GROUP BY world ORDER BY world"
    return ratio_of(database, value, by_world, confidence)


def ratio_of(database: Database, value: str, by_world: str, confidence: float) -> Estimate:
    worlds = tuple((float(x), float(y)) for x, y in database.rows(by_world))
    interval, total = wider(worlds, confidence), database.value(value)
    assert not isinstance(total, str | bool)
    return Estimate(
        total, interval.low, interval.high, "share", len(worlds), "world", interval.note, BY_DELTA, value, by_world
    )  # fmt: skip


def wider(worlds: Sequence[tuple[float, float]], confidence: float) -> Interval:
    """By worlds, and never narrower than if everybody counted alone: no harm in any world is not proof of none."""
    found = RatioOfWorlds(tuple(worlds)).interval(confidence)
    events, n = (sum(column) for column in zip(*worlds, strict=True)) if worlds else (0.0, 0.0)
    if found.low is None or found.high is None or not 0 <= events <= n or n <= 0:
        return found
    low, high, _ = Proportion(events, n).interval(confidence)
    if low is None or high is None:
        return found
    return Interval(max(min(found.low, low), 0.0), max(found.high, high), found.note)
