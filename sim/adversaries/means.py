"""What a crew works with: money, and devices, IPs, cards and addresses that cost some and wear out by being refused."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from enum import IntEnum
from itertools import count

from engine.fraud_records import Agent
from engine.records import NONE

OWN_THINGS = 1 << 44  # numbers of adversaries' devices, cards and addresses; above all customers'
DATA_CENTRES = (198 << 24) + (18 << 16)  # rented addresses (198.18.0.0/15, RFC 2544): known lists have them
PROXIES = 160 << 24  # addresses of other people's homes, which no list has
HOMES_OF_PERSONS = 176 << 24
IPS_A_CREW = 1 << 14
DATA_CENTRE_IPS = 1 << 17


class Thing(IntEnum):
    DEVICE = 0
    IP = 1
    CARD = 2
    ADDRESS = 3


@dataclass(frozen=True)
class Prices:
    """Fen. ip: of a data centre's address; proxy: of one in somebody's home; challenge: to have one solved."""

    account: int
    device: int
    ip: int
    proxy: int
    card: int
    address: int
    challenge: int


@dataclass
class Purse:
    """Fen. A crew spends its budget and what it has earned."""

    budget: int
    spent: dict[str, int] = field(default_factory=dict)
    earned: int = 0

    @property
    def left(self) -> int:
        return self.budget + self.earned - sum(self.spent.values())

    def pay(self, what: str, fen: int) -> bool:
        """Whether there was enough for it."""
        if fen > self.left:
            return False
        self.spent[what] = self.spent.get(what, 0) + fen
        return True


@dataclass(frozen=True)
class Guise:
    """As whom an account comes."""

    device: int
    ip: int
    card: int
    address: int
    agent: Agent = Agent.APP
    code: int = NONE
    inviter: int = NONE


class Pool:
    """Things of one kind: the one at hand, how often it has been used, and how often that goes well."""

    def __init__(self, thing: Thing, numbers: Iterator[int], stock: int, most: int | None = None) -> None:
        self.thing, self._numbers, self.stock, self.most = thing, numbers, max(stock - 1, 0), most
        self.at_hand = next(numbers)
        self.uses = 0

    def is_worn(self) -> bool:
        return self.most is not None and self.uses >= self.most

    def take(self) -> int:
        self.uses += 1
        return self.at_hand

    def turn(self) -> None:
        """The next one of the stock comes to hand."""
        self.stock -= 1
        self.at_hand, self.uses = next(self._numbers), 0

    def blame(self) -> None:
        """It was refused at this use: from now on fewer uses of each."""
        self.most = max(1, min(self.uses - 1, self.most or self.uses))


def ip_numbers(crew: int, rented: bool) -> Iterator[int]:
    """Addresses of a crew: of data centres, or of other people's homes."""
    if rented:
        return (DATA_CENTRES + (crew * 977 + place * 31) % DATA_CENTRE_IPS for place in count())
    return (PROXIES + crew * IPS_A_CREW + place % IPS_A_CREW for place in count())


def thing_numbers(crew: int, thing: Thing) -> Iterator[int]:
    return (OWN_THINGS + ((crew * 4 + thing) << 24) + place for place in count())


def own_guise(customer: int) -> Guise:
    """A person's honest account: a phone, a home, a card and an address that nobody else has."""
    number = OWN_THINGS * 2 + customer * 4
    return Guise(number, HOMES_OF_PERSONS + customer, number + 1, number + 2)
