"""The support bot: which answer of its base a question gets, and how well it sorts questions it has not learnt."""

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from engine.policy.yaml_source import load
from engine.records import SHARE_ONE
from scenarios.answers_document import CAUSES, AnswerBase
from scenarios.console import guarded, print_json
from scenarios.exits import Exit, UsageError
from scenarios.sorter import NO_ANSWER, Sorter
from sim.answers import Outcome, Question, Questions

BASE = Path(__file__).resolve().parent / "library" / "support" / "answers.yaml"
PASSED_ON = "这个问题我不太有把握，现在为您转接人工客服。"
CONFUSIONS_MAX = 40  # shown of those that were sorted wrongly or passed on


@dataclass(frozen=True)
class Found:
    """The answers that a question may be about, the likeliest first, and the chance that the first is right."""

    answers: tuple[str, ...]
    chance: float


@dataclass(frozen=True)
class Bot:
    """A base of answers and the sorter that has learnt it."""

    base: AnswerBase
    sorter: Sorter

    @classmethod
    def of(cls, base: AnswerBase) -> "Bot":
        says = [(answer.says, number) for number, answer in enumerate(base.answers.values())]
        strangers = [(text, NO_ANSWER) for text in base.strangers.tried]
        learnt, tried = phrasings(base, "asked") + says, phrasings(base, "tried") + strangers
        return cls(base, Sorter(learnt, tried, base.reader()))

    def found(self, questions: list[str]) -> list[Found]:
        """The likeliest three answers to each question."""
        names = list(self.base.answers)
        sortings = self.sorter.sort(questions) if questions else []
        return [Found(tuple(names[n] for n in one.answers), one.chance) for one in sortings]

    def is_sure(self, found: Found) -> bool:
        return found.chance * SHARE_ONE >= self.base.sure_from


def phrasings(base: AnswerBase, field: str) -> list[tuple[str, int]]:
    """The phrasings of one of an answer's lists, each with the answer's number."""
    answers = enumerate(base.answers.values())
    return [(text, number) for number, answer in answers for text in getattr(answer, field)]


def load_bot(path: Path = BASE) -> Bot:
    """Raises DocumentError with all problems of the base."""
    return Bot.of(load(path, AnswerBase))


# --- judging ----------------------------------------------------------------------------------------------------------
@dataclass(frozen=True)
class Judged:
    """A held-out question, what became of it, and what the sorter found."""

    question: Question
    found: Found


def judged(bot: Bot) -> list[Judged]:
    """Every held-out question with what became of it."""
    asked = [(name, answer, text) for name, answer in bot.base.answers.items() for text in answer.held_out]
    rows = zip(asked, bot.found([text for *_, text in asked]), strict=True)
    return [
        Judged(Question(text, name, answer.topic, answer.routine, outcome(bot, found, name)), found)
        for (name, answer, text), found in rows
    ]


def outcome(bot: Bot, found: Found, about: str) -> Outcome:
    if not bot.is_sure(found):
        return Outcome.PASSED_ON
    return Outcome.RIGHT if found.answers[0] == about else Outcome.WRONG


def questions_of(bot: Bot) -> Questions:
    """What a desk draws from: the held-out questions of each cause's topics, sorted beforehand."""
    asked = [one.question for one in judged(bot)]
    topics = bot.base.topics
    return Questions({
        int(cause): tuple(one for one in asked if name in topics[one.topic].causes) for name, cause in CAUSES.items()
    })  # fmt: skip


def strangers_answered(bot: Bot) -> dict[str, str]:
    """Questions that no answer is for and that got one, with what they got."""
    strangers = bot.base.strangers.held_out
    rows = zip(strangers, bot.found(strangers), strict=True)
    return {text: found.answers[0] for text, found in rows if bot.is_sure(found)}


def tally(questions: Iterable[Question]) -> dict[str, float]:
    """How many, and the share of each outcome."""
    counts = Counter(one.outcome for one in questions)
    total = counts.total()
    return {"questions": total, **{outcome.name.lower(): counts[outcome] / max(1, total) for outcome in Outcome}}


def judgement(bot: Bot) -> dict[str, Any]:
    """All, routine ones, those that need a person, by topic; what was answered wrongly."""
    rows = judged(bot)
    asked = [row.question for row in rows]
    missed = [row for row in rows if row.question.outcome != Outcome.RIGHT]
    return {
        "answers": len(bot.base.answers),
        "all": tally(asked),
        "routine": tally(one for one in asked if one.routine),
        "for_a_person": tally(one for one in asked if not one.routine),
        "by_topic": {name: tally(one for one in asked if one.topic == name) for name in bot.base.topics},
        "strangers": {"questions": len(bot.base.strangers.held_out), "answered": strangers_answered(bot)},
        "missed": [
            missed_json(row) for row in sorted(missed, key=lambda row: (row.question.outcome, -row.found.chance))
        ],
    }


def missed_json(row: Judged) -> dict[str, Any]:
    question, found = row.question, row.found
    return {
        "question": question.text,
        "about": question.answer,
        "taken_for": found.answers[0],
        "chance": found.chance,
        "outcome": question.outcome.name.lower(),
    }


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
    (found,) = bot.found([question])
    sure, answers = bot.is_sure(found), bot.base.answers
    first = answers[found.answers[0]]
    return {
        "question": question,
        "outcome": "passed_on" if not sure else "answered" if first.routine else "answered_and_passed_on",
        "says": first.says if sure else PASSED_ON,
        "chance": found.chance,
        "sure_from": bot.base.sure_from / SHARE_ONE,
        "candidates": [
            {"answer": name, "title": answers[name].title, "topic": answers[name].topic} for name in found.answers
        ],
    }


def answer_lines(found: dict[str, Any]) -> Iterator[str]:
    first, *others = [f"{one['answer']}: {one['title']} ({one['topic']})" for one in found["candidates"]]
    yield f"{found['says']}\n"
    if found["outcome"] == "passed_on":
        yield f"passed on to a person: {sure_text(found['chance'])}, and the base asks for {found['sure_from']:.0%}"
        yield f"perhaps  {first}"
    else:
        person = "" if found["outcome"] == "answered" else ", then a person takes over"
        yield f"{sure_text(found['chance'])}{person}"
        yield f"found    {first}"
    yield from (f"or       {other}" for other in others)


def sure_text(chance: float) -> str:
    return f"{chance:.0%} sure" if chance < 0.99 else "over 99% sure"


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
    yield from (f"  {question} → {answer}" for question, answer in strangers["answered"].items())
    yield "\ntaken for another, or passed on:"
    for one in found["missed"][:CONFUSIONS_MAX]:
        what = f"{one['taken_for']} ({sure_text(one['chance'])})"
        yield f"  {one['outcome']:9}  {one['question']}: {one['about']} → {what}"
    if len(found["missed"]) > CONFUSIONS_MAX:
        yield f"  … and {len(found['missed']) - CONFUSIONS_MAX} more; --json has them all"
