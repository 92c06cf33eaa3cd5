"""The same decisions on Ray Serve, as fast as we know how to make it: one replica that takes requests in batches and
has the engine in its own process. Nothing is kept on disk, and no Ledger is asked.

`python -m loadtests.bench_serve PORT POLICY CUSTOMERS`, until SIGTERM. Needs `ray[serve]`, the extra `bench`.
"""

import os
import signal
import sys
import time
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path
from threading import Event
from typing import Any

import msgspec
import numpy as np

from engine.host.ledger import LedgerHost
from engine.host.profiles import newcomer, number_events
from engine.host.shard import CustomerShard
from engine.policy.document import Policy
from engine.policy.tables import load_policy
from engine.records import Channel
from gateway.answering import Answering
from gateway.asking import Asking
from gateway.blocks import Outcome, joined, whole
from gateway.bodies import Decide
from gateway.dictionary import Challenges, Dictionary
from gateway.engine_room import compiled_for
from gateway.refusal_book import RefusalBook

HOST = "127.0.0.1"
BATCH_MAX, BATCH_WAIT_S = 256, 0.0  # of those tried: a wait costs everybody more than larger batches give
ONGOING_MAX = 1_000
PEPPER = b"of no consequence: nobody's identity is told"
# What Ray's guide to Serve's performance names; a replica of its own port would go around Serve's proxy.
SETTINGS = {
    "RAY_SERVE_THROUGHPUT_OPTIMIZED": "1",
    "RAY_SERVE_ENABLE_DIRECT_INGRESS": "0",
    "RAY_worker_niceness": "0",
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_AUTH_MODE": "disabled",
    "RAY_task_events_report_interval_ms": "0",
}


def is_installed() -> bool:
    return all(find_spec(name) is not None for name in ("fastapi", "starlette", "uvicorn", "aiohttp"))


class Decider:
    """Decisions of customers c-0, c-1, … under a policy, as the gateway makes them."""

    def __init__(self, policy: Policy, customers: int) -> None:
        begins = time.time_ns() // 1_000_000
        compiled = compiled_for(policy, begins)
        dictionary = Dictionary(compiled)
        self.asking = Asking(dictionary, PEPPER)
        self.answering = Answering(dictionary, Challenges(dictionary, str.encode), RefusalBook())
        ledger = LedgerHost(compiled.tables, compiled.coupons, compiled.budgets, [(0, customers)], begins, live=True)
        self.shard = CustomerShard(0, customers, compiled.tables, compiled.registry.slots)
        self.shard.customers[:] = newcomer()[0]
        self.shard.customers["consent"] = 1 << Channel.PUSH
        self.shard.take_bulletin(ledger.bulletin())
        self.numbers = {f"c-{number}": number for number in range(customers)}
        self.decoder, self.encoder = msgspec.json.Decoder(Decide), msgspec.json.Encoder()

    def decided(self, texts: Sequence[bytes]) -> list[bytes]:
        """Bodies to bodies, in their order."""
        now = time.time_ns() // 1_000_000
        bodies = [self.decoder.decode(text) for text in texts]
        blocks = [self.asking.decide(body, self.numbers[body.customer], nobody) for body in bodies]
        events = joined([whole(block) for block in blocks]).events
        events["time_ms"] = now
        number_events(self.shard.customers, 0, events)
        decisions, _ = self.shard.decide(events)
        self.shard.account(now)  # what it would ask of the Ledger
        return [self._told(body, decisions[at : at + 1]) for at, body in enumerate(bodies)]

    def _told(self, body: Decide, decision: np.ndarray) -> bytes:
        none = np.zeros(0)
        return self.encoder.encode(self.answering.decision(Outcome(decision, none, none), body.customer, False))


def nobody(outcome: Outcome) -> None:
    """Who asked is told by its future."""


def run(port: int, policy: Path, customers: int) -> None:
    os.environ.update(SETTINGS)
    import ray
    from ray import serve
    from ray.serve.schema import LoggingConfig
    from starlette.responses import Response

    class Replica:
        def __init__(self) -> None:
            self.decider = Decider(load_policy(policy), customers)
            self.decider.decided([b'{"customer":"c-0","event":"login"}'])

        @serve.batch(max_batch_size=BATCH_MAX, batch_wait_timeout_s=BATCH_WAIT_S)  # type: ignore[untyped-decorator]
        async def decided(self, texts: Any) -> Any:
            return self.decider.decided(texts)

        async def __call__(self, request: Any) -> Response:
            told = b"{}" if request.method == "GET" else await self.decided(await request.body())  # GET: is it there?
            return Response(told, media_type="application/json")  # bytes alone would be sent without their length

    ray.init(address="local", include_dashboard=False, log_to_driver=False, logging_level="ERROR")
    quiet = LoggingConfig(log_level="ERROR", enable_access_log=False)
    serve.start(http_options={"host": HOST, "port": port}, logging_config=quiet)
    deployment = serve.deployment(
        Replica, num_replicas=1, max_ongoing_requests=ONGOING_MAX, logging_config=quiet,
        ray_actor_options={"num_cpus": 0},
    )  # fmt: skip
    serve.run(deployment.bind())
    over = Event()
    signal.signal(signal.SIGTERM, lambda *_: over.set())
    over.wait()
    serve.shutdown()
    ray.shutdown()


if __name__ == "__main__":
    run(int(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3]))
