"""A server that does nothing: the same HTTP as the gateway's, a body that is read and not looked at, a fixed answer.

`python -m loadtests.bench_noop PORT BYTES`, until SIGTERM.
"""

import asyncio
import signal
import sys
from typing import Any

from granian.constants import HTTPModes, Interfaces
from granian.server.embed import Server

HOST = "127.0.0.1"


async def serve(port: int, size: int) -> None:
    body = b'{"nothing":"' + b"." * max(0, size - 14) + b'"}'
    headers = [("content-type", "application/json"), ("cache-control", "no-store")]

    async def answer(scope: Any, protocol: Any) -> None:
        await protocol()
        protocol.response_bytes(200, headers, body)

    server = Server(
        answer, HOST, port, interface=Interfaces.RSGI, http=HTTPModes.auto, websockets=False, log_enabled=False,
        backlog=1_024, backpressure=1_024,
    )  # fmt: skip
    serving = asyncio.create_task(server.serve())
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, server.stop)
    await serving


if __name__ == "__main__":
    asyncio.run(serve(int(sys.argv[1]), int(sys.argv[2])))
