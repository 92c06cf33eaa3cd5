"""What goes wrong with a request, as an answer."""

import msgspec

from gateway.arrow import ArrowError
from gateway.desk import UnknownCustomerError
from gateway.dictionary import BodyError
from gateway.dispatcher import FullError
from gateway.json_lines import TooManyError
from gateway.patience import SlowError
from gateway.publications import PublishingError, UnknownPublicationError
from gateway.register import RoomError
from gateway.route import RETRY_AFTER_S, Answer, StatusError, refused
from gateway.vault import DutyError

# What a route may raise beside what a body, a key or a path brings.
STATUS_OF: dict[type[Exception], int] = {
    UnknownCustomerError: 404, UnknownPublicationError: 404, PublishingError: 409, DutyError: 409, FullError: 429,
    SlowError: 504, RoomError: 507,
}  # fmt: skip
SAYS = {
    UnknownCustomerError: "no customer has this id: {}",
    UnknownPublicationError: "no publication has this number: {}",
}
NOT_AS_IT_MUST_BE = "the body is not as it must be"


def refusal_of(error: Exception) -> Answer | None:
    """None for what nobody has thought of."""
    if isinstance(error, StatusError):
        return error.answer
    if isinstance(error, msgspec.ValidationError):
        return refused(422, NOT_AS_IT_MUST_BE, [problem_of(str(error))])
    if isinstance(error, BodyError):
        return refused(422, NOT_AS_IT_MUST_BE, error.problems)
    if isinstance(error, msgspec.DecodeError | UnicodeDecodeError):
        return refused(400, f"the body must be JSON: {error}")
    if isinstance(error, ArrowError | TooManyError):
        return refused(400 if isinstance(error, ArrowError) else 413, str(error))
    status = STATUS_OF.get(type(error))
    if status is None:
        return None
    headers = (("retry-after", str(RETRY_AFTER_S)),) if status == 429 else ()
    return StatusError(status, SAYS.get(type(error), "{}").format(error), *headers).answer


def problem_of(text: str) -> tuple[str, str]:
    """msgspec says `Expected … - at `$.path``."""
    message, _, path = text.partition(" - at ")
    return path.strip("`") or "$", message
