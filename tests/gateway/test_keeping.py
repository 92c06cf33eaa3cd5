"""Customers between vault, register and shard: whatever is cut short is finished, and whoever writes at once shares."""

import asyncio
from collections.abc import Callable, Coroutine
from datetime import datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast
from zoneinfo import ZoneInfo

import numpy as np
import pytest

from engine.host.partitions import bounds_of
from engine.policy.tables import load_policy
from engine.profile_records import Given
from gateway.asking import Asking
from gateway.bodies import Decide, Origin, Profile
from gateway.customers import Customers
from gateway.desk import Desk, UnknownCustomerError
from gateway.dictionary import BodyError, Dictionary
from gateway.engine_room import compiled_for
from gateway.grouped import Grouped
from gateway.patience import SlowError
from gateway.register import Register, RoomError, spread
from gateway.sealing import SecretKey
from gateway.speaking import Speaking, Words
from gateway.vault import Duty, Vault
from tests.gateway.process import LIBRARY

KEY = SecretKey(bytes(16))
ZONE = ZoneInfo("Asia/Shanghai")
PHONE = Profile(phone="13812345678", points=3)


@pytest.fixture(scope="module")
def dictionary() -> Dictionary:
    return Dictionary(compiled_for(load_policy(LIBRARY / "coupon_shop.yaml"), 1_800_000_000_000))


class Shard(Desk):
    """A desk whose shard writes down what it is sent, or does not answer."""

    def __init__(self, dictionary: Dictionary, register: Register) -> None:
        speaking = Speaking(0, Words(dictionary, dictionary, dictionary, None))
        super().__init__(speaking, register, cast(Any, SimpleNamespace(loop=None)), [(0, 10)])
        self.heard: list[str] = []
        self.is_slow = False

    async def _outcome(self, customer: int, block_of: Callable[..., Any]) -> Any:
        rows = block_of(lambda outcome: None).profiles
        await asyncio.sleep(0)
        if self.is_slow:
            raise SlowError("planted")
        assert set(rows["customer"]) == {customer}
        self.heard.append("+".join("leaves" if row["given"] == Given.LEAVES else "profile" for row in rows))


class Day:
    """A clock."""

    def __init__(self, text: str) -> None:
        self.text = text

    def __call__(self) -> int:
        return int(datetime.fromisoformat(self.text).replace(tzinfo=ZONE).timestamp() * 1_000)


Room = tuple[Customers, Shard, Day]


@pytest.fixture
def room(dictionary: Dictionary, tmp_path: Path) -> Callable[..., Room]:
    """Everything on a folder, as a start finds it."""

    def made(key: SecretKey | None = KEY) -> Room:
        shard, day = Shard(dictionary, Register(tmp_path, 10)), Day("2027-01-15 12:00")
        return Customers(shard, Vault(tmp_path, key), day), shard, day

    return made


def run(job: Coroutine[Any, Any, Any]) -> Any:
    return asyncio.run(job)


def test_an_erasure_that_was_cut_short_is_finished_at_the_next_start(room: Callable[..., Room]) -> None:
    customers, shard, _ = room()
    run(customers.put("a", PHONE))
    shard.is_slow = True
    with pytest.raises(SlowError):
        run(customers.erase("a"))
    customers.close()
    customers, shard, _ = room()
    with pytest.raises(UnknownCustomerError):
        shard._number("a")
    assert (run(customers.finish_erasures()), shard.heard) == (1, ["leaves"])
    assert (run(customers.finish_erasures()), shard.heard) == (0, ["leaves"]), "once"
    assert run(customers.file("a")).records == []


def test_who_comes_back_before_the_shard_has_forgotten(room: Callable[..., Room]) -> None:
    """It forgets first, also where the gateway is killed in between."""
    customers, shard, _ = room()
    run(customers.put("a", PHONE))
    shard.is_slow = True
    for job in (customers.erase("a"), customers.put("a", Profile(points=1))):
        with pytest.raises(SlowError):
            run(job)
    customers.close()
    customers, shard, _ = room()
    assert run(customers.put("a", Profile(points=2))) is False
    assert shard.heard == ["leaves+profile"] and run(customers.finish_erasures()) == 0
    (record,) = run(customers.file("a")).records
    assert (record.said, record.profile) == ({}, {"points": 2}), "of before there is nothing"


def test_who_comes_back_while_a_start_finishes_erasures(room: Callable[..., Room]) -> None:
    """What was written meanwhile is not forgotten again."""
    customers, shard, _ = room()
    run(customers.put("a", PHONE))
    shard.is_slow = True
    with pytest.raises(SlowError):
        run(customers.erase("a"))
    shard.is_slow = False

    async def at_once() -> list[Any]:
        return [*await asyncio.gather(customers.put("a", PHONE), customers.finish_erasures())]

    assert run(at_once()) == [True, 0] and shard.heard == ["profile", "leaves+profile"]


def test_one_after_the_other_for_one_customer(room: Callable[..., Room]) -> None:
    customers, shard, _ = room()

    async def at_once() -> list[Any]:
        await customers.put("a", PHONE)
        jobs = [customers.erase("a"), customers.put("a", PHONE), customers.erase("a"), customers.put("a", PHONE)]
        return await asyncio.gather(*jobs)

    became = run(at_once())
    assert shard.heard == ["profile", "leaves", "profile", "leaves", "profile"]
    assert [became[1], became[3]] == [True, True] and len(run(customers.file("a")).records) == 1


