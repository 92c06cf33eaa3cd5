"""Expectations: regions that a metric must lie in, as text: `0.2 <= relative_lift[first_use] <= 0.5`.

An expectation holds if the metric's whole interval lies inside, fails if all of it lies outside, and is undecided
otherwise (FIDELITY 14). A metric that is counted, not estimated, has no interval: the value decides. Where there should
be an interval and is none (too few customers, customers who compete), nothing is decided.
"""

import difflib
import math
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from engine.policy.checks import known, repeated
from engine.policy.document import Policy
from engine.policy.quantities import Problem
from results.catalogue import METRICS, asked_of
from results.metric import Metric, scopes
from results.metrics import SHARED, universal_share
from results.statistics import TOO_FEW, Estimate
from results.store import held_out_share

CONFIDENCE = 0.999
_NUMBER = r"[-+]?\d+(?:\.\d+)?%?"
_METRIC = r"[a-z][a-z0-9_]*(?:\[[a-z0-9_]+(?:/[a-z0-9_]+)*\])?"
_BETWEEN = re.compile(rf"({_NUMBER})\s*<=\s*({_METRIC})\s*<=\s*({_NUMBER})")
_ONE_SIDED = re.compile(rf"({_METRIC})\s*(<=|>=|==)\s*({_NUMBER})")
_STRICT = re.compile(r"[<>](?!=)")
NOBODY: Mapping[str, Any] = {}  # a population without a desk, attackers, or word of who is who
NEEDED = {
    "attackers": "population with adversaries",
    "groups": "population with origins",
    "rules": "population with origins, under a policy with fraud rules",
}
_FIGURES_SHOWN_MAX = 6  # of those a sentence lists


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
    note: str = ""  # why there is no interval

    @property
    def missed(self) -> bool:
        return self.verdict != "holds"

    @property
    def metric(self) -> str:
        return Expectation.parse(self.text).metric

    @property
    def got(self) -> str:
        """The figure and its interval, in per cent where the expectation is."""
        if self.value is None:
            return f"no figure ({self.note or 'nobody to measure'})"
        words = self.figure(self.value)
        if self.low is not None and self.high is not None:
            span = f"{self.figure(self.low)} to {self.figure(self.high)}"
            return f"{words} ({100 * CONFIDENCE:g}% interval {span}, n = {self.n:,})"
        return f"{words} ({self.note})" if self.verdict == "undecided" and self.note else words

    def figure(self, value: float) -> str:
        if "%" in self.text:
            return f"{100 * value:.4g}%"
        return f"{value:,.0f}" if value == int(value) else f"{value:.6g}"

    def sentence(self) -> str:
        """Expected, got."""
        why = ": not enough evidence, take more customers" if self.verdict == "undecided" else ""
        return f"expected {self.text}, got {self.got}{why}"


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
                raise ExpectationError("a region whose lower end is not above its upper one")
            return cls(text, metric, low, high)
        if match := _ONE_SIDED.fullmatch(text):
            bound = number(match[3])
            low = -math.inf if match[2] == "<=" else bound
            high = math.inf if match[2] == ">=" else bound
            return cls(text, match[1], low, high)
        if _STRICT.search(text):
            raise ExpectationError("a region with its ends: write <= or >=, not < or >")
        raise ExpectationError("an expectation like 0.2 <= relative_lift[first_use] <= 0.5 or exposures >= 1000")

    @property
    def name(self) -> str:
        return self.metric.partition("[")[0]

    @property
    def parts(self) -> list[str]:
        """What stands in the brackets: campaign, arm, which group or reason."""
        inside = self.metric.partition("[")[2].removesuffix("]")
        return inside.split("/") if inside else []

    def judge(self, found: dict[str, Estimate]) -> Verdict:
        """The verdict on estimates whose intervals have CONFIDENCE."""
        estimate = found[self.metric]
        return Verdict(
            self.text, self._verdict(estimate), estimate.value, estimate.low, estimate.high, int(estimate.n),
            estimate.unit, estimate.note,
        )  # fmt: skip

    def _verdict(self, estimate: Estimate) -> str:
        low, high = estimate.low, estimate.high
        if estimate.value is None or not decides(estimate):
            return "undecided"
        if low is None or high is None:
            low = high = estimate.value
        if self.low <= low and high <= self.high:
            return "holds"
        return "fails" if high < self.low or low > self.high else "undecided"


def decides(estimate: Estimate) -> bool:
    """Whether a figure has an interval, or needs none because it is counted."""
    without = estimate.low is None or estimate.high is None
    return not (without and (TOO_FEW in estimate.note or estimate.note == SHARED))


