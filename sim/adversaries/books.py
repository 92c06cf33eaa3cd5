"""What a crew writes down: money, how its accounts behave, what became of a visit, what it knows of an account."""

from dataclasses import dataclass, field

from engine.fraud_records import Agent
from engine.records import NONE, SECOND_MS
from sim.adversaries.app import Sight, Word
from sim.adversaries.means import Guise

CLAIMS_MOST, VIEWS_MOST = 99, 6


@dataclass
class Books:
    """Fen that a crew got, and paid. Kept by whom it came: their accounts, or the persons' own."""

    face: int = 0  # face value redeemed
    resale: int = 0
    rewards: int = 0
    costs: int = 0
    honest: int = 0  # what the persons' own accounts redeemed, less what it cost
    refused: dict[str, int] = field(default_factory=dict)  # words of refusal heard
    accounts: int = 0  # registered
    brought: dict[int, int] = field(default_factory=dict)  # face, resale and rewards, by account

    @property
    def net(self) -> int:
        return self.face + self.resale + self.rewards - self.costs

    def hear(self, word: Word) -> None:
        self.refused[word.value] = self.refused.get(word.value, 0) + 1


@dataclass
class Habits:
    """How accounts behave. What adversaries learn changes it."""

    agent: Agent = Agent.APP
    views: int = 3  # pages looked at before a claim
    pause_ms: int = 4 * SECOND_MS  # between two taps
    claims: int = CLAIMS_MOST  # asked for on one visit
    ripens_ms: int = 0  # from registration to the first claim
    sells: bool = False  # coupons are sold on, not used


@dataclass
class Visit:
    """What became of one visit. account, guise: who came, as whom."""

    account: int = NONE
    guise: Guise | None = None
    granted: list[Sight] = field(default_factory=list)
    refusals: list[Word] = field(default_factory=list)
    claims: int = 0  # asked for so far
    refused_at: int = 0  # number of the first claim that was refused
    gain: int = 0


@dataclass
class Memory:
    """What a crew knows of one of its accounts."""

    registered_ms: int
    useless: set[int] = field(default_factory=set)  # coupons that are not for it
    granted_ms: dict[int, int] = field(default_factory=dict)  # when, by coupon
    orders: int = 0
