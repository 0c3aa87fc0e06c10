"""Points of Lightning's training loops that no hook of its callbacks reaches.

`on_train_batch_end` is too early for a step: the batch is not counted yet, the module's own hook and other
callbacks' come after it, and the loggers' counter later still. `on_train_epoch_start` is too early to put
accumulated metrics back: hooks that run after it reset them. And 2.5 and later leave `on_train_epoch_start`
out in a resumed epoch, where callbacks set themselves up: it is called here as in older versions, and in an
undisturbed run.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

from .._run import Run
from ._state import TrainerState

if TYPE_CHECKING:
    from ._callback import Holdfast

_WRAPPED = ("on_run_start", "on_advance_end")


class EpochLoop:
    """Wraps two methods of one trainer's epoch loop, and one of its fit loop."""

    def __init__(self, trainer: Any, run: Run, state: TrainerState, callback: Holdfast) -> None:
        self._trainer = trainer
        self._run = run
        self._state = state
        self._callback = callback
        self._loop = trainer.fit_loop.epoch_loop
        self._begins_with_validation = False
        # The limit that the last step reached.
        self._max_steps: int | None = None
        self._is_started = False
        self._known_metrics: dict[str, Any] = {}
        self._original = {name: getattr(self._loop, name) for name in _WRAPPED}
        for name in _WRAPPED:
            setattr(self._loop, name, getattr(self, name))
        fit_loop = trainer.fit_loop
        self._on_advance_start = fit_loop.on_advance_start
        fit_loop.on_advance_start = self.on_advance_start

    def remove(self) -> None:
        """Leave the loop as it was."""
        for name in _WRAPPED:
            vars(self._loop).pop(name, None)
        vars(self._trainer.fit_loop).pop("on_advance_start", None)
        self._end_last_step()

    @property
    def _is_tuner(self) -> bool:
        """Whether a tuner trains, in whose loops no step is one of the run's: it leaves all callbacks out."""
        return self._callback not in self._trainer.callbacks

    def let_last_step_end(self, global_step: int) -> None:
        """Let the fit loop begin, to make the end of the epoch in which `max_steps` were reached."""
        limit = self._loop.max_steps
        if limit is not None and 0 <= limit <= global_step:
            self._max_steps, self._loop.max_steps = limit, global_step + 1

    def _end_last_step(self) -> None:
        if self._max_steps is not None:
            self._loop.max_steps, self._max_steps = self._max_steps, None

    def on_advance_start(self) -> None:
        """Begin an epoch, also a resumed one, with the hooks that every epoch begins with."""
        fit_loop = self._trainer.fit_loop
        skips = any(
            getattr(fit_loop, name, False) for name in ("restarted_mid_epoch", "restarted_on_epoch_end")
        )
        self._on_advance_start()
        if skips and self._callback._resumes:
            package = type(self._trainer).__module__.rpartition(".trainer.")[0]
            call = sys.modules[f"{package}.trainer.call"]
            call._call_callback_hooks(self._trainer, "on_train_epoch_start")
            call._call_lightning_module_hook(self._trainer, "on_train_epoch_start")

    def on_run_start(self, *arguments: Any) -> None:
        """Put back what the hooks before the first batch of a resumed epoch have changed."""
        self._original["on_run_start"](*arguments)
        loop = self._loop
        if self._is_tuner:
            return
        is_first, self._is_started = not self._is_started, True
        if is_first:
            self._state.attributes.started()
        if not is_first or not loop.restarting or self._run.resumed_from is None:
            return
        self._end_last_step()
        self._callback._resumes = False
        self._state.put_back()
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
        if self._begins_with_validation and self._trainer.should_stop:
            # Done already: the loop would leave out the validation that made it stop, or that follows it.
            loop._restarting = False
            self.on_advance_end(*self._fetcher(arguments))
            if hasattr(loop, "on_iteration_done"):
                loop.on_iteration_done()

    def _fetcher(self, arguments: tuple[Any, ...]) -> tuple[Any, ...]:
        # 1.9 gives the fetcher to `on_run_start` alone.
        return arguments if self._loop._should_check_val_fx.__code__.co_argcount > 1 else ()

    def on_advance_end(self, *arguments: Any) -> None:
        """Make the step of the batch that has just been counted, if it was an optimizer's."""
        resumed, self._begins_with_validation = self._begins_with_validation, False
        loop, run = self._loop, self._run
        if self._is_tuner:
            self._original["on_advance_end"](*arguments)
            return
        if resumed:
            # 2.5 and later take a state in which all counters agree for one from after validation.
            loop._skip_next_val = False
        has_stepped = not loop._should_accumulate()
        is_step = has_stepped and not resumed
        is_due = resumed or bool(loop._should_check_val_fx(*arguments))
        # The batch's row is written, and is counted only after validation.
        self._state.loggers.is_row_uncounted = has_stepped and is_due
        metrics = self._metrics() if is_step and run.is_supervised else {}
        if is_step and is_due:
            run.step(metrics)
        if is_due and not any(loader.outstanding for loader in run._loaders):
            # What validation and its callbacks change is not in the state that a resume begins with.
            run._after_pass()
        self._original["on_advance_end"](*arguments)
        self._state.loggers.is_row_uncounted = False
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
