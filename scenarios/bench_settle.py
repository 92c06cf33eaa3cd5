"""A stampede for a drop: the same claims settled by the Ledger and counted by Redis with a Lua script.

Redis is what shops use for this. It takes claims as they come: no fair order among equal times, no budget, nothing
durable. It is asked through its own protocol over a socket, in a pipeline prepared beforehand.
"""

import hashlib
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from engine.breaker_records import BREAKER
from engine.coupon_records import BUDGET, COUPON, LIVES, NO_BUDGET, REQUEST, TERMS, Answer, RequestKind, Spend
from engine.fraud_records import LISTED, RANGE, RULE
from engine.host.ledger import TICK_MS, LedgerHost
from engine.host.messages import Contribution, Settled
from engine.records import CAMPAIGN, CHANNELS, DAY, NONE, SECOND_MS, Tables, records

SHARE_TWICE, SHARE_AGAIN = 40, 40  # one claim in so many is sent twice, one was asked and answered before
PIPELINE = 5_000  # claims sent ahead of their answers
STARTS_WITHIN_S = 10.0
DROP = "drop"

# The piece and the answer in one step; an id that was answered before gets the same answer.
SCRIPT = """
local said = redis.call('HGET', KEYS[2], ARGV[1])
if said then return tonumber(said) end
local answer = 0
if tonumber(redis.call('GET', KEYS[1])) > 0 then
  redis.call('DECR', KEYS[1])
  answer = 1
end
redis.call('HSET', KEYS[2], ARGV[1], answer)
return answer
"""


@dataclass(frozen=True)
class Stampede:
    """Claims for one drop within a virtual second, and those that were refused before it opened."""

    pieces: int
    early: np.ndarray  # REQUEST[m]: answered before there was stock
    claims: np.ndarray  # REQUEST[n]: new ones, some sent twice, and all early ones again

    @property
    def customers(self) -> int:
        return int(self.claims["customer"].max()) + 1


def stampede(claims: int, pieces: int, seed: int = 1) -> Stampede:
    chance = np.random.default_rng(seed)
    again, twice = claims // SHARE_AGAIN, claims // SHARE_TWICE
    rows = records(claims, REQUEST)
    rows["customer"][: claims - twice] = np.arange(claims - twice)
    rows["time_ms"][: claims - twice] = TICK_MS + chance.integers(0, SECOND_MS, claims - twice)
    rows["kind"] = RequestKind.CLAIM
    rows["other"] = rows["campaign"] = rows["rule"] = NONE
    early = rows[:again].copy()
    early["time_ms"] = chance.integers(0, SECOND_MS, again)
    rows[claims - twice :] = rows[again + chance.choice(claims - twice - again, twice, replace=False)]
    rows["time_ms"][:again] = early["time_ms"]
    return Stampede(pieces, early, rows[chance.permutation(claims)])


# --- the Ledger -------------------------------------------------------------------------------------------------------
def drop_tables() -> Tables:
    """A policy of one coupon that is not yet in stock, and a campaign for it."""
    coupons, terms, campaigns = records(1, COUPON), records(1, TERMS), records(1, CAMPAIGN)
    coupons[0].used, coupons[0].name_hash, coupons[0].drop_salt = 1, 1, 2
    coupons[0].fallback, terms[0].budget, campaigns[0].budget = NONE, NO_BUDGET, NO_BUDGET
    fields: dict[str, Any] = {name: np.zeros(0) for name in Tables._fields}
    fields |= {"coupons": coupons, "terms": terms, "campaigns": campaigns}
    fields |= {"budgets": records(0, BUDGET), "channel_budgets": np.full(CHANNELS, NO_BUDGET, np.int16)}
    fields |= {"rules": records(0, RULE), "ranges": records(0, RANGE), "listed": records(0, LISTED)}
    fields |= {"days": records(0, DAY), "breakers": records(0, BREAKER)}
    return Tables(**fields)


def settled(ledger: LedgerHost, requests: np.ndarray) -> np.ndarray:
    number = ledger.number + 1
    spend, lives = np.zeros((0, len(Spend)), np.int64), np.zeros((0, LIVES), np.int64)
    (message,) = ledger.receive(Contribution(0, 0, number, number * TICK_MS, requests, spend, lives), number * TICK_MS)
    assert isinstance(message, Settled)
    return message.replies


