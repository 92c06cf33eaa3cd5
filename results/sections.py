"""The report's tables and cards: each a pure function of the run's database, manifest and estimates to HTML."""

from dataclasses import replace
from typing import Any

from markupsafe import Markup

from engine.records import Reason
from results.catalogue import METRICS
from results.markup import Column, computed, figure, interval, queried, sentence, source, table, words
from results.metrics import CANDIDATE_DAYS, MEASURED_DAYS, SRM_ALARM
from results.query import Database, quoted
from results.statistics import Estimate
from results.words import NOTHING, UNITS, VERDICTS, plain, reason

Estimates = dict[str, Estimate]
_IN_ORDER = (
    "list_position([" + ", ".join(quoted(r.name.lower()) for r in Reason if r is not Reason.SHOWN) + "], reason)"
)


def label(name: str) -> Markup:
    """A metric's two names."""
    metric = METRICS[name]
    return Markup('{} <span lang="zh">{}</span>').format(metric.english, metric.chinese)


def cards(manifest: dict[str, Any], found: Estimates) -> list[dict[str, Any]]:
    """The figures a meeting asks for: of the leading campaign, then of all customers at launch."""
    primary = manifest["primary"]
    of_campaign = ("lift", "relative_lift", "click_rate", "negative_rate", "exposures_per_customer")
    of_run: tuple[str, ...] = (
        "active_share",
        "left_annoyed",
        "profit_per_customer",
        "payments_per_customer",
        "spend_per_customer",
        "first_payments",
        "cards_bound",
        "discount_cost",
        "redemption_rate",
        "basket_value",
    )
    if not primary:
        of_run = ("exposures_per_customer", "click_rate", "negative_rate", *of_run)
    named = [(name, f"{name}[{primary}]", f"of {plain(primary)}") for name in of_campaign if primary]
    named += [(name, name, "of all customers at launch") for name in of_run]
    return [_card(name, key, whom, found[key]) for name, key, whom in named if key in found]


def _card(name: str, key: str, whom: str, estimate: Estimate) -> dict[str, Any]:
    sign = "+" if name in ("lift", "relative_lift") else ""
    return {
        "label": label(name),
        "figure": figure(key, estimate, sign),
        "interval": interval(key, estimate) if estimate.low is not None else "",
        "note": "" if estimate.low is not None else estimate.note,
        "n": computed(key, "n", estimate.n, "count"),
        "whom": whom,
        "unit": estimate.unit_of_analysis + ("s" if estimate.unit_of_analysis == "customer" else ""),
        "meaning": METRICS[name].meaning,
        "source": source(
            estimate.query, estimate.counts_query, method=estimate.method if estimate.low is not None else ""
        ),
    }


# --- what is caused ---------------------------------------------------------------------------------------------------
_SEES = {"nothing": "who saw nothing of it", "next_best": "who saw the next best message instead"}
_MISMATCH = " They were not held out in the stated share: do not read the differences below."
_OF_PROGRAMME = {"payments": "payments_per_customer", "spend": "spend_per_customer", "profit": "profit_per_customer",
                 "visits": "visits_per_customer", "left_annoyed": "left_annoyed"}  # fmt: skip


def campaign_added(campaign: dict[str, Any], found: Estimates) -> Markup:
    """Uptake and spend, shown minus held out: raw, winsorised, adjusted. Nothing without a holdout."""
    name = campaign["name"]
    if f"lift[{name}]" not in found:
        return Markup("")
    rows = [("lift", ("lift", "", "adjusted_lift"))]
    rows += [("spend_lift", ("spend_lift", "winsorised_spend_lift", "adjusted_spend_lift"))]
    keyed = [(label(head), [metric and f"{metric}[{name}]" for metric in metrics]) for head, metrics in rows]
    text = sentence(
        "Per customer reached by {name}, within its goal's window from the first exposure, real or ghost: those shown "
        "it minus those held out, {sees}. Customers held out of everything are not counted.",
        name=plain(name), sees=_SEES[campaign.get("holdout_sees") or "nothing"],
    )  # fmt: skip
    return _caused(text, ("raw", "winsorised", "adjusted"), keyed, found)


