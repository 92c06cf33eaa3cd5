"""A drill's folder -> report.html, which opens offline: what was lost first, then how long it took, part by part."""

import json
from pathlib import Path
from typing import Any

from markupsafe import Markup

from results.comparison_marks import head, right, row, rows_table
from results.drill_burst import burst
from results.drill_measures import Drilled, ShardFigures
from results.drill_pictures import recovery, responses
from results.drill_words import PROMISES, RESULT, TROUBLE, forgotten_words, kept_words, listed, sentence
from results.markup import computed, words
from results.markup import sentence as said
from results.pages import furniture, rendered, written
from results.words import NOTHING

BATCHES = f"{RESULT}: responses"
BREACHES = {
    "lost": "{} lost",
    "doubled": "{} taken twice",
    "answered_otherwise": "{} answered otherwise than undisturbed",
}
COUNTED = {"lost": "event", "doubled": "event", "answered_otherwise": "batch"}


def render(folder: Path) -> Path:
    """Write `report.html` beside the result, whole or not at all; returns its path."""
    drilled = Drilled(json.loads((folder / RESULT).read_text("utf-8")))
    return written(folder / "report.html", rendered("drill.html.j2", content(drilled, folder.name), {}))


def content(drilled: Drilled, name: str) -> dict[str, Any]:
    """Everything the template places, in the order it is read."""
    found = drilled.found
    return {
        "found": found,
        "name": name,
        "whole": drilled.whole,
        "objective": objective_badge(drilled),
        "kept": kept(drilled),
        "time": time_sentence(drilled),
        "objective_said": objective_sentence(drilled),
        "what": words(found["what"]),
        "before": before_sentence(drilled),
        "facts": facts(drilled),
        "nobody": drilled.back is None,
        "recovery": recovery(drilled),
        "responses": responses(drilled),
        "burst": burst(drilled),
        "state": state_table(drilled),
        "shards": shard_table(drilled),
        "together": found["seat"].startswith("shard-") and bool(drilled.late_elsewhere),
        "promise": PROMISES.get(found["promise"], ""),
        "trouble": TROUBLE.get(found["drill"], ""),
        "notes": [words(sentence(note)) for note in found["notes"]],
        "records": of_result(drilled, "records_replayed", "count"),
        **furniture(),
    }


# --- figures ----------------------------------------------------------------------------------------------------------
def of_result(drilled: Drilled, name: str, spec: str) -> Markup:
    """A figure as the result has it."""
    return computed(RESULT, name, drilled.found[name], spec)


def of_batches(name: str, value: float | None, spec: str) -> Markup:
    """A figure that was computed of the responses."""
    return computed(BATCHES, name, value, spec)


def seconds(name: str, value: float | None) -> Markup:
    return of_batches(name, value, "seconds:2")


def batches(name: str, count: int) -> Markup:
    return said("{n} {word}", n=of_batches(name, count, "count"), word="batch" if count == 1 else "batches")


def objective(drilled: Drilled) -> Markup:
    return words(f"{drilled.objective:g}\u202fs")


# --- the answer -------------------------------------------------------------------------------------------------------
def kept(drilled: Drilled) -> Markup:
    if drilled.whole:
        return words(" ".join(filter(None, [f"{kept_words(drilled.found)}.", forgotten_words(drilled.found)])))
    broken = [counted(drilled, name) for name in drilled.breaches]
    if not drilled.found["digest_equals_undisturbed"]:
        broken.append(Markup("the state at the end is not that of the same run undisturbed"))
    told = Markup(listed(broken)) if broken else Markup("the drill says so")
    return said("PROMISES WERE BROKEN: {told}.", told=told)


def counted(drilled: Drilled, name: str) -> Markup:
    many, word = drilled.found[name], COUNTED[name]
    plural = word if many == 1 else {"event": "events", "batch": "batches"}[word]
    return said(BREACHES[name].replace("{}", "{n} {word}"), n=of_result(drilled, name, "count"), word=plural)