def ledger_seconds(run: Stampede) -> float:
    """Seconds for one settlement of all claims, sorting and looking up what was asked before included."""
    ledger = LedgerHost(drop_tables(), {DROP: 0}, {}, [(0, run.customers)], 0)
    settled(ledger, run.early)
    ledger.restock(DROP, run.pieces, TICK_MS)
    began = time.perf_counter()
    replies = settled(ledger, run.claims)
    seconds = time.perf_counter() - began
    assert np.count_nonzero(replies["answer"] == Answer.DONE) == ledger.stock(DROP).granted == run.pieces
    assert len(replies) == len(run.claims) - len(run.claims) // SHARE_TWICE, "one reply to each claim"
    return seconds


# --- Redis ------------------------------------------------------------------------------------------------------------
def redis_installed() -> bool:
    return shutil.which("redis-server") is not None


def command(*words: bytes) -> bytes:
    """One command in Redis's protocol."""
    return b"*%d\r\n" % len(words) + b"".join(b"$%d\r\n%s\r\n" % (len(word), word) for word in words)


@contextmanager
def redis() -> Iterator[socket.socket]:
    """A Redis of our own on a socket file that goes with it; it keeps nothing."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "socket"
        options = ["--port", "0", "--unixsocket", str(path), "--save", "", "--appendonly", "no", "--dir", folder]
        server = subprocess.Popen(["redis-server", *options], stdout=subprocess.DEVNULL)
        try:
            with connected(path) as line:
                yield line
        finally:
            server.terminate()
            server.wait()


def connected(path: Path) -> socket.socket:
    end = time.monotonic() + STARTS_WITHIN_S
    while True:
        line = socket.socket(socket.AF_UNIX)
        try:
            line.connect(str(path))
            return line
        except OSError:
            line.close()
            if time.monotonic() > end:
                raise
            time.sleep(0.02)


def told(line: socket.socket, *words: bytes) -> bytes:
    """The whole answer to one command of a short answer."""
    line.sendall(command(*words))
    return line.recv(4_096)


def batches(requests: np.ndarray) -> list[tuple[bytes, int]]:
    """Claims as Redis is sent them, and how many they are."""
    sha = hashlib.sha1(SCRIPT.encode()).hexdigest().encode()
    ids = (b"%d:%d" % key for key in zip(requests["customer"].tolist(), requests["number"].tolist(), strict=True))
    sent = [command(b"EVALSHA", sha, b"2", b"stock", b"said", id) for id in ids]
    return [
        (b"".join(part), len(part)) for part in (sent[low : low + PIPELINE] for low in range(0, len(sent), PIPELINE))
    ]


def answers(line: socket.socket, count: int) -> int:
    """Read the answers (`:0` or `:1` and a line's end) to so many claims; how many got a piece."""
    left, granted = 4 * count, 0
    while left:
        data = line.recv(min(left, 1 << 16))
        assert data and b"-" not in data, f"Redis said {data!r}"
        left -= len(data)
        granted += data.count(b"1")
    return granted


def pipelined(line: socket.socket, sent: list[tuple[bytes, int]]) -> int:
    """Send every batch, the next one before the answers to the last are read; how many got a piece."""
    granted, waiting = 0, 0
    for data, count in sent:
        line.sendall(data)
        granted += answers(line, waiting)
        waiting = count
    return granted + answers(line, waiting)


def redis_seconds(run: Stampede) -> float:
    """Seconds for the same claims through Redis."""
    early, claims = batches(run.early), batches(run.claims)
    with redis() as line:
        told(line, b"SCRIPT", b"LOAD", SCRIPT.encode())
        told(line, b"SET", b"stock", b"0")
        assert pipelined(line, early) == 0
        told(line, b"SET", b"stock", b"%d" % run.pieces)
        began = time.perf_counter()
        pipelined(line, claims)
        seconds = time.perf_counter() - began
        assert told(line, b"GET", b"stock") == b"$1\r\n0\r\n", "Redis must sell every piece"
        return seconds
