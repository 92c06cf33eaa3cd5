"""Claims and transfers: what a customer asks of the Ledger, the tests before it is asked, and what its reply does."""

from engine.compiled import kernel, routine
from engine.coupon_records import Answer, Breach, CouponCell, InstanceMark, Life, RequestKind
from engine.days import day_index
from engine.records import NONE, Flag
from engine.rules.ids import settle_ids
from engine.rules.segments import age, holds
from engine.rules.wallets import (
    close,
    count_life,
    expire,
    forget_instance,
    instance_row,
    is_beyond_limits,
    is_full,
    lapse,
    make_available,
    new_instance,
    note_due,
    redeem,
    tally_cohort,
    turn,
    weaken,
)

_DONE, _PENDING_ANSWER, _FALLBACK = int(Answer.DONE), int(Answer.PENDING), int(Answer.FALLBACK)
_NOT_OPEN, _A_BLOCKED, _A_MINOR = int(Answer.NOT_OPEN), int(Answer.BLOCKED), int(Answer.MINOR)
_IMPERSONAL, _NOT_ELIGIBLE = int(Answer.PERSONALISATION_OFF), int(Answer.NOT_ELIGIBLE)
_LIMIT, _WALLET_FULL, _NO_COUPON = int(Answer.LIMIT), int(Answer.WALLET_FULL), int(Answer.NO_COUPON)
_LAPSED, _IN_REVIEW = int(Answer.LAPSED), int(Answer.IN_REVIEW)
_PENDING, _AVAILABLE, _HELD = int(Life.PENDING), int(Life.AVAILABLE), int(Life.HELD)
_MOVING, _MOVED = int(Life.MOVING), int(Life.MOVED)
_CLAIM, _TRANSFER = int(RequestKind.CLAIM), int(RequestKind.TRANSFER)
_RESERVE, _CONFIRM = int(RequestKind.RESERVE), int(RequestKind.CONFIRM)
_ARRIVED, _RETURNED = int(RequestKind.ARRIVED), int(RequestKind.RETURNED)
_F_BLOCKED, _F_MINOR = int(Flag.BLOCKED), int(Flag.LIKELY_MINOR)
_F_IMPERSONAL = int(Flag.PERSONALISATION_OFF)
_RECEIVED, _PRIZE = int(InstanceMark.RECEIVED), int(InstanceMark.PRIZE)
_REVIEWED = int(InstanceMark.REVIEWED)
_C_GRANTED, _LIMIT_BREACH = int(CouponCell.GRANTED), int(Breach.LIMIT)


# --- asking -----------------------------------------------------------------------------------------------------------
@kernel
def new_request(outbox, wallets, row, customer, t, kind):
    """The next request of a customer, to be filled in."""
    place = int(outbox.waiting[0])
    outbox.waiting[0] = place + 1
    request = outbox.requests[place]
    request.time_ms, request.customer, request.kind = t, customer, kind
    request.number = wallets.requests[row]
    wallets.requests[row] += 1
    request.other, request.claim, request.campaign = NONE, NONE, NONE
    request.terms, request.coupon, request.verdict, request.sequence, request.expires_ms = NONE, NONE, 0, 0, 0
    request.rule, request.event_kind, request.inviter = NONE, 0, NONE
    request.counted, request.judging, request.exempt, request.fired = 0, 0, 0, 0
    request.device_id, request.ip, request.card = NONE, NONE, NONE
    request.address, request.code, request.group = NONE, NONE, NONE
    return request


@kernel
def ask_about(outbox, wallets, row, instance, event, tables, t, kind):
    """A request about one of the customer's instances; it stays open until its reply comes."""
    request = new_request(outbox, wallets, row, int(event.customer), t, kind)
    request.claim, request.terms = instance.number, instance.terms
    request.coupon, request.sequence = tables.terms[instance.terms].coupon, event.sequence
    wallets.open[row] += 1
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
    if is_beyond_limits(wallets, row, tables, coupon, 1, day, t):
        return _LIMIT
    if is_full(wallets, row, tables, day, t):
        return _WALLET_FULL
    return _DONE


@routine
def claim(wallets, outbox, row, coupon, campaign, customer, event, tables, day, t):
    """Claim a coupon: (answer, claim number or NONE). A pending claim counts against limits. A prize is reserved."""
    refused = refused_claim(wallets, row, coupon, customer, event, tables, day, t)
    if refused != _DONE:
        return refused, NONE
    is_prize = tables.coupons[coupon].confirm_within_ms > 0
    marks, kind = (_PRIZE, _RESERVE) if is_prize else (0, _CLAIM)
    terms = int(tables.coupons[coupon].terms)
    instance = wallets.instances[new_instance(wallets, row, terms, tables.terms, _PENDING, marks, t)]
    request = ask_about(outbox, wallets, row, instance, event, tables, t, kind)
    request.campaign = campaign
    if is_beyond_limits(wallets, row, tables, coupon, 0, day, t):
        wallets.breaches[_LIMIT_BREACH] += 1
    return _PENDING_ANSWER, int(instance.number)


