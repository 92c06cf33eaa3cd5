"""Routes about customers: what is known of one."""

import msgspec

from gateway.bodies import CustomerId, Known, Profile
from gateway.decision_routes import DECIDES
from gateway.route import Answer, Asked, Route, Services


async def put(services: Services, asked: Asked) -> Answer:
    customer = msgspec.convert(asked.named["customer"], CustomerId)
    is_new = await services.desk.put(customer, asked.body)
    return Answer(201 if is_new else 200, Known(customer=customer))


CUSTOMER_ROUTES = [
    Route(
        "PUT", "/v1/customers/{customer}", "Writes what is known of a customer; what is left out stays. 201: is new.",
        put, DECIDES, Profile, {200: Known, 201: Known},
    ),
]  # fmt: skip
