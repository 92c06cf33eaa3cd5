"""One feature against fraud: a threshold as precise as wanted, judged on worlds it was not fitted on."""

import numpy as np

from results.stump import Accounts, fitted, stumps


def test_the_lowest_threshold_that_is_precise() -> None:
    values = np.array([9.0, 8, 8, 7, 7, 7, 1])
    fraud = np.array([1, 1, 1, 1, 0, 1, 0], bool)
    assert fitted(values, fraud, 1.0) == 8
    assert fitted(values, fraud, 0.8) == 7
    assert fitted(values, fraud, 0.7) == 1
    assert np.isnan(fitted(values, ~fraud, 0.9))


def world(gap: float, kinds: int = 8) -> Accounts:
    """Hundred accounts of each kind, of whom `gap` lie above all good ones; money is the same."""
    fraud = np.repeat(np.arange(1, kinds + 1), 100)
    apart = np.where(np.arange(len(fraud)) % 100 < gap * 100, 10.0, 1.0)
    features = {"gap": np.concatenate([apart, np.ones(2_000)])}
    return Accounts(
        features, np.concatenate([fraud, np.zeros(2_000, int)]), np.concatenate([apart * 0 + 5, np.zeros(2_000)])
    )


def test_a_stump_fails_where_it_finds_too_little() -> None:
    for gap, fails in ((0.5, True), (0.7, False)):
        (stump,) = stumps([world(gap)] * 4)
        assert (stump.threshold, stump.recall, stump.fails) == (10.0, gap, fails)
        assert set(stump.by_kind.values()) == {gap}


def test_a_stump_is_judged_on_the_other_worlds() -> None:
    (stump,) = stumps([world(0.9), world(0.1)] * 2)
    assert stump.recall == 0.1


def test_three_kinds_found_whole_are_too_many() -> None:
    fraud = np.repeat(np.arange(1, 9), 100)
    values = np.where(fraud <= 3, 10.0, 1.0)
    one = Accounts(
        {"three": np.append(values, np.ones(900))},
        np.append(fraud, np.zeros(900, int)),
        np.append(fraud > 0, np.zeros(900)),
    )
    (stump,) = stumps([one, one])
    assert stump.recall == 3 / 8
    assert not stump.fails
