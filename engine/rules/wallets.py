"""Wallets: the life of a customer's coupon instances, from a pending claim to redeemed, expired or moved away."""

from engine.compiled import entry, kernel, routine
from engine.coupon_records import HOLD_MS, WALLET_MAX, CouponCell, InstanceMark, Life, OrderState, Spend
from engine.days import day_index
from engine.records import NEVER_MS, NONE
from engine.rules.fatigue import window_start
from engine.rules.slabs import INSTANCES, ORDERS, give_row, push, take_row, unlink
from engine.rules.watch import count_unpaid

_PENDING, _AVAILABLE, _HELD = int(Life.PENDING), int(Life.AVAILABLE), int(Life.HELD)
_REDEEMED, _EXPIRED, _WITHDRAWN = int(Life.REDEEMED), int(Life.EXPIRED), int(Life.WITHDRAWN)
_MOVING, _MOVED = int(Life.MOVING), int(Life.MOVED)
_ORDER_HELD, _CANCELLED = int(OrderState.HELD), int(OrderState.CANCELLED)
_FREED, _SPENT = int(Spend.FREED), int(Spend.REDEEMED)
_RECEIVED, _CLOSED = int(InstanceMark.RECEIVED), int(InstanceMark.CLOSED)
_PRIZE, _WEAKER = int(InstanceMark.PRIZE), int(InstanceMark.WEAKER)
_C_EXPIRED, _C_REDEEMED = int(CouponCell.EXPIRED), int(CouponCell.REDEEMED)
_C_DISCOUNT, _C_RETURNED = int(CouponCell.DISCOUNT), int(CouponCell.RETURNED)


# --- one instance -----------------------------------------------------------------------------------------------------
@kernel
def count_life(wallets, instance, terms, step):
    """Add to the shard's counts by coupon and state; prizes are counted apart."""
    coupon = terms[instance.terms].coupon
    if instance.marks & _PRIZE:
        wallets.prizes[coupon, instance.state] += step
    else:
        wallets.lives[coupon, instance.state] += step


@kernel
def turn(wallets, instance, terms, state):
    """Change an instance's state; the shard's counts follow."""
    count_life(wallets, instance, terms, -1)
    instance.state = state
    count_life(wallets, instance, terms, 1)


@kernel
def note_due(wallets, row, instance):
    """The wallet is to be looked at when this instance runs out."""
    wallets.due_ms[row] = min(int(wallets.due_ms[row]), int(instance.expires_ms))


@kernel
def instance_row(wallets, row, number):
    """Row of a customer's instance by its number; NONE."""
    at = int(wallets.heads[row, INSTANCES])
    while at != NONE and wallets.instances[at].number != number:
        at = int(wallets.instances[at].next)
    return at


@kernel
def expiry(terms, claimed_ms):
    """When an instance claimed then runs out."""
    if terms.valid_ms == 0:
        return int(terms.valid_until_ms)
    return min(int(terms.valid_until_ms), claimed_ms + int(terms.valid_ms))


@kernel
def new_instance(wallets, row, terms_row, terms, state, marks, t):
    """A new instance at the front of the customer's list; returns its row."""
    at = take_row(wallets.instances, wallets.free, INSTANCES)
    instance = wallets.instances[at]
    instance.number = wallets.claims[row]
    wallets.claims[row] += 1
    instance.claimed_ms, instance.expires_ms = t, expiry(terms[terms_row], t)
    instance.order, instance.terms, instance.claimed = NONE, terms_row, terms[terms_row].coupon
    instance.state, instance.marks, instance.spent = state, marks, 0
    count_life(wallets, instance, terms, 1)
    push(wallets.instances, wallets.heads, row, INSTANCES, at)
    return at


@kernel
def weaken(wallets, instance, terms_row, terms):
    """The fallback was granted instead: it has its own terms, but the limits of what was claimed count it."""
    count_life(wallets, instance, terms, -1)
    instance.terms, instance.expires_ms = terms_row, expiry(terms[terms_row], int(instance.claimed_ms))
    instance.marks |= _WEAKER
    count_life(wallets, instance, terms, 1)


