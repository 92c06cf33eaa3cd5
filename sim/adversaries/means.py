"""What a crew works with: money, and devices, IPs, cards and addresses that cost some and wear out by being refused."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from enum import IntEnum
from itertools import count

from engine.fraud_records import Agent
from engine.records import DAY_MS, NONE

OWN_THINGS = 1 << 44  # numbers of adversaries' devices, cards and addresses; above all customers'
DATA_CENTRES = (198 << 24) + (18 << 16)  # rented addresses (198.18.0.0/15, RFC 2544): known lists have them
PROXIES = 160 << 24  # addresses of other people's homes, which no list has
HOMES_OF_PERSONS = 176 << 24
IPS_A_CREW = 1 << 14
USES_MOST = 1_000_000
DATA_CENTRE_IPS = 1 << 17


class Thing(IntEnum):
    DEVICE = 0
    IP = 1
    CARD = 2
    ADDRESS = 3


@dataclass(frozen=True)
class Prices:
    """Fen. prepared: an account opened before launch; emulator: a device that is none; ip: an address of a data
    centre; proxy: one in somebody's home; challenge: to have one solved."""

    account: int
    prepared: int
    device: int
    emulator: int
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
    """Things of one kind: those a crew has, how often each has been used today, and how often that goes well."""

    def __init__(self, thing: Thing, numbers: Iterator[int], stock: int, most: int | None = None) -> None:
        self.thing, self._numbers, self.most = thing, numbers, most
        self.things = [next(numbers) for _ in range(max(stock, 1))]
        self._uses: dict[int, int] = {}
        self._burnt: set[int] = set()
        self._day, self._place = 0, 0

    @property
    def at_hand(self) -> int:
        return self.things[self._place]

    def uses(self, number: int, now: int) -> int:
        """Of one thing, today."""
        if now // DAY_MS != self._day:
            self._day, self._uses = now // DAY_MS, {}
        return self._uses.get(number, 0)

    def is_worn(self, number: int, now: int) -> bool:
        """Whether one more use today would be too many."""
        return number in self._burnt or self.uses(number, now) >= (self.most or USES_MOST)

    def use(self, number: int, now: int) -> None:
        self._uses[number] = self.uses(number, now) + 1

    def step(self) -> None:
        """The next thing comes to hand, so that whoever asks next is given another one."""
        self._place = (self._place + 1) % len(self.things)

    def turn(self, now: int, fresh: bool = False) -> bool:
        """Another one of those there are comes to hand, the next that is not worn (fresh: not used today). Whether
        there was one."""
        before = self._place
        for _ in range(1, len(self.things)):
            self.step()
            if not self.is_worn(self.at_hand, now) and not (fresh and self.uses(self.at_hand, now)):
                return True
        self._place = before
        return False

    def add(self) -> None:
        """A new one comes to hand."""
        self.things.append(next(self._numbers))
        self._place = len(self.things) - 1

    def burn(self, number: int) -> None:
        """It is not used again."""
        self._burnt.add(number)

    def blame(self, number: int, now: int) -> None:
        """It was refused at this use: from now on fewer uses of each."""
        self.most = max(1, min(self.uses(number, now) - 1, self.most or USES_MOST))


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