def time_sentence(drilled: Drilled) -> Markup:
    slowest = seconds("slowest_since", drilled.slowest)
    if drilled.found["planned"]:
        return said("Nobody was without answers; the slowest since then took {slowest}.", slowest=slowest)
    if drilled.back is None:
        return said("Nobody had to be replaced; the slowest answer took {slowest}.", slowest=slowest)
    back = computed(RESULT, "seconds_since_struck.answered", drilled.back, "seconds:2")
    return said("Back after {back}.", back=back)


def objective_sentence(drilled: Drilled) -> Markup:
    late, of = len(drilled.late), objective(drilled)
    if not late:
        return said("Every answer since it struck kept the objective of {of}.", of=of)
    many = batches("late", late)
    if not drilled.within_again:
        return said("The objective of {of} was missed by {many}, and was still missed at the end.", of=of, many=many)
    again = computed(RESULT, "seconds_since_struck.recovered", recovered(drilled), "seconds:2")
    text = "The objective of {of} an answer was missed by {many}; from {again} on every answer kept it."
    return said(text, of=of, many=many, again=again)


def recovered(drilled: Drilled) -> float | None:
    value = drilled.found["seconds_since_struck"]["recovered"]
    return None if value is None else float(value)


def objective_badge(drilled: Drilled) -> Markup:
    if not drilled.late:
        return Markup('<span class="badge holds">objective kept</span>')
    if not drilled.within_again:
        return Markup('<span class="badge fails">objective missed to the end</span>')
    again = computed(RESULT, "seconds_since_struck.recovered", recovered(drilled), "seconds:2")
    return said('{open}objective missed for {again}{close}', open=Markup('<span class="badge undecided">'),
                again=again, close=Markup("</span>"))  # fmt: skip


def before_sentence(drilled: Drilled) -> Markup:
    """Late answers that nothing had struck yet."""
    late = drilled.late_before
    if not late:
        return Markup("")
    slowest = seconds("slowest_before", max(batch.seconds for batch in late))
    text = (
        "Before it struck {many} missed the objective too, the slowest with {slowest}; none of that is counted above."
    )
    return said(text, many=batches("late_before", len(late)), slowest=slowest)


def facts(drilled: Drilled) -> list[tuple[str, Markup]]:
    found, many = drilled.found, batches("batches", len(drilled.batches))
    return [
        ("customers", of_result(drilled, "customers", "count")),
        ("shards", of_result(drilled, "shards", "count")),
        ("standbys", words("one beside each" if found["standby"] else "none")),
        ("promise", words(found["promise"])),
        ("objective", objective(drilled)),
        ("events", said("{n} in {many}", n=of_result(drilled, "events", "count"), many=many)),
    ]


# --- tables -----------------------------------------------------------------------------------------------------------
def state_table(drilled: Drilled) -> Markup:
    """What was promised against what is there: the recovery point."""
    named = {"events": "events sent", "acknowledged": "events acknowledged", "lost": "events lost",
             "doubled": "events taken twice", "answered_otherwise": "batches answered otherwise"}  # fmt: skip
    rows = [row(head(name), right(alarmed(drilled, key))) for key, name in named.items()]
    equal = drilled.found["digest_equals_undisturbed"]
    state = Markup("the same") if equal else Markup('<span class="alarm">NOT THE SAME</span>')
    return rows_table(("", "in this drill"), [*rows, row(head("state at the end, undisturbed"), right(state))])


def alarmed(drilled: Drilled, name: str) -> Markup:
    shown = of_result(drilled, name, "count")
    return Markup('<span class="alarm">{}</span>').format(shown) if name in drilled.breaches else shown


def shard_table(drilled: Drilled) -> Markup:
    heads = ("shard", "late", "median before, ms", "median since, ms", "slowest since, ms")
    return rows_table(heads, [shard_row(one) for one in drilled.figures()])


def shard_row(one: ShardFigures) -> Markup:
    figures = (one.median_before, one.median_since, one.slowest_since)
    cells = [
        right(NOTHING if value is None else of_batches(f"shard-{one.shard}.{name}", value * 1000, "number:0"))
        for name, value in zip(("median_before", "median_since", "slowest_since"), figures, strict=True)
    ]
    return row(head(words(str(one.shard))), right(of_batches(f"shard-{one.shard}.late", one.late, "count")), *cells)
