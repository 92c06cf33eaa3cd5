"""What a shard's customers were seen doing: the events that rules count, marks, passes and listings, one list each.

An event walks its customer's list once. What has left its window, has ended, or is beyond what its rule can need is
forgotten on the way: of a rule that fires above n, the last n + 1 are exact.
"""

from engine.compiled import entry, kernel, routine
from engine.fraud_records import JUDGED_MASK, PASS_MS, Check, Field, Home, Mode, Seen, Sighted, Verdict
from engine.records import HOUR_MS, NONE, SECOND_MS, EventKind
from engine.rules.case import open_case, value_of
from engine.rules.fatigue import window_start
from engine.rules.segments import holds
from engine.rules.slabs import give_row, push, take_row, unlink

SIGHTINGS = 0  # the one slab
KILOMETRE_M = 1_000
FASTEST_KM_H = 1_000

_COUNT, _AFTER_DECLINE, _TRAVEL = int(Check.COUNT), int(Check.AFTER_DECLINE), int(Check.TRAVEL)
_PACE, _NO_BROWSING = int(Check.PACE), int(Check.NO_BROWSING)
_LEDGER, _OFF, _CHALLENGE = int(Home.LEDGER), int(Mode.OFF), int(Verdict.CHALLENGE)
_ORDER = int(Field.ORDER)
_COUNTED, _BROWSED, _MARK = int(Sighted.COUNTED), int(Sighted.BROWSED), int(Sighted.MARK)
_PASS, _ALLOWED, _BLOCKED = int(Sighted.PASS), int(Sighted.ALLOWED), int(Sighted.BLOCKED)
_N_COUNTED, _N_BROWSED = int(Seen.COUNTED), int(Seen.BROWSED)
_FIRST, _LAST, _VALUE = int(Seen.FIRST_MS), int(Seen.LAST_MS), int(Seen.VALUE)
_PAGE_VIEW, _ORDER_UNPAID = int(EventKind.PAGE_VIEW), int(EventKind.ORDER_UNPAID)


# --- which rules look -------------------------------------------------------------------------------------------------
@kernel
def counts_it(rule, watch, customer, event, tables, day, t):
    """Whether the rule counts the case; its key is there."""
    case = watch.case[0]
    if (rule.kinds >> int(case.kind)) & 1 == 0:
        return False
    if rule.different != NONE and value_of(rule.different, int(event.customer), watch.origin[0], case) == NONE:
        return False
    if rule.check == _TRAVEL and not has_place(tables.metres, int(event.city)):
        return False
    return holds(int(rule.where), customer, event, tables, day, t)


@kernel
def judges_it(rule, counted, watch, customer, event, tables, day, t):
    """Whether the rule judges the case; its key is there. One that counts asks only is silent on what it does not
    count; a test that counts nothing reads its condition."""
    if (rule.judges >> int(watch.case[0].kind)) & 1 == 0:
        return False
    if rule.check in (_COUNT, _PACE, _NO_BROWSING):
        return counted or rule.kinds & ~JUDGED_MASK != 0
    return holds(int(rule.where), customer, event, tables, day, t)


@kernel
def is_page_view(rule, kind):
    return rule.check == _NO_BROWSING and kind == _PAGE_VIEW


@kernel
def listen_far(rule, slot, watch, customer, event, tables, day, t):
    """A rule of the Ledger: what is to be told it."""
    case = watch.case[0]
    if value_of(rule.key, int(event.customer), watch.origin[0], case) == NONE:
        return
    counted = counts_it(rule, watch, customer, event, tables, day, t)
    if counted:
        case.counted |= 1 << slot
    if judges_it(rule, counted, watch, customer, event, tables, day, t):
        case.judging |= 1 << slot


