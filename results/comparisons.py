"""The figures of a comparison: differences between policies, truths of campaigns by twin worlds, estimates beside them.

Each value is SQL over the comparison's tables; its interval follows from the sums of the second query. The unit of
analysis is the customer, unless they competed or met adversaries in any world: then it is the world (FIDELITY 10).
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

from results.comparison_estimates import baskets, competed, coupons, sales, true_returns
from results.comparison_fraud import fraud_figures
from results.comparison_tables import FLAGS, MONEY
from results.paired import PairedCustomers, PairedFlags, PairedWorlds, pairing_factor
from results.query import Database, quoted
from results.statistics import (
    CONFIDENCE,
    Estimate,
    Interval,
    Mean,
    Proportion,
    Ratio,
    TwoMeans,
    TwoProportions,
    normal_quantile,
)

Manifest = dict[str, Any]
Estimates = dict[str, Estimate]
Keyed = Iterator[tuple[str, Estimate]]
BY_CUSTOMER = "paired by customer, Student's t"
BY_WORLD = "paired by world, Student's t"
BY_DELTA = "delta method, customer as unit (Deng 2018)"
# The daily count that goes with each goal of a campaign.
GOAL_COUNTS = {
    "payment": "payments", "first_use": "first_payments", "instalment": "instalments", "top_up": "top_ups",
    "bill_viewed": "bills_viewed", "feature_used": "features_used", "card_bound": "cards_bound", "login": "logins",
}  # fmt: skip


@dataclass(frozen=True)
class Pair:
    """Two branches and whose customers: `of` is empty for everybody at launch, else the campaign that reached them."""

    policy: str
    against: str
    of: str = ""
    segment: str = ""

    def rows(self, measure: str) -> str:
        return (
            f"FROM differences WHERE policy = {quoted(self.policy)} AND against = {quoted(self.against)}"
            f" AND of = {quoted(self.of)} AND segment = {quoted(self.segment)} AND measure = {quoted(measure)}"
        )


def level_rows(policy: str, of: str, measure: str) -> str:
    return f"FROM levels WHERE policy = {quoted(policy)} AND of = {quoted(of)} AND measure = {quoted(measure)}"


def unit_of(measure: str) -> str:
    return "yuan" if measure in MONEY else "per customer"


def scale_of(measure: str) -> int:
    return 100 if measure in MONEY else 1  # fen to yuan


def study_estimates(database: Database, manifest: Manifest, confidence: float = CONFIDENCE) -> Estimates:
    """Every figure of a comparison: `difference[cap_3/profit]`, `true_relative_lift[first_use]`, …"""
    return dict(figures(database, manifest, confidence))


def figures(database: Database, manifest: Manifest, confidence: float) -> Keyed:
    reference = manifest["reference"]
    for rival in manifest["rivals"]:
        for measure in measures_of(database):
            pair = Pair(rival, reference)
            yield f"difference[{rival}/{measure}]", difference(database, pair, measure, confidence)
            yield f"relative_difference[{rival}/{measure}]", relative(database, pair, measure, confidence)
        yield f"pairing_factor[{rival}]", pairing(database, Pair(rival, reference), manifest["goal"]["measure"])
    for policy in (reference, *manifest["rivals"]):
        for measure in measures_of(database):
            yield f"level[{policy}/{measure}]", level(database, policy, measure, confidence)
    for of_policies in (baskets, sales, coupons):
        yield from of_policies(database, reference, manifest["rivals"], confidence)
    yield from true_returns(database, manifest, confidence)
    yield from fraud_figures(database, manifest, confidence)
    for campaign in manifest["truth"]:
        yield from truths(database, campaign, confidence)
        yield from growths(database, manifest, campaign, confidence)
        yield from arms_compared(database, campaign, confidence)


def measures_of(database: Database) -> list[str]:
    rows = database.rows("SELECT DISTINCT measure FROM levels WHERE of = '' ORDER BY measure")
    return [measure for (measure,) in rows if not measure.startswith("before_")]


# --- differences of two policies --------------------------------------------------------------------------------------
def difference(database: Database, pair: Pair, measure: str, confidence: float = CONFIDENCE) -> Estimate:
    """Per customer: branch `policy` minus branch `against`."""
    scale = scale_of(measure)
    value = f"SELECT sum(total) / nullif(sum(n), 0) / {scale} {pair.rows(measure)}"
    if competed(database):
        query = f"SELECT total / n / {scale} {pair.rows(measure)} ORDER BY world"
        worlds = PairedWorlds(tuple(float(row[0]) for row in database.rows(query)))
        return estimate(
            database, value, worlds.interval(confidence), unit_of(measure), worlds.worlds, "world", BY_WORLD, query
        )
    query = f"SELECT sum(n), sum(total), sum(squares), sum(nonzero) {pair.rows(measure)}"
    paired = paired_customers(database, pair, measure)
    counts = measure not in MONEY
    interval = paired.interval(confidence, counts) if paired.nonzero else Interval(0.0, 0.0, "no customer differs")
    if interval.low is None and measure in FLAGS:
        interval = paired_flags(database, pair, measure).interval(confidence)
    return estimate(database, value, interval, unit_of(measure), int(paired.n), "customer", BY_CUSTOMER, query)


def paired_customers(database: Database, pair: Pair, measure: str) -> PairedCustomers:
    """Sums over all worlds, in the measure's unit; the differences one by one where they are few."""
    scale = scale_of(measure)
    sums = database.rows(f"SELECT sum(n), sum(total), sum(squares), sum(nonzero) {pair.rows(measure)}")[0]
    n, total, squares, nonzero = (float(value or 0) for value in sums)
    tail = (
        pair.rows(measure).replace("FROM differences", "FROM few").replace(f" AND segment = {quoted(pair.segment)}", "")
    )
    few = [float(row[0]) / scale for row in database.rows(f"SELECT difference {tail} ORDER BY world, difference")]
    kept = tuple(few) if len(few) == nonzero and not pair.segment else None
    return PairedCustomers(n, total / scale, squares / scale**2, int(nonzero), kept)


