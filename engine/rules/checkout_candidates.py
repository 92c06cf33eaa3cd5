"""Which owned coupons a checkout could use: what refuses one at once, in what order they apply, who bars whom."""

from engine.compiled import kernel
from engine.coupon_records import EVERYTHING, CheckoutReason, CouponKind
from engine.records import NONE

_NUMBERS = 63  # a mask knows no number from here on
_STAGE_BITS, _DECLARED_BITS = 48, 32  # of a rank: stage | declaration | row of terms
_EACH_FULL, _RIGHT = int(CouponKind.EACH_FULL), int(CouponKind.RIGHT)
_USED, _NOT_YET_VALID = int(CheckoutReason.USED), int(CheckoutReason.NOT_YET_VALID)
_EXPIRED, _PLACE = int(CheckoutReason.EXPIRED), int(CheckoutReason.PLACE)
_REGION, _MEMBERS = int(CheckoutReason.REGION), int(CheckoutReason.MEMBERS)
_NO_ITEMS, _NO_EFFECT = int(CheckoutReason.NO_ITEMS), int(CheckoutReason.NO_EFFECT)


@kernel
def names(mask, number):
    """Whether a mask holds a number; what is not known is refused by any restriction."""
    return mask == EVERYTHING or (0 <= number < _NUMBERS and (mask >> number) & 1 == 1)


@kernel
def is_for(term, category, brand, product):
    return names(term.categories, category) and names(term.brands, brand) and names(term.products, product)


@kernel
def is_for_piece(term, unlocked):
    """Whether a coupon is for the piece that unlocks another: of the first name of each restriction of that one, of no
    name elsewhere."""
    return is_for(term, first_name(unlocked.categories), first_name(unlocked.brands), first_name(unlocked.products))


@kernel
def first_name(mask):
    if mask == EVERYTHING:
        return NONE
    number = 0
    while number < _NUMBERS and (mask >> number) & 1 == 0:
        number += 1
    return number


@kernel
def lines_for(term, lines):
    """Bits of the lines that a coupon is for."""
    bits = 0
    for i in range(len(lines)):
        line = lines[i]
        bits |= int(is_for(term, int(line.category), int(line.brand), int(line.product))) << i
    return bits


@kernel
def refusal(term, expires_ms, items, tier, city, place, t):
    """Why a coupon can be in no combination; USED if nothing speaks against it."""
    if t < term.valid_from_ms:
        return _NOT_YET_VALID
    if t >= expires_ms:
        return _EXPIRED
    if not names(term.places, place):
        return _PLACE
    if not names(term.regions, city):
        return _REGION
    if not names(term.tiers, tier):
        return _MEMBERS
    if items == 0:
        return _NO_ITEMS
    return _NO_EFFECT if term.kind == _RIGHT else _USED


@kernel
def gather(till, lines, owned, terms, tier, city, place, t):
    """Refuse what can be refused at once; the others, by rank, expiry and number, into `order`. How many they are."""
    able = 0
    for p in range(len(owned)):
        coupon = owned[p]
        term = terms[coupon.terms]
        till.used[p] = 0
        till.discount[p] = 0
        till.missing[p] = 0
        till.stands_for[p] = NONE
        till.items[p] = lines_for(term, lines)
        till.rank[p] = (int(term.stage) << _STAGE_BITS) + (int(term.declared) << _DECLARED_BITS) + int(coupon.terms)
        till.reason[p] = refusal(term, coupon.expires_ms, till.items[p], tier, city, place, t)
        if till.reason[p] == _USED:
            slot = able
            while slot > 0 and is_listed_before(till, owned, p, till.order[slot - 1]):
                till.order[slot] = till.order[slot - 1]
                slot -= 1
            till.order[slot] = p
            able += 1
    return able


@kernel
def is_listed_before(till, owned, one, other):
    """Instances of the same terms differ in nothing else: the first to expire comes first."""
    if till.rank[one] != till.rank[other]:
        return till.rank[one] < till.rank[other]
    if owned[one].expires_ms != owned[other].expires_ms:
        return owned[one].expires_ms < owned[other].expires_ms
    return owned[one].number < owned[other].number


@kernel
def is_applied_before(till, owned, one, other):
    if till.rank[one] != till.rank[other]:
        return till.rank[one] < till.rank[other]
    return owned[one].number < owned[other].number


@kernel
def list_candidates(till, owned, terms, able):
    """Candidates of the search. Of the same terms only those that expire first, as many as may stand together."""
    till.listed = 0
    till.grouped = 0
    same = 0  # candidates of the present row of terms
    for slot in range(able):
        p = till.order[slot]
        row = int(owned[p].terms)
        if slot == 0 or row != owned[till.order[slot - 1]].terms:
            same = 0
        if same < terms[row].group_most:
            list_candidate(till, terms[row], owned[p], p)
            till.candidates[till.listed - 1].previous = till.listed - 2 if same else NONE
            bar(till, terms, till.listed - 1)
            same += 1
        till.stands_for[p] = till.listed - same
    first = 0
    for g in range(till.grouped):
        till.groups[g].first = first
        first += till.groups[g].size


@kernel
def list_candidate(till, term, coupon, p):
    candidate = till.candidates[till.listed]
    candidate.items = till.items[p]
    candidate.threshold = term.full if term.kind == _EACH_FULL else term.over
    candidate.up_to = term.up_to
    candidate.off = term.off
    candidate.full = term.full
    candidate.rate = term.rate
    candidate.every = term.every
    candidate.kind = term.kind
    candidate.across = term.across
    candidate.original = term.original
    candidate.alone = term.exclusive
    candidate.declared = term.declared
    candidate.terms = coupon.terms
    candidate.expires_ms = coupon.expires_ms
    candidate.number = coupon.number
    candidate.owned = p
    candidate.group = group_of(till, int(term.group), int(term.group_most))
    candidate.group_most = term.group_most
    till.listed += 1


@kernel
def group_of(till, number, most):
    """Row of a group, new or known, one larger."""
    g = 0
    while g < till.grouped and till.groups[g].number != number:
        g += 1
    group = till.groups[g]
    if g == till.grouped:
        till.grouped += 1
        group.number = number
        group.most = 0
        group.size = 0
    group.most = max(group.most, most)
    group.size += 1
    return g


@kernel
def bar(till, terms, new):
    """Note which earlier candidates may not stand beside a new one."""
    candidate = till.candidates[new]
    candidate.bars = 0
    for j in range(new):
        other = till.candidates[j]
        full = candidate.group == other.group and min(candidate.group_most, other.group_most) == 1
        if full or bars(terms[candidate.terms], terms[other.terms]):
            candidate.bars |= 1 << j
            other.bars |= 1 << new


@kernel
def bars(one, other):
    """Whether two coupons may not stand together, whatever their groups."""
    if one.exclusive or other.exclusive:
        return True
    return ((one.not_with >> int(other.coupon)) | (other.not_with >> int(one.coupon))) & 1 == 1
