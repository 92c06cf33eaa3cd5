"""Where a difference of profit comes from, what one more message costs, and what each campaign is worth alone."""

from markupsafe import Markup

from results.comparison_fraud import WITHOUT
from results.comparison_marks import Findings, ends, head, right, row, rows_table, shown, sources
from results.comparison_tables import MONEY
from results.comparison_words import OF_COUPONS
from results.comparisons import Pair
from results.markup import Column, number, queried, sentence, source, table, words
from results.paired import PairedWorlds
from results.query import quoted
from results.statistics import CONFIDENCE, Estimate
from results.words import plain

COSTS = (
    ("rewards", "rewards redeemed"), ("discounts", "discounts of coupons"), ("channel_cost", "channel cost"),
    ("fraud_loss", "fraud loss"), ("liability", "coupons still open, expected cost"),
)  # fmt: skip
EXPOSURES_DIFFER_LEAST = 0.01  # of the reference: under it a price of attention divides by next to nothing


# --- waterfall --------------------------------------------------------------------------------------------------------
def parts_sql(opened: Findings, rival: str) -> str:
    """Parts of the difference of profit, in yuan a customer, then profit itself; the part before it is what is left."""
    lines = parts(opened, rival)
    known = " + ".join(f"({value})" for _, value in lines)
    profit = of(opened, rival, "profit")
    lines.append((REST_KNOWN if worth_of(opened) else REST, f"{profit} - ({known})"))
    rows = " UNION ALL ".join(
        f"SELECT {place} AS place, {quoted(label)} AS part, {value} AS amount"
        for place, (label, value) in enumerate(lines, 1)
    )
    return f"""
WITH parts AS ({rows})
SELECT place, part, amount FROM parts
UNION ALL SELECT {PROFIT}, 'profit', {profit} ORDER BY place"""


PROFIT = 99
REST, REST_KNOWN = "margin, less complaints answered", "rounding to fen"


def of(opened: Findings, rival: str, measure: str) -> str:
    scale = 100.0 if measure in MONEY else 1.0
    return f"(SELECT sum(total) / sum(n) / {scale} {Pair(rival, opened.reference).rows(measure)})"


def parts(opened: Findings, rival: str) -> list[tuple[str, str]]:
    """Label and SQL; margin and complaints only where the manifest says what they are worth."""
    found = [(label, f"-{of(opened, rival, measure)}") for measure, label in COSTS if is_lived(opened, measure)]
    found.append(("closing value", of(opened, rival, "closing_value")))
    worth = worth_of(opened)
    if worth:
        margin, complaint = worth
        found.insert(0, ("margin on what is spent", f"{margin!r} * {of(opened, rival, 'spend')}"))
        found.insert(3, ("complaints answered", f"{-complaint!r} * {of(opened, rival, 'complaints')}"))
    return found


def is_lived(opened: Findings, measure: str) -> bool:
    """Without coupons there are none of their parts."""
    sql = f"SELECT coalesce(sum(squares), 0) FROM levels WHERE of = '' AND measure = {quoted(measure)}"
    return measure not in OF_COUPONS or opened.database.number(sql) > 0


def worth_of(opened: Findings) -> tuple[float, float] | None:
    """Margin as a share of what is spent, and yuan to answer a complaint."""
    worth = opened.manifest.get("worth")
    return (float(worth["margin"]), float(worth["complaint"])) if worth else None


def waterfall(opened: Findings, rival: str) -> Markup:
    columns = [Column("part", "part of the difference, yuan a customer"), Column("amount", "difference", "+each:4")]
    shown_table = table(opened.database, parts_sql(opened, rival), ["part"], columns, css="narrow")
    return shown_table + (adds_up(opened, rival) if worth_of(opened) else Markup(""))


def adds_up(opened: Findings, rival: str) -> Markup:
    """Each customer's margin is rounded to whole fen, so the parts may miss by a fen for each whose spend differs."""
    sql = (
        f"SELECT sum(amount) FROM ({parts_sql(opened, rival)}) WHERE part <> {quoted(REST_KNOWN)} AND place < {PROFIT}"
    )
    total = f"SELECT amount FROM ({parts_sql(opened, rival)}) WHERE place = {PROFIT}"
    rows = Pair(rival, opened.reference).rows("spend")
    rounding = 0.01 * opened.database.number(f"SELECT sum(nonzero)::DOUBLE / sum(n) {rows}") + 1e-9
    agree = abs(opened.database.number(sql) - opened.database.number(total)) <= rounding
    verdict = "the two agree" if agree else "THE TWO DISAGREE: this is a bug, do not use this comparison"
    summed, profit = (queried(opened.database, query, "+each:4") for query in (sql, total))
    line = Markup("It adds up: the parts come to {}, profit differs by {}; {}.").format(summed, profit, verdict)
    return Markup('<p class="{}">{}</p>').format("fine" if agree else "alarm", line)


