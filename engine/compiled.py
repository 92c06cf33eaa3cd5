"""Kernels and entries: Numba compilation with a cache folder named by a hash of every kernel source.

Numba's own cache looks at one file at a time, so a change in a callee would go unseen, and a process killed while
writing can break an index. A folder per source hash makes both harmless: other sources, other folder.
"""

import hashlib
import os
import pathlib
import tempfile
from collections.abc import Callable
from typing import Any

import numba
import numpy as np
from llvmlite import binding as llvm
from numba.core.codegen import JITCodeLibrary
from numba.core.compiler import Compiler
from numba.extending import register_jitable

from engine.dispatch import Entry

ROOT = pathlib.Path(__file__).resolve().parent.parent
# Whatever a kernel may take code or a constant from.
KERNEL_SOURCES = ("engine/*.py", "engine/rules/*.py", "sim/*.py", "scenarios/inline.py")
NAIVE = "reference"  # … but the twin, which is never compiled
OF_RUNS, OF_HOSTS = "runs", "hosts"  # files in the cache folder once everything that a run, or hosts, need is there
INTERPRETED = bool(numba.config.DISABLE_JIT)


def source_hash() -> str:
    """Hash of every source that kernels are made of, in path order, with the versions of the compilers."""
    digest = hashlib.blake2b(f"{numba.__version__} {np.__version__}".encode(), digest_size=8)
    for pattern in KERNEL_SOURCES:
        for path in sorted(path for path in ROOT.glob(pattern) if not path.name.startswith(NAIVE)):
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


def is_compiled(what: str) -> bool:
    """Whether this machine has compiled the present sources before, as far as runs or hosts need them."""
    return INTERPRETED or (pathlib.Path(numba.config.CACHE_DIR) / what).exists()


def mark_compiled(what: str) -> None:
    if not INTERPRETED:
        (pathlib.Path(numba.config.CACHE_DIR) / what).touch()


class _Part(JITCodeLibrary):  # type: ignore[misc]
    """Code that is only ever linked into an entry: function by function made short, since an entry has many copies of
    it, but neither inlined nor turned into machine code by itself."""

    def _optimize_final_module(self) -> None:
        pass

    def _finalize_final_module(self) -> None:
        self._finalize_dynamic_globals()
        self._finalized = True

    def get_pointer_to_function(self, name: str) -> int:
        return 0  # nobody calls it from outside

    @property
    def codegen(self) -> Any:
        return _WithoutEnvironments(self._codegen)


class _WithoutEnvironments:
    """A code generator that is not asked to fill in the environments of functions without an address."""

    def __init__(self, own: Any) -> None:
        self._own = own

    def __getattr__(self, name: str) -> Any:
        return getattr(self._own, name)

    def set_env(self, name: str, env: object) -> None:
        pass


class _PartCompiler(Compiler):  # type: ignore[misc]
    def __init__(self, typing: Any, target: Any, library: Any, *rest: Any) -> None:
        super().__init__(typing, target, library or _Part(target.codegen(), "part"), *rest)


class _Whole(JITCodeLibrary):  # type: ignore[misc]
    """An entry with all its parts, optimised once. Loops are as they are written: a copy of the rules is large, and
    copying it for the sake of a loop around it takes time to compile and gains none."""

    def _optimize_final_module(self) -> None:
        tuning = llvm.create_pipeline_tuning_options(speed_level=3)
        tuning.loop_unrolling = tuning.loop_vectorization = tuning.loop_interleaving = tuning.slp_vectorization = False
        builder = llvm.create_pass_builder(self._codegen._tm, tuning)
        builder.getModulePassManager().run(self._final_module, builder)


class _WholeCompiler(Compiler):  # type: ignore[misc]
    def __init__(self, typing: Any, target: Any, _: None, *rest: Any) -> None:
        library = _Whole(target.codegen(), "whole")
        library.enable_object_caching()
        super().__init__(typing, target, library, *rest)


_OPTIONS = {"error_model": "numpy", "_nrt": False}
_PART = {**_OPTIONS, "no_cpython_wrapper": True, "no_cfunc_wrapper": True, "pipeline_class": _PartCompiler}


def kernel(function):  # type: ignore[no-untyped-def]
    """A part of compiled code (no fastmath, no parallel): compiled and interpreted agree to the last bit. Called from
    Python it is the plain function; `entry` compiles what Python is to call.

    Kernels allocate nothing, so Numba's reference counting is off: counting the arrays of a policy at every call took
    nine tenths of the time (0.27 against 2.4 million simulated events a second). Every call is inlined: a policy is
    some twenty arrays, and handing all their words to each rule took two thirds of what was left (1.8 against 6.0
    million simulated events a second, 3 against 10 million decisions). Numba optimises every function again with all
    it calls; parts are linked as they are and optimised once, in the entry (75 against more than 250 s to compile).
    """
    return function if INTERPRETED else register_jitable(**_PART, forceinline=True)(function)


def routine(function):  # type: ignore[no-untyped-def]
    """A kernel that is called rather than inlined: large, seldom reached, and worth one copy in whatever calls it."""
    return function if INTERPRETED else register_jitable(**_PART)(function)


def entry(function: Callable[..., Any]) -> Callable[..., Any]:
    """What Python calls: compiled with every kernel it uses, and cached. Takes a kernel, or decorates."""
    compiled: Callable[..., Any] = numba.njit(cache=True, pipeline_class=_WholeCompiler, **_OPTIONS)(function)
    return compiled if INTERPRETED else Entry(compiled)
