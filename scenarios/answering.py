"""The support bot: which answer of its base a question gets, and how well it sorts questions it has not learnt."""

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from engine.policy.yaml_source import load
from engine.records import SHARE_ONE
from scenarios.answers_document import CAUSES, Answer, AnswerBase
from scenarios.console import guarded, print_json
from scenarios.exits import Exit, UsageError
from scenarios.sorter import NO_ANSWER, Sorter
from sim.answers import Outcome, Question, Questions

BASE = Path(__file__).resolve().parent / "library" / "support" / "answers.yaml"
PASSED_ON = "这个问题我不太有把握，现在为您转接人工客服。"
CONFUSIONS_MAX = 40  # shown of those that were sorted wrongly or passed on


@dataclass(frozen=True)
class Candidate:
    """An answer of the base, and the chance that it is the right one."""

    name: str
    chance: float


class Bot:
    """A base of answers with its sorter."""

    def __init__(self, base: AnswerBase) -> None:
        self.base, self.names = base, list(base.answers)
        strangers = [(text, NO_ANSWER) for text in base.strangers.tried]
        self.sorter = Sorter(self._phrasings("asked"), [*self._phrasings("tried"), *strangers], base.reader())

    def _phrasings(self, field: str) -> list[tuple[str, int]]:
        answers = enumerate(self.base.answers.values())
        return [(text, number) for number, answer in answers for text in getattr(answer, field)]

    def candidates(self, questions: list[str]) -> list[list[Candidate]]:
        """The likeliest three answers to each question."""
        sortings = self.sorter.sort(questions)
        return [
            [Candidate(self.names[n], chance) for n, chance in zip(one.answers, one.chances, strict=True)]
            for one in sortings
        ]

    def is_sure(self, first: Candidate) -> bool:
        return first.chance * SHARE_ONE >= self.base.sure_from


def load_bot(path: Path = BASE) -> Bot:
    """Raises DocumentError with all problems of the base."""
    return Bot(load(path, AnswerBase))


# --- judging ----------------------------------------------------------------------------------------------------------
@dataclass(frozen=True)
class Judged:
    """A held-out question, and the answer that the sorter put first."""

    question: Question
    first: Candidate


def judged(bot: Bot) -> list[Judged]:
    """Every held-out question with what became of it."""
    asked = [(name, answer, text) for name, answer in bot.base.answers.items() for text in answer.held_out]
    found = []
    for (name, answer, text), (first, *_) in zip(asked, bot.candidates([text for *_, text in asked]), strict=True):
        outcome = (
            Outcome.PASSED_ON if not bot.is_sure(first) else Outcome.RIGHT if first.name == name else Outcome.WRONG
        )
        found.append(Judged(Question(text, name, answer.topic, answer.routine, outcome), first))
    return found


def questions_of(bot: Bot) -> Questions:
    """What a desk draws from: the held-out questions of each cause's topics, sorted beforehand."""
    asked = [one.question for one in judged(bot)]
    topics = bot.base.topics
    return Questions({
        int(cause): tuple(one for one in asked if name in topics[one.topic].causes) for name, cause in CAUSES.items()
    })  # fmt: skip


def strangers_answered(bot: Bot) -> list[tuple[str, Candidate]]:
    """Questions that no answer is for and that got one."""
    strangers = bot.base.strangers.held_out
    firsts = [first for first, *_ in bot.candidates(strangers)] if strangers else []
    return [(text, first) for text, first in zip(strangers, firsts, strict=True) if bot.is_sure(first)]


def tally(questions: Iterable[Question]) -> dict[str, float]:
    """How many, and the share of each outcome."""
    counts = Counter(one.outcome for one in questions)
    total = counts.total()
    return {"questions": total, **{outcome.name.lower(): counts[outcome] / max(1, total) for outcome in Outcome}}


