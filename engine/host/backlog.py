"""What a shard has counted and the Ledger has not heard yet: several accounts as one, and as fields of a snapshot."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from engine.host.packing import Value
from engine.host.shard import Account


def says_something(account: Account) -> bool:
    return len(account.requests) > 0 or bool(account.spend.any()) or bool(account.pulse.any())


def pulse_of(accounts: Sequence[Account]) -> tuple[np.ndarray, int]:
    """What several accounts counted by minute, and the first minute."""
    first, last = accounts[0], accounts[-1]
    if len(accounts) == 1 or len(first.pulse) == 0:
        return first.pulse, first.pulse_minute
    minutes = last.pulse_minute - first.pulse_minute + len(last.pulse)
    pulse = np.zeros((minutes, *first.pulse.shape[1:]), np.int64)
    for one in accounts:
        at = one.pulse_minute - first.pulse_minute
        pulse[at : at + len(one.pulse)] += one.pulse
    return pulse, first.pulse_minute


def backlog_fields(prefix: str, account: Account) -> dict[str, Value]:
    return {f"{prefix}.{name}": getattr(account, name) for name in vars(account)}


def backlog_in(prefix: str, fields: Mapping[str, Any]) -> Account:
    names = ("requests", "spend", "lives", "pulse", "pulse_minute")
    requests, spend, lives, pulse, minute = (fields[f"{prefix}.{name}"] for name in names)
    return Account(requests.copy(), spend.copy(), lives.copy(), pulse.copy(), minute)
