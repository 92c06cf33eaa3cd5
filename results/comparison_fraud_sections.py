"""What a comparison's report says of fraud: money and customers harmed first, then by attacker, look-alike and rule."""

from pathlib import Path

from markupsafe import Markup

from results.charts import intervals
from results.comparison_fraud import ALL, RULES_OFF, WITHOUT, key, kinds_of, money_sql
from results.comparison_marks import Findings, cell, ends, findings, head, right, row, rows_table, shown, sources
from results.comparison_truth import pair_of
from results.comparisons import Estimates
from results.fraud_front import EVEN, HARMED_MOST, ODD, Point, chosen, front, points, points_sql
from results.markup import Column, chart, number, sentence, source, table, words
from results.query import quoted
from results.words import plain

Section = dict[str, Markup]
NOBODY_WITHIN = "none of them harms so few"
_HEADS = {
    "fraud_money": "fraud got, a world 欺诈所得",
    "fraud_stopped": "stopped 拦截率",
    "fraud_harmed": "good customers harmed 误伤率",
    "fraud_challenges_passed": "had to pass a challenge 通过验证率",
}


def fraud_section(opened: Findings) -> Section:
    """Empty where no population has adversaries."""
    policies = [opened.reference, *opened.rivals]
    frauds, goods = (kinds_of(opened.database, truth) for truth in ("fraud", "good"))
    if not frauds:
        return {}
    whole = [policy for policy in policies if not policy.startswith(WITHOUT)]
    return {
        "said": said(opened),
        "kinds": stopped_chart(opened, frauds) + by_part(opened, whole, frauds, ("fraud_money", "fraud_stopped")),
        "groups": by_part(opened, whole, goods, ("fraud_harmed", "fraud_challenges_passed")),
        "seen": seen(opened, whole),
        "rules": rules(opened),
        "front": front_table(opened) if has_front(opened) else Markup(""),
    }


def said(opened: Findings) -> Markup:
    """Of the reference: what fraud got, what was stopped, whom it hurt."""
    name = opened.reference
    money, stopped = f"fraud_money[{name}]", f"fraud_stopped[{name}]"
    parts = [
        sentence(
            "Under {name} fraud got {money} a world", name=words(plain(name)), money=shown(money, opened.found[money])
        )
    ]
    if stopped in opened.found:
        off = f"fraud_money[{RULES_OFF}]"
        text = " where it got {off} with the rules off: {stopped} was stopped ({span})"
        parts.append(
            sentence(
                text, off=shown(off, opened.found[off]), stopped=shown(stopped, opened.found[stopped]),
                span=ends(stopped, opened.found[stopped]),
            )
        )  # fmt: skip
    harmed = f"fraud_harmed[{name}]"
    if harmed in opened.found:
        text = "; {harmed} of good customers were harmed ({span})"
        parts.append(
            sentence(text, harmed=shown(harmed, opened.found[harmed]), span=ends(harmed, opened.found[harmed]))
        )
    return Markup("").join(parts) + Markup(".")


def by_part(opened: Findings, policies: list[str], parts: list[str], names: tuple[str, ...]) -> Markup:
    """A row a kind, all of them together first; a column a figure and policy."""
    columns = [(name, policy) for name in names for policy in policies if key(name, policy) in opened.found]
    rows, queries = [], []
    for part in (ALL, *parts):
        keys = [key(name, policy, part) for name, policy in columns]
        rows.append(row(head(words(plain(part) if part else "all")), *(cell(k, opened.found[k]) for k in keys)))
        queries += [query for k in keys for query in pair_of(opened.found[k])]
    heads = ["", *(f"{_HEADS[name]}, {plain(policy)}" for name, policy in columns)]
    return rows_table(heads, rows, 1) + sources(queries)


def stopped_chart(opened: Findings, kinds: list[str]) -> Markup:
    """What was stopped of each kind of attacker, with its interval."""
    name = opened.reference
    if f"fraud_stopped[{name}]" not in opened.found:
        return Markup("")
    each = " UNION ALL ".join(
        f"SELECT {quoted(kind)} AS label, 1 - (SELECT sum(yuan) FROM ({money_sql(name, kind)}))"
        f" / nullif((SELECT sum(yuan) FROM ({money_sql(RULES_OFF, kind)})), 0) AS value"
        for kind in kinds
    )
    sql = f"SELECT label, value FROM ({each}) ORDER BY label"
    rows = opened.database.table(sql)
    points = []
    for one in rows:
        found = opened.found[key("fraud_stopped", name, str(one["label"]))]
        points.append({"label": plain(str(one["label"])), "value": one["value"], "low": found.low, "high": found.high})
    label = f"Share of each kind of attacker's money that {plain(name)} stopped, with its interval"
    return chart("fraud-stopped", label, sql, rows, intervals(points), 90 + 40 * len(rows)) + source(sql)


def seen(opened: Findings, policies: list[str]) -> Markup:
    """The truth beside what could be seen without knowing it."""
    names = ("fraud_stopped", "fraud_stopped_estimated", "fraud_stopped_naive", "fraud_charged_back")
    rows, queries = [], []
    for policy in policies:
        keys = [key(name, policy) for name in names]
        there = [k for k in keys if k in opened.found]
        cells = [cell(k, opened.found[k]) if k in there else right("") for k in keys]
        rows.append(row(head(words(plain(policy))), *cells))
        queries += [query for k in there for query in pair_of(opened.found[k])]
    heads = (
        "policy",
        "stopped, in truth 真实",
        "estimated by whom is let through 放行估计",
        "refused ÷ (refused + charged back) 表观",
        "charged back of what was let through 拒付",
    )
    return rows_table(heads, rows, 1) + sources(queries)


