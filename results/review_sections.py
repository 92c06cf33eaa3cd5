"""The report's pages of reviews: one for each phase, the answer first, each figure with its query."""

from datetime import date
from typing import Any

from markupsafe import Markup

from results.catalogue import METRICS
from results.markup import Column, number, queried, sentence, source, table, words
from results.query import Database, quoted
from results.review_pictures import Days, before_and_after, busiest_day, reach
from results.review_tables import budgets, capacity, changes, complaints, contacts, incidents, stock, troubles
from results.review_words import BADGES, FOLLOW_UPS, PHASES, VERDICTS
from results.reviews import PHASE
from results.words import plain, spec_of

_COUNTED = "SELECT count(*) FROM review_goals"


def reviews(database: Database, manifest: dict[str, Any]) -> dict[str, Any] | None:
    """What the template places; None where the scenario has no reviews."""
    if not manifest.get("reviews"):
        return None
    return {
        "lead": answer(database),
        "said": said(database),
        "overview": overview(database),
        "pages": [page(database, block) for block in manifest["reviews"]],
    }


def page(database: Database, block: dict[str, Any]) -> dict[str, Any]:
    name, days = block["review"], (block["first_date"], block["last_date"])
    planned = [(plan["whose"], plan["planned"]) for plan in block["plans"] if plan["plan"] == "capacity"]
    return {
        "name": name,
        "title": PHASES[name],
        "days": told_days(days),
        "said": said(database, name),
        "goals": goals(database, name),
        "follow_ups": follow_ups(database, name),
        "reach": reach(database, name),
        "series": before_and_after(database, name, days),
        "changes": changes(database, days),
        "capacity": capacity(database, name, days),
        "busy": busiest_day(database, name, days, planned),
        "complaints": complaints(database, days),
        "contacts": contacts(database, days),
        "troubles": troubles(database, days),
        "stock": stock(database, days),
        "budgets": budgets(database, days),
        "incidents": incidents(database, days),
    }


def told_days(days: Days) -> str:
    """One day, or the first and the last."""
    first, last = (date.fromisoformat(day) for day in days)
    if first == last:
        return f"{first.day} {first:%b %Y}"
    return f"{first.day} {first:%b} – {last.day} {last:%b %Y}"


# --- the answer -------------------------------------------------------------------------------------------------------
def said(database: Database, review: str = "") -> Markup:
    """The answer with its queries."""
    return answer(database, review) + source(*counts_of(review))


def counts_of(review: str) -> tuple[str, str]:
    """The queries of how many goals were met, and how many there are."""
    within = f"review = {quoted(review)}" if review else "true"
    return f"{_COUNTED} WHERE {within} AND verdict = 'met'", f"{_COUNTED} WHERE {within}"


def answer(database: Database, review: str = "") -> Markup:
    """How many goals were met, and which were not."""
    met, every = counts_of(review)
    missed = [row[0] for row in database.rows(
        f"SELECT metric FROM ({every.replace('count(*)', '*')}) WHERE verdict = 'missed' ORDER BY number"
    )]  # fmt: skip
    rest = "; missed: {missed}." if missed else "."
    text = "{met} of {every} goals met" + (", planned reach and capacity among them" if not review else "") + rest
    return sentence(
        text, met=queried(database, met, "count"), every=queried(database, every, "count"),
        missed=words(", ".join(dict.fromkeys(figure_words(metric) for metric in missed))),
    )  # fmt: skip


def figure_words(key: str) -> str:
    """A figure of an expectation in words: reach of win back."""
    name, _, inside = key.partition("[")
    whose = ", ".join(plain(part) for part in inside.removesuffix("]").split("/")) if inside else ""
    told = "claims" if name == "claims" else METRICS[name].english
    return told + (f" of {whose}" if whose else "")


def capitalised(text: str) -> str:
    return text[:1].upper() + text[1:]


def overview(database: Database) -> Markup:
    sql = """
SELECT review, strftime(first_date, '%Y-%m-%d') AS first_day, strftime(last_date, '%Y-%m-%d') AS last_day,
       count(*) FILTER (WHERE verdict = 'met') AS met, count(*) FILTER (WHERE verdict = 'missed') AS missed
FROM reviews JOIN review_goals USING (review) GROUP BY reviews.number, review, first_date, last_date
ORDER BY reviews.number"""
    columns = [
        Column("review", "phase 阶段", words=lambda name: PHASES[name]),
        Column("first_day", "from", words=words),
        Column("last_day", "to", words=words),
        Column("met", "goals met 达标", "count"),
        Column("missed", "goals missed 未达标", "count"),
    ]
    return table(database, sql, ["review"], columns)


