"""Who gets in touch with the support desk: troubles that customers meet, and which of them lead to a contact."""

from enum import IntEnum

import numpy as np

from engine.compiled import kernel
from engine.coupon_records import Answer, RequestKind
from engine.records import HOUR_MS, MINUTE_MS, SECOND_MS
from sim.pages import RETURN_EPOCH_MS
from sim.streams import Draw, uniforms


class Cause(IntEnum):
    """Why somebody gets in touch."""

    COMPLAINT = 0  # about a message
    PAYMENT_FAILED = 1
    CLAIM_REFUSED = 2  # a coupon was not to be had; nothing to do with fraud rules
    DENIED = 3  # an appeal: a person decides it
    INCIDENT = 4  # what everybody talks about


CAUSES = len(Cause)
ONE_TROUBLE_MS = HOUR_MS  # of one cause: what follows within it is the same trouble
_CONTACT = int(Draw.CONTACT)
_CLAIM_REFUSED = int(Cause.CLAIM_REFUSED)
_NOT_OPEN, _BUDGET, _NO_ROOM = int(Answer.NOT_OPEN), int(Answer.BUDGET), int(Answer.NO_ROOM)
_CLAIM, _RESERVE = int(RequestKind.CLAIM), int(RequestKind.RESERVE)

# One row, or none where a population has no support desk.
SUPPORT = np.dtype([("rates", "f8", (CAUSES,))], align=True)  # of troubles, those that lead to a contact
CALLER = np.dtype([("trouble_ms", "i8", (CAUSES,))], align=True)  # when the latest trouble of a cause began
CONTACT = np.dtype(
    [
        ("time_ms", "i8"),
        ("trouble_ms", "i8"),  # with customer and cause: which trouble it is about
        ("customer", "i8"),
        ("cause", "i8"),
    ],
    align=True,
)


def contacts_most(step_ms: int) -> int:
    """How often one customer can get in touch within a step."""
    return CAUSES * (step_ms // ONE_TROUBLE_MS + 2)


@kernel
def trouble_key(t, cause):
    return (t - RETURN_EPOCH_MS) // SECOND_MS * CAUSES + cause


@kernel
def lead_to_contact(model, crowd, customer, cause, share, t):
    """A trouble at t: a share of those who have it get in touch within the hour after, the sooner the likelier."""
    if len(crowd.callers) == 0:
        return
    caller = crowd.callers[customer - crowd.first[0]]
    if t < caller.trouble_ms[cause] + ONE_TROUBLE_MS:
        return
    caller.trouble_ms[cause] = t
    u, late, within, _ = uniforms(model.stream, customer, _CONTACT, trouble_key(t, cause))
    if u >= share:
        return
    count = int(crowd.contact_count[0])
    crowd.contact_count[0] = count + 1
    contact = crowd.contacts[count]
    contact.time_ms = t + int(within * MINUTE_MS) + int(late * late * HOUR_MS)
    contact.trouble_ms, contact.customer, contact.cause = t, customer, cause


@kernel
def meet_trouble(model, crowd, customer, cause, t):
    """A trouble at t, at the rate of its cause."""
    if len(model.support) > 0:
        lead_to_contact(model, crowd, customer, cause, model.support[0].rates[cause], t)


@kernel
def meet_refusal(model, crowd, customer, answer, t):
    """A claim was answered: with a refusal that fraud rules have no part in, it is a trouble."""
    if _NOT_OPEN <= answer <= _BUDGET or answer == _NO_ROOM:
        meet_trouble(model, crowd, customer, _CLAIM_REFUSED, t)


@kernel
def meet_reply(model, crowd, customer, reply, t):
    """What the Ledger says of a claim, likewise."""
    if reply.kind == _CLAIM or reply.kind == _RESERVE:
        meet_refusal(model, crowd, customer, int(reply.answer), t)
