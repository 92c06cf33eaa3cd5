"""`windtunnel serve`: hosts on Ray, and HTTP in front of them, until somebody says stop."""

import asyncio
import os
import signal
import socket
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import uvloop
from granian.constants import HTTPModes, Interfaces, SSLProtocols
from granian.http import HTTP1Settings, HTTP2Settings
from granian.server.embed import Server

from engine.compiled import OF_HOSTS, is_compiled, mark_compiled
from engine.host.disk import locked
from engine.host.machines import OPERATOR, seats_of
from engine.host.ray_cluster import cluster
from engine.host.ray_fleet import SPARES, RayFleet
from engine.host.replica import Care
from engine.host.warming import keep_what_is_loaded
from gateway.app import App, place_of
from gateway.audit import FILE as AUDIT
from gateway.audit import Audit, AuditLog
from gateway.blocks import Outcome
from gateway.carrier import Carrier
from gateway.customers import Customers
from gateway.desk import Desk
from gateway.dispatcher import Dispatcher
from gateway.doorkeeper import CONNECTIONS_MAX, IDLE_S, Doorkeeper, make_room
from gateway.engine_room import Build, EngineRoom, Given, began
from gateway.importing import Importing
from gateway.keys import Keys
from gateway.logs import log
from gateway.many import Many
from gateway.metrics import Counts, Pulse, Sources
from gateway.operation import Operation
from gateway.publisher import Publisher
from gateway.register import FILE, Register
from gateway.route import Services
from gateway.sealing import SecretKey, master_key
from gateway.tls import CertificateError, Tls, is_for_others, looked_at
from gateway.vault import Vault
from gateway.wellness import Wellness, Witness

