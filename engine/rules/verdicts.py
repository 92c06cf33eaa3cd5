"""What the Ledger's fraud rules say of a request: it is counted, judged, and the strongest active rule answers."""

from typing import NamedTuple

import numpy as np

from engine.compiled import kernel, routine
from engine.coupon_records import RequestKind
from engine.days import day_index
from engine.fraud_records import Check, Field, Mode, RuleCell, Verdict
from engine.records import LONG_AGO_MS, NEVER_MS, NONE, EventKind
from engine.rules.bonds import Bonds, closes_circle, colludes, refers_itself, see_request
from engine.rules.counters import (
    Counters,
    count,
    find_key,
    first_cell,
    follow,
    key_place,
    limit_time,
    window_begins,
    window_ends,
    would_fire,
)
from engine.rules.listings import Decided, in_ranges, request_until

_CUSTOMER, _CAMPAIGN, _DEVICE, _IP = int(Field.CUSTOMER), int(Field.CAMPAIGN), int(Field.DEVICE), int(Field.IP)
_CARD, _ADDRESS, _CODE, _GROUP = int(Field.CARD), int(Field.ADDRESS), int(Field.CODE), int(Field.GROUP)
_RECEIVER, _ORDER = int(Field.RECEIVER), int(Field.ORDER)
_COUNT, _LISTED, _IP_RANGE = int(Check.COUNT), int(Check.LISTED), int(Check.IP_RANGE)
_SELF_REFERRAL, _CYCLE, _COLLUSION = int(Check.SELF_REFERRAL), int(Check.REFERRAL_CYCLE), int(Check.COLLUSION)
_CLAIM, _RESERVE, _TRANSFER = int(RequestKind.CLAIM), int(RequestKind.RESERVE), int(RequestKind.TRANSFER)
_REGISTER = int(EventKind.REGISTER)
_ACTIVE, _ALLOW = int(Mode.ACTIVE), int(Verdict.ALLOW)
_JUDGED, _FIRED = int(RuleCell.JUDGED), int(RuleCell.FIRED)
_ANSWERED, _NOT_JUDGED = int(RuleCell.ANSWERED), int(RuleCell.NOT_JUDGED)
_REQUESTED = (1 << int(EventKind.CLAIM)) | (1 << int(EventKind.TRANSFER))


class Fraud(NamedTuple):
    """What the Ledger remembers for fraud rules."""

    counters: Counters
    bonds: Bonds
    decided: Decided
    warm_ms: np.ndarray  # i8[RULES_MAX]: until then the rule is warming
    today: np.ndarray  # i8[3]: the policy's day of the request at hand: [start, end) ms, its row


class Found(NamedTuple):
    """What was found of the request at hand."""

    verdict: np.ndarray  # i8[2]: Verdict, and the slot of the rule that answers (NONE)
    fired: np.ndarray  # i8[3]: masks of rules: all that fire, those that mark the customer, and 1 if it is allowed
    ends_ms: np.ndarray  # i8[RULES_MAX]: when each mark ends
    fields: np.ndarray  # i8[len(Field) + 1]: what it carries by Field; the last one is NONE
    slots: np.ndarray  # i8[RULES_MAX]: of the rules that listen, ascending
    keys: np.ndarray  # i8[RULES_MAX, 2]: the key of each rule with a table, in two halves
    rows: np.ndarray  # i8[RULES_MAX]: its row; NONE
    cells: np.ndarray  # i8[days, RULES_MAX, RULE_CELLS]: what the rules did


# --- what a rule looks at ---------------------------------------------------------------------------------------------
@kernel
def campaign_key(campaigns, request):
    """A campaign by its name, which no numbering changes."""
    if request.campaign < 0 or request.campaign >= len(campaigns):
        return NONE
    return np.int64(campaigns[request.campaign].name_hash >> np.uint64(1))


@kernel
def write_fields(fields, campaigns, request):
    """What a request carries, by Field; NONE. Looking a field up costs no question which one it is."""
    fields[_CUSTOMER], fields[_CAMPAIGN] = request.customer, campaign_key(campaigns, request)
    fields[_DEVICE], fields[_IP], fields[_CARD] = request.device_id, request.ip, request.card
    fields[_ADDRESS], fields[_CODE], fields[_GROUP] = request.address, request.code, request.group
    fields[_RECEIVER], fields[_ORDER], fields[-1] = request.other, NONE, NONE


@kernel
def key_of(fields, field):
    """The key a rule counts by, in two halves; the first is NONE where the request does not carry it."""
    if field != _CAMPAIGN:
        return fields[field], 0
    return (NONE, 0) if fields[_CAMPAIGN] == NONE else (fields[_CUSTOMER], fields[_CAMPAIGN])


