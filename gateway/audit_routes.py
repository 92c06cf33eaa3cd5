"""Routes for whoever watches the watchers: who did what."""

from dataclasses import asdict
from typing import Annotated

from msgspec import Meta

from gateway.bodies import AuditEntry, AuditHead, AuditPage
from gateway.dictionary import BodyError
from gateway.keys import Role
from gateway.route import Answer, Asked, Route, Services

NUMBER_MAX = 10**15
EntryNumber = Annotated[int, Meta(ge=0, le=NUMBER_MAX, description="Entries after this one.")]


async def audit(services: Services, asked: Asked) -> Answer:
    after = asked.query.get("after")
    if after is not None and not (after.isascii() and after.isdecimal() and int(after) <= NUMBER_MAX):
        raise BodyError([("?after", f"must be the number of an entry, from 0 (got {after})")])
    entries = await services.audit.after(None if after is None else int(after))
    asked.noted.append(f"entries {entries[0].number} to {entries[-1].number}" if entries else "no entries")
    head = services.audit.head
    told = [AuditEntry(**asdict(entry)) for entry in entries]
    return Answer(200, AuditPage(entries=told, head=AuditHead(number=head.number, hash=head.hash)))


AUDIT_ROUTES = [
    Route(
        "GET", "/v1/audit", "The latest entries of the audit log, or with ?after=N the 1,000 after entry N.",
        audit, frozenset({Role.AUDITOR}), answers={200: AuditPage}, is_audited=True, query={"after": EntryNumber},
    ),
]  # fmt: skip