@kernel
def forget_instance(wallets, row, number):
    """Take an instance out of the list and give its place back; the counts by state stay."""
    before, at = NONE, int(wallets.heads[row, INSTANCES])
    while wallets.instances[at].number != number:
        before, at = at, int(wallets.instances[at].next)
    unlink(wallets.instances, wallets.heads, row, INSTANCES, before, at)
    give_row(wallets.instances, wallets.free, INSTANCES, at)


# --- limits and room --------------------------------------------------------------------------------------------------
@kernel
def claimed_since(wallets, row, coupon, start_ms):
    """Claims of a coupon at or after a time, pending ones included; received coupons are no claims."""
    count = 0
    at = int(wallets.heads[row, INSTANCES])
    while at != NONE:
        instance = wallets.instances[at]
        is_claim = instance.claimed == coupon and instance.marks & _RECEIVED == 0
        if is_claim and instance.claimed_ms >= start_ms:
            count += 1
        at = int(instance.next)
    return count


@kernel
def is_beyond_limits(wallets, row, tables, coupon, more, day, t):
    """Whether so many more claims pass any of the coupon's limits."""
    limits = tables.coupons[coupon].limits
    for i in range(len(limits)):
        cap = limits[i]
        if cap.most > 0 and claimed_since(wallets, row, coupon, window_start(cap, day, t)) + more > cap.most:
            return True
    return False


@kernel
def is_counted(instance, tables, day, t):
    """Whether a limit of the coupon that was claimed still counts the claim."""
    limits = tables.coupons[instance.claimed].limits
    for i in range(len(limits)):
        if limits[i].most > 0 and instance.claimed_ms >= window_start(limits[i], day, t):
            return instance.marks & _RECEIVED == 0 and tables.coupons[instance.claimed].used != 0
    return False


@kernel
def is_forgettable(instance, tables, day, t):
    """Dead, counted by no limit any more, and not to come back by a refund."""
    state = int(instance.state)
    if state == _REDEEMED:
        if instance.marks & _CLOSED == 0:
            return False
    elif state != _EXPIRED and state != _WITHDRAWN and state != _MOVED:
        return False
    return not is_counted(instance, tables, day, t)


@kernel
def make_room(wallets, row, tables, day, t):
    """Forget what may be forgotten; returns how many instances are left."""
    kept, before, at = 0, NONE, int(wallets.heads[row, INSTANCES])
    while at != NONE:
        after = int(wallets.instances[at].next)
        if is_forgettable(wallets.instances[at], tables, day, t):
            unlink(wallets.instances, wallets.heads, row, INSTANCES, before, at)
            give_row(wallets.instances, wallets.free, INSTANCES, at)
        else:
            kept, before = kept + 1, at
        at = after
    return kept


@kernel
def is_full(wallets, row, tables, day, t):
    return make_room(wallets, row, tables, day, t) >= WALLET_MAX


# --- what time does ---------------------------------------------------------------------------------------------------
@kernel
def tally_spend(tallies, terms, measure, amount):
    """Tell the Ledger about a budget: what a claim reserved was spent, or is not needed."""
    if terms.budget >= 0:
        tallies.spend[terms.budget, measure] += amount


@kernel
def tally_cohort(tallies, tables, instance, measure, amount):
    """Count what became of an instance under the day it was claimed."""
    day = day_index(tables.days, int(instance.claimed_ms))
    tallies.cohorts[day, tables.terms[instance.terms].coupon, measure] += amount


@kernel
def expire(wallets, instance, tables, tallies):
    """It has run out. What a prize had reserved lapses at the Ledger at the same instant."""
    terms = tables.terms[instance.terms]
    turn(wallets, instance, tables.terms, _EXPIRED)
    if instance.marks & _PRIZE == 0:
        tally_spend(tallies, terms, _FREED, int(terms.cost_most))
    tally_cohort(tallies, tables, instance, _C_EXPIRED, 1)


