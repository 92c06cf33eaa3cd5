"""Messages and snapshots as bytes: a head in JSON that says what is in it, then the arrays as they lie in memory.

Nothing is executed when it is read. Of every array the head names the dtype and a fingerprint of its fields, so what
another version wrote is refused and not misread.
"""

import functools
import hashlib
import json
import struct
from collections.abc import Iterator, Mapping
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

HEAD = struct.Struct("<4sI")  # magic, length of the JSON
MAGIC = b"WTP1"
ALIGNED = 8
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
    """The NamedTuple again, its arrays writable and typed as those of another one of its kind."""
    values = []
    for field, value in like._asdict().items():
        if hasattr(value, "_asdict"):
            values.append(unflat(f"{name}.{field}", value, fields))
        else:
            values.append(fields[f"{name}.{field}"].copy().view(type(value)))
    return type(like)(*values)


def packed(fields: Mapping[str, Value]) -> bytes:
    """Names to numbers, words and arrays (of plain numbers, or of a dtype of the engine's records)."""
    head: dict[str, Any] = {}
    parts, at = [], 0
    for name, value in fields.items():
        if not isinstance(value, np.ndarray):
            head[name] = value
            continue
        data = np.ascontiguousarray(value).tobytes()
        print_ = fingerprint(value.dtype)
        head[name] = {"dtype": _NAMES[print_], "print": print_, "shape": list(value.shape), "at": at}
        padding = -len(data) % ALIGNED
        parts += [data, bytes(padding)]
        at += len(data) + padding
    text = json.dumps(head, separators=(",", ":")).encode()
    text += b" " * (-(HEAD.size + len(text)) % ALIGNED)
    return b"".join([HEAD.pack(MAGIC, len(text)), text, *parts])


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
    if at + count * dtype.itemsize > len(data):
        raise PackingError(f"{name} ends at byte {at + count * dtype.itemsize}, of {len(data)}")
    return np.frombuffer(data, dtype, count, at).reshape(shape)
