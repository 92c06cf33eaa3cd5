"""The routes of the gateway, one list per kind."""

from gateway.audit_routes import AUDIT_ROUTES
from gateway.customer_routes import CUSTOMER_ROUTES
from gateway.decision_routes import DECISION_ROUTES
from gateway.document_routes import document_routes
from gateway.event_routes import EVENT_ROUTES
from gateway.operation_routes import OPERATION_ROUTES
from gateway.order_routes import ORDER_ROUTES
from gateway.policy_routes import POLICY_ROUTES
from gateway.route import Route

KINDS: dict[str, list[Route]] = {
    "decisions": DECISION_ROUTES,
    "orders": ORDER_ROUTES,
    "many at once": EVENT_ROUTES,
    "customers": CUSTOMER_ROUTES,
    "policies": POLICY_ROUTES,
    "audit": AUDIT_ROUTES,
    "operation": OPERATION_ROUTES,
}
KINDS["document"] = document_routes(KINDS)

ROUTES: list[Route] = [route for routes in KINDS.values() for route in routes]
