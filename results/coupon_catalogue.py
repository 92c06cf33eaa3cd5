"""The metrics of coupons, budgets and baskets. Kinds as in catalogue; `sum` adds money up, `claims` counts by answer,
`roi` comes from the holdout of the campaign that offers the coupon."""

from engine.coupon_records import Answer
from results.metric import Metric

CLAIMED = (
    Answer.NOT_OPEN, Answer.BLOCKED, Answer.MINOR, Answer.PERSONALISATION_OFF, Answer.NOT_ELIGIBLE, Answer.REGION,
    Answer.LIMIT, Answer.WALLET_FULL, Answer.OUT_OF_STOCK, Answer.BUDGET, Answer.DENIED, Answer.NO_ROOM,
)  # fmt: skip
GRANTED = "granted"
CLAIM_ANSWERS = (GRANTED, *(answer.name.lower() for answer in CLAIMED))
MATURE = "phase <> 'before' AND NOT young"
SINCE_LAUNCH = "since_launch"
NEVER = "it never ran out"
# Parts of whole fen: what a payer pays is the share up to and including theirs, less the shares before.
PAID = """(SELECT payer, coupon, redeemed, (d * until_share) // 1000000 - (d * from_share) // 1000000 AS paid
FROM payers JOIN (SELECT coupon, sum(discount) AS d, sum(redeemed) AS redeemed FROM cohorts
WHERE since_launch GROUP BY coupon) AS taken USING (coupon)) AS paid"""
# Each claim once in `claims`, as often as it was sent in `population`.
SENT = """(SELECT (SELECT sum(claims) FROM population WHERE phase <> 'before') AS sent,
(SELECT sum(claims) FROM claims WHERE phase <> 'before') AS received) AS sent"""
_BOTH = ("run", "coupon")


def _of_coupons(name: str, english: str, chinese: str, meaning: str, numerator: str, where: str) -> Metric:
    """A count of coupons."""
    return Metric(
        name, english, chinese, "count", numerator, "1", meaning, "count", "cohorts", _BOTH, unit_of_analysis="coupon",
        goal_allowed=False, where=where, of_coupons=True,
    )  # fmt: skip


def _of_mature(name: str, english: str, chinese: str, meaning: str, numerator: str) -> Metric:
    """A share of the coupons whose day of issue lies so far back that all have come to an end."""
    return Metric(
        name, english, chinese, "share", numerator, "sum(granted)", meaning, "plain", "cohorts", _BOTH,
        unit_of_analysis="coupon", goal_allowed=False, where=MATURE, of_coupons=True,
        missing="all that were issued may still be open",
    )  # fmt: skip


def _money(
    name: str, english: str, chinese: str, meaning: str, numerator: str, n: str, source: str, levels: tuple[str, ...],
    where: str = "", unit: str = "coupon",
) -> Metric:  # fmt: skip
    return Metric(
        name, english, chinese, "yuan", f"coalesce({numerator}, 0) / 100.0", n, meaning, "sum", source, levels,
        unit_of_analysis=unit, where=where, of_coupons=True,
    )  # fmt: skip


def _per_customer(name: str, english: str, chinese: str, measure: str, unit: str, meaning: str) -> Metric:
    return Metric(name, english, chinese, unit, measure, "customers", meaning, "mean", of_coupons=True)


def _per_basket(name: str, english: str, chinese: str, measure: str, unit: str, meaning: str) -> Metric:
    return Metric(
        name, english, chinese, unit, measure, "orders", meaning, "ratio", goal_allowed=False, of_coupons=True,
    )  # fmt: skip


def _ran_out(name: str, english: str, chinese: str, meaning: str, source: str, level: str) -> Metric:
    return Metric(
        name, english, chinese, "hours", "max(out_after_ms) / 3600000.0", "count(out_after_ms)", meaning, "sum",
        source, (level,), unit_of_analysis=level, goal_allowed=False, where="true", of_coupons=True, missing=NEVER,
    )  # fmt: skip


