"""A gateway is broken while it is under load: what callers felt, and whether anything that was answered is lost."""

from statistics import fmean
from typing import Any

from engine.policy.tables import load_policy
from gateway.engine_room import Given
from loadtests.bench_servers import BenchError
from loadtests.generator.meters import BIN_S
from loadtests.generator.profiles import starts
from loadtests.load_audit import kept_events, lost
from loadtests.load_run import Bench, Loaded
from loadtests.strikes import STRIKES, Striker
from loadtests.target import room_for

BACK_WITHIN_S = 10.0


class LoadDrill:
    """One strike, in the middle of what is judged."""

    def __init__(self, name: str, bench: Bench, objective_ms: float) -> None:
        assert bench.target.log is not None, "only our own gateway is struck"
        self.bench, self.objective_ms = bench, objective_ms
        self.striker = Striker(STRIKES[name], bench.target.log)
        self.kept: dict[int, int] = {}
        bench.at_end = self._audit

    def begun(self, at: float, stages: Any) -> None:
        edges = starts(stages)
        judged = next(edge for edge, stage in zip(edges, stages, strict=False) if stage.counts)
        self.striker.begin(at + (judged + edges[-1]) / 2)

    def _audit(self) -> None:
        """The gateway has ended: its journals are read as a host that takes over would."""
        bench, people = self.bench, self.bench.people
        assert bench.target.folder is not None
        given = Given(load_policy(people.policy), people.policy.read_text("utf-8"))
        names = {number: bench.target.adapter.name_of(number) for number in range(len(people))}
        self.kept = kept_events(bench.target.folder, given, room_for(people), bench.options.shards, names)

    def as_found(self, loaded: Loaded) -> dict[str, Any]:
        """Raises BenchError where nothing was struck."""
        striker = self.striker
        if not striker.at:
            raise BenchError(f"nothing was struck: {striker.error or 'the load ended before'}")
        struck_s = striker.at - loaded.began
        felt = felt_after(loaded.series, struck_s, self.objective_ms)
        return {
            "name": striker.strike.name,
            "sentence": striker.strike.sentence,
            "seat": striker.strike.seat,
            "struck_s": struck_s,
            "objective_ms": self.objective_ms,
            "back_within_s": BACK_WITHIN_S,
            "answered": sum(loaded.answered.values()),
            "kept": sum(self.kept.values()),
            "lost": lost(loaded.answered, self.kept),
            **felt,
        }


def felt_after(series: dict[str, list[int]], struck_s: float, objective_ms: float) -> dict[str, Any]:
    """From the bins of requests by when they were due: how long callers were without good answers, and how deep the
    answers a second fell against before."""
    first = int(struck_s / BIN_S)
    is_bad = [bad > 0 or worst > 1_000 * objective_ms
              for bad, worst in zip(series["bad"], series["worst_us"], strict=True)]  # fmt: skip
    bad = [number for number in range(first, len(is_bad)) if is_bad[number]]
    before, after = series["achieved"][:first], series["achieved"][first:]
    usual = fmean(before[len(before) // 2 :]) if before else 0.0
    return {
        "back_s": (bad[-1] + 1) * BIN_S - struck_s if bad else 0.0,
        "is_back": not is_bad[-1],
        "dip": min(after) / usual if usual and after else None,
        "worst_ms": max(series["worst_us"][first:], default=0) / 1_000,
        "bad": sum(series["bad"][first:]),
    }
