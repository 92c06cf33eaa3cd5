"""LedgerHost: the single writer of what customers share, as a plain class that receives messages and sends some."""

import copy
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from engine.compiled import entry
from engine.coupon_records import (
    BUDGETS_MAX,
    COUPONS_MAX,
    LIVES,
    REPLY,
    UNLIMITED,
    RequestKind,
    Spend,
)
from engine.fraud_records import RULES_MAX, Verdict
from engine.host.breaking import breakers_for, carried_breakers, close, held, take_pulse
from engine.host.ledger_arrays import (
    REQUESTS_MAX,
    LedgerMoves,
    change_amount,
    change_pieces,
    copied,
    digest_of,
    empty_desk,
    empty_shared,
    moves_of,
    renumber,
    scratch_for,
    with_room,
)
from engine.host.ledger_fraud import (
    carried_fraud,
    decisions_in,
    empty_fraud,
    found_for,
    marking_rules,
    names_of_rules,
    reviewing_rules,
    rules_at_work,
    with_decisions,
)
from engine.host.ledger_invariants import breaches
from engine.host.messages import Contribution, Moment, Refusal, Refused, Settled
from engine.host.posts import NO_REPLIES, Post, added, joined, said_to
from engine.host.remap import hash_moves
from engine.records import MINUTE_MS, NONE, Bulletin, Tables, records
from engine.rules.requests import forget_replies
from engine.settle import Offers, Shared, release_rations, settle, write_bulletin

TICK_MS = 10 * MINUTE_MS
release = entry(release_rations)
SETTLEMENTS_KEPT = 4  # messages of the last ones can be asked for again


@dataclass(frozen=True)
class LedgerSnapshot:
    """A Ledger between two settlements, with the names its slot numbers stand for."""

    coupons: dict[str, int]
    budgets: dict[str, int]
    tables: Tables
    epoch: int
    shared: Shared
    posts: list[Post]
    calendar: list[Moment]


