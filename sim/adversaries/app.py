"""The app as adversaries meet it: they send events and see what a customer is told, never which rule it was."""

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


@dataclass(frozen=True)
class Sight:
    """An answer at the level of explanation that a customer has."""

    word: Word
    claim: int = NONE  # number of the coupon it is about
    terms: int = NONE
    paid: int = 0
    discount: int = 0


class App:
    """Sends events of accounts first … first + n - 1 to a shard, one at a time, and hands replies on."""

    def __init__(
        self, env: simpy.Environment, decide: Decide, enrol: Enrol, first: int, city: np.ndarray, stream: np.ndarray
    ) -> None:
        accounts = len(city)
        self.env, self._decide, self.enrol, self.first, self.city = env, decide, enrol, first, city
        self.stream = stream
        self._orders = np.zeros(accounts, np.int64)
        self._event = records(1, EVENT)
        self._inbox = Inbox(
            records(1, ASK), records(LINES_MAX, LINE), records(1, RECEIPT), records(1, ORIGIN), np.zeros(3, np.int64)
        )
        self._sequence = np.zeros(accounts, np.int64)
        self._views = np.zeros(accounts, np.int64)
        self._waiting: dict[tuple[int, int], simpy.Event] = {}
        self._settled = env.event()
        self._rules: dict[int, int] = {}  # of the latest challenge: the app knows which it was, its user does not
        self.events = 0

    # --- sending ------------------------------------------------------------------------------------------------------
    def tell(self, account: int, kind: EventKind, guise: Guise, page: int = NONE, amount: int = 0) -> None:
        """An event that asks for nothing."""
        self._begin(account, kind, guise, page, amount)
        self._send()

    def ask(
        self, account: int, kind: EventKind, guise: Guise, lines: list[tuple[int, ...]] | None = None, **ask: int
    ) -> Sight:
        """An event that asks; lines: (unit price, quantity, category, brand, product) of a cart."""
        self._begin(account, kind, guise, NONE, ask.pop("amount", 0))
        row = self._inbox.asks[0]
        for name in ASK.names or ():
            row[name] = ask.get(name, 0 if name in ("id", "shipping", "first_line", "lines", "pieces") else NONE)
        for place, line in enumerate(lines or ()):
            self._inbox.lines[place] = line
        row["lines"] = len(lines or ())
        self._event["ask"] = 0
        self._inbox.used[:2] = 1, len(lines or ())
        self._send()
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

    def _begin(self, account: int, kind: EventKind, guise: Guise, page: int, amount: int) -> None:
        row = account - self.first
        self._sequence[row] += 1
        self._views[row] += kind == EventKind.PAGE_VIEW
        event, origin = self._event[0], self._inbox.origins[0]
        event.time_ms, event.customer, event.sequence = self.env.now, account, self._sequence[row]
        event.page_view = self._views[row] if page != NONE else 0
        event.amount, event.exposure, event.dwell_ms = amount, NONE, 0
        event.kind, event.page, event.campaign, event.city = kind, page, NONE, self.city[row]
        event.channel, event.moment, event.ask, event.origin = NONE, NONE, NONE, 0
        origin.device_id, origin.ip, origin.agent = guise.device, guise.ip, guise.agent
        paying = kind in (EventKind.PAYMENT, EventKind.PAYMENT_DECLINED)
        origin.card = guise.card if paying else NONE
        origin.address = guise.address if paying or kind in (EventKind.ORDER, EventKind.REDEEM) else NONE
        origin.code, origin.inviter, origin.group = guise.code, guise.inviter, NONE
        self._inbox.used[:] = 0, 0, 1

    def _send(self) -> None:
        self._decide(self._event, self._inbox)
        self.events += 1

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
