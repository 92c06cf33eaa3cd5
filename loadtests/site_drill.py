"""The drill of a lost site: two clusters, each with a supervisor of its own, the second fed over TCP. The first is
killed, and a person has the second take over."""

import contextlib
import json
import multiprocessing
import os
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from engine.host.link import Link, connected
from engine.host.messages import Ask, Envelope, Hello, Lead, Said, TakeOver, Tick
from engine.host.partitions import bounds_of
from engine.host.replica import Care
from loadtests.client import DrillClient
from loadtests.company import STALLS_FOR_S, STARTS_WITHIN_S, DrillError, Undisturbed
from loadtests.held import Drill, DrillOptions, Found, Held, Parts, held
from loadtests.site import ENDS, FIRST, PORT, SECOND, SiteSetting, run_site
from loadtests.traffic import CLIENT, Traffic

STATE = "state"
ASK_S, TICK_S, ENDS_WITHIN_S = 0.2, 0.002, 30.0


@dataclass
class Sites:
    """Two sites, and the client that speaks to one of them."""

    links: dict[str, Link]
    processes: dict[str, Any]
    client: DrillClient
    served_by: str = FIRST
    said: dict[str, dict[str, Any]] = field(default_factory=dict)  # the latest answer of a site, by what was asked
    led: float = 0.0  # when the client was last told who leads

    def turn(self) -> None:
        """Take what has come, and let the client speak."""
        out = list(self.client.receive(Tick(), 0))
        for name, link in self.links.items():
            for envelope in link.received():
                if isinstance(envelope.message, Said):
                    self.said[envelope.message.what] = json.loads(envelope.message.told)
                elif name == self.served_by:
                    self.led = time.time() if isinstance(envelope.message, Lead) else self.led
                    out += self.client.receive(envelope.message, 0)
        for envelope in out:
            self.links[self.served_by].send(envelope)
        time.sleep(TICK_S)

    def until(self, is_over: Callable[[], bool], within_s: float, what: str) -> None:
        """Let messages go until something is so; DrillError where it takes too long."""
        end = time.monotonic() + within_s
        while not is_over():
            self.turn()
            if time.monotonic() > end:
                raise DrillError(f"{what} took more than {within_s:.0f} s")

    def until_more_answers(self) -> None:
        so_far = len(self.client.responses)
        self.until(lambda: len(self.client.responses) > so_far, STALLS_FOR_S, "an answer")

    def ask(self, site: str, what: str, within_s: float) -> dict[str, Any]:
        """What a site says of itself."""
        self.said.pop(what, None)
        self.links[site].send(Envelope("", Ask(what)))
        self.until(lambda: what in self.said, within_s, f"asking the {site} site for its {what}")
        return self.said[what]

    def wait_until_fed(self) -> None:
        """The second site has all that the first one promised."""
        end = time.monotonic() + STARTS_WITHIN_S
        while lacking := self.ask(SECOND, STATE, ENDS_WITHIN_S)["lacking"]:
            if time.monotonic() > end:
                raise DrillError("; ".join(["the second site was not fed in time", *lacking]))
            time.sleep(ASK_S)

    def lose(self) -> None:
        """Every process of the first site is killed, by its id."""
        for process in family(self.processes[FIRST].pid):
            with contextlib.suppress(ProcessLookupError):
                os.kill(process, signal.SIGKILL)

    def take_over(self) -> dict[str, Any]:
        """A person says so."""
        self.said.pop("take over", None)
        self.served_by = SECOND
        self.links[SECOND].send(Envelope("", TakeOver()))
        self.until(lambda: "take over" in self.said, ENDS_WITHIN_S, "taking over")
        return self.said["take over"]


@contextmanager
def sites(
    traffic: Traffic, shards: int, folder: Path, care: Care, way: Callable[[int], int] = lambda port: port
) -> Iterator[Sites]:
    """Two sites in processes of their own; all their processes are ended afterwards. way: to which port the first goes
    to reach that of the second."""
    context, processes, links = multiprocessing.get_context("spawn"), {}, {}
    peer: int | None = None
    try:
        for name in (SECOND, FIRST):
            setting = SiteSetting(name, folder / name, traffic, shards, care, way(peer) if peer is not None else None)
            processes[name] = context.Process(target=run_site, args=(setting,))
            processes[name].start()
            peer = port_of(folder / name / PORT, processes[name])
            links[name] = connected(peer)
            links[name].send(Envelope("", Hello(CLIENT)))
        bounds = bounds_of(traffic.customers, shards)
        client = DrillClient({shard: traffic.batches(shard, *bound) for shard, bound in enumerate(bounds)}, most=0)
        yield Sites(links, processes, client)
    finally:
        for name, link in links.items():
            link.send(Envelope("", Ask(ENDS)))
            processes[name].join(ENDS_WITHIN_S)
        for process in processes.values():
            for one in family(process.pid or 0) if process.is_alive() else []:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(one, signal.SIGKILL)
            process.join()


def hold_site_failover(
    drill: Drill,
    options: DrillOptions,
    folder: Path,
    traffic: Traffic,
    truth: Undisturbed,
    tell: Callable[[float], None],
) -> Held:
    """Hold it. tell(share done). Raises DrillError."""
    steps, care = len(traffic.steps), Care(records_between_snapshots=options.records_between_snapshots)
    with sites(traffic, options.shards, folder, care) as here:
        here.wait_until_fed()
        tell(0.2)
        client = here.client
        client.begin()

        def until_done(step: int) -> None:
            while (done := min(client.done.get(shard, 0) for shard in range(options.shards))) < step:
                here.until_more_answers()
                tell(0.2 + 0.8 * done / steps)

        until_done(int(options.at * steps))
        struck = time.time()
        here.lose()
        here.until(lambda: not here.links[FIRST].is_up, STALLS_FOR_S, "noticing that the first site is gone")
        detected = time.time()
        taken = here.take_over()
        if "refused" in taken:
            raise DrillError("; ".join(["the second site could not take over", *taken["refused"]]))
        led = time.time()
        notes = [f"the second site had heard of the first {taken['silent_s']:.2f} s before it took over"]
        until_done(steps)
        end = here.ask(SECOND, STATE, ENDS_WITHIN_S)
        parts = parts_of(client, options, struck, detected, led)
        found = Found(end["digests"], end["decided"], [struck], parts, notes)
        return held(drill, options, traffic.events, truth, client, found)


def parts_of(client: DrillClient, options: DrillOptions, struck: float, detected: float, led: float) -> Parts:
    """Nothing is loaded or replayed: the second site has it all."""
    answered = min((one.answered for one in client.responses if one.answered > led), default=None)
    late = [one.answered for one in client.responses if one.answered > struck and one.seconds > options.objective_s]
    back = max(late) - struck if late else 0.0
    return Parts(detected - struck, None, None, None, led - struck, answered and answered - struck, back)


def port_of(file: Path, process: Any) -> int:
    """Where a site listens, once it does."""
    end = time.monotonic() + STARTS_WITHIN_S
    while not file.exists():
        if time.monotonic() > end or not process.is_alive():
            raise DrillError(f"the {file.parent.name} site did not start")
        time.sleep(ASK_S)
    return int(file.read_text())


def family(process: int) -> list[int]:
    """A process and all that came of it, the eldest first."""
    children: dict[int, list[int]] = {}
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):
            parent = int(stat.read_text().rsplit(")", 1)[1].split()[1])
            children.setdefault(parent, []).append(int(stat.parent.name))
    found = [process]
    for one in found:
        found += children.get(one, [])
    return found
