"""The first sentences of a comparison, in the grammar of the desk: one for each rival, the recommended one first.

Verdict, figure, interval, per customer and in total, risk. Never a click rate; but where clicks and the goal point in
opposite directions the sentence says so (FIDELITY 5).
"""

import shlex
from dataclasses import dataclass
from pathlib import Path

from markupsafe import Markup

from results.comparison_coupons import cost_differs
from results.comparison_marks import Findings, Judged, findings, rough
from results.comparison_truth import truth_sentence
from results.comparison_words import LAUNCH, ROBUST, STAGED, a_customer, advice, measure_name
from results.comparisons import Estimates
from results.judgement import LESS_IS_BETTER
from results.lead import KNOWN_CASE
from results.markup import number, queried, sentence, words
from results.query import quoted
from results.turning import Turn, turning_point
from results.words import people, plain

TAKEN = (LAUNCH, STAGED)


@dataclass(frozen=True)
class Said:
    """What the first sentence says of one rival."""

    goal: Judged
    advice: str
    text: Markup


@dataclass(frozen=True)
class ComparisonLead:
    said: tuple[Said, ...]  # the recommended rival first
    choice: Markup  # which of several to take
    truths: tuple[Markup, ...]
    known_case: str

    @property
    def sentences(self) -> list[Markup]:
        return [*(said.text for said in self.said), *([self.choice] if self.choice else []), *self.truths]


def plain_first_sentences(folder: Path, known: Estimates | None = None) -> list[str]:
    """The first sentences as plain text, for the terminal. known: the comparison's figures."""
    with findings(folder, known) as opened:
        lead = comparison_lead(opened)
    texts = [" ".join(str(text.striptags()).split()) for text in lead.sentences]
    return [*texts, lead.known_case] if lead.known_case else texts


def comparison_lead(opened: Findings) -> ComparisonLead:
    ranked = sorted(((opened.goal(rival), advised(opened, rival)) for rival in opened.rivals), key=standing)
    said = [rival_said(opened, goal, what, place == 0) for place, (goal, what) in enumerate(ranked)]
    choice = chosen(opened, said) if len(said) > 1 else Markup("")
    truths = tuple(truth_sentence(opened, campaign) for campaign in opened.manifest["truth"])
    return ComparisonLead(tuple(said), choice, truths, KNOWN_CASE if opened.manifest["known_case"] else "")


def advised(opened: Findings, rival: str) -> str:
    goal, rails = opened.goal(rival), [rail.word for rail in opened.guardrails(rival)]
    return advice(goal.word, goal.beyond_matters, rails, holds_share(opened, rival))


def standing(one: tuple[Judged, str]) -> tuple[bool, bool, float]:
    """Those to take first, the largest gain of them first; then the other better ones; then the rest as declared."""
    goal, what = one
    better = goal.word == "better"
    gain = abs(goal.value or 0.0) if better else 0.0
    return what not in TAKEN, not better, -gain


def rival_said(opened: Findings, goal: Judged, what: str, first_of_all: bool) -> Said:
    """`first_of_all`: only of that rival it is said to take it; what holds of all is said with it once."""
    rival, guardrails = goal.policy, opened.guardrails(goal.policy)
    clicks = against_clicks(opened, goal, first_of_all and what in TAKEN)
    first = Markup("; ").join(part for part in (headline(opened, goal), clicks) if part)
    parts = [first, cost_differs(opened, rival), closes(opened, rival), kept(guardrails)]
    parts += [
        robustness(opened, goal),
        words(f"population {opened.manifest['calibration']}") if first_of_all else Markup(""),
    ]
    rest = Markup("; ").join(part for part in parts[1:] if part)
    return Said(goal, what, Markup('{}<span class="rest">; {}.</span>').format(parts[0], rest))


# --- the figure -------------------------------------------------------------------------------------------------------
def headline(opened: Findings, goal: Judged) -> Markup:
    """Verdict, figure per customer, interval; in total only where there is a verdict."""
    values = {
        "pair": words(f"{goal.policy} instead of {goal.against}"),
        "value": goal.shown(), "span": goal.interval(), "limit": goal.plain("limit"),
        "each": words(f"{a_customer(goal.measure)} in {opened.days} days"),
    }  # fmt: skip
    if goal.word == "undecided":
        return undecided(opened, goal, values)
    noted = "; {note}" if goal.note else ""  # for how few customers the policies differ, or when one stopped looking
    values["note"] = words(goal.note)
    if goal.word not in ("better", "worse"):
        text = "{pair} makes no difference that matters: {value} {each} ({span}), all of it within the ±{limit} that"
        return sentence(text + " was said to matter" + noted, **values)
    scale = f"value * {opened.manifest['customer_base']}"
    total = queried(opened.database, goal.sql(scale), "+total:2" if goal.unit == "yuan" else "+many:2")
    text = "{pair} is {word}: {value} {each} ({span}), about {total} on {base} customers"
    text += "" if goal.beyond_matters else ", less than the {limit} that was said to matter"
    base = words(people(opened.manifest["customer_base"]))
    return sentence(text + noted, word=goal.word, total=total, base=base, **values)


