"""How commands speak: sentences and exit codes for what goes wrong, progress, JSON, a folder for runs."""

import json
import os
import signal
import sys
import threading
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from engine.policy.yaml_source import DocumentError
from scenarios.exits import Exit, UsageError

TRACEBACK = "WINDTUNNEL_TRACEBACK"  # =1 shows where an unexpected error came from


_asked_to_stop = threading.Event()


def complain(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def guarded(action: Callable[[], int]) -> int:
    """Turn what can go wrong into a sentence and an exit code; no traceback unless it is asked for."""
    try:
        with heard_interrupts():
            code = action()
        sys.stdout.flush()
        return code
    except DocumentError as error:
        complain(str(error))
        count = len(error.problems)
        complain(f"{count} problem{'s' if count > 1 else ''}; nothing was run.")
        return Exit.WRONG_USE
    except (UsageError, OverflowError) as error:
        complain(str(error))
        return Exit.WRONG_USE
    except KeyboardInterrupt:
        complain("stopped; a run that had not ended is not kept")
        return Exit.STOPPED
    except BrokenPipeError:  # whoever read our output has seen enough: `windtunnel explain … | head`
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        return Exit.FINE
    except AssertionError as error:
        return unexpected("an invariant is broken", error, Exit.INVARIANT_BROKEN)
    except OSError as error:
        return unexpected(f"{error.filename or 'file'}", error, Exit.HARNESS_ERROR)
    except Exception as error:
        return unexpected(f"unexpected {type(error).__name__}", error, Exit.HARNESS_ERROR)


@contextmanager
def heard_interrupts() -> Iterator[None]:
    """Ctrl-C is remembered besides being raised: raised inside a callback of the compiler it would be swallowed."""
    _asked_to_stop.clear()
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def hear(number: int, frame: Any) -> None:
        _asked_to_stop.set()
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGINT, hear)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


def unexpected(what: str, error: Exception, code: Exit) -> int:
    """One line, and how to get the rest."""
    if os.environ.get(TRACEBACK) == "1":
        traceback.print_exception(error)
    lines = [line.strip() for line in str(error).splitlines() if line.strip()] or ["no message"]
    sentence = lines[-1] if "Traceback" in str(error) or "ray::" in lines[0] else lines[0]
    complain(f"{what}: {sentence}")
    complain(f"nothing was written; {TRACEBACK}=1 before the command shows where, please report it with that")
    return code


def print_json(value: Any) -> None:
    print(json.dumps(value, ensure_ascii=False, allow_nan=False))


@contextmanager
def progress(title: str) -> Iterator[Callable[[float], None]]:
    """A bar with the time left on standard error; yields a function that takes the share done."""
    console = Console(stderr=True)
    bar = Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        TaskProgressColumn(),
        TimeElapsedColumn(),
        TextColumn("left"),
        TimeRemainingColumn(),
        console=console,
        disable=not console.is_terminal,
        transient=True,
    )
    with bar:
        task = bar.add_task(title, total=1.0)

        def tell(share: float) -> None:
            if _asked_to_stop.is_set():
                raise KeyboardInterrupt
            bar.update(task, completed=share)

        yield tell


@contextmanager
def folder_for_runs(out: Path) -> Iterator[None]:
    """Refuses what cannot hold runs before anything runs; takes away a new folder in which no run came to be."""
    existing = next(folder for folder in (out, *out.absolute().parents) if folder.exists())
    if not existing.is_dir():
        raise UsageError(f"--out must be a folder (got {out}, where {existing} is a file)")
    if not os.access(existing, os.W_OK):
        raise UsageError(f"--out must be a folder that can be written (got {out})")
    try:
        yield
    finally:
        if existing != out and out.is_dir() and not any(out.iterdir()):
            out.rmdir()


def warm_up(tell: Callable[[float], None]) -> None:
    """Compile once in this process, before any worker starts; the first time takes about a minute."""
    from engine.compiled import OF_RUNS, is_compiled

    if not is_compiled(OF_RUNS):
        complain("compiling the engine for this machine (once, about a minute) …")
    tell(0.0)
