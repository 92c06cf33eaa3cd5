"""Routes for whoever runs it: is it well?"""

from gateway.bodies import Alive, Ready
from gateway.keys import Role
from gateway.metrics import CONTENT_TYPE
from gateway.route import Answer, Asked, Route, Services, StatusError

WATCHES = frozenset({Role.OPERATOR, Role.AUDITOR})


async def healthz(services: Services, asked: Asked) -> Answer:
    return Answer(200, Alive(alive=True))


async def readyz(services: Services, asked: Asked) -> Answer:
    reasons = services.reasons
    return Answer(503 if reasons else 200, Ready(ready=not reasons, reasons=reasons))


async def metrics(services: Services, asked: Asked) -> Answer:
    if services.operation is None:
        raise StatusError(404, "nothing is counted here")
    return Answer(200, services.operation.metrics.text(), content_type=CONTENT_TYPE)


OPERATION_ROUTES = [
    Route("GET", "/healthz", "Whether the process runs.", healthz, answers={200: Alive}),
    Route("GET", "/readyz", "Whether it can decide for everybody.", readyz, answers={200: Ready, 503: Ready}),
    Route(
        "GET", "/metrics", "Metrics, as Prometheus reads them.", metrics, WATCHES, answers={200: str},
        gives=(CONTENT_TYPE,),
    ),
]  # fmt: skip
