"""Raw beside adjusted: from a run's sums as from its customers, one by one; and what has no interval says why."""

import copy
import re
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from scipy import stats

from results import holdout_metrics
from results.estimators import Adjusted, Moments
from results.holdout_metrics import CUSTOMERS_LEAST_PROGRAMME
from results.metrics import metrics
from results.statistics import Estimate
from results.store import write_run
from tests.results.synthetic import CAMPAIGNS, EDGES, synthetic_manifest, synthetic_run, synthetic_tables

TABLES, CUSTOMERS = synthetic_run()
FIRST = "first_use"


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Estimate]:
    return metrics(write_run(tmp_path_factory.mktemp("runs"), synthetic_manifest(), TABLES))


Figures = tuple[float, float, float]
By_customer = dict[str, np.ndarray]


def welch(y: np.ndarray, held_out: np.ndarray) -> Figures:
    found = stats.ttest_ind(y[~held_out], y[held_out], equal_var=False)
    low, high = found.confidence_interval(0.95)
    return y[~held_out].mean() - y[held_out].mean(), low, high


def cuped(y: np.ndarray, customers: By_customer) -> Figures:
    """Least squares on deviations from each group's own means, then Welch on what is left."""
    held_out = customers["held_out"]
    past = np.stack([customers["before_visits"], customers["before_spend"]], 1).astype(float)
    columns = np.column_stack([y, past])
    for group in (held_out, ~held_out):
        columns[group] -= columns[group].mean(0)
    theta = np.linalg.lstsq(columns[:, 1:], columns[:, 0], rcond=None)[0]
    return welch(y - past @ theta, held_out)


def winsorised(y: np.ndarray, customers: By_customer) -> Figures:
    """Cut at the upper edge of the bin that holds the 99.9 % quantile."""
    quantile = np.sort(y)[int(np.ceil(0.999 * len(y))) - 1]
    return welch(np.minimum(y, min(edge for edge in EDGES if edge > quantile)), customers["held_out"])


def raw(y: np.ndarray, customers: By_customer) -> Figures:
    return welch(y, customers["held_out"])


NAIVELY: dict[str, tuple[str, float, Callable[[np.ndarray, By_customer], Figures]]] = {
    "adjusted_lift[first_use]": ("converted", 1, cuped),
    "adjusted_lift[first_use/orange]": ("converted", 1, cuped),
    "adjusted_lift[top_up_bonus]": ("converted", 1, cuped),
    "spend_lift[first_use]": ("spend", 100, raw),
    "winsorised_spend_lift[first_use]": ("spend", 100, winsorised),
    "winsorised_spend_lift[first_use/red]": ("spend", 100, winsorised),
    "adjusted_spend_lift[first_use]": ("spend", 100, cuped),
    "programme_lift[payments]": ("payments", 1, raw),
    "programme_lift[profit]": ("profit", 100, raw),
    "adjusted_programme_lift[payments]": ("payments", 1, cuped),
    "adjusted_programme_lift[spend]": ("spend", 100, cuped),
    "adjusted_programme_lift[profit]": ("profit", 100, cuped),
    "adjusted_programme_lift[visits]": ("visits", 1, cuped),
}


@pytest.mark.parametrize("key", NAIVELY)
def test_from_sums_as_from_customers(key: str, found: dict[str, Estimate]) -> None:
    measure, scale, naively = NAIVELY[key]
    campaign, _, arm = key.partition("[")[2].rstrip("]").partition("/")
    customers = CUSTOMERS.get(campaign, CUSTOMERS[""])
    if arm:
        number = [each["name"] for each in CAMPAIGNS[0]["arms"]].index(arm)
        customers = {name: column[customers["arm"] == number] for name, column in customers.items()}
    expected = [figure / scale for figure in naively(customers[measure].astype(float), customers)]
    estimate = found[key]
    assert [estimate.value, estimate.low, estimate.high] == pytest.approx(expected, rel=1e-9, abs=1e-12)


def test_adjusting_narrows_and_says_by_how_much(found: dict[str, Estimate]) -> None:
    raw, adjusted = found["programme_lift[visits]"], found["adjusted_programme_lift[visits]"]
    shrunk = ((adjusted.high or 0) - (adjusted.low or 0)) / ((raw.high or 0) - (raw.low or 0))
    removed = float(re.findall(r"([\d.]+)\u202f% of the variance removed", adjusted.method)[0]) / 100
    assert shrunk == pytest.approx((1 - removed) ** 0.5, rel=0.01)
    assert removed > 0.7
    assert "Deng, Xu, Kohavi, Walker 2013" in adjusted.method


def test_what_the_effect_had_moved_before_must_not_adjust_it() -> None:
    """Why nothing is adjusted where the groups differed before launch: the effect of 2 goes with the covariate."""
    rng = np.random.default_rng(5)
    rate = rng.gamma(2, 5, (2, 20_000)) + np.array([[2.0], [0.0]])
    y, before = rng.poisson(rate), rng.poisson(rate)
    groups = [np.stack([y[group], before[group]], 1).astype(float) for group in (0, 1)]
    adjusted = Adjusted(*map(Moments.of, groups))
    raw, less = adjusted.raw.difference(), adjusted.difference()
    assert (raw.low or 0) < 2 < (raw.high or 0)
    assert (less.high or 0) < 1


