"""Routes for whoever runs it: is it well?"""

from gateway.bodies import Alive, Ready
from gateway.route import Answer, Asked, Route, Services


async def healthz(services: Services, asked: Asked) -> Answer:
    return Answer(200, Alive(alive=True))


async def readyz(services: Services, asked: Asked) -> Answer:
    ready = services.is_ready
    return Answer(200 if ready else 503, Ready(ready=ready))


OPERATION_ROUTES = [
    Route("GET", "/healthz", "Whether the process runs.", healthz, answers={200: Alive}),
    Route("GET", "/readyz", "Whether it can decide.", readyz, answers={200: Ready, 503: Ready}),
]