def paired_flags(database: Database, pair: Pair, measure: str) -> PairedFlags:
    query = f"SELECT sum(n), sum(higher), sum(lower) {pair.rows(measure)}"
    return PairedFlags(*(float(value or 0) for value in database.rows(query)[0]))


def relative(database: Database, pair: Pair, measure: str, confidence: float = CONFIDENCE) -> Estimate:
    """The difference divided by the level under `against`."""
    totals = f"(SELECT sum(total) {pair.rows(measure)})"
    base = f"(SELECT sum(total) {level_rows(pair.against, pair.of, measure)})"
    value, query = f"SELECT {totals} / nullif({base}, 0)", ratio_query(pair, measure)
    if competed(database):
        worlds = f"SELECT d.total / l.total {joined(pair, measure)} WHERE l.total <> 0 ORDER BY d.world"
        shares = PairedWorlds(tuple(float(row[0]) for row in database.rows(worlds)))
        return estimate(database, value, shares.interval(confidence), "share", shares.worlds, "world", BY_WORLD, worlds)
    ratio, found = ratio_of(database, pair, measure), difference(database, pair, measure, confidence)
    interval = ratio_interval(ratio, confidence) if found.low is not None else Interval(None, None, found.note)
    return estimate(database, value, interval, "share", int(ratio.n), "customer", BY_DELTA, query)


def joined(pair: Pair, measure: str) -> str:
    against = level_rows(pair.against, pair.of, measure)
    return f"FROM (SELECT * {pair.rows(measure)}) AS d JOIN (SELECT * {against}) AS l ON d.world = l.world"


def ratio_query(pair: Pair, measure: str) -> str:
    """n and the sums of D, B, D², B² and DB over customers, DB from A² = B² + 2 DB + D²."""
    a, b = (f"(SELECT sum(squares) {level_rows(policy, pair.of, measure)})" for policy in (pair.policy, pair.against))
    total = f"(SELECT sum(total) {level_rows(pair.against, pair.of, measure)})"
    return f"SELECT sum(n), sum(total), {total}, sum(squares), {b}, ({a} - {b} - sum(squares)) / 2 {pair.rows(measure)}"


def ratio_of(database: Database, pair: Pair, measure: str) -> Ratio:
    return Ratio(*(float(value or 0) for value in database.rows(ratio_query(pair, measure))[0]))


def ratio_interval(ratio: Ratio, confidence: float) -> Interval:
    """Of D / B. The ratio's own guard counts its numerator; here the denominator is what must not be near 0."""
    if ratio.xx == 0 and ratio.y:
        return Interval(0.0, 0.0, "no customer differs")
    if ratio.y <= 0 or ratio.n < 30:
        return Interval(None, None, "too few for an interval")
    half = normal_quantile(confidence) * ratio.variance**0.5
    return Interval(ratio.x / ratio.y - half, ratio.x / ratio.y + half)


