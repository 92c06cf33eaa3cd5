"""Hosts as Ray actors: started, handed messages without waiting, ended by the id of their process."""

import contextlib
import os
import signal
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from engine.host.messages import Envelope, Message
from engine.host.process import HostProcess
from engine.host.ray_cluster import living_nodes

GOES_WITHIN_S = 0.2
SPARES = 1  # processes that wait for a seat, where nothing else is asked for
PULSE = "pulse"  # group of calls that an actor answers beside the others
SIGNALS = {"freeze": signal.SIGSTOP, "kill": signal.SIGKILL}


@dataclass(frozen=True)
class Lost:
    """The process of a host is gone."""

    why: str


@dataclass
class _Actor:
    handle: Any
    process: int = 0


class RayFleet:
    """Each host is an actor; one call of each is under way at most."""

    def __init__(self, warm: Callable[[], object], spares: int = 0, wake: Callable[[], object] | None = None) -> None:
        """warm: what a process does before it takes a seat; spares: how many wait for one, on each node. wake: called
        in any thread when a call is over, by whoever does not wait in `done`."""
        import ray

        self._ray = ray
        self._warm = ray.put(warm)
        self._actors: dict[str, _Actor] = {}
        self._running: dict[Any, str] = {}  # host, by the call that is under way
        self._wake, self._over = wake, deque[tuple[Any, Any]]()  # calls that are over, and what they gave
        self._pulses: dict[Any, str] = {}  # host, by the question whether it runs
        nodes = [None, *living_nodes()[1:]] if spares else []  # the first is where whatever is not placed goes
        self._spares = {node: [self._process(HostProcess, node, self._warm) for _ in range(spares)] for node in nodes}

    def _process(self, make: Callable[..., Any], node: str | None, *arguments: Any) -> Any:
        """An actor on a node; where the cluster's head is when that is gone, and without a node."""
        # Not `soft`: of what needs no CPU, Ray puts half somewhere else then.
        living = living_nodes()
        to = node if node in living else living[0]
        strategy = self._ray.util.scheduling_strategies.NodeAffinitySchedulingStrategy(to, soft=False)
        groups = {PULSE: 1}
        actor = self._ray.remote(num_cpus=0, max_restarts=0, max_task_retries=0, concurrency_groups=groups)(make)
        return actor.options(scheduling_strategy=strategy).remote(*arguments)

    def seat(self, host: str, *arguments: Any, node: str | None = None) -> None:
        """A spare, or a new process, takes a seat; its first answer is how it recovered. node: the id of one."""
        spares = self._spares.get(node, []) if node is None or node in living_nodes() else []
        if spares:
            spares.append(self._process(HostProcess, node, self._warm))
        handle = spares.pop(0) if spares else self._process(HostProcess, node, self._warm)
        self._actors[host] = _Actor(handle)
        self._began(handle.take_seat.remote(*arguments), host)

    def start(self, host: str, make: Callable[..., Any], *arguments: Any) -> None:
        """A process of another kind; its first answer is how it recovered."""
        handle = self._process(make, None, *arguments)
        self._actors[host] = _Actor(handle)
        self._began(handle.how_recovered.remote(), host)

    def wait_for_spares(self) -> None:
        self._ray.get([spare.is_warm.remote() for spares in self._spares.values() for spare in spares])

    def share(self, value: Any) -> Any:
        """Something large that several hosts are started with, sent to each node once."""
        return self._ray.put(value)

    def send(self, host: str, messages: Sequence[Message]) -> None:
        """Hand over messages, in order; the host must not have a call under way."""
        self._began(self._actors[host].handle.receive.remote(messages), host)

    def _began(self, call: Any, host: str) -> None:
        self._running[call] = host
        if self._wake is not None:
            call.future().add_done_callback(lambda future: self._ended(call, future))

    def _ended(self, call: Any, future: Any) -> None:
        self._over.append((call, future))
        assert self._wake is not None
        self._wake()

    def ask(self, host: str, method: str) -> Any:
        """Call a method and wait for the answer."""
        return self._ray.get(getattr(self._actors[host].handle, method).remote())

    def done(self, within_s: float) -> list[tuple[str, Any]]:
        """(host, envelopes or Recovery or Lost) of every call that is over; waits so long for the first, where nobody
        is woken."""
        if self._wake is not None:
            over = [self._over.popleft() for _ in range(len(self._over))]
            return [(self._running.pop(call), self._result(of.result)) for call, of in over if call in self._running]
        if not self._running:
            time.sleep(within_s)
            return []
        first, _ = self._ray.wait(list(self._running), num_returns=1, timeout=within_s)
        if not first:
            return []
        done, _ = self._ray.wait(list(self._running), num_returns=len(self._running), timeout=0)
        return [(self._running.pop(call), self._result(self._getting(call))) for call in done]

    def feel(self) -> list[str]:
        """Ask every host beside its work whether it runs; those that have answered since the last time."""
        asked = set(self._pulses.values())
        for host in self._actors.keys() - asked:
            self._pulses[self._actors[host].handle.pulse.options(concurrency_group=PULSE).remote()] = host
        if not self._pulses:
            return []
        done, _ = self._ray.wait(list(self._pulses), num_returns=len(self._pulses), timeout=0)
        answered = [(self._pulses.pop(call), self._result(self._getting(call))) for call in done]
        return [host for host, result in answered if not isinstance(result, Lost)]

    def _getting(self, call: Any) -> Callable[[], Any]:
        return lambda: self._ray.get(call)

    def _result(self, get: Callable[[], Any]) -> "list[Envelope] | Any | Lost":
        try:
            return get()
        except self._ray.exceptions.RayTaskError as error:
            cause = error.as_instanceof_cause()
            if isinstance(cause, OSError):
                return Lost(str(error).splitlines()[-1])  # its disk failed while it recovered
            raise cause from None
        except self._ray.exceptions.RayError as error:
            lines = str(error).strip().splitlines()
            return Lost(lines[-1] if "creation task" in lines[0] else lines[0])  # what broke it is said last

    def process(self, host: str, process: int) -> None:
        """Note the id of a host's process."""
        self._actors[host].process = process

    def signal(self, host: str, what: str) -> None:
        """Freeze or kill a host's process by its id."""
        with contextlib.suppress(ProcessLookupError):
            os.kill(self._actors[host].process, SIGNALS[what])

    def end(self, host: str) -> None:
        """The process is gone when this returns."""
        actor = self._actors.pop(host, None)
        if actor is None:
            return
        self._ray.kill(actor.handle, no_restart=True)
        _wait_for_end(actor.process)
        for calls in (self._running, self._pulses):
            for call in [call for call, of in calls.items() if of == host]:
                del calls[call]

    def close(self) -> None:
        """End all of them."""
        for host in list(self._actors):
            self.end(host)
        for spare in [spare for spares in self._spares.values() for spare in spares]:
            self._ray.kill(spare, no_restart=True)


def _wait_for_end(process: int) -> None:
    """Ray asks a process to go; one that does not hear, for it is frozen or busy, is killed."""
    deadline = time.monotonic() + GOES_WITHIN_S
    while process and _is_there(process):
        if time.monotonic() > deadline:
            with contextlib.suppress(ProcessLookupError):
                os.kill(process, signal.SIGKILL)
        time.sleep(0.005)


def _is_there(process: int) -> bool:
    """Whether it runs; one that has ended and waits to be noticed does not."""
    try:
        return Path(f"/proc/{process}/stat").read_text().rsplit(")", 1)[1].split()[0] not in "ZX"
    except OSError:
        return False
