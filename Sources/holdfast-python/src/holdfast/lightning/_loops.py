"""Two points of Lightning's training loop that no hook of its callbacks reaches.

`on_train_batch_end` is too early for a step: the batch is not counted yet, the module's own hook and other
callbacks' come after it, and the loggers' counter later still. `on_train_epoch_start` is too early to put
accumulated metrics back: hooks that run after it reset them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from .._run import Run
from ._state import TrainerState

if TYPE_CHECKING:
    from ._callback import Holdfast

_WRAPPED = ("on_run_start", "on_advance_end")


class EpochLoop:
    """Wraps the two methods of one trainer's epoch loop."""

    def __init__(self, trainer: Any, run: Run, state: TrainerState, callback: Holdfast) -> None:
        self._trainer = trainer
        self._run = run
        self._state = state
        self._callback = callback
        self._loop = trainer.fit_loop.epoch_loop
        self._begins_with_validation = False
        self._known_metrics: dict[str, Any] = {}
        self._original = {name: getattr(self._loop, name) for name in _WRAPPED}
        for name in _WRAPPED:
            setattr(self._loop, name, getattr(self, name))

    def remove(self) -> None:
        """Leave the loop as it was."""
        for name in _WRAPPED:
            vars(self._loop).pop(name, None)

    def on_run_start(self, *arguments: Any) -> None:
        """Put back what the hooks before the first batch of a resumed epoch have changed."""
        self._original["on_run_start"](*arguments)
        loop = self._loop
        if not loop.restarting or self._run.resumed_from is None:
            return
        # 2.5 and later call no `on_train_epoch_start` in a resumed epoch.
        self._callback._resumes = False
        self._state.restore_extra()
        self._known_metrics = dict(self._trainer._logger_connector._callback_metrics)
        self._begins_with_validation = bool(loop._should_check_val_fx(*self._fetcher(arguments)))
        # Lightning leaves plateau schedulers alone at the end of an epoch that was resumed, for want of
        # their metrics; those are here.
        self._trainer.fit_loop._restarting = False
        # The validation loop's own counters are of the last one that ended: it begins anew.
        loop.val_loop.restarting = False
        if hasattr(loop.val_loop, "dataloader_progress"):
            # By which 1.9 would think at the end of an epoch that it has validated already.
            loop.val_loop.dataloader_progress.reset_on_run()
        loop._restarting = self._begins_with_validation
        self._run._before_batch()

    def _fetcher(self, arguments: tuple[Any, ...]) -> tuple[Any, ...]:
        # 1.9 gives the fetcher to `on_run_start` alone.
        return arguments if self._loop._should_check_val_fx.__code__.co_argcount > 1 else ()

    def on_advance_end(self, *arguments: Any) -> None:
        """Make the step of the batch that has just been counted, if it was an optimizer's."""
        resumed, self._begins_with_validation = self._begins_with_validation, False
        loop, run = self._loop, self._run
        if resumed:
            # 2.5 and later take a state in which all counters agree for one from after validation.
            loop._skip_next_val = False
        is_step = not loop._should_accumulate() and not resumed
        is_due = resumed or bool(loop._should_check_val_fx(*arguments))
        metrics = self._metrics() if is_step and run.is_supervised else {}
        if is_step and is_due:
            run.step(metrics)
        if is_due and not any(loader.outstanding for loader in run._loaders):
            # What validation and its callbacks change is not in the state that a resume begins with.
            run._after_pass()
        self._original["on_advance_end"](*arguments)
        if is_step and not is_due:
            run.step(metrics)

    def _metrics(self) -> dict[str, float]:
        """Return what this step logged, and what validation has logged since the last one."""
        own = self._loop._results.metrics(True)["callback"]
        known = self._known_metrics
        everything = self._trainer._logger_connector._callback_metrics
        fresh = {name: value for name, value in everything.items() if known.get(name) is not value}
        self._known_metrics = dict(everything)
        return {name: float(value) for name, value in {**fresh, **own}.items()}