def undecided(opened: Findings, goal: Judged, values: dict[str, Markup]) -> Markup:
    begin = "{pair} is undecided after {worlds} worlds: {value} {each}"
    worlds = queried(opened.database, "SELECT count(DISTINCT world) FROM lives", "count")
    if goal.low is None:
        text = begin + ", from only {few} of {all} customers for whom the policies differ, too few for an interval"
        counted = f"FROM differences WHERE policy = {quoted(goal.policy)} AND against = {quoted(goal.against)}"
        counted += f" AND of = '' AND segment = '' AND measure = {quoted(goal.measure)}"
        few, everybody = (queried(opened.database, f"SELECT sum({c}) {counted}", "count") for c in ("nonzero", "n"))
        return sentence(text, worlds=worlds, few=few, all=everybody, **values)
    text = begin + " ({span}); " + ("about {n} worlds would tell" if goal.worlds_needed else "too close to tell")
    return sentence(text, worlds=worlds, n=goal_worlds(goal), **values)


def goal_worlds(goal: Judged) -> Markup:
    return number(goal.worlds_needed, "count", goal.sql("worlds_needed"))


# --- clicks and closes ------------------------------------------------------------------------------------------------
def against_clicks(opened: Findings, goal: Judged, taken: bool) -> Markup:
    """Said only where clicks and the goal point in opposite directions, both beyond doubt."""
    clicks = opened.found.get(f"difference[{goal.policy}/clicks]")
    if clicks is None or clicks.low is None or clicks.high is None or goal.word not in ("better", "worse"):
        return Markup("")
    fewer, more = clicks.high < 0, clicks.low > 0
    key = f"relative_difference[{goal.policy}/clicks]"
    share = rough(key, opened.found[key])
    value = "value" if goal.measure == "profit" else measure_name(goal.measure)
    rising, falling = ("less", "more") if goal.measure in LESS_IS_BETTER else ("more", "less")
    if goal.word == "better" and fewer:
        take = ": take it" if taken else ""
        return sentence("it gets fewer clicks ({share}) and {rising} {value}{take}", share=share, rising=rising,
                        value=value, take=take)  # fmt: skip
    if goal.word == "worse" and more:
        return sentence("it gets more clicks ({share}) and {falling} {value}: keep {kept}", share=share, value=value,
                        falling=falling, kept=words(goal.against))  # fmt: skip
    return Markup("")


def closes(opened: Findings, rival: str) -> Markup:
    """By how much closes and mutes change, where that is beyond doubt."""
    key = f"{rival}/closes_and_mutes"
    difference = opened.found.get(f"difference[{key}]")
    if difference is None or difference.low is None or difference.high is None or not difference.value:
        return Markup("")
    if difference.low <= 0 <= difference.high:
        return Markup("")
    name = f"relative_difference[{key}]"
    return sentence("closes and mutes {share}", share=rough(name, opened.found[name]))


# --- guardrails -------------------------------------------------------------------------------------------------------
def kept(guardrails: list[Judged]) -> Markup:
    """Apart from goals: kept ones counted, broken and undecided ones named."""
    if not guardrails:
        return Markup("no guardrail was set")
    broken = [g for g in guardrails if g.word == "broken"]
    open_ones = [g for g in guardrails if g.word == "undecided"]
    if len(broken) + len(open_ones) == 0:
        return Markup("no guardrail broken")
    if broken:
        many = "a guardrail" if len(broken) == 1 else words(f"{len(broken)} guardrails")
        named = Markup(", ").join(broken_one(rail) for rail in broken)
        parts = [sentence("breaks {many}: {names}", many=many, names=named)]
    else:
        parts = [words(f"{len(guardrails) - len(open_ones)} of {len(guardrails)} guardrails kept")]
    if open_ones:
        parts.append(sentence("undecided: {names}", names=Markup(", ").join(open_one(g) for g in open_ones)))
    return Markup(", ").join(parts)


def broken_one(row: Judged) -> Markup:
    share, limit = (row.sql(f"{column} / nullif(abs(level), 0)") for column in ("value", '"limit"'))
    if not row.level or row.value is None or row.limit is None:
        return words(measure_name(row.measure))
    return sentence(
        "{name} {share}, at most {limit} was allowed", name=measure_name(row.measure),
        share=number(row.value / abs(row.level), "+percent:1", share),
        limit=number(row.limit / abs(row.level), "percent:0", limit),
    )  # fmt: skip