def programme_added(found: Estimates) -> Markup:
    """All campaigns together, against the universal holdout. Nothing without one."""
    if "programme_srm_p" not in found:
        return Markup("")
    lifts = ("programme_lift", "adjusted_programme_lift")
    keyed = [(label(metric), [f"{lift}[{measure}]" for lift in lifts]) for measure, metric in _OF_PROGRAMME.items()]
    test = found["programme_srm_p"]
    text = sentence(
        "Per customer at launch, over campaign and tail: those under the policy minus those held out of everything but "
        "service messages. So it speaks of all campaigns together against none. Sample ratio test of this holdout: "
        "p {p}.{alarm}",
        p=computed("programme_srm_p", "value", test.value, "p:3"),
        alarm=_MISMATCH if test.value is not None and test.value < SRM_ALARM else "",
    )  # fmt: skip
    return _caused(text, ("raw", "adjusted"), keyed, found)


def _caused(text: Markup, heads: tuple[str, ...], keyed: list[tuple[Markup, list[str]]], found: Estimates) -> Markup:
    """A table of differences; where none could be adjusted the column gives way to the reason."""
    adjusted = [found[keys[-1]] for _, keys in keyed]
    said = Markup('<p class="whom">{}</p>').format(text)
    if all(estimate.value is None for estimate in adjusted):
        said += Markup('<p class="whom">{}.</p>').format(adjusted[0].note.capitalize())
        heads, keyed = heads[:-1], [(head, keys[:-1]) for head, keys in keyed]
    rows = [
        Markup('<tr><th scope="row">{}</th>{}{}</tr>').format(
            head, Markup("").join(_difference_cell(key, found) for key in keys), _customers_cell(keys[0], found)
        )
        for head, keys in keyed
    ]
    shown = [found[key] for _, keys in keyed for key in keys if key]
    queries = [query for estimate in shown for query in (estimate.query, estimate.counts_query)]
    methods = "; ".join(dict.fromkeys(estimate.method for estimate in shown if estimate.low is not None))
    return said + _bare_table(("", *heads, "customers"), rows, 1) + source(*queries, method=methods)


def _difference_cell(key: str, found: Estimates) -> Markup:
    """Figure and interval; under an adjusted one how much narrower it became."""
    if not key:
        return Markup('<td class="right"></td>')
    estimate = found[key]
    fine = replace(estimate, unit="yuan each") if estimate.unit == "yuan" else estimate
    cell = _estimate_cell(key, fine, "+")
    if estimate.low is None or not estimate.note:
        return cell
    return cell.removesuffix("</td>") + Markup('<br><span class="none given">{}</span></td>').format(estimate.note)


def _customers_cell(key: str, found: Estimates) -> Markup:
    return Markup('<td class="right">{}</td>').format(computed(key, "n", found[key].n, "count"))


def expectations(database: Database) -> Markup:
    sql = "SELECT number, text, verdict, value, low, high, n, unit FROM expectations ORDER BY number"
    rows = []
    for row in database.table(sql):
        kind = UNITS.get(row["unit"], "number")
        spec = {"percent": "percent:2", "points": "points:2", "count": "count"}.get(kind, f"{kind}:2")
        narrow = f"SELECT {{}} FROM expectations WHERE number = {row['number']}"
        cell = Markup('<td class="right">{}</td>')
        figures = [cell.format(queried(database, narrow.format(name), spec)) for name in ("value", "low", "high")]
        figures.append(cell.format(queried(database, narrow.format("n"), "count")))
        verdict = Markup('<td><span class="badge {0}">{1}</span></td>').format(
            row["verdict"], VERDICTS.get(row["verdict"], row["verdict"])
        )
        text = Markup('<th scope="row">{}</th>').format(words(row["text"]))
        rows.append(Markup("<tr>{}{}{}</tr>").format(text, verdict, Markup("").join(figures)))
    if not rows:
        return Markup("<p>The scenario states no expectation.</p>")
    return _bare_table(("expectation", "verdict", "value", "low", "high", "n"), rows, 2) + source(sql)


