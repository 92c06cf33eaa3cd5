"""Locust with arrivals on a schedule: `windtunnel load` runs it; `locust -f loadtests/locustfile.py` shows its page.

Requests fall due whether or not earlier ones were answered. A user of a journey takes what is due, sends it on a free
connection and is told the answer; if none is free the request waits, and its response time counts from when it was due.
All journeys share the connections, for they come in turns: a fraud ring is nearly nobody all day, and then everybody.
Locust's own figures are the service times, from when a request was sent.
"""

import json
import os
import subprocess
import sys
import time
from array import array
from bisect import bisect_right
from collections import Counter
from pathlib import Path
from typing import Any

import gevent
import numpy as np
from gevent.queue import Queue
from locust import LoadTestShape, User, constant, events, task
from locust.env import Environment
from locust.runners import WorkerRunner

from loadtests.generator.adapters import success_of
from loadtests.generator.connection import Connection
from loadtests.generator.meters import Meter, Series
from loadtests.generator.plan import ANSWERED_WITHIN_S, PLAN, Arrival, LoadPlan, share_of
from loadtests.generator.profiles import PROFILES, starts
from loadtests.generator.tape import JOURNEYS, read
from loadtests.generator.wording import Wording

ROOT = Path(__file__).resolve().parent.parent
OPTIONS: dict[str, tuple[Any, Any, str]] = {
    "profile": (str, "steady", f"one of {', '.join(PROFILES)}"),
    "rate": (float, 100.0, "arrivals a second at most"),
    "seconds": (float, 60.0, "how long"),
    "seed": (int, 1, "same seed, same requests at the same moments"),
    "scenario": (str, "", "the scenario whose people and policy it is of"),
    "customers": (int, 2_000, "how many"),
    "connections": (int, 200, "at most so many at once"),
    "key": (str, os.environ.get("WINDTUNNEL_LOAD_KEY", ""), "the service's key"),
    "adapter": (str, "", "a file of Python that says how the service is asked"),
}
BEGIN, DONE = "windtunnel_begin", "windtunnel_done"
BEGINS_IN_S, TURNS = 1.0, 16  # arrivals that are late before others get a turn
WAKES_S = 0.0002  # before an arrival is due: what a sleep is late by
US = 1_000_000
BUSY_SAMPLE_S = 1.0
TIMES_MAX = 200_000  # of arrivals, that are kept to be compared with the schedule

Due = tuple[Arrival, float]