# --- goals ------------------------------------------------------------------------------------------------------------
def goals(database: Database, review: str) -> Markup:
    sql = f"SELECT * FROM review_goals WHERE review = {quoted(review)} ORDER BY number"
    head = ("goal 目标", "planned 计划", "reached 实际", "verdict 结论")
    made = Markup("").join(
        Markup('<th scope="col"{}>{}</th>').format(Markup(' class="right"') if at in (1, 2) else "", text)
        for at, text in enumerate(head)
    )
    rows = database.table(sql)
    body = Markup("").join(goal_row(row) for row in rows)
    tag = '<div class="scroll" tabindex="0"><table><thead><tr>{}</tr></thead><tbody>{}</tbody></table></div>'
    return Markup(tag).format(made, body) + source(sql, *(row["query"] for row in rows))


def goal_row(row: dict[str, Any]) -> Markup:
    badge = Markup('<span class="badge {}">{}</span>').format(BADGES[row["verdict"]], VERDICTS[row["verdict"]])
    tag = '<tr><th scope="row">{}</th><td class="right bounds">{}</td><td class="right">{}</td><td>{}</td></tr>'
    return Markup(tag).format(goal_name(row), planned(row), value(row), badge)


def goal_name(row: dict[str, Any]) -> Markup:
    metric = METRICS[row["metric"].partition("[")[0]]
    text = figure_words(row["metric"])
    if row["kind"] == "capacity":
        text += ", on the customer base"
    over = "" if row["over"] == PHASE else Markup(" <small>({})</small>").format(row["over"])
    return Markup('<span class="given">{}</span> <span lang="zh">{}</span>{}').format(text, metric.chinese, over)


def planned(row: dict[str, Any]) -> Markup:
    """The bounds of a goal, in its unit."""
    if row["low"] is None:
        return Markup("at most {}").format(bound(row, "high"))
    if row["high"] is None:
        return Markup("at least {}").format(bound(row, "low"))
    if row["low"] == row["high"]:
        return bound(row, "low")
    return Markup("{} to {}").format(bound(row, "low"), bound(row, "high"))


def bound(row: dict[str, Any], end: str) -> Markup:
    query = f"SELECT {end} FROM review_goals WHERE number = {row['number']}"
    spec = spec_of(row["unit"], row[end])
    places = 0 if row["unit"] != "share" or (100 * row[end]).is_integer() else 1
    return number(row[end], f"{spec.partition(':')[0]}:{places}", query)


def value(row: dict[str, Any]) -> Markup:
    query = f"SELECT value FROM review_goals WHERE number = {row['number']}"
    return number(row["value"], spec_of(row["unit"], row["value"]), query)


# --- the follow-up plan -----------------------------------------------------------------------------------------------
def follow_ups(database: Database, review: str) -> Markup:
    """What the missed goals call for, each with the command that simulates it; nothing where none was missed."""
    sql = f"""
SELECT follow_ups.number AS place, rule, whose, change, command, share, review_goals.*
FROM follow_ups JOIN review_goals ON goal_number = review_goals.number WHERE review = {quoted(review)} ORDER BY place"""
    rows = database.table(sql)
    if not rows:
        return Markup("")
    made = Markup("").join(follow_up(row) for row in rows)
    return Markup('<ol class="follow">{}</ol>').format(made) + source(sql)


def follow_up(row: dict[str, Any]) -> Markup:
    share = f"SELECT share FROM follow_ups WHERE number = {row['place']}"
    does = sentence(
        FOLLOW_UPS[row["rule"]], whose=words(plain(row["whose"])), to=words(plain(row["change"])),
        share=number(row["share"], "percent:0", share),
    )  # fmt: skip
    goal = sentence(
        "{name}: {value}, planned {planned}.", name=words(capitalised(figure_words(row["metric"]))), value=value(row),
        planned=planned(row),
    )  # fmt: skip
    tag = '<li><p><b>{}</b> {}</p><p class="simulate">Simulate 模拟: <code class="given">{}</code></p></li>'
    return Markup(tag).format(goal, does, row["command"])
