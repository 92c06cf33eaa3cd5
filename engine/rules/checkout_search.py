"""The search for the set of coupons that costs least: depth first in the order of application, most hopeful first.

A level is a set whose thresholds are reached; the next one takes one more coupon, later in the order. No coupon takes
off more when less is left, so what the remaining ones would take off now, the best of each group, bounds what they
will. A branch is passed over only where it must cost more than the best found, or as much with more coupons.
"""

from engine.compiled import kernel, routine
from engine.coupon_records import CouponKind
from engine.records import NEVER_MS, NONE
from engine.rules.coupon_effect import amount_of, discount_of, prepare_effect, shipping_off, take_off

_FREE_SHIPPING = int(CouponKind.FREE_SHIPPING)


@routine
def search(till, forced):
    """The best set of candidates that holds `forced` (NONE: any set), if better than the best known, which it becomes.

    Stops at `nodes_most` and says that it is not complete.
    """
    open_root(till, forced)
    look(till, 0, forced)
    level = 0
    while level >= 0:
        here = till.levels[level]
        j = most_hopeful(till, here)
        if j == NONE or not could_win(till, here.discount + here.hopes[j], level + 1):
            level -= 1
            continue
        if till.nodes >= till.nodes_most:
            till.complete = 0
            return
        till.nodes += 1
        rest = here.hopes[j] - here.offs[j]
        here.hopes[j] = NONE
        taken = here.taken | (1 << j)
        discount = here.discount + here.offs[j]
        pending = forced != NONE and (taken >> forced) & 1 == 0
        if not pending:
            consider(till, discount, taken, level + 1, forced)
        if (pending or rest > 0) and could_win(till, discount + rest, level + 2):
            step(till, level, j)
            level += 1
            look(till, level, forced)


# --- before a search --------------------------------------------------------------------------------------------------
@kernel
def open_root(till, forced):
    """Level 0: nothing taken. Lines, prices and candidates stand in the till."""
    root = till.levels[0]
    till.known_sets = 0
    for i in range(till.lines):
        root.left[i] = till.whole[i]
    for j in range(till.listed):
        candidate = till.candidates[j]
        stays = prepare_effect(till, candidate)
        candidate.item_set = set_of(till, candidate.items)
        candidate.cut_set = set_of(till, stays)
    for s in range(till.known_sets):
        root.amounts[s] = amount_of(till.whole, till.sets[s], till.lines)
    mark_splits(till)
    root.discount = 0
    root.shipping = till.shipping
    root.taken = 0
    root.last = NONE
    root.shut = till.candidates[forced].bars & ~(1 << forced) if forced != NONE else 0


@kernel
def set_of(till, bits):
    """The row of a set of lines, new or known."""
    for s in range(till.known_sets):
        if till.sets[s] == bits:
            return s
    till.sets[till.known_sets] = bits
    till.known_sets += 1
    return till.known_sets - 1


@kernel
def mark_splits(till):
    """A discount is split over lines only where that can matter to a coupon taken later; else sums are enough."""
    splits = 0
    for j in range(till.listed - 1, -1, -1):
        candidate = till.candidates[j]
        changed = till.sets[candidate.cut_set]
        later = j + 1
        while splits == 0 and later < till.listed:
            if (candidate.bars >> later) & 1 == 0:
                other = till.candidates[later]
                splits = parts(changed, till.sets[other.item_set]) | parts(changed, till.sets[other.cut_set])
            later += 1
        candidate.splits = splits


@kernel
def parts(changed, read):
    """1 where a set of lines that changes lies partly in a set that is read."""
    return int(changed & read != 0 and changed & ~read != 0)


# --- one level --------------------------------------------------------------------------------------------------------
@kernel
def look(till, level, forced):
    """What each candidate would take off next, and the most that it and those after it could."""
    here = till.levels[level]
    count_groups(till, here)
    pending = forced != NONE and (here.taken >> forced) & 1 == 0
    slack = slack_of(till, here, forced) if pending else 0
    hope = 0  # the most that the candidates after this one could take off
    limit = 0  # before the forced candidate: the same, if its threshold is to be reached
    if slack < 0:
        here.shut = ~0  # nothing leads to it any more
    for j in range(till.listed - 1, here.last, -1):
        here.hopes[j] = NONE
        if (here.shut >> j) & 1:
            continue
        candidate = till.candidates[j]
        group = till.groups[candidate.group]
        off = next_off(till, here, candidate)
        full = group.room <= 0 or group.taken >= candidate.group_most
        if off < 0 or (off == 0 and j != forced) or full:
            here.shut |= 1 << j  # nor will it be otherwise further down
            continue
        here.offs[j] = off
        most = off if candidate.alone else off + hope - least_of_full(till, group)
        hope += 0 if candidate.alone else hold(till, group, off)
        takes = 0
        if pending and j < forced:
            takes = slack_taken(till, candidate, forced, off)
            limit += off - takes
            most = min(most, limit)
        elif j == forced:
            limit = hope + slack
        if takes <= slack and may_be_next(candidate, here, j, pending, forced):
            here.hopes[j] = most


@kernel
def slack_of(till, here, forced):
    """How much may still be taken off a candidate's lines before its threshold is out of reach."""
    candidate = till.candidates[forced]
    return NEVER_MS if candidate.original else here.amounts[candidate.item_set] - candidate.threshold


