"""Pages of a visit: their keys, the walk over them, and how an event begins."""

from engine.compiled import kernel
from engine.records import NONE, SECOND_MS
from sim.model import DEPTH_MAX, Mark, Stage
from sim.population import category
from sim.streams import Draw, exponential, uniforms

_ON_PAGE, _ACTED = int(Stage.ON_PAGE), int(Mark.ACTED)
_PAGE, _STAY = int(Draw.PAGE), int(Draw.STAY)

VIEWS_PER_VISIT = 64
PURCHASE_VISITS = 1 << 24  # keys of visits that an organic purchase begins
# Keys of visits that a click outside the app or a coupon begins: the second since 2000 (until 2067). A count of such
# visits would shift with one more of them.
RETURN_VISITS, RETURN_EPOCH_MS = 1 << 25, 946_684_800_000
PLACES_PER_VIEW = 256  # opportunities to show something on one page view: by event kind, from DWELL_PLACES on by dwell
DWELL_PLACES = 64
STAY_MIN_MS = 500  # so that what a page does when it opens is always done


@kernel
def view_key(visitor):
    """Id of the page view at hand: (visit, depth), the same under every policy."""
    return int(visitor.visit) * VIEWS_PER_VISIT + int(visitor.depth)


@kernel
def return_visit(visitor):
    """Key of a visit that a click or a coupon begins now."""
    return RETURN_VISITS + (int(visitor.due_ms) - RETURN_EPOCH_MS) // SECOND_MS


@kernel
def page_after(model, visitor, customer):
    """The next page of the walk, or NONE to leave."""
    if visitor.depth >= DEPTH_MAX:
        return NONE
    row = len(model.next_page) - 1 if visitor.page == NONE else int(visitor.page)
    u, _, _, _ = uniforms(model.stream, customer, _PAGE, view_key(visitor))
    page = category(model.next_page[row], u)
    return NONE if page == len(model.next_page) - 1 else page


@kernel
def stay_ms(model, visitor, customer):
    """How long the customer stays on the page just entered."""
    _, u, _, _ = uniforms(model.stream, customer, _STAY, view_key(visitor))
    return STAY_MIN_MS + int(exponential(u) * model.dwell_mean_ms[visitor.page])


@kernel
def write(event, visitor, customer, kind):
    """Begin the next event of a customer; every field is set."""
    visitor.sequence += 1
    visitor.marks &= ~_ACTED
    event.time_ms = visitor.due_ms
    event.customer = customer
    event.page_view = view_key(visitor) if visitor.stage == _ON_PAGE else 0
    event.amount = 0
    event.sequence = visitor.sequence
    event.exposure = NONE
    event.dwell_ms = 0
    event.kind = kind
    event.page = visitor.page if visitor.stage == _ON_PAGE else NONE
    event.campaign = NONE
    event.city = visitor.city
    event.channel = NONE
    event.moment = NONE
    event.ask, event.origin = NONE, NONE
