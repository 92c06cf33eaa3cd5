"""What our gateway says of itself while it is under load: its metrics, once a second."""

import threading
import time
from urllib.error import URLError
from urllib.request import Request, urlopen

from prometheus_client.parser import text_string_to_metric_families

EVERY_S, WITHIN_S = 1.0, 5.0
KEPT = {
    "windtunnel_queue_events", "windtunnel_loop_lag_seconds", "windtunnel_oldest_batch_seconds", "windtunnel_settling",
    "windtunnel_put_off", "windtunnel_batch_events", "windtunnel_seat_without_leader", "windtunnel_shard_events_total",
}  # fmt: skip
Gauge = tuple[float, dict[str, float]]  # seconds since 1970; values by name and seat


class Gauges:
    """Samples of a gateway, or none where there is no key to ask with."""

    def __init__(self, url: str, operator: str) -> None:
        self._request = Request(f"{url}/metrics", headers={"authorization": f"Bearer {operator}"})
        self._is_on = bool(operator)
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._look, daemon=True)
        self.samples: list[Gauge] = []

    def __enter__(self) -> "Gauges":
        if self._is_on:
            self._thread.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._ended.set()
        if self._is_on:
            self._thread.join()

    def _look(self) -> None:
        while not self._ended.wait(EVERY_S):
            try:
                with urlopen(self._request, timeout=WITHIN_S) as answer:
                    text = answer.read().decode()
            except (URLError, TimeoutError, ConnectionError):
                continue
            self.samples.append((time.time(), values(text)))


def values(text: str) -> dict[str, float]:
    """By name, and seat where there is one."""
    found: dict[str, float] = {}
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            if sample.name in KEPT:
                found["/".join([sample.name, *sample.labels.values()])] = sample.value
    return found


def risen_between(samples: list[Gauge], name: str, since: float, until: float) -> dict[str, float]:
    """By how much each label's counter rose between the first and the last look; nothing where nobody looked twice."""
    within = [of for at, of in samples if since <= at <= until]
    keys = [key for key in (within[0] if len(within) > 1 else {}) if key.partition("/")[0] == name]
    return {key.partition("/")[2]: within[-1].get(key, 0.0) - within[0][key] for key in keys}


def most_between(samples: list[Gauge], name: str, since: float, until: float) -> float | None:
    """The most that any seat's gauge showed; None where nobody looked."""
    within = [value for at, of in samples if since <= at <= until for key, value in of.items()
              if key.partition("/")[0] == name]  # fmt: skip
    return max(within, default=None)