def funnel(database: Database, campaign: str) -> Markup:
    """Candidates, shown, clicked, converted of one campaign; bars from `shown` on: candidates would dwarf them."""
    name = quoted(campaign)
    sql = f"""
WITH w AS (SELECT sum(candidates) AS candidates, sum(candidates) FILTER (WHERE reason = 'shown') AS shown
           FROM waterfall WHERE campaign = {name} AND {CANDIDATE_DAYS}),
     c AS (SELECT sum(clicks) AS clicks, sum(conversions) AS conversions FROM cells
           WHERE campaign = {name} AND {MEASURED_DAYS}),
     steps AS (SELECT 1 AS step, 'candidates' AS name, candidates AS n, NULL AS before FROM w
     UNION ALL SELECT 2, 'shown, of candidates', shown, candidates FROM w
     UNION ALL SELECT 3, 'clicked, of shown', clicks, shown FROM w, c
     UNION ALL SELECT 4, 'converted, of shown', conversions, shown FROM w, c)
SELECT step, name, coalesce(n, 0) AS n, n::DOUBLE / nullif(before, 0) AS share, CASE WHEN step > 1 THEN n END AS bar
FROM steps ORDER BY step"""
    columns = [
        Column("name", "step"),
        Column("n", "times", "count", bar=True, length="bar"),
        Column("share", "share", "percent:1"),
    ]
    return table(database, sql, ["name"], columns, css="bars")


def waterfall(database: Database, campaign: str) -> Markup:
    """Why candidates were not shown, in the order the engine asks; bars float from what was left to what is left."""
    sql = f"""
WITH counted AS (SELECT reason, sum(candidates) AS n, coalesce({_IN_ORDER}, 99) AS place
                 FROM waterfall WHERE campaign = {quoted(campaign)} AND {CANDIDATE_DAYS} GROUP BY reason),
     total AS (SELECT sum(n) AS total FROM counted)
SELECT 'all candidates' AS reason, total AS n, 1.0::DOUBLE AS share, 0 AS remaining, total, 0 AS place FROM total
UNION ALL
SELECT reason, n, n::DOUBLE / total, total - sum(n) OVER (ORDER BY place ROWS UNBOUNDED PRECEDING), total, place
FROM counted, total ORDER BY place"""
    columns = [
        Column("reason", "reason", words=reason),
        Column("n", "candidates", "count", bar=True, offset="remaining", whole="total"),
        Column("share", "share", "percent:1"),
    ]
    return table(database, sql, ["reason"], columns, css="bars waterfall") + _adds_up(database, campaign)


def _adds_up(database: Database, campaign: str) -> Markup:
    """The sum in words, and the same count from the other side: exposures kept by cell."""
    tail = f"FROM waterfall WHERE campaign = {quoted(campaign)} AND {CANDIDATE_DAYS}"
    total, shown = (
        f"SELECT coalesce(sum(candidates), 0) {tail}",
        f"SELECT coalesce(sum(candidates), 0) {tail} AND reason = 'shown'",
    )
    refused = f"SELECT coalesce(sum(candidates), 0) {tail} AND reason <> 'shown'"
    exposures = f"SELECT coalesce(sum(exposures), 0) FROM cells WHERE campaign = {quoted(campaign)} AND {MEASURED_DAYS}"
    agree = database.number(shown) == database.number(exposures)
    verdict = "the two agree" if agree else "THE TWO DISAGREE: this is a bug, do not use this run"
    parts = [queried(database, sql, "count") for sql in (total, shown, refused, exposures)]
    line = "It adds up: {} candidates = {} shown + {} not shown. Exposures counted apart, by arm and segment: {}; {}."
    return (
        Markup('<p class="{}">').format("fine" if agree else "alarm")
        + Markup(line).format(*parts, verdict)
        + Markup("</p>")
    )


