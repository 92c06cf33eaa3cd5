"""What a request gets of what customers share: pieces and money taken, reserved, given back; coupons under way."""

from engine.compiled import kernel
from engine.coupon_records import NO_BUDGET, Answer, RequestKind
from engine.fraud_records import REVIEW_MS, Verdict
from engine.records import NEVER_MS, NONE
from engine.rules.budgets import carries, is_used_up, note_out
from engine.rules.reservations import (
    close_reservation,
    find_reservation,
    hold_for_review,
    is_table_full,
    open_reservation,
)
from engine.rules.stock import has_piece, put_back, take_piece
from engine.rules.verdicts import count_granted

_DONE, _PENDING, _FALLBACK = int(Answer.DONE), int(Answer.PENDING), int(Answer.FALLBACK)
_OUT_OF_STOCK, _BUDGET, _LAPSED = int(Answer.OUT_OF_STOCK), int(Answer.BUDGET), int(Answer.LAPSED)
_NOT_OPEN, _NO_ROOM, _DENIED = int(Answer.NOT_OPEN), int(Answer.NO_ROOM), int(Answer.DENIED)
_NO_COUPON, _WALLET_FULL = int(Answer.NO_COUPON), int(Answer.WALLET_FULL)
_CHALLENGED, _IN_REVIEW = int(Answer.CHALLENGED), int(Answer.IN_REVIEW)
_CLAIM, _RESERVE, _CONFIRM = int(RequestKind.CLAIM), int(RequestKind.RESERVE), int(RequestKind.CONFIRM)
_WEAKER, _CHALLENGE = int(Verdict.WEAKER), int(Verdict.CHALLENGE)
_REVIEW, _DENY = int(Verdict.REVIEW), int(Verdict.DENY)


@kernel
def refusal(verdict):
    """What a verdict refuses any request with; DONE if it does not."""
    if verdict == _DENY:
        return _DENIED
    return _CHALLENGED if verdict == _CHALLENGE else _DONE


# --- pieces and money -------------------------------------------------------------------------------------------------
@kernel
def take(shared, offers, coupon, terms, t):
    """Take one piece and reserve the most it can cost: DONE, or the first test that fails."""
    if coupon < 0 or coupon >= len(offers.coupons) or offers.coupons[coupon].used == 0:
        return _NOT_OPEN
    if terms < 0 or terms >= len(offers.terms):
        return _NOT_OPEN
    stock, row = shared.stock[coupon], offers.terms[terms]
    if not has_piece(stock):
        return _OUT_OF_STOCK
    if row.budget != NO_BUDGET:
        fund = shared.funds[row.budget]
        if not carries(fund, row.cost_most):
            note_out(fund, t)
            return _BUDGET
        fund.reserved += row.cost_most
        if is_used_up(fund):
            note_out(fund, t)
    take_piece(stock, t)
    return _DONE


@kernel
def give_back(shared, reservation):
    """The piece and the money of a reservation are free again."""
    put_back(shared.stock[reservation.coupon])
    if reservation.budget != NO_BUDGET:
        shared.funds[reservation.budget].reserved -= reservation.cost


@kernel
def end_reservation(shared, row, confirmed):
    """A reservation is over: its piece and money are used, or free again."""
    reservation = shared.reservations.rows[row]
    if confirmed:
        stock = shared.stock[reservation.coupon]
        stock.reserved -= 1
        stock.confirmed += 1
        if reservation.budget != NO_BUDGET:
            fund = shared.funds[reservation.budget]
            fund.reserved -= reservation.cost
            fund.spent += reservation.cost
    else:
        give_back(shared, reservation)
    close_reservation(shared.reservations, row)


@kernel
def grant_claim(shared, offers, found, reply, request, verdict, t):
    """One piece, or of the fallback where the verdict is weaker."""
    coupon, terms, granted = int(request.coupon), int(request.terms), _DONE
    if verdict == _WEAKER:
        known = 0 <= coupon < len(offers.coupons)
        coupon, granted = int(offers.coupons[coupon].fallback) if known else NONE, _FALLBACK
        if coupon == NONE:
            return _DENIED
        terms = int(offers.coupons[coupon].terms)
    answer = take(shared, offers, coupon, terms, t)
    if answer != _DONE:
        return answer
    shared.stock[coupon].granted += 1
    reply.coupon, reply.terms = coupon, terms
    count_granted(shared.fraud, offers, request, found, t)
    return granted


@kernel
def promise(shared, offers, found, reply, request, budget, cost, until_ms, t):
    """A piece that was taken is reserved as a prize."""
    shared.stock[request.coupon].promised += 1
    reply.expires_ms = until_ms
    open_reservation(shared.reservations, request, budget, cost, until_ms)
    count_granted(shared.fraud, offers, request, found, t)


@kernel
def reserve(shared, offers, found, reply, request, verdict, t):
    """One piece that is kept until it is confirmed, or until it was reviewed."""
    table = shared.reservations
    if verdict == _WEAKER:
        return _DENIED
    if find_reservation(table, int(request.customer), int(request.claim)) != NONE:
        return _NO_COUPON
    if is_table_full(table):
        return _NO_ROOM
    answer = take(shared, offers, int(request.coupon), int(request.terms), t)
    if answer != _DONE:
        return answer
    shared.stock[request.coupon].reserved += 1
    row, within = offers.terms[request.terms], int(offers.coupons[request.coupon].confirm_within_ms)
    budget, cost = int(row.budget), int(row.cost_most)
    if verdict != _REVIEW:
        promise(shared, offers, found, reply, request, budget, cost, t + within, t)
        return _DONE
    hold_for_review(table, request, budget, cost, within, t + REVIEW_MS)
    return _IN_REVIEW


@kernel
def grant(shared, offers, found, reply, request, verdict, t):
    """One piece of a coupon, as a claim or a reservation asks for it."""
    refused = refusal(verdict)
    if refused != _DONE:
        return refused
    if request.kind == _CLAIM and verdict != _REVIEW:
        return grant_claim(shared, offers, found, reply, request, verdict, t)
    return reserve(shared, offers, found, reply, request, verdict, t)


@kernel
def confirm_or_release(shared, request):
    """End a reservation before it lapses."""
    row = find_reservation(shared.reservations, int(request.customer), int(request.claim))
    if row == NONE or shared.reservations.rows[row].kind != _RESERVE:
        return _LAPSED
    end_reservation(shared, row, request.kind == _CONFIRM)
    return _DONE


# --- transfers --------------------------------------------------------------------------------------------------------
@kernel
def send(shared, request, verdict, t):
    """A coupon sets out: PENDING, for its giver has no reply before it has arrived; or why it cannot."""
    refused, table = refusal(verdict), shared.reservations
    if refused != _DONE:
        return refused
    if request.coupon < 0 or request.coupon >= len(shared.stock):
        return _NO_COUPON
    if request.other < shared.clock[0].first or request.other >= shared.clock[0].end:
        return _WALLET_FULL  # nobody to take it in
    if find_reservation(table, int(request.customer), int(request.claim)) != NONE:
        return _NO_COUPON
    if is_table_full(table):
        return _NO_ROOM
    shared.stock[request.coupon].moving += 1
    if verdict == _REVIEW:
        hold_for_review(table, request, NO_BUDGET, 0, int(request.expires_ms), t + REVIEW_MS)
        return _IN_REVIEW
    open_reservation(table, request, NO_BUDGET, 0, NEVER_MS)
    return _PENDING
