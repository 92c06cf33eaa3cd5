"""The case at hand: what fraud rules look at of one event, or of the claim that its exposure makes."""

from engine.compiled import kernel
from engine.fraud_records import Field
from engine.records import NONE, EventKind

_CUSTOMER, _CAMPAIGN, _DEVICE = int(Field.CUSTOMER), int(Field.CAMPAIGN), int(Field.DEVICE)
_IP, _CARD, _ADDRESS, _CODE = int(Field.IP), int(Field.CARD), int(Field.ADDRESS), int(Field.CODE)
_GROUP, _RECEIVER = int(Field.GROUP), int(Field.RECEIVER)
_CLAIM, _TRANSFER, _REDEEM = int(EventKind.CLAIM), int(EventKind.TRANSFER), int(EventKind.REDEEM)
_ORDER, _PAYMENT = int(EventKind.ORDER), int(EventKind.PAYMENT)
_CANCEL, _REFUND = int(EventKind.CANCEL), int(EventKind.REFUND)


@kernel
def trace(watch, event, origins):
    """Where the event at hand came from."""
    if 0 <= event.origin < len(origins):
        watch.origin[0] = origins[event.origin]
        return
    origin = watch.origin[0]
    origin.device_id, origin.ip, origin.card, origin.address = NONE, NONE, NONE, NONE
    origin.code, origin.inviter, origin.group, origin.agent = NONE, NONE, NONE, NONE


@kernel
def open_case(watch, kind, campaign):
    """A new case, of which nothing is known yet."""
    case = watch.case[0]
    case.kind, case.campaign = kind, campaign
    case.seen, case.looking, case.counted, case.judging, case.marks, case.passes = 0, 0, 0, 0, 0, 0
    case.exempt, case.fired, case.rule, case.verdict = 0, 0, NONE, 0
    case.other, case.order, case.claim, case.coupon = NONE, NONE, NONE, NONE
    case.allowed, case.blocked = 0, 0
    return case


@kernel
def open_case_of_ask(watch, event, ask):
    case = open_case(watch, int(event.kind), int(event.campaign))
    if event.kind == _CLAIM:
        case.coupon, case.campaign = ask.coupon, ask.campaign
    elif event.kind == _REDEEM:
        case.claim = ask.claim
    elif event.kind == _TRANSFER:
        case.other = ask.other
    elif event.kind in (_ORDER, _PAYMENT, _CANCEL, _REFUND):
        case.order = ask.order


@kernel
def value_of(field, customer, origin, case):
    """What the case carries in a Field; NONE: it is not known."""
    if field == _CUSTOMER:
        return customer
    if field == _CAMPAIGN:
        return int(case.campaign)
    if field == _DEVICE:
        return int(origin.device_id)
    if field == _IP:
        return int(origin.ip)
    if field == _CARD:
        return int(origin.card)
    if field == _ADDRESS:
        return int(origin.address)
    if field == _CODE:
        return int(origin.code)
    if field == _GROUP:
        return int(origin.group)
    return int(case.other) if field == _RECEIVER else int(case.order)