def arms(campaign: dict[str, Any], found: Estimates) -> Markup:
    """Each variant with its intervals; uptake and its increment where somebody was held out."""
    name = campaign["name"]
    metrics = [m for m in ("click_rate", "negative_rate", "conversion_rate") if f"{m}[{name}]" in found]
    columns = [(label(m), f"{m}[{name}/{{}}]", "") for m in metrics]
    if f"lift[{name}]" in found:
        columns += [(Markup("{}, shown").format(label("uptake")), f"uptake[{name}/{{}}/shown]", "")]
        columns += [(label("lift"), f"lift[{name}/{{}}]", "+")]
    rows, queries = [], []
    for arm in campaign["arms"]:
        cells = [Markup('<th scope="row">{}</th>').format(words(_arm_name(arm)))]
        first = found[f"click_rate[{name}/{arm['name']}]"]
        cells.append(
            Markup('<td class="right">{}</td>').format(
                computed(f"click_rate[{name}/{arm['name']}]", "n", first.n, "count")
            )
        )
        for _, pattern, sign in columns:
            key = pattern.format(arm["name"])
            cells.append(_estimate_cell(key, found[key], sign))
            queries += [found[key].query, found[key].counts_query]
        rows.append(Markup("<tr>{}</tr>").format(Markup("").join(cells)))
    heads = ("variant", "customers shown", *(head for head, _, _ in columns))
    return _bare_table(heads, rows, 1) + source(*queries)


def _arm_name(arm: dict[str, Any]) -> str:
    style = ", ".join(plain(arm[key]) for key in ("style", "colour") if arm.get(key) and arm[key] != arm["name"])
    return f"{plain(arm['name'])} ({style})" if style else plain(arm["name"])


def segments(database: Database, leading: str | None) -> Markup:
    sql = f"""
SELECT campaign, segment, sum(exposures) - sum(not_shown) AS exposures,
       sum(clicks)::DOUBLE / nullif(sum(exposures) - sum(not_shown), 0) AS click_rate,
       sum(negatives)::DOUBLE / nullif(sum(exposures) - sum(not_shown), 0) AS negative_rate,
       sum(conversions)::DOUBLE / nullif(sum(exposures) - sum(not_shown), 0) AS conversion_rate
FROM cells WHERE {MEASURED_DAYS} GROUP BY campaign, segment
ORDER BY campaign <> {quoted(leading or "")}, campaign, exposures DESC, segment"""
    rates = [Column(name, _heading(name), "percent:1") for name in ("click_rate", "negative_rate", "conversion_rate")]
    columns = [
        Column("campaign", "campaign"),
        Column("segment", "segment"),
        Column("exposures", _heading("exposures"), "count"),
    ]
    return table(database, sql, ["campaign", "segment"], [*columns, *rates])


def _heading(name: str) -> str:
    return f"{METRICS[name].english} {METRICS[name].chinese}"


def phases(database: Database) -> Markup:
    """Before, campaign and tail side by side, per customer at launch and day."""
    sql = """
SELECT phase, count(*) AS days, 1000.0 * sum(visits) / sum(launched) AS visits,
       sum(dwell_ms) / 1000.0 / nullif(sum(visits), 0) AS dwell,
       1000.0 * sum(payments) / sum(launched) AS payments, 10.0 * sum(payment_amount) / sum(launched) AS spend,
       sum(first_payments)::DOUBLE / count(*) AS first_payments, sum(cards_bound)::DOUBLE / count(*) AS cards_bound
FROM population GROUP BY phase ORDER BY min(date)"""
    columns = [
        Column("phase", "phase", words=lambda phase: {"after": "tail"}.get(phase, phase)),
        Column("days", "days", "count"),
        Column("visits", "visits per 1,000 customers and day", "number:0"),
        Column("dwell", "dwell per visit", "seconds:0"),
        Column("payments", "payments per 1,000 customers and day", "number:1"),
        Column("spend", "spend per 1,000 customers and day", "yuan:0"),
        Column("first_payments", "first payments a day", "number:1"),
        Column("cards_bound", "new cards bound a day", "number:1"),
    ]
    return table(database, sql, ["phase"], columns)


