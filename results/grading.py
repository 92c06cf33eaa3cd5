"""Grading: every interval the product gives, put to studies with a known truth. `windtunnel grade` prints it.

A row holds where coverage and false positives stay within their bands; comparisons that must fail (exposures taken for
customers, customers who share stock, raw means of adaptive arms, peeking) are graded beside them, so that the table is
seen to be able to say no. Coverage is of the intervals given; the share refused is printed.
"""

from collections.abc import Callable

from results.graded import STUDIES, Row, Setting, rows_of
from results.grading_customers import CUSTOMERS
from results.grading_money import MONEY
from results.grading_worlds import WORLDS_SETTINGS

SUBJECTS = {
    "holdout": "customers shown against customers held out",
    "rare": "few events",
    "clicks": "rates per exposure, customers as unit",
    "spend": "amounts as skewed as CDNOW's; 39 weeks before as covariates",
    "paired": "the same customers under two policies, nothing shared",
    "adaptive": "arms whose shares follow their results",
    "srm": "customers assigned against the shares in force; the second figure is alarms",
    "worlds": "one figure a world",
    "stein": "worlds until the interval is narrow enough",
    "early": "a look after each world until a verdict falls; coverage is of all looks at once",
    "many": "several policies, or the best of many",
}
SETTINGS: tuple[Setting, ...] = (*CUSTOMERS, *MONEY, *WORLDS_SETTINGS)


def settings(only: str | None = None) -> tuple[Setting, ...]:
    """Of one subject, or all, in the order of SUBJECTS."""
    chosen = [only] if only else list(SUBJECTS)
    return tuple(setting for subject in chosen for setting in SETTINGS if setting.subject == subject)


def grade(
    studies: int = STUDIES,
    only: str | None = None,
    width: float = 1.0,
    tell: Callable[[float], None] = lambda share: None,
) -> tuple[Row, ...]:
    """`width` plants a fault in every interval: 0.9 makes it 10 % too narrow. `tell` hears the share done."""
    chosen = settings(only)
    rows: list[Row] = []
    for done, setting in enumerate(chosen):
        tell(done / len(chosen))
        rows += rows_of(setting, studies, width)
    return tuple(rows)
