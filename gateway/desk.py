"""What routes do: a body goes to the shard of its customer, and the answer comes back."""

from collections.abc import Callable, Sequence
from weakref import WeakKeyDictionary

import numpy as np

from engine.records import NONE
from gateway.answering import Answering, Counted, nothing
from gateway.asking import Asking, Told
from gateway.blocks import Block, Outcome
from gateway.bodies import (
    Cancel,
    Challenge,
    Checkout,
    Claim,
    Decide,
    Decision,
    Granted,
    Passed,
    Pay,
    Profile,
    Quote,
    Redeem,
    Redeemed,
    Refund,
    Returned,
    Transfer,
)
from gateway.carrier import Carrier
from gateway.dictionary import BodyError, Challenges, Dictionary
from gateway.grouped import Grouped
from gateway.patience import Patience
from gateway.refusal_book import RefusalBook
from gateway.register import Register
from gateway.speaking import Speaking, Words

ANSWERED_WITHIN_S = 30.0  # else nobody knows what became of it, and the caller asks again under the same id


class UnknownCustomerError(Exception):
    """Nobody has this id."""


class Voice:
    """Asks and answers in the words of what hosts decide by."""

    def __init__(self, words: Words, register: Register, book: RefusalBook, counted: Counted) -> None:
        self.challenges = Challenges(words.both, register.token)
        self.asking = Asking(words.both, register.pepper)
        self.base = Answering(words.base, self.challenges, book, counted)
        self.trial = self.base if words.trial is words.base else Answering(words.trial, self.challenges, book, counted)

    def answering(self, is_on_trial: bool) -> Answering:
        return self.trial if is_on_trial else self.base


