"""The words of a search for the sustainable rate, for the terminal and for its report."""

from collections.abc import Mapping, Sequence
from typing import Any

from results.load_words import waited_for_a_connection
from results.scaling_words import scaling_told

CAPACITY_RESULT = "capacity.json"
CAPACITY_KEYS = (  # without which there is nothing to report
    "slo", "slo_ms", "per_s", "low", "high", "searches", "ends", "target_per_s", "headroom", "peak", "machines",
    "change", "trials", "saturated", "scaling", "others", "target", "customers", "trial_seconds", "scenario", "seed",
    "requests", "tape", "command",
)  # fmt: skip
MOST_NAMED = 4  # processes
OTHERS_LEAST = 0.2  # cores, from which others on the machine are worth a word
TOO_WIDE = 1.5  # times its lower end that an interval may reach before nothing is planned with it
UNEVEN = 1.1  # times their mean that a shard may get before it is worth a word


def headline(found: Mapping[str, Any]) -> str:
    if found["ends"]:
        return f"At least {found['per_s']:,.0f} requests/s with {found['slo']}: {found['ends']}."
    return (
        f"{found['per_s']:,.0f} requests/s are sustained with {found['slo']} (95 % interval {found['low']:,.0f}–"
        f"{found['high']:,.0f}, {searches(len(found['searches']))})."
    )


def searches(number: int) -> str:
    return "1 search" if number == 1 else f"{number} searches"


def validity(found: Mapping[str, Any]) -> str:
    """Whether generators were up to it, which comes before any figure."""
    trials = found["trials"]
    held = [one for one in trials if one["kept"] and not one["invalid"]]
    busy = max((max(one["busy"], default=0.0) for one in held), default=0.0)
    late = max((one["late_ms"].get("p99", 0.0) for one in held), default=0.0)
    spoilt = sum(bool(one["invalid"]) for one in trials)
    again = f"; {spoilt:,} of {len(trials):,} trials were INVALID and are not counted" if spoilt else ""
    if not held:
        return "No rate was kept."
    return (
        f"To be trusted: wherever a rate was kept, generators were at most {busy:.0%} busy and handed requests over at "
        f"most {late:.1f} ms late (p99){again}.{disturbed(found, held)}"
    )


def disturbed(found: Mapping[str, Any], held: Sequence[Mapping[str, Any]]) -> str:
    """Others on the machine took cores that the target might have used."""
    most = max(one["cores"].get(found["others"], 0.0) for one in held)
    if most < OTHERS_LEAST:
        return ""
    return f" But everything else on the machine used up to {most:.1f} cores meanwhile: on a quiet one it holds more."


def advice(found: Mapping[str, Any]) -> str:
    if found["high"] > TOO_WIDE * found["low"]:
        return (
            "Do not plan with it: searches differ too much. Take more --repeats, on a machine that does nothing else."
        )
    return (
        f"Plan with {found['target_per_s']:,.0f}/s a machine: {found['headroom']:.0%} of the interval's lower end, so "
        "that a burst, a host that is lost and a snapshot find room."
    )


def bound_by(found: Mapping[str, Any]) -> str:
    """What was full where it could no more."""
    full = found["saturated"]
    if not full:
        return ""
    where = f"At {full['rate']:,.0f}/s, the lowest rate that was not kept, "
    return where + "; ".join([what_was_full(full), *waits(full), *unevenness(full)]) + "."


def what_was_full(full: Mapping[str, Any]) -> str:
    """The process or the machine first, then who used it."""
    used = f"{full['used_cores']:.1f} of this machine's {full['machine_cores']} cores"
    most = ", ".join(f"{name} {cores:.2f}" for name, cores in full["cores"][:MOST_NAMED])
    name, cores = full["nearest"] or ("", 0.0)
    if full["full"] == "process":
        return f"{name} was full, with {cores:.2f} of the one core it can use ({used} were used: {most})"
    if full["full"] == "machine":
        return f"the machine was full: {used} were used ({most})"
    if not name:
        return f"what the service used cannot be seen from here; {used} were used ({most})"
    near = f", and no process used a whole one ({name} the most, {cores:.2f})"
    return f"no core was full: {used} were used{near}; what took long was the disk, or bursts ({most})"


def waits(full: Mapping[str, Any]) -> list[str]:
    """What waited, where that was looked at; the most of any moment."""
    said = waited_for_a_connection(full)
    if full["queue_events"]:
        said.append(f"{full['queue_events']:,.0f} events waited for a shard at most")
    if full["settling"]:
        said.append(f"{full['settling']:,.0f} requests waited for the Ledger at most")
    if full["oldest_batch_ms"]:
        said.append(f"the oldest batch was {full['oldest_batch_ms']:,.0f} ms under way")
    return said


def unevenness(full: Mapping[str, Any]) -> list[str]:
    skew = full["skew"]
    if skew["events"] is None:
        return []
    if max(skew["events"], skew["cores"] or 0.0) < UNEVEN:
        return [f"shards were used evenly (the busiest got {skew['events']:.2f} times the mean of events)"]
    cores = "" if skew["cores"] is None else f" and used {skew['cores']:.2f} times the mean of cores"
    return [f"shards were used unevenly: the busiest got {skew['events']:.2f} times the mean of events{cores}"]


def for_peak(found: Mapping[str, Any]) -> str:
    """Machines for the stated peak, with what that rests on."""
    if not found["machines"]:
        return ""
    fewest, most = found["machines"]
    many = f"{fewest:,}" if fewest == most else f"{fewest:,} to {most:,}"
    many = f"at most {most:,}" if found["ends"] else many
    machines = "machine" if most == 1 else "machines"
    return (
        f"A peak of {found['peak']:,.0f}/s needs {many} {machines} like this one, each a gateway with customers of its "
        "own, loaded as it was here, with the same mix of requests; stock and budgets that all share are one Ledger's, "
        "which this does not measure."
    )


def against(found: Mapping[str, Any]) -> str:
    """What became of it since the baseline."""
    change = found["change"]
    if change is None:
        return ""
    end = (
        "; one of the two is only a bound from below."
        if change["is_bound"]
        else f" (95 % interval {change['low']:.2f}–{change['high']:.2f})."
    )
    word = f"{change['word'].upper()}, {change['ratio']:.2f} times"
    return f"Against the baseline of {change['before_per_s']:,.0f}/s: {word}{end}"


def capacity_told(found: Mapping[str, Any]) -> list[str]:
    lines: Sequence[str] = (
        headline(found), validity(found), against(found), advice(found), for_peak(found), bound_by(found),
        *scaling_told(found),
    )  # fmt: skip
    return [line for line in lines if line]
