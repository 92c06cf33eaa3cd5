"""Grades intervals where customers compete (FIDELITY 10): hundreds of small worlds before the real Ledger, with more
customers than coupons. The holdout of a world claims too much, however many customers it counts; worlds do not."""

from collections.abc import Sequence

import numpy as np

from results.graded import FAILS, STUDIES, Claim, Hits, Limits, Row, hits, judged_row, one_sample
from results.paired import WORLDS_LEAST, PairedWorlds
from results.statistics import Proportion, TwoProportions
from scenarios.grading_simulation import Analysis, Progress, Small, graded, groups, played, raw, twins
from scenarios.world_rows import Rows

WORLDS = 400
SCARCE = Small("scarce_offer", "midnight_offer", 400, 1, 1, 7)  # what counts is bought within seven days
PIECES = 40
SETTING = f"{SCARCE.customers:,} simulated customers, {PIECES} coupons"
HOLDOUT = Analysis(raw, "converted", SCARCE.campaign)
SEED = 1


def at_least_90(studies: int) -> Limits:
    """What an interval by customer must be seen to miss."""
    return 0.9, 1.0


BY_CUSTOMER = Claim("holdout, by customer", at_least_90, None, FAILS)
POOLED = Claim("10 holdouts, by customer", at_least_90, None, FAILS)
BY_WORLD = one_sample("10 worlds, by world")


def lived(worlds: int, progress: Progress) -> list[Rows]:
    (found,) = played([SCARCE.plan({"policy.coupons.midnight_60.pieces": str(PIECES)})], worlds, progress)
    return found


def stock_rows(worlds: Sequence[Rows], width: float = 1.0) -> list[Row]:
    """`width` plants intervals too narrow or too wide.

    Each ten is drawn with replacement from the worlds that were lived, as if from all there could be: how one differs
    from another is all that coverage depends on.
    """
    tens = np.random.default_rng(SEED).integers(len(worlds), size=(STUDIES, WORLDS_LEAST))
    alone = graded(HOLDOUT, worlds, width)._replace(remark=said(worlds))
    return [
        judged_row("simulation", SETTING, BY_CUSTOMER, len(worlds), alone, None),
        judged_row("simulation", SETTING, POOLED, STUDIES, by_customer(worlds, tens, width), None),
        judged_row("simulation", SETTING, BY_WORLD, STUDIES, by_world(worlds, tens, width), None),
    ]


def said(worlds: Sequence[Rows]) -> str:
    ran_out = sum(rows["lives"][0]["shared_refusals"] > 0 for rows in worlds)
    estimates = [raw(rows, SCARCE.campaign)[0] for rows in worlds]
    means = f"estimates {np.mean(estimates):.1%}, true {gains(worlds).mean():.1%}"
    return f"{means}; sold out in {ran_out} of {len(worlds)} worlds"


def gains(worlds: Sequence[Rows]) -> np.ndarray:
    """By how much more of those reached buy if the offer is made, by twin worlds: f8[worlds]."""
    rows = [twins(one, SCARCE.campaign, HOLDOUT.measure) for one in worlds]
    return np.array([row["total"] / row["n"] for row in rows])


def by_world(worlds: Sequence[Rows], tens: np.ndarray, width: float) -> Hits:
    """Student's intervals of ten worlds each against the mean of all. tens: i8[studies, 10], which worlds."""
    found = gains(worlds)
    studies = [PairedWorlds(tuple(ten)) for ten in found[tens].tolist()]
    return hits([s.value or 0.0 for s in studies], [s.interval() for s in studies], float(found.mean()), width)


def by_customer(worlds: Sequence[Rows], tens: np.ndarray, width: float) -> Hits:
    """The customers of ten worlds under one interval, as if they shared nothing: narrower, and about something else."""
    counts = np.array([[(g["converted"], g["customers"]) for g in groups(rows, SCARCE.campaign)] for rows in worlds])
    pooled = [[Proportion(*group) for group in study] for study in counts[tens].sum(axis=1).tolist()]
    values = [(shown.value or 0.0) - (held_out.value or 0.0) for shown, held_out in pooled]
    return hits(values, [TwoProportions(*pair).difference() for pair in pooled], float(gains(worlds).mean()), width)
