"""For schemathesis: how bodies are sent that are not JSON. Mostly they are nonsense, which must be refused."""

import json
from typing import Any

import schemathesis

KINDS = "application/x-ndjson", "application/vnd.apache.arrow.stream", "application/vnd.apache.parquet"


@schemathesis.serializer(*KINDS)
def as_a_line(context: Any, value: Any) -> bytes:
    """One line of JSON; bytes as they are."""
    return value if isinstance(value, bytes) else json.dumps(value).encode() + b"\n"
