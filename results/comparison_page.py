"""One A4 page for the meeting: what to do, what it is worth, what it risks, what it leans on, what would change it."""

from typing import Any

from markupsafe import Markup

from results.comparison_coupons import expected_cost
from results.comparison_lead import (
    ComparisonLead,
    Said,
    goal_worlds,
    holds_share,
    open_one,
    robustness,
    turn_words,
    turns,
)
from results.comparison_marks import (
    Findings,
    Judged,
    both_names,
    ends,
    head,
    left,
    right,
    row,
    rows_table,
    shown,
    spanned,
)
from results.comparison_sections import leaning_sql
from results.comparison_segments import Segment, figure_of, gains_and_losses
from results.comparison_truth import truth_table
from results.comparison_words import DONT, NOT_ENOUGH, RULE, STAGED, a_customer, advice
from results.markup import number, queried, sentence, words
from results.query import quoted
from results.words import NOTHING, people, plain

OTHERS_MOST = 5  # policies on the page, the first one included
LEANS_LEAST = 0.3  # correlation over the draws; under it a behaviour is not worth a line


def page_content(opened: Findings, lead: ComparisonLead, split: dict[str, list[Segment]]) -> dict[str, Any]:
    """Everything the page's template places."""
    base = {"rule": RULE, "base": people(opened.manifest["customer_base"])}
    if not lead.said:
        tables = [truth_table(opened, campaign) for campaign in opened.manifest["truth"][:2]]
        told = {"advice": of_campaign(opened), "why": why_campaign(opened), "policy": ""}
        return {**base, **told, "tables": tables, "budget": expected_cost(opened, [opened.reference])}
    said = lead.said[0]
    rival = said.goal.policy
    gaining, losing = gains_and_losses(split[rival])
    return {
        **base,
        "advice": said.advice,
        "policy": rival,
        "why": why(opened, said),
        "worth": worth(opened, said.goal),
        "guardrails": guardrail_lines(opened, rival),
        "complaints": complaints(opened, rival),
        "gaining": [segment_line(segment) for segment in gaining],
        "losing": [segment_line(segment) for segment in losing],
        "robust": robustness(opened, said.goal),
        "leaning": leaning(opened, rival),
        "changes": changes(opened, lead, said),
        "rivals": others(lead),
        "budget": expected_cost(opened, [rival, opened.reference]),
    }


def of_campaign(opened: Findings) -> str:
    """Without rivals: with the first campaign whose truth was asked for, against without it."""
    found = opened.found[f"true_profit[{opened.manifest['truth'][0]}]"]
    if found.low is None or found.high is None or found.low <= 0 <= found.high:
        return NOT_ENOUGH
    return advice("better" if found.low > 0 else "worse", False, [], None)


def why_campaign(opened: Findings) -> Markup:
    key = f"true_profit[{opened.manifest['truth'][0]}]"
    found = opened.found[key]
    text = "by its profit: {value} for each customer at launch ({span})"
    return sentence(text, value=shown(key, found, "+"), span=ends(key, found))


def why(opened: Findings, said: Said) -> Markup:
    """The one thing that made it this advice."""
    goal, rails = said.goal, opened.guardrails(said.goal.policy)
    if goal.word == "undecided":
        return sentence("the goal is undecided")
    if goal.word != "better":
        return sentence("keep {kept}: {policy} {word}", kept=words(goal.against), policy=words(goal.policy),
                        word="is worse" if goal.word == "worse" else "makes no difference that matters")  # fmt: skip
    broken = [rail for rail in rails if rail.word == "broken"]
    if said.advice == DONT and broken:
        return sentence("better, but it breaks {n} of its guardrails", n=words(str(len(broken))))
    if said.advice == STAGED:
        return Markup("better; ") + Markup(", ").join(doubts(opened, said))
    return Markup("better, every guardrail kept, and so under other assumptions")


def doubts(opened: Findings, said: Said) -> list[Markup]:
    """Why no more than a staged launch."""
    rails = [rail for rail in opened.guardrails(said.goal.policy) if rail.word == "undecided"]
    found = [words(f"{len(rails)} guardrail{'s' if len(rails) > 1 else ''} undecided")] if rails else []
    if not said.goal.beyond_matters:
        found.append(Markup("by less than was said to matter"))
    if holds_share(opened, said.goal.policy) is None:
        found.append(Markup("not tried under other assumptions"))
    return found or [Markup("it leans on what is assumed of customers")]


