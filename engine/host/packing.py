"""Messages and snapshots as bytes: a head in JSON that says what is in it, then the arrays as they lie in memory.

Of a large array, blocks that repeat one word, such as the rows of a table that nobody has filled, are that word alone.

Nothing is executed when it is read. Of every array the head names the dtype and a fingerprint of its fields, so what
another version wrote is refused and not misread.
"""

import functools
import hashlib
import json
import struct
from collections.abc import Iterator, Mapping
from itertools import pairwise
from typing import Any

import numpy as np

import engine.breaker_records
import engine.coupon_records
import engine.fraud_records
import engine.profile_records
import engine.records
import engine.rules.bonds
import engine.rules.budgets
import engine.rules.counters
import engine.rules.reservations
import engine.rules.stock
import engine.settle
from engine.records import as_records

HEAD = struct.Struct("<4sI")  # magic, length of the JSON
MAGIC = b"WTP1"
ALIGNED = 8
LARGE_BYTES, BLOCK_BYTES = 1 << 20, 4_096  # of an array that is looked through, and of each block of it
WORDS = BLOCK_BYTES // 8
AT_ONCE = 2_048  # blocks that are looked at together: they stay in the cache
Value = int | float | str | bool | None | np.ndarray


class PackingError(Exception):
    """Bytes that this version cannot read, with the reason."""


_MODULES = (
    engine.records, engine.coupon_records, engine.fraud_records, engine.breaker_records, engine.profile_records,
    engine.rules.bonds,
    engine.rules.budgets, engine.rules.counters, engine.rules.reservations, engine.rules.stock, engine.settle,
)  # fmt: skip


def _named() -> Iterator[tuple[str, np.dtype]]:
    for module in _MODULES:
        for name, value in vars(module).items():
            if isinstance(value, np.dtype):
                yield name, value


DTYPES: dict[str, np.dtype] = dict(_named())
PLAIN = {np.dtype(code).str: np.dtype(code) for code in ("i1", "i2", "i4", "i8", "u1", "u2", "u4", "u8", "f8", "?")}


@functools.cache
def fingerprint(dtype: np.dtype) -> str:
    """Of names, types and places of the fields."""
    return hashlib.blake2b(repr(np.lib.format.dtype_to_descr(dtype)).encode(), digest_size=8).hexdigest()


_NAMES = {fingerprint(dtype): name for name, dtype in {**PLAIN, **DTYPES}.items()}


def flat(name: str, arrays: Any) -> dict[str, np.ndarray]:
    """The arrays of a NamedTuple, and of those in it, by dotted names."""
    found: dict[str, np.ndarray] = {}
    for field, value in arrays._asdict().items():
        found |= flat(f"{name}.{field}", value) if hasattr(value, "_asdict") else {f"{name}.{field}": value}
    return found


def unflat(name: str, like: Any, fields: Mapping[str, Any]) -> Any:
    """The NamedTuple again, built as another one of its kind: its arrays writable, its records read by attribute."""
    values = []
    for field, value in like._asdict().items():
        if hasattr(value, "_asdict"):
            values.append(unflat(f"{name}.{field}", value, fields))
        else:
            array = fields[f"{name}.{field}"].copy()
            values.append(array if array.dtype.names is None else as_records(array))
    return type(like)(*values)


def packed(fields: Mapping[str, Value]) -> bytes:
    """Names to numbers, words and arrays (of plain numbers, or of a dtype of the engine's records)."""
    head: dict[str, Any] = {}
    parts, at = [], 0
    for name, value in fields.items():
        if not isinstance(value, np.ndarray):
            head[name] = value
            continue
        whole = np.ascontiguousarray(value)
        print_, kept = fingerprint(value.dtype), varied(whole) if whole.nbytes >= LARGE_BYTES else None
        head[name] = {"dtype": _NAMES[print_], "print": print_, "shape": list(value.shape), "at": at}
        if kept is not None and kept.mean() < 0.5:
            data = condensed(whole, kept)
            head[name]["kept"] = int(kept.sum())
        else:
            data = whole.tobytes()
        padding = -len(data) % ALIGNED
        parts += [data, bytes(padding)]
        at += len(data) + padding
    text = json.dumps(head, separators=(",", ":")).encode()
    text += b" " * (-(HEAD.size + len(text)) % ALIGNED)
    return b"".join([HEAD.pack(MAGIC, len(text)), text, *parts])


