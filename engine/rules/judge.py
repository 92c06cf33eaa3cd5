"""What fraud rules say of an ask in its customer's shard, and what of it the Ledger is told."""

from engine.compiled import kernel, routine
from engine.coupon_records import Answer, RequestKind
from engine.fraud_records import JUDGED_MASK, Agent, Check, Field, Home, Mode, RuleCell, Seen, Verdict
from engine.records import NONE, EventKind
from engine.rules.checkout_candidates import names
from engine.rules.claims import new_request
from engine.rules.experiments import falls_in
from engine.rules.listings import first_listed
from engine.rules.wallets import instance_row
from engine.rules.watch import count_case, use_up

_COUNT, _YOUNG, _REGION = int(Check.COUNT), int(Check.YOUNG_ACCOUNT), int(Check.REGION)
_AFTER_DECLINE, _TRAVEL, _LISTED = int(Check.AFTER_DECLINE), int(Check.TRAVEL), int(Check.LISTED)
_PACE, _NO_BROWSING, _SCRIPT = int(Check.PACE), int(Check.NO_BROWSING), int(Check.SCRIPT)
_LEDGER, _OFF, _ACTIVE = int(Home.LEDGER), int(Mode.OFF), int(Mode.ACTIVE)
_ON_LIST, _HEEDED, _LET_THROUGH = 1, 2, 4  # bits of CASE.allowed
_ALLOW, _CHALLENGE, _DENY = int(Verdict.ALLOW), int(Verdict.CHALLENGE), int(Verdict.DENY)
_N_COUNTED, _N_BROWSED = int(Seen.COUNTED), int(Seen.BROWSED)
_FIRST, _LAST = int(Seen.FIRST_MS), int(Seen.LAST_MS)
_CLAIM, _TRANSFER, _PAYMENT = int(EventKind.CLAIM), int(EventKind.TRANSFER), int(EventKind.PAYMENT)
_OBSERVED = int(RequestKind.OBSERVED)
_C_JUDGED, _C_FIRED, _C_ANSWERED = int(RuleCell.JUDGED), int(RuleCell.FIRED), int(RuleCell.ANSWERED)
_DONE, _DENIED, _CHALLENGED = int(Answer.DONE), int(Answer.DENIED), int(Answer.CHALLENGED)
_CUSTOMER, _AGENT_SCRIPT = int(Field.CUSTOMER), int(Agent.SCRIPT)


# --- lists ------------------------------------------------------------------------------------------------------------
@kernel
def is_listed(listed, field, value, allowed, t):
    """Whether somebody is on the allow list (allowed = 1) or the block list of the policy."""
    at = first_listed(listed, field, value)
    while at < len(listed) and listed[at].field == field and listed[at].value == value:
        if listed[at].allowed == allowed and t < listed[at].until_ms:
            return True
        at += 1
    return False


@kernel
def look_up(case, customer, listed, t):
    """The customer on the lists of the policy; on those of persons they were found already."""
    if is_listed(listed, _CUSTOMER, customer, 1, t):
        case.allowed |= _ON_LIST
    if is_listed(listed, _CUSTOMER, customer, 0, t):
        case.blocked = 1


@kernel
def is_let_through(policy, customer):
    """Among the few whom no rule answers, so that it is seen what rules prevent."""
    return falls_in(policy.let_through_salt, policy.replication, policy.let_through, customer)


# --- tests of their own -----------------------------------------------------------------------------------------------
@kernel
def terms_at_hand(wallets, row, case, tables):
    """Row of the terms that a claim asks for, or of the instance that is redeemed; NONE."""
    if case.kind == _CLAIM:
        if 0 <= case.coupon < len(tables.coupons) and tables.coupons[case.coupon].used:
            return int(tables.coupons[case.coupon].terms)
        return NONE
    if case.claim == NONE:
        return NONE
    at = instance_row(wallets, row, int(case.claim))
    return int(wallets.instances[at].terms) if at != NONE else NONE


