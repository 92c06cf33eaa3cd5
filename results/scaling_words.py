"""The words of what more shards bring, for the terminal and for the report."""

from collections.abc import Mapping, Sequence
from typing import Any

from results.load_words import many_shards


def scaling_told(found: Mapping[str, Any]) -> list[str]:
    """Rates as measured, the law through them, what it says beyond, and why it may not be believed."""
    scaling = found["scaling"]
    if not scaling:
        return []
    return [measured(found), *law(scaling), *emulated(scaling)]


def measured(found: Mapping[str, Any]) -> str:
    rates = [f"{many_shards(one['shards'])} {one['per_s']:,.0f}/s ({one['low']:,.0f}–{one['high']:,.0f})"
             for one in found["scaling"]["points"]]  # fmt: skip
    return f"By number of shards, with {found['slo']}: {'; '.join(rates)}."


def law(scaling: Mapping[str, Any]) -> list[str]:
    found = scaling["law"]
    if not found:
        return [f"No law is fitted: {scaling['why']}."]
    return [parameters(found), *missed(found), *few_points(scaling["points"]), turning(found), *asked(found)]


def parameters(found: Mapping[str, Any]) -> str:
    alone, waits, pairs = found["alone_per_s"], found["contention"], found["coherency"]
    return (
        f"By the Universal Scalability Law one shard alone does {alone['value']:,.0f}/s ({ends(alone, 1, 0)}), "
        f"{waits['value']:.1%} of the work waits its turn (σ, {ends(waits, 100, 1)} %), and every pair of shards costs "
        f"{pairs['value']:.2%} more (κ, {ends(pairs, 100, 2)} %); 95 % intervals."
    )


def ends(band: Mapping[str, Any], scale: float, places: int) -> str:
    return f"{scale * band['low']:,.{places}f}–{scale * band['high']:,.{places}f}"


def missed(found: Mapping[str, Any]) -> list[str]:
    """Where the law and what was measured disagree."""
    if not found["missed"]:
        return []
    numbers = joined([str(number) for number in found["missed"]])
    return [f"It misses what was measured with {numbers} shards: do not plan with it."]


def few_points(points: Sequence[Mapping[str, Any]]) -> list[str]:
    if len(points) > 3:
        return []
    return ["Three numbers of shards for three parameters: the curve cannot be contradicted by what it was fitted to."]


def turning(found: Mapping[str, Any]) -> str:
    peak = found["peak"]
    if peak is None:
        return f"It does not turn down up to {many_shards(found['furthest'])}, the furthest that it is asked."
    high = "no end" if peak["high"] is None or peak["high"] > found["furthest"] else f"{peak['high']:.1f}"
    return (
        f"It turns down beyond {peak['value']:.1f} shards (95 % interval {peak['low']:.1f} to {high}): more of them do "
        "less."
    )


def asked(found: Mapping[str, Any]) -> list[str]:
    at = found["at"]
    if at is None:
        return []
    beyond = ", more than were measured" if at["shards"] > found["measured_to"] else ""
    return [f"With {many_shards(at['shards'])}{beyond}, it says {at['value']:,.0f}/s (95 % interval {ends(at, 1, 0)})."]


def emulated(scaling: Mapping[str, Any]) -> list[str]:
    """Shards that took cores from each other say nothing of machines of their own."""
    shared = [str(one["shards"]) for one in scaling["points"] if one["emulated"]]
    if not shared:
        return []
    shards = "shard" if shared == ["1"] else "shards"
    cores = f"{joined(shared)} {shards} shared this machine's {scaling['machine_cores']} cores"
    says = "So this is how shards share one machine; it says nothing of more machines."
    return [f"Emulated nodes: {cores} with gateway, Ledger and generator. {says}"]


def joined(names: Sequence[str]) -> str:
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"