@kernel
def transfer(wallets, outbox, row, ask, event, receipt, tables, t):
    """Offer an available coupon to another customer; it is nobody's to use until it has arrived."""
    at = instance_row(wallets, row, int(ask.claim))
    if at == NONE or ask.other < 0 or ask.other == event.customer:
        return _NO_COUPON
    instance = wallets.instances[at]
    if instance.state != _AVAILABLE or tables.terms[instance.terms].transferable == 0:
        return _NO_COUPON
    turn(wallets, instance, tables.terms, _MOVING)
    request = ask_about(outbox, wallets, row, instance, event, tables, t, _TRANSFER)
    request.other, request.expires_ms = ask.other, instance.expires_ms
    receipt.number = instance.number
    return _PENDING_ANSWER


@kernel
def confirm(wallets, outbox, row, instance, event, tables, t):
    """Collect a prize: it does not lapse any more unless the Ledger says that it was too late."""
    turn(wallets, instance, tables.terms, _HELD)
    ask_about(outbox, wallets, row, instance, event, tables, t, _CONFIRM)
    return _PENDING_ANSWER


# --- replies ----------------------------------------------------------------------------------------------------------
@kernel
def answer_request(wallets, row, instance, answer):
    """Nothing waits for a request any more once it is answered. One in review is answered twice; False the first time,
    for then nothing has become of the instance yet."""
    if instance.marks & _REVIEWED == 0:
        wallets.open[row] -= 1
    settle_ids(wallets, row, int(instance.number), answer)
    if answer == _IN_REVIEW:
        instance.marks |= _REVIEWED
        return False
    instance.marks &= ~_REVIEWED
    return True


@kernel
def apply_claim(wallets, row, reply, tables, tallies, t):
    """Granted or reserved: the coupon is the customer's. Refused: as if it had not been claimed."""
    instance = wallets.instances[instance_row(wallets, row, int(reply.claim))]
    if not answer_request(wallets, row, instance, int(reply.answer)):
        return
    if reply.answer != _DONE and reply.answer != _FALLBACK:
        count_life(wallets, instance, tables.terms, -1)
        forget_instance(wallets, row, int(reply.claim))
        return
    if reply.answer == _FALLBACK:
        weaken(wallets, instance, int(reply.terms), tables.terms)
    if reply.kind == _RESERVE:
        instance.expires_ms = reply.expires_ms
    tally_cohort(tallies, tables, instance, _C_GRANTED, 1)
    make_available(wallets, row, instance, tables, tallies, t)


@kernel
def end_confirmation(wallets, row, reply, tables, tallies, t):
    """A prize was collected, or it was too late; any other answer leaves it to be collected."""
    instance = wallets.instances[instance_row(wallets, row, int(reply.claim))]
    answer_request(wallets, row, instance, int(reply.answer))
    if reply.answer == _DONE:
        redeem(wallets, row, instance, tables, tallies, int(tables.terms[instance.terms].cost_most))
        close(instance, tables.terms, tallies)
    elif reply.answer == _LAPSED:
        expire(wallets, instance, tables, tallies)
    else:
        make_available(wallets, row, instance, tables, tallies, t)


@kernel
def arrive(wallets, outbox, watch, row, reply, tables, tallies, t):
    """A coupon from another customer, or back to them where the wallet is full."""
    lapse(wallets, watch, row, tables, tallies, t)
    full = is_full(wallets, row, tables, tables.days[day_index(tables.days, t)], t)
    if not full:
        at = new_instance(wallets, row, int(reply.terms), tables.terms, _AVAILABLE, _RECEIVED, t)
        instance = wallets.instances[at]
        instance.expires_ms = reply.expires_ms
        tally_cohort(tallies, tables, instance, _C_GRANTED, 1)
        note_due(wallets, row, instance)
    request = new_request(outbox, wallets, row, int(reply.customer), t, _RETURNED if full else _ARRIVED)
    request.other, request.claim, request.terms = reply.other, reply.claim, reply.terms
    request.coupon = reply.coupon


@kernel
def end_transfer(wallets, row, reply, tables, tallies, t):
    """The giver learns whether the coupon arrived."""
    instance = wallets.instances[instance_row(wallets, row, int(reply.claim))]
    if not answer_request(wallets, row, instance, int(reply.answer)):
        return
    if reply.answer == _DONE:
        turn(wallets, instance, tables.terms, _MOVED)
        tally_cohort(tallies, tables, instance, _C_GRANTED, -1)
    else:
        make_available(wallets, row, instance, tables, tallies, t)
