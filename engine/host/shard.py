"""CustomerShard: the customers of some partitions and everything one customer's decision needs, as a plain class."""

import copy
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np

from engine.apply import apply
from engine.breaker_records import COLUMNS, PULSE_MINUTES, PULSES
from engine.compiled import entry
from engine.coupon_records import ANSWERS, COUPON_CELLS, REPLY, REQUEST, Inbox, Spend, Wallets
from engine.days import day_index
from engine.decide import Shard, decide, empty_shard
from engine.fraud_records import RULE_CELLS, SETTLED, Watch
from engine.host.editions import Editions
from engine.host.messages import Settled
from engine.host.remap import (
    Names,
    move_campaigns,
    move_requests,
    move_wallets,
    moved_pulse,
    moved_spend,
    moves_between,
    name_hashes,
    names_in,
)
from engine.host.trials import Trial, decided_apart
from engine.host.wallets import (
    BREACHES,
    empty_inbox,
    empty_outbox,
    empty_wallets,
    grown,
    lines_to_keep,
    room_for,
)
from engine.host.watching import (
    empty_watch,
    grown_watch,
    has_rules,
    is_sweep_due,
    move_rules,
    rows_of_a_lapse,
    rows_of_an_event,
    sweep_daily,
)
from engine.records import (
    ARMS_MAX,
    CAMPAIGNS_MAX,
    CELL_MEASURES,
    DECISION,
    EVENT,
    MINUTE_MS,
    REASONS,
    Bulletin,
    Tables,
    Tallies,
    as_records,
    records,
)
from engine.rules.checkout_desk import empty_desk
from engine.rules.digest import LANE_SEEDS, sum_hashes
from engine.rules.experiments import list_assignment, mark_share
from engine.rules.segments import segments_of
from engine.rules.wallets import lapse_due

DIGEST_MODULUS = 1 << 128
REQUESTS_OF_AN_EVENT = 3  # at most: its own, an observation beside it, its exposure's claim
decide_batch = entry(decide)


def open_bulletin(slots: int) -> Bulletin:
    """Everything open, in stock, within budget and unpaced."""
    ones = np.ones(slots, np.int8)
    return Bulletin(ones, ones.copy(), ones.copy(), np.zeros(slots, np.int64))


def empty_tallies(tables: Tables) -> Tallies:
    days, slots = len(tables.days), len(tables.campaigns)
    arms = max(1, int(tables.campaigns["arms"].max(initial=1)))
    segments = int(tables.policy[0].segments) + 1
    assert arms <= ARMS_MAX
    return Tallies(
        np.zeros((days, slots, REASONS), np.int64),
        np.zeros((days, REASONS), np.int64),
        np.zeros((days, slots, arms, segments, CELL_MEASURES), np.int64),
        np.zeros((days, len(tables.coupons), ANSWERS), np.int64),
        np.zeros((days, len(tables.coupons), COUPON_CELLS), np.int64),
        np.zeros((len(tables.budgets), len(Spend)), np.int64),
        np.zeros((days, len(tables.rules), RULE_CELLS), np.int64),
        np.zeros((PULSE_MINUTES if len(tables.breakers) else 0, COLUMNS, PULSES), np.int64),
        np.zeros(1, np.int64),
    )


def most_ghosts(tables: Tables) -> int:
    """Most candidates one event can have, and so most ghosts one event can leave."""
    widths = [np.diff(bounds).max(initial=0) for bounds in (tables.triggers, tables.moment_triggers)]
    return max(1, int(max(widths)))


def combined(digests: list[str]) -> str:
    """Digest of several shards together; hexadecimal, 128 bits."""
    return f"{sum(int(d, 16) for d in digests) % DIGEST_MODULUS:032x}"


@dataclass(frozen=True)
class Snapshot:
    """A shard between two batches, with what its numbers stand for, and what the Ledger has not heard yet."""

    names: Names
    first: int
    customers: np.ndarray
    rings: np.ndarray
    wallets: Wallets
    watch: Watch
    requests: np.ndarray  # REQUEST[n]
    spend: np.ndarray  # i8[budgets, len(Spend)]
    pulse: np.ndarray  # as in Tallies
    pulse_minute: int


@dataclass(frozen=True)
class Account:
    """What a shard tells the Ledger after a step."""

    requests: np.ndarray  # REQUEST[n]
    spend: np.ndarray  # i8[budgets, len(Spend)] since the last account
    lives: np.ndarray  # i8[COUPONS_MAX, LIVES]: its coupons ever by present state
    pulse: np.ndarray  # as in Contribution
    pulse_minute: int


