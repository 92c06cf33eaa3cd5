"""Customers as a Parquet file."""

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from gateway.arrow import ArrowError, has, is_text, numbers_of, raise_if_wrong, words_of
from gateway.customer_rows import BOUNDS, LISTS, SWITCHES, WORDS, CustomerColumns, Lists
from gateway.event_rows import Numbers, Words, Work

CUSTOMERS_MAX = 2_000_000  # of a file
UNPACKED_MAX = 1024**3  # bytes of a file's columns


def is_day(kind: pa.DataType) -> bool:
    return is_text(kind) or bool(pa.types.is_date32(kind))


def is_list(kind: pa.DataType) -> bool:
    return bool(pa.types.is_list(kind) or pa.types.is_large_list(kind)) and is_text(kind.value_type)


WANTED = {
    **dict.fromkeys(WORDS, ("string, or a dictionary of them", is_text)),
    "birth_date": ("date32, or a string", is_day),
    **dict.fromkeys(BOUNDS, ("int64, or a smaller integer", pa.types.is_integer)),
    **dict.fromkeys(LISTS, ("a list of strings", is_list)),
    **dict.fromkeys(SWITCHES, ("bool", pa.types.is_boolean)),
}


def table_in(body: bytes) -> pa.Table:
    """Raises ArrowError, BodyError with every column that is not as it must be."""
    try:
        file = pq.ParquetFile(pa.BufferReader(body))
        groups = [file.metadata.row_group(number) for number in range(file.metadata.num_row_groups)]
        size = sum(group.total_byte_size for group in groups)
        if file.metadata.num_rows > CUSTOMERS_MAX or size > UNPACKED_MAX:
            raise ArrowError(
                f"a file has at most {CUSTOMERS_MAX:,} customers and {UNPACKED_MAX:,} bytes unpacked "
                f"(got {file.metadata.num_rows:,} and {size:,})"
            )
        raise_if_wrong(file.schema_arrow, WANTED, ("customer",))
        return file.read()
    except (pa.ArrowException, OSError, ValueError) as error:
        raise ArrowError(f"the body must be a Parquet file: {error}") from None


def columns_in(table: pa.Table, first: int) -> Work[CustomerColumns]:
    """first: number of its first row in the file."""
    words = dict[str, Words]()
    for name in WORDS:
        if has(table, name):
            column = table[name]
            words[name] = yield from words_of(column.cast(pa.string()) if name == "birth_date" else column)
    numbers = {name: numbers_of(table[name], name) for name in BOUNDS if has(table, name)}
    numbers |= {name: switch_of(table[name]) for name in SWITCHES if has(table, name)}
    lists = dict[str, Lists]()
    for name in LISTS:
        if has(table, name):
            lists[name] = yield from lists_of(table[name])
    return CustomerColumns(np.arange(first, first + table.num_rows), words, numbers, lists=lists)


def switch_of(column: pa.ChunkedArray) -> Numbers:
    joined = column.combine_chunks()
    given = joined.is_valid().to_numpy(zero_copy_only=False)
    return Numbers(joined.fill_null(False).to_numpy(zero_copy_only=False).astype(np.int64), given)


def lists_of(column: pa.ChunkedArray) -> Work[Lists]:
    joined = column.combine_chunks()
    words = yield from words_of(pa.chunked_array([joined.flatten()], joined.type.value_type))
    given = joined.is_valid().to_numpy(zero_copy_only=False)
    sizes = joined.value_lengths().fill_null(0).to_numpy(zero_copy_only=False)
    return Lists(words, np.repeat(np.arange(len(joined)), sizes), given)


def ids_in(table: pa.Table) -> list[str]:
    found: list[str] = table["customer"].to_pylist()
    return found
