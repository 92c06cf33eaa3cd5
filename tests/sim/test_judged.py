"""What fraud rules said of whom, counted by the kernel as by hand."""

from collections import Counter
from random import Random

import numpy as np

from engine.compiled import entry
from engine.coupon_records import Answer
from sim.judged import Judged, Standing, no_verdicts, note_verdict, standings
from sim.origin_model import FRAUD, HONEST, Account, Harm

count = entry(note_verdict)
LESS = (Answer.FALLBACK, Answer.CHALLENGED, Answer.DENIED)


def test_verdicts_add_up_as_by_hand() -> None:
    random, verdicts = Random(5), no_verdicts()
    by_hand: Counter[tuple[int, ...]] = Counter()
    pairs: Counter[tuple[int, ...]] = Counter()
    asks: Counter[tuple[int, ...]] = Counter()
    for _ in range(400):
        slots = random.sample(range(62), random.choice([0, 1, 1, 2, 4]))
        kind, face = random.choice([*HONEST, Account.OWN, *FRAUD]), random.randrange(10_000)
        answer = random.choice([Answer.DONE, *LESS]) if slots else Answer.DONE
        rule = random.choice([-1, *slots])
        count(verdicts, int(kind), sum(1 << slot for slot in slots), rule, int(answer), face)
        asks[kind, answer] += 1
        for slot in slots:
            by_hand[kind, slot, Judged.FIRED] += 1
            by_hand[kind, slot, Judged.ALONE] += len(slots) == 1
            by_hand[kind, slot, Judged.ALONE_FACE] += face * (len(slots) == 1)
            by_hand[kind, slot, Judged.ANSWERED] += rule == slot
            by_hand[kind, slot, Judged.STOPPED] += face * (rule == slot and answer in LESS)
            for other in slots:
                pairs[kind in FRAUD, slot, other] += 1
    for found, expected in ((verdicts.rules, by_hand), (verdicts.together, pairs), (verdicts.asks, asks)):
        wanted = np.zeros_like(found)
        for place, value in expected.items():
            wanted[tuple(int(index) for index in place)] = value
        assert np.array_equal(found, wanted)


def test_standings() -> None:
    kinds = np.array([Account.ALONE, Account.ALONE, Account.FAMILY, Account.FAMILY])
    harms = np.array([0, Harm.CHALLENGED | Harm.PASSED, Harm.WEAKER | Harm.HELD, Harm.FAILED | Harm.CHALLENGED])
    found = standings(kinds, harms, np.array([True, True, False, True]))
    alone = {Standing.ACCOUNTS: 2, Standing.ACTIVE: 2, Standing.CHALLENGED: 1, Standing.PASSED: 1}
    family = {Standing.ACCOUNTS: 2, Standing.ACTIVE: 1, Standing.HELD: 1, Standing.WEAKER: 1, Standing.HARMED: 2,
              Standing.FAILED: 1, Standing.CHALLENGED: 1}  # fmt: skip
    for kind, expected in ((Account.ALONE, alone), (Account.FAMILY, family)):
        assert {s: int(found[kind, s]) for s in Standing if found[kind, s]} == expected
