"""Messages over TCP, between switches of two sites or a switch and its client: framed, packed, never executed.

Whoever may connect can speak for hosts: a link belongs on loopback, or inside a tunnel that knows both ends.
"""

import json
import socket
import struct
from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from enum import IntEnum
from types import NoneType, UnionType
from typing import Any, get_args, get_type_hints

import numpy as np

from engine.host.messages import (
    Answered,
    Ask,
    Batch,
    Beat,
    Copy,
    Envelope,
    Hello,
    Kept,
    Lead,
    Pulse,
    Refused,
    Replace,
    Said,
    Seed,
    TakeOver,
    Wanted,
)
from engine.host.packing import PackingError, Value, packed, unpacked

FRAME = struct.Struct("<4sI")  # magic, length
MAGIC = b"WTL1"
FRAME_MAX = 1 << 30
WAITING_MAX = 256 << 20  # bytes that wait to be sent; what comes then is dropped, and said again by whoever needs it
READ = 1 << 20
KINDS: dict[str, type] = {
    one.__name__: one
    for one in (
        Answered, Ask, Batch, Beat, Copy, Hello, Kept, Lead, Pulse, Refused, Replace, Said, Seed, TakeOver, Wanted
    )
}  # fmt: skip


class LinkError(Exception):
    """The other end said what nobody may say."""


class Link:
    """One end of a connection. Nothing blocks; `is_up` is False once the other end is gone."""

    def __init__(self, connection: socket.socket) -> None:
        connection.setblocking(False)
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._connection, self._out, self._in = connection, bytearray(), bytearray()
        self.is_up = True

    def send(self, envelope: Envelope) -> None:
        if self.is_up and len(self._out) < WAITING_MAX:
            data = encoded(envelope)
            self._out += FRAME.pack(MAGIC, len(data)) + data
            self._flush()

    def received(self) -> list[Envelope]:
        """What has come, whole messages only. Raises LinkError."""
        self._flush()
        while self.is_up:
            try:
                data = self._connection.recv(READ)
            except BlockingIOError:
                break
            except OSError:
                self.is_up = False
                break
            if not data:
                self.is_up = False
            self._in += data
        return self._whole()

    def _whole(self) -> list[Envelope]:
        found, at = [], 0
        while len(self._in) >= at + FRAME.size:
            magic, length = FRAME.unpack_from(self._in, at)
            if magic != MAGIC or length > FRAME_MAX:
                raise LinkError(f"a frame must begin with {MAGIC!r} and be at most {FRAME_MAX:,} bytes (got {magic!r})")
            if len(self._in) < at + FRAME.size + length:
                break
            found.append(decoded(bytes(self._in[at + FRAME.size : at + FRAME.size + length])))
            at += FRAME.size + length
        del self._in[:at]
        return found

    def _flush(self) -> None:
        while self.is_up and self._out:
            try:
                sent = self._connection.send(self._out)
            except BlockingIOError:
                return
            except OSError:
                self.is_up = False
                return
            del self._out[:sent]

    def close(self) -> None:
        self.is_up = False
        self._connection.close()


class Listener:
    """Where links come in, on loopback."""

    def __init__(self) -> None:
        self._socket = socket.create_server(("127.0.0.1", 0))
        self._socket.setblocking(False)

    @property
    def port(self) -> int:
        return int(self._socket.getsockname()[1])

    def accepted(self) -> list[Link]:
        found = []
        while True:
            try:
                found.append(Link(self._socket.accept()[0]))
            except BlockingIOError:
                return found

    def close(self) -> None:
        self._socket.close()


def connected(port: int) -> Link:
    return Link(socket.create_connection(("127.0.0.1", port)))


# --- messages as bytes ------------------------------------------------------------------------------------------------
def encoded(envelope: Envelope) -> bytes:
    message = envelope.message
    kind = type(message).__name__
    assert kind in KINDS, f"{kind} does not go over a link"
    return packed({"to": envelope.to, "kind": kind} | field_parts("message", message))


def field_parts(name: str, value: Any) -> dict[str, Value]:
    if is_dataclass(value):
        parts: dict[str, Value] = {name: True}
        for one in fields(value):
            parts |= field_parts(f"{name}.{one.name}", getattr(value, one.name))
        return parts
    if isinstance(value, bytes):
        return {name: np.frombuffer(value, np.uint8)}
    if isinstance(value, tuple) and any(isinstance(one, bytes) for one in value):
        return {name: len(value)} | {f"{name}.{at}": np.frombuffer(one, np.uint8) for at, one in enumerate(value)}
    if isinstance(value, tuple):
        return {name: json.dumps(value)}
    return {name: int(value) if isinstance(value, IntEnum) else value}


def decoded(data: bytes) -> Envelope:
    """Raises LinkError."""
    try:
        parts = unpacked(data)
    except PackingError as error:
        raise LinkError(str(error)) from error
    kind = KINDS.get(str(parts.get("kind")))
    if kind is None:
        raise LinkError(f"a message must be one of {', '.join(KINDS)} (got {parts.get('kind')!r})")
    try:
        return Envelope(str(parts["to"]), field_value("message", kind, parts))
    except (KeyError, ValueError, TypeError) as error:
        raise LinkError(f"{kind.__name__}: {error}") from error


def field_value(name: str, hint: Any, parts: Mapping[str, Any]) -> Any:
    value = parts[name]
    if isinstance(hint, UnionType):
        (hint,) = (one for one in get_args(hint) if one is not NoneType)
        return None if value is None else field_value(name, hint, parts)
    if is_dataclass(hint):
        hints = get_type_hints(hint)
        return hint(**{one.name: field_value(f"{name}.{one.name}", hints[one.name], parts) for one in fields(hint)})  # type: ignore[operator]
    if hint is bytes:
        return value.tobytes()
    if hint == tuple[bytes, ...]:
        many = json.loads(value) if isinstance(value, str) else range(value)
        return tuple(parts[f"{name}.{at}"].tobytes() for at in many)
    if get_args(hint):
        return tuples(json.loads(value))
    if hint is np.ndarray:
        return value.copy()
    return hint(value)


def tuples(value: Any) -> Any:
    return tuple(tuples(one) for one in value) if isinstance(value, list) else value