STARTS_WITHIN_S, ENDS_WITHIN_S = 600.0, 15.0
HOSTS = "hosts"
LOOKS_AT_THE_DAY_S = 30.0
BACKLOG = 1_024  # connections that wait until they are taken
HEAD_MAX = 64 * 1024  # bytes of a request's line and headers
# Times are of one connection; the doorkeeper bounds what these leave open.
HTTP1 = HTTP1Settings(header_read_timeout=int(IDLE_S * 1_000), max_buffer_size=HEAD_MAX)
HTTP2 = HTTP2Settings(
    initial_connection_window_size=256 * 1024, initial_stream_window_size=64 * 1024, keep_alive_interval=20_000,
    keep_alive_timeout=20, max_concurrent_streams=100, max_headers_size=HEAD_MAX, max_send_buffer_size=64 * 1024,
)  # fmt: skip


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
    certificate: Path | None = None
    private_key: Path | None = None
    private_key_password_env: str | None = None  # the environment's variable that has it
    log_requests: bool = False
    plain_http_beyond_this_machine: bool = False

    @property
    def url(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{'https' if self.certificate else 'http'}://{host}:{self.port}"


def serve(given: Given, serving: Serving, tell: Callable[[str], None]) -> bool:
    """Until SIGTERM or SIGINT; whether everything that was taken was answered. tell: a line for whoever watches.
    Raises ServeError and whatever else is wrong with the folder, its keys or a certificate."""
    try:
        lock = locked(serving.folder)
    except BlockingIOError as error:
        raise ServeError(f"{serving.folder}: {error.strerror}") from None
    try:
        master, keys, tls = master_key(serving.vault_key, serving.folder), checked(serving), certified(serving)
        beginning, compiled = began(serving.folder, given, serving.customers, serving.shards)
        books = opened(serving, keys, master)
        build = Build(compiled, beginning)
        if not is_compiled(OF_HOSTS):  # once, before any host starts
            log("compiles")
            build.warm()
            mark_compiled(OF_HOSTS)
        with cluster(serving.address), asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            return runner.run(_run(build, books, tls, serving, tell))
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


def certified(serving: Serving) -> Tls | None:
    """The certificate and its key, looked at; nothing without. Raises CertificateError."""
    if serving.certificate is None or serving.private_key is None:
        return None
    variable = serving.private_key_password_env
    if variable is not None and variable not in os.environ:
        raise CertificateError(f"--private-key-password-env must name a variable that is set (got {variable})")
    password = None if variable is None else os.environ[variable]
    tls = looked_at(serving.certificate, serving.private_key, password, datetime.now(UTC))
    if is_for_others(serving.private_key):
        log("private key", readable_by="everybody on this machine", file=str(serving.private_key))
    return tls


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


async def _run(build: Build, books: Books, tls: Tls | None, serving: Serving, tell: Callable[[str], None]) -> bool:
    """With the audit log open from before the first host to after the last."""
    audit = Audit(books.audit)
    log("audit", **audit.head._asdict())
    await audit.note("serve starts", detail=f"policy {build.beginning.policy}, rules {build.beginning.rules}")
    try:
        return await _serve(build, books, audit, tls, serving, tell)
    finally:
        await audit.close("serve ends")
        log("audit", **audit.head._asdict())


async def _serve(
    build: Build, books: Books, audit: Audit, tls: Tls | None, serving: Serving, tell: Callable[[str], None]
) -> bool:
    loop, stop = asyncio.get_running_loop(), told_to_stop()
    name = f"gateway@{time.time_ns()}"
    dispatcher = Dispatcher(name, serving.shards, clock_ms)
    publisher = Publisher(serving.folder, build.policy, seats_of(serving.shards), serving.customers, clock_ms, log)
    carriers: list[Carrier] = []  # one, once there is a fleet whose calls wake it
    fleet = RayFleet(build.warm, SPARES, lambda: carriers[0].wake())
    try:
        room = EngineRoom(build, serving.folder / HOSTS, serving.care, serving.standby, fleet)
        carrier = Carrier(room.switch, dispatcher, loop)
        carriers.append(carrier)
        room.switch.locals |= {name: dispatcher, OPERATOR: publisher}
        room.switch.overhear = dispatcher.overhear
        witness = Witness(room.switch, log)
        room.switch.tell = witness.heard
        log("starts", folder=str(serving.folder), policy=build.beginning.policy, customers=serving.customers,
            shards=serving.shards, url=serving.url)  # fmt: skip
        room.start()
        carrying = asyncio.create_task(carrier.run())
        if not await started(room, carrier, stop):
            return True
        room.lead()
        keep_what_is_loaded()
        desk = Desk(publisher.speaking, books.register, carrier, build.bounds)
        customers = Customers(desk, books.vault)
        services = Services(desk, Many(desk), Importing(desk), publisher, books.keys, log, audit, customers)
        app = App(services)
        sources = Sources(
            desk, Wellness(room.switch, room.supervisor), witness, Doorkeeper(serving.port, make_room(CONNECTIONS_MAX)),
            Pulse(dispatcher), serving.folder, serving.folder / HOSTS, publisher, tls,
        )  # fmt: skip
        operation = services.operation = Operation(sources, log, serving.log_requests)
        desk.counted = operation.metrics.counts.told
        desk.watched = watching(operation.metrics.counts, publisher)
        room.switch.overhear = operation.overhear
        keeping = asyncio.create_task(keep_days(customers, audit))
        answered = await _answer_until_told(app, operation, serving, tell, carrying, stop)
        keeping.cancel()
        carrier.end()
        await carrying
        desk.close()
        customers.close()
        return answered
    finally:
        for one in carriers:
            one.end()
        fleet.close()
        books.register.close()


def clock_ms() -> int:
    return time.time_ns() // 1_000_000


def watching(counts: Counts, publisher: Publisher) -> Callable[[Outcome], None]:
    """What shards decided is counted, and a trial looked after."""

    def watched(outcome: Outcome) -> None:
        counts.decided(outcome.decisions)
        publisher.watch(outcome)

    return watched


def told_to_stop() -> asyncio.Event:
    """Is set by SIGTERM and SIGINT."""
    loop, stop = asyncio.get_running_loop(), asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    return stop


async def started(room: EngineRoom, carrier: Carrier, stop: asyncio.Event) -> bool:
    """Every host has recovered; False where somebody said stop before. Raises ServeError."""
    came = await carrier.until(lambda: room.is_up or bool(room.lost) or stop.is_set(), STARTS_WITHIN_S)
    why = room.lost or (carrier.failed.done() and str(carrier.failed.exception()))
    if why:
        raise ServeError(f"a host could not start: {why}")
    if not came:
        raise ServeError(f"hosts did not start within {STARTS_WITHIN_S:.0f} s")
    return not stop.is_set()


async def _answer_until_told(
    app: App,
    operation: Operation,
    serving: Serving,
    tell: Callable[[str], None],
    carrying: "asyncio.Task[None]",
    stop: asyncio.Event,
) -> bool:
    """Whether everything that was taken was answered."""
    loop = asyncio.get_running_loop()
    server = server_of(app, serving, operation)
    watching = asyncio.create_task(operation.watch())
    answering, stopped = asyncio.create_task(server.serve()), asyncio.create_task(stop.wait())
    listens = asyncio.create_task(until_it_listens(serving))
    await asyncio.wait([listens, answering], return_when=asyncio.FIRST_COMPLETED)
    if not answering.done():
        tell(f"serving {serving.customers:,} customers on {serving.url}, ready")
        log("ready", url=serving.url)
    done, _ = await asyncio.wait([stopped, answering, carrying], return_when=asyncio.FIRST_COMPLETED)
    app.stop_taking()
    log("stops", under_way=app.under_way)
    end = loop.time() + ENDS_WITHIN_S
    while app.is_busy and carrying not in done and loop.time() < end:
        await asyncio.sleep(0.01)
    for task in (listens, watching):
        task.cancel()
    if answering in done:
        raise ServeError(f"HTTP has ended: {answering.exception() or 'nobody said why'}")
    server.stop()  # type: ignore[no-untyped-call]
    await asyncio.wait([answering], timeout=ENDS_WITHIN_S)
    if carrying in done:
        await carrying
    return not app.is_busy


def server_of(app: App, serving: Serving, operation: Operation) -> Server:
    """HTTP/1.1 and 2; with a certificate TLS 1.2 and 1.3, of which the server knows only what is strong."""
    tls = operation.sources.tls
    files: dict[str, Any] = {} if tls is None else {
        "ssl_cert": tls.certificate, "ssl_key": tls.private_key, "ssl_key_password": tls.password,
        "ssl_protocol_min": SSLProtocols.tls12,
    }  # fmt: skip
    return Server(
        app, serving.host, serving.port, interface=Interfaces.RSGI, http=HTTPModes.auto, websockets=False,
        log_enabled=False, backlog=BACKLOG, backpressure=operation.door.most, http1_settings=HTTP1,
        http2_settings=HTTP2, **files,
    )  # fmt: skip


async def until_it_listens(serving: Serving) -> None:
    while True:
        try:
            _, writer = await asyncio.open_connection(serving.host, serving.port)
        except OSError:
            await asyncio.sleep(0.01)
            continue
        writer.close()
        return
