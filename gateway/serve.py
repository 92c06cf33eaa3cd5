"""`windtunnel serve`: hosts on Ray, and HTTP in front of them, until somebody says stop."""

import asyncio
import json
import os
import signal
import socket
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
from engine.host.ray_fleet import SPARES, RayFleet
from engine.host.replica import Care
from engine.policy.document import Policy
from gateway.app import App, place_of
from gateway.audit import FILE as AUDIT
from gateway.audit import Audit, AuditLog
from gateway.carrier import Carrier
from gateway.customers import Customers
from gateway.desk import Desk
from gateway.dictionary import Dictionary
from gateway.dispatcher import Dispatcher
from gateway.engine_room import Build, EngineRoom, began
from gateway.importing import Importing
from gateway.keys import Keys
from gateway.many import Many
from gateway.register import FILE, Register
from gateway.route import Services
from gateway.sealing import SecretKey, master_key
from gateway.vault import Vault

STARTS_WITHIN_S, ENDS_WITHIN_S = 600.0, 15.0
HOSTS = "hosts"
LOOKS_AT_THE_DAY_S = 30.0


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
    vault_key: Path | None = None  # file of the master key; None: from the environment, or no vault


def serve(policy: Policy, serving: Serving, tell: Callable[[str], None]) -> bool:
    """Until SIGTERM or SIGINT; whether everything that was taken was answered. tell: a line for whoever watches.
    Raises ServeError, FolderError, KeysError, RegisterError, VaultKeyError, VaultError, AuditError."""
    try:
        lock = locked(serving.folder)
    except BlockingIOError as error:
        raise ServeError(f"{serving.folder}: {error.strerror}") from None
    try:
        master, keys = master_key(serving.vault_key, serving.folder), checked(serving)
        beginning, compiled = began(serving.folder, policy, serving.customers, serving.shards)
        books = opened(serving, keys, master)
        with cluster(serving.address):
            return asyncio.run(_run(Build(compiled, beginning), books, serving, tell))
    finally:
        os.close(lock)


def checked(serving: Serving) -> Keys:
    """The keys of a folder that has what it must. Raises ServeError, KeysError."""
    keys = Keys.of_folder(serving.folder)
    if not keys.keys:
        raise ServeError(f"{serving.folder} has no key yet: windtunnel keys {serving.folder} --name shop --role client")
    if (serving.folder / HOSTS).exists() and not (serving.folder / FILE).exists():
        raise ServeError(f"{serving.folder} must have {FILE}, which says whose number is whose (got no such file)")
    if (serving.folder / HOSTS).exists() and not (serving.folder / AUDIT).exists():
        raise ServeError(f"{serving.folder} must have {AUDIT}, which says who did what (got no such file)")
    try:
        socket.create_server((serving.host, serving.port)).close()
    except OSError as error:
        raise ServeError(f"--port must be free (got {serving.port}: {error.strerror})") from None
    return keys


def log(event: str, **told: Any) -> None:
    """A line of JSON on standard error."""
    print(json.dumps({"time": round(time.time(), 3), "event": event, **told}), file=sys.stderr, flush=True)


@dataclass(frozen=True)
class Books:
    """What the gateway itself keeps in its folder."""

    keys: Keys
    register: Register
    vault: Vault
    audit: AuditLog


def opened(serving: Serving, keys: Keys, master: SecretKey | None) -> Books:
    """Raises RegisterError, VaultError, AuditError."""
    vault = Vault(serving.folder, master)
    return Books(keys, Register(serving.folder, serving.customers), vault, AuditLog(serving.folder))


async def keep_days(customers: Customers, audit: Audit) -> None:
    """Finish erasures that were cut short; at the start and after every midnight destroy what no duty keeps any
    more."""
    done_on = ""
    try:
        await customers.finish_erasures()
        while True:
            if (today := customers.today) != done_on:
                for token in await customers.expire():
                    await audit.note("destroy what no duty keeps any more", customer=token)
                done_on = today
            await asyncio.sleep(LOOKS_AT_THE_DAY_S)
    except Exception as error:  # its message may say who
        log("unexpected", error=type(error).__name__, at=place_of(error))


async def _run(build: Build, books: Books, serving: Serving, tell: Callable[[str], None]) -> bool:
    """With the audit log open from before the first host to after the last."""
    audit = Audit(books.audit)
    log("audit", **audit.head._asdict())
    await audit.note("serve starts", detail=f"policy {build.beginning.policy}, rules {build.beginning.rules}")
    try:
        return await _serve(build, books, audit, serving, tell)
    finally:
        await audit.close("serve ends")
        log("audit", **audit.head._asdict())


async def _serve(build: Build, books: Books, audit: Audit, serving: Serving, tell: Callable[[str], None]) -> bool:
    loop = asyncio.get_running_loop()
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
        came = await carrier.until(lambda: room.is_up or bool(room.lost), STARTS_WITHIN_S)
        why = room.lost or (carrier.failed.done() and str(carrier.failed.exception()))
        if why:
            raise ServeError(f"a host could not start: {why}")
        if not came:
            raise ServeError(f"hosts did not start within {STARTS_WITHIN_S:.0f} s")
        room.lead()
        desk = Desk(Dictionary(build.policy), books.register, carrier, build.bounds)
        customers = Customers(desk, books.vault)
        services = Services(desk, Many(desk), Importing(desk), books.keys, log, audit=audit, customers=customers)
        app = App(services)
        keeping = asyncio.create_task(keep_days(customers, audit))
        answered = await _answer_until_told(app, serving, tell, carrying)
        keeping.cancel()
        carrier.end()
        await carrying
        desk.close()
        customers.close()
        return answered
    finally:
        fleet.close()
        books.register.close()


async def _answer_until_told(
    app: App, serving: Serving, tell: Callable[[str], None], carrying: "asyncio.Task[None]"
) -> bool:
    """Whether everything that was taken was answered."""
    loop, stop = asyncio.get_running_loop(), asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    server = Server(
        app, serving.host, serving.port, interface=Interfaces.RSGI, http=HTTPModes.auto, websockets=False,
        log_enabled=False,
    )  # fmt: skip
    answering, stopped = asyncio.create_task(server.serve()), asyncio.create_task(stop.wait())
    listens = asyncio.create_task(until_it_listens(serving))
    await asyncio.wait([listens, answering], return_when=asyncio.FIRST_COMPLETED)
    if not answering.done():
        tell(f"serving {serving.customers:,} customers on http://{serving.host}:{serving.port}, ready")
    done, _ = await asyncio.wait([stopped, answering, carrying], return_when=asyncio.FIRST_COMPLETED)
    app.stop_taking()
    end = loop.time() + ENDS_WITHIN_S
    while app.is_busy and carrying not in done and loop.time() < end:
        await asyncio.sleep(0.01)
    listens.cancel()
    if answering in done:
        raise ServeError(f"HTTP has ended: {answering.exception() or 'nobody said why'}")
    server.stop()
    await asyncio.wait([answering], timeout=ENDS_WITHIN_S)
    if carrying in done:
        await carrying
    return not app.is_busy


async def until_it_listens(serving: Serving) -> None:
    while True:
        try:
            _, writer = await asyncio.open_connection(serving.host, serving.port)
        except OSError:
            await asyncio.sleep(0.01)
            continue
        writer.close()
        return