class Generator:
    """One process's part of a plan."""

    def __init__(self, environment: Environment, plan: LoadPlan) -> None:
        self.environment, self.plan, self.tape = environment, plan, read(Path(plan.tape))
        self.wording, self.succeeded = Wording(plan, self.tape), success_of(plan.adapter)
        self.queues = {journey: Queue[Due]() for journey in JOURNEYS}
        connections = [Connection(self.wording, plan.ca_file) for _ in range(plan.connections_each)]
        self.free = Queue[Connection](items=connections)
        self.stages = [Meter() for _ in plan.stages]
        self.edges = starts(plan.stages)[1:]
        self.actions: dict[str, Meter] = {}
        self.series = Series(self.edges[-1])
        self.answered = Counter[int]()  # by customer, of requests that bring one event
        self.times = array("d")  # when each arrival was handed over, since the beginning
        self.busy = list[tuple[float, float]]()  # seconds since the beginning, share of a core
        self.under_way = 0
        self.began = self.begun_s = 0.0

    def run(self, index: int, at: float) -> None:
        """at: seconds since 1970 at which the schedule begins."""
        self.began, self.begun_s = at, time.monotonic() + at - time.time()
        sampling = gevent.spawn(self._sample)
        self._hand_over(index)
        end = time.monotonic() + ANSWERED_WITHIN_S
        while (self.under_way or any(len(queue) for queue in self.queues.values())) and time.monotonic() < end:
            gevent.sleep(0.02)
        sampling.kill()
        for queue in self.queues.values():
            for arrival, _ in queue.queue:
                self.stages[arrival.stage].dropped += 1
        self.environment.runner.send_message(DONE, self.found())

    def _hand_over(self, index: int) -> None:
        """Every arrival when it is due, to whoever is free."""
        journeys, late, before = self.tape.index["journey"], 0, -1.0
        for arrival in share_of(self.plan, self.tape, index):
            due = self.begun_s + arrival.due_s
            late += 1
            while (wait := due - time.monotonic()) > 0:
                gevent.sleep(wait - WAKES_S if wait > WAKES_S else 0)
                late = 0
            if late == TURNS:
                gevent.sleep(0)
                late = 0
            meter, now = self.stages[arrival.stage], time.monotonic()
            meter.offered += 1
            self.series.handed_over(arrival.due_s)
            if arrival.due_s != before:  # of many at once only the first can be on time
                meter.sent_late(round((now - due) * US))
            before = arrival.due_s
            if len(self.times) < TIMES_MAX:
                self.times.append(now - self.begun_s)
            self.actions.setdefault(self.action(arrival), Meter()).offered += 1
            for _ in range(2 if arrival.twice else 1):
                self.queues[JOURNEYS[journeys[arrival.entry]]].put((arrival, due))
            if arrival.twice:
                meter.offered += 1

    def _sample(self) -> None:
        """How busy this process is."""
        while True:
            wall, worked = time.monotonic(), time.process_time()
            gevent.sleep(BUSY_SAMPLE_S)
            now = time.monotonic()
            self.busy.append((now - self.begun_s, (time.process_time() - worked) / (now - wall)))

    def action(self, arrival: Arrival) -> str:
        """What it is called in tables."""
        return self.tape.route(arrival.entry).action + (", slowly" if arrival.slowly else "")

    def take(self, journey: str) -> None:
        """What is due next in a journey, as soon as a connection is free."""
        arrival, due = self.queues[journey].get()
        self.under_way += 1
        if self.free.empty():
            for meter in (self.stages[arrival.stage], self.actions[self.action(arrival)]):
                meter.waited += 1
        connection = self.free.get()
        try:
            self.send(connection, journey, arrival, due)
        finally:
            self.free.put(connection)
            self.under_way -= 1

    def send(self, connection: Connection, journey: str, arrival: Arrival, due: float) -> None:
        """One request, and what became of it."""
        meter, action = self.stages[arrival.stage], self.action(arrival)
        sent = time.monotonic()
        if sent - due > self.plan.dropped_after_s:
            meter.dropped += 1
            self.actions[action].dropped += 1
            self.series.lost(arrival.due_s)
            return
        problem, size = "", 0
        try:
            with gevent.Timeout(ANSWERED_WITHIN_S, TimeoutError("no answer in time")):
                status, body = connection.asked(self.wording.request(arrival.entry, arrival.number), arrival.slowly)
            size = len(body)
            problem = "" if self.succeeded(status, body) else str(status)
        except OSError as error:
            problem = str(error) or type(error).__name__
        now = time.monotonic()
        if not problem and (stage := bisect_right(self.edges, now - self.begun_s)) < len(self.stages):
            self.stages[stage].achieved += 1
        times = round((now - due) * US), round((now - sent) * US)
        for one in (meter, self.actions[action]):
            if problem:
                one.failed[problem] += 1
            elif arrival.slowly and one is meter:
                one.done += 1  # what takes long here is the client
            else:
                one.answered(*times)
        if problem:
            self.series.lost(arrival.due_s)
        else:
            self.series.answered(arrival.due_s, times[0])
            self.answered[int(self.tape.index["customer"][arrival.entry])] += journey != "bulk"
        self.environment.events.request.fire(
            request_type=journey, name=action, response_time=(now - sent) * 1_000, response_length=size, context={},
            exception=RuntimeError(problem) if problem else None,
        )  # fmt: skip

    def found(self) -> dict[str, Any]:
        return {
            "stages": [meter.as_json() for meter in self.stages],
            "actions": {name: meter.as_json() for name, meter in self.actions.items()},
            "times": self.times.tolist(),
            "series": self.series.as_json(),
            "answered": self.answered,
            "busy": self.busy,
            "began": self.began,
            "pid": os.getpid(),
        }


