"""What fraud rules said of accounts of each kind, against what the accounts truly are: integers that add."""

from enum import IntEnum
from typing import NamedTuple

import numpy as np

from engine.compiled import entry, kernel
from engine.coupon_records import ANSWERS, Answer, RequestKind
from engine.fraud_records import JUDGED_MASK, RULES_MAX
from engine.records import NONE, EventKind
from sim.origin_model import Account, Harm

_OWN = int(Account.OWN)
_PENDING, _WAITS, _IN_REVIEW = int(Answer.PENDING), int(Answer.WAITS), int(Answer.IN_REVIEW)
_FALLBACK, _CHALLENGED, _DENIED = int(Answer.FALLBACK), int(Answer.CHALLENGED), int(Answer.DENIED)
_CLAIM = int(EventKind.CLAIM)
_R_CLAIM, _R_RESERVE, _R_TRANSFER = int(RequestKind.CLAIM), int(RequestKind.RESERVE), int(RequestKind.TRANSFER)
KINDS = max(Account) + 1


class Judged(IntEnum):
    """Measures of a rule on asks of one kind of account."""

    FIRED = 0  # asks at which it fired, in shadow too
    ALONE = 1  # of these, where no other rule did
    ANSWERED = 2  # of these, that it answered
    STOPPED = 3  # fen of face value in asks that it answered with less than was asked for
    ALONE_FACE = 4  # fen of face value in asks at which it alone fired


class Verdicts(NamedTuple):
    rules: np.ndarray  # i8[KINDS, RULES_MAX, len(Judged)]
    together: np.ndarray  # i8[2, RULES_MAX, RULES_MAX]: asks at which both fired, of good accounts and of fraud's
    asks: np.ndarray  # i8[KINDS, ANSWERS]: judged asks by answer


class Standing(IntEnum):
    """How many customers of a kind met what; harms as in Harm."""

    ACCOUNTS = 0
    ACTIVE = 1  # came at least once since launch
    DENIED = 2
    HELD = 3
    FAILED = 4
    WEAKER = 5
    HARMED = 6  # any of these four
    CHALLENGED = 7
    PASSED = 8


_HARMS = {
    Standing.DENIED: Harm.DENIED,
    Standing.HELD: Harm.HELD,
    Standing.FAILED: Harm.FAILED,
    Standing.WEAKER: Harm.WEAKER,
    Standing.HARMED: Harm.DENIED | Harm.HELD | Harm.FAILED | Harm.WEAKER,
    Standing.CHALLENGED: Harm.CHALLENGED,
    Standing.PASSED: Harm.PASSED,
}


def no_verdicts() -> Verdicts:
    return Verdicts(
        np.zeros((KINDS, RULES_MAX, len(Judged)), np.int64),
        np.zeros((2, RULES_MAX, RULES_MAX), np.int64),
        np.zeros((KINDS, ANSWERS), np.int64),
    )


def standings(kinds: np.ndarray, harms: np.ndarray, active: np.ndarray) -> np.ndarray:
    """Customers by kind: i8[KINDS, len(Standing)]; kinds, harms and active: of each customer."""
    found = np.zeros((KINDS, len(Standing)), np.int64)
    columns = {Standing.ACCOUNTS: np.ones(len(kinds), bool), Standing.ACTIVE: active}
    columns |= {standing: (harms & int(bits)) != 0 for standing, bits in _HARMS.items()}
    for standing, column in columns.items():
        found[:, standing] = np.bincount(kinds[column], minlength=KINDS)
    return found


@kernel
def face_of(coupons, terms, coupon):
    """Fen that a coupon can take off, at most; 0 where it is not known."""
    if coupon < 0 or coupon >= len(coupons) or coupons[coupon].terms == NONE:
        return 0
    row = terms[coupons[coupon].terms]
    return max(int(row.cost_most), int(row.off), int(row.worth))


@kernel
def note_verdict(verdicts, kind, fired, rule, answer, face):
    """Count one judged ask."""
    verdicts.asks[kind, answer] += 1
    fraud = 1 if kind > _OWN else 0
    slot = 0
    while fired >> slot:
        if (fired >> slot) & 1:
            cells = verdicts.rules[kind, slot]
            cells[0] += 1
            if fired == np.int64(1) << slot:
                cells[1] += 1
                cells[4] += face
            if rule == slot:
                cells[2] += 1
                if answer in (_FALLBACK, _CHALLENGED, _DENIED):
                    cells[3] += face
            other = 0
            while fired >> other:
                if (fired >> other) & 1:
                    verdicts.together[fraud, slot, other] += 1
                other += 1
        slot += 1


@kernel
def note_receipt(verdicts, kind, coupons, terms, event, ask, receipt):
    """An ask that its shard has answered; what goes to the Ledger is counted when that has."""
    answer = int(receipt.answer)
    if (JUDGED_MASK >> int(event.kind)) & 1 == 0 or answer in (_PENDING, _WAITS):
        return
    face = face_of(coupons, terms, int(ask.coupon)) if event.kind == _CLAIM else int(receipt.discount)
    note_verdict(verdicts, kind, int(receipt.fired), int(receipt.rule), answer, face)


@kernel
def note_reply(verdicts, kind, coupons, terms, reply):
    """A request that the Ledger has answered for good."""
    asked = reply.kind in (_R_CLAIM, _R_RESERVE, _R_TRANSFER)
    answer = int(reply.answer)
    if not asked or reply.number == NONE or answer in (_PENDING, _IN_REVIEW):
        return
    face = face_of(coupons, terms, int(reply.coupon))
    note_verdict(verdicts, kind, int(reply.fired), int(reply.rule), answer, face)


# --- of accounts that no cohort has -----------------------------------------------------------------------------------
@entry
def note_receipts(verdicts, kinds, first, coupons, terms, events, inbox):
    """kinds (i1[n]): of accounts first …; events with their receipts."""
    for row in range(len(events)):
        event = events[row]
        if event.ask != NONE:
            kind = int(kinds[event.customer - first])
            note_receipt(verdicts, kind, coupons, terms, event, inbox.asks[event.ask], inbox.receipts[event.ask])


@entry
def note_replies(verdicts, kinds, first, coupons, terms, replies):
    for row in range(len(replies)):
        note_reply(verdicts, int(kinds[replies[row].customer - first]), coupons, terms, replies[row])