def test_below_a_thousand_held_out_skewed_means_miss() -> None:
    """Of a measure as skewed as spend 5 % are to be missed: a hundred held out miss far more, a thousand hardly."""
    rng = np.random.default_rng(6)
    everybody = rng.poisson(0.18, 50_000) * rng.lognormal(5.5, 1.0, 50_000)
    missed = {}
    for n in (100, CUSTOMERS_LEAST_PROGRAMME):
        drawn = everybody[rng.integers(0, len(everybody), (2_000, n))]
        error = np.sqrt(drawn.var(1, ddof=1) / n + everybody.var() / len(everybody))
        missed[n] = np.mean(np.abs(drawn.mean(1) - everybody.mean()) > 1.96 * error)
    assert missed[100] > 0.1
    assert missed[CUSTOMERS_LEAST_PROGRAMME] < 0.075


def spoilt(case: str, tables: dict[str, dict[str, Any]]) -> None:
    """What keeps a figure from having its interval."""
    waterfall, outcomes, bins = (tables[name] for name in ("waterfall", "outcomes", "spend_bins"))
    if case.endswith("before"):
        reason = case.removesuffix(" before").replace(" ", "_")
        at = next(i for i, of in enumerate(waterfall["reason"]) if of == reason and waterfall["campaign"][i] == FIRST)
        waterfall["phase"][at] = "before"
    if case == "idle":
        outcomes["converted"] = [
            2 if held else n for n, held in zip(outcomes["converted"], outcomes["held_out"], strict=True)
        ]
        for name in ("sum", "squares"):
            bins[name] = [0.0 if held else n for n, held in zip(bins[name], bins["held_out"], strict=True)]


REFUSED = """
case             figure                                note
-                adjusted_programme_lift[left_annoyed] RARE        # nobody held out of everything leaves annoyed
-                programme_lift[left_annoyed]          -           # the raw share has an interval all the same
-                spend_lift[top_up_bonus]              SKEWED      # a tenth held out
-                adjusted_spend_lift[top_up_bonus]     SKEWED
-                winsorised_spend_lift[top_up_bonus]   SKEWED
few customers    programme_lift[spend]                 SKEWED
few customers    adjusted_programme_lift[spend]        SKEWED
idle             adjusted_lift[first_use]              RARE        # of those held out two convert, and nobody spends
idle             winsorised_spend_lift[first_use]      ALIKE
idle             spend_lift[first_use]                 ALIKE
shown before     adjusted_lift[first_use]              NOT_BEFORE
shown before     adjusted_spend_lift[first_use/red]    NOT_BEFORE
shown before     adjusted_lift[top_up_bonus]           -           # another campaign's past is its own
shown before     adjusted_programme_lift[visits]       -           # the programme's groups were treated alike
held out before  adjusted_lift[first_use]              NOT_BEFORE
held out before  adjusted_programme_lift[visits]       NOT_BEFORE
held out before  programme_lift[visits]                -           # the raw difference stands
"""


@pytest.fixture(scope="module")
def refusing(tmp_path_factory: pytest.TempPathFactory, found: dict[str, Estimate]) -> dict[str, dict[str, Estimate]]:
    cases = {"-": found}
    for case in ("few customers", "idle", "shown before", "held out before"):
        size = 3_000 if case == "few customers" else 20_000
        tables = copy.deepcopy(TABLES) if size == 20_000 else synthetic_tables(customers=size)
        spoilt(case, tables)
        cases[case] = metrics(write_run(tmp_path_factory.mktemp("runs"), synthetic_manifest(customers=size), tables))
    return cases


@pytest.mark.parametrize("row", REFUSED.strip().splitlines()[1:])
def test_a_refusal_says_why(row: str, refusing: dict[str, dict[str, Estimate]]) -> None:
    case, key, note = re.split(r"  +| (?=[A-Z])", row.partition("#")[0].strip())
    estimate = refusing[case][key]
    assert (estimate.low is None) == (note != "-")
    if note != "-":
        assert estimate.note == getattr(holdout_metrics, note)
        assert (estimate.value is None) == (note == "NOT_BEFORE")


def test_the_method_is_the_one_that_was_used(refusing: dict[str, dict[str, Estimate]]) -> None:
    usual, few = refusing["-"], refusing["idle"]
    assert usual["uptake[first_use/held_out]"].method == usual["left_annoyed"].method == "Wilson score"
    assert few["uptake[first_use/held_out]"].method == "exact, mid-P"
    assert few["lift[first_use]"].method.endswith("Wilson score and exact, mid-P")
    assert usual["relative_lift[first_use]"].method == "Katz log ratio"
