"""What a metric is: its two names, what is divided by what, over which days, per whom, and whether it may be a goal."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from results.query import quoted

MEASURED = "campaign and tail"
CUSTOMER = "customer"
_COLUMNS = {"attacker": "kind", "group": "kind"}  # where it is not the name of the level


@dataclass(frozen=True)
class Scope:
    """Of whom a metric speaks: the run, one campaign, one arm of it, one coupon, one budget, one who pays, one kind of
    attackers, one group of good customers, or one fraud rule."""

    campaign: str = ""
    arm: str = ""
    coupon: str = ""
    budget: str = ""
    payer: str = ""
    attacker: str = ""
    group: str = ""
    rule: str = ""

    @property
    def level(self) -> str:
        """The last field that is set; the run where none is."""
        return next((name for name, word in reversed(vars(self).items()) if word), "run")

    def key(self, name: str, part: str = "") -> str:
        inside = "/".join(word for word in (*vars(self).values(), part) if word)
        return f"{name}[{inside}]" if inside else name

    @property
    def condition(self) -> str:
        parts = [f"{_COLUMNS.get(name, name)} = {quoted(word)}" for name, word in vars(self).items() if word]
        return " AND ".join(parts) or "true"

    @property
    def words(self) -> str:
        return f"{self.campaign}, variant {self.arm}" if self.arm else "".join(vars(self).values())


def scopes(manifest: dict[str, Any]) -> Iterator[Scope]:
    yield Scope()
    for campaign in manifest["campaigns"]:
        yield Scope(campaign["name"])
        if len(campaign["arms"]) > 1:
            yield from (Scope(campaign["name"], arm["name"]) for arm in campaign["arms"])
    coupons = manifest.get("coupons", [])
    yield from (Scope(coupon=coupon["name"]) for coupon in coupons)
    yield from (Scope(budget=budget["name"]) for budget in manifest.get("budgets", []))
    yield from (Scope(payer=payer) for payer in dict.fromkeys(name for coupon in coupons for name in coupon["payers"]))
    yield from (Scope(attacker=kind) for kind in manifest.get("attackers", []))
    yield from (Scope(group=kind) for kind in manifest.get("groups", []))
    yield from (Scope(rule=rule) for rule in manifest.get("rules", []))


def offer_of(manifest: dict[str, Any], coupon: str) -> dict[str, Any] | None:
    """The campaign that offers a coupon and holds somebody out; None unless it is the only one that offers it."""
    offers = [campaign for campaign in manifest["campaigns"] if campaign.get("coupon") == coupon]
    return offers[0] if len(offers) == 1 and offers[0].get("holdout_share") else None


@dataclass(frozen=True)
class Metric:
    name: str
    english: str
    chinese: str
    unit: str
    numerator: str  # SQL over `source`; for `mean` and `ratio` the name of a measure
    denominator: str
    meaning: str
    kind: str
    source: str = ""
    levels: tuple[str, ...] = ("run",)  # of run, campaign, arm, coupon, budget, payer, attacker, group, rule
    window: str = MEASURED
    unit_of_analysis: str = CUSTOMER
    goal_allowed: bool = True  # no for rates per exposure or per active: the annoyed leave, so these rise (FIDELITY 5)
    parts: tuple[str, ...] = ()  # figures of one name: groups, reasons, measures
    speaks_of: str = ""  # its population, where kind and scope do not say it
    where: str = ""  # the rows of `source` that count, where it is not those since launch
    of_coupons: bool = False  # only of policies that have coupons, or of their budgets
    of_breakers: bool = False  # only of policies that have circuit breakers
    of_fraud: bool = False  # only of policies under which a fraud rule is on
    of_desk: bool = False  # only of populations that have a support desk
    needs: str = ""  # key of the manifest without which a run has none of it
    missing: str = ""  # said where there is no figure
    counted: str = ""  # SQL of n, where it is not the denominator

    def keys(self, scope: Scope) -> dict[str, str]:
        """The figures of this name in a scope, each with its part."""
        return {scope.key(self.name, part): part for part in self.parts or ("",)} if scope.level in self.levels else {}

    def population(self, scope: Scope, part: str = "") -> str:
        """Whom a figure speaks of, in words (FIDELITY 10)."""
        if self.speaks_of:
            return f"{part} of {self.speaks_of}" if part else self.speaks_of
        if self.kind == "holdout":
            return f"customers reached by {scope.words}, {_GROUP_WORDS[part]}"
        if self.unit_of_analysis != CUSTOMER:
            return f"{self.unit_of_analysis}s of {scope.words or _ALL_OF[self.unit_of_analysis]}"
        return f"customers shown {scope.words}" if scope.campaign else AT_LAUNCH


AT_LAUNCH = "customers at launch"
_ALL_OF = {"event": AT_LAUNCH, "exposure": "all campaigns", "candidate": "all campaigns", "visit": AT_LAUNCH,
           "coupon": "all kinds", "goal": "all reviews", "claim": "all coupons", "order": AT_LAUNCH,
           "crew account": "all kinds", "good customer": "all groups", "ask": "all rules"}  # fmt: skip
_GROUP_WORDS = {"": "shown or held out", "shown": "shown", "held_out": "held out"}
