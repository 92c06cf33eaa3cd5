"""Every metric: its two names, what is divided by what, over which days, per whom, and whether it may be a goal.

Kinds: `mean` and `ratio` have sums per customer (in `moments` for all customers at launch, in `outcomes` for those a
campaign reached), so the interval has the customer as unit; `share` counts customers; `plain` and `count` have no sums
per customer, therefore no interval; `holdout` compares shown with held out, `programme` everybody under the policy with
those held out of everything. Metrics of coupons and budgets: coupon_catalogue.
"""

from typing import Any

from results.breaker_catalogue import BREAKER_METRICS
from results.coupon_catalogue import COUPON_METRICS
from results.desk_catalogue import DESK_METRICS
from results.fraud_catalogue import FRAUD_METRICS
from results.fraud_truth_catalogue import TRUTH_METRICS
from results.incident_catalogue import INCIDENT_METRICS
from results.metric import AT_LAUNCH, Metric, Scope, offer_of
from results.review_catalogue import REVIEW_METRICS
from results.tables import REASON_NAMES

GROUPS = ("shown", "held_out")
REFUSALS = tuple(reason for reason in REASON_NAMES if reason not in ("shown", "no_candidate"))
# Of which measures the programme's effect is told, with their units.
PROGRAMME = {"payments": "per customer", "spend": "yuan", "profit": "yuan", "visits": "per customer",
             "left_annoyed": "points"}  # fmt: skip
_ALL = ("run", "campaign", "arm")
_CAMPAIGN = ("run", "campaign")
_NET = "sum(exposures) - sum(not_shown)"
_LAUNCHED = "max(launched)"


def _per_exposure(name: str, english: str, chinese: str, column: str, meaning: str) -> Metric:
    return Metric(
        name, english, chinese, "share", f"sum({column})", _NET, meaning, "plain", "cells", _ALL,
        unit_of_analysis="exposure", goal_allowed=False,
    )  # fmt: skip


def _total(name: str, english: str, chinese: str, column: str, meaning: str) -> Metric:
    return Metric(name, english, chinese, "count", f"sum({column})", "1", meaning, "count", "population")


def _of_launched(name: str, english: str, chinese: str, numerator: str, meaning: str) -> Metric:
    return Metric(name, english, chinese, "share", numerator, _LAUNCHED, meaning, "share", "population")


def _per_customer(name: str, english: str, chinese: str, measure: str, unit: str, meaning: str) -> Metric:
    return Metric(name, english, chinese, unit, measure, "customers", meaning, "mean")


def _holdout(
    name: str,
    english: str,
    chinese: str,
    unit: str,
    numerator: str,
    denominator: str,
    meaning: str,
    levels: tuple[str, ...] = ("campaign", "arm"),
    **more: Any,
) -> Metric:
    return Metric(
        name,
        english,
        chinese,
        unit,
        numerator,
        denominator,
        meaning,
        "holdout",
        "outcomes",
        levels,
        "the campaign's goal window from each customer's first real or ghost exposure",
        **more,
    )


def _programme(
    name: str,
    english: str,
    chinese: str,
    unit: str,
    numerator: str,
    denominator: str,
    meaning: str,
    parts: tuple[str, ...] = (),
) -> Metric:
    return Metric(
        name, english, chinese, unit, numerator, denominator, meaning, "programme", "programme", parts=parts,
        speaks_of=f"{AT_LAUNCH}, under the policy or held out of everything",
    )  # fmt: skip


