"""The support bot's base as people write it: topics, and answers with the questions that they answer."""

import re
import unicodedata
from collections.abc import Callable, Iterator
from functools import partial
from typing import Annotated, Literal, get_args

from pydantic import Field

from engine.policy.checks import Checks, known
from engine.policy.quantities import Block, Identifier, Path, Problem, Share, Text, Truth, got
from engine.records import SHARE_ONE
from sim.contacts import Cause

ANSWERS_MAX, PHRASINGS_MAX = 1_000, 50  # of a base, of one answer
STRANGERS_MAX = 1_000
QUESTION_LETTERS_MAX = 200  # of what somebody types; the rest is not read

CauseName = Literal["complaint", "payment_failed", "claim_refused", "denied", "incident"]
CAUSES: dict[str, Cause] = {name: Cause[name.upper()] for name in get_args(CauseName)}


def plain(text: str) -> str:
    """A text as the sorter reads it: one width, small letters, nothing but letters and digits."""
    return "".join(letter for letter in unicodedata.normalize("NFKC", text).casefold() if letter.isalnum())


class Topic(Block):
    """What answers are about. causes: why people get in touch who ask about it."""

    title: Text
    chinese: Text
    causes: list[CauseName] = []


class Answer(Block):
    """Three lists of phrasings, each in words of its own: the sorter learns from `asked`; `tried` say how often a score
    is right; `held_out` judge it."""

    topic: Identifier
    title: Text
    routine: Truth = True  # no person is needed
    asked: Annotated[list[Text], Field(min_length=3, max_length=PHRASINGS_MAX)]
    tried: Annotated[list[Text], Field(min_length=1, max_length=PHRASINGS_MAX)]
    held_out: Annotated[list[Text], Field(min_length=2, max_length=PHRASINGS_MAX)]
    says: Text


class Strangers(Block):
    """Questions that no answer is for, which are to be passed on."""

    tried: Annotated[list[Text], Field(max_length=STRANGERS_MAX)] = []
    held_out: Annotated[list[Text], Field(max_length=STRANGERS_MAX)] = []


class AnswerBase(Block):
    """sure_from: the least chance of being right with which the bot answers by itself; alike: a word, and others that
    mean it."""

    sure_from: Annotated[Share, Field(le=SHARE_ONE - 1)]
    alike: dict[Text, list[Text]] = {}
    topics: dict[Identifier, Topic]
    answers: Annotated[dict[Identifier, Answer], Field(min_length=3, max_length=ANSWERS_MAX)]
    strangers: Strangers = Strangers()

    def cross_checks(self) -> Checks:
        for name, answer in self.answers.items():
            yield partial(self.topic_is_there, name, answer)
        yield self.topics_have_answers
        yield self.causes_have_topics
        yield self.answers_differ
        yield self.questions_differ

    def topic_is_there(self, name: str, answer: Answer) -> Iterator[Problem]:
        yield from known(answer.topic, ("answers", name, "topic"), "topics", self.topics)

    def topics_have_answers(self) -> Iterator[Problem]:
        used = {answer.topic for answer in self.answers.values()}
        for name in self.topics:
            if name not in used:
                yield ("topics", name), "must be the topic of an answer (got none)"

    def causes_have_topics(self) -> Iterator[Problem]:
        named = {cause for topic in self.topics.values() for cause in topic.causes}
        missing = [cause for cause in CAUSES if cause not in named]
        if missing:
            yield ("topics",), f"must be asked about for each cause (got no topic for {', '.join(missing)})"

    def answers_differ(self) -> Iterator[Problem]:
        first: dict[str, str] = {}
        for name, answer in self.answers.items():
            for field in ("title", "says"):
                before = first.setdefault(field + plain(getattr(answer, field)), name)
                if before != name:
                    yield ("answers", name, field), f"must be of this answer alone (got that of {before})"

    def questions_differ(self) -> Iterator[Problem]:
        first: dict[str, Path] = {}
        for path, text in self.phrasings():
            if not plain(text):
                yield path, f"must have a letter or a digit (got {got(text)})"
            elif first.setdefault(plain(text), path) != path:
                where = ".".join(str(step) for step in first[plain(text)][:-1])
                yield path, f"must be asked once (got {got(text)}, which {where} has)"

    def phrasings(self) -> Iterator[tuple[Path, str]]:
        """Every question of the base and where it stands."""
        for name, answer in self.answers.items():
            for field, texts in (("asked", answer.asked), ("tried", answer.tried), ("held_out", answer.held_out)):
                yield from ((("answers", name, field, number), text) for number, text in enumerate(texts))
        for field, texts in (("tried", self.strangers.tried), ("held_out", self.strangers.held_out)):
            yield from ((("strangers", field, number), text) for number, text in enumerate(texts))

    def reader(self) -> Callable[[str], str]:
        """A text as it is compared: plain, cut off, each word in place of those that mean the same."""
        words = {plain(other): plain(word) for word, others in self.alike.items() for other in others}
        longest_first = sorted(words, key=len, reverse=True)
        found = re.compile("|".join(map(re.escape, longest_first)) or r"(?!)")
        return lambda text: found.sub(lambda match: words[match[0]], plain(text[:QUESTION_LETTERS_MAX]))