# --- figures ----------------------------------------------------------------------------------------------------------
def worth(opened: Findings, goal: Judged) -> list[dict[str, Any]]:
    """Per customer and in total, each with its interval."""
    base = opened.manifest["customer_base"]
    scaled = {column: goal.sql(f"{column} * {base}") for column in ("value", "low", "high")}
    kind = "total:2" if goal.unit == "yuan" else "many:2"
    each = {"name": words(a_customer(goal.measure)), "figure": goal.shown(), "interval": goal.interval()}
    if goal.low is None or goal.high is None:
        return [each]
    total = {
        "name": words(f"on {people(base)} customers"),
        "figure": queried(opened.database, scaled["value"], f"+{kind}"),
        "interval": spanned(goal.low * base, goal.high * base, scaled["low"], scaled["high"], kind),
    }
    return [each, total]


def guardrail_lines(opened: Findings, rival: str) -> Markup:
    rails = opened.guardrails(rival)
    if not rails:
        return Markup("<p>No guardrail was set, so none was tested.</p>")
    rows = []
    for rail in rails:
        figures = (rail.shown(), rail.plain("limit"))
        word = Markup('<span class="badge {0}">{0}</span>').format(rail.word)
        rows.append(row(head(both_names(rail.measure)), left(word), *map(right, figures)))
    money = all(rail.unit == "yuan" for rail in rails)
    return rows_table(("", "", "a customer" if money else "per 1,000", "at most"), rows, 2)


def complaints(opened: Findings, rival: str) -> Markup:
    """Expected on the customer base, under the rival and under the reference."""
    base = opened.manifest["customer_base"]
    queries = [
        f"SELECT sum(total) / sum(n) * {base} FROM levels WHERE policy = {quoted(policy)} AND of = ''"
        " AND measure = 'complaints'"
        for policy in (rival, opened.reference)
    ]
    if any(opened.database.value(query) is None for query in queries):
        return Markup("")
    new, old = (queried(opened.database, query, "many:2") for query in queries)
    text = "about {new} under {rival}, {old} under {reference}, on {base} customers in {days} days"
    return sentence(text, new=new, old=old, rival=words(rival), reference=words(opened.reference),
                    base=words(people(base)), days=words(str(opened.days)))  # fmt: skip


def segment_line(segment: Segment) -> Markup:
    doubt = "" if segment.told else " (not told from chance)"
    return sentence("{name}: {value}{doubt}", name=words(plain(segment.name)), value=figure_of(segment), doubt=doubt)


# --- what it leans on -------------------------------------------------------------------------------------------------
def leaning(opened: Findings, rival: str) -> list[Markup]:
    """The assumed behaviours that the difference follows most."""
    if not opened.manifest["assumption_sets"]:
        return [Markup("no other assumption was tried")]
    sql = leaning_sql(rival, 3)
    found = [row for row in opened.database.table(sql) if abs(row["follows"]) >= LEANS_LEAST]
    lines = []
    for one in found:
        query = f"SELECT follows FROM ({sql.strip()}) WHERE behaviour = {quoted(one['behaviour'])}"
        side = "larger" if one["follows"] > 0 else "smaller"
        text = "{name}: the more, the {side} the difference (correlation {r})"
        lines.append(
            sentence(text, name=plain(one["behaviour"]), side=side, r=number(one["follows"], "+number:2", query))
        )
    return lines or [Markup("no single one: the difference follows none of them closely")]


def changes(opened: Findings, lead: ComparisonLead, said: Said) -> list[Markup]:
    """What would change our mind."""
    goal, found = said.goal, []
    if goal.word == "undecided" and goal.worlds_needed:
        found.append(sentence("about {n} worlds, which would tell the goal", n=goal_worlds(goal)))
    rails = [rail for rail in opened.guardrails(goal.policy) if rail.word == "undecided"]
    if rails:
        found.append(sentence("an undecided guardrail: {names}", names=Markup(", ").join(map(open_one, rails))))
    turn = turns(opened, goal.policy) if opened.manifest["assumption_sets"] else None
    if turn:
        found.append(sentence("if {turn}", turn=turn_words(opened, turn)))
    if len(lead.said) > 1 and said.goal.word == "better":
        k = words(f"the best of {len(lead.said)}")
        found.append(sentence("another figure on fresh worlds: this one was chosen as {k}", k=k))
    if opened.manifest["calibration"] == "not calibrated":
        found.append(Markup("a population calibrated to the bank's own figures: this one is not"))
    found.append(Markup("a real test with customers held out that finds a figure outside the interval above"))
    return found


def others(lead: ComparisonLead) -> Markup:
    """The other rivals, a line each."""
    rows = [
        row(
            head(words(one.goal.policy)),
            left(words(one.goal.word)),
            right(one.goal.shown()),
            right(one.goal.interval() if one.goal.low is not None else NOTHING),
        )
        for one in lead.said[1:OTHERS_MOST]
    ]
    if len(lead.said) > OTHERS_MOST:
        rows.append(row(head(words(f"and {len(lead.said) - OTHERS_MOST} more in the report"))))
    return rows_table(("other policies", "", "difference", "interval"), rows, 2) if rows else Markup("")