def paths(database: Database) -> Markup:
    sql = """
SELECT from_page, to_page, moves, moves::DOUBLE / sum(moves) OVER () AS share,
       dwell_ms / 1000.0 / nullif(moves, 0) AS dwell
FROM paths ORDER BY moves DESC, from_page, to_page LIMIT 12"""
    columns = [
        Column("from_page", "from"),
        Column("to_page", "to"),
        Column("moves", "moves", "count", bar=True),
        Column("share", "of all moves", "percent:1"),
        Column("dwell", "dwell before", "seconds:0"),
    ]
    return table(database, sql, ["from_page", "to_page"], columns, css="bars")


def weeks(database: Database) -> Markup:
    sql = """
SELECT week + 1 AS week, sum(customers) AS customers, sum(touches * customers)::DOUBLE / sum(customers) AS mean,
       sum(customers) FILTER (WHERE touches = 0)::DOUBLE / sum(customers) AS untouched,
       coalesce(sum(customers) FILTER (WHERE touches >= 7), 0)::DOUBLE / sum(customers) AS many
FROM touches GROUP BY week ORDER BY week"""
    columns = [
        Column("week", "week of measurement", "count"),
        Column("customers", "customers", "count"),
        Column("mean", "touches per customer", "number:2"),
        Column("untouched", "untouched", "percent:1"),
        Column("many", "touched 7 times or more", "percent:2"),
    ]
    return table(database, sql, ["week"], columns)


def failures(database: Database) -> Markup:
    sql = 'SELECT kind, "where", sentence, count FROM failures ORDER BY count DESC, kind, "where"'
    if not database.rows(sql):
        return Markup("<p>Nothing failed.</p>")
    columns = [Column("kind", "what"), Column("where", "where"), Column("sentence", "in words", words=str)]
    columns.append(Column("count", "times", "count"))
    return table(database, sql, ["kind", "where", "sentence"], columns, css="given")


def all_metrics(found: Estimates) -> Markup:
    """Every metric of the run as a whole and of each campaign: both names, population, figure, interval, n, meaning."""
    rows, queries = [], []
    for key, estimate in found.items():
        if "/" in key and not key.startswith("uptake"):
            continue  # arms have their own table
        name = key.partition("[")[0]
        metric = METRICS[name]
        meaning = metric.meaning if metric.goal_allowed else f"{metric.meaning} Not allowed as a goal."
        said = (label(name), meaning, words(plain(estimate.population)))
        counted = (computed(key, "n", estimate.n, "count"), metric.unit_of_analysis)
        cells = Markup('<th scope="row">{}</th><td class="given">{}</td><td>{}</td>').format(*said)
        cells += Markup('<td class="right">{}<br><span class="none">{}</span></td>').format(*counted)
        rows.append(Markup("<tr>{}{}</tr>").format(cells, _estimate_cell(key, estimate, "")))
        queries.append(estimate.query)
    heads = ("metric", "meaning", "whom it speaks of", "n and unit", "figure and interval")
    return _bare_table(heads, rows, 3, "wide") + source(*queries, label="the queries")


def _estimate_cell(key: str, estimate: Estimate, sign: str) -> Markup:
    if estimate.value is None:
        return Markup('<td class="right"><span class="none">{}</span></td>').format(estimate.note or NOTHING)
    return Markup('<td class="right">{}<br>{}</td>').format(figure(key, estimate, sign), interval(key, estimate))


def _bare_table(heads: tuple[Any, ...], rows: list[Markup], left: int, css: str = "") -> Markup:
    head = Markup("").join(
        Markup('<th scope="col"{}>{}</th>').format(Markup(' class="right"') if left <= at else "", h)
        for at, h in enumerate(heads)
    )
    tag = '<div class="scroll" tabindex="0"><table class="{}"><thead><tr>{}</tr></thead><tbody>{}</tbody></table></div>'
    return Markup(tag).format(css, head, Markup("").join(rows))