class Desk:
    """One register, one carrier, and whatever policies decide. request: the caller's id of what is asked, which is
    carried out once; tells_why: to somebody who may know reasons."""

    def __init__(self, speaking: Speaking, register: Register, carrier: Carrier, bounds: list[tuple[int, int]]) -> None:
        """bounds: customers [first, end) of each shard."""
        self.speaking, self.register, self.carrier = speaking, register, carrier
        self.patience = Patience(carrier.loop, ANSWERED_WITHIN_S)
        self.book = RefusalBook()
        self.erased = set[int]()  # who is not decided for, unless written again
        self.counted: Counted = nothing  # is told of every outcome: of what kind, and which
        self.watched: Callable[[Outcome], object] = nobody  # is told of everything that shards decided
        self._enrolling = Grouped[str](register.enrol_each)
        self._voices = WeakKeyDictionary[Words, Voice]()  # as long as somebody may have to be told in them
        self.ends = [end for _, end in bounds]

    @property
    def asking(self) -> Asking:
        return self._voice(self.speaking.present).asking

    @property
    def dictionary(self) -> Dictionary:
        """Every name that may be said."""
        return self.speaking.present.both

    def _voice(self, words: Words) -> Voice:
        found = self._voices.get(words)
        if found is None:
            found = self._voices[words] = Voice(words, self.register, self.book, self._count)
        return found

    def _count(self, kind: str, name: str) -> None:
        self.counted(kind, name)

    def _answering(self, outcome: Outcome, customer: int) -> Answering:
        """In the words of the policy that has decided."""
        words = self.speaking.after(order_of(outcome))
        return self._voice(words).answering(words.is_on_trial(customer))

    async def decide(self, body: Decide, tells_why: bool) -> Decision:
        customer = self._number(body.customer)
        outcome = await self._outcome(customer, lambda told: self.asking.decide(body, customer, told))
        return self._answering(outcome, customer).decision(outcome, body.customer, tells_why)

    async def claim(self, body: Claim, request: str | None, tells_why: bool) -> Granted:
        customer, id = self._number(body.customer), self._request(request)
        outcome = await self._outcome(customer, lambda told: self.asking.claim(body, customer, told, id))
        return self._answering(outcome, customer).granted(outcome, body.customer, body.coupon, tells_why)

    async def checkout(self, body: Checkout, request: str | None, tells_why: bool) -> Quote:
        customer, id = self._number(body.customer), self._request(request)
        outcome = await self._outcome(customer, lambda told: self.asking.checkout(body, customer, told, id))
        return self._answering(outcome, customer).quote(outcome, body.customer, body.order, tells_why)

    async def pay(self, body: Pay, request: str | None, tells_why: bool) -> Quote:
        customer, id = self._number(body.customer), self._request(request)
        outcome = await self._outcome(customer, lambda told: self.asking.pay(body, customer, told, id))
        return self._answering(outcome, customer).quote(outcome, body.customer, body.order, tells_why)

    async def cancel(self, body: Cancel, request: str | None) -> Returned:
        customer, id = self._number(body.customer), self._request(request)
        outcome = await self._outcome(customer, lambda told: self.asking.cancel(body, customer, told, id))
        return self._answering(outcome, customer).returned(outcome, body.customer, body.order, refunds=False)

    async def refund(self, body: Refund, request: str | None) -> Returned:
        customer, id = self._number(body.customer), self._request(request)
        outcome = await self._outcome(customer, lambda told: self.asking.refund(body, customer, told, id))
        return self._answering(outcome, customer).returned(outcome, body.customer, body.order, refunds=True)

    async def redeem(self, body: Redeem, request: str | None, tells_why: bool) -> Redeemed:
        customer, id = self._number(body.customer), self._request(request)
        outcome = await self._outcome(customer, lambda told: self.asking.redeem(body, customer, told, id))
        return self._answering(outcome, customer).redeemed(outcome, body.customer, body.number, tells_why)

    async def transfer(self, body: Transfer, request: str | None, tells_why: bool) -> Redeemed:
        customer, id = self._number(body.customer), self._request(request)
        other = self.register.number(body.to)
        if other is None or other == customer:
            raise BodyError([("$.to", f"must be another customer who is known (got {body.to})")])
        outcome = await self._outcome(customer, lambda told: self.asking.transfer(body, customer, other, told, id))
        return self._answering(outcome, customer).redeemed(outcome, body.customer, body.number, tells_why)

    async def challenge(self, body: Challenge) -> Passed:
        customer, rule = self._number(body.customer), self._voice(self.speaking.present).challenges.slot(body.challenge)
        outcome = await self._outcome(customer, lambda told: self.asking.challenge(body, customer, rule, told))
        return self._answering(outcome, customer).passed(outcome, body.customer)

    async def enrolled(self, customer: str) -> int:
        """A customer's number, a new one for who has none; those of one round of the loop share a sync. Raises
        RoomError."""
        known = self.register.number(customer)
        return known if known is not None else int(await self._enrolling.kept(customer))

    async def write(self, number: int, body: Profile, is_leaving: bool) -> None:
        """Have a shard keep a profile. is_leaving: it has to forget the customer first."""
        await self._outcome(number, lambda told: self.asking.profile(body, number, told, is_leaving))

    async def leave(self, number: int) -> None:
        """Have a shard forget a customer."""
        await self._outcome(number, lambda told: self.asking.leave(number, told))

    def close(self) -> None:
        self._enrolling.close()

    def _number(self, customer: str) -> int:
        number = self.register.number(customer)
        if number is None or number in self.erased:
            raise UnknownCustomerError(customer)
        return number

    def numbers(self, customers: Sequence[str]) -> list[int]:
        """Of each; NONE of who is not known, or erased."""
        found = self.register.numbers(customers)
        return [NONE if number in self.erased else number for number in found] if self.erased else found

    def _request(self, text: str | None) -> int:
        """A caller's id of a request as a number: at most once under it; 0 without."""
        return 0 if text is None else self.asking.identity("request", text)

    def _shard(self, customer: int) -> int:
        return next(shard for shard, end in enumerate(self.ends) if customer < end)

    def shards_of(self, customers: np.ndarray) -> np.ndarray:
        """Of many."""
        return np.searchsorted(np.array(self.ends), customers, side="right")

    async def _outcome(self, customer: int, block_of: Callable[[Told], Block]) -> Outcome:
        future = self.patience.future()

        def told(outcome: Outcome) -> None:
            self.watched(outcome)
            if not future.done():
                future.set_result(outcome)

        self.carrier.dispatcher.submit(self._shard(customer), block_of(told))
        self.carrier.nudge()
        return await future


def order_of(outcome: Outcome) -> int:
    return outcome.ordered if isinstance(outcome.ordered, int) else int(outcome.ordered.max(initial=0))


def nobody(outcome: Outcome) -> None:
    """Nobody watches."""
