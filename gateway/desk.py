"""What routes do: a body goes to the shard of its customer, and the answer comes back."""

from collections.abc import Callable

import numpy as np

from gateway.answering import Answering
from gateway.asking import Asking, Told, identity
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
        self.asking, self.answering = Asking(dictionary), Answering(dictionary, self.challenges)
        self.patience = Patience(carrier.loop, ANSWERED_WITHIN_S)
        self.ends = [end for _, end in bounds]

    async def decide(self, body: Decide, tells_why: bool) -> Decision:
        customer = self._number(body.customer)
        outcome = await self._outcome(customer, lambda told: self.asking.decide(body, customer, told))
        return self.answering.decision(outcome, body.customer, tells_why)

    async def claim(self, body: Claim, request: str | None, tells_why: bool) -> Granted:
        customer, id = self._number(body.customer), request_id(request)
        outcome = await self._outcome(customer, lambda told: self.asking.claim(body, customer, told, id))
        return self.answering.granted(outcome, body.customer, body.coupon, tells_why)

    async def checkout(self, body: Checkout, request: str | None, tells_why: bool) -> Quote:
        customer, id = self._number(body.customer), request_id(request)
        outcome = await self._outcome(customer, lambda told: self.asking.checkout(body, customer, told, id))
        return self.answering.quote(outcome, body.customer, body.order, tells_why)

    async def pay(self, body: Pay, request: str | None, tells_why: bool) -> Quote:
        customer, id = self._number(body.customer), request_id(request)
        outcome = await self._outcome(customer, lambda told: self.asking.pay(body, customer, told, id))
        return self.answering.quote(outcome, body.customer, body.order, tells_why)

    async def cancel(self, body: Cancel, request: str | None) -> Returned:
        customer, id = self._number(body.customer), request_id(request)
        outcome = await self._outcome(customer, lambda told: self.asking.cancel(body, customer, told, id))
        return self.answering.returned(outcome, body.customer, body.order, refunds=False)

    async def refund(self, body: Refund, request: str | None) -> Returned:
        customer, id = self._number(body.customer), request_id(request)
        outcome = await self._outcome(customer, lambda told: self.asking.refund(body, customer, told, id))
        return self.answering.returned(outcome, body.customer, body.order, refunds=True)

    async def redeem(self, body: Redeem, request: str | None, tells_why: bool) -> Redeemed:
        customer, id = self._number(body.customer), request_id(request)
        outcome = await self._outcome(customer, lambda told: self.asking.redeem(body, customer, told, id))
        return self.answering.redeemed(outcome, body.customer, body.number, tells_why)

    async def transfer(self, body: Transfer, request: str | None, tells_why: bool) -> Redeemed:
        customer, id = self._number(body.customer), request_id(request)
        other = self.register.number(body.to)
        if other is None or other == customer:
            raise BodyError([("$.to", f"must be another customer who is known (got {body.to})")])
        outcome = await self._outcome(customer, lambda told: self.asking.transfer(body, customer, other, told, id))
        return self.answering.redeemed(outcome, body.customer, body.number, tells_why)

    async def challenge(self, body: Challenge) -> Passed:
        customer, rule = self._number(body.customer), self.challenges.slot(body.challenge)
        outcome = await self._outcome(customer, lambda told: self.asking.challenge(body, customer, rule, told))
        return self.answering.passed(outcome, body.customer)

    async def put(self, customer: str, body: Profile) -> bool:
        """Write a customer's profile; whether the customer is new."""
        self.asking.profile(
            body, 0, lambda outcome: None
        )  # names it does not know are an error before anything is written
        is_new = self.register.number(customer) is None
        (number,) = self.register.enrol([customer])
        await self._outcome(number, lambda told: self.asking.profile(body, number, told))
        return is_new

    def _number(self, customer: str) -> int:
        number = self.register.number(customer)
        if number is None:
            raise UnknownCustomerError(customer)
        return number

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


def request_id(text: str | None) -> int:
    """A caller's id of a request as a number: at most once under it; 0 without."""
    return 0 if text is None else identity("request", text)