class LedgerHost:
    """Stock and budgets of one policy, for shards that are ranges of customers [first, end).

    Stepped: settlement k closes when contribution k of every shard has come. Live: each contribution is settled as it
    comes; replies to customers of other shards wait until those are told something. Time comes in with the messages.
    """

    def __init__(
        self,
        tables: Tables,
        coupons: Mapping[str, int],
        budgets: Mapping[str, int],
        shards: Sequence[tuple[int, int]],
        now: int,
        tick_ms: int = TICK_MS,
        live: bool = False,
    ) -> None:
        self.shards, self.live = list(shards), live
        self.epoch, self.number, self.now_ms = 0, 0, now
        self.coupons: dict[str, int] = {}
        self.budgets: dict[str, int] = {}
        self.tables = tables
        first, end = self.shards[0][0], self.shards[-1][1]
        self.shared = empty_shared(now, tick_ms)._replace(
            fraud=empty_fraud(tables.rules, end - first), breakers=breakers_for(tables, now)
        )
        self.shared.clock[0].first, self.shared.clock[0].end = first, end
        self.open: dict[int, Contribution] = {}
        self.posts = [Post() for _ in self.shards]
        self.calendar: list[Moment] = []
        self.found = found_for(tables)
        self.desk = empty_desk(self.found)
        self._read_clock()
        self.adopt(tables, coupons, budgets)

    # --- what the driver asks -----------------------------------------------------------------------------------------
    def adopt(self, tables: Tables, coupons: Mapping[str, int], budgets: Mapping[str, int]) -> None:
        """Take up a policy: coupons and budgets known by name keep what became of them; all campaigns are open."""
        offered = tables.coupons[tables.coupons["used"] != 0]
        assert (offered["terms"] < len(tables.terms)).all(), "every coupon has a row of terms"
        assert (tables.terms["budget"] < len(tables.budgets)).all(), "every budget that terms name has a row"
        self._rename(tables, coupons, budgets, self.now_ms if self.number else None)  # at the beginning nothing warms
        self.offers = Offers(
            tables.coupons, tables.terms, tables.budgets, tables.campaigns,
            tables.days, tables.rules, tables.ranges, tables.listed, np.array(rules_at_work(tables.rules), np.int64),
            tables.breakers,
        )  # fmt: skip
        self.reviewing, self.marking = reviewing_rules(tables.rules), marking_rules(tables.rules)
        self.found = found_for(tables)
        self.campaigns_open = np.ones(len(tables.campaigns), np.int8)
        for slot in np.flatnonzero(tables.coupons["used"]).tolist():
            change_pieces(self.shared.stock[slot], tables.coupons[slot])
        for slot in np.flatnonzero(tables.budgets["used"]).tolist():
            change_amount(self.shared.funds[slot], tables.budgets[slot])
        release(self.shared, self.offers, int(self.shared.clock[0].ticked_ms))

    def _rename(
        self, tables: Tables, coupons: Mapping[str, int], budgets: Mapping[str, int], now: int | None = None
    ) -> None:
        """Give every name the slot it has in `tables`; names that are gone keep their state in slots nobody else has.
        now: it is another policy, whose new rules warm from then on."""
        before = self.tables
        rules = moves_of(names_of_rules(before.rules), names_of_rules(tables.rules), RULES_MAX)
        campaigns = hash_moves(before.campaigns["name_hash"], tables.campaigns["name_hash"])
        moves = LedgerMoves(
            moves_of(self.coupons, coupons, COUPONS_MAX), moves_of(self.budgets, budgets, BUDGETS_MAX), campaigns, rules
        )
        renumber(self.shared, moves, (list(self.coupons.values()), list(self.budgets.values())))
        clock = self.shared.clock[0]
        fraud = carried_fraud(self.shared.fraud, before.rules, tables, int(clock.end - clock.first), now)
        breakers = carried_breakers(self.shared.breakers, tables, self.now_ms)
        self.shared, self.tables = self.shared._replace(fraud=fraud, breakers=breakers), tables
        self.coupons = {name: int(moves.coupons[slot]) for name, slot in self.coupons.items()} | dict(coupons)
        self.budgets = {name: int(moves.budgets[slot]) for name, slot in self.budgets.items()} | dict(budgets)

    def pause(self, slots: Iterable[int]) -> None:
        """Pause exactly these campaigns from the next bulletin on; all others are open."""
        self.campaigns_open[:] = 1
        for slot in slots:
            self.campaigns_open[slot] = 0

    def close_breaker(self, number: int, slot: int, t: int) -> bool:
        """Somebody decides that what breaker `number` paused runs again: a campaign, or with NONE all it watches."""
        return close(self.shared.breakers, number, slot, t)

    def restock(self, coupon: str, pieces: int, t: int) -> None:
        """Pieces of a coupon (by name) are delivered at t, between two settlements."""
        assert t >= self.now_ms, f"a delivery of {coupon} at {t} comes after the settlement of {self.now_ms}"
        stock = self.stock(coupon)
        assert stock.delivered != UNLIMITED, f"coupon {coupon} has no limit: nothing can be delivered"
        assert pieces >= 0, f"a delivery of {coupon} must be at least 0 pieces (got {pieces})"
        stock.delivered += pieces
        stock.left += pieces

    def withdraw(self, coupon: str, pieces: int, t: int) -> None:
        """Pieces of a coupon (by name) that are left turn out at t not to be there, between two settlements."""
        assert t >= self.now_ms, f"a loss of {coupon} at {t} comes after the settlement of {self.now_ms}"
        stock = self.stock(coupon)
        assert stock.delivered != UNLIMITED, f"coupon {coupon} has no limit: nothing can be lost of it"
        assert 0 <= pieces <= stock.left, f"of {coupon} {stock.left} pieces are left, {pieces} cannot be lost"
        stock.delivered -= pieces
        stock.left -= pieces

    def announce(self, t: int, moment: int) -> int:
        """Enter a calendar moment; it goes out with the next settlement. Returns its number in the bulletin."""
        self.calendar.append(Moment(len(self.calendar) + 1, t, moment))
        return len(self.calendar)

    def forget(self, first: int, end: int, number: int) -> None:
        """The snapshots of the customers in [first, end) hold the replies of settlements up to `number`."""
        forget_replies(self.shared.remembered, first, end, number)

    def stock(self, coupon: str) -> np.record:
        """The STOCK row of a coupon, by name: what is left, granted, refused by Answer, out_ms…"""
        return self.shared.stock[self.coupons[coupon]]

    def fund(self, budget: str) -> np.record:
        """The FUND row of a budget, by name."""
        return self.shared.funds[self.budgets[budget]]

    def bulletin(self) -> Bulletin:
        """What all may read until the next settlement; arrays of its own."""
        slots = len(self.tables.campaigns)
        ones = np.ones(slots, np.int8)
        run = self.campaigns_open & (1 - held(self.shared.breakers, self.offers.breakers, slots))
        bulletin = Bulletin(run, ones, ones.copy(), np.zeros(slots, np.int64))
        shared, tables = self.shared, self.tables
        write_bulletin(
            bulletin, shared.stock, shared.funds, tables.coupons, tables.terms, tables.campaigns, tables.channel_budgets
        )
        return bulletin

    def digest(self) -> str:
        """128 bits in hexadecimal; the same for any number of shards, any order of messages, any numbering of names."""
        return digest_of(self.shared)

    def copy(self) -> "LedgerHost":
        """A second Ledger in the same state, for a world that goes another way from here."""
        assert not self.open, "a copy is made between two settlements"
        twin = copy.copy(self)
        twin.campaigns_open = self.campaigns_open.copy()
        twin.found = copy.deepcopy(self.found)
        twin.desk = empty_desk(twin.found)
        twin.coupons, twin.budgets, twin.open = dict(self.coupons), dict(self.budgets), {}
        twin.shared, twin.calendar = copied(self.shared), list(self.calendar)
        twin.posts = [post.copy() for post in self.posts]
        return twin

    def snapshot(self) -> LedgerSnapshot:
        assert not self.open, "a snapshot is taken between two settlements"
        return LedgerSnapshot(
            dict(self.coupons),
            dict(self.budgets),
            self.tables,
            self.epoch,
            copied(self.shared),
            [post.copy() for post in self.posts],
            list(self.calendar),
        )

    def restore(self, snapshot: LedgerSnapshot) -> None:
        """Take a snapshot's state, under the slots that its names have here."""
        tables, coupons, budgets = self.tables, self.coupons, self.budgets
        self.tables, self.coupons, self.budgets = snapshot.tables, dict(snapshot.coupons), dict(snapshot.budgets)
        self.epoch, self.shared = snapshot.epoch, copied(snapshot.shared)
        self.posts, self.calendar = [post.copy() for post in snapshot.posts], list(snapshot.calendar)
        self.open = {}
        self._read_clock()
        self._rename(tables, coupons, budgets)

    # --- messages -----------------------------------------------------------------------------------------------------
    def receive(self, message: Contribution, now: int) -> list[Settled | Refused]:
        """Take a shard's contribution. Returns what goes out: nothing while others are missing, one Settled per shard
        when it was the last, the same Settled again for a contribution sent again, or a Refused.

        Raises AssertionError where an invariant is broken.
        """
        refusal = self.refusal(message, now)
        if refusal is not None:
            return [refusal]
        dropped = self._take_epoch(message.epoch)
        post = self.posts[message.shard]
        if message.number <= post.taken:
            return [*dropped, replace(post.kept[message.number], epoch=self.epoch)]
        self.open[message.shard] = message
        return [*dropped, *self.close()] if self.is_complete else dropped

    @property
    def is_complete(self) -> bool:
        """Whether all that a settlement waits for is there."""
        return len(self.open) >= (1 if self.live else len(self.shards))

    def refusal(self, message: Contribution, now: int) -> Refused | None:
        """Why a contribution would not be taken."""

        def refused(reason: Refusal, expected: int) -> Refused:
            return Refused(self.epoch, message.shard, message.number, reason, expected)

        if message.epoch < self.epoch:
            return refused(Refusal.LOWER_EPOCH, self.epoch)
        if not 0 <= message.shard < len(self.shards):
            return refused(Refusal.UNKNOWN_SHARD, len(self.shards))
        post = self.posts[message.shard]
        if message.number > post.taken + 1:
            return refused(Refusal.GAP, post.taken + 1)
        if message.number <= post.taken:
            return None if message.number in post.kept else refused(Refusal.FORGOTTEN, post.taken + 1)
        if len(message.requests) > REQUESTS_MAX // len(self.shards):
            return refused(Refusal.NO_ROOM, REQUESTS_MAX // len(self.shards))
        if self.live:
            return None  # clocks differ: an earlier one is taken at the present
        if message.epoch == self.epoch:
            for other in self.open.values():
                if message.time_ms != other.time_ms:
                    return refused(Refusal.OTHER_TIME, other.time_ms)
        if not self.now_ms <= message.time_ms <= now:
            return refused(Refusal.OTHER_TIME, max(self.now_ms, min(now, message.time_ms)))
        return None

    def _take_epoch(self, epoch: int) -> list[Settled | Refused]:
        """Adopt a higher epoch. What came under the lower one may be from a process that was replaced: it is dropped,
        and its senders are told."""
        if epoch == self.epoch:
            return []
        self.epoch, dropped, self.open = epoch, list(self.open.values()), {}
        return [Refused(epoch, old.shard, old.number, Refusal.LOWER_EPOCH, epoch) for old in dropped]

    # --- the settlement -----------------------------------------------------------------------------------------------
    def close(self) -> list[Settled]:
        """Settle what is there; what each shard that brought something is told."""
        parts = [self.open[shard] for shard in sorted(self.open)]
        self.open = {}
        number, time_ms = self.number + 1, max(self.now_ms, parts[0].time_ms)
        for part in parts:
            self._note(part)
        requests = joined([part.requests for part in parts])
        replies = self._settle(
            requests, added([part.spend for part in parts], BUDGETS_MAX, len(Spend)), time_ms, number
        )
        broken = [part.breach for part in parts if part.breach]
        broken += breaches(self.shared, self._lives(), self.coupons, self.budgets)
        assert not broken, f"settlement {number} at {time_ms} ms: " + "; ".join(broken)
        return self._tell(number, time_ms, parts, replies)

    def _note(self, part: Contribution) -> None:
        post = self.posts[part.shard]
        self.forget(*self.shards[part.shard], part.acknowledged)
        take_pulse(self.shared.breakers, part.pulse_minute, part.pulse)
        post.taken, post.lives = part.number, part.lives
        if (part.number - 1 if part.heard == NONE else part.heard) >= post.owed:
            post.owed = 0

    def _lives(self) -> np.ndarray | None:
        """What all customers have, i8[COUPONS_MAX, LIVES]; None while some have not taken in what they were granted."""
        if any(post.owed or post.lives is None for post in self.posts):
            return None
        return added([post.lives for post in self.posts if post.lives is not None], COUPONS_MAX, LIVES)

    def _settle(self, requests: np.ndarray, spend: np.ndarray, time_ms: int, number: int) -> np.ndarray:
        """Run the settlement; returns all replies, REPLY[m]."""
        marks = 0
        if len(requests) > 0:  # many settlements are almost empty, and ask for no more room than there is
            rows = requests.view(np.ndarray)
            self._make_room(rows, time_ms)
            marks = self._marks_most(rows)
        most = self._replies_most(len(requests)) + marks
        replies = records(most, REPLY) if most else NO_REPLIES  # they are given away
        desk = self.desk._replace(replies=replies, found=self.found)
        count = settle(requests, spend, self.shared, self.offers, desk, time_ms, number)
        self.number, self.now_ms = number, time_ms
        return desk.replies[:count]

    def _make_room(self, requests: np.ndarray, time_ms: int) -> None:
        n = len(requests)
        fraud = with_decisions(self.shared.fraud, decisions_in(requests), time_ms)
        self.shared = with_room(self.shared._replace(fraud=fraud), n, self._openings(requests))
        if n > len(self.desk.sorting.keys):
            self.desk = self.desk._replace(sorting=scratch_for(n))

    def _openings(self, requests: np.ndarray) -> int:
        """How many reservations, transfers and reviews REQUEST[n] may open."""
        kinds = requests["kind"]
        reviewed = (requests["verdict"] == Verdict.REVIEW) | ((requests["judging"] & self.reviewing) != 0)
        opening = (kinds == RequestKind.RESERVE) | (kinds == RequestKind.TRANSFER)
        return int((opening | ((kinds == RequestKind.CLAIM) & reviewed)).sum())

    def _marks_most(self, requests: np.ndarray) -> int:
        """How many marks REQUEST[n] may bring."""
        if not self.marking:
            return 0
        return int(np.bitwise_count((requests["counted"] | requests["judging"]) & self.marking).sum())

    def _replies_most(self, requests: int) -> int:
        """Each request may have a reply; a decision, or its time, ends a review."""
        reservations = self.shared.reservations
        return requests + min(int(reservations.size[0]) + requests, len(reservations.rows))

    def _read_clock(self) -> None:
        """Number (0 before the first) and time of the latest settlement: asked for too often to be looked up."""
        self.number, self.now_ms = int(self.shared.clock[0].number), int(self.shared.clock[0].now_ms)

    def _tell(self, number: int, time_ms: int, parts: Sequence[Contribution], replies: np.ndarray) -> list[Settled]:
        """The messages that go out, kept in case one is asked for again."""
        bulletin, said = self.bulletin(), 0
        for post, (first, end) in zip(self.posts, self.shards, strict=True):
            mine = said_to(replies, first, end)
            said += len(mine)
            if len(mine):
                post.mail.append(mine)
        assert said == len(replies), "every reply goes to one shard"
        return [self._message(number, time_ms, bulletin, part) for part in parts]

    def _message(self, number: int, time_ms: int, bulletin: Bulletin, part: Contribution) -> Settled:
        post = self.posts[part.shard]
        replies = NO_REPLIES if not post.mail else post.mail[0] if len(post.mail) == 1 else np.concatenate(post.mail)
        moments, post.told = tuple(self.calendar[post.told :]), len(self.calendar)
        message = Settled(self.epoch, part.shard, number, time_ms, bulletin, replies, moments, part.number)
        if len(replies):
            post.mail, post.owed = [], part.number
        post.kept[part.number] = message
        post.kept.pop(part.number - SETTLEMENTS_KEPT, None)
        return message
