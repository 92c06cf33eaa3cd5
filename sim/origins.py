"""Origins: from which device, address and card an honest customer's events come, and who else has the same ones.

Who belongs together is a function of the customer's number: a customer's kind and group are drawn from it, so that no
shard needs to know another's customers. Groups of a kind have Poisson sizes around the mean that is stated.
"""

import math

from engine.compiled import kernel
from engine.days import day_index
from engine.fraud_records import Agent
from engine.records import HOUR_MS, NEVER_MS, NONE, EventKind
from sim.model import Span
from sim.origin_model import Account
from sim.pages import view_key
from sim.population import category, friend_of
from sim.streams import Draw, uniforms

_BELONGS, _COMES, _TRIP = int(Draw.BELONGS), int(Draw.COMES_FROM), int(Draw.TRIP)
_STUMBLES, _DECLINED, _PAYS_WITH = int(Draw.LOG_IN_FAILS), int(Draw.DECLINED), int(Draw.PAYS_WITH)
_FAMILY, _DORMITORY = int(Account.FAMILY), int(Account.DORMITORY)
_OFFICE, _FLYER = int(Account.OFFICE), int(Account.FLYER)
_ALONE, _BARGAIN = int(Account.ALONE), int(Account.BARGAIN)
_LAUNCH = int(Span.LAUNCH)
_APP, _BROWSER = int(Agent.APP), int(Agent.BROWSER)
_REGISTER, _PAYMENT, _ORDER = int(EventKind.REGISTER), int(EventKind.PAYMENT), int(EventKind.ORDER)
_PAYMENT_DECLINED, _REDEEM = int(EventKind.PAYMENT_DECLINED), int(EventKind.REDEEM)

TRACED = (
    EventKind.LOGIN, EventKind.LOGIN_FAILED, EventKind.REGISTER, EventKind.CLAIM, EventKind.ORDER, EventKind.PAYMENT,
    EventKind.PAYMENT_DECLINED, EventKind.REDEEM, EventKind.TRANSFER, EventKind.CANCEL, EventKind.REFUND,
)  # fmt: skip
_TRACED_MASK = sum(1 << kind for kind in TRACED)

# Numbers of things. A customer's own come in fours; shared ones lie above all customers' own, by kind and group.
OWN = 4
SHARED, SHARED_KIND = 1 << 40, 1 << 32
# The map of IPv4: each block has room for what is numbered in it.
HOMES = 64 << 24  # by customer
GROUP_HOMES, GROUP_ROOM = 128 << 24, 1 << 26  # by kind and group
HOTELS, HOTELS_A_CITY = 96 << 24, 512
CARRIERS = (100 << 24) + (64 << 16)  # the addresses that carriers share out (RFC 6598)

TRAVEL_LEAST_MS = 6 * HOUR_MS  # from one city to another, door to door
WORK_FROM_MS, WORK_UNTIL_MS, SATURDAY = 9 * HOUR_MS, 18 * HOUR_MS, 6
TRIES_MOST = 8  # failures in a row


@kernel
def is_traced(crowd):
    """Whether this population says where its customers come from."""
    return len(crowd.traces) > 0


@kernel
def trace_of(crowd, customer):
    return crowd.traces[customer - crowd.first[0]]


@kernel
def hunts(crowd, customer):
    """Whether a customer takes whatever coupon there is."""
    return is_traced(crowd) and trace_of(crowd, customer).kind == _BARGAIN


# --- who belongs to whom ----------------------------------------------------------------------------------------------
@kernel
def group_of(model, customer):
    """(Account, number of the group among those of its kind or NONE) of a customer."""
    o = model.origins[0]
    u, v, _, _ = uniforms(model.stream, customer, _BELONGS, 0)
    kind = category(o.kinds, u)
    if o.people[kind] <= 0.0:
        return kind, NONE
    share = o.kinds[kind] - (o.kinds[kind - 1] if kind > 0 else 0.0)
    groups = max(1, int(model.customers[0] * share / o.people[kind]))
    return kind, int(v * groups)


@kernel
def shared(kind, group):
    """The number of what a group shares."""
    return SHARED + kind * SHARED_KIND + group


@kernel
def create_trace(model, crowd, visitor, profile, customer):
    """A customer of whom no fraud rule has said anything. It takes a while to become a bargain hunter."""
    o, trace = model.origins[0], trace_of(crowd, customer)
    kind, _ = group_of(model, customer)
    if kind == _BARGAIN:
        if profile.joined_ms > crowd.span[_LAUNCH] - o.bargain_since_ms:
            kind = _ALONE
        else:
            visitor.visit_rate *= o.bargain_visits
    trace.kind = kind
    trace.challenge_ms, trace.challenge_rule, trace.appeal_rule = NEVER_MS, NONE, NONE
    trace.place = visitor.home_city


