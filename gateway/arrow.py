"""Events as an Arrow IPC stream, and what is answered to them."""

from collections.abc import Callable

import numpy as np
import pyarrow as pa

from engine.records import NONE
from gateway.dictionary import BodyError
from gateway.event_answers import Answered, Named
from gateway.event_rows import BOUNDS, WORDS, Columns, Numbers, Words, Work

READ_AT_ONCE = 10_000  # different values of a column, before others have their turn


class ArrowError(Exception):
    """Bytes that are no Arrow stream."""


def table_in(body: bytes) -> pa.Table:
    """Raises ArrowError."""
    try:
        with pa.ipc.open_stream(body) as reader:
            table = reader.read_all()
        table.validate(full=True)
        return table.unify_dictionaries()
    except (pa.ArrowException, OSError, ValueError) as error:
        raise ArrowError(f"the body must be an Arrow IPC stream: {error}") from None


def is_text(kind: pa.DataType) -> bool:
    if pa.types.is_dictionary(kind):
        kind = kind.value_type
    return bool(pa.types.is_string(kind) or pa.types.is_large_string(kind))


WANTED: dict[str, tuple[str, Callable[[pa.DataType], bool]]] = {
    **dict.fromkeys(WORDS, ("string, or a dictionary of them", is_text)),
    **dict.fromkeys(BOUNDS, ("int64, or a smaller integer", pa.types.is_integer)),
}


def events_in(table: pa.Table) -> Work[Columns]:
    """Raises BodyError with every column that is not as it must be."""
    raise_if_wrong(table.schema, WANTED, ("customer", "event"))
    words = dict[str, Words]()
    for name in WORDS:
        if has(table, name):
            words[name] = yield from words_of(table[name])
    numbers = {name: numbers_of(table[name], name) for name in BOUNDS if has(table, name)}
    return Columns(np.arange(table.num_rows), words, numbers)


def has(table: pa.Table, name: str) -> bool:
    """Whether a column says anything."""
    return name in table.column_names and table[name].null_count < table.num_rows


def raise_if_wrong(
    schema: pa.Schema, wanted: dict[str, tuple[str, Callable[[pa.DataType], bool]]], needed: tuple[str, ...]
) -> None:
    problems = [(f"$.{name}", f"must be a column of {wanted[name][0]} (got none)") for name in needed
                if name not in schema.names]  # fmt: skip
    for name in dict.fromkeys(schema.names):
        if name not in wanted:
            problems.append((f"$.{name}", f"must be one of the columns {', '.join(wanted)}"))
        elif (many := schema.names.count(name)) > 1:
            problems.append((f"$.{name}", f"must be there once (got it {many} times)"))
        elif not (kind := schema.field(name).type) or not wanted[name][1](kind):
            problems.append((f"$.{name}", f"must be {wanted[name][0]} (got {kind})"))
    if problems:
        raise BodyError(problems)


def words_of(column: pa.ChunkedArray) -> Work[Words]:
    joined = column.combine_chunks()
    if not pa.types.is_dictionary(joined.type):
        joined = joined.dictionary_encode()
    codes = joined.indices.cast(pa.int64()).fill_null(NONE)
    yield
    values = list[str | None]()
    for low in range(0, len(joined.dictionary), READ_AT_ONCE):
        values += joined.dictionary.slice(low, READ_AT_ONCE).to_pylist()
        yield
    return Words(values, codes.to_numpy(zero_copy_only=False))


def numbers_of(column: pa.ChunkedArray, name: str) -> Numbers:
    try:
        joined = column.combine_chunks().cast(pa.int64())
    except pa.ArrowInvalid as error:
        raise BodyError([(f"$.{name}", f"must fit an int64: {error}")]) from None
    given = joined.is_valid().to_numpy(zero_copy_only=False)
    return Numbers(joined.fill_null(0).to_numpy(zero_copy_only=False), given)


def answer(answered: Answered) -> bytes:
    """A stream with a row an event, in their order."""
    columns = {
        "time_ms": pa.array(answered.time_ms),
        "campaign": named(answered.campaign),
        "channel": named(answered.channel),
        "exposure": pa.array(answered.exposure.astype(np.int32), mask=answered.exposure == NONE),
        "arm": named(answered.arm),
        "late": pa.array(answered.late),
    }
    if answered.reason is not None:
        columns["reason"] = named(answered.reason)
    table = pa.table(columns)
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, table.schema) as writer:
        writer.write_table(table)
    return bytes(sink.getvalue())


def named(column: Named) -> pa.DictionaryArray:
    codes = pa.array(column.codes.astype(np.int16), mask=column.codes == NONE)
    return pa.DictionaryArray.from_arrays(codes, pa.array(column.names, pa.string()))