@kernel
def turn_day(today, days, t):
    """The policy's day of t."""
    if today[0] <= t < today[1]:
        return
    today[0], today[1], today[2] = LONG_AGO_MS, NEVER_MS, 0
    if len(days) > 0:
        row = int(day_index(days, t))
        today[0], today[2] = days[row].start_ms, row
        if row + 1 < len(days):
            today[1] = days[row + 1].start_ms


# --- the rules of the counter -----------------------------------------------------------------------------------------
@kernel
def tally(found, today, slot, cell):
    if today[2] < len(found.cells):
        found.cells[today[2], slot, cell] += 1


@kernel
def listening_slots(at_work, listening, slots):
    """Write the slots of the rules that listen; returns how many. Without a branch: no two events hear alike."""
    count = 0
    for slot in at_work:
        slots[count] = slot
        count += (listening >> slot) & 1
    return count


@kernel
def look_up(fraud, offers, slots, found):
    """Find the key of every rule that listens and has a table. First all lists, then all rows and what they keep:
    memory is waited for once, not rule by rule."""
    counters = fraud.counters
    for slot in slots:
        found.rows[slot] = NONE
        if counters.books[slot].width > 0:
            key, beside = key_of(found.fields, int(offers.rules[slot].key))
            found.keys[slot, 0], found.keys[slot, 1] = key, beside
            if key != NONE:
                found.rows[slot] = int(counters.lists[key_place(counters.books[slot], key, beside)]) - 1
    for slot in slots:
        if found.rows[slot] != NONE:
            row = follow(counters, int(found.rows[slot]), found.keys[slot, 0], found.keys[slot, 1])
            found.rows[slot] = row
            if row != NONE:
                found.ends_ms[slot] = counters.cells[first_cell(counters.books[slot], row)]  # only to have it read


@kernel
def apply_counter(fraud, offers, slot, counts, judges, found, t):
    """Count and judge by the counter: the time that its firing depends on; LONG_AGO_MS if it does not fire."""
    rule, book, row = offers.rules[slot], fraud.counters.books[slot], int(found.rows[slot])
    key, beside = found.keys[slot, 0], found.keys[slot, 1]
    if key == NONE:
        return LONG_AGO_MS
    value, since = found.fields[rule.different], window_begins(rule, fraud.today, t)
    known, limit = row != NONE, LONG_AGO_MS
    if rule.granted:
        if would_fire(fraud.counters, book, rule, row, value, since):
            limit = t
    else:
        if counts and (rule.different == NONE or value != NONE):
            row = count(fraud.counters, book, row, key, beside, value, t)
        if row != NONE:
            limit = limit_time(fraud.counters, book, row)
    if limit <= since:
        limit = LONG_AGO_MS
    if judges and limit == LONG_AGO_MS and not known and book.forgotten_ms > since:
        tally(found, fraud.today, slot, _NOT_JUDGED)
    return limit


@kernel
def count_granted(fraud, offers, request, found, t):
    """A claim was granted: the rules count it that count only those."""
    counted = int(request.counted)
    if counted == 0:
        return
    write_fields(found.fields, offers.campaigns, request)
    for slot in offers.at_work:
        rule, book = offers.rules[slot], fraud.counters.books[slot]
        if (counted >> slot) & 1 and rule.granted:
            key, beside = key_of(found.fields, int(rule.key))
            value = found.fields[rule.different]
            if key != NONE and (rule.different == NONE or value != NONE):
                row = find_key(fraud.counters, book, key, beside)
                count(fraud.counters, book, row, key, beside, value, t)


# --- tests of their own -----------------------------------------------------------------------------------------------
@kernel
def fails_test(fraud, offers, request, slot, first, found, t):
    """Whether an event that a test of registrations or joins counts fails it."""
    rule, book, check = offers.rules[slot], fraud.counters.books[slot], offers.rules[slot].check
    if check == _SELF_REFERRAL:
        row = see_request(fraud.counters, book, int(found.rows[slot]), request, t)
        if request.event_kind != _REGISTER or request.inviter == NONE:
            return False
        return refers_itself(fraud.counters, book, row, request, t)
    if check == _CYCLE:
        if request.event_kind != _REGISTER or request.inviter == NONE:
            return False
        return closes_circle(fraud.bonds.inviters, first, int(request.customer), int(request.inviter))
    return request.group != NONE and colludes(fraud.counters, fraud.bonds, book, rule, request, t)


@kernel
def apply_listed(fraud, offers, request, slot, judges, found, t):
    """Until when the block list holds; LONG_AGO_MS. An allow list that is at work holds for the whole request, if the
    rule judges it."""
    rule = offers.rules[slot]
    allowed = request_until(offers.listed, fraud.decided, request, 1, t) > t
    if allowed and judges and is_answering(fraud, offers, slot, t):
        found.fired[2] = 1
    blocked = request_until(offers.listed, fraud.decided, request, 0, t)
    return min(blocked, window_ends(rule, fraud.today, t))


