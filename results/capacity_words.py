"""The words of a search for the sustainable rate, for the terminal and for its report."""

from collections.abc import Mapping
from typing import Any

CAPACITY_RESULT = "capacity.json"
CAPACITY_KEYS = (  # without which there is nothing to report
    "slo", "per_s", "low", "high", "searches", "ends", "target_per_s", "headroom", "peak", "machines", "change",
    "trials", "saturated", "target", "customers", "trial_seconds", "scenario", "seed", "requests", "tape", "command",
)  # fmt: skip


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


def for_peak(found: Mapping[str, Any]) -> str:
    """Machines for the stated peak, with what that rests on."""
    if not found["machines"]:
        return ""
    fewest, most = found["machines"]
    many = f"{fewest:,}" if fewest == most else f"{fewest:,} to {most:,}"
    return (
        f"A peak of {found['peak']:,.0f}/s needs {many} machines like this one, each a gateway with customers of its "
        "own, loaded as it was here, with the same mix of requests; stock and budgets that all share are one Ledger's, "
        "which this does not measure."
    )


def against(found: Mapping[str, Any]) -> str:
    """What became of it since the baseline."""
    change = found["change"]
    if change is None:
        return ""
    return (
        f"Against the baseline of {change['before_per_s']:,.0f}/s: {change['word'].upper()}, {change['ratio']:.2f} "
        f"times (95 % interval {change['low']:.2f}–{change['high']:.2f})."
    )


def capacity_told(found: Mapping[str, Any]) -> list[str]:
    lines = (headline(found), against(found), advice(found), for_peak(found), bound_by(found))
    return [line for line in lines if line]
