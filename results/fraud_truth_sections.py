"""What the report of a run tells of fraud where it is known who is who: a sentence, then by kind, group and rule."""

from typing import Any

from markupsafe import Markup

from results.fraud_truth_catalogue import CREWS, GOOD, GOT, KEPT
from results.fraud_words import rule_name
from results.markup import Column, queried, sentence, source, table, words
from results.query import Database
from results.words import plain

ATTACKERS = f"""
SELECT kind, sum(crews) AS crews, sum(accounts) AS accounts, {GOT} AS got, sum(costs) / 100.0 AS costs, {KEPT} AS kept,
       sum(refused) AS refused
FROM accounts WHERE {CREWS} GROUP BY kind ORDER BY got DESC, kind"""

GROUPS = f"""
SELECT kind, sum(active) AS came, sum(harmed)::DOUBLE / nullif(sum(active), 0) AS harmed, sum(denied) AS denied,
       sum(held) AS held, sum(failed) AS failed, sum(weaker) AS weaker,
       sum(passed)::DOUBLE / nullif(sum(active), 0) AS passed
FROM accounts WHERE {GOOD} GROUP BY kind HAVING sum(active) > 0 ORDER BY harmed DESC, kind"""

RULES = """
SELECT rule, if(mode = 'active', answer, answer || ', ' || mode) AS answer, sum(fired_fraud) AS fired,
       sum(alone_fraud) AS alone, sum(stopped_fraud) / 100.0 AS stopped,
       sum(fired_good) AS good, sum(answered_good) AS answered
FROM rules GROUP BY ALL HAVING sum(fired_fraud + fired_good) > 0
ORDER BY stopped DESC, fired DESC, rule"""

PAIRS = """
SELECT rule, other, fraud, good FROM rule_pairs WHERE fraud + good > 0
ORDER BY fraud DESC, good DESC, rule, other LIMIT 12"""

# Groups a reader may not know; the others say what they are.
_GROUPS = {
    "alone": "nothing in common with others 独立用户",
    "family": "families 家庭",
    "dormitory": "dormitories 宿舍",
    "office": "offices 办公室",
    "shared_tablet": "shared tablets 共用平板",
    "frequent_flyer": "frequent flyers 常旅客",
    "bargain_hunter": "bargain hunters 比价用户",
    "own": "attackers' own honest accounts 本人账户",
}


def told(database: Database, manifest: dict[str, Any]) -> Markup:
    """The whole section; empty where nobody says who is who."""
    if not manifest.get("attackers") and not manifest.get("groups"):
        return Markup("")
    parts = [said(database, manifest)]
    parts += [attackers(database)] if manifest["attackers"] else []
    parts += [groups(database)] if manifest["groups"] else []
    return Markup("").join([*parts, rules(database)])


def said(database: Database, manifest: dict[str, Any]) -> Markup:
    """Money first, then whom it hurt."""
    queries = {
        "got": (f"SELECT {GOT} FROM accounts WHERE {CREWS}", "yuan:0"),
        "costs": (f"SELECT sum(costs) / 100.0 FROM accounts WHERE {CREWS}", "yuan:0"),
        "accounts": (f"SELECT sum(accounts) FROM accounts WHERE {CREWS}", "count"),
        "harmed": (f"SELECT sum(harmed) / nullif(sum(active), 0) FROM accounts WHERE {GOOD}", "percent:2"),
        "passed": (f"SELECT sum(passed) / nullif(sum(active), 0) FROM accounts WHERE {GOOD}", "percent:2"),
        "most": (f"SELECT max(harmed) FROM ({GROUPS})", "percent:1"),
    }
    text = ""
    if manifest["attackers"]:
        text = "Fraud got {got} with {accounts} accounts, which cost it {costs}. "
    if manifest["groups"]:
        text += "Rules harmed {harmed} of the good customers who came; {passed} had to pass a challenge."
    worst = database.value(f"SELECT arg_max(kind, harmed) FROM ({GROUPS})")
    if manifest["groups"] and database.number(queries["most"][0]) > 0:
        text += " Hit most: {worst}, {most} of them harmed."
    used = {name: query for name, query in queries.items() if f"{{{name}}}" in text}
    shown = {name: queried(database, query, spec) for name, (query, spec) in used.items()}
    named = words(named_group(str(worst)))
    answer = sentence(text, worst=named, **shown)
    return Markup('<p class="said">{}</p>{}').format(answer, source(*(query for query, _ in used.values())))


def named_group(kind: str) -> str:
    return _GROUPS.get(kind, plain(kind))


def attackers(database: Database) -> Markup:
    """Each kind of attacker: what it got for what it spent."""
    columns = [
        Column("kind", "attackers 攻击者"),
        Column("crews", "crews 团伙", "count"),
        Column("accounts", "accounts 账户", "count"),
        Column("got", "got 所得", "yuan:0", bar=True),
        Column("costs", "spent on it 成本", "yuan:0"),
        Column("kept", "kept 净利", "yuan:0"),
        Column("refused", "refusals heard 被拒次数", "count"),
    ]
    note = (
        "Got: coupons redeemed or sold on, and rewards, less what the same persons got with one honest account each. "
        "What they would have got with the rules off, only a comparison with them off tells."
    )
    return table(database, ATTACKERS, ["kind"], columns, css="bars") + Markup('<p class="fine">{}</p>').format(note)


def groups(database: Database) -> Markup:
    """Good customers by what they share with others."""
    columns = [
        Column("kind", "good customers 正常客户", words=named_group),
        Column("came", "came 到访", "count"),
        Column("harmed", "harmed 误伤率", "percent:2"),
        Column("denied", "denied 拒绝", "count"),
        Column("held", "in review over an hour 审核超时", "count"),
        Column("failed", "failed a challenge 验证失败", "count"),
        Column("weaker", "weaker coupon 降级", "count"),
        Column("passed", "passed a challenge 通过验证", "percent:2"),
    ]
    return table(database, GROUPS, ["kind"], columns)


def rules(database: Database) -> Markup:
    """Rules that fired: on whom, and which fire together."""
    if not database.rows(RULES):
        return Markup("<p>No rule fired.</p>")
    columns = [
        Column("rule", "rule 规则", words=rule_name),
        Column("answer", "answer 处置"),
        Column("fired", "fired on fraud 命中", "count"),
        Column("alone", "of these, it alone 独有命中", "count"),
        Column("stopped", "face value refused 拦截面值", "yuan:0", bar=True),
        Column("good", "fired on good customers 误命中", "count"),
        Column("answered", "of these, it answered", "count"),
    ]
    found = table(database, RULES, ["rule", "answer"], columns, css="bars") + Markup('<p class="fine">{}</p>').format(
        "Face value refused counts every further attempt again: it is more than what was saved."
    )
    return found + together(database)


def together(database: Database) -> Markup:
    """Pairs of rules that fired at the same asks."""
    if not database.rows(PAIRS):
        return Markup("")
    columns = [
        Column("rule", "both fired 同时命中", words=rule_name),
        Column("other", "and", words=rule_name),
        Column("fraud", "on fraud", "count"),
        Column("good", "on good customers", "count"),
    ]
    inside = table(database, PAIRS, ["rule", "other"], columns)
    return Markup('<details class="panel"><summary>Which rules fired together</summary>{}</details>').format(inside)