class CustomerShard:
    """Customers `first` … `first + count - 1` under one policy.

    `decide(events)` answers a batch; `digest()` and `snapshot()` are taken between batches.
    """

    bulletin: Bulletin
    ghosts_max: int
    trial: Trial | None  # a policy that is tried

    def __init__(self, first: int, count: int, tables: Tables, names: Mapping[str, int]) -> None:
        self.arrays: Shard = empty_shard(first, count, empty_wallets(0), empty_outbox(0), empty_watch(0))
        self._begin(tables, names)

    def adopt(self, tables: Tables, names: Mapping[str, int]) -> None:
        """Take up a policy: remap what customers remember to its numbers, by name; begin new tallies.

        names: slots of campaigns. Raises AssertionError where the policy's registry does not know what a customer has.
        """
        before, tallies = self.known, self.tallies
        self._begin(tables, names)
        self._take_numbers(before, tallies.spend, tallies.pulse, int(tallies.pulse_minute[0]))

    def run(self, editions: Editions) -> None:
        """Take up one policy for all, or two: the other decides for some. What the Ledger has paused stays paused."""
        before = self.bulletin
        self.adopt(editions.base.tables, editions.registry.slots)
        self.take_bulletin(before)
        self.common = editions.common
        self._provide()
        if editions.trial is not None and editions.running.share:
            tables = editions.trial.tables
            chosen = self._share_of(editions.salt, editions.running.share)
            self.trial = Trial(tables, empty_tallies(tables), chosen)
            self.ghosts_max = max(self.ghosts_max, most_ghosts(tables))

    def _begin(self, tables: Tables, names: Mapping[str, int]) -> None:
        self.tables, self.known = tables, names_in(tables, names)
        self.common = tables  # what all policies offer
        self.trial = None
        self.bulletin, self.tallies = open_bulletin(len(tables.campaigns)), empty_tallies(tables)
        self.own_open, self.ledger_open = self.bulletin.open.copy(), self.bulletin.open.copy()
        self.ghosts_max = most_ghosts(tables)
        self._provide()

    def _provide(self) -> None:
        """A policy with coupons needs wallets; one with fraud rules a watch, and wallets for its requests."""
        customers, watched = len(self.arrays.customers), has_rules(self.tables)
        if (watched or self.common.coupons["used"].any()) and not self.has_wallets:
            self.arrays = self.arrays._replace(wallets=empty_wallets(customers))
        if watched and not self.has_watch:
            watch = empty_watch(customers)._replace(clock=self.arrays.watch.clock)
            self.arrays = self.arrays._replace(watch=watch)
        self.arrays.watch.rows[0] = rows_of_an_event(self.tables) if self.has_watch else 0

    def _take_numbers(self, before: Names, spend: np.ndarray, pulse: np.ndarray, minute: int) -> None:
        """Give what customers remember, and what the Ledger has not heard of, the numbers it has now."""
        moves, arrays = moves_between(before, self.known), self.arrays
        if moves is not None:
            move_campaigns(arrays.customers, arrays.rings, before.campaigns, moves.campaigns)
            move_wallets(arrays.wallets, moves)
            move_requests(self.waiting, moves)
        move_rules(arrays.watch, self.waiting, before.rules, self.tables)
        self.tallies.spend[:] = moved_spend(spend, moves, len(self.tables.budgets))
        self.tallies.pulse_minute[0] = minute
        if len(pulse) and len(self.tallies.pulse):
            self.tallies.pulse[:] = moved_pulse(pulse, moves)

    @property
    def waiting(self) -> np.ndarray:
        """What the Ledger has not been told yet: REQUEST[n]."""
        outbox = self.arrays.outbox
        return outbox.requests[: int(outbox.waiting[0])]

    @property
    def names(self) -> dict[str, int]:
        """Slots of campaigns."""
        return self.known.campaigns

    def copy(self) -> "CustomerShard":
        """The same shard at the same moment, to live on by itself."""
        twin = copy.deepcopy(self)
        # What the desk shows are views on its till; copied one by one they would show nothing any more.
        twin.arrays = twin.arrays._replace(desk=empty_desk())
        return twin

    @property
    def has_wallets(self) -> bool:
        return len(self.arrays.wallets.open) > 0

    @property
    def has_watch(self) -> bool:
        return len(self.arrays.watch.heads) > 0

    def pause(self, slots: Iterable[int]) -> None:
        """Pause exactly these campaigns; all others are open unless the Ledger pauses them."""
        self.own_open[:] = 1
        for slot in slots:
            self.own_open[slot] = 0
        self.bulletin.open[:] = self.own_open & self.ledger_open

    @property
    def customers(self) -> np.ndarray:
        return self.arrays.customers

    def decide(self, events: np.ndarray, inbox: Inbox | None = None) -> tuple[np.ndarray, np.ndarray]:
        """Decide EVENT[n] in order; returns DECISION[n] and the ghosts left on the way, DECISION[m].

        inbox: what the events ask for; its receipts are written.
        """
        assert events.dtype == EVENT
        inbox = empty_inbox() if inbox is None else inbox
        assert not self.has_wallets or np.all(events.view(np.ndarray)["ask"] < len(inbox.asks)), "asks are in the inbox"
        self.make_room(len(events), lines_to_keep(events, inbox) if self.has_wallets else 0)
        if self.trial is None:
            return self._decide(events, inbox, self.tables, self.tallies)
        return self._decide_apart(events, inbox, self.trial)

    def _decide(
        self, events: np.ndarray, inbox: Inbox, tables: Tables, tallies: Tallies
    ) -> tuple[np.ndarray, np.ndarray]:
        decisions = records(len(events), DECISION)
        ghosts = records(len(events) * self.ghosts_max, DECISION)
        held = decide_batch(self.arrays, as_records(events), inbox, decisions, ghosts, tables, self.bulletin, tallies)
        return decisions, ghosts[:held]

    def _decide_apart(self, events: np.ndarray, inbox: Inbox, trial: Trial) -> tuple[np.ndarray, np.ndarray]:
        def decide(part: np.ndarray, inbox: Inbox, on_trial: bool) -> tuple[np.ndarray, np.ndarray]:
            by = (trial.tables, trial.tallies) if on_trial else (self.tables, self.tallies)
            return self._decide(part, inbox, *by)

        trial.tallies.pulse_minute[0] = self.tallies.pulse_minute[0]
        found = decided_apart(decide, int(self.arrays.first[0]), events, inbox, trial)
        trial.hand_over(self.tallies)
        return found

    def make_room(self, events: int, lines: int) -> None:
        """Room for whatever a batch of so many events and cart lines may keep or ask."""
        if not self.has_wallets:
            return
        wallets = grown(self.arrays.wallets, room_for(events, lines))
        outbox, needed = self.arrays.outbox, int(self.arrays.outbox.waiting[0]) + REQUESTS_OF_AN_EVENT * events
        if needed > len(outbox.requests):
            larger = records(2 * needed, REQUEST)
            larger[: len(outbox.requests)] = outbox.requests
            outbox = outbox._replace(requests=larger)
        self.arrays = self.arrays._replace(wallets=wallets, outbox=outbox)
        self._make_room_to_watch(events * int(self.arrays.watch.rows[0]))

    def _make_room_to_watch(self, rows: int) -> None:
        if self.has_watch:
            self.arrays = self.arrays._replace(watch=grown_watch(self.arrays.watch, rows))

    def apply(self, replies: np.ndarray, t: int) -> None:
        """Apply REPLY[n] of a settlement at t, all of this shard's customers."""
        assert replies.dtype == REPLY
        self.make_room(len(replies), 0)
        apply(self.arrays, as_records(replies), self.common, self.tallies, t)
        self.check()

    def is_sweep_due(self, t: int) -> bool:
        """Whether closing a step at t looks at customers who do nothing."""
        return self.has_watch and is_sweep_due(self.arrays.watch, self.tables, t)

    def account(self, t: int) -> Account:
        """Close a step at t: coupons and holds run out; what the Ledger is to hear is handed over."""
        if self.has_watch:
            self._make_room_to_watch(rows_of_a_lapse(self.tables, self.arrays.wallets))
        lapse_due(self.arrays.wallets, self.arrays.watch, self.common, self.tallies, t)
        if self.has_watch:
            sweep_daily(self.arrays.watch, self.tables, t)
        self.arrays.watch.clock[SETTLED] = t
        self.check()
        outbox = self.arrays.outbox
        requests = outbox.requests.view(np.ndarray)[: int(outbox.waiting[0])].copy()
        outbox.waiting[0] = 0
        spend, pulse, minute = self.tallies.spend.copy(), self.tallies.pulse.copy(), int(self.tallies.pulse_minute[0])
        self.tallies.spend[:] = 0
        self.tallies.pulse[:], self.tallies.pulse_minute[0] = 0, t // MINUTE_MS
        return Account(requests, spend, self.arrays.wallets.lives.copy(), pulse, minute)

    def take_bulletin(self, bulletin: Bulletin) -> None:
        """What the Ledger says of stock, budgets and breakers. What the shard itself has paused stays paused. A Ledger
        that has heard of another policy earlier, or later, knows more campaigns, or fewer."""
        known = min(len(self.ledger_open), len(bulletin.open))
        self.ledger_open[:known] = bulletin.open[:known]
        self.bulletin.open[:] = self.own_open & self.ledger_open
        for name in ("in_stock", "in_budget"):
            getattr(self.bulletin, name)[:known] = getattr(bulletin, name)[:known]

    def take(self, settled: Settled) -> None:
        """What the Ledger settled: its bulletin, then its replies."""
        self.take_bulletin(settled.bulletin)
        if len(settled.replies):
            self.apply(settled.replies, settled.time_ms)

    def check(self) -> None:
        """Raises AssertionError where an invariant of a wallet was broken."""
        breaches = self.arrays.wallets.breaches
        if not breaches.any():
            return
        broken = [sentence for breach, sentence in BREACHES.items() if breaches[breach]]
        raise AssertionError("; ".join(broken))

    def digest(self) -> str:
        """128 bits in hexadecimal over every customer's state and decisions."""
        names = name_hashes(self.names, CAMPAIGNS_MAX)
        high, low = sum_hashes(self.arrays, self.common.terms, self.common.rules, names, np.array(LANE_SEEDS))
        return f"{(int(high) << 64) + int(low):032x}"

    def segments(self, t: int) -> np.ndarray:
        """Number of each customer's segment at t (i8[n]); the number of segments means "other"."""
        numbers = np.zeros(len(self.customers), np.int64)
        day = self.tables.days[day_index(self.tables.days, t)]
        segments_of(self.customers, records(1, EVENT)[0], self.tables, day, t, numbers)
        return numbers

    def universal_holdout(self) -> np.ndarray:
        """Who is in the universal holdout: bool[n]."""
        policy = self.tables.policy[0]
        return self._share_of(policy.universal_salt, policy.universal_holdout)

    def let_through(self) -> np.ndarray:
        """Whom no fraud rule answers: bool[n]."""
        policy = self.tables.policy[0]
        return self._share_of(policy.let_through_salt, policy.let_through)

    def _share_of(self, salt: np.uint64, share: int) -> np.ndarray:
        chosen = np.zeros(len(self.customers), np.bool_)
        mark_share(salt, self.tables.policy[0].replication, share, int(self.arrays.first[0]), chosen)
        return chosen

    def assignment(self, slot: int) -> np.ndarray:
        """Group of each customer in a campaign's holdout: i8[n], see `list_assignment`."""
        groups = np.zeros(len(self.customers), np.int64)
        policy, campaign = self.tables.policy[0], self.tables.campaigns[slot]
        list_assignment(campaign, policy, int(self.arrays.first[0]), groups)
        return groups

    def snapshot(self) -> Snapshot:
        arrays = self.arrays
        return Snapshot(
            self.known, int(arrays.first[0]), arrays.customers.copy(), arrays.rings.copy(),
            Wallets(*(array.copy() for array in arrays.wallets)), Watch(*(array.copy() for array in arrays.watch)),
            self.waiting.copy(), self.tallies.spend.copy(), self.tallies.pulse.copy(),
            int(self.tallies.pulse_minute[0]),
        )  # fmt: skip

    def restore(self, snapshot: Snapshot) -> None:
        """Take a snapshot's customers, remapped to this shard's numbers by name.

        Raises AssertionError where this policy's registry does not know what a customer has.
        """
        assert snapshot.first == int(self.arrays.first[0])
        assert len(snapshot.customers) == len(self.arrays.customers)
        self.arrays.customers[:] = snapshot.customers
        self.arrays.rings[:] = snapshot.rings
        outbox = empty_outbox(len(snapshot.requests))
        outbox.requests[:], outbox.waiting[0] = snapshot.requests, len(snapshot.requests)
        wallets = Wallets(*(array.copy() for array in snapshot.wallets))
        watch = Watch(*(array.copy() for array in snapshot.watch))
        self.arrays = self.arrays._replace(wallets=wallets, outbox=outbox, watch=watch)
        self._provide()
        self._take_numbers(snapshot.names, snapshot.spend, snapshot.pulse, snapshot.pulse_minute)
