"""Shapes of load as pure plans: how many arrivals a second are offered, stage by stage."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

STAGES_OF_A_RAMP = 10


@dataclass(frozen=True)
class Stage:
    """A rate, or a straight line between two, for some time; a row of the report."""

    name: str
    seconds: float
    from_per_s: float
    to_per_s: float
    at_once: int = 0  # more arrivals, all in the same instant, at its beginning
    counts: bool = True  # whether its figures are judged; warming up is not

    @property
    def arrivals(self) -> float:
        """Expected."""
        return self.seconds * (self.from_per_s + self.to_per_s) / 2 + self.at_once

    @property
    def per_s(self) -> float:
        return self.arrivals / self.seconds


@dataclass(frozen=True)
class Manners:
    """How clients behave beside when they come."""

    slow: float = 0.0  # share of requests that are sent and read a piece at a time
    repeated: float = 0.0  # share of requests with an id that are sent twice at once
    hot_coupon: float = 0.0  # share of claims that are for the one coupon that most want
    together: bool = False  # arrivals beyond the base rate come in one instant


@dataclass(frozen=True)
class Profile:
    """A shape, and how clients behave in it."""

    name: str
    sentence: str
    stages: Callable[[float, float], list[Stage]]  # of the highest rate, arrivals/s, and seconds
    manners: Manners = Manners()


def level(name: str, seconds: float, per_s: float, counts: bool = True) -> Stage:
    return Stage(name, seconds, per_s, per_s, counts=counts)


def warm(per_s: float, seconds: float) -> Stage:
    """Connections are opened and caches filled before anything is judged."""
    return level("warm-up", min(5.0, max(1.0, seconds / 10)), per_s / 2, counts=False)


def steady(per_s: float, seconds: float) -> list[Stage]:
    return [warm(per_s, seconds), level("steady", seconds, per_s)]


def step(per_s: float, seconds: float) -> list[Stage]:
    shares = (0.2, 0.4, 0.6, 0.8, 1.0)
    return [warm(per_s * shares[0], seconds), *(level(f"{share:.0%}", seconds / len(shares), per_s * share)
                                                 for share in shares)]  # fmt: skip


def ramp(per_s: float, seconds: float) -> list[Stage]:
    """One line from nothing to the rate, told in ten parts."""
    part, rise = seconds / STAGES_OF_A_RAMP, per_s / STAGES_OF_A_RAMP
    return [
        Stage(f"to {(at + 1) / STAGES_OF_A_RAMP:.0%}", part, at * rise, (at + 1) * rise)
        for at in range(STAGES_OF_A_RAMP)
    ]


def spike(per_s: float, seconds: float) -> list[Stage]:
    base = per_s / 5
    return [warm(base, seconds), level("before", 0.4 * seconds, base), level("spike", 0.2 * seconds, per_s),
            level("after", 0.4 * seconds, base)]  # fmt: skip


def soak(per_s: float, seconds: float) -> list[Stage]:
    """Long and even, told in ten parts: what leaks or fills shows as a drift."""
    return [warm(per_s, seconds), *(level(f"part {at + 1}", seconds / 10, per_s) for at in range(10))]


def double_eleven(per_s: float, seconds: float) -> list[Stage]:
    """An evening that fills, midnight, and the hour after it."""
    calm, late, after = per_s / 10, per_s * 0.4, per_s * 0.3
    return [
        warm(calm, seconds),
        level("evening", 0.2 * seconds, calm),
        Stage("they come", 0.2 * seconds, calm, late),
        level("midnight", 0.15 * seconds, per_s),
        Stage("it ebbs", 0.15 * seconds, per_s, after),
        level("the night", 0.3 * seconds, after),
    ]


def thundering_herd(per_s: float, seconds: float) -> list[Stage]:
    """Three times everybody in one instant, as many as arrive in a second of the highest rate."""
    base, part = per_s / 5, seconds / 4
    herds = [Stage(f"herd {at}", part, base, base, at_once=round(per_s)) for at in (1, 2, 3)]
    return [warm(base, seconds), level("before", part, base), *herds]


PROFILES = {
    profile.name: profile
    for profile in (
        Profile("steady", "one rate", steady),
        Profile("step", "five rates, each higher", step),
        Profile("ramp", "from nothing to the rate in a straight line", ramp),
        Profile("spike", "five times the base rate for a fifth of the time", spike),
        Profile("soak", "one rate for long, told in ten parts", soak),
        Profile("double-eleven", "an evening that fills, midnight, and after it", double_eleven,
                Manners(hot_coupon=0.5)),
        Profile("thundering-herd", "three times everybody in the same instant", thundering_herd,
                Manners(hot_coupon=1.0, together=True)),
        Profile("slow-clients", "one rate, where a fifth of the clients send and read slowly", steady,
                Manners(slow=0.2)),
        Profile("duplicate-retries", "one rate, where a fifth of the asks are sent twice", steady,
                Manners(repeated=0.2)),
    )
}  # fmt: skip


def starts(stages: Sequence[Stage]) -> list[float]:
    """Seconds at which each stage begins, and the end."""
    times = [0.0]
    for stage in stages:
        times.append(times[-1] + stage.seconds)
    return times
