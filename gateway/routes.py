"""The routes of the gateway, one list per kind."""

from gateway.audit_routes import AUDIT_ROUTES
from gateway.customer_routes import CUSTOMER_ROUTES
from gateway.decision_routes import DECISION_ROUTES
from gateway.operation_routes import OPERATION_ROUTES
from gateway.route import Route

ROUTES: list[Route] = [*DECISION_ROUTES, *CUSTOMER_ROUTES, *AUDIT_ROUTES, *OPERATION_ROUTES]