def test_without_a_key_what_identifies_is_refused_and_nothing_else(room: Callable[..., Room]) -> None:
    customers, shard, _ = room(None)
    with pytest.raises(BodyError, match=r"\$\.phone: is sealed where it is kept, and this gateway has no key"):
        run(customers.put("a", PHONE))
    assert len(shard.register) == 0 and shard.heard == []
    assert run(customers.put("a", Profile(points=1))) is True
    assert run(customers.erase("a")).is_locked is False
    assert run(customers.put("a", Profile(points=1))) is True and shard.heard == ["profile", "leaves", "profile"]


def test_a_duty_ends_with_its_day_where_the_policy_is_at_home(room: Callable[..., Room]) -> None:
    customers, shard, day = room()
    run(customers.put("a", PHONE))
    for until in ("2027-01-14", "2027-02-30"):
        with pytest.raises(BodyError, match="today or later"):
            run(customers.retain("a", Duty("law", until)))
    run(customers.retain("a", Duty("law", "2027-01-15")))
    assert run(customers.erase("a")).is_locked
    for now, destroyed in (("2027-01-15 23:59:59", 0), ("2027-01-16 00:00:00", 1), ("2027-01-16 00:00:01", 0)):
        day.text = now
        tokens = run(customers.expire())
        assert tokens == [shard.register.token("a")] * destroyed, now
    assert run(customers.file("a")).records == [] and run(customers.erase("a")).is_locked is False


# --- shared writes ----------------------------------------------------------------------------------------------------
def test_those_of_one_round_share_a_write(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    register, commits = Register(tmp_path, 70), list[int]()
    real = register._write

    def counted(rows: Any) -> None:
        commits.append(1)
        real(rows)

    monkeypatch.setattr(register, "_write", counted)

    async def at_once() -> list[Any]:
        grouped = Grouped[str](register.enrol_each)
        jobs = [grouped.kept(f"c-{number % 64}") for number in range(128)]
        first = await asyncio.gather(*jobs)
        more = await asyncio.gather(*(grouped.kept(f"d-{number}") for number in range(9)), return_exceptions=True)
        return [first, more]

    first, more = run(at_once())
    numbers = [spread(order, 70) for order in range(70)]
    assert first == numbers[:64] * 2 and len(commits) == 2
    assert more[:6] == numbers[64:] and all(isinstance(one, RoomError) for one in more[6:])
    assert Register(tmp_path, 70).number("d-5") == numbers[69]


@pytest.mark.parametrize("room", [1, 2, 70, 256, 257, 300, 3_000, 20_011])
def test_numbers_are_given_out_all_over_the_room(room: int) -> None:
    """Each once; and with a part of the room taken, shards that own ranges of it have as many customers each."""
    given = [spread(order, room) for order in range(room)]
    assert sorted(given) == [*range(room)]
    for shards in (2, 3, 8):
        for taken in (room // 10, room // 2, room * 2 // 3):
            counts = [sum(first <= number < end for number in given[:taken]) for first, end in bounds_of(room, shards)]
            assert max(counts) - min(counts) <= 0.1 * taken / shards + 3, (shards, taken, counts)


def test_a_failure_is_told_to_whom_it_concerns() -> None:
    written: list[int] = []

    def write(jobs: Any) -> list[Any]:
        if 13 in jobs and len(jobs) == 1:
            raise OSError("planted: the disk")
        written.extend(jobs)
        return [ValueError("planted") if job == 7 else job for job in jobs]

    async def at_once() -> list[Any]:
        grouped = Grouped[int](write)
        some = await asyncio.gather(*(grouped.kept(job) for job in (1, 7, 2)), return_exceptions=True)
        gone = asyncio.create_task(grouped.kept(4))
        await asyncio.sleep(0)
        gone.cancel()
        some += await asyncio.gather(grouped.kept(13), return_exceptions=True)
        some.append(await grouped.kept(5))
        grouped.close()
        some += await asyncio.gather(grouped.kept(6), return_exceptions=True)
        return some

    became = run(at_once())
    assert [type(one).__name__ for one in became] == ["int", "ValueError", "int", "OSError", "int", "RuntimeError"]
    assert written == [1, 7, 2, 4, 5], "what nobody waits for any more is kept all the same"


# --- nothing to guess -------------------------------------------------------------------------------------------------
def test_what_journals_have_of_devices_cannot_be_tried_out(dictionary: Dictionary, tmp_path: Path) -> None:
    """The folder's key is in every number; the same value is the same number, after a start too."""
    origin = Origin(device="d", card="d", address="d")
    body = Decide(customer="a", event="login", origin=origin)

    def numbers(folder: Path) -> list[int]:
        folder.mkdir(exist_ok=True)
        register = Register(folder, 5)
        asking = Asking(dictionary, register.pepper)
        row = asking.decide(body, 0, lambda outcome: None).origins[0]
        register.close()
        return [int(row[name]) for name in ("device_id", "card", "address")] + [asking.identity("request", "d")]

    first, again, other = numbers(tmp_path / "a"), numbers(tmp_path / "a"), numbers(tmp_path / "b")
    assert first == again and len({*first, *other}) == 8 and min(first) > 0
    assert np.iinfo(np.int64).max >= max(first)
