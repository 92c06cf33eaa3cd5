"""An adapter is a small file of Python that says how a service is asked. What it may define:

request(step)             a Request, or None for what the service does not have; step: a journeys.Step as a dict
enrol(customer)           the Request that makes a customer known, or None; customer: a dict of what is known
succeeded(status, body)   whether an answer is a success; without it, any status from 200 to 299
headers(key)              of every request; without it, Authorization: Bearer …
"""

import importlib.util
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

Success = Callable[[int, bytes], bool]


class AdapterError(Exception):
    """A file that is no adapter."""


def adapter_in(path: Path) -> ModuleType:
    """Raises AdapterError."""
    spec = importlib.util.spec_from_file_location(f"adapter_{path.stem}", path)
    if spec is None or spec.loader is None:
        raise AdapterError(f"{path} must be a file of Python (got another kind of file)")
    module = importlib.util.module_from_spec(spec)
    try:
        spec.loader.exec_module(module)
    except Exception as error:
        raise AdapterError(f"{path} cannot be loaded: {type(error).__name__}: {error}") from error
    if not callable(getattr(module, "request", None)):
        raise AdapterError(f"{path} must define request(step) (got no such function)")
    return module


def success_of(path: str) -> Success:
    """How the service tells success; without a file, by the status."""
    if not path:
        return is_success
    found: Success = getattr(adapter_in(Path(path)), "succeeded", is_success)
    return found


def is_success(status: int, body: bytes) -> bool:
    return 200 <= status < 300
