"""What grading is made of: studies with a known truth, claims about intervals, and rows that say whether they hold.

Bands are what an honest 95 % interval shows in 99 % of gradings: 93.7 to 96.2 % in 2 000 studies, and false positives
in 3.8 to 6.3 % (FIDELITY 4, "Coverage"); 92.0 to 97.5 % in 400; no narrower with more. So one honest figure in 100
falls outside: a row that fails is graded again with ten times the studies before an estimator is blamed.
"""

import functools
import zlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from results.statistics import CONFIDENCE, Interval, binomial_limits

Floats = NDArray[np.float64]
Flags = NDArray[np.bool_]
Limits = tuple[float, float]

STUDIES = 2_000
SEED = 1  # of six seeds, most see every row hold; with 20 000 studies every row holds
STUDIES_LEAST = 100
LUCK = 0.99  # share of honest intervals that stay within the band
REFUSED_FROM = 0.95  # share refused from which a setting counts as refused: no interval is claimed in it
HOLDS, FAILS, REFUSED = "holds", "fails", "refused"
ANY = "either"  # shown beside the others, nothing is claimed


# --- Studies ----------------------------------------------------------------------------------------------------------
class Hits(NamedTuple):
    """Of each study, (studies,): was an interval given, did it cover the truth, did it leave out 0 (or alarm)?"""

    given: Flags
    covered: Flags
    left_out_0: Flags
    remark: str = ""


def hits(
    values: ArrayLike, intervals: Sequence[Interval], truth: ArrayLike, width: float = 1.0, remark: str = ""
) -> Hits:
    """`width` plants a fault: 0.9 makes every interval 10 % too narrow, around its value; 1 is none."""
    low, high = np.array([(i.low, i.high) for i in intervals], np.float64).T
    value = np.asarray(values, np.float64)
    low, high = value - (value - low) * width, value + (high - value) * width
    given = ~np.isnan(low)
    with np.errstate(invalid="ignore"):
        return Hits(given, given & (low <= truth) & (truth <= high), given & ((low > 0) | (high < 0)), remark)


# --- Claims -----------------------------------------------------------------------------------------------------------
class Claim(NamedTuple):
    """What an estimator must show. None: nothing is asked of that figure."""

    estimator: str
    coverage: Callable[[int], Limits] | None
    false_positives: Callable[[int], Limits] | None
    expected: str = HOLDS  # FAILS: a comparison, there to be seen red; REFUSED: too few, and said so; ANY


def honest_coverage(studies: int) -> Limits:
    return binomial_limits(min(studies, STUDIES), CONFIDENCE, LUCK)


def honest_positives(studies: int) -> Limits:
    return binomial_limits(min(studies, STUDIES), 1 - CONFIDENCE, LUCK)


def at_most_5(studies: int) -> Limits:
    """No more than 5 %, however few; fewer studies than in full are allowed their luck."""
    return 0.0, 0.05 if studies >= STUDIES else binomial_limits(studies, 0.05, LUCK)[1]


def family_wise(studies: int) -> Limits:
    """Of several at once: no more than one interval alone, as far as so many studies tell."""
    return 0.0, honest_positives(studies)[1]


def path_coverage(studies: int) -> Limits:
    """So high that 94 % is ruled out, no upper bound (FIDELITY 11: lower 99 % limit at least 94 %)."""
    return binomial_limits(min(studies, STUDIES), 0.94, LUCK)[1], 1.0


def interval(estimator: str) -> Claim:
    return Claim(estimator, honest_coverage, honest_positives)


def one_sample(estimator: str) -> Claim:
    """Without a comparison there is no effect to find by mistake."""
    return Claim(estimator, honest_coverage, None)


def must_fail(estimator: str, positives: bool = True) -> Claim:
    return Claim(estimator, honest_coverage, honest_positives if positives else None, FAILS)


def refused(claim: Claim) -> Claim:
    """Too few here, and the tool has to say so."""
    return claim._replace(expected=REFUSED)


# --- Settings and rows ------------------------------------------------------------------------------------------------
Draw = Callable[[np.random.Generator, int, float, bool], tuple[Hits, ...]]


class Setting(NamedTuple):
    """Studies of one kind, to which one or more estimators are put.

    `draw(rng, studies, width, effect)`: simulates them with an effect or without and gives one Hits a claim, in order.
    """

    subject: str  # `--only`
    name: str
    claims: tuple[Claim, ...]
    draw: Draw


def with_given(draw: Callable[..., tuple[Hits, ...]], **given: float) -> Draw:
    return functools.partial(draw, **given)


def chunks(studies: int, size: int) -> Iterator[int]:
    """So many at a time, to keep arrays small."""
    yield from (min(size, studies - start) for start in range(0, studies, size))


@dataclass(frozen=True)
class Row:
    """One estimator in one setting. Shares from 0 to 1; coverage and false positives are of the intervals given."""

    subject: str
    setting: str
    estimator: str
    studies: int
    coverage: float | None
    coverage_band: Limits | None
    false_positives: float | None
    false_positives_band: Limits | None
    refused: float
    verdict: str  # holds, fails or refused
    expected: str
    remark: str = ""

    @property
    def as_expected(self) -> bool:
        return self.expected in (self.verdict, ANY)

    def as_json(self) -> dict[str, Any]:
        return {**asdict(self), "as_expected": self.as_expected}


def rows_of(setting: Setting, studies: int = STUDIES, width: float = 1.0) -> tuple[Row, ...]:
    """The same numbers whichever other settings are graded: the seed is the setting's own."""
    rng = np.random.default_rng([SEED, zlib.crc32(f"{setting.subject}/{setting.name}".encode())])
    claims = setting.claims
    with_effect = setting.draw(rng, studies, width, True) if any(c.coverage for c in claims) else (None,) * len(claims)
    nulls = any(c.false_positives for c in claims)
    without = setting.draw(rng, studies, width, False) if nulls else (None,) * len(claims)
    return tuple(
        judged_row(setting.subject, setting.name, claim, studies, found, null)
        for claim, found, null in zip(claims, with_effect, without, strict=True)
    )


def judged_row(subject: str, setting: str, claim: Claim, studies: int, found: Hits | None, null: Hits | None) -> Row:
    """What studies with an effect (`found`) and without (`null`) say of one claim."""
    coverage, coverage_band, holds = _judged(claim.coverage, found, found and found.covered)
    positives, positives_band, few = _judged(claim.false_positives, null, null and null.left_out_0)
    seen = found if claim.coverage and found else null
    assert seen is not None, "a claim asks something"
    withheld = 1 - float(seen.given.mean())
    if withheld >= REFUSED_FROM:
        verdict, coverage, positives, remark = REFUSED, None, None, ""
    else:
        verdict, remark = HOLDS if holds and few else FAILS, seen.remark
    return Row(
        subject, setting, claim.estimator, studies, coverage, coverage_band, positives, positives_band,
        withheld, verdict, claim.expected, remark,
    )  # fmt: skip


def _judged(
    band: Callable[[int], Limits] | None, found: Hits | None, hit: Flags | None
) -> tuple[float | None, Limits | None, bool]:
    """Share of the intervals given, the band for so many, and whether it lies inside; never where none was given."""
    if band is None or found is None or hit is None:
        return None, None, True
    given = int(found.given.sum())
    if not given:
        return None, None, False
    share, (low, high) = float(hit.sum()) / given, band(given)
    return share, (low, high), low <= share <= high
