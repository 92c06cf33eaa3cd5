"""Shown against held out: what a campaign adds, and what the programme as a whole adds; raw beside adjusted.

The unit is the customer (FIDELITY 6, 10, 15). What came before launch adjusts a figure only where the groups were
treated alike until then: a covariate that the campaign itself had already moved would take its effect away.
"""

import math
from dataclasses import dataclass, replace
from typing import Any

from results.catalogue import PROGRAMME
from results.estimators import EVENTS_LEAST_ADJUSTED, Adjusted, Binned, Moments, Winsorised
from results.metric import Scope
from results.query import Database, quoted
from results.statistics import (
    CUSTOMERS_LEAST,
    EVENTS_FEW_LOG,
    RATE_RARE,
    TOO_FEW,
    Estimate,
    Interval,
    Proportion,
    TwoProportions,
    sample_ratio_p,
)
from results.store import held_out_share
from results.words import formatted

Estimates = dict[str, Estimate]

CUSTOMERS_LEAST_PROGRAMME = 1_000  # in each group: fewer, and means so skewed miss more often than they say
FEN = 100
WELCH = "Welch's t"
CUPED = "CUPED by visits and spend before launch (Deng, Xu, Kohavi, Walker 2013)"
NOBODY = Interval(None, None, "nobody to measure")
NOT_BEFORE = "not adjusted: the groups were already treated differently before launch"
SKEWED = f"{TOO_FEW}: for measures this skewed the groups are too small or too unequal"
ALIKE = f"{TOO_FEW}: in one group fewer than thirty, or all alike"
RARE = f"{TOO_FEW}: in one group it befell fewer than ten, or all but so few"
_BEFORE = ("before_visits", "before_spend")
_CONDITIONS = {"shown": "NOT held_out", "held_out": "held_out"}


def of_campaign(
    database: Database, campaign: dict[str, Any], within: list[Scope], confidence: float
) -> dict[str, Estimate]:
    """Shown against held out, for the campaign and each arm in `within`; nothing without a holdout."""
    share = held_out_share(campaign)
    found: Estimates = {}
    if not share:
        return found
    treated = f"SELECT sum(candidates) FROM waterfall WHERE campaign = {quoted(campaign['name'])} AND {_TREATED_BEFORE}"
    before = database.number(treated) > 0
    for scope in within:
        found |= _uptakes(database, scope, confidence)
        found[scope.key("adjusted_lift")] = _adjusted(
            database, _Outcome(scope, "converted", "converted"), "points", before, confidence
        )
        found |= _spends(database, scope, before, confidence)
    whole = Scope(campaign["name"])
    found[whole.key("incremental_conversions")] = _scaled_up(database, whole, found[whole.key("lift")])
    found[whole.key("srm_p")] = _sample_ratio(database, campaign, share)
    return found


_TREATED_BEFORE = "phase = 'before' AND reason IN ('shown', 'held_out')"


def _estimate(
    database: Database, unit: str, interval: Interval, n: float, method: str, query: str, counts: str
) -> Estimate:
    """A figure whose value is that of its query."""
    value = database.value(query)
    assert not isinstance(value, str | bool)
    return Estimate(
        value, interval.low, interval.high, unit, int(n), "customer", interval.note, method, query, counts
    )  # fmt: skip


# --- Uptake -----------------------------------------------------------------------------------------------------------
def _uptakes(database: Database, scope: Scope, confidence: float) -> Estimates:
    tails = {part: f"FROM outcomes WHERE {scope.condition} AND {of}" for part, of in _CONDITIONS.items()}
    sums = {part: f"SELECT sum(converted), sum(customers) {tail}" for part, tail in tails.items()}
    counts = {part: Proportion(*(float(v or 0) for v in database.rows(sql)[0])) for part, sql in sums.items()}
    rate = {
        part: f"(SELECT CAST(sum(converted) AS DOUBLE) / nullif(sum(customers), 0) {tail})"
        for part, tail in tails.items()
    }
    both = f"SELECT held_out, sum(converted), sum(customers) FROM outcomes WHERE {scope.condition} GROUP BY held_out"
    two = TwoProportions(counts["shown"], counts["held_out"])
    n = two.treated.n + two.control.n
    found = {}
    for part, one in counts.items():
        alone = one.interval(confidence) if one.n else NOBODY
        key = scope.key("uptake", part)
        found[key] = _estimate(database, "share", alone, one.n, one.method, f"SELECT {rate[part]}", sums[part])
    difference = f"SELECT {rate['shown']} - {rate['held_out']}"
    ratio = f"SELECT {rate['shown']} / nullif({rate['held_out']}, 0) - 1"
    found[scope.key("lift")] = _estimate(
        database, "points", two.difference(confidence), n, difference_method(two), difference, both
    )
    found[scope.key("relative_lift")] = _estimate(
        database, "share", two.relative(confidence), n, _ratio_method(two), ratio, both
    )
    return found


