"""The routes of the gateway, one list per kind."""

from gateway.audit_routes import AUDIT_ROUTES
from gateway.customer_routes import CUSTOMER_ROUTES
from gateway.decision_routes import DECISION_ROUTES
from gateway.event_routes import EVENT_ROUTES
from gateway.operation_routes import OPERATION_ROUTES
from gateway.order_routes import ORDER_ROUTES
from gateway.route import Route

ROUTES: list[Route] = [
    *DECISION_ROUTES, *ORDER_ROUTES, *EVENT_ROUTES, *CUSTOMER_ROUTES, *AUDIT_ROUTES, *OPERATION_ROUTES,
]  # fmt: skip
