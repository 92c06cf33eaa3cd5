"""What goes between the Ledger and its shards: kept for each of them, joined of all, parted again."""

from dataclasses import dataclass, field, replace

import numpy as np

from engine.coupon_records import REPLY, REQUEST
from engine.host.messages import Settled
from engine.records import as_records, records

NO_REPLIES = records(0, REPLY)


@dataclass
class Post:
    """What goes between the Ledger and one shard."""

    taken: int = 0  # number of its latest contribution that was settled
    kept: dict[int, Settled] = field(default_factory=dict)  # by contribution: what it was told lately
    mail: list[np.ndarray] = field(default_factory=list)  # REPLY[n]: to be told next
    told: int = 0  # moments it has heard of
    lives: np.ndarray | None = None  # i8[coupon slots, LIVES], as it said last
    owed: int = 0  # number of its latest contribution that was answered with replies, which `lives` are without

    def copy(self) -> "Post":
        return replace(self, kept=dict(self.kept), mail=list(self.mail))


def joined(parts: list[np.ndarray]) -> np.ndarray:
    """Requests of all shards, in the order of the shards."""
    parts = [part for part in parts if len(part)] or parts[:1]  # many ask nothing, and joining records is slow
    requests = parts[0] if len(parts) == 1 else np.concatenate(parts)
    assert requests.dtype == REQUEST
    return as_records(np.ascontiguousarray(requests))


def added(parts: list[np.ndarray], rows: int, columns: int) -> np.ndarray:
    """Sum of the shards' tables by slot: i8[rows, columns]."""
    total = np.zeros((rows, columns), np.int64)
    for part in parts:
        total[: len(part)] += part
    return total


def said_to(replies: np.ndarray, first: int, end: int) -> np.ndarray:
    """The replies to the customers in [first, end)."""
    if len(replies) == 0:
        return replies
    customers = replies["customer"]
    mine = (customers >= first) & (customers < end)
    return replies if mine.all() else replies[mine]
