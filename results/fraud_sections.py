"""What the report of a run tells of fraud rules: what they answered and could not judge in a sentence, then by rule."""

from markupsafe import Markup

from results.fraud_catalogue import FRAUD_METRICS
from results.fraud_words import rule_family, rule_name
from results.markup import Column, queried, sentence, source, table, words
from results.query import Database
from results.words import plain

_ANSWERED, _NOT_JUDGED = (f"SELECT {metric.numerator} FROM {metric.source}" for metric in FRAUD_METRICS)
_FULL = "SELECT string_agg(rule, ', ' ORDER BY rule) FROM rules WHERE not_judged > 0"
BY_RULE = """
SELECT rule, rule AS family, mode, answer, judged, fired, answered, not_judged
FROM rules WHERE fired > 0 OR not_judged > 0 ORDER BY answered DESC, fired DESC, rule"""


def told(database: Database) -> Markup:
    """The whole section."""
    return Markup("{}{}").format(said(database), by_rule(database))


def said(database: Database) -> Markup:
    text, used = "Fraud rules answered {answered} claims, orders, payments and transfers.", [_ANSWERED]
    if database.number(_NOT_JUDGED):
        text += (
            " {unjudged} times a rule could not judge, because its table was full and had forgotten what it counted:"
            " {full}. Those were let through; give the rules more keys."
        )
        used += [_NOT_JUDGED, _FULL]
    parts = {"answered": queried(database, _ANSWERED, "count"), "unjudged": queried(database, _NOT_JUDGED, "count")}
    full = words(plain(str(database.value(_FULL))))
    return Markup('<p class="said">{}</p>{}').format(sentence(text, full=full, **parts), source(*used))


def by_rule(database: Database) -> Markup:
    columns = [
        Column("rule", "rule 规则", words=rule_name),
        Column("family", "family 类别", words=rule_family),
        Column("mode", "mode 状态"),
        Column("answer", "answer 处置"),
        Column("judged", "asks judged 判定次数", "count"),
        Column("fired", "fired 命中次数", "count"),
        Column("answered", "answered 处置次数", "count"),
        Column("not_judged", "not judged 未判定次数", "count"),
    ]
    return table(database, BY_RULE, ["rule", "family", "mode", "answer"], columns)