_METRICS = (
    Metric(
        "exposures", "exposures", "曝光", "count", _NET, "1",
        "How often a message was really shown; those the client took back are not counted.",
        "count", "cells", _ALL, unit_of_analysis="exposure", goal_allowed=False,
    ),
    Metric(
        "exposures_per_customer", "exposures per customer", "人均曝光", "per customer", "exposures", "customers",
        "Exposures divided by customers: all at launch, or for one campaign those it was shown to.",
        "mean", levels=_ALL,
    ),
    Metric(
        "click_rate", "click-through rate", "点击率", "share", "clicks", "exposures",
        "Clicks divided by exposures. Describes who is still there; it rises when annoyed customers leave.",
        "ratio", levels=_ALL, goal_allowed=False,
    ),
    Metric(
        "conversion_rate", "conversion rate", "转化率", "share", "conversions", "exposures",
        "Conversions credited to an exposure, divided by exposures; says nothing of who would have come anyway.",
        "ratio", levels=_ALL, goal_allowed=False,
    ),
    Metric(
        "negative_rate", "negative-feedback rate", "负反馈率", "share", "negatives", "exposures",
        "Exposures answered by a close, a mute or a complaint, divided by exposures.",
        "ratio", levels=_ALL, goal_allowed=False,
    ),
    Metric(
        "negatives_per_customer", "negative feedback per customer", "人均负反馈", "per customer",
        "negatives", "customers",
        "Closes, mutes and complaints, one per exposure, divided by customers.",
        "mean", levels=_ALL,
    ),
    _per_exposure("close_rate", "close rate", "关闭率", "closes", "Exposures closed, divided by exposures."),
    _per_exposure("mute_rate", "mute rate", "屏蔽率", "mutes", "“Don't show again”, divided by exposures."),
    _per_exposure("complaint_rate", "complaint rate", "客诉率", "complaints", "Complaints divided by exposures."),
    Metric(
        "candidates", "candidates", "候选", "count", "sum(candidates)", "1",
        "How often a campaign's trigger named it for an event, before any rule was asked.",
        "count", "waterfall", _CAMPAIGN, unit_of_analysis="candidate", goal_allowed=False,
    ),
    Metric(
        "refused", "candidates refused", "被拦截候选", "count", "sum(candidates)", "1",
        "Candidates refused for one reason: `refused[campaign/cool_down]`; held_out and lost_arbitration included.",
        "refused", "waterfall", ("campaign",), unit_of_analysis="candidate", goal_allowed=False, parts=REFUSALS,
    ),
    Metric(
        "shown_share", "share of candidates shown", "展示占比", "share",
        "sum(candidates) FILTER (WHERE reason = 'shown')", "sum(candidates)",
        "Candidates that became exposures, divided by candidates.",
        "plain", "waterfall", _CAMPAIGN, unit_of_analysis="candidate", goal_allowed=False,
    ),
    _per_customer("visits_per_customer", "visits per customer", "人均访问次数", "visits", "per customer",
                  "Visits to the app, divided by customers at launch."),
    Metric(
        "page_views_per_visit", "pages per visit", "次均浏览页数", "per visit", "sum(page_views)", "sum(visits)",
        "Page views divided by visits.", "plain", "population", unit_of_analysis="visit", goal_allowed=False,
    ),
    Metric(
        "dwell_per_visit", "dwell per visit", "次均停留时长", "seconds", "sum(dwell_ms) / 1000.0", "sum(visits)",
        "Time on pages divided by visits.", "plain", "population", unit_of_analysis="visit", goal_allowed=False,
    ),
    _per_customer("payments_per_customer", "payments per customer", "人均支付笔数", "payments", "per customer",
                  "Payments divided by customers at launch."),
    _per_customer("spend_per_customer", "spend per customer", "人均消费额", "spend", "yuan",
                  "Money paid, divided by customers at launch. Not winsorised: a few large payers widen it."),
    _per_customer("instalments_per_customer", "instalment plans per customer", "人均分期笔数", "instalments",
                  "per customer", "Purchases put on instalments, divided by customers at launch."),
    _per_customer("complaints_per_customer", "complaints per customer", "人均客诉", "complaints", "per customer",
                  "Complaints divided by customers at launch."),
    _per_customer("profit_per_customer", "profit per customer", "人均利润", "profit", "yuan",
                  "Margin on what was spent − rewards redeemed − discounts − channel cost − cost of complaints − "
                  "fraud loss + closing value − what open coupons will cost, divided by customers at launch."),
    _per_customer("closing_value_per_customer", "closing value per customer", "人均期末价值", "closing_value", "yuan",
                  "Margin expected after the end from customers who are still there, divided by customers at launch."),
    _per_customer("rewards_per_customer", "rewards redeemed per customer", "人均核销面额", "rewards", "yuan",
                  "Face value of the rewards redeemed, divided by customers at launch."),
    _per_customer("channel_cost_per_customer", "channel cost per customer", "人均渠道成本", "channel_cost", "yuan",
                  "What exposures cost in their channels, divided by customers at launch."),
    _per_customer("fraud_loss_per_customer", "fraud loss per customer", "人均欺诈损失", "fraud_loss", "yuan",
                  "Money lost to fraud, divided by customers at launch."),
    _total("first_payments", "first payments", "首次支付", "first_payments", "Customers who paid for the first time."),
    _of_launched("first_payment_share", "share with a first payment", "首次支付占比", "sum(first_payments)",
                 "Customers who paid for the first time, divided by customers at launch."),
    _total("cards_bound", "new cards bound", "新绑卡", "cards_bound", "Cards bound in these days."),
    _of_launched("active_share", "share still active", "活跃占比", "arg_max(active, date)",
                 "Customers still there at the end of the last day, divided by customers at launch."),
    _of_launched("left_annoyed", "left annoyed", "因打扰流失", "sum(left_annoyed)",
                 "Customers who left because of messages, divided by customers at launch."),
    _holdout("uptake", "goal uptake", "目标达成率", "share", "converted", "customers",
             "Customers with at least one goal event, divided by customers assigned, shown or held out.",
             parts=GROUPS),
    _holdout("lift", "incremental uptake", "增量提升", "points", "uptake shown - uptake held out", "1",
             "Uptake of those shown minus uptake of those held out, per customer assigned."),
    _holdout("adjusted_lift", "incremental uptake, adjusted", "增量提升（协变量调整）", "points",
             "lift less what visits and spend before launch explain", "1",
             "The incremental uptake less what chance put into the groups: visits and spend before launch (CUPED). "
             "The same effect, told more narrowly."),
    _holdout("relative_lift", "relative lift", "相对提升", "share", "uptake shown", "uptake held out",
             "Uptake of those shown divided by uptake of those held out, minus 1."),
    _holdout("incremental_conversions", "incremental conversions in total", "增量转化总数", "estimated count",
             "lift * customers reached * customer base", "customers at launch",
             "Incremental uptake times the customers reached, scaled from this population to the customer base. "
             "Customers held out of everything are not among those reached.",
             ("campaign",), speaks_of=f"{AT_LAUNCH}, scaled to the customer base"),
    _holdout("spend_lift", "incremental spend", "增量消费额", "yuan", "spend shown - spend held out", "1",
             "Spend within the goal window of those shown minus that of those held out, per customer assigned."),
    _holdout("winsorised_spend_lift", "incremental spend, winsorised", "增量消费额（缩尾）", "yuan",
             "spend shown - spend held out, each cut at the 99.9 % quantile", "1",
             "The same with the largest spenders counted up to a limit: narrower, and blind to an effect on them."),
    _holdout("adjusted_spend_lift", "incremental spend, adjusted", "增量消费额（协变量调整）", "yuan",
             "spend lift less what visits and spend before launch explain", "1",
             "The incremental spend less what visits and spend before launch explain (CUPED)."),
    _holdout("srm_p", "sample ratio mismatch, p", "样本比例偏差", "p", "chi-square of customers", "shares in force",
             "How likely counts this far from the assignment's shares are by chance; below 0.001 nothing else counts.",
             ("campaign",)),
    _programme("programme_lift", "what the programme adds", "全盘增量", "as its measure",
               "measure under the policy - measure held out of everything", "1",
               "Customers under the policy minus those held out of everything but service messages, per customer at "
               "launch: `programme_lift[payments]`.", tuple(PROGRAMME)),
    _programme("adjusted_programme_lift", "what the programme adds, adjusted", "全盘增量（协变量调整）",
               "as its measure", "programme lift less what visits and spend before launch explain", "1",
               "The same less what visits and spend before launch explain (CUPED); only where nobody was held out "
               "before launch.", tuple(PROGRAMME)),
    _programme("programme_srm_p", "sample ratio mismatch of the universal holdout, p", "全局空白组样本比例偏差", "p",
               "chi-square of customers", "share in force",
               "How likely a universal holdout this far from its share is by chance; below 0.001 it says nothing."),
)  # fmt: skip

_ALL_METRICS = (
    *_METRICS, *COUPON_METRICS, *BREAKER_METRICS, *INCIDENT_METRICS, *FRAUD_METRICS, *DESK_METRICS,
    *REVIEW_METRICS, *TRUTH_METRICS,
)  # fmt: skip
METRICS: dict[str, Metric] = {metric.name: metric for metric in _ALL_METRICS}


def asked_of(manifest: dict[str, Any], scope: Scope) -> list[Metric]:
    """The metrics that a run has of a scope."""
    return [
        metric for metric in METRICS.values()
        if scope.level in metric.levels
        and (manifest.get("coupons") or scope.budget or not metric.of_coupons)
        and (manifest.get("breakers") or not metric.of_breakers)
        and (manifest.get("fraud") or not metric.of_fraud)
        and (manifest.get("support") or not metric.of_desk)
        and (not metric.needs or manifest.get(metric.needs))
        and (metric.kind != "roi" or offer_of(manifest, scope.coupon))
    ]  # fmt: skip