class State:
    """Of this process: Locust makes users and calls listeners by itself."""

    plan: LoadPlan
    generator: Generator | None = None
    found: list[dict[str, Any]] = []


class Client(User):
    """Sends what falls due in its journey."""

    abstract = True
    wait_time = constant(0)
    journey = ""

    @task
    def next_due(self) -> None:
        assert State.generator is not None
        State.generator.take(self.journey)


class Shopper(Client):
    """A customer."""

    journey = "shopper"


class Member(Client):
    """A customer of a tier beyond the first."""

    journey = "member"


class Ring(Client):
    """An account of a fraud ring."""

    journey = "ring"


class BulkIngest(Client):
    """Another system, which sends many events at once."""

    journey = "bulk"


CLIENTS: tuple[type[Client], ...] = (Shopper, Member, Ring, BulkIngest)


class Connections(LoadTestShape):
    """All connections from the beginning until every generator has done its part."""

    def reset_time(self) -> None:
        """It begins, perhaps again."""
        super().reset_time()
        State.found = []

    def tick(self) -> tuple[int, float] | None:
        if len(State.found) == State.plan.generators:
            return None
        total = sum(client.fixed_count for client in self.runner.environment.user_classes)
        return total, total


def begin(environment: Environment, msg: Any, **_: Any) -> None:
    runner = environment.runner
    index = runner.worker_index if isinstance(runner, WorkerRunner) else 0
    gevent.spawn(State.generator.run, index, msg.data["at"])  # type: ignore[union-attr]


def done(environment: Environment, msg: Any, **_: Any) -> None:
    State.found.append(msg.data)
    if len(State.found) == State.plan.generators and State.plan.result:
        Path(State.plan.result).write_text(json.dumps(State.found), "utf-8")


@events.init_command_line_parser.add_listener
def add_options(parser: Any) -> None:
    """Of Locust started by hand."""
    group = parser.add_argument_group("windtunnel", "what is offered, where `windtunnel load` did not plan it")
    for name, (kind, value, words) in OPTIONS.items():
        group.add_argument(f"--load-{name}", type=kind, default=value, help=words)


def plan_of(environment: Environment) -> LoadPlan:
    """Of `windtunnel load`, or made now by another process: living a scenario is not for this one."""
    if PLAN in os.environ:
        return LoadPlan.read(Path(os.environ[PLAN]))
    said = environment.parsed_options
    given = {name.replace("-", "_"): getattr(said, f"load_{name.replace('-', '_')}") for name in OPTIONS}
    given |= {"url": environment.host or "", "generators": max(1, said.processes or 1)}
    words = [sys.executable, "-m", "loadtests.planning", json.dumps(given)]
    done = subprocess.run(words, cwd=ROOT, capture_output=True, text=True, check=False)
    if done.returncode:
        sys.exit(done.stderr.strip())
    return LoadPlan.read(Path(done.stdout.strip()))


@events.init.add_listener
def prepare(environment: Environment, **_: Any) -> None:
    State.plan = plan_of(environment)
    sent = set(np.unique(read(Path(State.plan.tape)).index["journey"]).tolist())
    environment.user_classes = [client for client in CLIENTS if JOURNEYS.index(client.journey) in sent]
    for client in environment.user_classes:  # whoever has no user free waits although a connection may be
        client.fixed_count = State.plan.connections_each * State.plan.generators
    if isinstance(environment.runner, WorkerRunner):
        environment.runner.register_message(BEGIN, begin)
    else:
        environment.runner.register_message(DONE, done)
        if State.plan.generators == 1:
            environment.runner.register_message(BEGIN, begin)


@events.test_start.add_listener
def start(environment: Environment, **_: Any) -> None:
    State.generator = Generator(environment, State.plan)


@events.spawning_complete.add_listener
def ready(user_count: int, **_: Any) -> None:
    generator = State.generator
    if generator is not None and not isinstance(generator.environment.runner, WorkerRunner):
        at = time.time() + BEGINS_IN_S
        if State.plan.begins:
            Path(State.plan.begins).write_text(f"{at}", "utf-8")
        generator.environment.runner.send_message(BEGIN, {"at": at})
