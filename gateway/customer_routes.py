"""Routes about customers: what is known of one, how long it must be kept, and its end."""

import msgspec

from gateway.answering import CATEGORIES
from gateway.asking import identifying
from gateway.bodies import (
    CustomerId,
    Erased,
    Imported,
    Known,
    Profile,
    Refusals,
    RefusedOnce,
    Retained,
    Retention,
    Sealed,
    Told,
)
from gateway.decision_routes import ASKS_A_SHARD, DECIDES
from gateway.desk import UnknownCustomerError
from gateway.identifying import masked
from gateway.importing import PARQUET
from gateway.keys import Role
from gateway.register import RoomError
from gateway.route import Answer, Asked, Route, Services
from gateway.vault import Duty, DutyError, Record
from results.fraud_words import rule_family

KEEPS = frozenset({Role.OPERATOR})
READS = frozenset({Role.OPERATOR, Role.AUDITOR})

FILE_MAX = 64 * 1024 * 1024


def customer_of(asked: Asked) -> str:
    return msgspec.convert(asked.named["customer"], CustomerId)


DUTIES = {"for some years": {"duty": "anti-money-laundering law", "until": "2031-01-01"}}
PROFILES = {
    "may be pushed to": {"consent": ["push"]},
    "more of it": {"birth_date": "1990-05-17", "balance": "1250.00", "consent": ["push", "email"], "card_active": True},
}


async def put(services: Services, asked: Asked) -> Answer:
    customer = customer_of(asked)
    if said := identifying(asked.body):
        asked.noted.append(f"seals {', '.join(said)}")
    is_new = await services.customers.put(customer, asked.body)
    return Answer(201 if is_new else 200, Known(customer=customer))


async def get(services: Services, asked: Asked) -> Answer:
    """An operator sees no identifying field whole, and nothing of who was erased: that is the auditor's."""
    customer = customer_of(asked)
    file, is_whole = await services.customers.file(customer), asked.role is Role.AUDITOR
    records = [sealed(record, is_whole) for record in file.records if is_whole or not record.is_locked]
    told = Told(customer=customer, since_ms=file.since_ms, erased_ms=file.erased_ms,
                retention=retention(file.duties), records=records)  # fmt: skip
    return Answer(200, told)


async def refusals(services: Services, asked: Asked) -> Answer:
    """An operator is told the family of the rule, an auditor the rule, what it compared and with what."""
    customer, is_whole = customer_of(asked), asked.role is Role.AUDITOR
    found = services.desk.book.of(services.customers.known(customer))
    told = [
        RefusedOnce(
            time_ms=one.time_ms, asked=one.asked.name.lower(), answer=one.answer.name.lower(),
            category=CATEGORIES[one.answer], family=rule_family(one.rule), rule=one.rule if is_whole else None,
            value=one.value if is_whole else None, threshold=one.threshold if is_whole else None,
        )
        for one in found
    ]  # fmt: skip
    return Answer(200, Refusals(customer=customer, refusals=told))


async def delete(services: Services, asked: Asked) -> Answer:
    customer = customer_of(asked)
    erasure = await services.customers.erase(customer)
    told = Erased(customer=customer, erased_ms=erasure.erased_ms, retention=retention(erasure.duties))
    return Answer(202 if erasure.is_locked else 200, told)


async def retain(services: Services, asked: Asked) -> Answer:
    customer, duty = customer_of(asked), Duty(asked.body.duty, asked.body.until)
    duties = await services.customers.retain(customer, duty)
    asked.noted.append(f"{duty.duty}, until {duty.until}")
    return Answer(200, Retained(customer=customer, retention=retention(duties)))


def retention(duties: list[Duty]) -> list[Retention]:
    return [Retention(duty=one.duty, until=one.until) for one in duties]


def sealed(record: Record, is_whole: bool) -> Sealed:
    said = record.said if is_whole else masked(record.said)
    return Sealed(**said, masked=not is_whole, locked=record.is_locked, profile=record.profile)


async def import_many(services: Services, asked: Asked) -> Answer:
    return Answer(200, await services.importing.write(asked.body))


CUSTOMER_ROUTES = [
    Route(
        "PUT", "/v1/customers/{customer}", "Writes what is known of a customer; what is left out stays. 201: is new.",
        put, DECIDES, Profile, {200: Known, 201: Known},
        raises=(RoomError, *ASKS_A_SHARD), examples=PROFILES,
    ),
    Route(
        "GET", "/v1/customers/{customer}", "What is known of a customer: what identifies masked, to an auditor whole.",
        get, READS, answers={200: Told}, is_audited=True, raises=(UnknownCustomerError,),
    ),
    Route(
        "GET", "/v1/customers/{customer}/refusals", "What fraud rules refused a customer lately; to an auditor why.",
        refusals, READS, answers={200: Refusals}, is_audited=True, raises=(UnknownCustomerError,),
    ),
    Route(
        "DELETE", "/v1/customers/{customer}", "Forgets a customer. 202: what duties lock is destroyed after their day.",
        delete, KEEPS, answers={200: Erased, 202: Erased}, is_audited=True,
        raises=(UnknownCustomerError, *ASKS_A_SHARD),
    ),
    Route(
        "PUT", "/v1/customers/{customer}/retention", "Lays a duty to retain on a customer's record, or moves its day.",
        retain, KEEPS, Retention, {200: Retained}, is_audited=True,
        raises=(UnknownCustomerError, DutyError), examples=DUTIES,
    ),
    Route(
        "POST", "/v1/customers", "Writes what is known of many customers, from a Parquet file: all of them, or none.",
        import_many, KEEPS, bytes, {200: Imported}, body_max=FILE_MAX, takes=(PARQUET,), is_audited=True,
        raises=(RoomError, *ASKS_A_SHARD),
    ),
]  # fmt: skip
