"""Connections are bounded: how many, and how long one may say nothing.

The HTTP server waits for ever for the first byte of a connection, for the rest of a TLS handshake and for the next
frame of HTTP/2, and takes no further connection while it has as many as it may have: a few hundred that are opened and
left would shut everybody out. So connections that ask nothing are shut here.
"""

import os
import resource
import socket
import stat
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

CONNECTIONS_MAX = 2_048
CONNECTIONS_LEAST = 128  # also where the machine allows few files
FILES_BESIDE = 1_024  # descriptors for journals, Ray and the rest
STRANGER_S = 10.0  # a connection that says nothing for so long is shut …
IDLE_S = 75.0  # … or for so long, if it has asked with a key; what is in front of us keeps one for 60 s mostly
CROWDED = 0.75  # with more than this share of all there may be, strangers go first, whoever has been idle longest …
SPARED_S = 1.0  # … unless it has asked just now
SWEEP_S = 0.5


@dataclass
class Caller:
    """One connection, by the address at its other end."""

    since: float  # it was seen first, or was answered last
    is_known: bool = False  # it has asked with a key that is one
    under_way: int = 0

    def is_over(self, now: float) -> bool:
        """It has said nothing for too long."""
        return not self.under_way and now - self.since > (IDLE_S if self.is_known else STRANGER_S)


@dataclass
class Doorkeeper:
    """Knows who asks, and shuts what does not. `began` and `ended` for each request, `sweep` every SWEEP_S."""

    port: int
    most: int = CONNECTIONS_MAX
    callers: dict[str, Caller] = field(default_factory=dict)
    open: int = 0  # connections at the last sweep
    shut: int = 0  # that were shut, ever
    _sockets: dict[tuple[int, int], str] = field(default_factory=dict)  # (descriptor, inode): address, "" of others

    def began(self, address: str, now: float) -> None:
        caller = self.callers.get(address)
        if caller is None:
            caller = self.callers[address] = Caller(now)
        caller.under_way += 1

    def ended(self, address: str, now: float, is_known: bool) -> None:
        caller = self.callers[address]
        caller.is_known |= is_known
        caller.under_way -= 1
        caller.since = now

    def sweep(self, now: float) -> int:
        """Shut whoever is over; how many were."""
        there = {address: key for key, address in self._found().items() if address}
        self.open = len(there)
        for address in there:
            self.callers.setdefault(address, Caller(now))
        self.callers = {at: one for at, one in self.callers.items() if at in there or one.under_way}
        shut = sum(_shut(*there[address], self.port) for address in self._to_shut(there, now))
        self.shut += shut
        return shut

    def _to_shut(self, there: Iterable[str], now: float) -> list[str]:
        idle = [one for one in there if not self.callers[one].under_way]
        idle.sort(key=lambda one: (self.callers[one].is_known, self.callers[one].since))
        over = [address for address in idle if self.callers[address].is_over(now)]
        crowd = self.open - len(over) - int(CROWDED * self.most)
        others = [
            one for one in idle if not self.callers[one].is_over(now) and now - self.callers[one].since > SPARED_S
        ]
        return over + others[: max(crowd, 0)]

    def _found(self) -> dict[tuple[int, int], str]:
        """Every descriptor of ours that is a socket: who is at the other end of our port."""
        found = {}
        for name in os.listdir("/proc/self/fd"):
            key = _socket_at(int(name))
            if key is not None:
                found[key] = self._sockets[key] if key in self._sockets else _other_end(*key, self.port)
        self._sockets = found
        return found


def _socket_at(descriptor: int) -> tuple[int, int] | None:
    """(descriptor, inode); None where it is no socket, or is gone by now."""
    try:
        found = os.fstat(descriptor)
    except OSError:
        return None
    return (descriptor, found.st_ino) if stat.S_ISSOCK(found.st_mode) else None


def _held(descriptor: int, inode: int) -> socket.socket | None:
    """A descriptor of our own for a socket, so that it stays the same one while we look at it."""
    try:
        own = socket.socket(fileno=os.dup(descriptor))
    except OSError:
        return None
    if os.fstat(own.fileno()).st_ino == inode:
        return own
    own.close()
    return None


def _other_end(descriptor: int, inode: int, port: int) -> str:
    """As the server says it to the application; nothing of a socket that is not a caller's."""
    own = _held(descriptor, inode)
    if own is None:
        return ""
    with own:
        try:
            here, there = own.getsockname(), own.getpeername()
        except OSError:  # it listens, or is closed
            return ""
        if own.family not in (socket.AF_INET, socket.AF_INET6) or here[1] != port:
            return ""
        return _address(there)


def _address(there: Any) -> str:
    return f"[{there[0]}]:{there[1]}" if ":" in there[0] else f"{there[0]}:{there[1]}"


def _shut(descriptor: int, inode: int, port: int) -> bool:
    """The server reads the end of it, and lets go."""
    own = _held(descriptor, inode)
    if own is None:
        return False
    with own:
        try:
            own.shutdown(socket.SHUT_RDWR)
        except OSError:
            return False
    return True


def make_room(most: int) -> int:
    """Allow ourselves as many open files as that takes, or as the machine allows; how many connections there may be."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = most + FILES_BESIDE
    if soft != resource.RLIM_INFINITY and soft < wanted:
        soft = wanted if hard == resource.RLIM_INFINITY else min(hard, wanted)
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    return most if soft == resource.RLIM_INFINITY else max(CONNECTIONS_LEAST, min(most, soft - FILES_BESIDE))
