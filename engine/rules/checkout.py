"""Checkout: the legal combination of coupons that costs the customer least, and what is said of the other coupons."""

from engine.compiled import kernel, routine
from engine.coupon_records import NODES_MAX, CheckoutReason
from engine.records import NONE
from engine.rules.checkout_candidates import bars, gather, is_applied_before, is_for_piece, list_candidates
from engine.rules.checkout_desk import SCRATCH
from engine.rules.checkout_search import search
from engine.rules.coupon_effect import amount_of, discount_of, shipping_off, take_off

EXACT_COUPONS = 20  # up to so many, one a group, a search has no limit
_NODES_ANY = 1 << 62
_THRESHOLD, _NO_EFFECT = int(CheckoutReason.THRESHOLD), int(CheckoutReason.NO_EFFECT)
_NOT_BEST = int(CheckoutReason.NOT_BEST)


@routine
def quote(desk, lines, shipping, owned, terms, tier, city, place, t):
    """Price a cart. lines: LINE[m ≤ LINES_MAX]; shipping: fen; owned: OWNED[k ≤ CHECKOUT_COUPONS_MAX], numbers differ;
    terms: TERMS rows; tier, city, place: numbers among the policy's names, NONE = not known; t: ms.

    Fills the desk: the quote, and what it says of the k coupons and m lines.
    """
    till = desk.till[0]
    lay_out(till, lines, shipping)
    able = gather(till, lines, owned, terms, tier, city, place, t)
    list_candidates(till, owned, terms, able)
    answer(till, owned)
    for p in range(len(owned)):
        if till.stands_for[p] != NONE and till.used[p] == 0:
            judge(till, owned, terms, p)
    unlock(till, len(owned), terms)
    till.quote[0].nodes = till.nodes


# --- the cart ---------------------------------------------------------------------------------------------------------
@kernel
def lay_out(till, lines, shipping):
    till.lines = 0
    till.shipping = shipping
    goods = 0
    for i in range(len(lines)):
        line = lines[i]
        add_line(till, int(line.unit_price), int(line.quantity))
        goods += till.whole[i]
    till.quote[0].goods = goods
    till.quote[0].shipping = shipping


@kernel
def add_line(till, price, pieces):
    """One more line; `dearest` stays sorted, the earlier line first among equals."""
    i = till.lines
    till.price[i] = price
    till.pieces[i] = pieces
    till.whole[i] = price * pieces
    place = i
    while place > 0 and till.price[till.dearest[place - 1]] < price:
        till.dearest[place] = till.dearest[place - 1]
        place -= 1
    till.dearest[place] = i
    till.lines += 1


@kernel
def remove_last_line(till):
    till.lines -= 1
    place = till.lines
    while till.dearest[place] != till.lines:
        place -= 1
    for after in range(place, till.lines):
        till.dearest[after] = till.dearest[after + 1]


# --- the answer -------------------------------------------------------------------------------------------------------
@kernel
def answer(till, owned):
    """Search, and apply what was found."""
    till.best_discount = 0
    till.best_taken = 0
    till.best_coupons = 0
    till.nodes = 0
    till.nodes_most = nodes_most(till)
    till.complete = 1
    search(till, NONE)
    count = choose(till, owned)
    for q in range(count):
        p = till.candidates[till.chosen[q]].owned
        till.used[p] = 1
        till.discount[p] = apply(till, till.chosen[q], q, q + 1)
    for i in range(till.lines):
        till.line_paid[i] = till.levels[count].left[i]
    total = till.quote[0]
    total.coupons = count
    total.discount = till.best_discount
    total.paid = total.goods + total.shipping - till.best_discount
    total.shipping_paid = till.levels[count].shipping
    total.optimal = till.complete


@kernel
def nodes_most(till):
    most = 1
    for g in range(till.grouped):
        most = max(most, till.groups[g].most)
    return _NODES_ANY if most == 1 and till.listed <= EXACT_COUPONS else NODES_MAX


@kernel
def choose(till, owned):
    """The candidates of the best set, in their order, into `chosen`; how many."""
    count = 0
    for j in range(till.listed):
        if (till.best_taken >> j) & 1:
            p = till.candidates[j].owned
            slot = count
            while slot > 0 and is_applied_before(till, owned, p, till.candidates[till.chosen[slot - 1]].owned):
                till.chosen[slot] = till.chosen[slot - 1]
                slot -= 1
            till.chosen[slot] = j
            count += 1
    return count