@kernel
def listen_here(rule, slot, watch, customer, event, tables, day, t):
    """A rule of the shard: whether it sees the case, and what it counts apart."""
    case, row = watch.case[0], watch.counts[slot]
    counted = counts_it(rule, watch, customer, event, tables, day, t)
    if judges_it(rule, counted, watch, customer, event, tables, day, t):
        case.looking |= 1 << slot
    if is_page_view(rule, int(case.kind)):
        row[_N_BROWSED] = 1
    elif counted:
        row[_N_COUNTED] = 0 if rule.check == _TRAVEL else 1
    else:
        return
    case.seen |= 1 << slot
    row[_FIRST], row[_LAST] = t, t
    if rule.check == _TRAVEL:
        row[_VALUE] = event.city
    elif rule.different != NONE:
        row[_VALUE] = value_of(rule.different, int(event.customer), watch.origin[0], case)


@kernel
def clear_counts(watch, rules):
    for slot in range(rules):
        for column in range(watch.counts.shape[1]):
            watch.counts[slot, column] = 0


@kernel
def listen(watch, customer, event, tables, day, t):
    """Find the rules that count the case, here and at the Ledger, and those that would judge it there."""
    clear_counts(watch, len(tables.rules))
    kind = int(watch.case[0].kind)
    for place in range(tables.listening_bounds[kind], tables.listening_bounds[kind + 1]):
        slot = int(tables.listening[place])
        rule = tables.rules[slot]
        if rule.mode == _OFF:
            continue
        if rule.home == _LEDGER:
            listen_far(rule, slot, watch, customer, event, tables, day, t)
        else:
            listen_here(rule, slot, watch, customer, event, tables, day, t)


