"""The app as adversaries meet it: they send events and see what a customer is told, never which rule it was.

What asks for nothing is sent together with the next ask: the shard decides the same, in a fifth of the calls.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import Enum

import numpy as np
import simpy

from engine.coupon_records import ASK, LINE, LINES_MAX, RECEIPT, Answer, Inbox, RequestKind
from engine.fraud_records import ORIGIN
from engine.records import EVENT, NONE, EventKind, records
from sim.adversaries.means import Guise

Decide = Callable[[np.ndarray, Inbox], tuple[np.ndarray, np.ndarray]]
Enrol = Callable[[int, int], None]  # an account and when it was registered


class Word(Enum):
    """What a customer is told."""

    DONE = "done"
    PENDING = "pending"
    WAITS = "waits"
    NO = "no"  # out of stock, beyond a limit, not open: nothing to do with fraud
    NOT_FOR_YOU = "not for you"
    WEAKER = "weaker"
    CHALLENGED = "challenged"
    IN_REVIEW = "in review"
    DENIED = "denied"


WORDS: Mapping[int, Word] = {
    Answer.DONE: Word.DONE,
    Answer.PENDING: Word.PENDING,
    Answer.WAITS: Word.WAITS,
    Answer.NOT_ELIGIBLE: Word.NOT_FOR_YOU,
    Answer.FALLBACK: Word.WEAKER,
    Answer.CHALLENGED: Word.CHALLENGED,
    Answer.IN_REVIEW: Word.IN_REVIEW,
    Answer.DENIED: Word.DENIED,
}
REFUSALS = (Word.WEAKER, Word.CHALLENGED, Word.IN_REVIEW, Word.DENIED)  # what fraud rules say
_ENDED = (RequestKind.CLAIM, RequestKind.RESERVE, RequestKind.TRANSFER)
BATCH = 256
_NO_EVENT = {name: NONE if name in ("page", "exposure", "campaign", "channel", "moment", "ask") else 0
             for name in EVENT.names or ()}  # fmt: skip
_NO_ORIGIN = dict.fromkeys(ORIGIN.names or (), NONE)
_NO_ASK = {name: 0 if name in ("id", "shipping", "first_line", "lines", "pieces") else NONE for name in ASK.names or ()}


@dataclass(frozen=True)
class Sight:
    """An answer at the level of explanation that a customer has."""

    word: Word
    claim: int = NONE  # number of the coupon it is about
    terms: int = NONE
    paid: int = 0
    discount: int = 0


class App:
    """Sends events of accounts first … first + n - 1 to a shard, and hands replies on."""

    def __init__(
        self, env: simpy.Environment, decide: Decide, enrol: Enrol, first: int, city: np.ndarray, stream: np.ndarray
    ) -> None:
        accounts = len(city)
        self.env, self._decide, self.enrol, self.first, self.city = env, decide, enrol, first, city
        self.stream = stream
        self._orders = np.zeros(accounts, np.int64)
        self._events = records(BATCH, EVENT)
        self._inbox = Inbox(
            records(1, ASK),
            records(LINES_MAX, LINE),
            records(1, RECEIPT),
            records(BATCH, ORIGIN),
            np.zeros(3, np.int64),
        )
        self._waits = 0  # events that are not sent yet
        self._sequence = np.zeros(accounts, np.int64)
        self._views = np.zeros(accounts, np.int64)
        self._waiting: dict[tuple[int, int], simpy.Event] = {}
        self._settled = env.event()
        self._rules: dict[int, int] = {}  # of the latest challenge: the app knows which it was, its user does not
        self.events = 0

    # --- sending ------------------------------------------------------------------------------------------------------
    def tell(self, account: int, kind: EventKind, guise: Guise, page: int = NONE, amount: int = 0) -> None:
        """An event that asks for nothing."""
        self._add(account, kind, guise, page, amount)
        if self._waits == BATCH:
            self.send()

    def ask(
        self, account: int, kind: EventKind, guise: Guise, lines: list[tuple[int, ...]] | None = None, **ask: int
    ) -> Sight:
        """An event that asks; lines: (unit price, quantity, category, brand, product) of a cart."""
        self._add(account, kind, guise, NONE, ask.pop("amount", 0), ask=0)
        lines = lines or []
        self._inbox.asks[0] = tuple((_NO_ASK | ask | {"lines": len(lines)}).values())
        for place, line in enumerate(lines):
            self._inbox.lines[place] = line
        self._inbox.used[:2] = 1, len(lines)
        self.send()
        receipt = self._inbox.receipts[0]
        word = WORDS.get(int(receipt.answer), Word.NO)
        if word is Word.CHALLENGED:
            self._rules[account] = int(receipt.rule)
        return Sight(word, int(receipt.number), NONE, int(receipt.paid), int(receipt.discount))

    def next_order(self, account: int) -> int:
        """A number that the account has not ordered under."""
        self._orders[account - self.first] += 1
        return int(self._orders[account - self.first])

    def pass_challenge(self, account: int, guise: Guise) -> None:
        """Tell the app that its latest challenge was passed."""
        self.ask(account, EventKind.CHALLENGE_PASSED, guise, rule=self._rules.get(account, NONE))

    def _add(self, account: int, kind: EventKind, guise: Guise, page: int, amount: int, ask: int = NONE) -> None:
        """One more event, where it comes from, and what an event of its kind says of that."""
        row, at = account - self.first, self._waits
        self._sequence[row] += 1
        self._views[row] += kind == EventKind.PAGE_VIEW
        event = _NO_EVENT | {
            "time_ms": self.env.now, "customer": account, "sequence": self._sequence[row], "kind": kind, "page": page,
            "page_view": self._views[row] if page != NONE else 0, "amount": amount, "city": self.city[row],
            "ask": ask, "origin": at,
        }  # fmt: skip
        paying = kind in (EventKind.PAYMENT, EventKind.PAYMENT_DECLINED)
        delivers = paying or kind in (EventKind.ORDER, EventKind.REDEEM)
        origin = _NO_ORIGIN | {
            "device_id": guise.device, "ip": guise.ip, "agent": guise.agent, "code": guise.code,
            "inviter": guise.inviter, "card": guise.card if paying else NONE,
            "address": guise.address if delivers else NONE,
        }  # fmt: skip
        self._events[at] = tuple(event.values())
        self._inbox.origins[at] = tuple(origin.values())
        self._waits = at + 1

    def send(self) -> None:
        """Whatever waits is decided."""
        if self._waits:
            events, self._waits = self._events[: self._waits], 0
            self._inbox.used[2] = len(events)
            self._decide(events, self._inbox)
            self.events += len(events)
            self._inbox.used[:] = 0

    # --- hearing ------------------------------------------------------------------------------------------------------
    def reply(self, account: int, claim: int) -> simpy.Event:
        """Happens when the Ledger has answered what was asked about a coupon; its value is a Sight."""
        return self._waiting.setdefault((account, claim), self.env.event())

    def settled(self) -> simpy.Event:
        """Happens after the next settlement."""
        return self._settled

    def hear(self, replies: np.ndarray) -> None:
        """Replies of a settlement at this moment (REPLY[n])."""
        for reply in replies:
            account, claim = int(reply["customer"]), int(reply["claim"])
            if reply["kind"] not in _ENDED or reply["number"] == NONE:
                continue
            word = WORDS.get(int(reply["answer"]), Word.NO)
            if word is Word.CHALLENGED:
                self._rules[account] = int(reply["rule"])
            if waiting := self._waiting.pop((account, claim), None):
                waiting.succeed(Sight(word, claim, int(reply["terms"])))
        before, self._settled = self._settled, self.env.event()
        before.succeed()
