"""Routes that say what there is: the document, and a page that shows it and tries it. Nothing leaves this machine."""

import functools
import gzip
from collections.abc import Mapping
from pathlib import Path

import msgspec

from gateway.bodies import Refused
from gateway.openapi import document
from gateway.route import Answer, Asked, Headers, Route, Services, StatusError

FOLDER = Path(__file__).resolve().parent / "swagger_ui"
FILES = {  # what the page loads: media type
    "swagger-ui-bundle.js": "text/javascript; charset=utf-8",
    "swagger-ui.css": "text/css; charset=utf-8",
    "page.css": "text/css; charset=utf-8",
    "start.js": "text/javascript; charset=utf-8",
    "favicon-32x32.png": "image/png",
}
HTML = "text/html; charset=utf-8"
KEPT = "public, max-age=3600"
CONTENT_POLICY = (  # Swagger UI sets styles from scripts, which needs no exception, and has pictures in its style sheet
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
VARY = ("vary", "accept-encoding")
PAGE_HEADERS: Headers = (("content-security-policy", CONTENT_POLICY), ("referrer-policy", "no-referrer"))


@functools.cache
def packed(name: str) -> bytes | None:
    """A file of the folder as gzip; None where it is not packed."""
    file = FOLDER / f"{name}.gz"
    return file.read_bytes() if file.exists() else None


@functools.cache
def plain(name: str) -> bytes:
    of = packed(name)
    return (FOLDER / name).read_bytes() if of is None else gzip.decompress(of)


async def page(services: Services, asked: Asked) -> Answer:
    return Answer(200, plain("page.html"), PAGE_HEADERS, HTML, "no-cache")


async def part_of_page(services: Services, asked: Asked) -> Answer:
    name = asked.named["file"]
    if name not in FILES:
        raise StatusError(404, f"nothing is at /docs/{name}")
    of = packed(name)
    if of is not None and "gzip" in (asked.headers.get("accept-encoding") or ""):
        return Answer(200, of, (("content-encoding", "gzip"), VARY), FILES[name], KEPT)
    return Answer(200, plain(name), (VARY,), FILES[name], KEPT)


def document_routes(kinds: Mapping[str, list[Route]]) -> list[Route]:
    """kinds: all other routes, by heading."""

    @functools.cache
    def encoded() -> bytes:
        return msgspec.json.encode(document({**kinds, "document": made}))

    async def openapi(services: Services, asked: Asked) -> Answer:
        return Answer(200, encoded())

    made = [
        Route("GET", "/openapi.json", "This document.", openapi, answers={200: dict}),
        Route("GET", "/docs", "A page that shows and tries this document.", page, answers={200: bytes}, gives=(HTML,)),
        Route(
            "GET", "/docs/{file}", "What that page loads.", part_of_page,
            answers={200: bytes, 404: Refused}, gives=tuple(sorted(set(FILES.values()))),
        ),
    ]  # fmt: skip
    return made
