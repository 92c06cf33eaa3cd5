"""`windtunnel audit`: whether the log of who did what is whole, and what is in it; and what commands write there."""

import fcntl
import getpass
from collections.abc import Iterator
from dataclasses import asdict
from datetime import datetime
from pathlib import Path
from typing import Any

from gateway.audit import FILE, HEAD, AuditError, AuditLog, entry, read_head
from gateway.audit_chain import BrokenError, Ending, Entry, entry_of, verified
from gateway.register import PEPPER, token_of_id
from scenarios.console import complain, guarded, print_json
from scenarios.exits import Exit, UsageError

MACHINE = "machine"  # the role of who is there and types a command


def note(folder: Path, what: str, detail: str) -> None:
    """Write down what a command does, also while `serve` runs. Raises AuditError."""
    folder.mkdir(parents=True, exist_ok=True)
    log = AuditLog(folder)
    try:
        log.add([entry(what, user(), MACHINE, detail=detail)])
    finally:
        log.close()


def user() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # an id that no name belongs to
        return MACHINE


def lines_of(folder: Path) -> Iterator[bytes]:
    """Lines of a log while nobody adds to it. Raises UsageError where there is none."""
    try:
        file = (folder / FILE).open("rb")
    except OSError as error:
        raise UsageError(f"{folder / FILE} must be the audit log of a gateway (got {error.strerror})") from None
    with file:
        fcntl.flock(file, fcntl.LOCK_SH)
        yield from file


def verify(folder: Path, seen: str | None) -> int:
    """Follow the chain; exit code. seen: the hash of an entry, kept elsewhere."""

    def action() -> int:
        lines, head = lines_of(folder), None
        try:
            head = read_head(folder / HEAD)
            ending = verified(lines, head, seen)
            if head is None and ending.head.number:
                raise BrokenError(f"{HEAD} must be beside it, with the end of the log (got no such file)")
        except (BrokenError, AuditError) as error:
            complain(f"{folder / FILE}: broken: {error}")
            return Exit.INVARIANT_BROKEN
        print(sentence(ending, seen))
        return Exit.FINE

    return guarded(action)


def sentence(ending: Ending, seen: str | None) -> str:
    number, head = ending.head
    entries = "1 entry" if number == 1 else f"{number:,} entries"
    said = [f"{entries}, each as it was written, none gone between them."]
    if seen is not None:
        said.append("The hash you kept is on the way.")
    if ending.torn:
        said.append(f"{ending.torn} bytes of a torn line follow, which nobody was answered for: "
                    "the next start cuts them off.")  # fmt: skip
    said.append(f"head {number} {head}")
    if seen is None:
        said.append("Whoever can write the folder can write the whole log anew: keep this hash elsewhere and give it "
                    "back with --head.")  # fmt: skip
    return "\n".join(said)


def show(folder: Path, customer: str | None, as_json: bool) -> int:
    """Entries as they are, all or of one customer; exit code."""

    def action() -> int:
        token = None if customer is None else token_in(folder, customer)
        for line in lines_of(folder):
            try:
                found = entry_of(line)
            except BrokenError:
                raise UsageError(f"{folder / FILE} has a line that is no entry: "
                                 f"windtunnel audit verify {folder}") from None  # fmt: skip
            if token is None or found.customer == token:
                print_json(asdict(found)) if as_json else print(row(found))
        return Exit.FINE

    return guarded(action)


def token_in(folder: Path, customer: str) -> str:
    """What logs call a customer. Raises UsageError."""
    try:
        return token_of_id(customer, (folder / PEPPER).read_bytes()).hex()
    except OSError as error:
        raise UsageError(f"{folder / PEPPER} must be there to find a customer (got {error.strerror})") from None


def row(found: Entry) -> str:
    when = datetime.fromtimestamp(found.time_ms / 1_000).astimezone().isoformat(" ", "seconds")
    of: list[Any] = [
        found.number,
        when,
        f"{found.who} ({found.role})",
        found.what,
        found.status,
        found.customer,
        found.detail,
    ]
    return "  ".join(str(one) for one in of if one not in (None, ""))
