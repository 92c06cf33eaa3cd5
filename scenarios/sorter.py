"""Which answer a question is about: character n-grams, regularised least squares, and how often that is right.

The only file that knows scikit-learn.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression

NGRAMS = (1, 2)  # Chinese is written without spaces; most of its words have one or two characters
RIDGE = 1.0  # a phrasing's likeness to itself is 1

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]
Phrasings = Sequence[tuple[str, int]]  # what is asked, and the number of the answer it is about
NO_ANSWER = -1  # of a question that no answer is for


@dataclass(frozen=True)
class Sorting:
    """Answers by number, the likeliest first, and the chance that each of them is right."""

    answers: tuple[int, ...]
    chances: tuple[float, ...]


class Sorter:
    """Learns from phrasings and sorts questions. The same phrasings in the same order give the same sorter.

    Regularised least squares onto one column an answer, in the dual (Rifkin, Yeo and Poggio 2003). How often a score
    is right is a logistic function of it, learnt from other phrasings (Platt 1999).
    """

    def __init__(self, learnt: Phrasings, tried: Phrasings, read: Callable[[str], str]) -> None:
        """Answers are numbered from 0, and each has been learnt; what is tried may have NO_ANSWER.

        read: a text as it is to be compared.
        """
        self._words = TfidfVectorizer(analyzer="char", ngram_range=NGRAMS, sublinear_tf=True, preprocessor=read)
        self._learnt = self._words.fit_transform([text for text, _ in learnt])
        likeness = (self._learnt @ self._learnt.T).toarray()
        answers = numbers(learnt)
        self._weights = np.linalg.solve(likeness + RIDGE * np.eye(len(answers)), np.eye(answers.max() + 1)[answers])
        scores = self._scores([text for text, _ in tried])
        best = ranked(scores, 1)[:, 0]
        self._chance = fitted(features(scores, best), best == numbers(tried))

    def sort(self, questions: Sequence[str], first: int = 3) -> list[Sorting]:
        """The `first` likeliest answers to each question."""
        scores = self._scores(questions)
        order = ranked(scores, first)
        chances = np.stack([self._chance.predict_proba(features(scores, best))[:, 1] for best in order.T], axis=1)
        return [Sorting(*pair) for pair in zip(map(tuple, order.tolist()), map(tuple, chances.tolist()), strict=True)]

    def _scores(self, questions: Sequence[str]) -> Floats:
        """(questions, answers)"""
        return np.asarray(self._words.transform(questions) @ self._learnt.T @ self._weights)


def numbers(phrasings: Phrasings) -> Integers:
    return np.array([answer for _, answer in phrasings])


def ranked(scores: Floats, first: int) -> Integers:
    """The best answers of each row; of equal ones the first in the base."""
    return np.argsort(-scores, axis=1, kind="stable")[:, :first]


def features(scores: Floats, answers: Integers) -> Floats:
    """What tells whether an answer is right: its score, and its lead over the best other one. (questions, 2)"""
    rows = np.arange(len(scores))
    own = scores[rows, answers]
    others = scores.copy()
    others[rows, answers] = -np.inf
    return np.stack([own, own - others.max(axis=1)], axis=1)


def fitted(scored: Floats, right: NDArray[np.bool_]) -> LogisticRegression:
    """The chance of being right; a clear answer and a clear miss are added, for bases where all or none are right."""
    return LogisticRegression(C=100.0).fit(np.vstack([scored, [[1, 1], [0, 0]]]), np.append(right, [True, False]))
