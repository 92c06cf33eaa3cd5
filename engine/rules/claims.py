"""Claims and transfers: what a customer asks of the Ledger, the tests before it is asked, and what its reply does."""

from engine.compiled import kernel, routine
from engine.coupon_records import Answer, Breach, CouponCell, InstanceMark, Life, RequestKind
from engine.records import NEVER_MS, NONE, Flag
from engine.rules.ids import settle_ids
from engine.rules.segments import age, holds
from engine.rules.wallets import (
    claimed_since,
    forget_instance,
    instance_row,
    is_full,
    limit_reached,
    new_instance,
    tally_cohort,
    turn,
)

_DONE, _PENDING_ANSWER, _FALLBACK = int(Answer.DONE), int(Answer.PENDING), int(Answer.FALLBACK)
_NOT_OPEN, _A_BLOCKED, _A_MINOR = int(Answer.NOT_OPEN), int(Answer.BLOCKED), int(Answer.MINOR)
_IMPERSONAL, _NOT_ELIGIBLE = int(Answer.PERSONALISATION_OFF), int(Answer.NOT_ELIGIBLE)
_LIMIT, _WALLET_FULL, _NO_COUPON = int(Answer.LIMIT), int(Answer.WALLET_FULL), int(Answer.NO_COUPON)
_PENDING, _AVAILABLE = int(Life.PENDING), int(Life.AVAILABLE)
_MOVING, _MOVED = int(Life.MOVING), int(Life.MOVED)
_CLAIM, _TRANSFER = int(RequestKind.CLAIM), int(RequestKind.TRANSFER)
_ARRIVED, _RETURNED = int(RequestKind.ARRIVED), int(RequestKind.RETURNED)
_F_BLOCKED, _F_MINOR = int(Flag.BLOCKED), int(Flag.LIKELY_MINOR)
_F_IMPERSONAL = int(Flag.PERSONALISATION_OFF)
_RECEIVED = int(InstanceMark.RECEIVED)
_C_GRANTED, _LIMIT_BREACH = int(CouponCell.GRANTED), int(Breach.LIMIT)


# --- asking -----------------------------------------------------------------------------------------------------------
@kernel
def new_request(outbox, wallets, row, customer, t, kind):
    """The next request of a customer, to be filled in; it stays open until its reply comes."""
    place = int(outbox.waiting[0])
    outbox.waiting[0] = place + 1
    request = outbox.requests[place]
    request.time_ms, request.customer, request.kind = t, customer, kind
    request.number = wallets.requests[row]
    wallets.requests[row] += 1
    request.other, request.claim, request.campaign = NONE, NONE, NONE
    request.terms, request.coupon, request.verdict, request.sequence, request.expires_ms = NONE, NONE, 0, 0, 0
    return request


@kernel
def refused_claim(wallets, row, coupon, customer, event, tables, day, t):
    """The first test that a claim fails before the Ledger is asked; DONE if none."""
    if coupon < 0 or coupon >= len(tables.coupons):
        return _NOT_OPEN
    rule = tables.coupons[coupon]
    if rule.used == 0 or t < rule.from_ms or t >= rule.until_ms:
        return _NOT_OPEN
    if customer.marks & _F_BLOCKED:
        return _A_BLOCKED
    if customer.marks & _F_MINOR or age(customer, day) < tables.policy[0].adult_age:
        return _A_MINOR
    if rule.personal and customer.marks & _F_IMPERSONAL:
        return _IMPERSONAL
    if not holds(int(rule.audience), customer, event, tables, day, t):
        return _NOT_ELIGIBLE
    if limit_reached(wallets, row, tables, coupon, day, t):
        return _LIMIT
    if is_full(wallets, row, tables, t):
        return _WALLET_FULL
    return _DONE


@routine
def claim(wallets, outbox, row, coupon, campaign, customer, event, tables, day, t):
    """Claim a coupon: (answer, claim number or NONE). A pending claim counts against limits."""
    refused = refused_claim(wallets, row, coupon, customer, event, tables, day, t)
    if refused != _DONE:
        return refused, NONE
    terms = int(tables.coupons[coupon].terms)
    number = int(wallets.instances[new_instance(wallets, row, terms, tables.terms, _PENDING, t)].number)
    request = new_request(outbox, wallets, row, int(event.customer), t, _CLAIM)
    request.claim, request.coupon, request.terms = number, coupon, terms
    request.campaign, request.sequence = campaign, event.sequence
    wallets.open[row] += 1
    return _PENDING_ANSWER, number