# --- one more message -------------------------------------------------------------------------------------------------
def price_sql(opened: Findings, rival: str) -> str:
    pair = Pair(rival, opened.reference)
    money, shows = (f"(SELECT sum(total) {pair.rows(measure)})" for measure in ("profit", "exposures"))
    return f"SELECT {money} / 100.0 / nullif({shows}, 0)"


def price_of_attention(opened: Findings, rival: str) -> Estimate:
    """Yuan of profit for each exposure more; the world as unit, linearised around the ratio (Deng 2018, eq. 7)."""
    pair = Pair(rival, opened.reference)
    worlds = (
        f"SELECT p.total / 100.0, e.total FROM (SELECT * {pair.rows('profit')}) AS p"
        f" JOIN (SELECT * {pair.rows('exposures')}) AS e ON p.world = e.world ORDER BY p.world"
    )
    rows = [(float(money), float(shows)) for money, shows in opened.database.rows(worlds)]
    shows = sum(e for _, e in rows)
    query = price_sql(opened, rival)
    if not rows or not shows:
        return Estimate(None, None, None, "yuan", len(rows), "world", "the policies show equally often")
    ratio = opened.database.number(query)
    each = shows / len(rows)
    interval = PairedWorlds(tuple(ratio + (money - ratio * e) / each for money, e in rows)).interval(CONFIDENCE)
    return Estimate(ratio, interval.low, interval.high, "yuan", len(rows), "world", interval.note,
                    "ratio of sums over worlds, Student's t", query, worlds)  # fmt: skip


def price(opened: Findings, rival: str) -> Markup:
    """In a sentence, or why it cannot be told; nothing is said where whole campaigns are missing."""
    if any(policy["name"] == rival and policy["without"] for policy in opened.manifest.get("policies", [])):
        return Markup("")
    key = f"relative_difference[{rival}/exposures]"
    change = opened.found[key]
    clicked = f"relative_difference[{rival}/clicks]"
    clicks = opened.found[clicked]
    if change.value is None or abs(change.value) < EXPOSURES_DIFFER_LEAST:
        text = "{rival}: cannot be told, the two policies show nearly equally often ({change} exposures)."
        return sentence(text, rival=words(rival), change=shown(key, change, "+"))
    if (change.value > 0) != ((clicks.value or 0.0) > 0):  # more messages of another kind, or to others
        text = "{rival}: cannot be told, the policies differ in more than how often they show ({change} exposures, "
        text += "{clicks} clicks)."
        return sentence(text, rival=words(rival), change=shown(key, change, "+"), clicks=shown(clicked, clicks, "+"))
    found = price_of_attention(opened, rival)
    name = f"price_of_attention[{rival}]"
    if found.value is None or found.low is None or found.high is None:
        return sentence("{rival}: {note}.", rival=words(rival), note=words(found.note))
    told = "it costs" if found.high < 0 else "it earns" if found.low > 0 else "which cannot be told from nothing"
    text = "{rival}, with {change} exposures: each exposure more changes profit by {value} ({span}); {told}."
    told_of = sentence(text, rival=words(rival), change=shown(key, change, "+"), value=shown(name, found, "+"),
                       span=ends(name, found), told=told)  # fmt: skip
    return told_of + sources([found.query, found.counts_query], found.method)


# --- leave one out ----------------------------------------------------------------------------------------------------
def left_out(opened: Findings) -> list[str]:
    """Rivals that are the reference without one campaign."""
    ones = [rival for rival in opened.rivals if rival.startswith("without_") and rival != "without_all"]
    return [rival for rival in ones if not rival.startswith(WITHOUT)]


def leave_one_out(opened: Findings) -> Markup:
    """What each campaign is worth with all others running; these do not add up (FIDELITY 1)."""
    ones = left_out(opened)
    if not ones:
        return Markup("")
    rows = [worth_row(opened, rival, words(plain(rival.removeprefix("without_")))) for rival in ones]
    listed = ", ".join(quoted(rival) for rival in ones)
    query = (
        f"SELECT -sum(value) FROM (SELECT sum(total) / sum(n) / 100.0 AS value FROM differences WHERE of = '' AND"
        f" segment = '' AND measure = 'profit' AND against = {quoted(opened.reference)} AND policy IN ({listed})"
        " GROUP BY policy)"
    )
    total = number(opened.database.number(query), "+each:3", query)
    rows.append(row(head("their sum, which means nothing: these do not add up"), right(total)))
    if "without_all" in opened.rivals:
        rows.append(
            worth_row(opened, "without_all", "all campaigns against none, which is what they are worth together")
        )
    return rows_table(("campaign", "profit a customer, with it less without"), rows) + source(query)


def worth_row(opened: Findings, rival: str, label: str | Markup) -> Markup:
    found = opened.found[f"difference[{rival}/profit]"]
    query = f"SELECT -({found.query})"
    return row(head(label), right(number(opened.database.number(query), "+each:3", query)))