# --- the walk ---------------------------------------------------------------------------------------------------------
@kernel
def most_kept(rule, what):
    """How many sightings tell all that a rule can need."""
    if what == _BROWSED:
        return rule.amount + 1
    if rule.check == _PACE and rule.amount > 0:
        # Newest and oldest are less than the window apart: with so many of them the mean gap is under `amount`.
        return max(rule.most + 1, 1 + (rule.window_ms + rule.amount - 1) // rule.amount)
    return max(int(rule.most), 0) + 1


@kernel
def has_place(metres, city):
    return 0 <= city < len(metres) and metres[city, city] != NONE


@kernel
def journey_ends(metres, since_ms):
    """When somebody who was elsewhere at a time can be so far away: no faster than FASTEST_KM_H."""
    return since_ms + (metres * (HOUR_MS // SECOND_MS) + FASTEST_KM_H - 1) // FASTEST_KM_H


@kernel
def keeps_place(watch, rule, slot, sighting, metres, t):
    """Where the customer was last: a journey from there is found, and the place replaced, by an event at a place."""
    if (watch.case[0].seen >> slot) & 1 == 0:
        return True
    far = int(metres[sighting.value, watch.counts[slot, _VALUE]])
    end = journey_ends(far, int(sighting.time_ms))
    if far > rule.amount and t < end:
        watch.counts[slot, _N_COUNTED], watch.counts[slot, _LAST] = 1, end
    return False


@kernel
def keeps_count(watch, rule, slot, sighting, day, t):
    """Count a sighting; False if it is needed no more."""
    what, row = int(sighting.what), watch.counts[slot]
    if sighting.time_ms < window_start(rule, day, t):
        return False
    again = what == _COUNTED and rule.different != NONE and (watch.case[0].seen >> slot) & 1 == 1
    if again and sighting.value == row[_VALUE]:
        return False
    column = _N_BROWSED if what == _BROWSED else _N_COUNTED
    if row[column] >= most_kept(rule, what):
        return False
    row[column] += 1
    if what == _COUNTED:
        row[_LAST] = max(row[_LAST], int(sighting.time_ms))
        row[_FIRST] = sighting.time_ms if row[_FIRST] == 0 else min(row[_FIRST], int(sighting.time_ms))
    return True


@kernel
def keeps_word(case, sighting, t):
    """A mark, a pass, a listing: until it ends."""
    if sighting.time_ms <= t:
        return False
    what = int(sighting.what)
    if what == _MARK:
        case.marks |= 1 << int(sighting.rule)
    elif what == _PASS:
        case.passes |= 1 << int(sighting.rule)
    elif what == _ALLOWED:
        case.allowed = 1
    else:
        case.blocked = 1
    return True


@kernel
def keeps(watch, sighting, tables, day, t):
    if sighting.what != _COUNTED and sighting.what != _BROWSED:
        return keeps_word(watch.case[0], sighting, t)
    slot = int(sighting.rule)
    rule = tables.rules[slot]
    if rule.check == _TRAVEL:
        return keeps_place(watch, rule, slot, sighting, tables.metres, t)
    return keeps_count(watch, rule, slot, sighting, day, t)


@kernel
def drop(watch, row, before, at):
    unlink(watch.sightings, watch.heads, row, SIGHTINGS, before, at)
    give_row(watch.sightings, watch.free, SIGHTINGS, at)


@kernel
def walk(watch, row, tables, day, t):
    """Count what is remembered of a customer, by rule; forget what no rule needs."""
    before, at = NONE, int(watch.heads[row, SIGHTINGS])
    while at != NONE:
        after = int(watch.sightings[at].next)
        if keeps(watch, watch.sightings[at], tables, day, t):
            before = at
        else:
            drop(watch, row, before, at)
        at = after


@kernel
def write(sighting, slot, what, value, time_ms):
    sighting.rule, sighting.what, sighting.value, sighting.time_ms = slot, what, value, time_ms


@kernel
def mark_end(watch, row, slot):
    """When the mark of a rule ends; 0 where the customer has none."""
    at = int(watch.heads[row, SIGHTINGS])
    while at != NONE:
        if watch.sightings[at].what == _MARK and watch.sightings[at].rule == slot:
            return int(watch.sightings[at].time_ms)
        at = int(watch.sightings[at].next)
    return 0


@kernel
def note_journey(watch, row, slot, t):
    """Who came too fast is marked until they could have come, or could have made an earlier journey."""
    end = max(int(watch.counts[slot, _LAST]), mark_end(watch, row, slot))
    note_word(watch, row, _MARK, slot, end, t)


@kernel
def remember(watch, row, tables, t):
    """Keep the case for the rules that saw it."""
    case = watch.case[0]
    kind = int(case.kind)
    for place in range(tables.listening_bounds[kind], tables.listening_bounds[kind + 1]):
        slot = int(tables.listening[place])
        if (case.seen >> slot) & 1 and does_count(tables.rules[slot]):
            what = _BROWSED if is_page_view(tables.rules[slot], kind) else _COUNTED
            at = take_row(watch.sightings, watch.free, SIGHTINGS)
            write(watch.sightings[at], slot, what, watch.counts[slot, _VALUE], t)
            push(watch.sightings, watch.heads, row, SIGHTINGS, at)
            if tables.rules[slot].check == _TRAVEL and watch.counts[slot, _N_COUNTED] > 0:
                note_journey(watch, row, slot, t)


@kernel
def does_count(rule):
    """The other tests remember nothing."""
    return rule.check in (_COUNT, _AFTER_DECLINE, _TRAVEL, _PACE, _NO_BROWSING)


@routine
def count_case(watch, row, customer, event, tables, day, t):
    """Count the case at hand, taken at t, by every rule that listens."""
    listen(watch, customer, event, tables, day, t)
    kind = int(watch.case[0].kind)
    if watch.case[0].seen != 0 or (JUDGED_MASK >> kind) & 1:
        walk(watch, row, tables, day, t)
        remember(watch, row, tables, t)


@entry
def sweep(watch, tables, day, t):
    """Forget what no rule needs any more, of every customer."""
    open_case(watch, 0, NONE)
    for row in range(len(watch.heads)):
        if watch.heads[row, SIGHTINGS] != NONE:
            clear_counts(watch, len(tables.rules))
            walk(watch, row, tables, day, t)


# --- orders that were not paid ----------------------------------------------------------------------------------------
@kernel
def forget_value(watch, row, slot, value):
    before, at = NONE, int(watch.heads[row, SIGHTINGS])
    while at != NONE:
        sighting = watch.sightings[at]
        if sighting.what == _COUNTED and sighting.rule == slot and sighting.value == value:
            drop(watch, row, before, at)
            return
        before, at = at, int(sighting.next)


@kernel
def insert(watch, row, slot, value, time_ms):
    """Keep what was found out late behind what happened later."""
    before, at = NONE, int(watch.heads[row, SIGHTINGS])
    while at != NONE:
        sighting = watch.sightings[at]
        if sighting.what == _COUNTED or sighting.what == _BROWSED:
            if sighting.time_ms <= time_ms:
                break
            before = at
        at = int(sighting.next)
    new = take_row(watch.sightings, watch.free, SIGHTINGS)
    write(watch.sightings[new], slot, _COUNTED, value, time_ms)
    if before == NONE:
        push(watch.sightings, watch.heads, row, SIGHTINGS, new)
    else:
        watch.sightings[new].next = watch.sightings[before].next
        watch.sightings[before].next = new


@kernel
def count_unpaid(watch, row, order, tables, time_ms):
    """An order was not paid by time_ms. It has no event: no condition is read, and no field but the order known."""
    for place in range(tables.listening_bounds[_ORDER_UNPAID], tables.listening_bounds[_ORDER_UNPAID + 1]):
        slot = int(tables.listening[place])
        rule = tables.rules[slot]
        counts = rule.mode != _OFF and rule.home != _LEDGER and (rule.kinds >> _ORDER_UNPAID) & 1 == 1
        if not counts or rule.check == _TRAVEL or (rule.different != NONE and rule.different != _ORDER):
            continue
        if rule.different != NONE:
            forget_value(watch, row, slot, order)
        insert(watch, row, slot, order, time_ms)


# --- marks, passes, listings ------------------------------------------------------------------------------------------
@kernel
def forget_words(watch, row, first, last, slots):
    """Forget what was said of a customer: kinds first … last of Sighted, of rules in a mask; listings are of none."""
    before, at = NONE, int(watch.heads[row, SIGHTINGS])
    while at != NONE:
        sighting = watch.sightings[at]
        after, rule = int(sighting.next), int(sighting.rule)
        if first <= sighting.what <= last and (rule == NONE or (slots >> rule) & 1 == 1):
            drop(watch, row, before, at)
        else:
            before = at
        at = after


@kernel
def note_word(watch, row, what, slot, until_ms, t):
    """A later word replaces the earlier."""
    if what in (_ALLOWED, _BLOCKED):
        forget_words(watch, row, _ALLOWED, _BLOCKED, 0)
    else:
        forget_words(watch, row, what, what, 1 << slot)
    if until_ms > t:
        at = take_row(watch.sightings, watch.free, SIGHTINGS)
        write(watch.sightings[at], slot, what, 0, until_ms)
        push(watch.sightings, watch.heads, row, SIGHTINGS, at)


@kernel
def note_pass(watch, row, slot, tables, t):
    """The customer passed the challenge of a rule."""
    if slot < 0 or slot >= len(tables.rules):
        return
    if tables.rules[slot].mode != _OFF and tables.rules[slot].verdict == _CHALLENGE:
        note_word(watch, row, _PASS, slot, t + PASS_MS, t)


@kernel
def note_mark(watch, row, slot, until_ms, tables, t):
    if 0 <= slot < len(tables.rules):
        note_word(watch, row, _MARK, slot, until_ms, t)


@kernel
def note_listing(watch, row, allowed, until_ms, t):
    note_word(watch, row, _ALLOWED if allowed else _BLOCKED, NONE, until_ms, t)


@kernel
def use_up(watch, row, slots):
    """The passes of these rules (a mask) were used."""
    if slots != 0:
        forget_words(watch, row, _PASS, _PASS, slots)


# --- other numbers ----------------------------------------------------------------------------------------------------
@entry
def renumber(watch, slots):
    """Give sightings their rules' new slots (i8 by old slot; NONE: forgotten)."""
    for row in range(len(watch.heads)):
        before, at = NONE, int(watch.heads[row, SIGHTINGS])
        while at != NONE:
            sighting = watch.sightings[at]
            after, old = int(sighting.next), int(sighting.rule)
            if old != NONE and slots[old] == NONE:
                drop(watch, row, before, at)
            else:
                if old != NONE:
                    sighting.rule = slots[old]
                before = at
            at = after
