"""What is put under load: our gateway, begun for it on an empty folder, or any HTTP service that runs already."""

import ssl
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from http.client import HTTPConnection, HTTPException, HTTPSConnection
from pathlib import Path
from types import ModuleType
from urllib.parse import urlsplit

from gateway.keys import Keys, Role
from loadtests.adapters import windtunnel
from loadtests.bench_servers import HOST, BenchError, Server, free_port, running
from loadtests.generator.adapters import is_success
from loadtests.generator.tape import Request
from loadtests.journeys import Fields, People

OUR_ADAPTER = Path(windtunnel.__file__)
ENROLLING, ANSWERED_WITHIN_S = 16, 30.0  # connections; seconds
LOG = "gateway.log"  # what it says, beside its folder
MORE_CUSTOMERS = 1_000  # room beyond those that come
# On a machine that both share, a generator that waits for a core sends late: real callers have cores of their own.
NICENESS = 10


@dataclass(frozen=True)
class Target:
    """Something that answers."""

    url: str
    adapter: ModuleType
    headers: dict[str, str] = field(default_factory=dict)
    process: int = 0  # its first one, where it is on this machine
    operator: str = ""  # key that may read our metrics
    folder: Path | None = None  # of our gateway
    log: Path | None = None  # what it says


@contextmanager
def our_gateway(people: People, shards: int, standby: bool, folder: Path) -> Iterator[Target]:
    """`windtunnel serve` on a new folder, durable; ends with the load. Raises BenchError."""
    place = folder / "gateway"
    place.mkdir()
    keys, client = Keys([]).made("load", Role.CLIENT)
    keys, operator = keys.made("load-metrics", Role.OPERATOR)
    keys.write(place)
    server = Server(free_port(), client)
    how = {"--folder": place, "--customers": room_for(people), "--shards": shards, "--port": server.port}
    words = ["serve", str(people.policy), *(str(word) for pair in how.items() for word in pair)]
    words += ["--standby"] if standby else []
    headers = {"authorization": f"Bearer {client}"}
    log = folder / LOG
    with running("windtunnel", words, server, "/readyz", log, NICENESS) as process:
        yield Target(f"http://{HOST}:{server.port}", windtunnel, headers, process, operator, place, log)


def room_for(people: People) -> int:
    return len(people) + MORE_CUSTOMERS


def enrolled(target: Target, people: People, ca_file: str = "") -> None:
    """Everybody is made known, where the adapter says how. Raises BenchError."""
    enrol = getattr(target.adapter, "enrol", None)
    if enrol is None:
        return
    fields = Fields(people)
    asked = [enrol(fields.customer(number)) for number in range(len(people))]
    requests = [one for one in asked if one is not None]
    with ThreadPoolExecutor(ENROLLING) as pool:
        list(pool.map(partial(sent, target, ca_file), (requests[first::ENROLLING] for first in range(ENROLLING))))


def sent(target: Target, ca_file: str, requests: Sequence[Request]) -> None:
    """One behind the other on a connection. Raises BenchError where one is not answered with success."""
    parts = urlsplit(target.url)
    succeeded = getattr(target.adapter, "succeeded", is_success)
    connection = HTTPConnection(parts.netloc, timeout=ANSWERED_WITHIN_S)
    if parts.scheme == "https":
        context = ssl.create_default_context(cafile=ca_file or None)
        connection = HTTPSConnection(parts.netloc, timeout=ANSWERED_WITHIN_S, context=context)
    try:
        for one in requests:
            headers = {**target.headers, "content-type": one.content_type}
            connection.request(one.method, parts.path + one.path, one.body, headers)
            answer = connection.getresponse()
            said = answer.read()
            if not succeeded(answer.status, said):
                raise BenchError(f"customers must be made known with success (got {answer.status}: {said[:200]!r})")
    except (OSError, HTTPException) as error:
        raise BenchError(f"{target.url} does not answer: {error}") from error
    finally:
        connection.close()
