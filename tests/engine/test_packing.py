"""Bytes of messages: what goes in comes out, and what another version wrote, or damage left, is refused."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.coupon_records import REQUEST
from engine.host import packing
from engine.host.packing import HEAD, PackingError, Value, packed, unpacked
from engine.records import EVENT

FIELDS: dict[str, Value] = {
    "epoch": 3, "what": "批次", "late": True, "share": 0.25, "nothing": None, "none": np.zeros(0, EVENT),
    "counts": np.arange(6, dtype=np.int64).reshape(2, 3), "bytes": np.arange(3, dtype=np.uint8),
}  # fmt: skip


@given(st.integers(0, 50), st.binary(max_size=200))
def test_what_goes_in_comes_out(n: int, noise: bytes) -> None:
    size = n * EVENT.itemsize
    events = np.frombuffer((noise + bytes(size))[:size], EVENT)
    requests = np.ones(n % 7, REQUEST)
    found = unpacked(packed({**FIELDS, "events": events, "requests": requests}))
    for name, value in {**FIELDS, "events": events, "requests": requests}.items():
        if isinstance(value, np.ndarray):
            assert found[name].dtype == value.dtype and found[name].shape == value.shape
            assert found[name].tobytes() == value.tobytes()
            assert not found[name].flags.writeable
        else:
            assert found[name] == value


@given(st.integers(0, 9_000), st.lists(st.tuples(st.integers(0, 199_999), st.integers(-5, 5)), max_size=20),
       st.sampled_from([0, -1, 7]))  # fmt: skip
def test_tables_that_are_mostly_empty_are_small(more: int, written: list[tuple[int, int]], empty: int) -> None:
    """What nobody has written is one word a block; whatever is written comes out, to the last row."""
    table = np.full(200_000 + more, empty, np.int64)
    for place, value in [*written, (len(table) - 1, 3)]:
        table[place] = value
    data = packed({"table": table, "after": np.arange(5)})
    assert len(data) < 20_000 + 4_096 * (len(written) + 2)
    found = unpacked(data)
    assert (found["table"] == table).all() and found["after"].tolist() == [0, 1, 2, 3, 4]
    assert found["table"].dtype == table.dtype and not found["table"].flags.writeable


def test_tables_that_are_full_are_as_they_lie() -> None:
    requests = np.zeros(20_000, REQUEST)
    requests["time_ms"] = np.arange(20_000)
    assert (unpacked(packed({"r": requests}))["r"] == requests).all()
    half = np.zeros(400_000, np.int64)
    half[::2_000] = 1
    assert len(packed({"half": half})) < half.nbytes and (unpacked(packed({"half": half}))["half"] == half).all()


def test_every_record_of_the_engine_has_a_name_of_its_own() -> None:
    prints = [packing.fingerprint(dtype) for dtype in packing.DTYPES.values()]
    assert len(prints) > 20 and "EVENT" in packing.DTYPES
    for name, dtype in packing.DTYPES.items():
        assert unpacked(packed({name: np.zeros(1, dtype)}))[name].dtype == dtype


def test_another_version_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    data = packed({"events": np.zeros(2, EVENT)})
    changed = np.dtype([(name.replace("kind", "sort"), EVENT[name]) for name in EVENT.names or ()])
    monkeypatch.setitem(packing.DTYPES, "EVENT", changed)
    with pytest.raises(PackingError, match="events holds EVENT as another version knows it"):
        unpacked(data)


@pytest.mark.parametrize(
    ("damage", "said"),
    [
        (lambda data: data[:5], "has 5 bytes, fewer than a head"),
        (lambda data: b"x" + data[1:], "begins with"),
        (lambda data: data[: HEAD.size] + b"!" + data[HEAD.size + 1 :], "no JSON"),
        (lambda data: data[:-9], "counts ends at byte"),
    ],
)
def test_damage_is_refused(damage, said: str) -> None:  # type: ignore[no-untyped-def]
    with pytest.raises(PackingError, match=said):
        unpacked(damage(packed({"counts": np.arange(9)})))


def test_damage_to_what_is_condensed_is_refused() -> None:
    data = packed({"table": np.zeros(200_000, np.int64)})
    with pytest.raises(PackingError, match="bytes of an array, of"):
        unpacked(data[:-9])
    with pytest.raises(PackingError, match="has 1 blocks of an array, of 0"):
        unpacked(data.replace(b'"kept":0', b'"kept":1') + bytes(4_096))