# --- rules ------------------------------------------------------------------------------------------------------------
def rules(opened: Findings) -> Markup:
    """Under the reference, each rule that fired: what it caught, what only it caught, whom it hit, what it is worth."""
    worth = {rule: f"fraud_money_without[{rule}]" for rule in left_out(opened)}
    sql = f"""
SELECT rule, mode, sum(fired_fraud) AS fired, sum(alone_fraud) AS alone, sum(stopped_fraud) / 100.0 AS stopped,
       sum(fired_good) AS good, sum(answered_good) AS answered_good, sum(not_judged) AS not_judged
FROM rules WHERE policy = {quoted(opened.reference)} GROUP BY rule, mode HAVING sum(fired_fraud + fired_good) > 0
ORDER BY stopped DESC, fired DESC, rule"""
    columns = [
        Column("rule", "rule 规则"),
        Column("mode", "mode"),
        Column("fired", "fired on fraud 命中", "count"),
        Column("alone", "of these, it alone 独有命中", "count"),
        Column("stopped", "face value refused 拦截面值", "yuan:0", bar=True),
        Column("good", "fired on good customers 误命中", "count"),
        Column("answered_good", "of these, it answered", "count"),
        Column("not_judged", "not judged", "count"),
    ]
    found = table(opened.database, sql, ["rule", "mode"], columns, css="bars") + overlap(opened)
    return found + without(opened, worth) if worth else found


def left_out(opened: Findings) -> list[str]:
    return [name.removeprefix(WITHOUT) for name in opened.manifest["rivals"] if name.startswith(WITHOUT)]


def overlap(opened: Findings) -> Markup:
    """Pairs of rules that fired together most often on fraud."""
    sql = f"""
SELECT rule, other, sum(fraud) AS fraud, sum(good) AS good FROM rule_pairs WHERE policy = {quoted(opened.reference)}
GROUP BY rule, other ORDER BY fraud DESC, good DESC, rule, other LIMIT 12"""
    if not opened.database.rows(sql):
        return Markup("")
    columns = [
        Column("rule", "both fired 同时命中"), Column("other", "and"), Column("fraud", "on fraud", "count"),
        Column("good", "on good customers", "count"),
    ]  # fmt: skip
    return table(opened.database, sql, ["rule", "other"], columns)


def without(opened: Findings, worth: dict[str, str]) -> Markup:
    """Worlds in which one rule is off: what fraud gets more. They do not add up."""
    ranked = sorted(worth, key=lambda rule: -(opened.found[worth[rule]].value or 0.0))
    rows = [row(head(words(plain(rule))), cell(worth[rule], opened.found[worth[rule]], "+")) for rule in ranked]
    queries = [query for rule in ranked for query in pair_of(opened.found[worth[rule]])]
    return rows_table(("rule left out 去除规则", "fraud gets more, a world"), rows, 1) + sources(queries)


# --- the front --------------------------------------------------------------------------------------------------------
def has_front(opened: Findings) -> bool:
    """Whether there is something to choose between, beside the rules off."""
    return bool({*opened.rivals} - {RULES_OFF})


def front_of(opened: Findings) -> list[tuple[Point, bool]]:
    """The front on odd worlds, as even ones tell of it; whether it is the one chosen."""
    policies = [opened.reference, *opened.rivals]
    odd = points(opened.database, policies, ODD)
    even, best = {point.policy: point for point in points(opened.database, policies, EVEN)}, chosen(odd)
    return [(even[point.policy], point == best) for point in front(odd) if point.policy in even]


def front_table(opened: Findings) -> Markup:
    names = [policy for policy in (opened.reference, *opened.rivals) if policy != RULES_OFF]
    rows, found = [], front_of(opened)
    for told, best in found:
        sql = f"FROM ({points_sql(names, EVEN)}) WHERE policy = {quoted(told.policy)}"
        mark = words(plain(told.policy) + (" (chosen)" if best else ""))
        money = number(told.money, "yuan:0", f"SELECT money {sql}")
        harm = number(told.harmed, "percent:2", f"SELECT harmed {sql}")
        rows.append(row(head(mark), right(money), right(harm)))
    heads = ("policy", "fraud got, a world 欺诈所得", "good customers harmed 误伤率")
    text = "Chosen on odd worlds, told of even ones: least loss with at most {most} harmed."
    if not any(best for _, best in found):
        text += f" {NOBODY_WITHIN.capitalize()}."
    most = words(f"{100 * HARMED_MOST:g} %")
    return (
        Markup("<p>{}</p>").format(sentence(text, most=most))
        + rows_table(heads, rows, 1)
        + source(points_sql(names, EVEN))
    )


def plain_front(folder: Path, known: Estimates | None = None) -> list[str]:
    """The same as plain text, for the terminal; nothing where nobody commits fraud. known: the comparison's figures."""
    with findings(folder, known) as opened:
        told = front_of(opened) if kinds_of(opened.database, "fraud") and has_front(opened) else []
    heads = [f"loss against friction: chosen on odd worlds, told of even ones, at most {HARMED_MOST:.1%} harmed"]
    lines = [
        f"  {'chosen' if best else '':8}{point.policy:40}fraud got ¥{point.money:,.0f} a world, "
        f"{point.harmed:.2%} of good customers harmed"
        for point, best in told
    ]
    if lines and not any(best for _, best in told):
        lines.append(f"  {NOBODY_WITHIN}")
    return [*heads, *lines] if lines else []
