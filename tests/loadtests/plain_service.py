"""A service that is not ours, with an API of its own, which can be held to a rate: `python -m … PORT [PER_S]`.

GET /offer?uid=7&page=home answers with an offer or none, POST /basket with a sum. What is asked waits in a line and is
answered at most so often a second.
"""

import asyncio
import json
import sys
import time
from urllib.parse import parse_qs, urlsplit

OFFER_EVERY = 3


class Plain:
    """Requests in a line."""

    def __init__(self, per_s: float) -> None:
        self.gap_s = 1.0 / per_s if per_s else 0.0
        self.free_at_s = 0.0

    async def connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while head := await reader.readuntil(b"\r\n\r\n"):
                body = await reader.readexactly(size_of(head))
                status, answer = self.answer(head, body)
                await self._turn()
                writer.write(b"HTTP/1.1 %d Said\r\ncontent-length: %d\r\n\r\n%s" % (status, len(answer), answer))
                await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()

    async def _turn(self) -> None:
        if not self.gap_s:
            return
        now = time.monotonic()
        self.free_at_s = max(now, self.free_at_s) + self.gap_s
        await asyncio.sleep(self.free_at_s - now)

    def answer(self, head: bytes, body: bytes) -> tuple[int, bytes]:
        method, target, _ = head.split(b"\r\n", 1)[0].decode().split(" ")
        parts = urlsplit(target)
        if (method, parts.path) == ("GET", "/offer"):
            asked = parse_qs(parts.query)
            shown = int(asked["uid"][0]) % OFFER_EVERY == 0 and "page" in asked
            return 200, json.dumps({"offer": "tea" if shown else None}).encode()
        if (method, parts.path) == ("POST", "/basket"):
            return 200, json.dumps({"cents": sum(json.loads(body)["cents"])}).encode()
        return 404, b"{}"


def size_of(head: bytes) -> int:
    at = head.lower().find(b"\r\ncontent-length:")
    return int(head[at + 17 :].split(b"\r\n", 1)[0]) if at >= 0 else 0


async def serve(port: int, per_s: float) -> None:
    server = await asyncio.start_server(Plain(per_s).connected, "127.0.0.1", port, backlog=1_000)
    async with server:
        await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(serve(int(sys.argv[1]), float(sys.argv[2]) if len(sys.argv) > 2 else 0.0))
