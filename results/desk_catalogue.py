"""The metrics of the support desk: who was answered in time, what the bot closed, what became of appeals."""

from results.metric import Metric

PEAK = "day = (SELECT peak_day FROM desk)"
_SINCE_LAUNCH = "true"


def _of_desk(
    name: str, english: str, chinese: str, unit: str, meaning: str, numerator: str, denominator: str = "count(*)",
    kind: str = "plain", source: str = "contacts", where: str = _SINCE_LAUNCH, speaks_of: str = "contacts since launch",
    missing: str = "nobody got in touch",
) -> Metric:  # fmt: skip
    return Metric(
        name, english, chinese, unit, numerator, denominator, meaning, kind, source, unit_of_analysis="contact",
        goal_allowed=False, where=where, of_desk=True, speaks_of=speaks_of, missing=missing,
    )  # fmt: skip


def _of_cases(name: str, english: str, chinese: str, meaning: str, numerator: str, denominator: str, where: str,
              speaks_of: str, missing: str) -> Metric:  # fmt: skip
    return _of_desk(
        name, english, chinese, "share", meaning, f"sum({numerator})", f"sum({denominator})", source="appeals",
        where=where, speaks_of=speaks_of, missing=missing,
    )  # fmt: skip


_APPEALS, _REVIEWS = "what = 'appeal'", "what = 'review'"
_NO_APPEAL, _NO_REVIEW = "nobody appealed", "nothing was put under review"

DESK_METRICS = (
    _of_desk(
        "contacts", "contacts with the support desk", "客服进线", "count",
        "How often somebody got in touch with the support desk, repeated contacts among them.",
        "sum(came)", kind="count",
    ),
    _of_desk(
        "first_answers_in_time", "first answers within fifteen minutes", "15分钟首次响应率", "share",
        "Contacts of the peak day, the one with most, whose first answer came within 15 minutes, the bot's among them, "
        "divided by its contacts.",
        "sum(in_time)", "sum(came)", where=PEAK, speaks_of="contacts of the peak day",
    ),
    _of_desk(
        "closed_by_bot", "routine contacts closed by the bot", "机器人解决率", "share",
        "Routine contacts that the bot answered and that did not come back within 24 hours, divided by routine ones, "
        "each person once.",
        "sum(closed)", "sum(routine)", speaks_of="routine contacts at least 24 hours before the end",
        missing="no routine contact is 24 hours old",
    ),
    _of_desk(
        "gave_up", "contacts given up", "放弃等待率", "share",
        "Contacts of people who lost patience before a person answered, divided by contacts.",
        "sum(gave_up)", "sum(came)",
    ),
    _of_desk(
        "seats_needed", "hotline seats needed", "所需热线席位", "count",
        "Hotline seats, day and night, with which 99 % of the peak day's first answers come within 15 minutes.",
        "max(seats_needed)", "count(seats_needed)", kind="sum", source="desk", speaks_of="the peak day",
        missing="no number of hotline seats is enough",
    ),
    _of_cases(
        "appeals_in_time", "appeals decided within a day", "24小时申诉处理率",
        "Appeals that a person decided within 24 hours, divided by appeals that are decided or older.",
        "in_time", "due", _APPEALS, "appeals", _NO_APPEAL,
    ),
    _of_cases(
        "appeals_upheld", "appeals upheld", "申诉成立率",
        "Appeals in which the customer was right, of good accounts, divided by those decided or older than 24 hours.",
        "upheld", "due", f"{_APPEALS} AND truth = 'good'", "appeals of good accounts", _NO_APPEAL,
    ),
    _of_cases(
        "fraud_appeals_upheld", "appeals of fraudsters upheld", "欺诈申诉成立率",
        "The same of accounts of crews: let through by mistake.",
        "upheld", "due", f"{_APPEALS} AND truth = 'fraud'", "appeals of crews' accounts", _NO_APPEAL,
    ),
    _of_cases(
        "reviews_in_time", "reviews decided by a person", "人工审核及时率",
        "Claims under review that a person decided within 24 hours; the others were granted.",
        "in_time", "due", _REVIEWS, "claims under review", _NO_REVIEW,
    ),
)  # fmt: skip
