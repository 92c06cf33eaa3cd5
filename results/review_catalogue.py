"""The metrics that reviews of a campaign plan and read."""

from results.coupon_catalogue import GRANTED
from results.metric import Metric

LAUNCHED = "(SELECT max(launched) FROM population)"
NO_REVIEWS = "the scenario has no reviews, so minutes were not counted"


def _goals(name: str, english: str, chinese: str, verdict: str, meaning: str) -> Metric:
    return Metric(
        name, english, chinese, "count", "count(*)", "1", meaning, "count", "review_goals", unit_of_analysis="goal",
        goal_allowed=False, where=f"verdict = '{verdict}'",
    )  # fmt: skip


def _peak(name: str, english: str, chinese: str, column: str, meaning: str) -> Metric:
    return Metric(
        name, english, chinese, "count", f"max({column})", "count(*)", meaning, "sum", "traffic",
        unit_of_analysis="minute", goal_allowed=False, missing=NO_REVIEWS, speaks_of="the run since launch",
    )  # fmt: skip


REVIEW_METRICS = (
    _goals("goals_met", "goals of reviews met", "复盘达标数", "met", "Goals that the scenario's reviews state and that "
           "were met, planned reach and capacity among them."),
    _goals("goals_missed", "goals of reviews missed", "复盘未达标数", "missed", "Goals of reviews that were missed."),
    Metric(
        "reach_share", "reach", "触达率", "share", "coalesce(sum(customers), 0)", LAUNCHED,
        "Customers who saw the campaign while it ran, divided by customers at launch.",
        "plain", "reach", ("campaign",), goal_allowed=False,
    ),
    Metric(
        "complaints_per_10000", "complaints per ten thousand customers", "万人客诉量", "per 10,000",
        "10000.0 * coalesce(sum(complaints), 0)", LAUNCHED,
        "Complaints about messages for every ten thousand customers at launch.",
        "plain", "cells", ("run", "campaign"), goal_allowed=False,
    ),
    Metric(
        "refused_share", "share of claims refused", "领取失败率", "share",
        f"sum(claims) FILTER (WHERE answer <> '{GRANTED}')", "sum(claims)",
        "Claims refused for whatever reason, divided by claims received.",
        "plain", "claims", ("run", "coupon"), unit_of_analysis="claim", goal_allowed=False, of_coupons=True,
        missing="nobody claimed",
    ),
    Metric(
        "stock_left", "stock left", "剩余库存占比", "share", 'arg_max("left", date)', "arg_max(delivered, date)",
        "Pieces left at the end of the last day, divided by pieces delivered until then.",
        "plain", "stock_days", ("coupon",), unit_of_analysis="coupon", goal_allowed=False, of_coupons=True,
        missing="it has no end of pieces", counted="count(delivered)",
    ),
    _peak("peak_decisions", "decisions in the busiest minute", "峰值每分钟决策数", "decisions",
          "Decisions for the simulated customers in the minute that had most."),
    _peak("peak_claims", "claims in the busiest minute", "峰值每分钟领取数", "claims",
          "Claims of the simulated customers in the minute that had most."),
)  # fmt: skip