@kernel
def is_young(rule, customer, terms, t):
    """A young account, and a coupon that is worth much."""
    return t - customer.joined_ms < rule.window_ms and max(int(terms.cost_most), int(terms.worth)) >= rule.amount


@kernel
def is_outside(terms, city):
    return city != NONE and not names(terms.regions, city)


@kernel
def is_hurried(rule, counts):
    """More than `most` in the window, with a mean gap under `amount` ms."""
    count = counts[_N_COUNTED]
    return count > rule.most and counts[_LAST] - counts[_FIRST] < rule.amount * (count - 1)


@kernel
def is_fulfilled(rule, counts):
    """The tests that are about what was counted."""
    if rule.check == _COUNT:
        return counts[_N_COUNTED] > rule.most
    if rule.check == _PACE:
        return is_hurried(rule, counts)
    return rule.check == _NO_BROWSING and counts[_N_COUNTED] > rule.most and counts[_N_BROWSED] <= rule.amount


@kernel
def fires_here(rule, slot, shard, row, customer, event, tables, t):
    """Whether a rule of the shard fires on the case at hand."""
    watch = shard.watch
    case = watch.case[0]
    if (case.looking >> slot) & 1 == 0:
        return False
    if rule.check == _SCRIPT:
        return watch.origin[0].agent == _AGENT_SCRIPT
    if rule.check == _AFTER_DECLINE:
        return case.kind == _PAYMENT and watch.counts[slot, _N_COUNTED] > 0
    if rule.check == _TRAVEL:
        return watch.counts[slot, _N_COUNTED] > 0 or (case.marks >> slot) & 1 == 1
    if rule.check != _YOUNG and rule.check != _REGION:
        return is_fulfilled(rule, watch.counts[slot])
    at = terms_at_hand(shard.wallets, row, case, tables)
    if at == NONE:
        return False
    if rule.check == _YOUNG:
        return case.kind == _CLAIM and is_young(rule, customer, tables.terms[at], t)
    return is_outside(tables.terms[at], int(event.city))


@kernel
def fires(rule, slot, shard, row, customer, event, tables, t):
    """A rule of the Ledger fires here where the customer bears its mark; lists are looked up in both."""
    case = shard.watch.case[0]
    if rule.check == _LISTED and case.blocked and (case.judging >> slot) & 1:
        return True
    if rule.home == _LEDGER or rule.check == _LISTED:
        return (case.marks >> slot) & 1 == 1
    return fires_here(rule, slot, shard, row, customer, event, tables, t)


# --- the verdict ------------------------------------------------------------------------------------------------------
@kernel
def goes_on(kind):
    """Whether the Ledger judges such an ask again."""
    return kind in (_CLAIM, _TRANSFER)


@kernel
def fire(shard, row, customer, event, tables, tallies, day_number, t):
    """Which rules fire: `fired` of the case. An allow list counts where a rule of lists judges."""
    case = shard.watch.case[0]
    kind = int(case.kind)
    for place in range(tables.listening_bounds[kind], tables.listening_bounds[kind + 1]):
        slot = int(tables.listening[place])
        rule = tables.rules[slot]
        if rule.mode == _OFF or (rule.judges >> kind) & 1 == 0:
            continue
        if rule.check == _LISTED and (case.judging >> slot) & 1 and is_active(rule, slot, shard.watch, t):
            case.allowed |= _HEEDED
        fired = fires(rule, slot, shard, row, customer, event, tables, t)
        if fired:
            case.fired |= 1 << slot
            tallies.rules[day_number, slot, _C_FIRED] += 1
        if fired or (case.looking >> slot) & 1:
            tallies.rules[day_number, slot, _C_JUDGED] += 1


@kernel
def is_active(rule, slot, watch, t):
    return rule.mode == _ACTIVE and watch.warm_ms[slot] <= t


