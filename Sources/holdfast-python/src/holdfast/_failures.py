"""Reports the end of the process to the supervisor: exceptions, early exits, fatal signals, stacks."""

from __future__ import annotations

import atexit
import faulthandler
import os
import signal
import sys
import weakref
from pathlib import Path
from types import TracebackType

from ._failure_record import encode_failure
from ._opening import replace_file
from ._run import Run

_run: weakref.ref[Run] | None = None
_owner = 0
_failed = False


def watch(run: Run) -> None:
    """Report the end of this process for an attached run. Hooks are installed once per process."""
    global _run, _owner, _failed
    first = _run is None
    _run = weakref.ref(run)
    _owner = os.getpid()
    _failed = False
    if first:
        previous = sys.excepthook

        def hook(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
            _report(kind, error, trace)
            previous(kind, error, trace)

        sys.excepthook = hook
        atexit.register(_at_exit)
        os.register_at_fork(after_in_child=_in_child)


def _current() -> Run | None:
    return _run() if _run is not None and os.getpid() == _owner else None


def _report(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    global _failed
    run = _current()
    _failed = True
    # Ctrl-C is a stop, not a failure of the program.
    if run is None or issubclass(kind, KeyboardInterrupt):
        return
    run._report_failure(encode_failure(kind, error, trace))


def _at_exit() -> None:
    run = _current()
    if run is None or not run.is_supervised or run.is_finished or run._is_exiting or _failed:
        return
    # Python stores the exception that ends the program, even if another hook has replaced this one.
    error = getattr(sys, "last_value", None)
    if error is not None:
        _report(type(error), error, error.__traceback__)
        return
    print(
        f"holdfast: this process exits at step {run._loop.step} before run.finish(); the supervisor will "
        "restart it, unless its exit status is 130 (interrupted)",
        file=sys.stderr,
        flush=True,
    )


def _in_child() -> None:
    run = _run() if _run is not None else None
    if run is not None:
        run._disconnect_in_child()


_stacks: tuple[int, int] | None = None
"""The signal for stacks and the descriptor of their file."""


def stacks_signal(directory: Path, local_rank: int) -> int | None:
    """Register a signal that writes the stacks of all threads to `stacks-<rank>` in the run directory.

    The supervisor sends it to a hung trainer before killing it. Python's handler is written in C, so it
    works even if the interpreter hangs.

    Returns:
        The signal's number; None if the program uses all candidates itself.
    """
    global _stacks
    if not faulthandler.is_enabled() and sys.stderr is not None:
        try:
            faulthandler.enable()
        except (OSError, ValueError, RuntimeError, AttributeError):
            return None  # Standard error is not a file: the stack of a fatal signal cannot be written.
    for candidate in (signal.SIGUSR2, signal.SIGRTMIN + 9, signal.SIGRTMIN + 10):
        if signal.getsignal(candidate) is signal.SIG_DFL:
            path = directory / f"stacks-{local_rank}"
            descriptor = replace_file(path, os.O_WRONLY)
            os.ftruncate(descriptor, 0)
            _stacks = (int(candidate), descriptor)
            faulthandler.register(candidate, file=descriptor, all_threads=True)
            return int(candidate)
    return None


def restore_stacks_signal() -> None:
    """Register the signal for stacks again.

    Lightning resets every signal's handler at the end of a fit to what `signal.getsignal` returned before
    it, which does not know handlers written in C.
    """
    if _stacks is None:
        return
    number, descriptor = _stacks
    if signal.getsignal(number) is signal.SIG_DFL:
        # Registering a registered signal does nothing.
        faulthandler.unregister(number)
        faulthandler.register(number, file=descriptor, all_threads=True)
