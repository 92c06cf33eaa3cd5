"""What routes do: a body goes to the shard of its customer, and the answer comes back."""

from collections.abc import Callable, Sequence

import numpy as np

from engine.records import NONE
from gateway.answering import Answering
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
from gateway.register import Register

ANSWERED_WITHIN_S = 30.0  # else nobody knows what became of it, and the caller asks again under the same id


class UnknownCustomerError(Exception):
    """Nobody has this id."""


class Desk:
    """One policy, one register, one carrier. request: the caller's id of what is asked, which is carried out once;
    tells_why: to somebody who may know reasons."""

    def __init__(
        self, dictionary: Dictionary, register: Register, carrier: Carrier, bounds: list[tuple[int, int]]
    ) -> None:
        """bounds: customers [first, end) of each shard."""
        self.dictionary, self.register, self.carrier = dictionary, register, carrier
        self.challenges = Challenges(dictionary, register.token)
        self.asking, self.answering = Asking(dictionary, register.pepper), Answering(dictionary, self.challenges)
        self.patience = Patience(carrier.loop, ANSWERED_WITHIN_S)
        self.erased = set[int]()  # who is not decided for, unless written again
        self._enrolling = Grouped[str](register.enrol_each)
        self.ends = [end for _, end in bounds]

    async def decide(self, body: Decide, tells_why: bool) -> Decision:
        customer = self._number(body.customer)
        outcome = await self._outcome(customer, lambda told: self.asking.decide(body, customer, told))
        return self.answering.decision(outcome, body.customer, tells_why)

    async def claim(self, body: Claim, request: str | None, tells_why: bool) -> Granted:
        customer, id = self._number(body.customer), self._request(request)
        outcome = await self._outcome(customer, lambda told: self.asking.claim(body, customer, told, id))
        return self.answering.granted(outcome, body.customer, body.coupon, tells_why)

    async def checkout(self, body: Checkout, request: str | None, tells_why: bool) -> Quote:
        customer, id = self._number(body.customer), self._request(request)
        outcome = await self._outcome(customer, lambda told: self.asking.checkout(body, customer, told, id))
        return self.answering.quote(outcome, body.customer, body.order, tells_why)

    async def pay(self, body: Pay, request: str | None, tells_why: bool) -> Quote:
        customer, id = self._number(body.customer), self._request(request)
        outcome = await self._outcome(customer, lambda told: self.asking.pay(body, customer, told, id))
        return self.answering.quote(outcome, body.customer, body.order, tells_why)

    async def cancel(self, body: Cancel, request: str | None) -> Returned:
        customer, id = self._number(body.customer), self._request(request)
        outcome = await self._outcome(customer, lambda told: self.asking.cancel(body, customer, told, id))
        return self.answering.returned(outcome, body.customer, body.order, refunds=False)

    async def refund(self, body: Refund, request: str | None) -> Returned:
        customer, id = self._number(body.customer), self._request(request)
        outcome = await self._outcome(customer, lambda told: self.asking.refund(body, customer, told, id))
        return self.answering.returned(outcome, body.customer, body.order, refunds=True)

    async def redeem(self, body: Redeem, request: str | None, tells_why: bool) -> Redeemed:
        customer, id = self._number(body.customer), self._request(request)
        outcome = await self._outcome(customer, lambda told: self.asking.redeem(body, customer, told, id))
        return self.answering.redeemed(outcome, body.customer, body.number, tells_why)

    async def transfer(self, body: Transfer, request: str | None, tells_why: bool) -> Redeemed:
        customer, id = self._number(body.customer), self._request(request)
        other = self.register.number(body.to)
        if other is None or other == customer:
            raise BodyError([("$.to", f"must be another customer who is known (got {body.to})")])
        outcome = await self._outcome(customer, lambda told: self.asking.transfer(body, customer, other, told, id))
        return self.answering.redeemed(outcome, body.customer, body.number, tells_why)

    async def challenge(self, body: Challenge) -> Passed:
        customer, rule = self._number(body.customer), self.challenges.slot(body.challenge)
        outcome = await self._outcome(customer, lambda told: self.asking.challenge(body, customer, rule, told))
        return self.answering.passed(outcome, body.customer)

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
            if not future.done():
                future.set_result(outcome)

        self.carrier.dispatcher.submit(self._shard(customer), block_of(told))
        self.carrier.nudge()
        return await future
