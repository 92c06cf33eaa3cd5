"""The body of a request: read in time and within its bound, or left so that the connection can go on or says its end.

A body that nobody reads stays on an HTTP/1 connection in front of the next request, and the HTTP server shuts such a
connection without a word: whoever asks on it next is cut off unanswered.
"""

import asyncio
from collections.abc import Coroutine
from typing import Any

from gateway.route import StatusError

BODY_WITHIN_S = 10.0  # a body that takes longer is not waited for
LEFT_MAX = 1 << 20  # bytes that are read for nothing: cheaper than a new connection …
LEFT_WITHIN_S = 1.0  # … if they come soon


class Incoming:
    """One request's body, which is read at most once."""

    def __init__(self, scope: Any, protocol: Any) -> None:
        self._scope, self._protocol = scope, protocol
        self._is_begun = self._is_whole = False

    async def read(self, most: int) -> bytes:
        """Raises StatusError: 413 for more than `most` bytes, 408 for one that is late."""
        length = self._scope.headers.get("content-length")
        if length is not None and (not length.isdecimal() or int(length) > most):
            raise StatusError(413, f"a body must be at most {most:,} bytes (got {length})")
        self._is_begun = True
        body = await in_time(self._pieces(most), BODY_WITHIN_S)
        self._is_whole = True
        return body

    async def _pieces(self, most: int) -> bytes:
        """Piece by piece: a body that says nothing of its length is bounded too."""
        body = bytearray()
        async for piece in self._protocol:
            body += piece
            if len(body) > most:
                raise StatusError(413, f"a body must be at most {most:,} bytes")
        return bytes(body)

    async def leave(self) -> bool:
        """Whether something else can be asked on this connection once this is answered."""
        if self._is_whole or self._scope.http_version.startswith("2"):  # streams of HTTP/2 end each for itself
            return True
        headers = self._scope.headers
        if "transfer-encoding" not in headers:
            length = headers.get("content-length", "0")
            if length == "0":
                return True
            if not self._is_begun and "expect" not in headers and length.isdecimal() and int(length) <= LEFT_MAX:
                return await self._passes()
        return False

    async def _passes(self) -> bool:
        """What comes is read for nothing; whether it came."""
        try:
            await in_time(self._pieces(LEFT_MAX), LEFT_WITHIN_S)
        except Exception:  # late, or the caller is gone: it has its answer either way
            return False
        return True


async def in_time(reading: Coroutine[Any, Any, bytes], within_s: float) -> bytes:
    """As asyncio.timeout, in a third of its time: nearly every body is there already."""
    task, is_late = asyncio.current_task(), False
    assert task is not None

    def end() -> None:
        nonlocal is_late
        is_late = True
        task.cancel()

    timer = asyncio.get_running_loop().call_later(within_s, end)
    try:
        return await reading
    except asyncio.CancelledError:
        if not is_late:
            raise
        task.uncancel()
        raise StatusError(408, f"the body did not come within {within_s:.0f} s") from None
    finally:
        timer.cancel()