def difference_method(two: TwoProportions) -> str:
    limits = sorted({group.method for group in (two.treated, two.control)})
    return "Newcombe's hybrid of the groups' limits, " + " and ".join(limits)


def _ratio_method(two: TwoProportions) -> str:
    """Which of its two intervals TwoProportions.relative gives."""
    groups = [group for group in (two.treated, two.control) if group.n]
    few = min((group.events for group in groups), default=0) < EVENTS_FEW_LOG
    rare = all(group.events <= RATE_RARE * group.n for group in groups)
    return "exact, mid-P" if few and rare else "Katz log ratio"


def _scaled_up(database: Database, scope: Scope, lift: Estimate) -> Estimate:
    """The lift times the customers reached (shown or held out: all who would be shown it), on the customer base."""
    factor_sql = (
        f"(SELECT sum(customers) FROM outcomes WHERE {scope.condition})"
        " / (SELECT customers FROM run) * (SELECT customer_base FROM run)"
    )
    factor = database.number(f"SELECT {factor_sql}")
    query = f"SELECT ({lift.query}) * ({factor_sql})"
    value = database.value(query)
    assert not isinstance(value, str | bool)
    low, high = (None if bound is None else bound * factor for bound in (lift.low, lift.high))
    return replace(lift, value=value, low=low, high=high, unit="estimated count", query=query)


# --- Spend within the goal window -------------------------------------------------------------------------------------
@dataclass(frozen=True)
class _Uncut(Winsorised):
    """The raw difference under the same guard against skew: no value is cut."""

    @property
    def threshold(self) -> float:
        return math.inf


def _spends(database: Database, scope: Scope, before: bool, confidence: float) -> Estimates:
    """Raw, winsorised and adjusted, in yuan."""
    sums = f'sum(customers), sum("sum"), sum(squares) FROM spend_bins WHERE {scope.condition}'
    bins = f"SELECT held_out, edge, next_edge, {sums} GROUP BY ALL ORDER BY ALL"
    groups = _histograms(database, bins)
    n = sum(sum(group.counts) for group in groups)
    raw_sql = _difference_of_means("spend", f"FROM outcomes WHERE {scope.condition}", FEN)
    keys = [scope.key(name) for name in ("spend_lift", "winsorised_spend_lift", "adjusted_spend_lift")]
    if not all(sum(group.counts) for group in groups):
        return dict.fromkeys(keys, Estimate(None, None, None, "yuan", int(n), "customer", NOBODY.note, "", "", bins))
    raw, cut = _Uncut(*groups), Winsorised(*groups)
    limit = cut.threshold
    capped = f'CASE WHEN edge < {limit:.0f} THEN "sum" ELSE customers * {limit:.0f} END'
    cut_sql = _difference_of_means(capped, f"FROM spend_bins WHERE {scope.condition}", FEN)
    method = f"{WELCH}, each customer's spend cut at {formatted(limit / FEN, 'yuan:0')}, the 99.9 % quantile of both"
    plain, narrow = _skew_guarded(raw, confidence), _skew_guarded(cut, confidence)
    adjusted = _adjusted(database, _Outcome(scope, "spend", "spend_squared", FEN), "yuan", before, confidence)
    if plain.low is None and adjusted.value is not None:
        adjusted = replace(adjusted, low=None, high=None, note=plain.note)
    return dict(zip(keys, (
        _estimate(database, "yuan", plain, n, WELCH, raw_sql, bins),
        _estimate(database, "yuan", narrow, n, method, cut_sql, bins),
        adjusted,
    ), strict=True))  # fmt: skip


def _histograms(database: Database, bins: str) -> tuple[Binned, Binned]:
    """Shown and held out over the edges that occur; between them the bins are empty."""
    rows = database.rows(bins)
    edges = tuple(sorted({edge for row in rows for edge in row[1:3]}))
    at = {edge: place for place, edge in enumerate(edges)}
    columns = {held: [[0.0] * len(edges) for _ in range(3)] for held in (False, True)}
    for held, edge, _, *sums in rows:
        for column, value in zip(columns[held], sums, strict=True):
            column[at[edge]] = float(value)
    shown, held_out = (Binned(edges, *map(tuple, columns[held])) for held in (False, True))
    return shown, held_out


