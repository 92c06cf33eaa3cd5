"""What a bank asks of a run, each against a naive count of the same tables."""

from typing import Any

import pytest

from results.metrics import metrics
from results.statistics import Estimate
from results.store import write_run
from results.tables import Columns
from tests.results.synthetic import synthetic_manifest, synthetic_tables

MEASURED = ("campaign", "after")


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Estimate]:
    return metrics(write_run(tmp_path_factory.mktemp("runs"), synthetic_manifest(), synthetic_tables()))


def total(columns: Columns, name: str) -> float:
    """The sum over campaign and tail."""
    rows = zip(columns[name], columns["phase"], strict=True)
    return float(sum(value for value, phase in rows if phase in MEASURED))


def per_customer(moments: Columns, measure: str) -> float:
    rows = zip(*(moments[name] for name in ("measure_a", "measure_b", "sum_a", "n")), strict=True)
    (mean,) = [summed / n for a, b, summed, n in rows if a == b == measure]
    return float(mean)


def naive() -> dict[str, Any]:
    tables = synthetic_tables()
    days, cells, moments = tables["population"], tables["cells"], tables["moments"]
    launched, exposures = days["launched"][0], total(cells, "exposures") - total(cells, "not_shown")
    last = max(range(len(days["date"])), key=lambda row: days["date"][row])
    return {
        "visits_per_customer": per_customer(moments, "visits"),
        "payments_per_customer": per_customer(moments, "payments"),
        "negatives_per_customer": per_customer(moments, "negatives"),
        "page_views_per_visit": total(days, "page_views") / total(days, "visits"),
        "dwell_per_visit": total(days, "dwell_ms") / 1000 / total(days, "visits"),
        "cards_bound": total(days, "cards_bound"),
        "first_payments": total(days, "first_payments"),
        "first_payment_share": total(days, "first_payments") / launched,
        "active_share": days["active"][last] / launched,
        "left_annoyed": total(days, "left_annoyed") / launched,
        "close_rate": total(cells, "closes") / exposures,
        "mute_rate": total(cells, "mutes") / exposures,
        "complaint_rate": total(cells, "complaints") / exposures,
    }


@pytest.mark.parametrize("name", naive())
def test_a_measure_is_that_of_its_name(name: str, found: dict[str, Estimate]) -> None:
    assert found[name].value == pytest.approx(naive()[name], rel=1e-12)


def test_no_two_measures_are_equal() -> None:
    """Else one could stand for the other and nobody would see it."""
    values = list(naive().values())
    assert len(values) == len(set(values))
    assert 0 not in values
