"""Which policy has decided for a customer, and so in whose words the answer is."""

from dataclasses import dataclass

import numpy as np

from engine.host.editions import Editions
from engine.rules.experiments import mark_share
from gateway.dictionary import Dictionary

KEPT = 16  # orders whose words are known: answers of an earlier one are on their way no more


@dataclass(frozen=True, eq=False)
class Words:
    """Of what hosts decide by after one order."""

    both: Dictionary  # every name that may be said
    base: Dictionary
    trial: Dictionary
    chosen: np.ndarray | None  # bool[customers]: who is on trial; None: nobody

    @classmethod
    def of(cls, editions: Editions, customers: int) -> "Words":
        base = Dictionary(editions.base)
        if editions.trial is None:
            return cls(base, base, base, None)
        trial, chosen = Dictionary(editions.trial), None
        if editions.running.share:
            chosen = np.zeros(customers, np.bool_)
            replication = editions.base.tables.policy[0].replication
            mark_share(editions.salt, replication, editions.running.share, 0, chosen)
        return cls(base.with_names_of(trial), base, trial, chosen)

    def is_on_trial(self, customer: int) -> bool:
        return self.chosen is not None and bool(self.chosen[customer])


class Speaking:
    """Words by order."""

    def __init__(self, order: int, words: Words) -> None:
        self._words = {order: words}
        self.present = words  # what every host knows

    def prepare(self, order: int, words: Words) -> None:
        """Some host may decide by it from now on."""
        self._words[order] = words
        for earlier in sorted(self._words)[:-KEPT]:
            del self._words[earlier]

    def settle(self, order: int) -> None:
        """Every host decides by it."""
        self.present = self._words[order]

    def after(self, order: int) -> Words:
        """order: the latest that a shard had carried out. What it had carried out before the gateway began is what all
        have."""
        return self._words.get(order, self.present)