def _skew_guarded(groups: Winsorised, confidence: float) -> Interval:
    """In yuan; a refusal says why."""
    means = groups.cut_at(groups.threshold)
    why = SKEWED if means.treated.enough and means.control.enough else ALIKE
    return _scaled(groups.difference(confidence), FEN) or Interval(None, None, why)


def _scaled(interval: Interval, scale: int) -> Interval | None:
    """In another unit; None where it was refused."""
    low, high, note = interval
    return None if low is None or high is None else Interval(low / scale, high / scale, note)


def _difference_of_means(summed: str, tail: str, scale: int) -> str:
    means = [
        f"(SELECT sum({summed}) / nullif(sum(customers), 0) {tail} AND {condition})"
        for condition in _CONDITIONS.values()
    ]
    return f"SELECT ({means[0]} - {means[1]}) / {scale}"


# --- Adjusted for what came before ------------------------------------------------------------------------------------
@dataclass(frozen=True)
class _Outcome:
    """An outcome of the customers a campaign reached: columns of its sums and of its squares."""

    scope: Scope
    name: str
    squared: str
    scale: int = 1

    @property
    def sums_sql(self) -> str:
        crossed = [f"{self.name}_x_{before}" for before in _BEFORE]
        columns = ("customers", self.name, *_BEFORE, self.squared, *crossed, "before_visits_x_before_visits",
                   "before_visits_x_before_spend", "before_spend_x_before_spend")  # fmt: skip
        listed = ", ".join(f"sum({column})" for column in columns)
        return f"SELECT held_out, {listed} FROM outcomes WHERE {self.scope.condition} GROUP BY held_out"

    def value_sql(self, theta: tuple[float, ...]) -> str:
        less = "".join(f" - {factor!r} * {before}" for factor, before in zip(theta, _BEFORE, strict=True))
        return _difference_of_means(f"{self.name}{less}", f"FROM outcomes WHERE {self.scope.condition}", self.scale)


@dataclass(frozen=True)
class _Measure:
    """A measure of all customers at launch, the universal holdout apart."""

    name: str
    scale: int = 1

    def sums(self, *pair: str, column: str = "sum_ab") -> str:
        a, b = (quoted(measure) for measure in pair)
        return f"sum({column}) FILTER (WHERE (measure_a, measure_b) IN (({a}, {b}), ({b}, {a})))"

    @property
    def sums_sql(self) -> str:
        y, (c1, c2) = self.name, _BEFORE
        alone = [self.sums(one, one, column="sum_a") for one in (y, c1, c2)]
        pairs = [self.sums(*pair) for pair in ((y, y), (y, c1), (y, c2), (c1, c1), (c1, c2), (c2, c2))]
        listed = ", ".join((self.sums(y, y, column="n"), *alone, *pairs))
        return f"SELECT held_out, {listed} FROM programme GROUP BY held_out"

    def value_sql(self, theta: tuple[float, ...] = ()) -> str:
        means = []
        for condition in _CONDITIONS.values():
            terms = [self.sums(self.name, self.name, column="sum_a")]
            for factor, c in zip(theta, _BEFORE, strict=False):
                terms.append(f"{-factor!r} * {self.sums(c, c, column='sum_a')}")
            n = self.sums(self.name, self.name, column="n")
            means.append(f"(SELECT ({' + '.join(terms)}) / nullif({n}, 0) FROM programme WHERE {condition})")
        return f"SELECT ({means[0]} - {means[1]}) / {self.scale}"


def _groups(database: Database, of: _Outcome | _Measure) -> Adjusted:
    """Moments of the outcome, visits before and spend before, of the treated and of those held out."""
    nothing = Moments(0.0, (0.0,) * 3, (0.0,) * 6)
    found = {False: nothing, True: nothing}
    for held, *sums in database.rows(of.sums_sql):
        n, *values = (float(value or 0) for value in sums)
        found[held] = Moments(n, tuple(values[:3]), tuple(values[3:]))
    return Adjusted(found[False], found[True])


def _adjusted(database: Database, of: _Outcome | _Measure, unit: str, before: bool, confidence: float) -> Estimate:
    """CUPED; no figure where the groups were treated differently `before` launch."""
    groups = _groups(database, of)
    n = groups.treated.n + groups.control.n
    if before or not (groups.treated.n and groups.control.n):
        note = NOT_BEFORE if before else NOBODY.note
        return Estimate(None, None, None, unit, int(n), "customer", note, CUPED, "", of.sums_sql)
    interval, method = _scaled(groups.difference(confidence), of.scale), CUPED
    if interval is None:
        interval = Interval(None, None, _why_refused(groups))
    else:
        removed = f"{formatted(groups.variance_removed, 'percent:1')} of the variance removed"
        interval, method = interval._replace(note=removed), f"{CUPED}, {removed}"
    return _estimate(database, unit, interval, n, method, of.value_sql(groups.theta), of.sums_sql)


