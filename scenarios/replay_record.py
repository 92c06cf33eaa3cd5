"""Reads a recording settlement by settlement, and refuses what compiled rules could not look up."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from engine.coupon_records import Answer, Inbox
from engine.host.wire import WITH_CARTS
from engine.records import CHANNELS, EVENT_KINDS, MOMENTS_MAX, NONE, EventKind
from results.store import Run
from results.tables import RECORDED, SETTLEMENT
from scenarios.exits import UsageError
from scenarios.recording import COUNTED_BY
from scenarios.worker import RunPlan

MOMENTS = (0, MOMENTS_MAX - 1)
LOGS = COUNTED_BY | {"decided": "decided", "replies": "replies"}  # column of SETTLEMENT, by log


def require(holds: bool, sentence: str) -> None:
    """Live must equal replay; where it does not, no comparison is worth anything."""
    if not holds:
        raise AssertionError(f"{sentence}: the recording was changed, or made by other sources of windtunnel")


def log_of(run: Run, name: str) -> Iterator[np.ndarray]:
    """Batches of a recorded log; UsageError where the file is broken."""
    try:
        yield from run.log(name)
    except (OSError, ValueError) as error:
        file = run.folder / "tables" / f"{name}.parquet"
        raise UsageError(f"{file} must be a table as a run writes it (got {str(error).splitlines()[0]})") from None


def whole_log(run: Run, name: str) -> np.ndarray:
    return np.concatenate([np.zeros(0, RECORDED[name]), *log_of(run, name)])


def check_numbers(run: Run, events: np.ndarray, plan: RunPlan, customers: int) -> None:
    """Compiled rules look up by these numbers without asking whether they exist."""
    bounds = {
        "customer": (0, customers - 1),
        "time_ms": (plan.spans.start, plan.spans.end - 1),
        "kind": (0, EVENT_KINDS - 1),
        "page": (NONE, len(plan.policy.policy.names.pages) - 1),
        "city": (NONE, len(plan.policy.policy.names.cities) - 1),
        "campaign": (NONE, len(plan.policy.registry) - 1),
        "channel": (NONE, CHANNELS - 1),
    }
    of_moments = events[events["kind"] == EventKind.MOMENT]
    check_bounds(run, "events", {name: (events[name], *bound) for name, bound in bounds.items()})
    check_bounds(run, "events", {"moment": (of_moments["moment"], *MOMENTS)})


def check_bounds(run: Run, log: str, columns: Mapping[str, tuple[np.ndarray, int, int]]) -> None:
    """UsageError with the first value outside its bounds (inclusive)."""
    for name, (values, low, high) in columns.items():
        wrong = values[(values < low) | (values > high)]
        if len(wrong):
            file = run.folder / "tables" / f"{log}.parquet"
            raise UsageError(f"{file}: {name} must be between {low} and {high} (got {wrong[0]})")


# --- settlement by settlement -----------------------------------------------------------------------------------------
@dataclass(frozen=True)
class Step:
    """What one worker took between two settlements, what was decided and answered, and what the Ledger replied then."""

    events: np.ndarray  # EVENT[n]
    decisions: np.ndarray  # DECISION[n]
    asks: np.ndarray  # ASK[k], by EVENT.ask
    receipts: np.ndarray  # RECEIPT[k]
    lines: np.ndarray  # LINE[m]
    origins: np.ndarray  # ORIGIN[o], by EVENT.origin
    enrolled: np.ndarray  # ENROLLED[a]
    decided: np.ndarray  # REQUEST[d]: by persons; of the first worker's step
    replies: np.ndarray  # REPLY[r]

    def inbox(self) -> Inbox:
        """What the events ask, with receipts still to be written."""
        return Inbox(
            self.asks.copy(), self.lines.copy(), np.zeros_like(self.receipts), self.origins.copy(),
            np.array([len(self.asks), len(self.lines), len(self.origins)], np.int64),
        )  # fmt: skip

    @property
    def waits(self) -> np.ndarray:
        """Events that were not taken, and were sent again later: bool[n]."""
        return np.asarray(self.decisions["answer"] == Answer.WAITS)


def nothing() -> Step:
    """A step in which nothing happened."""
    return Step(*(np.zeros(0, RECORDED[name]) for name in LOGS))


def parted(step: Step, early: int) -> tuple[Step, Step]:
    """Its first events, which ask nothing, and all others."""
    if early == 0:
        return nothing(), step
    require(bool((step.events["ask"][:early] == NONE).all()), "an event that asks came before the replies")
    return (
        replace(nothing(), events=step.events[:early], decisions=step.decisions[:early], origins=step.origins),
        replace(step, events=step.events[early:], decisions=step.decisions[early:]),
    )


class Log:
    """A log read from its beginning, as many rows at a time as are asked for."""

    def __init__(self, run: Run, name: str) -> None:
        self.name, self.batches = name, log_of(run, name)
        self.rows = np.zeros(0, RECORDED[name])

    def take(self, count: int) -> np.ndarray:
        """The next rows. Raises AssertionError where there are fewer."""
        parts, have = [self.rows], len(self.rows)
        while have < count:
            batch = next(self.batches, None)
            require(batch is not None, f"{self.name} ends too early")
            assert batch is not None
            parts.append(batch)
            have += len(batch)
        rows = parts[0] if len(parts) == 1 else np.concatenate(parts)
        self.rows = rows[count:]
        return rows[:count]

    def is_over(self) -> bool:
        return len(self.rows) == 0 and next(self.batches, None) is None


class Steps:
    """The recording of a run with a Ledger, in the order in which it was lived."""

    def __init__(self, run: Run, plan: RunPlan, bounds: Sequence[tuple[int, int]]) -> None:
        self.run, self.plan, self.bounds = run, plan, bounds
        self.everybody = bounds[-1][0] + bounds[-1][1]  # customers and accounts of crews
        self.settlements = settlements_of(run, len(bounds))
        self.logs = {name: Log(run, name) for name in LOGS}
        self.next = 0

    def take(self, time_ms: int) -> list[tuple[Step, Step]]:
        """What every worker took up to the settlement at time_ms: before the last one's replies, and after."""
        require(self.next < len(self.settlements), f"no settlement at {time_ms} is kept")
        rows = self.settlements[self.next]
        self.next += 1
        require(bool((rows["time_ms"] == time_ms).all()),
                f"settlement {self.next} was at {rows['time_ms'][0]} and is at {time_ms} again")  # fmt: skip
        steps = [Step(*(log.take(int(row[LOGS[name]])) for name, log in self.logs.items())) for row in rows]
        for step, (first, count) in zip(steps, self.bounds, strict=True):
            self.check(step, first, count)
        return [parted(step, int(row["early"])) for step, row in zip(steps, rows, strict=True)]

    @property
    def next_ms(self) -> int:
        """When the next recorded settlement is; NONE after the last."""
        return int(self.settlements[self.next]["time_ms"][0]) if self.next < len(self.settlements) else NONE

    def check(self, step: Step, first: int, count: int) -> None:
        check_numbers(self.run, step.events, self.plan, self.everybody)
        asks, names = step.asks, self.plan.policy.policy.names
        carts = asks[step.events["ask"][np.isin(step.events["kind"], WITH_CARTS)]]
        check_bounds(self.run, "events", {
            "customer": (step.events["customer"], first, first + count - 1),
            "ask": (step.events["ask"], NONE, len(asks) - 1),
            "origin": (step.events["origin"], NONE, len(step.origins) - 1),
        })  # fmt: skip
        check_bounds(self.run, "origins", {"inviter": (step.origins["inviter"], NONE, self.everybody - 1)})
        check_bounds(self.run, "decided", {"customer": (step.decided["customer"], 0, self.everybody - 1)})
        check_bounds(self.run, "enrolled", {"customer": (step.enrolled["customer"], first, first + count - 1)})
        check_bounds(self.run, "asks", {
            "place": (asks["place"], NONE, len(names.places) - 1),
            "first_line": (carts["first_line"], 0, len(step.lines)),
            "lines": (carts["first_line"] + carts["lines"], 0, len(step.lines)),
        })  # fmt: skip
        check_bounds(self.run, "cart_lines", {
            name: (step.lines[name], NONE, len(numbered) - 1)
            for name, numbered in (("category", names.categories), ("brand", names.brands),
                                   ("product", names.products))
        })  # fmt: skip

    def end(self) -> None:
        """Nothing may be left."""
        require(self.next == len(self.settlements), f"{len(self.settlements)} settlements are kept, {self.next} came")
        total = int(self.settlements["events"].sum())
        require(total == self.run.manifest["events"],
                f"{total:,} events are kept, {self.run.manifest['events']:,} were counted")  # fmt: skip
        left = [name for name, log in self.logs.items() if not log.is_over()]
        require(not left, f"{', '.join(left)} have rows of no settlement")


def settlements_of(run: Run, workers: int) -> np.ndarray:
    """SETTLEMENT[settlements, workers]."""
    rows = whole_log(run, "settlements")
    whole = len(rows) % workers == 0 and bool((rows["worker"] == np.arange(len(rows)) % workers).all())
    require(whole, "settlements are not kept for every worker in turn")
    counts = [name for name in SETTLEMENT.names or () if name not in ("settlement", "time_ms", "worker")]
    check_bounds(run, "settlements", {name: (rows[name], 0, np.iinfo(np.int32).max) for name in counts})
    return rows.reshape(-1, workers)