@kernel
def make_available(wallets, row, instance, tables, tallies, t):
    """Granted, or back from an order or from its way to somebody else: available, or run out meanwhile."""
    instance.order, instance.spent = NONE, 0
    turn(wallets, instance, tables.terms, _AVAILABLE)
    if instance.expires_ms <= t:
        expire(wallets, instance, tables, tallies)
    else:
        note_due(wallets, row, instance)


@kernel
def redeem(wallets, row, instance, tables, tallies, discount):
    """The discount is spent. What else was reserved stays so while a refund may bring the coupon back; what a prize had
    reserved is the Ledger's to spend."""
    turn(wallets, instance, tables.terms, _REDEEMED)
    instance.spent = discount
    if instance.marks & _PRIZE == 0:
        tally_spend(tallies, tables.terms[instance.terms], _SPENT, discount)
    tally_cohort(tallies, tables, instance, _C_REDEEMED, 1)
    tally_cohort(tallies, tables, instance, _C_DISCOUNT, discount)
    note_due(wallets, row, instance)


@kernel
def close(instance, terms, tallies):
    """A redeemed coupon that cannot come back any more: the rest of what was reserved is free."""
    if instance.marks & (_CLOSED | _PRIZE) == 0:
        tally_spend(tallies, terms[instance.terms], _FREED, int(terms[instance.terms].cost_most) - int(instance.spent))
    instance.marks |= _CLOSED


@kernel
def give_back(wallets, row, instance, tables, tallies, t):
    """A refund of the whole order undoes a redemption; at its expiry a coupon was closed."""
    if instance.marks & _CLOSED:
        return
    discount = int(instance.spent)
    tally_spend(tallies, tables.terms[instance.terms], _SPENT, -discount)
    tally_cohort(tallies, tables, instance, _C_RETURNED, 1)
    tally_cohort(tallies, tables, instance, _C_DISCOUNT, -discount)
    make_available(wallets, row, instance, tables, tallies, t)


@kernel
def release(wallets, row, order_number, tables, tallies, t):
    """Instances that an order held are the customer's again."""
    at = int(wallets.heads[row, INSTANCES])
    while at != NONE:
        instance = wallets.instances[at]
        if instance.state == _HELD and instance.order == order_number:
            make_available(wallets, row, instance, tables, tallies, t)
        at = int(instance.next)


@kernel
def lapse_orders(wallets, watch, row, tables, tallies, t):
    """Orders not paid in time give their coupons back, and fraud rules count them; returns when the next one will."""
    due = NEVER_MS
    at = int(wallets.heads[row, ORDERS])
    while at != NONE:
        order = wallets.orders[at]
        if order.state == _ORDER_HELD:
            until = int(order.held_ms) + HOLD_MS
            if until <= t:
                order.state = _CANCELLED
                release(wallets, row, int(order.number), tables, tallies, until)
                if len(watch.heads) > 0:
                    count_unpaid(watch, row, int(order.number), tables, until)
            else:
                due = min(due, until)
        at = int(order.next)
    return due


@kernel
def lapse_instances(wallets, row, tables, tallies, t, due):
    """Coupons run out; returns when the next one will, or `due` if that is earlier."""
    at = int(wallets.heads[row, INSTANCES])
    while at != NONE:
        instance = wallets.instances[at]
        live = instance.state == _AVAILABLE or (instance.state == _REDEEMED and instance.marks & _CLOSED == 0)
        if live and instance.expires_ms > t:
            due = min(due, int(instance.expires_ms))
        elif live and instance.state == _AVAILABLE:
            expire(wallets, instance, tables, tallies)
        elif live:
            close(instance, tables.terms, tallies)
        at = int(instance.next)
    return due


@routine
def lapse(wallets, watch, row, tables, tallies, t):
    """Bring a wallet up to a time: holds run out first, then coupons."""
    due = lapse_orders(wallets, watch, row, tables, tallies, t)
    wallets.due_ms[row] = lapse_instances(wallets, row, tables, tallies, t, due)


@entry
def lapse_due(wallets, watch, tables, tallies, t):
    """Bring every wallet up to a settlement's time."""
    for row in range(len(wallets.due_ms)):
        if wallets.due_ms[row] <= t:
            lapse(wallets, watch, row, tables, tallies, t)
