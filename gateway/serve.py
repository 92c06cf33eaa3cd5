"""`windtunnel serve`: hosts on Ray, and HTTP in front of them, until somebody says stop."""

import asyncio
import json
import signal
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from granian.constants import HTTPModes, Interfaces
from granian.server.embed import Server

from engine.host.disk import locked
from engine.host.ray_cluster import cluster
from engine.host.ray_fleet import RayFleet
from engine.host.replica import Care
from engine.policy.document import Policy
from gateway.app import App
from gateway.carrier import Carrier
from gateway.desk import Desk
from gateway.dictionary import Dictionary
from gateway.dispatcher import Dispatcher
from gateway.engine_room import SPARES, Beginning, Build, EngineRoom, compiled_for
from gateway.keys import Keys
from gateway.register import Register

STARTS_WITHIN_S, ENDS_WITHIN_S = 600.0, 15.0
HOSTS = "hosts"


class ServeError(Exception):
    """It cannot serve; says why."""


@dataclass(frozen=True)
class Serving:
    """How to serve."""

    folder: Path
    customers: int = 100_000
    shards: int = 2
    host: str = "127.0.0.1"
    port: int = 8080
    standby: bool = False
    care: Care = field(default_factory=Care)
    address: str | None = None  # of a Ray cluster


def serve(policy: Policy, serving: Serving, tell: Callable[[str], None]) -> None:
    """Until SIGTERM or SIGINT. tell: a line for whoever watches. Raises ServeError, FolderError, KeysError."""
    beginning = Beginning.of_folder(serving.folder, policy.policy, serving.customers, serving.shards)
    try:
        locked(serving.folder)
    except BlockingIOError as error:
        raise ServeError(f"{serving.folder}: {error.strerror}") from None
    build = Build(compiled_for(policy, beginning.start_ms), beginning)
    keys = Keys.of_folder(serving.folder)
    if not keys.keys:
        raise ServeError(f"{serving.folder} has no key yet: windtunnel keys {serving.folder} --name shop --role client")
    with cluster(serving.address):
        asyncio.run(_run(build, keys, serving, tell))


def log(event: str, **told: Any) -> None:
    """A line of JSON on standard error."""
    print(json.dumps({"time": round(time.time(), 3), "event": event, **told}), file=sys.stderr, flush=True)


async def _run(build: Build, keys: Keys, serving: Serving, tell: Callable[[str], None]) -> None:
    loop = asyncio.get_running_loop()
    register = Register(serving.folder, serving.customers)
    name = f"gateway@{time.time_ns()}"
    dispatcher = Dispatcher(name, serving.shards, lambda: time.time_ns() // 1_000_000)
    woken: list[Callable[[], None]] = []
    fleet = RayFleet(build.warm, SPARES, lambda: woken[0]())
    try:
        room = EngineRoom(build, serving.folder / HOSTS, serving.care, serving.standby, fleet)
        carrier = Carrier(room.switch, dispatcher, loop)
        woken.append(carrier.wake)
        room.switch.locals[name] = dispatcher
        room.switch.overhear = dispatcher.overhear
        room.switch.tell = lambda event: log(event.what, host=event.host, told=str(event.told or ""))
        room.start()
        carrying = asyncio.create_task(carrier.run())
        if not await carrier.until(lambda: room.is_up or bool(room.lost), STARTS_WITHIN_S):
            raise ServeError(f"hosts did not start within {STARTS_WITHIN_S:.0f} s")
        if room.lost:
            raise ServeError(f"a host could not start: {room.lost}")
        room.lead()
        desk = Desk(Dictionary(build.policy), register, carrier, build.bounds)
        app = App(desk, keys, log)
        await _answer_until_told(app, serving, tell, carrying)
        carrier.end()
        await carrying
    finally:
        fleet.close()
        register.close()


async def _answer_until_told(
    app: App, serving: Serving, tell: Callable[[str], None], carrying: "asyncio.Task[None]"
) -> None:
    loop, stop = asyncio.get_running_loop(), asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    server = Server(
        app, serving.host, serving.port, interface=Interfaces.RSGI, http=HTTPModes.auto, websockets=False,
        log_enabled=False,
    )  # fmt: skip
    answering = asyncio.create_task(server.serve())
    tell(f"serving {serving.customers:,} customers on http://{serving.host}:{serving.port}, ready")
    stopped = asyncio.create_task(stop.wait())
    done, _ = await asyncio.wait([stopped, answering, carrying], return_when=asyncio.FIRST_COMPLETED)
    app.is_stopping = True
    left = loop.time() + ENDS_WITHIN_S
    while (app.under_way or app.desk.carrier.dispatcher.open) and loop.time() < left:
        await asyncio.sleep(0.01)
    server.stop()
    await asyncio.wait([answering], timeout=ENDS_WITHIN_S)
    if carrying in done:
        await carrying
