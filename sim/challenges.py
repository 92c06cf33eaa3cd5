"""How honest customers take what fraud rules say: pass a challenge and ask again, give up, appeal, wait, take less."""

from engine.compiled import kernel, routine
from engine.coupon_records import Answer, RequestKind
from engine.records import HOUR_MS, NEVER_MS, NONE, SECOND_MS, EventKind
from sim.contacts import Cause, meet_trouble
from sim.model import Mark
from sim.origin_model import Harm
from sim.origins import trace_of
from sim.pages import RETURN_EPOCH_MS
from sim.payments import lose_organic
from sim.shopping import ask_again, new_ask, plan_claim, shopper_of
from sim.streams import Draw, exponential, uniforms

_CHALLENGE, _APPEAL = int(Draw.CHALLENGE), int(Draw.APPEAL)
_DONE, _FALLBACK, _IN_REVIEW = int(Answer.DONE), int(Answer.FALLBACK), int(Answer.IN_REVIEW)
_DENIED, _CHALLENGED = int(Answer.DENIED), int(Answer.CHALLENGED)
_CLAIM, _ORDER, _PAYMENT = int(EventKind.CLAIM), int(EventKind.ORDER), int(EventKind.PAYMENT)
_REDEEM, _TRANSFER = int(EventKind.REDEEM), int(EventKind.TRANSFER)
_R_CLAIM, _R_RESERVE, _R_TRANSFER = int(RequestKind.CLAIM), int(RequestKind.RESERVE), int(RequestKind.TRANSFER)
_H_DENIED, _H_HELD, _H_FAILED = int(Harm.DENIED), int(Harm.HELD), int(Harm.FAILED)
_H_WEAKER, _H_CHALLENGED, _H_PASSED = int(Harm.WEAKER), int(Harm.CHALLENGED), int(Harm.PASSED)

_ORGANIC_DUE = int(Mark.ORGANIC_DUE)
_CAUSE_DENIED = int(Cause.DENIED)

HELD_MS = HOUR_MS  # a review that takes longer is a harm
CHALLENGES_MOST = 3  # in a row; then the customer gives up
ASKS_AGAIN_AFTER_MS = 1_000


@kernel
def verdict_key(t, coupon, kind):
    """Opportunity of an answer: its second, the coupon it is about and the event's kind."""
    return ((t - RETURN_EPOCH_MS) // SECOND_MS << 12) + (coupon + 1) * 64 + kind


@kernel
def meet_challenge(model, trace, customer, coupon, kind, rule, t):
    """When the challenge will have been passed; NEVER_MS where the customer gives up."""
    o = model.origins[0]
    trace.harms |= _H_CHALLENGED
    u, v, _, _ = uniforms(model.stream, customer, _CHALLENGE, verdict_key(t, coupon, kind))
    if trace.challenge_ms != NEVER_MS or trace.tries >= CHALLENGES_MOST or u >= o.passes:
        trace.harms |= _H_FAILED
        trace.tries = 0
        return NEVER_MS
    trace.tries += 1
    trace.challenge_ms = t + 1 + int(exponential(v) * o.pass_after_ms)
    trace.challenge_rule = rule
    return int(trace.challenge_ms)


@kernel
def pass_challenge(trace, event, inbox):
    """The challenge at hand is passed: the app says so for the rule that asked for it."""
    new_ask(inbox, event).rule = trace.challenge_rule
    trace.challenge_ms = NEVER_MS
    trace.harms |= _H_PASSED


@kernel
def take_denial(model, crowd, trace, customer, coupon, kind, rule, t):
    """Some who are denied appeal, at the support desk where there is one."""
    trace.harms |= _H_DENIED
    trace.tries = 0
    u, _, _, _ = uniforms(model.stream, customer, _APPEAL, verdict_key(t, coupon, kind))
    if u < model.origins[0].appeals:
        trace.appeal_ms, trace.appeal_rule, trace.appeal_kind = t, rule, kind
        meet_trouble(model, crowd, customer, _CAUSE_DENIED, t)


@kernel
def give_up(model, crowd, visitor, customer, kind, t):
    """The purchase at hand comes to nothing."""
    if kind in (_ORDER, _PAYMENT) and visitor.marks & _ORGANIC_DUE:
        lose_organic(model, crowd, visitor, customer, t)


@routine
def take_refusal(model, crowd, visitor, customer, event, receipt, t, after_ms):
    """An ask other than a claim was denied or challenged at once; returns whether it will be asked again."""
    kind, answer = int(event.kind), int(receipt.answer)
    if kind not in (_ORDER, _PAYMENT, _REDEEM, _TRANSFER):
        return False
    trace, shopper = trace_of(crowd, customer), shopper_of(crowd, customer)
    if answer == _DONE:
        trace.tries = 0
    elif answer == _DENIED:
        take_denial(model, crowd, trace, customer, NONE, kind, int(receipt.rule), t)
        give_up(model, crowd, visitor, customer, kind, t)
    elif answer == _CHALLENGED:
        passed_ms = meet_challenge(model, trace, customer, NONE, kind, int(receipt.rule), t)
        if passed_ms == NEVER_MS:
            give_up(model, crowd, visitor, customer, kind, t)
            return False
        again_ms = passed_ms + ASKS_AGAIN_AFTER_MS
        if kind == _TRANSFER:
            shopper.give_ms = again_ms
        elif kind == _REDEEM:
            shopper.collect_ms = again_ms
        else:
            shopper.order -= 1 if kind == _ORDER else 0
            ask_again(visitor, t, again_ms - t, after_ms)
        return True
    return False


@kernel
def end_review(trace, reply, t):
    """Note whether the claim that was in review took long."""
    if trace.review_ms > 0 and trace.review_claim == reply.claim:
        if t - trace.review_ms > HELD_MS:
            trace.harms |= _H_HELD
        trace.review_ms = 0


@routine
def take_verdict(model, crowd, customer, reply, t):
    """What the Ledger's verdict on a claim or transfer does to its customer; the coupon itself is `take_reply`'s."""
    kind, answer, coupon = int(reply.kind), int(reply.answer), int(reply.coupon)
    if reply.number == NONE or kind not in (_R_CLAIM, _R_RESERVE, _R_TRANSFER):
        return
    trace, shopper = trace_of(crowd, customer), shopper_of(crowd, customer)
    asked = _TRANSFER if kind == _R_TRANSFER else _CLAIM
    if answer == _IN_REVIEW:
        if trace.review_ms == 0:
            trace.review_ms, trace.review_claim = t, reply.claim
        return
    end_review(trace, reply, t)
    if answer == _DONE:
        trace.tries = 0
    elif answer == _FALLBACK:
        trace.harms |= _H_WEAKER
    elif answer == _DENIED:
        take_denial(model, crowd, trace, customer, coupon, asked, int(reply.rule), t)
    elif answer == _CHALLENGED:
        passed_ms = meet_challenge(model, trace, customer, coupon, asked, int(reply.rule), t)
        if passed_ms == NEVER_MS:
            return
        if asked == _CLAIM:
            campaign = int(shopper.claim_campaign) if shopper.claim_coupon == coupon else NONE
            plan_claim(shopper, coupon, campaign, passed_ms + ASKS_AGAIN_AFTER_MS)
        elif shopper.give_ms == NEVER_MS:
            shopper.give_ms, shopper.give_claim = passed_ms + ASKS_AGAIN_AFTER_MS, reply.claim