def open_one(row: Judged) -> Markup:
    if not row.worlds_needed:
        return words(
            f"{measure_name(row.measure)} (too rare to tell)" if row.low is None else measure_name(row.measure)
        )
    n = number(row.worlds_needed, "count", row.sql("worlds_needed"))
    return sentence("{name} ({n} worlds would tell)", name=measure_name(row.measure), n=n)


# --- robustness -------------------------------------------------------------------------------------------------------
def holds_sql(rival: str) -> str:
    return f"SELECT count(*) FILTER (WHERE holds) FROM assumption_results WHERE policy = {quoted(rival)}"


def draws_sql(rival: str) -> str:
    return f"SELECT count(*) FROM assumption_results WHERE policy = {quoted(rival)}"


def holds_share(opened: Findings, rival: str) -> float | None:
    """Of the assumption sets; None where none were drawn."""
    draws = opened.count(draws_sql(rival))
    return opened.count(holds_sql(rival)) / draws if draws else None


def robustness(opened: Findings, goal: Judged) -> Markup:
    share = holds_share(opened, goal.policy)
    if share is None:
        return Markup("not tried under other assumptions")
    texts = {True: "holds in {n} of {of} assumption sets", False: "depends on assumptions: holds in {n} of {of} sets"}
    text = texts[share >= ROBUST]
    if goal.word == "undecided":
        text = "the sign is the same in {n} of {of} assumption sets"
    n, of = (queried(opened.database, sql(goal.policy), "count") for sql in (holds_sql, draws_sql))
    turn = turns(opened, goal.policy)
    parts = [sentence(text, n=n, of=of), turn_words(opened, turn) if turn else Markup("")]
    return Markup("; turns when ").join(part for part in parts if part)


def turns(opened: Findings, rival: str) -> Turn | None:
    """The behaviour and threshold that best tell where it holds."""
    results = dict(opened.database.rows(f"SELECT draw, holds FROM assumption_results WHERE policy = {quoted(rival)}"))
    drawn = opened.database.rows("SELECT behaviour, draw, factor FROM assumptions ORDER BY behaviour, draw")
    factors: dict[str, list[float]] = {}
    for behaviour, draw, factor in drawn:
        if draw in results:
            factors.setdefault(behaviour, []).append(factor)
    return turning_point(factors, [results[draw] for draw in sorted(results)])


def threshold_sql(turn: Turn, column: str = "factor") -> str:
    rows = f"SELECT {column} FROM assumptions WHERE behaviour = {quoted(turn.behaviour)} ORDER BY factor"
    return f"SELECT avg({column}) FROM ({rows} LIMIT 2 OFFSET {turn.rank - 1})"


def turn_words(opened: Findings, turn: Turn) -> Markup:
    """“annoyance lasts over 12 days”; behaviours without a unit of their own as a factor."""
    name = quoted(turn.behaviour)
    in_days = bool(opened.database.rows(f"SELECT 1 FROM assumptions WHERE behaviour = {name} AND unit = 'days'"))
    side = ("over" if turn.above else "under") if in_days else ("is above" if turn.above else "is below")
    value = queried(opened.database, threshold_sql(turn, "value" if in_days else "factor"), "number:1")
    text = "{name} {side} {value} days" if in_days else "{name} {side} {value} times what is assumed"
    return sentence(text, name=plain(turn.behaviour), side=side, value=value)


# --- which of several -------------------------------------------------------------------------------------------------
def chosen(opened: Findings, said: list[Said]) -> Markup:
    """Which to take of several, said with the price of having chosen (FIDELITY 13)."""
    taken = [one for one in said if one.advice in TAKEN]
    k, reference = words(f"{len(said)} policies"), words(opened.reference)
    if not taken:
        refused = any(one.goal.word == "better" for one in said)
        why = (
            "is better without breaking a guardrail or leaning on its assumptions"
            if refused
            else "is shown to be better"
        )
        return sentence("Keep {reference}: none of the {k} compared {why}.", reference=reference, k=k, why=why)
    best = words(taken[0].goal.policy)
    text = "Take {best}. It was chosen as the best of {k}, and being chosen flatters a figure: before it is quoted, "
    text += "repeat it on fresh worlds: {command}"
    command = Markup('<code class="given">{}</code>').format(with_fresh_seed(opened.manifest))
    return sentence(text, best=best, k=k, command=command)


def with_fresh_seed(manifest: dict[str, object]) -> str:
    """The command of this comparison on seeds it never saw."""
    asked = shlex.split(str(manifest["command"]))
    if "--seed" in asked:
        at = asked.index("--seed")
        del asked[at : at + 2]
    return shlex.join([*asked, "--seed", str(int(str(manifest["seed"])) + 1)])