def blocks_of(whole: np.ndarray) -> np.ndarray:
    """u8[blocks, WORDS] of a contiguous array; what is left at its end is in none."""
    flat_bytes = whole.reshape(-1).view(np.uint8)
    return flat_bytes[: whole.nbytes // BLOCK_BYTES * BLOCK_BYTES].view(np.uint64).reshape(-1, WORDS)


def varied(whole: np.ndarray) -> np.ndarray:
    """bool[blocks]: which do not repeat one word."""
    blocks = blocks_of(whole)
    found = np.empty(len(blocks), np.bool_)
    for first in range(0, len(blocks), AT_ONCE):
        some = blocks[first : first + AT_ONCE]
        found[first : first + AT_ONCE] = (some != some[:, :1]).any(axis=1)
    return found


def condensed(whole: np.ndarray, kept: np.ndarray) -> bytes:
    """The first word of every block, which are kept whole, these, and what is left at the end."""
    blocks = blocks_of(whole)
    flags = np.zeros(-(-len(kept) // ALIGNED) * ALIGNED, np.bool_)
    flags[: len(kept)] = kept
    rest = whole.reshape(-1).view(np.uint8)[blocks.nbytes :]
    return b"".join(part.tobytes() for part in (blocks[:, 0], flags, blocks[kept], rest))


def spread(data: memoryview, total: int, kept: int) -> np.ndarray:
    """u1[total] again. Raises PackingError where bytes are missing."""
    count, rest = divmod(total, BLOCK_BYTES)
    sizes = 8 * count, -(-count // ALIGNED) * ALIGNED, kept * BLOCK_BYTES, rest
    if sum(sizes) > len(data):
        raise PackingError(f"has {len(data)} bytes of an array, of {sum(sizes)}")
    ends = np.cumsum((0, *sizes)).tolist()
    words, flags, whole, end = (data[low:high] for low, high in pairwise(ends))
    found = np.empty(total, np.uint8)
    blocks = blocks_of(found)
    blocks[:] = np.frombuffer(words, np.uint64)[:, None]
    places = np.flatnonzero(np.frombuffer(flags, np.bool_)[:count])
    if len(places) != kept:
        raise PackingError(f"has {kept} blocks of an array, of {len(places)}")
    blocks[places] = np.frombuffer(whole, np.uint64).reshape(-1, WORDS)
    found[blocks.nbytes :] = np.frombuffer(end, np.uint8)
    found.flags.writeable = False
    return found


def unpacked(data: bytes) -> dict[str, Any]:
    """What was packed; arrays are read-only views on the bytes. Raises PackingError."""
    if len(data) < HEAD.size:
        raise PackingError(f"has {len(data)} bytes, fewer than a head")
    magic, length = HEAD.unpack_from(data)
    if magic != MAGIC:
        raise PackingError(f"begins with {magic!r}, not with {MAGIC!r}")
    try:
        head = json.loads(data[HEAD.size : HEAD.size + length])
    except ValueError as error:
        raise PackingError(f"has a head that is no JSON: {error}") from None
    first = HEAD.size + length
    return {
        name: _array(name, value, data, first) if isinstance(value, dict) else value for name, value in head.items()
    }


def _array(name: str, said: Mapping[str, Any], data: bytes, first: int) -> np.ndarray:
    dtype = PLAIN.get(said["dtype"]) or DTYPES.get(said["dtype"])
    if dtype is None or fingerprint(dtype) != said["print"]:
        raise PackingError(f"{name} holds {said['dtype']} as another version knows it")
    shape, at = tuple(said["shape"]), first + said["at"]
    count = int(np.prod(shape, dtype=np.int64))
    if "kept" in said:
        return spread(memoryview(data)[at:], count * dtype.itemsize, said["kept"]).view(dtype).reshape(shape)
    if at + count * dtype.itemsize > len(data):
        raise PackingError(f"{name} ends at byte {at + count * dtype.itemsize}, of {len(data)}")
    return np.frombuffer(data, dtype, count, at).reshape(shape)
