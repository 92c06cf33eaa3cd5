"""Compiled code called without looking at what has been looked at: arguments' types, once for a tuple of arrays.

Numba looks at the type of every array of every call: 0.3 µs each, 49 µs for the 144 arrays of a world's call, where to
hand them over takes 1 µs. A life that settles every few minutes spent a third of its time there.
"""

import functools
from collections.abc import Callable, Sequence
from typing import Any, Protocol

import numpy as np

# Of the plain array: records of attributes would ask Python for each.
_dtype_of, _ndim_of, _flags_of = np.ndarray.dtype.__get__, np.ndarray.ndim.__get__, np.ndarray.flags.__get__
_NOTHING = object()


class _Kind(Protocol):
    """What Numba would tell of an argument."""

    seen: Any  # the last of it, which need not be looked at again

    def has(self, value: Any) -> bool: ...


class _Arrays:
    """Of writable arrays, rows beside each other."""

    seen = _NOTHING  # kept by the tuple it is in

    def __init__(self, value: np.ndarray) -> None:
        self.type, self.dtype, self.ndim = type(value), _dtype_of(value), _ndim_of(value)

    def has(self, value: Any) -> bool:
        if type(value) is not self.type:
            return False
        dtype = _dtype_of(value)
        if dtype is not self.dtype and dtype != self.dtype:
            return False
        self.dtype = dtype
        return _ndim_of(value) == self.ndim and bool(_flags_of(value).carray)


class _Tuples:
    """Of named tuples of arrays, or of such tuples."""

    def __init__(self, value: tuple[Any, ...]) -> None:
        self.seen: tuple[Any, ...] = value
        self.type, self.members = type(value), [_kind_of(member) for member in value]

    def has(self, value: Any) -> bool:
        if type(value) is not self.type or len(value) != len(self.members):
            return False
        for kind, member, known in zip(self.members, value, self.seen):  # noqa: B905
            if member is not known and not kind.has(member):
                return False
        self.seen = value
        return True


class _Plain:
    """Of numbers."""

    seen = _NOTHING

    def __init__(self, value: object) -> None:
        self.type = type(value)

    def has(self, value: Any) -> bool:
        return type(value) is self.type


class _Others:
    """Of whatever else: Numba is to look at them."""

    seen = _NOTHING

    def has(self, value: Any) -> bool:
        return False


def _kind_of(value: object) -> _Kind:
    if isinstance(value, tuple):
        return _Tuples(value)
    if isinstance(value, np.ndarray):
        return _Arrays(value) if _flags_of(value).carray else _Others()
    return _Plain(value) if isinstance(value, bool | int | float | np.integer) else _Others()


class Entry:
    """A function that Numba compiled, for arguments of the types of those before."""

    _all: "list[Entry]" = []

    def __init__(self, compiled: Any) -> None:
        self.compiled = compiled
        self.known: tuple[Sequence[_Kind], Callable[..., Any]] = (), compiled
        functools.update_wrapper(self, compiled)
        self._all.append(self)

    def __call__(self, *arguments: Any) -> Any:
        kinds, code = self.known
        if len(arguments) != len(kinds):
            return self._met(arguments)
        for kind, argument in zip(kinds, arguments):  # noqa: B905  # as long as each other
            if argument is not kind.seen and not kind.has(argument):
                return self._met(arguments)
        return code(*arguments)

    def _met(self, arguments: tuple[Any, ...]) -> Any:
        """Others than before: Numba looks at them, and compiles what it has to."""
        answer = self.compiled(*arguments)
        signatures = self.compiled.signatures
        if len(signatures) == 1:  # where there are more, Numba is to choose, every time
            self.known = [_kind_of(argument) for argument in arguments], self.compiled.get_overload(signatures[0])
        else:
            self.known = (), self.compiled
        return answer

    @classmethod
    def forget(cls) -> None:
        """Keep none of the arrays that were met."""
        for entry in cls._all:
            entry.known = (), entry.compiled
