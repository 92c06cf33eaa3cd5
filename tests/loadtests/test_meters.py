"""What generators count adds up exactly."""

import json

import numpy as np

from loadtests.generator.meters import Meter, times_ms


def meter_of(values: np.ndarray) -> Meter:
    meter = Meter(offered=len(values), achieved=1)
    for value in values.tolist():
        meter.answered(value, value // 2)
        meter.sent_late(value % 7)
    meter.failed.update({"429": 2})
    meter.dropped = 1
    return meter


def test_histograms_of_many_generators_are_that_of_one() -> None:
    values = np.random.default_rng(1).lognormal(9.0, 1.5, 6_000).astype(np.int64)
    whole, added = meter_of(values), Meter()
    for part in np.array_split(values, 3):
        added.add(Meter.from_json(json.loads(json.dumps(meter_of(part).as_json()))))
    assert times_ms(added.response) == times_ms(whole.response) and times_ms(added.late) == times_ms(whole.late)
    assert (added.offered, added.done, added.achieved, added.errors, added.dropped) == (6_000, 6_000, 3, 6, 3)
    exact = np.sort(values)[[len(values) // 2 - 1, -1]] / 1_000
    found = times_ms(whole.response)
    assert abs(found["p50"] / exact[0] - 1) < 0.002 and abs(found["max"] / exact[1] - 1) < 0.002


def test_who_counted_nothing_says_nothing() -> None:
    assert times_ms(Meter().response) == {}
    assert times_ms(Meter.from_json(Meter().as_json()).service) == {}
