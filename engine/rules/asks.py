"""What an event asks for beyond being told: claims, carts, orders, refunds, transfers. Each is done at most once."""

from engine.compiled import kernel, routine
from engine.coupon_records import ID_REMEMBERED_MS, Answer
from engine.days import day_index
from engine.records import NONE, EventKind
from engine.rules.calendar import turn_weeks
from engine.rules.case import open_case, open_case_of_ask
from engine.rules.claims import claim, transfer
from engine.rules.ids import body_hash, id_row, keep_answer, remember_id, repeat_answer
from engine.rules.judge import judge, tell
from engine.rules.orders import cancel, checkout, held_order, pay_order, redeem_by_hand, refund
from engine.rules.pulse import count_refusal
from engine.rules.wallets import lapse
from engine.rules.watch import count_case, note_pass

_CLAIM, _CHECKOUT, _ORDER = int(EventKind.CLAIM), int(EventKind.CHECKOUT), int(EventKind.ORDER)
_CANCEL, _REFUND, _TRANSFER = int(EventKind.CANCEL), int(EventKind.REFUND), int(EventKind.TRANSFER)
_REDEEM, _PAYMENT = int(EventKind.REDEEM), int(EventKind.PAYMENT)
_CHALLENGE_PASSED = int(EventKind.CHALLENGE_PASSED)
_NO_ANSWER, _DONE, _NO_ORDER = int(Answer.NONE), int(Answer.DONE), int(Answer.NO_ORDER)
_WAITS, _PENDING = int(Answer.WAITS), int(Answer.PENDING)
_DENIED, _CHALLENGED = int(Answer.DENIED), int(Answer.CHALLENGED)


@kernel
def is_asking(event):
    """Whether the event asks for something; other kinds have nothing to do with an ask."""
    kind = int(event.kind)
    return event.ask != NONE and (_CLAIM <= kind <= _TRANSFER or kind in (_REDEEM, _PAYMENT))


@kernel
def must_wait(wallets, row, event):
    """Whether the event reads what an open reply may change: it is taken after the settlement."""
    return wallets.open[row] > 0 and event.kind != _CLAIM and event.kind != _CANCEL


@kernel
def cart_bounds(event, ask, lines):
    """Where the cart of an ask lies among the lines of its batch; one that does not is empty."""
    start, count = int(ask.first_line), int(ask.lines)
    if event.kind in (_CHECKOUT, _ORDER) and start >= 0 and count >= 0 and start + count <= len(lines):
        return start, start + count
    return 0, 0


@kernel
def clear(receipt):
    receipt.paid, receipt.discount, receipt.unlock_missing, receipt.unlock_saves = 0, 0, 0, 0
    receipt.slots, receipt.unlock_terms, receipt.fired, receipt.rule = 0, NONE, 0, NONE
    receipt.number, receipt.coupons, receipt.answer, receipt.optimal = NONE, 0, _NO_ANSWER, 1


@kernel
def put_off(receipt):
    """Not taken: to be sent again after the settlement."""
    clear(receipt)
    receipt.answer = _WAITS


@kernel
def answered(shard, row, customer, event, ask, cart, receipt, tables, tallies, t):
    """Do what is asked; returns the Answer."""
    wallets, kind = shard.wallets, int(event.kind)
    if kind == _CLAIM:
        day = tables.days[day_index(tables.days, t)]
        coupon, campaign = int(ask.coupon), int(ask.campaign)
        answer, number = claim(wallets, shard.outbox, row, coupon, campaign, customer, event, tables, day, t)
        receipt.number = number
        return answer
    if kind in (_CHECKOUT, _ORDER):
        return checkout(wallets, shard.desk, shard.owned, row, customer, event, ask, cart, receipt, tables, tallies, t)
    if kind == _PAYMENT:
        at = held_order(wallets, row, int(ask.order))
        if at == NONE:
            return _NO_ORDER
        pay_order(wallets, row, at, receipt, tables, tallies)
        return _DONE
    if kind == _CANCEL:
        return cancel(wallets, row, ask, tables, tallies, t)
    if kind == _REFUND:
        return refund(wallets, row, ask, receipt, tables, tallies, t)
    if kind == _TRANSFER:
        return transfer(wallets, shard.outbox, row, ask, event, receipt, tables, t)
    return redeem_by_hand(wallets, shard.outbox, row, customer, event, ask, receipt, tables, tallies, t)


@kernel
def judged_answer(shard, row, customer, event, ask, cart, receipt, tables, tallies, day_number, t, late):
    """What fraud rules do not refuse is done; returns the Answer. A late ask is not judged."""
    watch, waiting, found = shard.watch, int(shard.outbox.waiting[0]), _DONE
    open_case_of_ask(watch, event, ask)
    if not late:
        found = judge(shard, row, customer, event, tables, tallies, day_number, t)
    if found == _DONE:
        found = answered(shard, row, customer, event, ask, cart, receipt, tables, tallies, t)
    receipt.fired, receipt.rule = watch.case[0].fired, watch.case[0].rule
    tell(shard, row, event, waiting, tables, t)
    return found


@routine
def count_event(shard, row, customer, event, inbox, tables, day_number, t, late):
    """Fraud rules count an event that asks for nothing. A challenge that was passed is noted, late or not."""
    watch, day = shard.watch, tables.days[day_number]
    open_case(watch, int(event.kind), int(event.campaign))
    if not late:
        turn_weeks(customer, int(day.week))
        count_case(watch, row, customer, event, tables, day, t)
        tell(shard, row, event, int(shard.outbox.waiting[0]), tables, t)
    if event.kind == _CHALLENGE_PASSED and event.ask != NONE:
        clear(inbox.receipts[event.ask])
        note_pass(watch, row, int(inbox.asks[event.ask].rule), tables, t)


@routine
def answer_ask(shard, row, customer, event, inbox, tables, tallies, day_number, t, late):
    """Answer what an event asks for, once per id. Returns whether the event counts: not when it is a repetition, a
    payment of an order that is not held, or refused by fraud rules."""
    ask, receipt = inbox.asks[event.ask], inbox.receipts[event.ask]
    wallets = shard.wallets
    clear(receipt)
    turn_weeks(customer, int(tables.days[day_number].week))
    lapse(wallets, shard.watch, row, tables, tallies, t)
    start, end = cart_bounds(event, ask, inbox.lines)
    cart = inbox.lines[start:end]
    if ask.id != 0:
        body = body_hash(event, ask, cart, tables)
        known = id_row(wallets, row, int(ask.id))
        if known != NONE and t - wallets.ids[known].first_ms < ID_REMEMBERED_MS:
            repeat_answer(wallets.ids[known], receipt, body)
            return False
        receipt.answer = remember_id(wallets, row, int(ask.id), body, t)
        if receipt.answer != _DONE:
            return False
    if len(shard.watch.heads) > 0:
        receipt.answer = judged_answer(
            shard, row, customer, event, ask, cart, receipt, tables, tallies, day_number, t, late
        )
    else:
        receipt.answer = answered(shard, row, customer, event, ask, cart, receipt, tables, tallies, t)
    if ask.id != 0:
        keep_answer(wallets, row, int(ask.id), receipt)
    if event.kind == _CLAIM and 0 <= ask.coupon < len(tables.coupons) and tables.coupons[ask.coupon].used:
        tallies.answers[day_number, ask.coupon, receipt.answer] += 1
        if receipt.answer != _PENDING:
            count_refusal(tallies, int(ask.campaign), t)
    refused = receipt.answer == _DENIED or receipt.answer == _CHALLENGED
    return not refused and (event.kind != _PAYMENT or receipt.answer == _DONE)