@kernel
def transfer(wallets, outbox, row, ask, event, tables, t):
    """Offer an available coupon to another customer; it is nobody's to use until it has arrived."""
    at = instance_row(wallets, row, int(ask.claim))
    if at == NONE or ask.other < 0 or ask.other == event.customer:
        return _NO_COUPON
    instance = wallets.instances[at]
    if instance.state != _AVAILABLE or tables.terms[instance.terms].transferable == 0:
        return _NO_COUPON
    turn(wallets, instance, tables.terms, _MOVING)
    request = new_request(outbox, wallets, row, int(event.customer), t, _TRANSFER)
    request.claim, request.other, request.terms = ask.claim, ask.other, instance.terms
    request.coupon, request.sequence = tables.terms[instance.terms].coupon, event.sequence
    request.expires_ms = instance.expires_ms
    wallets.open[row] += 1
    return _PENDING_ANSWER


@kernel
def above_limit(wallets, row, tables, instance):
    """Whether claims of this instance's coupon up to and including its own pass a limit that counts for ever."""
    coupon = tables.terms[instance.terms].coupon
    limits = tables.coupons[coupon].limits
    for i in range(len(limits)):
        if limits[i].most > 0 and limits[i].window_ms == NEVER_MS:
            return claimed_since(wallets, row, tables.terms, coupon, 0) > limits[i].most
    return False


# --- replies ----------------------------------------------------------------------------------------------------------
@kernel
def apply_claim(wallets, row, reply, tables, tallies):
    """Granted: the coupon is the customer's. Refused: as if it had not been claimed."""
    at = instance_row(wallets, row, int(reply.claim))
    instance = wallets.instances[at]
    wallets.open[row] -= 1
    settle_ids(wallets, row, int(reply.claim), int(reply.answer))
    if reply.answer != _DONE and reply.answer != _FALLBACK:
        wallets.lives[tables.terms[instance.terms].coupon, _PENDING] -= 1
        forget_instance(wallets, row, int(reply.claim))
        return
    if reply.answer == _FALLBACK:
        wallets.lives[tables.terms[instance.terms].coupon, _PENDING] -= 1
        wallets.lives[tables.terms[reply.terms].coupon, _PENDING] += 1
        instance.terms = reply.terms
    turn(wallets, instance, tables.terms, _AVAILABLE)
    tally_cohort(tallies, tables, instance, _C_GRANTED, 1)
    if above_limit(wallets, row, tables, instance):
        wallets.breaches[_LIMIT_BREACH] += 1
    wallets.due_ms[row] = min(int(wallets.due_ms[row]), int(instance.expires_ms))


@kernel
def arrive(wallets, outbox, row, reply, tables, tallies, t):
    """A coupon from another customer, or back to them where the wallet is full."""
    full = is_full(wallets, row, tables, t)
    if not full:
        at = new_instance(wallets, row, int(reply.terms), tables.terms, _AVAILABLE, t)
        instance = wallets.instances[at]
        instance.expires_ms = reply.expires_ms
        instance.marks |= _RECEIVED
        tally_cohort(tallies, tables, instance, _C_GRANTED, 1)
        wallets.due_ms[row] = min(int(wallets.due_ms[row]), int(reply.expires_ms))
    request = new_request(outbox, wallets, row, int(reply.customer), t, _RETURNED if full else _ARRIVED)
    request.other, request.claim, request.terms = reply.other, reply.claim, reply.terms
    request.coupon = reply.coupon


@kernel
def end_transfer(wallets, row, reply, tables, tallies):
    """The giver learns whether the coupon arrived."""
    instance = wallets.instances[instance_row(wallets, row, int(reply.claim))]
    wallets.open[row] -= 1
    if reply.answer == _DONE:
        turn(wallets, instance, tables.terms, _MOVED)
        tally_cohort(tallies, tables, instance, _C_GRANTED, -1)
        return
    turn(wallets, instance, tables.terms, _AVAILABLE)
    wallets.due_ms[row] = min(int(wallets.due_ms[row]), int(instance.expires_ms))
