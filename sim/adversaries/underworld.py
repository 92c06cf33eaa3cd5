"""All adversaries of a world: a SimPy environment of their own that is run from settlement to settlement."""

from dataclasses import dataclass

import numpy as np
import simpy

from engine.records import CUSTOMER, LONG_AGO_MS, NEVER_MS, Flag, records
from sim.adversaries.app import App, Decide, Enrol
from sim.adversaries.crew import Crew
from sim.adversaries.market import Market
from sim.adversaries.scene import CrewPlan, Scene
from sim.adversaries.schemes import SCHEMES
from sim.origin_model import Account

BOOKED = ("accounts", "face", "resale", "rewards", "costs", "honest")


@dataclass(frozen=True)
class Takings:
    """What all crews of a kind got, in fen. honest: what the same persons got with one account of their own each."""

    kind: Account
    crews: int
    persons: int
    accounts: int  # registered
    face: int
    resale: int
    rewards: int
    costs: int
    honest: int
    refused: int  # refusals heard
    let_through: int = 0  # of face, resale and rewards, what accounts brought whom no rule answers

    @property
    def net(self) -> int:
        return self.face + self.resale + self.rewards - self.costs


def accounts_of(plans: tuple[CrewPlan, ...]) -> int:
    """How many accounts all crews have at most, the persons' own included."""
    return sum(plan.crews * plan.size for plan in plans)


def kinds_of(plans: tuple[CrewPlan, ...]) -> np.ndarray:
    """What each account is (i1[n], Account)."""
    kinds = [
        np.repeat([Account.OWN, plan.kind], [plan.people, plan.accounts]) for plan in plans for _ in range(plan.crews)
    ]
    return np.concatenate(kinds or [np.zeros(0)]).astype(np.int8)


def profiles_of(plans: tuple[CrewPlan, ...], cities: int, week: int) -> np.ndarray:
    """CUSTOMER[n]: grown-ups with a card who have not joined yet."""
    profiles = records(accounts_of(plans), CUSTOMER)
    rows = np.arange(len(profiles))
    profiles["joined_ms"] = NEVER_MS
    profiles["login_ms"] = profiles["purchase_ms"] = LONG_AGO_MS
    profiles["birth_date"] = 19_800_101 + rows % 15 * 10_000
    profiles["gender"] = rows % 2
    profiles["home_city"] = rows % max(cities, 1)
    profiles["marks"] = Flag.CARD_ACTIVE
    profiles["balance"] = 2_000_000
    profiles["points_expire_ms"] = NEVER_MS
    profiles["week"] = week
    return profiles


class Underworld:
    """Crews with accounts first … first + n - 1, from the scene's beginning to its end."""

    def __init__(
        self, scene: Scene, plans: tuple[CrewPlan, ...], first: int, cities: np.ndarray, decide: Decide, enrol: Enrol
    ) -> None:
        self.env = simpy.Environment(initial_time=scene.begins)
        self.app = App(self.env, decide, enrol, first, cities, np.array(scene.stream, np.int64))
        self.crews: list[Crew] = []
        market = Market(scene.market_share, scene.market_depth, scene.market_recovers_ms)
        for plan in plans:
            for _ in range(plan.crews):
                crew = Crew(len(self.crews), first, plan, scene, self.app, market)
                self.crews.append(crew)
                self.env.process(SCHEMES[plan.kind](crew))
                for person in range(plan.people):
                    self.env.process(crew.live_honestly(first + person))
                first += plan.size

    def run(self, until: int) -> None:
        """Live up to a time, which is not in it."""
        if until > self.env.now:
            self.env.run(until)
            self.app.send()

    def hear(self, replies: np.ndarray) -> None:
        """The Ledger's replies (REPLY[n]) of the settlement at this moment."""
        self.app.hear(replies)

    def takings(self, let_through: frozenset[int] = frozenset()) -> list[Takings]:
        """By kind, in the order of kinds. let_through: accounts whom no rule answers."""
        found = []
        for kind in SCHEMES:
            crews = [crew for crew in self.crews if crew.plan.kind == kind]
            if not crews:
                continue
            sums = {name: sum(getattr(crew.books, name) for crew in crews) for name in BOOKED}
            refused = sum(sum(crew.books.refused.values()) for crew in crews)
            persons = sum(crew.plan.people for crew in crews)
            apart = sum(fen for crew in crews for who, fen in crew.books.brought.items() if who in let_through)
            found.append(Takings(kind, len(crews), persons, refused=refused, let_through=apart, **sums))
        return found
