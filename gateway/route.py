"""A route: what can be asked, by whom, with which body, and what is answered."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from gateway.audit import Audit
from gateway.bodies import Problem, Refused
from gateway.customers import Customers
from gateway.desk import Desk
from gateway.importing import Importing
from gateway.keys import Key, Keys, Role
from gateway.many import Many
from gateway.operation import Operation
from gateway.publisher import Publisher

BODY_MAX = 64 * 1024
RETRY_AFTER_S = 1
REQUEST_ID = r"^[!-~]{1,255}$(?!\n)"  # an Idempotency-Key: others would be read as the same one
JSON = "application/json"

Headers = tuple[tuple[str, str], ...]


@dataclass(frozen=True)
class Answer:
    """A status, a body (bytes as they are; anything else as JSON), headers beside the usual ones."""

    status: int
    body: Any
    headers: Headers = ()
    content_type: str = JSON
    cache: str = "no-store"


class StatusError(Exception):
    """Ends a request with an answer."""

    def __init__(self, status: int, error: str, *headers: tuple[str, str]) -> None:
        super().__init__(error)
        self.answer = Answer(status, Refused(error=error), headers)


@dataclass
class Services:
    """What routes use."""

    desk: Desk
    many: Many
    importing: Importing
    publisher: Publisher
    keys: Keys
    log: Callable[..., None]  # log(event, **what is told of it)
    audit: Audit
    customers: Customers
    is_stopping: bool = False
    operation: Operation | None = None

    @property
    def reasons(self) -> list[str]:
        """Why it cannot decide for everybody; nothing when it can."""
        stopping = ["stopping"] if self.is_stopping else []
        if self.operation is not None:
            return stopping + self.operation.reasons
        return stopping + ([] if self.desk.carrier.dispatcher.has_lead else ["hosts are starting"])


@dataclass(frozen=True)
class Asked:
    """A request whose key may ask it, with its body read."""

    body: Any
    key: Key | None = None  # None where anybody may ask
    request: str | None = None  # Idempotency-Key
    named: Mapping[str, str] = field(default_factory=dict)  # what the path's {…} stand for
    headers: Mapping[str, str] = field(default_factory=dict)
    query: Mapping[str, str] = field(default_factory=dict)
    noted: list[str] = field(default_factory=list)  # for the audit log: what was done beyond who asked what; no values

    @property
    def role(self) -> Role:
        assert self.key is not None
        return self.key.role


Act = Callable[[Services, Asked], Awaitable[Answer]]


@dataclass(frozen=True)
class Route:
    """One method at one path. `{name}` in the path stands for one segment."""

    method: str
    path: str
    says: str  # a sentence, for the document
    act: Act
    roles: frozenset[Role] = frozenset()  # none: anybody, without a key
    body: Any = None  # type of a JSON body; bytes: as it comes; None: there is none
    answers: Mapping[int, Any] = field(default_factory=dict)  # status: type of its body, refusals apart
    body_max: int = BODY_MAX
    takes: tuple[str, ...] = ()  # media types of a body of bytes; none: whatever the header says
    heeds_ids: bool = False  # an Idempotency-Key has it carried out once
    is_audited: bool = False  # who asks it is in the audit log; of another route, where something is noted
    # What only the document reads.
    raises: tuple[type[Exception], ...] = ()  # what `act` may raise of gateway.openapi.STATUS_OF
    query: Mapping[str, Any] = field(default_factory=dict)  # name: type of what may be behind the ?
    gives: tuple[str, ...] = (JSON,)  # media types of an answer, refusals apart
    examples: Mapping[str, Any] = field(default_factory=dict)  # what it shows: a body

    @property
    def name(self) -> str:
        """As logs call it: what a path's {…} stand for is nobody's business."""
        return f"{self.method} {self.path}"


def refused(status: int, error: str, problems: list[tuple[str, str]] | None = None) -> Answer:
    return Answer(status, Refused(error=error, problems=[Problem(path=at, message=of) for at, of in problems or []]))


def media_type(content_type: str | None) -> str:
    """Without its parameters."""
    return (content_type or "").partition(";")[0].strip().lower()
