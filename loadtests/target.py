"""What is put under load: our gateway, begun for it on an empty folder, or any HTTP service that runs already."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType

from gateway.keys import Keys, Role
from loadtests.adapters import windtunnel
from loadtests.bench_servers import HOST, Server, all_answered, free_port, running
from loadtests.generator.tape import Request
from loadtests.journeys import Fields, People

OUR_ADAPTER = Path(windtunnel.__file__)
ENROLLING_CONNECTIONS = 64
LOG = "gateway.log"  # what it says, beside its folder
MORE_CUSTOMERS = 1_000  # room beyond those that come


@dataclass(frozen=True)
class Target:
    """Something that answers."""

    url: str
    adapter: ModuleType
    headers: dict[str, str] = field(default_factory=dict)
    process: int = 0  # its first one, where it is on this machine
    operator: str = ""  # key that may read our metrics
    folder: Path | None = None  # of our gateway


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
    with running("windtunnel", words, server, "/readyz", folder / LOG) as process:
        yield Target(f"http://{HOST}:{server.port}", windtunnel, headers, process, operator, place)


def room_for(people: People) -> int:
    return len(people) + MORE_CUSTOMERS


def enrolled(target: Target, people: People) -> None:
    """Everybody is made known, where the adapter says how. Raises BenchError."""
    enrol = getattr(target.adapter, "enrol", None)
    if enrol is None:
        return
    fields = Fields(people)
    requests = [enrol(fields.customer(number)) for number in range(len(people))]
    whole = [on_wire(target, one) for one in requests if one is not None]
    if whole:
        server = Server(int(target.url.rpartition(":")[2].partition("/")[0]))
        all_answered(server, whole, ENROLLING_CONNECTIONS)


def on_wire(target: Target, request: Request) -> bytes:
    """A whole HTTP request, without an id."""
    host = target.url.partition("://")[2].partition("/")[0]
    headers = {"host": host, **target.headers, "content-type": request.content_type}
    lines = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
    head = f"{request.method} {request.path} HTTP/1.1\r\n{lines}"
    return f"{head}content-length: {len(request.body)}\r\n\r\n".encode() + request.body
