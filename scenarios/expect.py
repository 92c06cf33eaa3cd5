"""Expectations: regions that a metric must lie in, as text: `0.2 <= relative_lift[first_use] <= 0.5`.

An expectation holds if the metric's whole interval lies inside, fails if all of it lies outside, and is undecided
otherwise (FIDELITY 14). A metric that is counted, not estimated, has no interval: the value decides.
"""

import math
import re
from dataclasses import dataclass

from results.statistics import TOO_FEW, Estimate

CONFIDENCE = 0.999
_NUMBER = r"[-+]?\d+(?:\.\d+)?%?"
_METRIC = r"[a-z][a-z0-9_]*(?:\[[a-z0-9_]+(?:/[a-z0-9_]+)*\])?"
_BETWEEN = re.compile(rf"({_NUMBER})\s*<=\s*({_METRIC})\s*<=\s*({_NUMBER})")
_ONE_SIDED = re.compile(rf"({_METRIC})\s*(<=|>=|==)\s*({_NUMBER})")


class ExpectationError(ValueError):
    """What is wrong with an expectation, as the end of a sentence that begins with "must be"."""


def number(text: str) -> float:
    return float(text[:-1]) / 100.0 if text.endswith("%") else float(text)


@dataclass(frozen=True)
class Verdict:
    """holds, fails or undecided, with the figure it rests on."""

    text: str
    verdict: str
    value: float | None
    low: float | None
    high: float | None
    n: int
    unit: str

    @property
    def missed(self) -> bool:
        return self.verdict != "holds"

    def sentence(self) -> str:
        """Expected, got."""
        if self.value is None:
            return f"expected {self.text}, got no such figure"
        got = f"{self.value:.6g}"
        if self.low is not None and self.high is not None:
            got += f" ({100 * CONFIDENCE:g} % interval {self.low:.6g} to {self.high:.6g}, n = {self.n:,})"
        why = ": not enough evidence, take more customers" if self.verdict == "undecided" else ""
        return f"expected {self.text}, got {got}{why}"


@dataclass(frozen=True)
class Expectation:
    """A metric and the closed region it must lie in."""

    text: str
    metric: str
    low: float
    high: float

    @classmethod
    def parse(cls, text: str) -> "Expectation":
        """Raises ExpectationError."""
        text = text.strip()
        if match := _BETWEEN.fullmatch(text):
            low, metric, high = number(match[1]), match[2], number(match[3])
            if low > high:
                raise ExpectationError("a region whose lower end is not above the upper one")
            return cls(text, metric, low, high)
        if match := _ONE_SIDED.fullmatch(text):
            bound = number(match[3])
            low = -math.inf if match[2] == "<=" else bound
            high = math.inf if match[2] == ">=" else bound
            return cls(text, match[1], low, high)
        raise ExpectationError("an expectation such as `0.2 <= relative_lift[first_use] <= 0.5` or `shown[x] >= 1000`")

    @property
    def campaign(self) -> str | None:
        """The campaign it speaks of, if it names one."""
        if "[" not in self.metric:
            return None
        return self.metric[self.metric.index("[") + 1 : -1].split("/")[0]

    def judge(self, found: dict[str, Estimate]) -> Verdict:
        """The verdict on estimates whose intervals have CONFIDENCE."""
        estimate = found.get(self.metric)
        if estimate is None or estimate.value is None:
            return Verdict(self.text, "fails", None, None, None, 0, "")
        low, high = estimate.low, estimate.high
        if low is None or high is None:
            low = high = estimate.value
            counted = TOO_FEW not in estimate.note
        else:
            counted = True
        if self.low <= low and high <= self.high:
            verdict = "holds" if counted else "undecided"
        elif high < self.low or low > self.high:
            verdict = "fails"
        else:
            verdict = "undecided"
        return Verdict(
            self.text, verdict, estimate.value, estimate.low, estimate.high, int(estimate.n), estimate.unit
        )
