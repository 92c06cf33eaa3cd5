"""What routes do: a body goes to the shard of its customer, and the answer comes back."""

import asyncio
from collections.abc import Callable

from gateway.answering import Answering
from gateway.asking import Asking, Told
from gateway.blocks import Block, Outcome
from gateway.bodies import Checkout, Claim, Decide, Decision, Granted, Profile, Quote
from gateway.carrier import Carrier
from gateway.dictionary import Dictionary
from gateway.grouped import Grouped
from gateway.register import Register

ANSWERED_WITHIN_S = 30.0  # else nobody knows what became of it, and the caller asks again under the same id


class UnknownCustomerError(Exception):
    """Nobody has this id."""


class SlowError(Exception):
    """It was taken, and the answer does not come."""


class Desk:
    """One policy, one register, one carrier."""

    def __init__(
        self, dictionary: Dictionary, register: Register, carrier: Carrier, bounds: list[tuple[int, int]]
    ) -> None:
        """bounds: customers [first, end) of each shard."""
        self.asking, self.answering = Asking(dictionary, register.pepper), Answering(dictionary)
        self.register, self.carrier = register, carrier
        self.erased = set[int]()  # who is not decided for, unless written again
        self._enrolling = Grouped[str](register.enrol_each)
        self.ends = [end for _, end in bounds]

    async def decide(self, body: Decide, tells_why: bool) -> Decision:
        customer = self._number(body.customer)

        def block(told: Told) -> Block:
            return self.asking.decide(body, customer, self._now(), told)

        return self.answering.decision(await self._outcome(customer, block), body.customer, tells_why)

    async def claim(self, body: Claim, request: str | None) -> Granted:
        """request: the caller's id of it: it is carried out once."""
        customer = self._number(body.customer)

        def block(told: Told) -> Block:
            return self.asking.claim(body, customer, self._now(), told, self._request(request))

        return self.answering.granted(await self._outcome(customer, block), body.customer, body.coupon)

    async def checkout(self, body: Checkout, request: str | None) -> Quote:
        """request: as above."""
        customer = self._number(body.customer)

        def block(told: Told) -> Block:
            return self.asking.checkout(body, customer, self._now(), told, self._request(request))

        return self.answering.quote(await self._outcome(customer, block), body.customer, body.order)

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

    def _request(self, text: str | None) -> int:
        """A caller's id of a request as a number: at most once under it; 0 without."""
        return 0 if text is None else self.asking.identity("request", text)

    def _now(self) -> int:
        return self.carrier.dispatcher.now_ms()

    def _shard(self, customer: int) -> int:
        return next(shard for shard, end in enumerate(self.ends) if customer < end)

    async def _outcome(self, customer: int, block_of: Callable[[Told], Block]) -> Outcome:
        future: asyncio.Future[Outcome] = self.carrier.loop.create_future()

        def told(outcome: Outcome) -> None:
            if not future.done():
                future.set_result(outcome)

        self.carrier.dispatcher.submit(self._shard(customer), block_of(told))
        self.carrier.nudge()
        try:
            return await asyncio.wait_for(future, ANSWERED_WITHIN_S)
        except TimeoutError:
            raise SlowError(f"no answer within {ANSWERED_WITHIN_S:.0f} s") from None
