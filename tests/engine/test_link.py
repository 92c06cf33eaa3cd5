"""Links: what goes in comes out at the other end, whole; whoever speaks another language is heard no more."""

import socket
import struct
import time
from collections.abc import Iterator

import numpy as np
import pytest

from engine.coupon_records import ASK, LINE, RECEIPT, REPLY
from engine.fraud_records import ORIGIN
from engine.host import link as links
from engine.host.link import FRAME, KINDS, MAGIC, Link, LinkError, Listener, connected, decoded, encoded
from engine.host.messages import (
    Answered,
    Ask,
    Batch,
    Beat,
    Copy,
    Envelope,
    Hello,
    Kept,
    Lead,
    Message,
    Pulse,
    Reach,
    Refusal,
    Refused,
    Replace,
    Return,
    Said,
    Seed,
    TakeOver,
    Tick,
    Wanted,
)
from engine.records import DECISION, EVENT, records


def some(count: int, dtype: np.dtype) -> np.ndarray:
    found = records(count, dtype)
    found.view(np.uint8)[:] = np.arange(found.nbytes, dtype=np.uint8)
    return found


MESSAGES: list[Message] = [
    Batch("client", 1, 7, 123, some(3, EVENT), some(2, ASK), some(1, LINE), some(0, ORIGIN)),
    Answered(1, 7, some(3, DECISION), some(2, RECEIPT), some(0, REPLY)),
    Refused(4, 1, 7, Refusal.GAP, 5),
    Copy(2, "ledger", 9, b"\x00\xffrecord"),
    Copy(2, "ledger", 9, b""),
    Kept(2, "ledger", 9, "ledger.2"),
    Wanted(2, "ledger", 9, "ledger.2"),
    Seed(2, "shard-0", (4, 4, 5), (b"one", b"", b"three"), (b"record",)),
    Seed(2, "shard-0", (4,), (b"one",), (), 3, 1),
    Beat("shard-0.1", "shard-0", 3, 17, True, True, False, "no space left"),
    Beat("ledger.1", "ledger", 3, 17, True, reach=Reach(((0, 4),), ((0, 3), (1, 2))), kept=Reach()),
    Lead(3, (("ledger", "ledger.1"),), returning=Return(((0, 7), (1, 8))), since=2, floor=((0, 5),)),
    Lead(3, (("ledger", "ledger.1"),), returning=Return()),
    Lead(3, (("ledger", "ledger.1"), ("shard-0", "shard-0.2")), (("ledger", "ledger.2"),), ()),
    Replace("shard-0", ("shard-0.1", "shard-0.3"), "shard-0.4", True, "second"),
    Pulse("shard-0.2"),
    Hello("first"),
    TakeOver(),
    Ask("state"),
    Said("state", '{"a": 1}'),
]


def same(one: Message, other: Message) -> bool:
    assert type(one) is type(other)
    for name, value in vars(one).items():
        there = getattr(other, name)
        assert type(there) is type(value) or isinstance(value, np.ndarray), name
        if isinstance(value, np.ndarray):
            assert value.dtype == there.dtype and np.array_equal(value, there), name
        else:
            assert value == there, name
    return True


@pytest.mark.parametrize("message", MESSAGES, ids=lambda one: type(one).__name__)
def test_a_message_comes_out_as_it_went_in(message: Message) -> None:
    there = decoded(encoded(Envelope("shard-0", message)))
    assert there.to == "shard-0" and same(message, there.message)


def test_every_kind_is_tried() -> None:
    assert {type(one).__name__ for one in MESSAGES} == set(KINDS)


def test_what_has_no_business_there_does_not_go() -> None:
    with pytest.raises(AssertionError, match="Tick does not go over a link"):
        encoded(Envelope("shard-0", Tick()))


@pytest.fixture
def ends() -> Iterator[tuple[Link, Link]]:
    listener = Listener()
    here = connected(listener.port)
    while not (accepted := listener.accepted()):
        time.sleep(0.001)
    yield here, accepted[0]
    for one in (here, accepted[0], listener):
        one.close()


def came(link: Link, count: int) -> list[Envelope]:
    found: list[Envelope] = []
    for _ in range(5_000):
        found += link.received()
        if len(found) >= count:
            return found
        time.sleep(0.001)
    raise AssertionError(f"{len(found)} of {count} messages have come")


def test_messages_come_in_order_however_large(ends: tuple[Link, Link]) -> None:
    here, there = ends
    sizes = [0, 1, 5_000_000, 3, 2_000_000]
    for number, size in enumerate(sizes):
        here.send(Envelope("x", Copy(1, "ledger", number, bytes(size))))
    found: list[Envelope] = []
    while len(found) < len(sizes):
        here.received()  # what did not fit is sent on
        found += there.received()
    assert [len(one.message.payload) for one in found] == sizes  # type: ignore[union-attr]
    there.send(Envelope("y", Ask("state")))
    assert came(here, 1) == [Envelope("y", Ask("state"))]


def test_an_end_that_is_gone_is_noticed(ends: tuple[Link, Link]) -> None:
    here, there = ends
    there.send(Envelope("y", Ask("state")))
    there.close()
    assert came(here, 1)
    here.received()
    assert not here.is_up
    here.send(Envelope("x", Ask("state")))  # to nobody


def test_what_waits_is_bounded(ends: tuple[Link, Link], monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody reads at the other end: what is too much is dropped, and is whole messages."""
    here, there = ends
    monkeypatch.setattr(links, "WAITING_MAX", 1_000_000)
    for number in range(200):
        here.send(Envelope("x", Copy(1, "ledger", number, bytes(100_000))))
    assert len(here._out) < 1_200_000
    found: list[int] = []
    while len(found) < 10:
        here.received()
        found += [one.message.number for one in there.received()]  # type: ignore[union-attr]
    assert found == list(range(len(found)))


HELLO = encoded(Envelope("x", Hello("first")))
WRONG = {
    "another language": b"GET / HTTP/1.1\r\n\r\n",
    "another version of it": b"WTL0" + FRAME.pack(MAGIC, len(HELLO))[len(MAGIC) :] + HELLO,
    "longer than any": struct.pack("<4sI", MAGIC, links.FRAME_MAX + 1),
    "no message": FRAME.pack(MAGIC, 5) + b"hello",
    "an unknown kind": b"",
    "a field that is missing": b"",
}


@pytest.mark.parametrize("what", WRONG)
def test_nonsense_is_refused(what: str, ends: tuple[Link, Link]) -> None:
    here, there = ends
    data = WRONG[what]
    if what == "an unknown kind":
        body = HELLO.replace(b"Hello", b"Jello")
        data = FRAME.pack(MAGIC, len(body)) + body
    if what == "a field that is missing":
        body = HELLO.replace(b"Hello", b"Said ").replace(b'"Said "', b'"Said" ')
        data = FRAME.pack(MAGIC, len(body)) + body
    assert isinstance(here._connection, socket.socket)
    here._connection.sendall(data)
    with pytest.raises(LinkError):
        came(there, 1)
