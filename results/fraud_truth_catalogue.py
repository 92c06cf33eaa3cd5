"""The metrics of fraud in a run whose population says who is who: what crews got, whom rules hurt, what each caught.

Nobody knows these figures in production; a population that says who is who does. They have no interval, for crews and
customers meet the same rules: the unit is the world, and a comparison has worlds.
"""

from results.metric import Metric

GOT = "coalesce(sum(face + resale + rewards - honest), 0) / 100.0"
KEPT = "coalesce(sum(face + resale + rewards - honest - costs), 0) / 100.0"
CREWS, GOOD = "truth = 'fraud'", "truth = 'good'"


def _of_crews(
    name: str, english: str, chinese: str, unit: str, meaning: str, numerator: str, denominator: str, kind: str
) -> Metric:
    return Metric(
        name, english, chinese, unit, numerator, denominator, meaning, kind, "accounts", ("run", "attacker"),
        unit_of_analysis="crew account", goal_allowed=False, where=CREWS, needs="attackers",
        missing="no account was registered",
    )  # fmt: skip


def _of_good(name: str, english: str, chinese: str, meaning: str, numerator: str) -> Metric:
    return Metric(
        name, english, chinese, "share", numerator, "sum(active)", meaning, "plain", "accounts", ("run", "group"),
        unit_of_analysis="good customer", goal_allowed=False, where=GOOD, needs="groups",
        missing="none of them came",
    )  # fmt: skip


def _of_rules(
    name: str, english: str, chinese: str, unit: str, meaning: str, numerator: str, denominator: str, kind: str
) -> Metric:
    return Metric(
        name, english, chinese, unit, numerator, denominator, meaning, kind, "rules", ("run", "rule"),
        unit_of_analysis="ask", goal_allowed=False, where="true", needs="rules",
        missing="nothing was judged",
    )  # fmt: skip


TRUTH_METRICS = (
    _of_crews(
        "fraud_obtained", "money that fraud got", "欺诈所得", "yuan",
        "Face value redeemed, coupons sold on and rewards of crews' accounts, less what the same persons got with one "
        "honest account each.", GOT, "sum(accounts)", "sum",
    ),
    _of_crews(
        "fraud_profit", "what fraud kept after its costs", "欺诈净利", "yuan",
        "What crews got less what their accounts, devices, addresses, cards and challenges cost them.",
        KEPT, "sum(accounts)", "sum",
    ),
    _of_crews(
        "fraud_refused", "refusals that crews heard", "欺诈被拒次数", "count",
        "How often a crew's account was told no, to pass a challenge, to wait for a review, or got a weaker coupon.",
        "coalesce(sum(refused), 0)", "sum(accounts)", "sum",
    ),
    _of_good(
        "good_harmed", "good customers harmed", "误伤率",
        "Good customers whom a rule denied something, kept in review for over an hour, failed in a challenge or gave a "
        "weaker coupon, divided by those who came.", "sum(harmed)",
    ),
    _of_good(
        "good_challenged", "good customers who had to pass a challenge", "验证率",
        "Good customers who passed a challenge, divided by those who came.", "sum(passed)",
    ),
    _of_rules(
        "fired_on_fraud", "asks of crews at which a rule fired", "命中欺诈请求", "count",
        "Asks of crews' accounts at which the rule fired, whatever mode it is in; over all rules each counts for "
        "every rule that fired.", "coalesce(sum(fired_fraud), 0)", "1", "count",
    ),
    _of_rules(
        "fired_on_good", "asks of good customers at which a rule fired", "误命中请求", "count",
        "The same of good customers.", "coalesce(sum(fired_good), 0)", "1", "count",
    ),
    _of_rules(
        "face_refused", "face value refused to fraud", "拦截面值", "yuan",
        "Face value in asks of crews that the rule answered with less. Every further attempt counts again, so it "
        "is more than what was saved.", "coalesce(sum(stopped_fraud), 0) / 100.0", "sum(judged)", "sum",
    ),
)  # fmt: skip