def level(database: Database, policy: str, measure: str, confidence: float) -> Estimate:
    scale, rows = scale_of(measure), level_rows(policy, "", measure)
    query = f"SELECT sum(n), sum(total), sum(squares) {rows}"
    n, total, squares = (float(value or 0) for value in database.rows(query)[0])
    interval = Mean(n, total / scale, squares / scale**2).interval(confidence)
    value = f"SELECT sum(total) / nullif(sum(n), 0) / {scale} {rows}"
    return estimate(database, value, interval, unit_of(measure), int(n), "customer", "mean, Student's t", query)


def pairing(database: Database, pair: Pair, measure: str) -> Estimate:
    """Width with independent seeds ÷ width with common random numbers, from the worlds' means."""
    query = f"SELECT d.total / d.n + l.total / l.n, l.total / l.n {joined(pair, measure)} ORDER BY d.world"
    rows = database.rows(query)
    factor = pairing_factor([float(a) for a, _ in rows], [float(b) for _, b in rows])
    note = "a figure of these worlds" if factor is not None else "the policies do not differ"
    return Estimate(factor, None, None, "number", len(rows), "world", note, "", "", query)


def estimate(
    database: Database, query: str, interval: Interval, unit: str, n: int, whose: str, method: str, counts: str
) -> Estimate:
    value = database.value(query)
    assert not isinstance(value, str | bool)
    return Estimate(value, interval.low, interval.high, unit, n, whose, interval.note, method, query, counts)


# --- truth and estimate of a campaign ---------------------------------------------------------------------------------
def twin_pair(campaign: str, of: str = "") -> Pair:
    return Pair(f"shown_{campaign}", f"held_out_{campaign}", of)


def truths(database: Database, campaign: str, confidence: float) -> Keyed:
    """Goal uptake of those reached, in twin worlds; what the holdout of the policy as it is says of it."""
    pair = twin_pair(campaign, campaign)
    for word, policy in (("shown", pair.policy), ("held_out", pair.against)):
        rows = level_rows(policy, campaign, "converted")
        n, total = (float(value or 0) for value in database.rows(f"SELECT sum(n), sum(total) {rows}")[0])
        interval = Proportion(total, n).interval(confidence)
        query = f"SELECT sum(total) / nullif(sum(n), 0) {rows}"
        counts = f"SELECT sum(total), sum(n) {rows}"
        yield (
            f"true_uptake[{campaign}/{word}]",
            estimate(database, query, interval, "share", int(n), "customer", "Wilson score", counts),
        )
    yield f"true_lift[{campaign}]", replace(difference(database, pair, "converted", confidence), unit="points")
    yield f"true_relative_lift[{campaign}]", relative(database, pair, "converted", confidence)
    yield f"true_profit[{campaign}]", difference(database, twin_pair(campaign), "profit", confidence)
    yield from holdout_estimates(database, campaign, confidence)


def nobody(unit: str) -> Estimate:
    """Of a campaign that reached nobody: no figure."""
    return Estimate(None, None, None, unit, 0, "customer", "nobody was reached", query="SELECT CAST(NULL AS DOUBLE)")


def holdout_query(campaign: str, world: int | None = None) -> str:
    where = f" AND world = {world}" if world is not None else ""
    return (
        "SELECT sum(converted) FILTER (WHERE NOT held_out), sum(customers) FILTER (WHERE NOT held_out),"
        " sum(converted) FILTER (WHERE held_out), sum(customers) FILTER (WHERE held_out)"
        f" FROM holdouts WHERE campaign = {quoted(campaign)}{where}"
    )


def two_groups(database: Database, campaign: str, world: int | None = None) -> TwoProportions:
    a, n, b, m = (float(value or 0) for value in database.rows(holdout_query(campaign, world))[0])
    return TwoProportions(Proportion(a, n), Proportion(b, m))