def are_expectations(texts: list[str], name: str) -> Iterator[Problem]:
    """Problems of a list of them, a field of this name."""
    yield from repeated(texts, (name,))
    for number, text in enumerate(texts):
        try:
            Expectation.parse(text)
        except ExpectationError as error:
            yield (name, number), f"must be {error} (got {text})"


# --- before the run ---------------------------------------------------------------------------------------------------
def figures(policy: Policy, population: Mapping[str, Any] = NOBODY) -> list[str]:
    """Every figure that a run under this policy will have, by the names expectations use. population: what a manifest
    says of it: whether it has a support desk, kinds of attackers, groups of good customers, rules they meet."""
    manifest = {**manifest_of(policy), **population}
    held_out = {campaign["name"]: held_out_share(campaign) > 0 for campaign in manifest["campaigns"]}
    found: list[str] = []
    for scope in scopes(manifest):
        there = {"holdout": held_out.get(scope.campaign, False), "programme": universal_share(manifest) > 0}
        for metric in asked_of(manifest, scope):
            if there.get(metric.kind, True):
                found += metric.keys(scope)
    return found


def manifest_of(policy: Policy) -> dict[str, Any]:
    """Of a manifest, what says which figures there are."""
    blocks = [
        {
            "name": name,
            "purpose": campaign.purpose,
            "holdout_share": campaign.holdout.share if campaign.holdout else 0,
            "arms": [{"name": arm.name} for arm in campaign.arms or []],
            "coupon": campaign.coupon or "",
        }
        for name, campaign in policy.campaigns.items()
    ]
    universal = policy.universal_holdout
    return {
        "campaigns": blocks,
        "universal_holdout_share": universal.share if universal else 0,
        "coupons": [{"name": name, "payers": coupon.payers} for name, coupon in policy.coupons.items()],
        "budgets": [{"name": name} for name in policy.budgets],
        "breakers": list(policy.breakers),
        "fraud": policy.fraud.is_on,
    }


def owners(metric: Metric, policy: Policy, population: Mapping[str, Any]) -> tuple[str, list[str]]:
    """Whose name stands first in a metric's brackets, in words, and which names there are."""
    names = {
        "coupon": ("the policy's coupons", list(policy.coupons)),
        "budget": ("the policy's budgets", list(policy.budgets)),
        "payer": ("the policy's payers", [scope.payer for scope in scopes(manifest_of(policy)) if scope.payer]),
        "attacker": ("the population's attackers", population.get("attackers", [])),
        "group": ("the population's groups", population.get("groups", [])),
        "rule": ("the policy's fraud rules", population.get("rules", [])),
    }
    campaigns = ("the policy's campaigns", list(policy.campaigns))
    return next((found for level, found in names.items() if level in metric.levels), campaigns)


def misread(expectation: Expectation, policy: Policy, population: Mapping[str, Any] = NOBODY) -> Iterator[str]:
    """What is wrong with the figure an expectation names: `must …`. population: as for `figures`."""
    name, parts = expectation.name, expectation.parts
    if name not in METRICS:
        yield from (sentence for _, sentence in known(name, (), "the metrics", METRICS))
        return
    programme = METRICS[name].kind == "programme"
    whose, names = owners(METRICS[name], policy, population)
    if parts and not programme and parts[0] not in names:
        yield from (sentence for _, sentence in known(parts[0], (), whose, names))
        return
    there = figures(policy, population)
    if expectation.metric in there:
        return
    same = [figure for figure in there if figure.partition("[")[0] == name]
    if parts:
        same = [figure for figure in same if parts[0] in Expectation(figure, figure, 0, 0).parts[:1]] or same
    if not same or (parts and METRICS[name].kind == "holdout" and f"[{parts[0]}" not in "".join(same)):
        yield f"must be of a {needed(METRICS[name])}, for nothing else has {name} (got {expectation.metric})"
        return
    close = difflib.get_close_matches(expectation.metric, same, 1)
    shown = ", ".join(same[:_FIGURES_SHOWN_MAX]) + (", …" if len(same) > _FIGURES_SHOWN_MAX else "")
    yield f"must be one of {shown} (got {expectation.metric}{f', did you mean {close[0]}?' if close else ''})"


def needed(metric: Metric) -> str:
    """What has a metric that not everything has."""
    if metric.kind == "programme":
        return "policy with a universal holdout"
    if metric.kind == "roi":
        return "coupon that one campaign offers, with a holdout"
    if metric.of_breakers:
        return "policy with breakers"
    if metric.of_fraud:
        return "policy with fraud rules"
    if metric.of_desk:
        return "population with a support desk"
    if metric.needs:
        return NEEDED[metric.needs]
    return "policy with coupons" if metric.of_coupons else "campaign with a holdout"
