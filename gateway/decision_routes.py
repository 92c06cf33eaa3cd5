"""Routes that decide: something a customer does, and what comes of it."""

from gateway.bodies import Checkout, Claim, Decide, Decision, Granted, Quote
from gateway.keys import Role
from gateway.route import Answer, Asked, Route, Services

DECIDES = frozenset({Role.CLIENT, Role.OPERATOR})


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
        decide, DECIDES, Decide, {200: Decision},
    ),
    Route(
        "POST", "/v1/claim", "A customer wants a coupon.", claim, DECIDES, Claim, {200: Granted}, heeds_ids=True,
    ),
    Route(
        "POST", "/v1/checkout", "What a cart costs with the best legal coupons; with `order` they are held.",
        checkout, DECIDES, Checkout, {200: Quote}, heeds_ids=True,
    ),
]  # fmt: skip