def holdout_estimates(database: Database, campaign: str, confidence: float) -> Keyed:
    """The holdout's own estimate over all worlds, and in how many of them its interval covers that world's truth."""
    two, counts = two_groups(database, campaign), holdout_query(campaign)
    if not (two.treated.n and two.control.n):
        units = {"estimated_lift": "points", "estimated_relative_lift": "share", "covered": "count"}
        for name, unit in units.items():
            yield f"{name}[{campaign}]", nobody(unit)
        return
    n = int(two.treated.n + two.control.n)
    rates = "SELECT t / nullif(n, 0) - c / nullif(m, 0) FROM (" + counts + ") AS g(t, n, c, m)"
    ratio = "SELECT (t / nullif(n, 0)) / nullif(c / nullif(m, 0), 0) - 1 FROM (" + counts + ") AS g(t, n, c, m)"
    yield (
        f"estimated_lift[{campaign}]",
        estimate(database, rates, two.difference(confidence), "points", n, "customer", "Newcombe hybrid score", counts),
    )
    yield (
        f"estimated_relative_lift[{campaign}]",
        estimate(database, ratio, two.relative(confidence), "share", n, "customer", "Katz log ratio", counts),
    )
    yield f"covered[{campaign}]", covered(database, campaign)


def covered(database: Database, campaign: str) -> Estimate:
    """Worlds in which the 95 % interval of the holdout covers the truth of that same world."""
    query = f"SELECT world, total / n {twin_pair(campaign, campaign).rows('converted')} ORDER BY world"
    hits, worlds = 0, database.rows(query)
    for world, truth in worlds:
        low, high, _ = two_groups(database, campaign, int(world)).difference(CONFIDENCE)
        hits += low is not None and high is not None and low <= float(truth) <= high
    return Estimate(float(hits), None, None, "count", len(worlds), "world", "a count of these worlds", "", "", query)


# --- before and after (P10) -------------------------------------------------------------------------------------------
def growths(database: Database, manifest: Manifest, campaign: str, confidence: float) -> Keyed:
    """Goal events of the campaign's days against the days before: what grew, what of it the campaign caused."""
    goal = GOAL_COUNTS.get(manifest["goals"].get(campaign, ""))
    if goal is None or not manifest["before"]:
        return
    pair = twin_pair(campaign)
    shown, held_out = (growth_by_world(policy, goal) for policy in (pair.policy, pair.against))
    both = f"SELECT s.growth, h.growth FROM ({shown}) AS s JOIN ({held_out}) AS h ON s.world = h.world ORDER BY s.world"
    grown = database.rows(both)
    if not grown or any(s is None or h is None for s, h in grown):
        yield from none_before(campaign)
        return
    rows = [(float(s), float(h)) for s, h in grown]
    parts = {
        f"growth[{campaign}/shown]": [s for s, _ in rows],
        f"growth[{campaign}/held_out]": [h for _, h in rows],
        f"true_increment[{campaign}]": [s - h for s, h in rows],
        f"increment_over_held_out[{campaign}]": [(s - h) / (1 + h) for s, h in rows],
    }
    for key, values in parts.items():
        yield key, by_world(values, confidence, both)
    whole = sum(s for s, _ in rows)
    anyway = sum(h for _, h in rows) / whole if whole else None
    yield (
        f"anyway_share[{campaign}]",
        Estimate(anyway, None, None, "share", len(rows), "world", "of the growth", "", "", both),
    )
    yield f"last_touch[{campaign}]", last_touch(database, campaign, pair.policy, goal, confidence)
    yield f"estimated_increment[{campaign}]", assigned_increment(database, manifest, campaign, goal, confidence)


def none_before(campaign: str) -> Keyed:
    """Of a goal that nobody reached in the days before (or during): nothing can have grown."""
    missing = replace(nobody("share"), unit_of_analysis="world", note="nothing of it happened in the days before")
    for key in (f"growth[{campaign}/shown]", f"growth[{campaign}/held_out]", *(
        f"{name}[{campaign}]" for name in ("true_increment", "increment_over_held_out", "anyway_share", "last_touch",
                                           "estimated_increment")
    )):  # fmt: skip
        yield key, missing


def growth_by_world(policy: str, goal: str) -> str:
    per_day = "sum(count) FILTER (WHERE phase = '{0}') / max(days) FILTER (WHERE phase = '{0}')"
    rows = f"FROM phases WHERE policy = {quoted(policy)} AND measure = {quoted(goal)} GROUP BY world"
    return f"SELECT world, {per_day.format('campaign')} / nullif({per_day.format('before')}, 0) - 1 AS growth {rows}"


def by_world(values: list[float], confidence: float, query: str) -> Estimate:
    worlds = PairedWorlds(tuple(values))
    low, high, note = worlds.interval(confidence)
    return Estimate(worlds.value, low, high, "share", worlds.worlds, "world", note, BY_WORLD, "", query)


