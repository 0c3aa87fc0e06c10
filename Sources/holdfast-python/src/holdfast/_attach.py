"""Attaching to the supervisor that started this process."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from . import _failures
from ._changes import newest
from ._documents import read_resume_file
from ._errors import HoldfastError
from ._hyperparameters import Recorded, is_same, overridden
from ._ring import RingWriter
from ._run import Run

_attached: Run | None = None


def attached() -> Run | None:
    """Return the run that this process attached last, or None."""
    return _attached


def will_resume() -> bool:
    """Return whether a supervisor started this process to continue from a saved state."""
    path = os.environ.get("HOLDFAST_RUN_DIR")
    return path is not None and read_resume_file(Path(path)).point is not None


def attach(
    hyperparameters: Mapping[str, Any] | None = None,
    *,
    overrides: Mapping[str, Any] | None = None,
    total_epochs: int | None = None,
    batches_per_epoch: int | None = None,
    rng: bool = True,
) -> Run:
    """Attach to the supervisor that started this process. Without a supervisor the run is standalone.

    Args:
        hyperparameters: stored with the job and in every checkpoint, such as `vars(args)`; nested ones
            too. Values that JSON cannot hold are stored as text, and a warning names them. Values that
            differ from those that the job started with take effect, and a warning names them. Values that
            `holdfast run --set` changed are replaced, in this mapping too: with `vars(args)`, `args.lr` is
            the new one.
        overrides: if given, a resumed job uses the hyperparameters that it started with, except for these.
            Members of nested ones are named with dots.
        total_epochs: number of epochs, if it is known here; `Run.epochs` publishes it too.
        batches_per_epoch: number of batches in an epoch, if it is known here.
        rng: whether each snapshot includes the global random streams of `random`, numpy and torch.

    Returns:
        The run, at step 0 until `Run.restore` (which `Run.epochs` calls).

    Raises:
        HoldfastError: the run directory is invalid, or another process is attached.
    """
    global _attached
    path = os.environ.get("HOLDFAST_RUN_DIR")
    if path is None:
        given, changed = Recorded(hyperparameters or {}), Recorded(overrides or {})
        run = Run(rng=rng)
        run.hyperparameters = overridden(given.values, changed.values)
        run._warn_about_text(given, changed)
        os.register_at_fork(after_in_child=run._disconnect_in_child)
        _attached = run
        return run
    directory = Path(path)
    resume = read_resume_file(directory)
    ring = RingWriter(directory)
    if resume.job_id != ring.identity.job_id or resume.attempt != ring.identity.attempt:
        raise HoldfastError(
            "resume.json belongs to another job or attempt",
            path=directory,
            hint="start the trainer with 'holdfast run', once per attempt",
        )
    run = Run(directory, ring, resume, rng=rng)
    run._use_changes(hyperparameters or {})
    given, changed = Recorded(hyperparameters or {}), Recorded(overrides or {})
    run.hyperparameters = _effective_hyperparameters(
        run, given.values, None if overrides is None else changed.values, resume.hyperparameters
    )
    run.hyperparameters.update(newest(resume.changes))
    run._warn_about_text(given, changed)
    record: dict[str, Any] = {
        "pid": os.getpid(),
        "library": "python",
        "hyperparameters": run.hyperparameters,
        "interpreter": sys.executable or None,
    }
    stacks = _failures.stacks_signal(directory, ring.identity.local_rank)
    if stacks is not None:
        record["stacks_signal"] = stacks
    if total_epochs is not None:
        record["total_epochs"] = total_epochs
    if batches_per_epoch is not None:
        record["batches_per_epoch"] = batches_per_epoch
        if total_epochs is not None:
            record["total_steps"] = batches_per_epoch * total_epochs
    run._publish_attached(record)
    _failures.watch(run)
    _attached = run
    return run


def _effective_hyperparameters(
    run: Run, given: dict[str, Any], overrides: dict[str, Any] | None, saved: dict[str, Any]
) -> dict[str, Any]:
    if overrides is not None:
        return overridden({**given, **saved}, overrides)
    for name in sorted(set(given) & set(saved) - {change.name for change in run._changes}):
        if not is_same(given[name], saved[name]):
            run._warn(f"hyperparameter '{name}' changed from {saved[name]!r} to {given[name]!r}")
    return {**saved, **given}
