"""The tables of a comparison's report: verdicts, guardrails, every measure, arms, campaigns, worlds, draws."""

from markupsafe import Markup

from results.comparison_lead import draws_sql, holds_sql, threshold_sql, turn_words, turns
from results.comparison_marks import (
    Findings,
    Judged,
    badge,
    both_names,
    cell,
    ends,
    head,
    left,
    right,
    row,
    rows_table,
    shown,
    sources,
)
from results.comparison_tables import MONEY
from results.comparison_truth import pair_of
from results.comparison_words import OF_COUPONS, PER_THOUSAND, in_order
from results.markup import Column, computed, number, queried, sentence, source, table, words
from results.query import quoted
from results.statistics import Estimate
from results.words import NOTHING, plain

VERDICTS_SQL = "SELECT * FROM verdicts WHERE role = {}"


# --- verdicts ---------------------------------------------------------------------------------------------------------
def goals(opened: Findings) -> Markup:
    """One row a rival: the word, the difference, what mattered, how many worlds it takes."""
    rows = []
    for rival in opened.rivals:
        goal = opened.goal(rival)
        figures = (goal.shown(), goal.interval_noted(), goal.plain("level"), goal.plain("limit"), needed(goal))
        rows.append(row(head(words(rival)), left(badge(goal.word)), *map(right, figures)))
    per = "a customer" if opened.measure in MONEY else PER_THOUSAND
    heads = (
        "policy", "verdict", Markup("difference in {}, {}").format(both_names(opened.measure), per), confidence(opened),
        f"level of {opened.reference}", "least that matters", "worlds it takes",
    )  # fmt: skip
    return rows_table(heads, rows, 2) + source(VERDICTS_SQL.format("'goal'"))


def confidence(opened: Findings) -> Markup:
    """The interval's heading; with several rivals each is held to more (Holm)."""
    levels = sorted({opened.goal(rival).confidence for rival in opened.rivals})
    return Markup("interval, {} %").format(" or ".join(f"{100 * level:g}" for level in levels))


def needed(judged: Judged) -> Markup:
    if judged.worlds_needed is None:
        return Markup(NOTHING)
    return number(judged.worlds_needed, "count", judged.sql("worlds_needed"))


def guardrails(opened: Findings) -> Markup:
    if not any(opened.guardrails(rival) for rival in opened.rivals):
        return Markup("<p>No guardrail was set, so none was tested.</p>")
    rows = {rival: [guardrail_row(rail) for rail in opened.guardrails(rival)] for rival in opened.rivals}
    heads = (
        "policy", "guardrail", "verdict", f"difference {PER_THOUSAND}, money a customer", "interval, 95 %",
        f"level of {opened.reference}", "at most so much worse", "worlds it takes",
    )  # fmt: skip
    if len(rows) <= TOGETHER_MOST:
        tables = rows_table(heads, [row for found in rows.values() for row in found], 3)
    else:
        tables = panels({rival: rows_table(heads, found, 3) for rival, found in rows.items()})
    return tables + source(VERDICTS_SQL.format("'guardrail'"))


TOGETHER_MOST = 3  # rivals in one table; more of them fold away


def guardrail_row(rail: Judged) -> Markup:
    figures = (rail.shown(), rail.interval_noted(), rail.plain("level"), rail.plain("limit"), needed(rail))
    named = (head(words(rail.policy)), left(both_names(rail.measure)), left(badge(rail.word)))
    return row(*named, *map(right, figures))


def panels(parts: dict[str, Markup]) -> Markup:
    """One under the other, the first one open."""
    tag = '<details class="panel"{}><summary class="given">{}</summary>{}</details>'
    return Markup("").join(
        Markup(tag).format(Markup("") if place else Markup(" open"), name, part)
        for place, (name, part) in enumerate(parts.items())
    )


# --- every measure of every policy ------------------------------------------------------------------------------------
def measures(opened: Findings) -> Markup:
    """Money, then what customers did; every policy beside the reference."""
    everything = [key.split("/")[1][:-1] for key in opened.found if key.startswith(f"level[{opened.reference}/")]
    ordered = [measure for measure in in_order(everything) if measure not in OF_COUPONS or is_lived(opened, measure)]
    money = [measure for measure in ordered if measure in MONEY]
    counts = [measure for measure in ordered if measure not in MONEY]
    tables = [("Money, for each customer at launch", money), (f"What happened, {PER_THOUSAND} at launch", counts)]
    parts = [
        Markup('<h3 class="given">{}</h3>{}').format(title, measure_table(opened, chosen)) for title, chosen in tables
    ]
    return Markup("").join(parts)


