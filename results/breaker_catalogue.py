"""The metrics of circuit breakers and incidents; all are sums or counts over the run."""

from results.metric import Metric

# When the first breaker tripped in or after an incident, which is when somebody was called.
_CALLED = "(SELECT min(time_ms) FROM paged WHERE state = 'tripped' AND time_ms >= begins_ms)"
# The minutes of incidents, each once however many incidents it lies in.
_FAILING = """EXISTS (SELECT 1 FROM incidents
WHERE fails > 0 AND minutes.time_ms >= incidents.begins_ms AND minutes.time_ms < incidents.ends_ms)"""


def _of_breakers(
    name: str, english: str, chinese: str, unit: str, meaning: str, numerator: str, source: str, where: str,
    kind: str = "sum", missing: str = "",
) -> Metric:  # fmt: skip
    return Metric(
        name, english, chinese, unit, numerator, "count(*)", meaning, kind, source, unit_of_analysis="minute",
        goal_allowed=False, where=where, of_breakers=True,
        speaks_of="the run, over all campaigns", missing=missing,
    )  # fmt: skip


BREAKER_METRICS = (
    _of_breakers(
        "breaker_trips", "circuit breaker trips", "熔断次数", "count",
        "How often a breaker paused campaigns and somebody was called.", "count(*)", "paged", "state = 'tripped'",
        "count",
    ),
    _of_breakers(
        "minutes_to_trip", "minutes to the trip", "熔断用时", "minutes",
        "Minutes from the beginning of an incident to the first trip of a breaker after it; of several the longest.",
        f"max(({_CALLED} - begins_ms) / 60000.0)", "incidents",
        "fails > 0 OR complains > 0", missing="nothing went wrong that a breaker watches",
    ),
    _of_breakers(
        "spent_while_failing", "spent while payments failed", "故障期间花费", "yuan",
        "Cost of exposures, and the most that coupons granted can cost, in the minutes of incidents.",
        "coalesce(sum(spent), 0) / 100.0", "minutes", _FAILING,
    ),
)  # fmt: skip
