"""Circuit breakers: rates over a window, judged at every minute of event time; a trip pauses campaigns."""

from engine.breaker_records import BREAKERS_MAX, EVERYTHING, BreakerState, Pulse
from engine.compiled import kernel, routine
from engine.coupon_records import Answer, RequestKind
from engine.records import MINUTE_MS, NEVER_MS, NONE, SHARE_ONE
from engine.rules.digest import add
from engine.rules.experiments import mix64
from engine.rules.sums import add_word

_OPEN, _TRIPPED, _TRIAL = int(BreakerState.OPEN), int(BreakerState.TRIPPED), int(BreakerState.TRIAL)
_CLAIMS, _REFUSED, _SPENT = int(Pulse.CLAIMS), int(Pulse.REFUSED), int(Pulse.SPENT)
_CLAIM, _RESERVE = int(RequestKind.CLAIM), int(RequestKind.RESERVE)
_DONE, _FALLBACK, _IN_REVIEW = int(Answer.DONE), int(Answer.FALLBACK), int(Answer.IN_REVIEW)


# --- counts -----------------------------------------------------------------------------------------------------------
@kernel
def counts_of(breakers, minute):
    """Row of a minute's counts, emptied if it was another's."""
    row = minute % len(breakers.minutes)
    if breakers.minutes[row] != minute:
        breakers.minutes[row] = minute
        for column in range(breakers.counts.shape[1]):
            for what in range(breakers.counts.shape[2]):
                breakers.counts[row, column, what] = 0
    return row


@kernel
def count_at_ledger(breakers, slot, what, amount, t):
    row = counts_of(breakers, t // MINUTE_MS)
    breakers.counts[row, EVERYTHING, what] += amount
    if 0 <= slot < breakers.counts.shape[1] - 1:
        breakers.counts[row, slot + 1, what] += amount


@kernel
def count_claim(breakers, terms, request, reply, t):
    """A claim, or a prize to be reserved, that the Ledger has answered; what it granted is spent as if it cost most."""
    if len(breakers.minutes) == 0 or request.kind not in (_CLAIM, _RESERVE):
        return
    slot = int(request.campaign)
    count_at_ledger(breakers, slot, _CLAIMS, 1, t)
    if reply.answer in (_DONE, _FALLBACK, _IN_REVIEW):
        cost = int(terms[reply.terms].cost_most)
        if cost < NEVER_MS:
            count_at_ledger(breakers, slot, _SPENT, cost, t)
    else:
        count_at_ledger(breakers, slot, _REFUSED, 1, t)


@kernel
def counted(breakers, column, what, since, until):
    """Sum over the whole minutes in [since, until)."""
    total = 0
    for minute in range(since // MINUTE_MS, until // MINUTE_MS):
        row = minute % len(breakers.minutes)
        if breakers.minutes[row] == minute:
            total += int(breakers.counts[row, column, what])
    return total


# --- judging ----------------------------------------------------------------------------------------------------------
@kernel
def measure(breakers, breaker, fuse, column, t):
    """(rate in millionths or amount in fen, of how many, whether that is above the limit) over the window before t. A
    trial is judged by what has happened since it began."""
    since = max(t - int(breaker.window_ms), int(fuse.since_ms))
    part = counted(breakers, column, int(breaker.part), since, t)
    if breaker.whole == NONE:
        return part, 0, part > breaker.limit
    whole = counted(breakers, column, int(breaker.whole), since, t)
    if whole == 0:
        return 0, 0, False
    return part * SHARE_ONE // whole, whole, whole >= breaker.least and part * SHARE_ONE > breaker.limit * whole


@kernel
def page(breakers, number, column, fuse, measured, of, t):
    """Write down what a breaker did."""
    at = int(breakers.calls[0])
    breakers.calls[0] += 1
    if at >= len(breakers.paged):
        return
    row = breakers.paged[at]
    row.time_ms, row.measured, row.count = t, measured, of
    row.breaker, row.campaign, row.state = number, column - 1, fuse.state


@kernel
def judge_fuse(breakers, breaker, number, column, t):
    """Trip what is above its limit; begin a trial after the rest, and end it after a window without a trip."""
    fuse = breakers.fuses[number, column]
    if fuse.state == _TRIPPED:
        if breaker.by_trial and t >= fuse.since_ms + breaker.rest_ms:
            fuse.state, fuse.since_ms = _TRIAL, t
            page(breakers, number, column, fuse, 0, 0, t)
        return
    measured, of, above = measure(breakers, breaker, fuse, column, t)
    if above:
        fuse.state, fuse.since_ms = _TRIPPED, t
        page(breakers, number, column, fuse, measured, of, t)
    elif fuse.state == _TRIAL and t >= fuse.since_ms + breaker.window_ms:
        fuse.state = _OPEN
        page(breakers, number, column, fuse, measured, of, t)


@routine
def judge_breakers(breakers, rules, t):
    """The tick of minute t: rules: BREAKER[n]."""
    breakers.judged[0] = t
    for number in range(len(rules)):
        breaker = rules[number]
        if breaker.by_campaign == 0:
            judge_fuse(breakers, breaker, number, EVERYTHING, t)
            continue
        for slot in range(len(breaker.watched)):
            if breaker.watched[slot]:
                judge_fuse(breakers, breaker, number, slot + 1, t)


@kernel
def next_judged(breakers):
    return int(breakers.judged[0]) + MINUTE_MS


@kernel
def is_paused(breakers, rules, slot):
    """Whether a breaker holds a campaign."""
    for number in range(len(rules)):
        breaker, fuses = rules[number], breakers.fuses[number]
        if breaker.watched[slot] and (fuses[EVERYTHING].state == _TRIPPED or fuses[slot + 1].state == _TRIPPED):
            return True
    return False


# --- the digest -------------------------------------------------------------------------------------------------------
@kernel
def sum_breakers(breakers, seed, total):
    """Add the breakers to a lane of the Ledger's digest: fuses and counts by the names they are of."""
    if len(breakers.minutes) == 0:
        return
    add_word(total, add(add(seed, 11), int(breakers.judged[0])))
    for number in range(BREAKERS_MAX):
        for column in range(len(breakers.names)):
            fuse = breakers.fuses[number, column]
            if fuse.state or fuse.since_ms:
                h = mix64(add(seed, 12) ^ breakers.breaker_names[number]) ^ breakers.names[column]
                add_word(total, add(add(mix64(h), int(fuse.state)), int(fuse.since_ms)))
    for row in range(len(breakers.minutes)):
        for column in range(len(breakers.names)):
            for what in range(breakers.counts.shape[2]):
                if breakers.counts[row, column, what]:
                    h = mix64(add(seed, 13) ^ breakers.names[column])
                    h = add(add(h, int(breakers.minutes[row])), what)
                    add_word(total, add(h, int(breakers.counts[row, column, what])))