# --- where ------------------------------------------------------------------------------------------------------------
@kernel
def trip_city(model, visitor, trace, customer, t):
    """The city a customer is in or on the way to: away in some periods of a trip's length, each with its own draw."""
    o = model.origins[0]
    home, cities = int(visitor.home_city), len(model.cities)
    away = o.away if trace.kind == _FLYER else model.numbers[0].travel
    if away <= 0.0 or cities < 2:
        return home
    length = int(o.trip_ms)
    u, v, _, _ = uniforms(model.stream, customer, _TRIP, (t + customer % 97 * (length // 97)) // length)
    return (home + 1 + int(v * (cities - 1))) % cities if u < away else home


@kernel
def settle_whereabouts(model, crowd, visitor, customer, t):
    """Where a customer is now. Nobody is in two cities within the time that it takes to go from one to the other."""
    trace = trace_of(crowd, customer)
    city = trip_city(model, visitor, trace, customer, t)
    if city == trace.place or t - trace.place_ms >= TRAVEL_LEAST_MS:
        trace.place = city
    trace.place_ms = t
    visitor.city = trace.place


@kernel
def is_working_time(model, t):
    day = model.days[day_index(model.days, t)]
    since = t - int(day.start_ms)
    return day.weekday < SATURDAY and WORK_FROM_MS <= since < WORK_UNTIL_MS


@kernel
def place_ip(model, visitor, customer, u_network, u_pool, t):
    """IPv4 as a number: a carrier's shared address, a hotel's, the office's, the dormitory's or that of the home."""
    o = model.origins[0]
    kind, group = group_of(model, customer)
    if u_network < o.mobile:
        return CARRIERS + int(u_pool * max(1.0, model.customers[0] / o.behind))
    if visitor.city != visitor.home_city:
        return HOTELS + int(visitor.city) * HOTELS_A_CITY + int(u_pool * HOTELS_A_CITY)
    if kind == _OFFICE and is_working_time(model, t):
        return GROUP_HOMES + kind * GROUP_ROOM + group
    if kind in (_FAMILY, _DORMITORY):
        return GROUP_HOMES + kind * GROUP_ROOM + group
    return HOMES + customer


@kernel
def device(model, customer, u_device):
    """A customer's phone, their second device, or the one that their group shares."""
    o = model.origins[0]
    kind, group = group_of(model, customer)
    _, _, u_second, _ = uniforms(model.stream, customer, _BELONGS, 0)
    if u_device < o.shared_device[kind]:
        return shared(kind, group)
    if u_second < o.second_device and u_device > 1.0 - o.second_used:
        return customer * OWN + 1
    return customer * OWN


@kernel
def address(model, customer, number):
    """Where an order goes: somewhere else, to the address that a group shares (the family's home, the parcel station),
    or home."""
    o = model.origins[0]
    kind, group = group_of(model, customer)
    u, _, v, _ = uniforms(model.stream, customer, _PAYS_WITH, number)
    if u < o.other_address:
        return customer * OWN + 1
    return shared(kind, group) if v < o.shared_address[kind] else customer * OWN


@kernel
def card(model, customer, number):
    """What a payment is made with: the group's card, the first card, or the second of those who have two."""
    kind, group = group_of(model, customer)
    _, _, _, u_second = uniforms(model.stream, customer, _BELONGS, 0)
    _, u, _, v = uniforms(model.stream, customer, _PAYS_WITH, number)
    if v < model.origins[0].shared_card[kind]:
        return shared(kind, group)
    return customer * OWN + (1 if u_second < model.origins[0].second_card and u < 0.5 else 0)


# --- the row ----------------------------------------------------------------------------------------------------------
@kernel
def write_origin(model, crowd, visitor, customer, event, inbox):
    """Write where an event comes from, if its kind carries that. All of one visit comes from one place."""
    kind = int(event.kind)
    if (_TRACED_MASK >> kind) & 1 == 0:
        return
    row = int(inbox.used[2])
    inbox.used[2] = row + 1
    event.origin = row
    origin = inbox.origins[row]
    u_device, u_network, u_pool, u_agent = uniforms(model.stream, customer, _COMES, int(visitor.visit))
    origin.device_id = device(model, customer, u_device)
    origin.ip = place_ip(model, visitor, customer, u_network, u_pool, int(event.time_ms))
    origin.agent = _BROWSER if u_agent < model.origins[0].browser else _APP
    origin.card, origin.address, origin.code, origin.inviter, origin.group = NONE, NONE, NONE, NONE, NONE
    order = int(crowd.shoppers[customer - crowd.first[0]].order) if len(crowd.shoppers) > 0 else int(visitor.gaps)
    if kind in (_PAYMENT, _PAYMENT_DECLINED):
        origin.card = card(model, customer, order)
    if kind in (_ORDER, _PAYMENT, _REDEEM):
        origin.address = address(model, customer, order)
    if kind == _REGISTER:
        u, _, _, _ = uniforms(model.stream, customer, _BELONGS, 1)
        if u < model.origins[0].invited:
            origin.inviter = friend_of(model, customer)
            origin.code = origin.inviter


# --- what goes wrong by itself ----------------------------------------------------------------------------------------
@kernel
def failures(u, v, share, again):
    """How often in a row something fails."""
    if u >= share:
        return 0
    more = int(math.log(v) / math.log(again)) if 0.0 < again < 1.0 else 0
    return min(1 + more, TRIES_MOST)


@kernel
def log_in_fails(model, trace, customer, visit):
    """Whether the log-in that opens a visit fails, and is tried again."""
    o = model.origins[0]
    if trace.log_in_tries == 0:
        u, v, _, _ = uniforms(model.stream, customer, _STUMBLES, visit)
        trace.log_in_tries = 1 + failures(u, v, o.log_in_fails, o.log_in_fails_again)
    trace.log_in_tries -= 1
    return trace.log_in_tries > 0


@kernel
def is_declined(model, trace, visitor, customer):
    """Whether the payment on the page at hand is declined, and is tried again."""
    o = model.origins[0]
    if trace.payment_tries == 0:
        u, v, _, _ = uniforms(model.stream, customer, _DECLINED, view_key(visitor))
        trace.payment_tries = 1 + failures(u, v, o.declined, o.declined_again)
    if trace.payment_tries == 1:
        return False
    trace.payment_tries -= 1
    return True
