"""The words of a search for the sustainable rate, for the terminal and for its report."""

from collections.abc import Mapping
from typing import Any

CAPACITY_RESULT = "capacity.json"


def headline(found: Mapping[str, Any]) -> str:
    if found["ends"]:
        return f"At least {found['per_s']:,.0f} requests/s with {found['slo']}: {found['ends']}."
    return (
        f"{found['per_s']:,.0f} requests/s are sustained with {found['slo']} (95 % interval {found['low']:,.0f}–"
        f"{found['high']:,.0f}, {len(found['searches'])} searches)."
    )


def advice(found: Mapping[str, Any]) -> str:
    return (
        f"Plan with {found['target_per_s']:,.0f}/s a machine: {found['headroom']:.0%} of the interval's lower end, so "
        "that a burst, a host that is lost and a snapshot find room."
    )


def bound_by(found: Mapping[str, Any]) -> str:
    """What was full where it could no more."""
    full = found["saturated"]
    if not full:
        return ""
    most = ", ".join(f"{name} {cores:.2f}" for name, cores in full["cores"][:4])
    waited = "" if full["queue_events"] is None else f"; {full['queue_events']:,.0f} events waited for a shard at most"
    return f"At {full['rate']:,.0f}/s, the lowest that was not kept, cores were used by: {most}{waited}."


def capacity_told(found: Mapping[str, Any]) -> list[str]:
    return [line for line in (headline(found), advice(found), bound_by(found)) if line]
