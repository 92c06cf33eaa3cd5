"""How a command ends: exit codes, and the error that says it was used wrongly."""

from enum import IntEnum


class Exit(IntEnum):
    """Exit codes of the command line (DESIGN 8)."""

    FINE = 0
    WRONG_USE = 2
    MISSED = 10
    NOT_REACHED = 11
    SATURATED = 12
    INVARIANT_BROKEN = 13
    HARNESS_ERROR = 14
    STOPPED = 130


class UsageError(Exception):
    """The command was used wrongly; the message says what to do."""
