"""Reviews: what was held back is granted or denied by a person, or granted when nobody has decided in time."""

from engine.compiled import kernel
from engine.coupon_records import NO_BUDGET, Answer, RequestKind
from engine.fraud_records import Verdict
from engine.records import NEVER_MS, NONE
from engine.rules.grants import give_back, promise
from engine.rules.replies import address_receiver, say_new
from engine.rules.requests import find_reply
from engine.rules.reservations import close_reservation, find_reservation, open_reservation
from engine.rules.verdicts import count_granted

_DONE, _PENDING = int(Answer.DONE), int(Answer.PENDING)
_DENIED, _LAPSED = int(Answer.DENIED), int(Answer.LAPSED)
_CLAIM, _TRANSFER = int(RequestKind.CLAIM), int(RequestKind.TRANSFER)
_REVIEWED, _DENY = int(RequestKind.REVIEWED), int(Verdict.DENY)


@kernel
def grant_reviewed(shared, offers, found, reply, request, budget, cost, t):
    """What a request asked for, of what was held for it. Returns the answer."""
    if request.kind == _TRANSFER:
        open_reservation(shared.reservations, request, NO_BUDGET, 0, NEVER_MS)
        return _PENDING
    if request.kind == _CLAIM:
        stock = shared.stock[request.coupon]
        stock.reserved -= 1
        stock.granted += 1
        count_granted(shared.fraud, offers, request, found, t)
    else:
        promise(shared, offers, found, reply, request, budget, cost, t + int(request.expires_ms), t)
    return _DONE


@kernel
def deny_reviewed(shared, reservation, request):
    stock = shared.stock[request.coupon]
    if request.kind == _TRANSFER:
        stock.moving -= 1
    else:
        give_back(shared, reservation)
    stock.refused[_DENIED] += 1
    return _DENIED


@kernel
def end_review(shared, offers, desk, row, granted, t, now):
    """What was under review (by its row) is granted or denied: the request that asked for it gets another reply."""
    table = shared.reservations
    request = table.requests[row]  # stays as it is until the row is used again
    asked = find_reply(shared.remembered, int(request.customer), int(request.number))
    reply = shared.remembered.rows[asked]
    reply.time_ms = now
    shared.remembered.said[asked] = shared.clock[0].number
    if granted:
        budget, cost = int(table.rows[row].budget), int(table.rows[row].cost)
        close_reservation(table, row)
        reply.answer = grant_reviewed(shared, offers, desk.found, reply, request, budget, cost, t)
    else:
        reply.answer = deny_reviewed(shared, table.rows[row], request)
        close_reservation(table, row)
    if reply.answer != _PENDING:
        say_new(shared, offers, desk, reply)
        return
    desk.draft[1] = reply
    address_receiver(desk.draft[1], request)
    say_new(shared, offers, desk, desk.draft[1])


@kernel
def decide_review(shared, offers, desk, request, t, now):
    """A person has decided, the first time or too late."""
    row = find_reservation(shared.reservations, int(request.customer), int(request.claim))
    if row == NONE or shared.reservations.rows[row].kind != _REVIEWED:
        return _LAPSED
    end_review(shared, offers, desk, row, request.verdict != _DENY, t, now)
    return _DONE
