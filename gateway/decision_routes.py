"""Routes that decide: something a customer does, and what comes of it."""

from gateway.bodies import Checkout, Claim, Decide, Decision, Granted, Quote
from gateway.desk import UnknownCustomerError
from gateway.dispatcher import FullError
from gateway.keys import Role
from gateway.patience import SlowError
from gateway.route import Answer, Asked, Route, Services

DECIDES = frozenset({Role.CLIENT, Role.OPERATOR})
ASKS_A_SHARD = (FullError, SlowError)
RAISES = (UnknownCustomerError, *ASKS_A_SHARD)

# As under scenarios/library/policies/coupon_shop.yaml, of a customer c-1 who is known.
EVENTS = {
    "a page is seen": {"customer": "c-1", "event": "page_view", "page": "home", "page_view": 1},
    "a message was clicked on": {"customer": "c-1", "event": "click", "campaign": "offer_of_the_week", "exposure": 0},
    "a payment": {"customer": "c-1", "event": "payment", "amount": "20.00"},
}
CLAIMS = {
    "a coupon": {"customer": "c-1", "coupon": "everyday_10"},
    "another one": {"customer": "c-1", "coupon": "free_shipping"},
}
CART = {"customer": "c-1", "lines": [{"unit_price": "60.00", "quantity": 2}], "shipping": "8.00"}
CARTS = {
    "what it costs": CART,
    "an order, which holds the coupons": CART | {"order": 1},
    "another order": CART | {"order": 2},
}


def tells_why(asked: Asked) -> bool:
    return asked.role is not Role.CLIENT


async def decide(services: Services, asked: Asked) -> Answer:
    return Answer(200, await services.desk.decide(asked.body, tells_why(asked)))


async def claim(services: Services, asked: Asked) -> Answer:
    return Answer(200, await services.desk.claim(asked.body, asked.request, tells_why(asked)))


async def checkout(services: Services, asked: Asked) -> Answer:
    return Answer(200, await services.desk.checkout(asked.body, asked.request, tells_why(asked)))


DECISION_ROUTES = [
    Route(
        "POST", "/v1/decide", "Something a customer does; the answer is the message to show, if any.",
        decide, DECIDES, Decide, {200: Decision}, raises=RAISES, examples=EVENTS,
    ),
    Route(
        "POST", "/v1/claim", "A customer wants a coupon.", claim, DECIDES, Claim, {200: Granted}, heeds_ids=True,
        raises=RAISES, examples=CLAIMS,
    ),
    Route(
        "POST", "/v1/checkout", "What a cart costs with the best legal coupons; with `order` they are held.",
        checkout, DECIDES, Checkout, {200: Quote}, heeds_ids=True, raises=RAISES, examples=CARTS,
    ),
]  # fmt: skip
