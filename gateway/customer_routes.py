"""Routes about customers: what is known of one."""

import msgspec

from gateway.bodies import CustomerId, Known, Profile
from gateway.decision_routes import ASKS_A_SHARD, DECIDES
from gateway.register import RoomError
from gateway.route import Answer, Asked, Route, Services

PROFILES = {
    "may be pushed to": {"consent": ["push"]},
    "more of it": {"birth_date": "1990-05-17", "balance": "1250.00", "consent": ["push", "email"], "card_active": True},
}


async def put(services: Services, asked: Asked) -> Answer:
    customer = msgspec.convert(asked.named["customer"], CustomerId)
    is_new = await services.desk.put(customer, asked.body)
    return Answer(201 if is_new else 200, Known(customer=customer))


CUSTOMER_ROUTES = [
    Route(
        "PUT", "/v1/customers/{customer}", "Writes what is known of a customer; what is left out stays. 201: is new.",
        put, DECIDES, Profile, {200: Known, 201: Known},
        raises=(RoomError, *ASKS_A_SHARD), examples=PROFILES,
    ),
]  # fmt: skip