def last_touch(database: Database, campaign: str, policy: str, goal: str, confidence: float) -> Estimate:
    """What a last-touch report would claim: credited conversions against the days before."""
    where = f"policy = {quoted(policy)}"
    credited = f"SELECT world, conversions FROM by_campaign WHERE {where} AND campaign = {quoted(campaign)}"
    before = f"SELECT world, count FROM phases WHERE {where} AND phase = 'before' AND measure = {quoted(goal)}"
    both = f"({credited}) AS c JOIN ({before}) AS b ON c.world = b.world"
    query = f"SELECT c.conversions / b.count FROM {both} ORDER BY c.world"
    return by_world([float(row[0]) for row in database.rows(query)], confidence, query)


def assigned_increment(database: Database, manifest: Manifest, campaign: str, goal: str, confidence: float) -> Estimate:
    """Customers assigned against customers held out, all of them from launch on, in parts of the level before."""
    policy = manifest["reference"]
    groups = []
    for word in ("assigned", "held_out"):
        rows = level_rows(policy, f"{word}/{campaign}", goal)
        groups.append(
            Mean(*(float(v or 0) for v in database.rows(f"SELECT sum(n), sum(total), sum(squares) {rows}")[0]))
        )
    customers = f"(SELECT sum(customers) FROM lives WHERE policy = {quoted(policy)})"
    where = f"policy = {quoted(policy)} AND phase = 'before' AND measure = {quoted(goal)}"
    before = f"SELECT sum(count)::DOUBLE / {customers} FROM phases WHERE {where}"
    base = database.number(before)
    if not (base and groups[0].n and groups[1].n):
        return Estimate(None, None, None, "share", 0, "customer", "nobody was held out")
    two = TwoMeans(*groups)
    low, high, note = two.difference(confidence)
    value = (groups[0].total / groups[0].n - groups[1].total / groups[1].n) / base
    low, high = (None if end is None else end / base for end in (low, high))
    return Estimate(value, low, high, "share", int(groups[0].n + groups[1].n), "customer", note, "Welch", "", before)


# --- arms -------------------------------------------------------------------------------------------------------------
def arms_compared(database: Database, campaign: str, confidence: float) -> Keyed:
    """Arms in worlds of their own: first exposures clicked and closed, as ratios, and profit per customer reached."""
    prefix = f"arm_{campaign}_"
    where = f"of = {quoted(campaign)} AND starts_with(policy, {quoted(prefix)})"
    query = f"SELECT DISTINCT policy, against FROM differences WHERE {where}"
    for policy, against in sorted(database.rows(query)):
        pair = Pair(policy, against, campaign)
        names = f"{campaign}/{policy.removeprefix(prefix)}/{against.removeprefix(prefix)}"
        for word, measure in (("first_clicks", "first_clicked"), ("first_closes", "first_closed")):
            found = relative(database, pair, measure, confidence)
            low, high = (None if end is None else end + 1 for end in (found.low, found.high))
            value = None if found.value is None else found.value + 1
            query = found.query.replace("SELECT (", "SELECT 1 + (", 1)
            yield f"{word}[{names}]", replace(found, value=value, low=low, high=high, unit="ratio", query=query)
            yield f"estimated_{word}[{names}]", arms_estimate(database, campaign, names, measure, confidence)
        yield f"arm_profit[{names}]", difference(database, pair, "profit", confidence)


def arms_estimate(database: Database, campaign: str, names: str, measure: str, confidence: float) -> Estimate:
    """The experiment's own ratio of first exposures clicked or closed."""
    _, *arms = names.split("/")
    query = (
        "SELECT " + ", ".join(f"sum({column}) FILTER (WHERE arm = {quoted(arm)})" for arm in arms
                              for column in (measure, "customers"))
        + f" FROM holdouts WHERE campaign = {quoted(campaign)} AND NOT held_out"
    )  # fmt: skip
    a, n, b, m = (float(value or 0) for value in database.rows(query)[0])
    two = TwoProportions(Proportion(a, n), Proportion(b, m))
    low, high, note = two.relative(confidence) if n and m else Interval(None, None, "nobody to measure")
    value = (a / n) / (b / m) if n and b else None
    low, high = (None if end is None else end + 1 for end in (low, high))
    return Estimate(value, low, high, "ratio", int(n + m), "customer", note, "Katz log ratio", "", query)
