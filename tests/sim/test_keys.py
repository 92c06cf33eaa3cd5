"""Every number has a key of its own: a world lived with all keys logged, interpreted, and reuse planted."""

import json
import re

import numpy as np
import pytest

from engine.compiled import entry
from engine.records import EVENT, NEVER_MS, EventKind, records
from sim import streams
from sim.model import DEPTH_MAX, VISITOR, Mark
from sim.pages import VIEWS_PER_VISIT
from sim.reactions import GENERATION, MOMENT_CAUSED, cause
from sim.slow import KeyLog, KeyReuse
from sim.streams import Draw
from tests.sim.interpreted import AGAIN, command
from tests.sim.mutants import mutated

uniforms = entry(streams.uniforms)

# What the worlds must have drawn for the check to mean anything.
# What no customer draws: the stock room, adversaries and the support desk do.
NEEDED = set(Draw) - {Draw.SUPPLY, Draw.SCHEME, Draw.CONTACT, Draw.DESK, Draw.REVIEW}


@pytest.mark.long
def test_no_key_is_drawn_for_two_meanings() -> None:
    draws: set[Draw] = set()
    for world, customers, days in (("keys", "60", "20"), ("shop_keys", "80", "12"), ("origin_keys", "60", "9")):
        done = command(world, customers, days)
        assert done.returncode == 0, done.stderr
        found = json.loads(done.stdout)
        assert found["events"] > 5_000
        draws |= {Draw[name] for name in found["draws"]}
    assert draws == NEEDED


def test_a_reuse_is_refused() -> None:
    log, stream = KeyLog(uniforms, AGAIN), np.array([1, 0])
    first = log.uniforms(stream, 5, Draw.REACT, 77)
    assert first == uniforms(stream, 5, Draw.REACT, 77)
    log.uniforms(stream, 6, Draw.REACT, 77)
    log.uniforms(stream, 5, Draw.LEAVING, 77)
    assert log.uniforms(stream, 5, Draw.TASTE, 1) == log.uniforms(stream, 5, Draw.TASTE, 1)
    with pytest.raises(KeyReuse, match=r"customer 5: decision 17 drew opportunity 77 twice"):
        log.uniforms(stream, 5, Draw.REACT, 77)


# (file, line, what it becomes): each makes two decisions share a key.
REUSES = {
    "first use and first repeat": ("sim/arrivals.py", "    visitor.gaps += 1\n    visitor.clock", "    visitor.clock"),
    "first use tried again": ("sim/payments.py", "RETRY_MS\n        visitor.gaps += 1", "RETRY_MS"),
    "two dwells of a page": ("sim/reactions.py", "DWELL_PLACES + int(visitor.dwell_at) if", "DWELL_PLACES if"),
    "an act and its cause": ("sim/reactions.py", "int(visitor.act_key) + GENERATION", "int(visitor.act_key)"),
    "two return visits": ("sim/pages.py", "(int(visitor.due_ms) - RETURN_EPOCH_MS) // SECOND_MS", "1"),
    "two pages of a visit": ("sim/pages.py", "VIEWS_PER_VISIT + int(visitor.depth)", "VIEWS_PER_VISIT"),
    "two draws under one number": ("sim/streams.py", "    LEAVING = 25", "    LEAVING = 17"),
}  # fmt: skip


QUICK = ("first use and first repeat", "two pages of a visit", "two draws under one number")


@pytest.mark.parametrize(
    "fault", [pytest.param(fault, marks=[] if fault in QUICK else pytest.mark.long) for fault in REUSES]
)
def test_a_planted_reuse_stops_the_run(fault: str, tmp_path_factory: pytest.TempPathFactory) -> None:
    root = mutated(tmp_path_factory, *REUSES[fault])
    done = command("keys", "60", "20", root=root)
    assert done.returncode == 3, (done.stdout, done.stderr[-2000:])
    assert re.fullmatch(r"customer \d+: decision \d+ drew opportunity \d+ twice\n", done.stderr)


def test_causes_of_different_kinds_never_meet() -> None:
    """Opportunities of what is shown: one per page view and kind, dwell, act and moment, whatever the visit."""
    seen: dict[int, object] = {}
    visitor, event = records(1, VISITOR)[0], records(1, EVENT)[0]
    visitor.act_ms = NEVER_MS

    def note(key: int, what: object) -> None:
        assert seen.setdefault(key, what) == what, (what, seen[key])
        assert 0 <= key < 1 << 58  # room for 64 attempts of a sampler behind each, in a u8

    for visit in (1, 2, 80_000, 1 << 24, (1 << 24) + 1, (1 << 31) - 1):
        visitor.visit = visit
        for depth in (0, 1, 2, DEPTH_MAX):
            event.page_view = visit * VIEWS_PER_VISIT + depth if depth else 0
            for kind in range(1, int(EventKind.CLICK)):
                event.kind = kind
                for dwell in range(1, 121) if kind == EventKind.PAGE_DWELL and depth else [1]:
                    visitor.dwell_at = dwell
                    note(cause(visitor, event), (visit, depth, kind, dwell))
    event.kind = EventKind.MOMENT
    for minute in (0, 1, 29_000_000, 40_000_000):
        for number in range(32):
            event.time_ms, event.moment = minute * 60_000, number
            note(cause(visitor, event), ("moment", minute, number))
    assert max(seen) < GENERATION
    assert MOMENT_CAUSED < GENERATION
    event.kind, visitor.marks = EventKind.TOP_UP, Mark.ACTED
    for key in list(seen):
        visitor.act_key = key
        for generation in range(1, 32):
            visitor.act_key = cause(visitor, event)
            note(int(visitor.act_key), (seen[key], generation))
