"""One random shop with fraud rules lived by the naive twins.

python -m tests.engine.fraud_twins SEED STEPS: lives it by the references, then by one shard; prints the digest.
"""

from random import Random

from engine.reference_wallet import Row
from tests.engine.fraud_traffic import FraudTraffic, decisions, random_frauds
from tests.engine.wallet_twins import Step, Story


class FraudStory(Story):
    """A random run under fraud rules, with reviewers who decide now and then."""

    traffic_of = FraudTraffic
    traffic: FraudTraffic

    def __init__(self, seed: int, steps: int, events: int = 16) -> None:
        super().__init__(seed, steps, events, random_frauds(Random(seed), seed))

    def live(self, events: int) -> None:
        super().live(events)
        self.traffic.hear(self.steps[-1].replies)

    def decided(self, step: Step) -> list[Row]:
        return decisions(self.rng, self.ledger.reviews, len(self.steps), self.now, step.until)