@kernel
def mark_end(fraud, offers, request, slot, counts, judges, first, found, t):
    """Let one rule count and judge a request: when its firing ends without further events; LONG_AGO_MS if it does not
    fire."""
    rule, today = offers.rules[slot], fraud.today
    if rule.check == _COUNT:
        limit = apply_counter(fraud, offers, slot, counts, judges, found, t)
        return limit if limit == LONG_AGO_MS else window_ends(rule, today, limit)
    if rule.check == _LISTED:
        return apply_listed(fraud, offers, request, slot, judges, found, t)
    if rule.check == _IP_RANGE:
        fires = request.ip != NONE and in_ranges(offers.ranges, int(request.ip))
    else:
        fires = counts and fails_test(fraud, offers, request, slot, first, found, t)
    return window_ends(rule, today, t) if fires else LONG_AGO_MS


# --- the verdict ------------------------------------------------------------------------------------------------------
@kernel
def is_answering(fraud, offers, slot, t):
    """Active, and not warming."""
    return offers.rules[slot].mode == _ACTIVE and t >= fraud.warm_ms[slot]


@kernel
def propose(found, verdict, slot):
    """The strongest answers; of equals the lowest slot."""
    best = found.verdict[0]
    if verdict > best or (verdict == best and verdict > _ALLOW and slot < found.verdict[1]):
        found.verdict[0], found.verdict[1] = verdict, slot


@kernel
def propose_blocks(offers, fired, found):
    """Of the shard's rules that fire, the block list answers even who is allowed."""
    slot = 0
    while fired >> slot:
        if (fired >> slot) & 1 and slot < len(offers.rules):
            rule = offers.rules[slot]
            if rule.check == _LISTED and rule.mode == _ACTIVE:
                propose(found, int(rule.verdict), slot)
        slot += 1


@kernel
def answer_rules(fraud, offers, request, own, allowed, found, t):
    """Let the Ledger's rules that fire answer, but those that are passed, warm or only watch."""
    for slot in offers.at_work:
        if (own >> slot) & 1:
            tally(found, fraud.today, slot, _FIRED)
            passed = (int(request.exempt) >> slot) & 1 or (allowed and offers.rules[slot].check != _LISTED)
            if not passed and is_answering(fraud, offers, slot, t):
                propose(found, int(offers.rules[slot].verdict), slot)


@kernel
def is_of_events(rule):
    """Whether a rule tests registrations or joins; on asks it answers by its marks alone."""
    return rule.check in (_SELF_REFERRAL, _CYCLE, _COLLUSION)


@kernel
def marks_customers(rule):
    """Whether a rule answers asks that the Ledger does not see as requests, or tests what is not asked."""
    return is_of_events(rule) or rule.judges & ~_REQUESTED != 0


@kernel
def apply_rules(fraud, offers, request, judging, first, found, t):
    """Every rule that listens counts and judges a request, in the order of slots. Returns the mask of those that fire
    on what they judge."""
    counted, own = int(request.counted), 0
    write_fields(found.fields, offers.campaigns, request)
    slots = found.slots[: listening_slots(offers.at_work, counted | judging, found.slots)]
    look_up(fraud, offers, slots, found)
    for slot in slots:
        counts, judges, rule = (counted >> slot) & 1, (judging >> slot) & 1, offers.rules[slot]
        if judges and not is_of_events(rule):
            tally(found, fraud.today, slot, _JUDGED)
        end = mark_end(fraud, offers, request, slot, counts, judges, first, found, t)
        if end != LONG_AGO_MS:
            own |= judges << slot
            if not rule.granted and marks_customers(rule):
                found.fired[1] |= 1 << slot
                found.ends_ms[slot] = end
    return own


@kernel
def is_judged(request):
    return request.kind == _CLAIM or request.kind == _RESERVE or request.kind == _TRANSFER


@routine
def weigh(fraud, offers, request, first, found, t):
    """Count a request and judge it: what is found stands in `found`. first: the first customer there is."""
    turn_day(fraud.today, offers.days, t)
    found.verdict[0], found.verdict[1] = _ALLOW, NONE
    found.fired[0], found.fired[1], found.fired[2] = int(request.fired), 0, 0
    judging = int(request.judging) if is_judged(request) else 0
    own = apply_rules(fraud, offers, request, judging, first, found, t)
    found.fired[0] |= own
    allowed = found.fired[2]
    if own:
        answer_rules(fraud, offers, request, own, allowed, found, t)
    if not is_judged(request):
        return
    if allowed:
        propose_blocks(offers, int(request.fired) & ~int(request.exempt), found)
    else:
        propose(found, int(request.verdict), int(request.rule))
    answering = int(found.verdict[1])
    if answering != NONE and (own >> answering) & 1:
        tally(found, fraud.today, answering, _ANSWERED)
