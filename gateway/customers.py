"""Customers as the gateway keeps them: written, read, retained, erased. The vault has what is known, the shard what it
decides by, the register who is who; each learns of an erasure, also when the gateway is killed between two of them.
"""

import asyncio
import time
from collections.abc import Callable
from datetime import datetime
from typing import Any
from weakref import WeakValueDictionary
from zoneinfo import ZoneInfo

import msgspec

from gateway.asking import identifying
from gateway.bodies import Profile
from gateway.desk import Desk, UnknownCustomerError
from gateway.dictionary import BodyError
from gateway.grouped import Grouped
from gateway.identifying import FIELDS
from gateway.vault import CustomerFile, Duty, Erasure, Vault

NO_KEY = "is sealed where it is kept, and this gateway has no key for that: serve with --vault-key FILE"


def now_ms() -> int:
    return time.time_ns() // 1_000_000


class Customers:
    """Those of one desk. What concerns one customer is done one after the other."""

    def __init__(self, desk: Desk, vault: Vault, clock_ms: Callable[[], int] = now_ms) -> None:
        self.desk, self.clock_ms = desk, clock_ms
        self._seals = vault.seals
        self._vault = vault
        self._grouped = Grouped[Callable[[], Any]](vault.together)
        self._zone = ZoneInfo(desk.asking.dictionary.policy.time_zone)
        self._turns: WeakValueDictionary[int, asyncio.Lock] = WeakValueDictionary()
        self.desk.erased.update(vault.erased())

    @property
    def today(self) -> str:
        """Where the policy is at home."""
        return datetime.fromtimestamp(self.clock_ms() / 1_000, self._zone).date().isoformat()

    def known(self, customer: str) -> int:
        """Number of somebody who was written once, erased or not. Raises UnknownCustomerError."""
        number = self.desk.register.number(customer)
        if number is None:
            raise UnknownCustomerError(customer)
        return number

    async def put(self, customer: str, body: Profile) -> bool:
        """Write what is known; whether the customer is new, or was erased. Raises BodyError, RoomError."""
        self.desk.asking.profile(body, 0, lambda outcome: None)  # every problem, before anything is written
        said = identifying(body)
        if said and not self._seals:
            raise BodyError([(f"$.{field}", NO_KEY) for field in said])
        is_new = self.desk.register.number(customer) is None
        number = await self.desk.enrolled(customer)
        async with self._turn(number):
            was_erased, is_leaving = number in self.desk.erased, False
            if self._seals or was_erased:
                profile = {field: value for field, value in msgspec.to_builtins(body).items() if field not in FIELDS}
                is_leaving = await self._do(lambda: self._vault.put(number, said, profile, self.clock_ms()))
                self.desk.erased.discard(number)
            await self.desk.write(number, body, is_leaving)
            if is_leaving:
                await self._do(lambda: self._vault.left(number))
        return is_new or was_erased

    async def file(self, customer: str) -> CustomerFile:
        """What is known. Raises UnknownCustomerError."""
        number = self.known(customer)
        return await self._do(lambda: self._vault.file(number))

    async def erase(self, customer: str) -> Erasure:
        """Destroy the key, or lock it under duties; the shard forgets at once. Raises UnknownCustomerError."""
        number = self.known(customer)
        async with self._turn(number):
            erasure: Erasure = await self._do(lambda: self._vault.erase(number, self.clock_ms(), self.today))
            self.desk.erased.add(number)
            self.desk.register.forget_id(customer)
            self.desk.book.forget(number)
            if erasure.is_leaving:
                await self._leave(number)
        return erasure

    async def retain(self, customer: str, duty: Duty) -> list[Duty]:
        """Lay a duty on a customer's record; all there are. Raises UnknownCustomerError, BodyError, DutyError."""
        number = self.known(customer)
        if not self.today <= duty.until or not _is_day(duty.until):
            raise BodyError([("$.until", f"must be a day like 2031-01-01, today or later (got {duty.until})")])
        async with self._turn(number):
            return await self._do(lambda: self._vault.retain(number, duty))

    async def expire(self) -> list[bytes]:
        """Destroy what duties kept until yesterday; the tokens of those customers."""
        numbers = await self._do(lambda: self._vault.expire(self.today))
        return [self.desk.register.token_of(number) for number in numbers]

    async def finish_erasures(self) -> int:
        """Have shards forget whom they had not forgotten when the gateway ended; how many."""
        leaving, done = await self._do(self._vault.leaving), 0
        for number in leaving:
            async with self._turn(number):
                if number in await self._do(self._vault.leaving):  # nobody has seen to it meanwhile
                    await self._leave(number)
                    done += 1
        return done

    def close(self) -> None:
        self._grouped.close()
        self._vault.close()

    async def _leave(self, number: int) -> None:
        await self.desk.leave(number)
        await self._do(lambda: self._vault.left(number))

    async def _do(self, job: Callable[[], Any]) -> Any:
        return await self._grouped.kept(job)

    def _turn(self, number: int) -> asyncio.Lock:
        lock = self._turns.get(number)
        if lock is None:
            lock = self._turns[number] = asyncio.Lock()
        return lock


def _is_day(text: str) -> bool:
    try:
        datetime.strptime(text, "%Y-%m-%d")
    except ValueError:
        return False
    return True
