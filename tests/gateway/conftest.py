"""Processes that several files of tests share."""

import signal
from collections.abc import Iterator

import pytest

from tests.gateway.secured import Secured


@pytest.fixture(scope="session")
def secured(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Secured]:
    """With TLS, and a line in the log per request."""
    found = Secured(tmp_path_factory.mktemp("secured"))
    found.start()
    yield found
    if found.process is not None and found.process.poll() is None:
        found.end(signal.SIGTERM)
