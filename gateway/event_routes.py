"""The route of many events at once."""

from gateway.decision_routes import ASKS_A_SHARD, DECIDES, tells_why
from gateway.many import ARROW_STREAM, EVENTS_MAX, JSON_LINES
from gateway.route import Answer, Asked, Route, Services, media_type

KINDS = (JSON_LINES, ARROW_STREAM)
BODY_MAX = 16 * 1024 * 1024


async def events(services: Services, asked: Asked) -> Answer:
    kind = media_type(asked.headers.get("content-type"))
    return Answer(200, await services.many.decide(asked.body, kind, tells_why(asked)), content_type=kind)


EVENT_ROUTES = [
    Route(
        "POST", "/v1/events", f"Up to {EVENTS_MAX:,} events of any customers: all of them are taken, or none.",
        events, DECIDES, bytes, {200: bytes}, body_max=BODY_MAX, takes=KINDS, gives=KINDS,
        raises=ASKS_A_SHARD,
    ),
]  # fmt: skip
