"""Adversaries appeal like anybody else: of their accounts that are denied, some get in touch with the support desk."""

import numpy as np

from engine.compiled import entry
from engine.records import HOUR_MS, MINUTE_MS, SECOND_MS, records
from sim.contacts import CAUSES, CONTACT, ONE_TROUBLE_MS, Cause
from sim.pages import RETURN_EPOCH_MS
from sim.streams import Draw, uniforms

draw = entry(uniforms)


class Appeals:
    """Of all crews. share: of denials; those within an hour of another are the same trouble."""

    def __init__(self, share: float, stream: tuple[int, int]) -> None:
        self.share, self.stream = share, np.array(stream, np.int64)
        self._trouble_ms: dict[int, int] = {}
        self._made: list[tuple[int, int, int, int]] = []

    def hear_denial(self, account: int, t: int) -> None:
        if self.share == 0.0 or t < self._trouble_ms.get(account, 0) + ONE_TROUBLE_MS:
            return
        self._trouble_ms[account] = t
        key = (t - RETURN_EPOCH_MS) // SECOND_MS * CAUSES + Cause.DENIED
        u, late, within, _ = draw(self.stream, account, int(Draw.CONTACT), key)
        if u < self.share:
            after = int(within * MINUTE_MS) + int(late * late * HOUR_MS)
            self._made.append((t + after, t, account, int(Cause.DENIED)))

    def take(self) -> np.ndarray:
        """Those made since this was asked for last: CONTACT[n]."""
        found = records(len(self._made), CONTACT)
        for row, made in zip(found, self._made, strict=True):
            row.time_ms, row.trouble_ms, row.customer, row.cause = made
        self._made = []
        return found