@kernel
def apply(till, j, source, target):
    """Level `target` after a candidate's discount on level `source`; the discount."""
    candidate = till.candidates[j]
    off = off_at(till, candidate, source)
    take_off(till, candidate, off, source, target)
    till.levels[target].shipping = till.levels[source].shipping - shipping_off(candidate, off)
    return off


@kernel
def base_at(till, candidate, level):
    """What a candidate's threshold is held against."""
    if candidate.original:
        return amount_of(till.whole, candidate.items, till.lines)
    return amount_of(till.levels[level].left, candidate.items, till.lines)


@kernel
def off_at(till, candidate, level):
    """What a candidate takes off at a level; 0 where its threshold is not reached."""
    if base_at(till, candidate, level) < candidate.threshold:
        return 0
    here = till.levels[level]
    amount = amount_of(here.left, candidate.items, till.lines)
    left = amount_of(here.left, till.sets[candidate.cut_set], till.lines)
    return discount_of(candidate, amount, left, here.shipping)


# --- the other coupons ------------------------------------------------------------------------------------------------
@kernel
def judge(till, owned, terms, p):
    """Why a coupon that could be used is not; into `missing` what its threshold lacks."""
    candidate = till.candidates[till.stands_for[p]]
    level = level_beside(till, owned, terms, p)
    lacks = candidate.threshold - base_at(till, candidate, level)
    if lacks > 0:
        till.missing[p] = lacks
        till.reason[p] = _THRESHOLD
    else:
        till.reason[p] = _NOT_BEST if off_at(till, candidate, level) > 0 else _NO_EFFECT


@kernel
def level_beside(till, owned, terms, p):
    """A level at which those coupons of the answer are applied that may stand beside p and come before it."""
    before = coupons_beside(till, owned, terms, p)
    first = 0
    while (before >> first) & 1:
        first += 1
    if before >> first == 0:
        return first  # the answer's first coupons: as the answer was applied
    for i in range(till.lines):
        till.levels[SCRATCH].left[i] = till.whole[i]
    till.levels[SCRATCH].shipping = till.shipping
    for q in range(till.quote[0].coupons):
        if (before >> q) & 1:
            apply(till, till.chosen[q], SCRATCH, SCRATCH)
    return SCRATCH


@kernel
def coupons_beside(till, owned, terms, p):
    """Bits of `chosen`: what may stand beside p, without its group's if that is full, and comes before it."""
    term = terms[owned[p].terms]
    beside = 0
    grouped = 0
    members = 1
    most = int(term.group_most)
    for q in range(till.quote[0].coupons):
        candidate = till.candidates[till.chosen[q]]
        other = terms[candidate.terms]
        if bars(term, other):
            continue
        if other.group == term.group:
            members += 1
            most = min(most, int(other.group_most))
            grouped |= 1 << q
        if is_applied_before(till, owned, candidate.owned, p):
            beside |= 1 << q
    return beside & ~grouped if members > most else beside


@kernel
def unlock(till, coupons, terms):
    """Keep what is missing only where adding it pays; the unlock that saves most, then needs least, into the quote."""
    total = till.quote[0]
    total.unlock_owned = NONE
    total.unlock_missing = 0
    total.unlock_saves = 0
    for p in range(coupons):
        if till.missing[p] == 0:
            continue
        saves = savings(till, terms, p)
        missing = till.missing[p] if saves > 0 else 0
        till.missing[p] = missing
        if saves > total.unlock_saves or (saves == total.unlock_saves and missing < total.unlock_missing):
            total.unlock_owned = p
            total.unlock_missing = missing
            total.unlock_saves = saves


@kernel
def savings(till, terms, p):
    """What the cheapest legal set with p, on the cart with one more piece that p is for, costs less than the answer
    and that piece; 0 if nothing."""
    forced = till.stands_for[p]
    piece = 1 << till.lines
    add_line(till, till.missing[p], 1)
    for j in range(till.listed):
        if is_for_piece(terms[till.candidates[j].terms], terms[till.candidates[forced].terms]):
            till.candidates[j].items |= piece
    till.best_discount = till.quote[0].discount
    till.best_taken = 0
    till.best_coupons = 0
    search(till, forced)
    for j in range(till.listed):
        till.candidates[j].items &= ~piece
    remove_last_line(till)
    return till.best_discount - till.quote[0].discount
