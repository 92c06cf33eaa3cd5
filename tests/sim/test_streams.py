"""Chance: Philox is NumPy's to the bit, uniforms stay inside (0, 1), samplers have the laws they claim."""

import numpy as np
import pytest
from scipy import stats

from engine.compiled import entry
from sim import streams
from sim.streams import Draw, exponential, gamma, normal, uniforms, unit

philox = entry(streams.philox)

N = 200_000
STREAM = np.array([7, 3], np.int64)
FAR_OUT = 1e-6  # p-value below which a fixed seed is called wrong


def numpy_philox(key: list[int], counter: list[int]) -> list[int]:
    """NumPy increments its counter before the first block: start one below."""
    wide = sum(word << (64 * i) for i, word in enumerate(counter))
    before = (wide - 1) % (1 << 256)
    words = np.array([(before >> (64 * i)) % (1 << 64) for i in range(4)], np.uint64)
    return np.random.Philox(key=np.array(key, np.uint64), counter=words).random_raw(4).tolist()


def words(rng: np.random.Generator, size: int) -> list[int]:
    """Random words, some of them all zeros, all ones or small."""
    found = [int(word) for word in rng.integers(0, 1 << 64, size, np.uint64)]
    return [
        (word, 0, (1 << 64) - 1, word & 255)[int(rng.integers(0, 8)) % 4 if rng.random() < 0.5 else 0] for word in found
    ]


def test_philox_is_numpys() -> None:
    rng = np.random.default_rng(1)
    for _ in range(2_000):
        key, counter = words(rng, 2), words(rng, 4)
        ours = philox(*(np.uint64(word) for word in [*key, *counter]))
        assert [int(word) for word in ours] == numpy_philox(key, counter), (key, counter)


def test_uniforms_are_philox_of_seed_replication_opportunity_customer_and_decision() -> None:
    """Every part of a key has a counter word of its own: two named decisions cannot share one."""
    rng = np.random.default_rng(2)
    for _ in range(200):
        seed, replication, customer, opportunity = (int(n) for n in rng.integers(0, 1 << 62, 4))
        draw = int(rng.choice(list(Draw)))
        raw = numpy_philox([seed, replication], [opportunity, customer, draw, 0])
        expected = [(word >> 12) / 2**52 + 2**-53 for word in raw]
        assert list(entry(uniforms)(np.array([seed, replication]), customer, draw, opportunity)) == expected


def test_named_decisions_have_numbers_of_their_own() -> None:
    numbers = [int(draw) for draw in Draw.__members__.values()]
    assert len(set(numbers)) == len(numbers)  # IntEnum makes a second name of one number a silent alias


@pytest.mark.parametrize("bits", [0, 1, 0xFFF, 0x1000, 1 << 63, (1 << 64) - 0x1000, (1 << 64) - 1])
def test_a_uniform_is_strictly_inside(bits: int) -> None:
    u = unit(np.uint64(bits))
    assert 0.0 < u < 1.0
    assert 0.0 <= exponential(u) < 40.0
    assert np.isfinite(normal(u, u))


# --- laws -------------------------------------------------------------------------------------------------------------
@entry
def draw_gammas(stream, shape, out):
    for customer in range(len(out)):
        out[customer] = gamma(stream, customer, 3, 0, shape)


@entry
def draw_lanes(stream, out):
    for customer in range(len(out)):
        out[customer, 0], out[customer, 1], out[customer, 2], out[customer, 3] = uniforms(stream, customer, 10, 20_000)


def test_lanes_are_uniform_and_independent() -> None:
    lanes = np.empty((N, 4))
    draw_lanes(STREAM, lanes)
    for lane in lanes.T:
        assert stats.kstest(lane, "uniform").pvalue > FAR_OUT
    correlations = np.asarray(np.corrcoef(lanes, rowvar=False))[np.triu_indices(4, 1)]
    assert np.abs(correlations).max() < 5 / np.sqrt(N)
    neighbours = stats.pearsonr(lanes[:-1, 0], lanes[1:, 0]).statistic
    assert abs(neighbours) < 5 / np.sqrt(N)


def test_normal_and_exponential_have_their_laws() -> None:
    lanes = np.empty((N, 4))
    draw_lanes(STREAM, lanes)
    z = np.array([normal(u, v) for u, v in lanes[:20_000, :2]])
    waits = np.array([exponential(u) for u in lanes[:20_000, 2]])
    assert stats.kstest(z, "norm").pvalue > FAR_OUT
    assert stats.kstest(waits, "expon").pvalue > FAR_OUT


# The shapes of the library's population among them: r, a, b, visits, p and q.
@pytest.mark.parametrize("shape", [0.05, 0.243, 0.793, 0.9, 1.0, 2.426, 3.74, 6.25, 400.0])
def test_gamma_has_its_law(shape: float) -> None:
    values = np.empty(N)
    draw_gammas(STREAM, shape, values)
    assert stats.kstest(values, "gamma", args=(shape,)).pvalue > FAR_OUT
    assert abs(values.mean() - shape) < 5 * np.sqrt(shape / N)
    # The variance of a sample variance: (kurtosis - 1) σ⁴ / n, with a gamma's kurtosis of 3 + 6/shape.
    assert abs(values.var() - shape) < 5 * shape * np.sqrt((2 + 6 / shape) / N)


@pytest.mark.parametrize("wrong", [0.236, 0.25])
def test_the_test_of_gamma_can_fail(wrong: float) -> None:
    values = np.empty(N)
    draw_gammas(STREAM, 0.243, values)
    assert stats.kstest(values, "gamma", args=(wrong,)).pvalue < FAR_OUT
