"""A comparison in plain words: both names of every measure, how a figure per customer is written, what to do."""

from dataclasses import replace

from results.comparison_tables import MONEY
from results.statistics import Estimate
from results.words import plain

LAUNCH, STAGED, DONT, NOT_ENOUGH = "launch", "staged launch", "don't", "not enough evidence"
ROBUST, AT_LEAST_HALF = 0.8, 0.5  # FIDELITY 18: 40 of 50

# measure: English, Chinese, and the words after a figure in a sentence
MEASURES: dict[str, tuple[str, str, str]] = {
    "profit": ("profit", "利润", "a customer"),
    "margin": ("margin on what is spent", "毛利", "of margin a customer"),
    "rewards": ("rewards redeemed", "核销面额", "of rewards a customer"),
    "discounts": ("discounts of coupons", "优惠额", "of discounts a customer"),
    "liability": ("open coupons, expected cost", "未核销负债", "of open coupons a customer"),
    "channel_cost": ("channel cost", "渠道成本", "of channel cost a customer"),
    "complaint_cost": ("cost of complaints", "客诉成本", "of complaint cost a customer"),
    "fraud_loss": ("fraud loss", "欺诈损失", "of fraud loss a customer"),
    "closing_value": ("closing value", "期末价值", "of closing value a customer"),
    "spend": ("spend", "消费额", "of spend a customer"),
    "goods": ("goods at list price", "商品金额", "of goods a customer"),
    "orders": ("orders", "订单数", "orders"),
    "pieces": ("pieces bought", "购买件数", "pieces"),
    "payments": ("payments", "支付笔数", "payments"),
    "first_payments": ("first payments", "首次支付", "first payments"),
    "instalments": ("instalment plans", "分期笔数", "instalment plans"),
    "conversions": ("conversions credited", "归因转化", "credited conversions"),
    "visits": ("visits", "访问次数", "visits"),
    "exposures": ("exposures", "曝光", "exposures"),
    "clicks": ("clicks", "点击", "clicks"),
    "closes_and_mutes": ("closes and mutes", "关闭与屏蔽", "closes and mutes"),
    "complaints": ("complaints", "客诉", "complaints"),
    "negatives": ("negative feedback", "负反馈", "negative reactions"),
    "left_annoyed": ("left annoyed", "因打扰流失", "customers who leave annoyed"),
}
OF_COUPONS = ("discounts", "liability", "goods", "orders", "pieces")  # told only where some policy has them
PER_THOUSAND = "per 1,000 customers"


def measure_name(measure: str) -> str:
    return MEASURES[measure][0] if measure in MEASURES else plain(measure)


def measure_in_chinese(measure: str) -> str:
    return MEASURES[measure][1] if measure in MEASURES else ""


def a_customer(measure: str) -> str:
    """What stands after a figure per customer."""
    said = MEASURES[measure][2] if measure in MEASURES else plain(measure)
    return said if measure in MONEY else f"{said} {PER_THOUSAND}"


def in_order(measures: list[str]) -> list[str]:
    """Measures as one reads them: money first, then what customers did; unknown ones last."""
    places = {measure: place for place, measure in enumerate(MEASURES)}
    return sorted(measures, key=lambda measure: (places.get(measure, len(places)), measure))


def fine(estimate: Estimate) -> Estimate:
    """The same figure, written as finely as money or counts per customer need."""
    units = {"yuan": "yuan each", "per customer": "per 1,000"}
    return replace(estimate, unit=units.get(estimate.unit, estimate.unit))


def advice(goal: str, beyond_matters: bool, guardrails: list[str], holds_share: float | None) -> str:
    """What a meeting may do with a verdict; the rule is printed on the page (RULE)."""
    if goal == "undecided" or (goal == "better" and holds_share is not None and holds_share < AT_LEAST_HALF):
        return NOT_ENOUGH
    if goal != "better" or "broken" in guardrails:
        return DONT
    sure = holds_share is not None and holds_share >= ROBUST and beyond_matters
    return LAUNCH if sure and all(word == "kept" for word in guardrails) else STAGED


RULE = (
    "Launch: the goal is better, by enough to matter, every guardrail is kept, and it holds in at least 80 % of the "
    "assumption sets. Staged launch: better and no guardrail broken, but one of the others is missing. Don't: worse, "
    "no difference that matters, or a guardrail broken. Not enough evidence: undecided, or better in fewer than half "
    "of the assumption sets."
)
