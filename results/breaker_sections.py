"""What the report tells of circuit breakers: money and minutes in a sentence, and who was called when."""

from markupsafe import Markup

from results.breaker_catalogue import BREAKER_METRICS
from results.markup import Column, queried, sentence, source, table, words
from results.query import Database
from results.words import plain

_TRIPPED = "FROM paged WHERE state = 'tripped'"
_LONGEST, _SPENT = BREAKER_METRICS[1:]
STATES = {
    "tripped": "tripped: campaigns paused, somebody called 熔断",
    "trial": "trial: campaigns run again 试运行",
    "open": "open again 恢复",
}
MEASURES = {
    "payment_failures": "payments failed 支付失败率",
    "complaints": "complaints of exposures 投诉率",
    "refusals": "claims refused 领取失败率",
    "spend": "spent 花费",
}


def told(database: Database) -> Markup:
    """The whole section."""
    return Markup("{}{}").format(said(database), calls(database))


def said(database: Database) -> Markup:
    trips = f"SELECT count(*) {_TRIPPED}"
    spent = f"SELECT {_SPENT.numerator} FROM {_SPENT.source} WHERE {_SPENT.where}"
    failed = database.number("SELECT count(*) FROM incidents WHERE fails > 0")
    if not database.number(trips):
        text = "No breaker tripped."
        if failed:
            text += " Payments failed all the same; {spent} was spent meanwhile."
        return _paragraph(text, database, spent=spent)
    text = "Breakers tripped {trips} times, first {first}."
    if failed:
        text += " That was {minutes} minutes after payments began to fail; {spent} was spent while they failed."
    minutes = f"SELECT {_LONGEST.numerator} FROM {_LONGEST.source} WHERE {_LONGEST.where}"
    return _paragraph(text, database, trips=trips, minutes=minutes, spent=spent)


_SPECS = {"trips": "count", "minutes": "number:1", "spent": "yuan:0"}


def _paragraph(text: str, database: Database, **queries: str) -> Markup:
    used = {name: query for name, query in queries.items() if f"{{{name}}}" in text}
    parts = {name: queried(database, query, _SPECS[name]) for name, query in used.items()}
    first = database.value(f"SELECT arg_min(breaker || ' at ' || called_at, time_ms) {_TRIPPED}")
    parts["first"] = words(plain(str(first)))
    return Markup('<p class="said">{}</p>{}').format(sentence(text, **parts), source(*used.values()))


def calls(database: Database) -> Markup:
    columns = [
        Column("called_at", "when 时间", words=words),
        Column("breaker", "breaker 熔断器"),
        Column("state", "what 状态", words=lambda state: STATES[state]),
        Column("campaign", "campaigns 活动"),
        Column("measure", "measured 指标", words=lambda measure: MEASURES[measure]),
        Column("rate", "rate 比率", "percent:1"),
        Column("amount", "amount 金额", "yuan:0"),
        Column("count", "of 基数", "count"),
    ]
    return table(
        database,
        "SELECT called_at, breaker, state, campaign, measure, "
        "CASE WHEN measure <> 'spend' THEN measured / 1e6 END AS rate, "
        "CASE WHEN measure = 'spend' THEN measured / 100.0 END AS amount, count "
        "FROM paged ORDER BY time_ms, breaker, campaign",
        ["called_at", "breaker", "state", "campaign"],
        columns,
    )
