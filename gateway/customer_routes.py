"""Routes about customers: what is known of one."""

import msgspec

from gateway.bodies import CustomerId, Imported, Known, Profile
from gateway.decision_routes import DECIDES
from gateway.importing import PARQUET
from gateway.keys import Role
from gateway.route import Answer, Asked, Route, Services

FILE_MAX = 64 * 1024 * 1024


async def put(services: Services, asked: Asked) -> Answer:
    customer = msgspec.convert(asked.named["customer"], CustomerId)
    is_new = await services.desk.put(customer, asked.body)
    return Answer(201 if is_new else 200, Known(customer=customer))


async def import_many(services: Services, asked: Asked) -> Answer:
    return Answer(200, await services.importing.write(asked.body))


CUSTOMER_ROUTES = [
    Route(
        "PUT", "/v1/customers/{customer}", "Writes what is known of a customer; what is left out stays. 201: is new.",
        put, DECIDES, Profile, {200: Known, 201: Known},
    ),
    Route(
        "POST", "/v1/customers", "Writes what is known of many customers, from a Parquet file: all of them, or none.",
        import_many, frozenset({Role.OPERATOR}), bytes, {200: Imported}, body_max=FILE_MAX, takes=(PARQUET,),
    ),
]  # fmt: skip
