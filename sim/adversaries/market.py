"""Where coupons are sold on: the more are offered, the less one brings, until buyers have come again."""

import math
from dataclasses import dataclass


@dataclass
class Market:
    """share: of the face value that the first piece brings; depth: pieces at which a price is down to 1/e of that."""

    share: float
    depth: float
    recovers_ms: float  # time in which a supply falls to 1/e
    supply: float = 0.0
    latest_ms: int = 0

    def price(self, face: int, now: int) -> int:
        """Fen that one more piece would bring now."""
        supply = self.supply * math.exp(-(now - self.latest_ms) / self.recovers_ms)
        return int(face * self.share * math.exp(-supply / self.depth))

    def sell(self, face: int, now: int) -> int:
        """Fen that a piece brings."""
        price = self.price(face, now)
        self.supply = self.supply * math.exp(-(now - self.latest_ms) / self.recovers_ms) + 1.0
        self.latest_ms = now
        return price