def is_lived(opened: Findings, measure: str) -> bool:
    """Whether any policy has anything of a measure."""
    return any(opened.found[f"level[{policy}/{measure}]"].value for policy in (opened.reference, *opened.rivals))


def measure_table(opened: Findings, chosen: list[str]) -> Markup:
    rows, queries = [], []
    for measure in chosen:
        level = f"level[{opened.reference}/{measure}]"
        cells = [head(both_names(measure)), right(shown(level, opened.found[level]))]
        for rival in opened.rivals:
            keys = [f"{word}[{rival}/{measure}]" for word in ("level", "difference", "relative_difference")]
            cells.append(right(compared(opened, keys)))
            queries += [query for key in keys for query in pair_of(opened.found[key])]
        queries += pair_of(opened.found[level])
        rows.append(row(*cells))
    heads = ("measure", opened.reference, *opened.rivals)
    return rows_table(heads, rows, 1, "measures") + sources(queries)


def compared(opened: Findings, keys: list[str]) -> Markup:
    """Level; difference, its interval and its share of the reference, where customers differ at all."""
    level, difference, relative = (opened.found[key] for key in keys)
    if not difference.value and difference.low == 0:
        return Markup('{}<br><span class="none">the same</span>').format(shown(keys[0], level))
    parts = [shown(keys[0], level), shown(keys[1], difference, "+")]
    if difference.low is not None:
        parts[1] += Markup(" ({})").format(ends(keys[1], difference))
    if relative.value is not None:
        parts.append(shown(keys[2], whole(relative, difference), "+"))
    return Markup("<br>").join(parts)


def whole(relative: Estimate, difference: Estimate) -> Estimate:
    """Where the difference has no interval its ratio has none either; its digits must not pretend to one."""
    if difference.low is not None:
        return relative
    return Estimate(relative.value, None, None, relative.unit, relative.n, relative.unit_of_analysis,
                    query=relative.query)  # fmt: skip


# --- arms -------------------------------------------------------------------------------------------------------------
def arms(opened: Findings, campaign: str) -> Markup:
    """Each pair of arms that were lived out, once: outcomes of the same customers under both, and what the experiment
    itself can tell."""
    names = [arm["name"] for arm in opened.campaign(campaign)["arms"]]
    pairs = [f"{campaign}/{a}/{b}" for place, a in enumerate(names) for b in names[place + 1 :]]
    pairs = [pair for pair in pairs if f"arm_profit[{pair}]" in opened.found]  # arms that were lived out
    rows, queries = [], []
    for pair in (pair for pair in pairs if f"{ARM_FIGURES[0]}[{pair}]" in opened.found):
        _, a, b = pair.split("/")
        keys = [f"{word}[{pair}]" for word in ARM_FIGURES]
        cells = [cell(key, opened.found[key], "+" if key.startswith("arm_profit") else "") for key in keys]
        rows.append(row(head(words(f"{plain(a)} ÷ {plain(b)}")), *cells))
        queries += [query for key in keys for query in pair_of(opened.found[key])]
    heads = (
        "arms", "first exposures clicked, ratio", "as the experiment itself sees it",
        "first exposures closed, ratio", "as the experiment itself sees it", "profit a customer reached, difference",
    )  # fmt: skip
    return rows_table(heads, rows, 1) + sources(queries) if rows else Markup("")


ARM_FIGURES = ("first_clicks", "estimated_first_clicks", "first_closes", "estimated_first_closes", "arm_profit")


# --- campaigns --------------------------------------------------------------------------------------------------------
def crowding(opened: Findings) -> Markup:
    """What each campaign gets under each policy, and how often another one or the cap took its place."""
    per = "1000.0 * sum({0}) / (SELECT sum(customers) FROM lives WHERE lives.policy = by_campaign.policy) AS {0}"
    names = ("exposures", "conversions", "lost_arbitration", "total_cap")
    policies = ", ".join(quoted(name) for name in (opened.reference, *opened.rivals))
    order = f"list_position([{policies}], policy)"
    sql = f"""
SELECT campaign, policy, {", ".join(per.format(name) for name in names)}
FROM by_campaign WHERE policy IN ({policies}) GROUP BY campaign, policy ORDER BY campaign, {order}"""
    columns = [
        Column("campaign", "campaign"),
        Column("policy", "policy", words=words),
        Column("exposures", "exposures 曝光", "number:1"),
        Column("conversions", "conversions credited 归因转化", "number:2"),
        Column("lost_arbitration", "lost to another campaign", "number:1"),
        Column("total_cap", "refused: cap over all messages", "number:1"),
    ]
    return table(opened.database, sql, ["campaign", "policy"], columns)


