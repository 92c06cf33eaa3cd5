"""The Ledger's digest: Σ modulo 2¹²⁸ of a hash per row, known by its name or its customer. No slots, no order."""

from engine.compiled import entry, kernel
from engine.coupon_records import RequestKind
from engine.rules.breaker import sum_breakers
from engine.rules.digest import add
from engine.rules.experiments import mix64
from engine.rules.fraud_digest import sum_fraud
from engine.rules.sums import add_word

_REVIEWED = int(RequestKind.REVIEWED)


@kernel
def stock_hash(h, stock):
    h = mix64(h ^ stock.name_hash)
    h = add(h, int(stock.delivered))
    h = add(h, int(stock.left))
    h = add(h, int(stock.granted))
    h = add(h, int(stock.reserved))
    h = add(h, int(stock.confirmed))
    h = add(h, int(stock.promised))
    h = add(h, int(stock.moving))
    h = add(h, int(stock.released))
    h = add(h, int(stock.out_ms))
    for answer in range(len(stock.refused)):
        h = add(h, int(stock.refused[answer]))
    return h


@kernel
def fund_hash(h, fund):
    h = mix64(h ^ fund.name_hash)
    h = add(h, int(fund.in_force))
    h = add(h, int(fund.reserved))
    h = add(h, int(fund.spent))
    h = add(h, int(fund.overshoot))
    h = add(h, int(fund.out_ms))
    return add(h, int(fund.released))


@kernel
def reservation_hash(h, reservation, stock):
    h = mix64(h ^ stock[reservation.coupon].name_hash)
    h = add(h, int(reservation.customer))
    h = add(h, int(reservation.expires_ms))
    h = add(h, int(reservation.cost))
    h = add(h, (int(reservation.claim) << 32) ^ int(reservation.request))
    return add(h, int(reservation.kind))


@kernel
def open_hash(h, table, row, stock):
    """Of something open: what is under review, with what it was asked by."""
    h = reservation_hash(h, table.rows[row], stock)
    if table.rows[row].kind != _REVIEWED:
        return h
    request = table.requests[row]
    return add(add(add(h, int(request.kind)), int(request.expires_ms)), int(request.other))


@kernel
def clock_hash(h, clock):
    h = add(h, int(clock.now_ms))
    h = add(h, int(clock.ticked_ms))
    h = add(h, int(clock.number))
    return mix64(mix64(h ^ clock.high_hash) ^ clock.low_hash)


@kernel
def sum_lane(shared, seed, total):
    """Add one lane of the digest to total: u8[2], low word first."""
    add_word(total, clock_hash(add(seed, 1), shared.clock[0]))
    for slot in range(len(shared.stock)):
        if shared.stock[slot].name_hash != 0:
            add_word(total, stock_hash(add(seed, 2), shared.stock[slot]))
    for slot in range(len(shared.funds)):
        if shared.funds[slot].name_hash != 0:
            add_word(total, fund_hash(add(seed, 3), shared.funds[slot]))
    table = shared.reservations
    for place in range(table.size[0]):
        add_word(total, open_hash(add(seed, 4), table, int(table.heap[place]), shared.stock))
    sum_fraud(shared.fraud, int(shared.clock[0].first), seed, total)
    sum_breakers(shared.breakers, seed, total)


@entry
def sum_ledger(shared, seeds, lanes):
    """Write the sums of two lanes: u8[2, 2]. The digest is lane 0 and, 64 bits higher, lane 1."""
    sum_lane(shared, seeds[0], lanes[0])
    sum_lane(shared, seeds[1], lanes[1])
