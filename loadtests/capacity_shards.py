"""`windtunnel load capacity --shards 1,2,4`: the rate for each number of shards, and the law through them."""

from collections.abc import Mapping, Sequence
from typing import Any

from loadtests.machine import cores_of_machine
from results.load_words import many_shards
from results.scaling import FURTHEST, POINTS_LEAST, SEARCHES_LEAST, Band, Law, Point, fitted, furthest

SHARDS_MOST = 32
BESIDE = 2  # gateway and Ledger want a core of their own, too
WIDEST = 3.0  # times its lower end that an interval may reach for a law through it to say anything
CURVE = 60  # points of a curve that is drawn


def numbers_of(text: str) -> list[int]:
    """1,2,4 -> [1, 2, 4]; nothing where something else is there."""
    words = [word.strip() for word in str(text).split(",")]
    return [int(word) for word in words] if all(word.isdecimal() for word in words) else []


def problems(given: Mapping[str, Any], is_search: bool) -> list[str]:
    """What is wrong with the numbers of shards and with what is asked of them."""
    numbers, text = numbers_of(given["shards"]), given["shards"]
    if not numbers or not all(1 <= number <= SHARDS_MOST for number in numbers) or (len(numbers) > 1 and not is_search):
        several = ", or several of them with commas between" if is_search else ""
        return [f"--shards must be between 1 and {SHARDS_MOST}{several} (got {text})"]
    wrong = several_problems(given, numbers) if len(numbers) > 1 else []
    return wrong + asked_too_far(given.get("at_shards"), numbers)


def several_problems(given: Mapping[str, Any], numbers: Sequence[int]) -> list[str]:
    wrong = []
    if len(set(numbers)) < max(POINTS_LEAST, len(numbers)):
        wrong.append(
            f"--shards must be one number or at least {POINTS_LEAST} different ones: the law through them has "
            f"{POINTS_LEAST} parameters (got {given['shards']})"
        )
    if given["url"]:
        wrong.append("--shards must be one number with --url: only a gateway of its own is started anew")
    if given["repeats"] < SEARCHES_LEAST:
        wrong.append(
            f"--repeats must be at least {SEARCHES_LEAST} with several --shards: fewer searches do not say how sure "
            f"they are (got {given['repeats']})"
        )
    return wrong


def asked_too_far(at: int | None, numbers: Sequence[int]) -> list[str]:
    if at is None:
        return []
    if len(numbers) < POINTS_LEAST:
        must = f"--at-shards must come with at least {POINTS_LEAST} numbers of --shards"
        return [f"{must}: what so many would do is read from a law through those"]
    if not 1 <= at <= furthest(numbers):
        must = f"--at-shards must be between 1 and {furthest(numbers)}, {FURTHEST} times the most that is measured"
        return [f"{must}: nothing measured speaks for more (got {at})"]
    return []


def scaling(found: Mapping[int, dict[str, Any]], generators: int, at: int | None) -> dict[str, Any]:
    """found: what was measured, by number of shards, the one first that everything else is about. The law where every
    number was bound by the target."""
    points = [
        {"shards": number, "emulated": number + BESIDE + generators > cores_of_machine(), **one}
        for number, one in sorted(found.items())
    ]
    ended = [one for one in points if one["ends"]]
    told: dict[str, Any] = {"points": points, "first": next(iter(found)), "law": None, "why": ""}
    told["machine_cores"] = cores_of_machine()
    if ended:
        return told | {"why": f"with {many_shards(ended[0]['shards'])} {ended[0]['ends']}"}
    loose = [one for one in points if one["high"] > WIDEST * one["low"]]
    if loose:
        return told | {"why": f"searches with {many_shards(loose[0]['shards'])} differ too much"}
    law = fitted([Point(one["shards"], one["per_s"], one["low"], one["high"], len(one["searches"])) for one in points])
    return told | {"law": as_found(law, at)}


def as_found(law: Law, at: int | None) -> dict[str, Any]:
    first, last = law.points[0].n, law.furthest
    steps = sorted({law.points[-1].n, *(first + (last - first) * step / CURVE for step in range(CURVE + 1))})
    peak = law.peak
    return {
        "alone_per_s": banded(law.alone_per_s),
        "contention": banded(law.contention),
        "coherency": banded(law.coherency),
        "peak": banded(peak) if peak.value <= last else None,
        "measured_to": law.points[-1].n,
        "furthest": last,
        "missed": law.missed,
        "at": None if at is None else {"shards": at, **banded(law.at(at))},
        "curve": [{"shards": n, **banded(law.at(n))} for n in steps],
    }


def banded(one: Band) -> dict[str, float | None]:
    """JSON knows no infinity: no peak at all is no upper end."""
    return {"value": one.value, "low": one.low, "high": None if one.high == float("inf") else one.high}