# --- worlds -----------------------------------------------------------------------------------------------------------
def worlds(opened: Findings) -> Markup:
    """How many, of how many customers, why no more, whose differences count, and what pairing saved."""
    base = opened.database
    text = (
        "{worlds} worlds of {customers} customers each were lived under every policy; no more, because {stopped}. "
        "The unit of analysis is the {unit}: {why}."
    )
    why = {
        "customer": "customers competed for nothing, so each counts for itself",
        "world": "customers competed for stock or budget, or the worlds were watched while they ran",
    }
    unit = opened.manifest["unit"]
    parts = [
        sentence(
            text, worlds=queried(base, "SELECT count(DISTINCT world) FROM lives", "count"), unit=unit, why=why[unit],
            customers=queried(base, "SELECT max(customers) FROM lives", "count"), stopped=opened.manifest["stopped"],
        )
    ]  # fmt: skip
    if opened.manifest["worlds_wanted"] > opened.manifest["worlds"]:
        wanted = words(f"{opened.manifest['worlds_wanted']:,}")
        parts.append(sentence("An interval as narrow as was asked for would take about {n} worlds.", n=wanted))
    parts += [saved(opened, rival) for rival in opened.rivals]
    return Markup("").join(Markup("<p>{}</p>").format(part) for part in parts if part)


def saved(opened: Findings, rival: str) -> Markup:
    key = f"pairing_factor[{rival}]"
    found = opened.found[key]
    if found.value is None:
        return Markup("")
    factor = shown(key, found)
    times = computed(key, "squared", found.value**2, "count")
    text = "{rival}: both policies met the same customers with the same luck, which made the interval {factor} times "
    text += "narrower; without common random numbers it would have taken {times} times as many worlds."
    return sentence(text, rival=words(rival), factor=factor, times=times) + sources([found.counts_query])


# --- robustness -------------------------------------------------------------------------------------------------------
def robustness(opened: Findings, rival: str) -> Markup:
    """In how many draws it holds, where it turns, and on which behaviours it leans."""
    n, of = (queried(opened.database, sql(rival), "count") for sql in (holds_sql, draws_sql))
    text = "{rival}: in {n} of {of} joint draws of everything that was assumed of customers the finding is the same."
    parts = [sentence(text, rival=words(rival), n=n, of=of)]
    turn = turns(opened, rival)
    if turn:
        told = f"SELECT count(*) {together(rival)} AND behaviour = {quoted(turn.behaviour)}"
        told += f" AND (factor {'<=' if turn.above else '>'} ({threshold_sql(turn)})) = holds"
        told_right = queried(opened.database, told, "count")
        text = "It turns when {turn}; this one line tells {right} of {of} draws rightly."
        parts.append(sentence(text, turn=turn_words(opened, turn), right=told_right, of=of))
    elif opened.count(holds_sql(rival)) < opened.count(draws_sql(rival)):
        parts.append(Markup("No single behaviour tells where it turns."))
    return Markup("<p>{}</p>{}").format(Markup(" ").join(parts), leaning_table(opened, rival))


def together(rival: str) -> str:
    return (
        "FROM assumption_results AS r JOIN assumptions AS a ON r.draw = a.draw "
        f"WHERE r.policy = {quoted(rival)}"
    )  # fmt: skip


def leaning_sql(rival: str, most: int = 5) -> str:
    """Behaviours by how closely the difference follows them over the draws."""
    return f"""
SELECT behaviour, corr(ln(factor), difference) AS follows, min(factor) AS least, max(factor) AS most
{together(rival)} GROUP BY behaviour HAVING isfinite(corr(ln(factor), difference))
ORDER BY abs(follows) DESC, behaviour LIMIT {most}"""


def leaning_table(opened: Findings, rival: str) -> Markup:
    columns = [
        Column("behaviour", "the difference leans most on"),
        Column("follows", "correlation with it", "+number:2", bar=True),
        Column("least", "drawn from", "number:2"),
        Column("most", "to, times what is assumed", "number:2"),
    ]
    return table(opened.database, leaning_sql(rival), ["behaviour"], columns, css="bars")
