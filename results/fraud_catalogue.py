"""The metrics of fraud rules in a run; all are sums over the rules and the accounts that met them."""

from results.metric import Metric


def _of_fraud(name: str, english: str, chinese: str, meaning: str, numerator: str) -> Metric:
    return Metric(
        name, english, chinese, "count", numerator, "count(*)", meaning, "sum", "rules", unit_of_analysis="ask",
        goal_allowed=False, where="true", of_fraud=True, speaks_of="the run, over all rules that are on",
    )  # fmt: skip


FRAUD_METRICS = (
    _of_fraud(
        "fraud_answered", "asks that fraud rules answered", "风控处置次数",
        "Claims, orders, payments and transfers that a rule answered: weaker coupon, challenge, review, denial.",
        "coalesce(sum(answered), 0)",
    ),
    _of_fraud(
        "fraud_not_judged", "asks that fraud rules could not judge", "风控未判定次数",
        "A rule's table was full and had forgotten a key in its window: whoever was new to it was let through.",
        "coalesce(sum(not_judged), 0)",
    ),
)  # fmt: skip
