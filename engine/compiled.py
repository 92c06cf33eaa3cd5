"""The `kernel` decorator: Numba compilation with a cache folder named by a hash of every kernel source.

Numba's own cache looks at one file at a time, so a change in a callee would go unseen, and a process killed while
writing can break an index. A folder per source hash makes both harmless: other sources, other folder.
"""

import hashlib
import os
import pathlib
import tempfile

import numba
import numpy as np

ROOT = pathlib.Path(__file__).resolve().parent.parent
# Whatever a kernel may take code or a constant from.
KERNEL_SOURCES = ("engine/*.py", "engine/rules/*.py", "sim/*.py", "scenarios/inline.py")
COMPLETE = "complete"  # file in the cache folder once everything a run needs is there
INTERPRETED = bool(numba.config.DISABLE_JIT)


def source_hash() -> str:
    """Hash of every source that kernels are made of, in path order, with the versions of the compilers."""
    digest = hashlib.blake2b(f"{numba.__version__} {np.__version__}".encode(), digest_size=8)
    for pattern in KERNEL_SOURCES:
        for path in sorted(ROOT.glob(pattern)):
            digest.update(path.name.encode() + b"\0" + path.read_bytes())
    return digest.hexdigest()


def cache_folder() -> pathlib.Path:
    base = os.environ.get("XDG_CACHE_HOME") or (pathlib.Path.home() / ".cache")
    folder = pathlib.Path(base) / "windtunnel" / f"kernels-{source_hash()}"
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError:
        folder = pathlib.Path(tempfile.mkdtemp(prefix="windtunnel-kernels-"))
    return folder


if INTERPRETED:
    # u8 arithmetic wraps on purpose in hash and chance code; compiled code never warns.
    np.seterr(over="ignore")
else:
    numba.config.CACHE_DIR = str(cache_folder())


def is_compiled() -> bool:
    """Whether a whole run on this machine has compiled the present sources before."""
    return INTERPRETED or (pathlib.Path(numba.config.CACHE_DIR) / COMPLETE).exists()


def mark_compiled() -> None:
    if not INTERPRETED:
        (pathlib.Path(numba.config.CACHE_DIR) / COMPLETE).touch()


def kernel(function):  # type: ignore[no-untyped-def]
    """Compile `function` (no fastmath, no parallel): compiled and interpreted agree to the last bit.

    Kernels allocate nothing, so Numba's reference counting is off: counting the arrays of a policy at every call took
    nine tenths of the time (0.27 against 2.4 million simulated events a second). Every call is inlined: a policy is
    some twenty arrays, and handing all their words to each rule took two thirds of what was left (1.8 against 6.0
    million simulated events a second, 3 against 10 million decisions).
    """
    return numba.njit(cache=True, error_model="numpy", _nrt=False, forceinline=True)(function)


def routine(function):  # type: ignore[no-untyped-def]
    """A kernel that is called rather than inlined: large, seldom reached, and worth one copy in whatever calls it."""
    return numba.njit(cache=True, error_model="numpy", _nrt=False)(function)
