"""Routes about the life of an order and of a coupon after it was claimed."""

from gateway.bodies import Cancel, Challenge, Passed, Pay, Quote, Redeem, Redeemed, Refund, Returned, Transfer
from gateway.decision_routes import DECIDES, RAISES, tells_why
from gateway.route import Answer, Asked, Route, Services

PAYMENTS = {"what was ordered": {"customer": "c-1", "order": 1, "amount": "128.00"}}
CANCELS = {"an order that is not paid": {"customer": "c-1", "order": 2}}
REFUNDS = {
    "a piece": {"customer": "c-1", "order": 1, "line": 0, "pieces": 1},
    "the rest": {"customer": "c-1", "order": 1},
}
USES = {"at the desk": {"customer": "c-1", "number": 1, "amount": "10.00"}}
GIFTS = {"to somebody else": {"customer": "c-1", "number": 1, "to": "c-2"}}


async def pay(services: Services, asked: Asked) -> Answer:
    return Answer(200, await services.desk.pay(asked.body, asked.request, tells_why(asked)))


async def cancel(services: Services, asked: Asked) -> Answer:
    return Answer(200, await services.desk.cancel(asked.body, asked.request))


async def refund(services: Services, asked: Asked) -> Answer:
    return Answer(200, await services.desk.refund(asked.body, asked.request))


async def redeem(services: Services, asked: Asked) -> Answer:
    return Answer(200, await services.desk.redeem(asked.body, asked.request, tells_why(asked)))


async def transfer(services: Services, asked: Asked) -> Answer:
    return Answer(200, await services.desk.transfer(asked.body, asked.request, tells_why(asked)))


async def challenge(services: Services, asked: Asked) -> Answer:
    return Answer(200, await services.desk.challenge(asked.body))


ORDER_ROUTES = [
    Route(
        "POST", "/v1/pay", "An order was paid: its coupons are used up.", pay, DECIDES, Pay, {200: Quote},
        heeds_ids=True, raises=RAISES, examples=PAYMENTS,
    ),
    Route(
        "POST", "/v1/cancel", "An order that is not paid is given up: its coupons are free again.",
        cancel, DECIDES, Cancel, {200: Returned}, heeds_ids=True, raises=RAISES, examples=CANCELS,
    ),
    Route(
        "POST", "/v1/refund", "Pieces of a paid order come back; the answer says what is paid back.",
        refund, DECIDES, Refund, {200: Returned}, heeds_ids=True, raises=RAISES, examples=REFUNDS,
    ),
    Route(
        "POST", "/v1/redeem", "A coupon is used without a cart: a right, or a code at the desk.",
        redeem, DECIDES, Redeem, {200: Redeemed}, heeds_ids=True, raises=RAISES, examples=USES,
    ),
    Route(
        "POST", "/v1/transfer", "A coupon goes to another customer who is known. `pending`: it is on its way.",
        transfer, DECIDES, Transfer, {200: Redeemed}, heeds_ids=True, raises=RAISES, examples=GIFTS,
    ),
    Route(
        "POST", "/v1/challenge", "A customer passed the challenge that a refusal named; holds for ten minutes.",
        challenge, DECIDES, Challenge, {200: Passed}, raises=RAISES,
    ),
]  # fmt: skip
