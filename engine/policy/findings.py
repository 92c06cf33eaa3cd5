"""What lint says: one finding, with a stable code."""

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True)
class Finding:
    """One thing to look at: `path` is where in the policy, `advice` what to do."""

    code: str
    severity: Literal["error", "warning", "ask"]
    path: str
    sentence: str
    advice: str
