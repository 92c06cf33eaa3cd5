"""Which answer a question is about: runs of letters, a linear classifier, and how often its first choice is right.

The only file that knows scikit-learn.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import FeatureUnion
from sklearn.preprocessing import normalize
from sklearn.svm import LinearSVC

# Chinese is written without spaces, and most of its words have one or two characters.
RUNS = {"letters": 1, "pairs": 2}  # how long
WEIGHTS = {"letters": 1.0, "pairs": 0.5}
STRICTNESS = 3.0  # what a phrasing on the wrong side costs, against the width of the margin
NO_ANSWER = -1  # of a question that no answer is for

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]
Phrasings = Sequence[tuple[str, int]]  # what is asked, and the number of the answer it is about


@dataclass(frozen=True)
class Sorting:
    """Answers by number, the likeliest first, and the chance that the first is right."""

    answers: tuple[int, ...]
    chance: float


class Sorter:
    """Learns from phrasings and sorts questions. The same phrasings in the same order give the same sorter.

    A linear support vector machine an answer against all others (Joachims 1998). How often its choice is right is a
    logistic function of the scores and of how much the question is like any phrasing, learnt from phrasings of their
    own (Platt 1999).
    """

    def __init__(self, learnt: Phrasings, tried: Phrasings, read: Callable[[str], str]) -> None:
        """At least three answers, each among those learnt; what is tried may have NO_ANSWER.

        read: a text as it is to be compared.
        """
        self._letters = FeatureUnion(
            [(name, weighed(size, read)) for name, size in RUNS.items()], transformer_weights=WEIGHTS
        )
        vectors = normalize(self._letters.fit_transform([text for text, _ in learnt]))
        machines = LinearSVC(C=STRICTNESS, random_state=0).fit(vectors, numbers(learnt))
        self._weights, self._offsets = np.ascontiguousarray(machines.coef_.T), machines.intercept_
        self._learnt = vectors.T.tocsr()
        compared = self._compared([text for text, _ in tried])
        self._chance = fitted(features(compared), ranked(compared.scores, 1)[:, 0] == numbers(tried))

    def sort(self, questions: Sequence[str], first: int = 3) -> list[Sorting]:
        """The `first` likeliest answers to each question."""
        compared = self._compared(questions)
        order = map(tuple, ranked(compared.scores, first).tolist())
        chances = self._chance.predict_proba(features(compared))[:, 1].tolist()
        return [Sorting(answers, chance) for answers, chance in zip(order, chances, strict=True)]

    def _compared(self, questions: Sequence[str]) -> "Compared":
        vectors = normalize(self._letters.transform(questions))
        nearest = (vectors @ self._learnt).max(axis=1).toarray()[:, 0]
        return Compared(vectors @ self._weights + self._offsets, nearest, np.log1p(vectors.getnnz(axis=1)))


class Compared(NamedTuple):
    """Questions against what was learnt."""

    scores: Floats  # (questions, answers): how much speaks for each
    nearest: Floats  # (questions,): cosine to the nearest phrasing
    length: Floats  # (questions,): log of how many known runs


def weighed(size: int, read: Callable[[str], str]) -> Any:
    """Runs of so many letters, the rarer the heavier."""
    return TfidfVectorizer(analyzer="char", ngram_range=(size, size), binary=True, preprocessor=read)


def numbers(phrasings: Phrasings) -> Integers:
    return np.array([answer for _, answer in phrasings])


def ranked(scores: Floats, first: int) -> Integers:
    """The best answers of each row; of equal ones the first in the base."""
    return np.argsort(-scores, axis=1, kind="stable")[:, :first]


def features(compared: Compared) -> Floats:
    """What tells whether the best answer is right: its score, its lead over the next one, nearness and length of the
    question; a single word is near to much. (questions, 4)"""
    second, best = np.partition(compared.scores, -2, axis=1)[:, -2:].T
    return np.stack([best, best - second, compared.nearest, compared.length], axis=1)


CLEAR = [[1.0, 2.0, 1.0, 3.0], [-1.0, 0.0, 0.0, 3.0]]  # features of an answer and of a miss


def fitted(scored: Floats, right: NDArray[np.bool_]) -> Any:
    """The chance of being right; CLEAR is for bases where all or none of what is tried is right."""
    return LogisticRegression(C=100.0).fit(np.vstack([scored, CLEAR]), np.append(right, [True, False]))
