"""Grades the purchase process against the literature: BG/NBD with the parameters of CDNOW (FIDELITY §4)."""

from dataclasses import dataclass
from pathlib import Path
from zoneinfo import ZoneInfo

import numpy as np

from engine.records import CUSTOMER, WEEK_MS, records
from results.statistics import chi_square_p
from scenarios.build import model_of
from scenarios.load import SETTLE_NOTHING_SHARED_MS, compiled, load_scenario, spans_of
from scenarios.population_document import Cards
from sim.cohort import empty_crowd
from sim.model import VISITOR, Crowd, Model, Span
from sim.population import draw_repeats

# Fader, Hardie, Lee 2005 ("Counting Your Customers" the Easy Way, Marketing Science 24: 275), table 2: weeks.
CDNOW = {"unit": "week", "r": 0.243, "alpha": 4.414, "a": 0.793, "b": 2.426, "curves": False}
WEEKS, CUSTOMERS, Z_MAX = 39, 1_000_000, 4.0
SHARES = np.array([0.5738, 0.1994, 0.0854, 0.0459, 0.0277, 0.0180, 0.0123, 0.0376])  # of 0 … 6, 7 and more repeats
MEAN = 1.1967
# The cohort of the paper: customers who joined over the first twelve of 39 weeks, and what the model expects of them.
COHORT, T_LEAST, T_MOST, P_LEAST = 2_357, 27.0, 38.9, 0.001
EXPECTED = np.array([1406.5, 460.8, 192.7, 101.3, 59.9, 38.2, 25.6, 72.0])
_SCENARIO = Path(__file__).resolve().parent / "library" / "first_use.scenario.yaml"


@dataclass(frozen=True)
class Fact:
    """One line that is not a coverage: what is asked, what was found, whether it holds."""

    subject: str
    what: str
    wanted: str
    got: str
    holds: bool


def cdnow_model() -> tuple[Model, Crowd]:
    """The preset's customers with CDNOW's purchases and no curves, and an empty crowd at the run's start."""
    loaded = load_scenario(_SCENARIO)
    population = loaded.population
    population = population.model_copy(
        update={"purchases": population.purchases.model_copy(update=CDNOW), "cards": Cards()}
    )
    spans = spans_of(loaded.scenario, ZoneInfo(loaded.policy.time_zone), SETTLE_NOTHING_SHARED_MS)
    model = model_of(population, compiled(loaded)[0], spans, (loaded.scenario.seed, 0))
    return model, empty_crowd(0, 1, model, spans)


def repeat_purchases(model: Model, crowd: Crowd, joined_ms: np.ndarray) -> np.ndarray:
    """Repeat purchases of customers 0 … n - 1 who joined at these times (ms) until the run's start: i8[n]."""
    repeats = np.zeros(len(joined_ms), np.int64)
    visitor, profile, fresh = records(1, VISITOR), records(1, CUSTOMER), records(1, VISITOR)
    draw_repeats(model, crowd, visitor, profile, fresh, joined_ms, repeats)
    return repeats


def counts_of(repeats: np.ndarray) -> np.ndarray:
    """Customers with 0 … 6, 7 and more repeats."""
    return np.bincount(np.minimum(repeats, 7), minlength=8)


def cdnow_facts() -> list[Fact]:
    model, crowd = cdnow_model()
    start = int(crowd.span[Span.START])
    repeats = repeat_purchases(model, crowd, np.full(CUSTOMERS, start - WEEKS * WEEK_MS))
    counts = counts_of(repeats)
    z = (counts - CUSTOMERS * SHARES) / np.sqrt(CUSTOMERS * SHARES * (1 - SHARES))
    mean_error = repeats.std() / np.sqrt(CUSTOMERS)
    weeks = np.linspace(T_LEAST, T_MOST, COHORT)
    cohort = counts_of(repeat_purchases(model, crowd, start - (weeks * WEEK_MS).astype(np.int64)))
    p = chi_square_p(cohort.tolist(), EXPECTED.tolist())
    shares = " ".join(f"{share:.4f}" for share in counts / CUSTOMERS)
    return [
        Fact("CDNOW", f"0 to 6, 7+ repeats of {CUSTOMERS:,} customers in {WEEKS} weeks", f"each |z| < {Z_MAX:g}",
             f"{shares}; largest |z| {np.abs(z).max():.1f}", bool(np.abs(z).max() < Z_MAX)),
        Fact("CDNOW", "mean repeats", f"{MEAN} within {Z_MAX:g} standard errors", f"{repeats.mean():.4f}",
             abs(repeats.mean() - MEAN) < Z_MAX * mean_error + 5e-5),
        Fact("CDNOW", f"{COHORT:,} customers of the paper's cohort", f"p > {P_LEAST}",
             f"{' '.join(map(str, cohort.tolist()))}; p {p:.3f}", p > P_LEAST),
    ]  # fmt: skip