@kernel
def answering(watch, rules, silenced, t):
    """Slot of the rule that answers: the strongest active one that fires, of equals the lowest slot; NONE."""
    case, best, strongest = watch.case[0], NONE, _ALLOW
    allowed = case.allowed & _LET_THROUGH or case.allowed & (_ON_LIST | _HEEDED) == _ON_LIST | _HEEDED
    for slot in range(len(rules)):
        rule = rules[slot]
        if ((case.fired & ~silenced) >> slot) & 1 == 0 or not is_active(rule, slot, watch, t):
            continue
        if rule.verdict > strongest and (not allowed or rule.check == _LISTED):
            best, strongest = slot, int(rule.verdict)
    return best


@kernel
def block_lists(rules):
    """Mask of the rules that go by a block list."""
    found = 0
    for slot in range(len(rules)):
        if rules[slot].check == _LISTED:
            found |= 1 << slot
    return found


@kernel
def decide_case(watch, row, rules, t):
    """The verdict. A pass silences its rule once; those of the Ledger's rules that will judge go there."""
    case = watch.case[0]
    case.exempt = case.passes & case.judging if goes_on(int(case.kind)) else 0
    silenced = int(case.exempt)
    slot = answering(watch, rules, silenced, t)
    while slot != NONE and (case.passes >> slot) & 1:
        silenced |= 1 << slot
        slot = answering(watch, rules, silenced, t)
    use_up(watch, row, silenced)
    if case.allowed & _LET_THROUGH and goes_on(int(case.kind)):
        case.exempt |= case.judging & ~block_lists(rules)
    case.rule = slot
    case.verdict = rules[slot].verdict if slot != NONE else _ALLOW


@routine
def judge(shard, row, customer, event, tables, tallies, day_number, t):
    """Count the case at hand, then judge it; its answer, or DONE if it may be done (or the Ledger decides)."""
    watch = shard.watch
    case, kind = watch.case[0], int(watch.case[0].kind)
    count_case(watch, row, customer, event, tables, tables.days[day_number], t)
    if (JUDGED_MASK >> kind) & 1 == 0:
        return _DONE
    look_up(case, int(event.customer), tables.listed, t)
    if is_let_through(tables.policy[0], int(event.customer)):
        case.allowed |= _LET_THROUGH
    fire(shard, row, customer, event, tables, tallies, day_number, t)
    decide_case(watch, row, tables.rules, t)
    if case.rule != NONE:
        tallies.rules[day_number, case.rule, _C_ANSWERED] += 1
    if kind == _CLAIM or case.verdict not in (_DENY, _CHALLENGE):
        return _DONE
    return _DENIED if case.verdict == _DENY else _CHALLENGED


# --- what the Ledger is told ------------------------------------------------------------------------------------------
@kernel
def trace_request(request, case, origin):
    request.event_kind = case.kind
    request.device_id, request.ip, request.card = origin.device_id, origin.ip, origin.card
    request.address, request.code = origin.address, origin.code
    request.inviter, request.group = origin.inviter, origin.group


@kernel
def observable(counted, rules):
    """Without the rules that count what is granted: this is not."""
    for slot in range(len(rules)):
        if rules[slot].granted:
            counted &= ~(1 << slot)
    return counted


@kernel
def tell(shard, row, event, waiting, tables, t):
    """The claim or transfer that the case became (a request since `waiting`) carries what fraud rules say. What else
    the Ledger counts goes there as an observation."""
    watch, outbox = shard.watch, shard.outbox
    case = watch.case[0]
    if goes_on(int(case.kind)) and outbox.waiting[0] > waiting:
        request = outbox.requests[waiting]
        request.verdict, request.rule, request.fired = case.verdict, case.rule, case.fired
        request.counted, request.judging, request.exempt = case.counted, case.judging, case.exempt
        if case.counted | case.judging:
            trace_request(request, case, watch.origin[0])
        return
    counted = observable(int(case.counted), tables.rules)
    if counted != 0:
        request = new_request(outbox, shard.wallets, row, int(event.customer), t, _OBSERVED)
        request.counted, request.sequence = counted, event.sequence
        request.other, request.campaign = case.other, case.campaign
        trace_request(request, case, watch.origin[0])
