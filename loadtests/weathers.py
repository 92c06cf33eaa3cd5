"""The case of a seed: which weather its hosts meet, in words, and how it is made smaller as long as it still fails."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, fields, replace
from random import Random
from typing import Any

from engine.host.replica import Promise
from sim.disasters.stage import SLOW_SYNC_MS, TICK_MS, Weather

DURATIONS = {  # chance: how long one lasts, ms
    "late": "late_ms", "freeze": "freeze_ms", "cut": "cut_ms", "slow_disk": "slow_disk_ms", "full_disk": "full_disk_ms",
}  # fmt: skip
PROMISES = {Promise.DURABLE: 60, Promise.INTERVAL: 25, Promise.MEMORY: 15}  # of 100 cases
KEPT = {
    Promise.DURABLE: "",
    Promise.INTERVAL: ", answers kept for good after an interval",
    Promise.MEMORY: ", answers kept in memory only",
}
CHANCES = tuple(one.name for one in fields(Weather) if not one.name.endswith("_ms"))
WORDS = {
    "lost": "a message is lost with chance {chance}",
    "doubled": "one comes twice with chance {chance}",
    "late": "one comes up to {ms:,} ms late with chance {chance}",
    "crash": f"every {TICK_MS} ms a host loses power with chance {{chance}}",
    "freeze": f"every {TICK_MS} ms a host freezes for up to {{ms:,}} ms with chance {{chance}}",
    "cut": f"every {TICK_MS} ms a host is cut off for up to {{ms:,}} ms with chance {{chance}}",
    "slow_disk": (
        f"every {TICK_MS} ms a disk takes up to {SLOW_SYNC_MS} ms a sync, for up to {{ms:,}} ms, with chance {{chance}}"
    ),
    "full_disk": f"every {TICK_MS} ms a disk is about to be full, for up to {{ms:,}} ms, with chance {{chance}}",
    "write_fails": "a write, a renaming or a removal fails with chance {chance}",
    "sync_fails": "an fsync fails with chance {chance}",
    "read_fails": "a read fails with chance {chance}",
    "dies": "power goes in a call of a disk with chance {chance}",
    "moved": f"every {TICK_MS} ms a seat is to be led from another node with chance {{chance}}",
}


@dataclass(frozen=True)
class Case:
    """All that a disaster is: the same case ends the same way, always."""

    seed: int  # of the dice
    standby: bool
    weather: Weather
    settlements: int  # of the traffic, from its beginning
    promise: Promise = Promise.DURABLE


def case_of(seed: int, settlements: int) -> Case:
    """Every seed has a weather of its own: some disasters often, most of them hardly."""
    random = Random(f"case {seed}")

    def chance(most: float) -> float:
        return most * random.random() ** 2 if random.random() < 0.5 else 0.0

    standby = random.random() < 0.5
    weather = Weather(
        lost=chance(0.3), doubled=chance(0.3), late=chance(0.5), late_ms=random.choice((5, 50, 2_000)),
        crash=chance(0.02), freeze=chance(0.02), freeze_ms=random.choice((100, 3_000)), cut=chance(0.02),
        cut_ms=random.choice((200, 4_000)), slow_disk=chance(0.01), slow_disk_ms=random.choice((200, 3_000)),
        full_disk=chance(0.01), full_disk_ms=random.choice((200, 3_000)), write_fails=chance(0.01),
        sync_fails=chance(0.02), read_fails=chance(0.01), dies=chance(0.02), moved=chance(0.02),
    )  # fmt: skip
    (promise,) = random.choices(list(PROMISES), list(PROMISES.values()))
    return Case(seed, standby, weather, settlements, promise)


def shrunk(case: Case, fails: Callable[[Case], str | None], most: int = 200) -> tuple[Case, str]:
    """A smaller case that fails too, perhaps with another sentence: its own. Tries at most so many."""
    sentence, tries = fails(case), 0
    assert sentence is not None, "only a case that fails can be made smaller"
    found = True
    while found:
        found = False
        for smaller in smaller_cases(case):
            if tries >= most:
                break
            tries += 1
            if (said := fails(smaller)) is not None:
                case, sentence, found = smaller, said, True
                break
    return case, sentence


def smaller_cases(case: Case) -> Iterator[Case]:
    """One step smaller, the greatest steps first."""
    weather = case.weather
    for name in CHANCES:
        if getattr(weather, name):
            yield with_chance(case, name, 0.0)
    if case.promise != Promise.DURABLE:
        yield replace(case, promise=Promise.DURABLE)
    if case.standby:
        yield replace(case, standby=False)
    for settlements in sorted({1, case.settlements // 2, case.settlements - 1}):
        if 0 < settlements < case.settlements:
            yield replace(case, settlements=settlements)
    for name in CHANCES:
        if getattr(weather, name) > 0.001:
            yield with_chance(case, name, getattr(weather, name) / 2)


def with_chance(case: Case, name: str, chance: float) -> Case:
    changed: dict[str, Any] = {name: chance}
    return replace(case, weather=replace(case.weather, **changed))


def sentence_of(case: Case) -> str:
    """A case in words."""
    standbys = "every host with a standby" if case.standby else "no standbys"
    settlements = "1 settlement" if case.settlements == 1 else f"{case.settlements} settlements"
    said = [
        text.format(chance=f"{chance:.2%}", ms=getattr(case.weather, DURATIONS[name]) if name in DURATIONS else 0)
        for name, text in WORDS.items()
        if (chance := getattr(case.weather, name))
    ]
    return f"{settlements}, {standbys}{KEPT[case.promise]}; {'; '.join(said) if said else 'no fault at all'}"