COUPON_METRICS = (
    Metric(
        "claims_received", "claims received", "领取请求数", "count", "sum(claims)", "1",
        "Claims that customers made since launch, each counted once however often it was sent.",
        "count", "claims", _BOTH, unit_of_analysis="claim", goal_allowed=False, of_coupons=True,
    ),
    Metric(
        "claims", "claims by answer", "领取结果", "count", "sum(claims)", "1",
        "Claims with one answer: `claims[coupon/granted]`, `claims[coupon/out_of_stock]`, `claims[coupon/limit]`, …, "
        "each counted once.",
        "claims", "claims", ("coupon",), unit_of_analysis="claim", goal_allowed=False, parts=CLAIM_ANSWERS,
        of_coupons=True,
    ),
    Metric(
        "claim_rate", "claim rate", "领取率", "share", f"sum(claims) FILTER (WHERE answer = '{GRANTED}')",
        "sum(claims)", "Claims granted, divided by claims received.",
        "plain", "claims", _BOTH, unit_of_analysis="claim", goal_allowed=False, of_coupons=True,
        missing="nobody claimed",
    ),
    Metric(
        "claims_repeated", "claims sent again", "重复领取请求占比", "share", "sum(sent) - sum(received)", "sum(sent)",
        "Of all claims sent, those that were double clicks or sent anew for want of an answer; they are answered "
        "as the first was.", "plain", SENT, unit_of_analysis="claim", goal_allowed=False, where="true", of_coupons=True,
        missing="nobody claimed",
    ),
    _of_coupons("coupons_granted", "coupons granted", "发放张数", "Coupons issued to customers since launch.",
                "sum(granted)", "phase <> 'before'"),
    _of_coupons("coupons_redeemed", "coupons redeemed", "核销张数",
                "Coupons redeemed since launch, less those that came back with a refund.",
                "sum(redeemed) - sum(returned)", SINCE_LAUNCH),
    Metric(
        "returned_share", "share of coupons that came back", "退券占比", "share", "sum(returned)", "sum(redeemed)",
        "Coupons that came back with a refund, of those redeemed since launch.", "plain", "cohorts", _BOTH,
        unit_of_analysis="coupon", goal_allowed=False, where=SINCE_LAUNCH, of_coupons=True,
        missing="none was redeemed",
    ),
    _of_coupons("coupons_open", "coupons still open", "未到期张数",
                "Coupons that customers could still use when the run ended.",
                "sum(granted) - sum(redeemed) + sum(returned) - sum(expired)", "true"),
    _of_mature("redemption_rate", "redemption rate", "核销率",
               "Coupons redeemed, divided by coupons issued; only of days of issue since launch whose coupons have all "
               "come to an end.", "sum(redeemed) - sum(returned)"),
    _of_mature("breakage", "breakage", "未核销率",
               "Coupons that ran out unused, divided by coupons issued; of the same days as the redemption rate.",
               "sum(granted) - sum(redeemed) + sum(returned)"),
    _money("discount_cost", "discount cost", "优惠成本",
           "Taken off by coupons since launch, less those that came back with a refund.",
           "sum(discount)", "sum(redeemed)", "cohorts", _BOTH, SINCE_LAUNCH),
    _money("paid_by", "discount cost by funder", "出资方承担额",
           "The part of the discount cost that one funder pays, by the shares in `funded_by`.",
           "sum(paid)", "sum(redeemed)", PAID, ("payer",), "true"),
    _money("subsidy_without_effect", "subsidy without effect", "无效补贴",
           "Taken off purchases that customers would have made anyway, as the population knows.",
           "sum(discounts_anyway)", "sum(orders)", "population", ("run",), unit="order"),
    Metric(
        "induced_discount_share", "share of discounts on induced purchases", "有效补贴占比", "share",
        "sum(discounts) - sum(discounts_anyway)", "sum(discounts)",
        "Discounts on purchases made for a coupon's sake, divided by all discounts.",
        "plain", "population", unit_of_analysis="order", goal_allowed=False, of_coupons=True,
        missing="nothing was taken off", counted="sum(orders)",
    ),
    Metric(
        "roi", "return on coupon cost", "投入产出比", "ratio", "extra margin", "discounts and messages",
        "Margin on what those offered the coupon spent more than those held out, for each yuan that its discounts and "
        "messages cost; above 1 it earned more than it cost.",
        "roi", "spend_days", ("coupon",), "the goal window of the campaign that offers it, up to the last day",
        goal_allowed=False, of_coupons=True, speaks_of="customers reached by its offer, shown or held out",
    ),
    _ran_out("stock_out_hour", "time to stock-out", "售罄用时",
             "Hours from launch, or from when claims opened if that was later, until the last piece was gone.",
             "stock", "coupon"),
    _ran_out("budget_out_hour", "time until the budget was used up", "预算耗尽用时",
             "Hours from launch until a budget was used up or refused a claim for the first time.",
             "budgets", "budget"),
    _money("budget_spent", "budget spent", "预算支出", "Spent of a budget by the end of the run, days before launch "
           "included.", "sum(spent)", "count(*)", "budgets", ("budget",), "true", "budget"),
    Metric(
        "budget_used", "budget used", "预算使用率", "share", "sum(spent) + sum(reserved)", "sum(in_force)",
        "Spent, or reserved for coupons still open, of the amount in force at the end.",
        "plain", "budgets", ("budget",), unit_of_analysis="budget", goal_allowed=False, where="true", of_coupons=True,
        counted="count(*)",
    ),
    _per_basket("basket_value", "average basket", "客单价", "goods", "yuan",
                "Goods at list price, without shipping, divided by orders paid."),
    _per_basket("pieces_per_basket", "pieces per basket", "件单数", "pieces", "per order",
                "Pieces divided by orders paid."),
    Metric(
        "lines_per_basket", "lines per basket", "单均行数", "per order", "sum(lines)", "sum(orders)",
        "Lines divided by orders paid.", "plain", "population", unit_of_analysis="order", goal_allowed=False,
        of_coupons=True,
    ),
    _per_customer("orders_per_customer", "orders per customer", "人均订单数", "orders", "per customer",
                  "Orders paid, divided by customers at launch."),
    _per_customer("discounts_per_customer", "discounts per customer", "人均优惠额", "discounts", "yuan",
                  "Taken off by coupons, less what came back with refunds, divided by customers at launch."),
    _per_customer("liability_per_customer", "open coupons, expected cost per customer", "人均未核销负债", "liability",
                  "yuan", "What coupons still open at the end will cost if they go like those that came to an end, "
                  "divided by customers at launch."),
    Metric(
        "lines_added", "additions for a coupon", "凑单次数", "count", "sum(lines_added)", "1",
        "Baskets to which something was added to reach a threshold or for the nth piece.", "count", "population",
        unit_of_analysis="order", of_coupons=True,
    ),
    Metric(
        "refunds", "refunds", "退款次数", "count", "sum(refunds)", "1", "Refunds of paid orders, whole or in part.",
        "count", "population", unit_of_analysis="order", of_coupons=True,
    ),
    Metric(
        "refunded_share", "share of money refunded", "退款金额占比", "share", "sum(refunded)",
        "sum(payment_amount) - sum(discounts)", "Given back for pieces of paid orders, of all that customers paid.",
        "plain", "population", unit_of_analysis="order", goal_allowed=False, of_coupons=True,
        missing="nothing was paid", counted="sum(orders)",
    ),
    _money("refunded", "money refunded", "退款金额", "Given back for pieces of paid orders.", "sum(refunded)",
           "sum(refunds)", "population", ("run",), unit="order"),
)  # fmt: skip
