"""The answer, first: verdict, figure, interval, per customer and in total, risk (DESK.md). Words follow FIDELITY 12."""

from dataclasses import dataclass, replace
from typing import Any

from markupsafe import Markup

from results.markup import computed, figure, interval, sentence
from results.metrics import SRM_ALARM
from results.statistics import Estimate
from results.words import channel, goal, plain

Estimates = dict[str, Estimate]
KNOWN_CASE = (
    "This population was set to reproduce the figure; it tests the harness, it does not confirm the figure."
)  # fmt: skip
MATTERS = 0.01  # of the baseline, unless the campaign states its own `matters`


@dataclass(frozen=True)
class Lead:
    verdict: str  # better, worse, no difference that matters, undecided, description only, void
    sentences: Markup
    risk: Markup
    keys: tuple[str, ...]  # the estimates it rests on


def lead(manifest: dict[str, Any], found: Estimates, customer_base: Markup) -> Lead:
    """`customer_base`: that number, marked up with its query."""
    campaign = next((c for c in manifest["campaigns"] if c["name"] == manifest["primary"]), None)
    if campaign is None:
        return _run_described(found) if manifest["campaigns"] else _coupons_described(found)
    name = campaign["name"]
    if f"lift[{name}]" not in found:
        return _campaign_described(campaign, found)
    alarm = found[f"srm_p[{name}]"]
    if alarm.value is not None and alarm.value < SRM_ALARM:
        return _void(campaign, alarm)
    return _compared(campaign, found, customer_base)


def verdict(difference: Estimate, matters: float) -> str:
    """The words of FIDELITY 12 for an interval of a difference where more is better."""
    low, high = difference.low, difference.high
    if low is None or high is None:
        return "undecided"
    if low > 0:
        return "better"
    if high < 0:
        return "worse"
    return "no difference that matters" if -matters <= low and high <= matters else "undecided"


def title(campaign: dict[str, Any]) -> str:
    return f"The “{plain(campaign['name'])}” {channel(campaign['channel'])}"


def _compared(campaign: dict[str, Any], found: Estimates, customer_base: Markup) -> Lead:
    name = campaign["name"]
    what, who = goal(campaign["goal"])
    keys = [f"uptake[{name}/held_out]", f"uptake[{name}/shown]", f"lift[{name}]", f"relative_lift[{name}]"]
    keys += [f"incremental_conversions[{name}]", f"negatives_per_customer[{name}]"]
    lift = found[keys[2]]
    word = verdict(lift, campaign.get("matters", MATTERS * (found[keys[0]].value or 0.0)))
    verb = {"better": "lifts", "worse": "lowers"}.get(word)
    begin = "{title} {verb} {what}" if verb else "{title} is not shown to change {what}: it goes"
    text = begin + " from {base} to {shown}: {lift} per customer assigned ({span}), {relative} relative"
    text += "; about {total} {who} on a base of {customers} customers ({total_span})." if lift.low is not None else "."
    main = sentence(
        text, title=title(campaign), verb=verb, what=what, who=who,
        base=figure(keys[0], found[keys[0]]), shown=figure(keys[1], found[keys[1]]), lift=figure(keys[2], lift, "+"),
        span=interval(keys[2], lift, _LABEL), relative=figure(keys[3], found[keys[3]], "+"),
        customers=customer_base,
        total=figure(keys[4], found[keys[4]], "+"), total_span=interval(keys[4], found[keys[4]]),
    )  # fmt: skip
    brought, of_coupon = _brought_back(campaign.get("coupon", ""), found)
    return Lead(word, main + brought, _risk(keys[5], found[keys[5]]), (*keys, *of_coupon))


_PAYS = {"better": "more than", "worse": "less than"}


def _brought_back(coupon: str, found: Estimates) -> tuple[Markup, tuple[str, ...]]:
    """Of a campaign that offers a coupon: whether it pays, which more buyers alone do not say."""
    key = f"roi[{coupon}]"
    roi = found.get(key)
    if roi is None or roi.value is None:
        return Markup(""), ()
    word = _PAYS.get(verdict(_above(roi, 1.0), 0.0), "not shown to be more than")
    text = " Each yuan of its discounts and messages brought back {roi} of margin ({span}), {word} it cost."
    return sentence(text, roi=figure(key, roi), span=interval(key, roi), word=word), (key,)


def _above(estimate: Estimate, level: float) -> Estimate:
    low, high = (None if end is None else end - level for end in (estimate.low, estimate.high))
    return replace(estimate, low=low, high=high)


_LABEL = "95\u202f% interval "


def _risk(key: str, negatives: Estimate) -> Markup:
    return sentence(
        "Risk: it drew {n} negative reactions (closes, mutes, complaints) per customer it was shown to ({span}). "
        "No guardrail is defined, so none was tested.",
        n=figure(key, negatives), span=interval(key, negatives),
    )  # fmt: skip


def _void(campaign: dict[str, Any], alarm: Estimate) -> Lead:
    key = f"srm_p[{campaign['name']}]"
    text = sentence(
        "{title} cannot be judged: customers were not assigned in the stated shares (chi-square test, p {p}). "
        "Find out who was lost before reading any difference below.",
        title=title(campaign), p=computed(key, "value", alarm.value, "p:3"),
    )  # fmt: skip
    return Lead("void", text, Markup(""), (key,))


def _campaign_described(campaign: dict[str, Any], found: Estimates) -> Lead:
    keys = tuple(
        f"{metric}[{campaign['name']}]" for metric in ("exposures", "click_rate", "conversion_rate", "negative_rate")
    )
    values = dict(
        zip(("n", "clicks", "conversions", "negatives"), (figure(key, found[key]) for key in keys), strict=True)
    )
    text = sentence(
        "{title} was shown {n} times: {clicks} of exposures were clicked, {conversions} were followed by {what}, "
        "{negatives} drew negative feedback.",
        title=title(campaign), what=goal(campaign["goal"])[0], **values,
    )  # fmt: skip
    return Lead("description only", text, Markup(_NO_HOLDOUT), keys)


_NO_HOLDOUT = (
    "Nobody was held out, so nothing here says what the campaign caused: customers may have come anyway. "
    "Give it a holdout, or compare this run with one without the campaign."
)


def _run_described(found: Estimates) -> Lead:
    keys = ("exposures", "click_rate", "active_share", "left_annoyed")
    n, clicks, active, left = (figure(key, found[key]) for key in keys)
    text = sentence(
        "Under this policy messages were shown {n} times and {clicks} of exposures were clicked; at the end {active} "
        "of customers were still active and {left} had left annoyed.",
        n=n, clicks=clicks, active=active, left=left,
    )  # fmt: skip
    return Lead("description only", text, Markup(_NO_CAMPAIGN), keys)


_NO_CAMPAIGN = "No campaign leads this report, so it makes no causal claim: compare it with a run under another policy."


def _coupons_described(found: Estimates) -> Lead:
    """Of a policy that has coupons and shows no message."""
    keys = ("coupons_granted", "coupons_redeemed", "discount_cost", "subsidy_without_effect")
    if any(key not in found for key in keys):
        return _run_described(found)
    granted, redeemed, cost, anyway = (figure(key, found[key]) for key in keys)
    text = sentence(
        "{granted} coupons were issued and {redeemed} redeemed. They took {cost} off what customers bought, {anyway} "
        "of it off purchases that would have been made anyway.",
        granted=granted, redeemed=redeemed, cost=cost, anyway=anyway,
    )  # fmt: skip
    return Lead("description only", text, Markup(_NO_CAMPAIGN), keys)
