"""A connection of a generator: one request at a time, closed by a server that had enough, slow where a client is."""

import time
from typing import Any

import gevent
import gevent.select
import gevent.socket
import gevent.ssl
from geventhttpclient.response import HTTPResponse

from loadtests.generator.plan import ANSWERED_WITHIN_S
from loadtests.generator.wording import Wording

RECEIVE_BYTES, PIECES, PIECE_GAP_S = 1 << 16, 8, 0.05
IDLE_S = 1.0  # after which a connection is looked at before it is used


class Connection:
    """One to the server, with one request at a time."""

    def __init__(self, wording: Wording, ca_file: str) -> None:
        self.wording, self.ca_file = wording, ca_file
        self._socket: Any = None
        self._used_s = 0.0

    def asked(self, request: bytes, slowly: bool = False) -> tuple[int, bytes]:
        """Status and body. Raises OSError."""
        self._look()
        self._used_s = time.monotonic()
        try:
            self._send(request, slowly)
            return self._answer(slowly)
        except BaseException:
            self.close()
            raise

    def _look(self) -> None:
        """Whoever is silent for long may have been shut out."""
        if self._socket is not None and time.monotonic() - self._used_s > IDLE_S:
            readable, _, _ = gevent.select.select([self._socket], [], [], 0)
            if readable:
                self.close()
        if self._socket is None:
            self._open()

    def _open(self) -> None:
        address = self.wording.host, self.wording.port
        plain = gevent.socket.create_connection(address, timeout=ANSWERED_WITHIN_S)
        plain.setsockopt(gevent.socket.IPPROTO_TCP, gevent.socket.TCP_NODELAY, 1)
        if self.wording.is_secure:
            context = gevent.ssl.create_default_context(cafile=self.ca_file or None)
            plain = context.wrap_socket(plain, server_hostname=self.wording.host)
        self._socket = plain

    def _send(self, request: bytes, slowly: bool) -> None:
        if not slowly:
            self._socket.sendall(request)
            return
        size = max(1, len(request) // PIECES)
        for at in range(0, len(request), size):
            self._socket.sendall(request[at : at + size])
            gevent.sleep(PIECE_GAP_S)

    def _answer(self, slowly: bool) -> tuple[int, bytes]:
        answer = HTTPResponse()
        while not answer.message_complete:
            piece = self._socket.recv(64 if slowly else RECEIVE_BYTES)
            if not piece:
                raise ConnectionError("closed by the server")
            answer.feed(piece)
            if slowly:
                gevent.sleep(PIECE_GAP_S)
        if answer.should_close():
            self.close()
        return answer.status_code, bytes(answer._body_buffer)

    def close(self) -> None:
        if self._socket is not None:
            self._socket.close()
            self._socket = None