def _why_refused(groups: Adjusted) -> str:
    alike = not all(group.outcome.n >= CUSTOMERS_LEAST and group.outcome.enough for group in _both(groups))
    rare = any(_events(group) < EVENTS_LEAST_ADJUSTED for group in _both(groups))
    return RARE if rare else ALIKE if alike else TOO_FEW


def _both(groups: Adjusted) -> tuple[Moments, Moments]:
    return groups.treated, groups.control


def _events(group: Moments) -> float:
    """The rarer of a 0/1 outcome and its absence; of any other outcome, everybody."""
    events = group.sums[0]
    return min(events, group.n - events) if events == group.products[0] else group.n


# --- Were customers assigned as stated? -------------------------------------------------------------------------------
def _sample_ratio(database: Database, campaign: dict[str, Any], share: float) -> Estimate:
    """Customers assigned against the shares in force: arms too, where the manifest states their shares."""
    arms = {arm["name"]: arm.get("share") for arm in campaign["arms"]}
    by_arm = len(arms) > 1 and None not in arms.values()
    sql = f"SELECT arm, held_out, sum(customers) FROM outcomes WHERE campaign = {quoted(campaign['name'])} GROUP BY ALL"
    counts = {(arm, held): float(n) for arm, held, n in database.rows(sql)}
    held_shares = {True: share, False: 1.0 - share}
    if by_arm:
        cells = [(arm, held) for arm in arms for held in held_shares]
        assigned = [counts.get(cell, 0.0) for cell in cells]
        shares = [arms[arm] * held_shares[held] for arm, held in cells]
    else:
        assigned = [sum(n for (_, h), n in counts.items() if h is held) for held in held_shares]
        shares = list(held_shares.values())
    return _ratio_test(assigned, shares, sql)


def _ratio_test(assigned: list[float], shares: list[float], sql: str) -> Estimate:
    p = sample_ratio_p(assigned, shares) if sum(assigned) else None
    note = "" if p is not None else "too few for the test"
    return Estimate(p, None, None, "p", int(sum(assigned)), "customer", note, "chi-square", "", sql)


# --- The programme ----------------------------------------------------------------------------------------------------
def of_programme(database: Database, share: float, confidence: float) -> Estimates:
    """Those under the policy against the universal holdout (`share` of all); nothing without one."""
    found: Estimates = {}
    if not share:
        return found
    treated = "SELECT sum(candidates) FROM waterfall WHERE phase = 'before' AND reason = 'held_out'"
    before = database.number(treated) > 0
    for name, unit in PROGRAMME.items():
        measure = _Measure(name, FEN if unit == "yuan" else 1)
        raw = _programme_lift(database, measure, unit, confidence)
        adjusted = _adjusted(database, measure, unit, before, confidence)
        if adjusted.low is not None and raw.note == SKEWED:
            adjusted = replace(adjusted, low=None, high=None, note=SKEWED)
        found[f"programme_lift[{name}]"] = raw
        found[f"adjusted_programme_lift[{name}]"] = adjusted
    sql = "SELECT held_out, n FROM programme WHERE measure_a = 'visits' AND measure_b = 'visits'"
    counts = {held: float(n) for held, n in database.rows(sql)}
    found["programme_srm_p"] = _ratio_test([counts.get(held, 0.0) for held in (True, False)], [share, 1 - share], sql)
    return found


def _programme_lift(database: Database, measure: _Measure, unit: str, confidence: float) -> Estimate:
    """Raw: of a 0/1 measure by the counts, else by Welch."""
    groups = _groups(database, measure)
    treated, control = _both(groups)
    method = WELCH
    if unit == "points":
        two = TwoProportions(*(Proportion(group.sums[0], group.n) for group in _both(groups)))
        found, method = two.difference(confidence), difference_method(two)
    elif min(treated.n, control.n) < CUSTOMERS_LEAST_PROGRAMME:
        found = Interval(None, None, SKEWED if control.n else NOBODY.note)
    else:
        found = _scaled(groups.raw.difference(confidence), measure.scale) or Interval(None, None, ALIKE)
    return _estimate(database, unit, found, treated.n + control.n, method, measure.value_sql(), measure.sums_sql)