@kernel
def slack_taken(till, candidate, forced, off):
    """How much of that a candidate takes for sure: all its discount, if that stays on the other's lines."""
    outside = till.sets[candidate.cut_set] & ~till.sets[till.candidates[forced].item_set]
    return 0 if candidate.kind == _FREE_SHIPPING or outside else off


@kernel
def next_off(till, here, candidate):
    """What a candidate would take off next; NONE where its threshold is not reached."""
    amount = here.amounts[candidate.item_set]
    base = till.levels[0].amounts[candidate.item_set] if candidate.original else amount
    if base < candidate.threshold:
        return NONE
    return discount_of(candidate, amount, here.amounts[candidate.cut_set], here.shipping)


@kernel
def may_be_next(candidate, here, j, pending, forced):
    """Instances of the same terms are taken in their order; a forced candidate is not passed over."""
    if pending and j > forced:
        return False
    return candidate.previous == NONE or (here.taken >> candidate.previous) & 1 == 1


@kernel
def count_groups(till, here):
    """Room of each group: the least that one of its taken coupons allows, less those taken."""
    for g in range(till.grouped):
        group = till.groups[g]
        group.room = group.most
        group.taken = 0
        group.held = 0
    for j in range(here.last + 1):
        if (here.taken >> j) & 1:
            candidate = till.candidates[j]
            group = till.groups[candidate.group]
            group.taken += 1
            group.room = min(group.room, candidate.group_most)
    for g in range(till.grouped):
        till.groups[g].room -= till.groups[g].taken


@kernel
def least_of_full(till, group):
    """What the group's later candidates lose when this one takes a place of theirs."""
    return till.tops[group.first + group.held - 1] if group.held == group.room else 0


@kernel
def hold(till, group, off):
    """Put a discount among the largest of its group, as many as there is room for; by how much their sum grows."""
    least = least_of_full(till, group)
    if off <= least:
        return 0
    if least == 0:
        group.held += 1
    place = group.first + group.held - 1
    while place > group.first and till.tops[place - 1] < off:
        till.tops[place] = till.tops[place - 1]
        place -= 1
    till.tops[place] = off
    return off - least


# --- going down -------------------------------------------------------------------------------------------------------
@kernel
def step(till, level, j):
    """The next level: candidate j taken as well."""
    here = till.levels[level]
    below = till.levels[level + 1]
    candidate = till.candidates[j]
    off = here.offs[j]
    below.discount = here.discount + off
    below.shipping = here.shipping - shipping_off(candidate, off)
    below.taken = here.taken | (1 << j)
    below.shut = here.shut | candidate.bars
    below.last = j
    changed = 0 if shipping_off(candidate, 1) else till.sets[candidate.cut_set]
    if candidate.splits:
        take_off(till, candidate, off, level, level + 1)
    for s in range(till.known_sets):
        read = till.sets[s]
        amount = here.amounts[s]
        if candidate.splits and parts(changed, read):
            amount -= amount_of(till.shares, read, till.lines)
        elif changed & read != 0:
            amount -= off
        below.amounts[s] = amount


@kernel
def most_hopeful(till, here):
    """The candidate whose branch could take off most; NONE when all are done."""
    best = NONE
    for j in range(here.last + 1, till.listed):
        if here.hopes[j] >= 0 and (best == NONE or here.hopes[j] > here.hopes[best]):
            best = j
    return best


@kernel
def could_win(till, discount, coupons):
    return discount > till.best_discount or (discount == till.best_discount and coupons <= till.best_coupons)


# --- which of two sets ------------------------------------------------------------------------------------------------
@kernel
def consider(till, discount, taken, coupons, forced):
    """Keep a set that is better than the best. A forced search asks only for the discount, so it knows no ties."""
    better = discount > till.best_discount
    if discount == till.best_discount and forced == NONE:
        better = coupons < till.best_coupons
        if coupons == till.best_coupons:
            better = comes_first(till, taken, till.best_taken, coupons)
    if better:
        till.best_discount = discount
        till.best_taken = taken
        till.best_coupons = coupons if forced == NONE else 0


@kernel
def comes_first(till, one, other, coupons):
    """Between sets of equal cost and size: expiries, declarations, claim numbers, each ascending, left to right."""
    for key in range(3):
        a = NONE
        b = NONE
        for _ in range(coupons):
            a = next_by(till, one, key, a)
            b = next_by(till, other, key, b)
            first, second = key_of(till.candidates[a], key), key_of(till.candidates[b], key)
            if first != second:
                return first < second
    return False


@kernel
def next_by(till, taken, key, after):
    """The candidate of a set that follows `after` when they are ordered by a key."""
    best = NONE
    for j in range(till.listed):
        follows = after == NONE or goes_before(till, key, after, j)
        if (taken >> j) & 1 and follows and (best == NONE or goes_before(till, key, j, best)):
            best = j
    return best


@kernel
def goes_before(till, key, one, other):
    a, b = key_of(till.candidates[one], key), key_of(till.candidates[other], key)
    return a < b or (a == b and one < other)


@kernel
def key_of(candidate, key):
    if key == 0:
        return candidate.expires_ms
    return candidate.declared if key == 1 else candidate.number
