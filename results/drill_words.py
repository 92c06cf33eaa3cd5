"""The words of a drill, for the terminal and for its report."""

from collections.abc import Mapping, Sequence
from typing import Any

RESULT = "drill.json"
KEYS = (  # without which there is nothing to report
    "drill", "what", "seat", "customers", "shards", "standby", "promise", "events", "whole", "acknowledged", "lost",
    "doubled", "answered_otherwise", "digest", "digest_equals_undisturbed", "seconds_since_struck", "records_replayed",
    "objective_s", "within_objective", "notes", "responses", "planned",
)  # fmt: skip
PARTS = {
    "detected": "noticed",
    "restarted": "another process there",
    "loaded": "snapshot taken up",
    "replayed": "journal replayed",
    "led": "everybody told",
    "answered": "first good answer",
    "recovered": "within the objective again",
}
PROMISES = {
    "durable": "an answer outlives a loss of power",
    "interval": "what is older than the interval outlives a loss of power",
    "memory": "an answer outlives nothing",
}
FORGIVES = {
    "interval": "at most {seconds:g} s is what was promised",
    "memory": "of what a lost process knew nothing was promised",
}
TROUBLE = {  # by drill: what of it was real, and what was made to look like it
    "kill-shard": "The process was killed by a real SIGKILL.",
    "kill-ledger": "The process was killed by a real SIGKILL.",
    "freeze-shard": "The process was stopped by a real SIGSTOP.",
    "torn-tail": "The kill was real; the half record was written to the end of the journal after it.",
    "full-disk": "The full disk was emulated: a quota on what the process may write, which fails as a full disk does.",
    "site-failover": "Both sites were on this machine, with a Ray cluster and a supervisor each, joined by TCP on "
    "loopback; every process of the first was killed by a real SIGKILL. Between real sites each record takes as much "
    "longer as the way is long.",
    "move-shard": "Both nodes are names on this machine: another process, another folder, the same disk.",
    "scale-out": "Nodes were emulated: what is sent to one waits until a node of that rate would be ready. Processes, "
    "moves and what they keep were real.",
    "slow-fsync": "The slow disk was emulated: a pause before each fsync of the process.",
}


def sentence(words: str) -> str:
    return f"{words[0].upper()}{words[1:]}."


def listed(words: Sequence[str]) -> str:
    """a, b and c."""
    return " and ".join(filter(None, (", ".join(words[:-1]), *words[-1:])))


def kept_words(found: Mapping[str, Any]) -> str:
    """Of a drill in which the promise was kept."""
    if not found.get("forgotten"):
        return "Nothing was lost or taken twice"
    return "The promise was kept, nothing was taken twice, and what was forgotten was sent again"


def forgotten_words(found: Mapping[str, Any]) -> str | None:
    """What was acknowledged and forgotten, beside what the promise lets be; None where that is nothing at all."""
    if found["promise"] not in FORGIVES:
        return None
    allowed = FORGIVES[found["promise"]].format(seconds=found.get("interval_s") or 0.0)
    many = found.get("forgotten", 0)
    if not many:
        return f"No acknowledged event was forgotten; {allowed}."
    since = f"acknowledged at most {found['forgotten_s']:.2f} s before it struck"
    return f"{many:,} acknowledged events were forgotten, {since}; {allowed}."