def judgement(bot: Bot) -> dict[str, Any]:
    """All, routine ones, those that need a person, by topic; what was answered wrongly."""
    found = judged(bot)
    asked = [one.question for one in found]
    by_topic = {name: tally(one for one in asked if one.topic == name) for name in bot.base.topics}
    missed = [one for one in found if one.question.outcome != Outcome.RIGHT]
    return {
        "answers": len(bot.base.answers),
        "all": tally(asked),
        "routine": tally(one for one in asked if one.routine),
        "for_a_person": tally(one for one in asked if not one.routine),
        "by_topic": by_topic,
        "strangers": {
            "questions": len(bot.base.strangers.held_out),
            "answered": [{"question": text, "answer": first.name} for text, first in strangers_answered(bot)],
        },
        "missed": [
            {
                "question": one.question.text, "about": one.question.answer, "taken_for": one.first.name,
                "chance": one.first.chance, "outcome": one.question.outcome.name.lower(),
            }
            for one in sorted(missed, key=lambda one: (one.question.outcome, -one.first.chance))
        ],
    }  # fmt: skip


# --- the command ------------------------------------------------------------------------------------------------------
def answer_command(question: str | None, base: Path | None, judge: bool, as_json: bool) -> int:
    def action() -> int:
        if judge == (question is not None):
            raise UsageError("answer needs either a question or --judge")
        if question is not None and not question.strip():
            raise UsageError("QUESTION must have words (got nothing)")
        bot = load_bot(base or BASE)
        found = judgement(bot) if question is None else answered(bot, question)
        lines = judgement_lines if question is None else answer_lines
        print_json(found) if as_json else print("\n".join(lines(found)))
        return Exit.FINE

    return guarded(action)


def answered(bot: Bot, question: str) -> dict[str, Any]:
    """What the bot says to one question, and what it thought of."""
    first, *others = bot.candidates([question])[0]
    sure = bot.is_sure(first)
    answer = bot.base.answers[first.name]
    return {
        "question": question,
        "outcome": "passed_on" if not sure else "answered" if answer.routine else "answered_and_passed_on",
        "says": answer.says if sure else PASSED_ON,
        "sure_from": bot.base.sure_from / SHARE_ONE,
        "candidates": [candidate_json(one, bot.base.answers[one.name]) for one in (first, *others)],
    }


def candidate_json(one: Candidate, answer: Answer) -> dict[str, Any]:
    return {
        "answer": one.name, "title": answer.title, "topic": answer.topic, "routine": answer.routine,
        "chance": one.chance,
    }  # fmt: skip


def answer_lines(found: dict[str, Any]) -> Iterator[str]:
    first, *others = found["candidates"]
    yield found["says"]
    yield ""
    if found["outcome"] == "passed_on":
        yield f"passed on to a person: {first['chance']:.0%} sure, and the base asks for {found['sure_from']:.0%}"
        others = found["candidates"]
    else:
        person = "" if first["routine"] else "; then a person takes over"
        yield f"{first['answer']}: {first['title']} ({first['topic']}; {first['chance']:.0%} sure{person})"
    for one in others:
        yield f"  or  {one['answer']}: {one['title']} ({one['chance']:.0%})"


def judgement_lines(found: dict[str, Any]) -> Iterator[str]:
    rows = {
        "all": found["all"],
        "routine": found["routine"],
        "for a person": found["for_a_person"],
        **found["by_topic"],
    }
    width = max(map(len, rows))
    yield f"{found['answers']} answers; questions written in other words than those learnt from:"
    yield f"{'':{width}}  questions   right   wrong  passed on"
    for name, row in rows.items():
        shares = f"{row['right']:>7.1%} {row['wrong']:>7.1%} {row['passed_on']:>10.1%}"
        yield f"{name:{width}}  {row['questions']:>9} {shares}"
    strangers = found["strangers"]
    passed = strangers["questions"] - len(strangers["answered"])
    yield f"\nquestions that no answer is for: {passed} of {strangers['questions']} passed on"
    yield from (f"  {one['question']} → {one['answer']}" for one in strangers["answered"])
    yield "\ntaken for another, or passed on:"
    for one in found["missed"][:CONFUSIONS_MAX]:
        what = f"{one['taken_for']} ({one['chance']:.0%})"
        yield f"  {one['outcome']:9}  {one['question']}: {one['about']} → {what}"
    if len(found["missed"]) > CONFUSIONS_MAX:
        yield f"  … and {len(found['missed']) - CONFUSIONS_MAX} more; --json has them all"
