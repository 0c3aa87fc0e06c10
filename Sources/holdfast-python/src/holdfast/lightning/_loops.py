"""Points of Lightning's training loops that no hook of its callbacks reaches.

`on_train_batch_end` is too early for a step: the batch is not counted yet, the module's own hook and other
callbacks' come after it, and the loggers' counter later still. `on_train_epoch_start` is too early to restore
accumulated metrics: hooks that run after it reset them. And 2.5 and later leave `on_train_epoch_start`
out in a resumed epoch, where callbacks set themselves up: it is called here as in older versions, and in an
undisturbed run.
"""

from __future__ import annotations

from typing import Any

from .._run import Run
from . import _compatibility as compatibility
from ._state import TrainerState


class EpochLoop:
    """Wraps two methods of one trainer's epoch loop, and one of its fit loop."""

    def __init__(self, trainer: Any, run: Run, state: TrainerState, callback: Any) -> None:
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
        self._own = compatibility.EpochLoop(self._loop)
        wrapped = compatibility.EPOCH_LOOP_METHODS
        self._original = {name: getattr(self._loop, name) for name in wrapped}
        for name in wrapped:
            setattr(self._loop, name, getattr(self, name))
        fit_loop = trainer.fit_loop
        self._on_advance_start = fit_loop.on_advance_start
        fit_loop.on_advance_start = self.on_advance_start

    def remove(self) -> None:
        """Leave the loop as it was."""
        for name in compatibility.EPOCH_LOOP_METHODS:
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
        fit_loop = compatibility.FitLoop(self._trainer.fit_loop)
        skips = fit_loop.is_resumed_in_epoch or fit_loop.is_resumed_at_end
        self._on_advance_start()
        if skips and self._state.resumes:
            compatibility.call_epoch_start_hooks(self._trainer)

    def on_run_start(self, *arguments: Any) -> None:
        """Restore what the hooks before the first batch of a resumed epoch have changed."""
        self._original["on_run_start"](*arguments)
        loop = self._loop
        if self._is_tuner:
            return
        is_first, self._is_started = not self._is_started, True
        if is_first:
            self._state.attributes.started()
            self._state.check_restored()
        if not is_first or not loop.restarting or self._run.resumed_from is None:
            return
        self._end_last_step()
        self._state.resumes = False
        self._state.restore_rest()
        self._known_metrics = dict(compatibility.callback_metrics(self._trainer))
        fetcher = compatibility.fetcher(loop, arguments)
        self._begins_with_validation = bool(self._own.is_validation_due(*fetcher))
        # Lightning leaves plateau schedulers alone at the end of an epoch that was resumed, for want of
        # their metrics; those are here.
        compatibility.FitLoop(self._trainer.fit_loop).is_restarting = False
        # The validation loop's own counters are of the last one that ended: it begins anew.
        loop.val_loop.restarting = False
        if hasattr(loop.val_loop, "dataloader_progress"):
            # By which 1.9 would think at the end of an epoch that it has validated already.
            loop.val_loop.dataloader_progress.reset_on_run()
        self._own.is_restarting = self._begins_with_validation
        self._run._loop.before_batch()
        if self._begins_with_validation and self._trainer.should_stop:
            # Done already: the loop would leave out the validation that made it stop, or that follows it.
            self._own.is_restarting = False
            self.on_advance_end(*fetcher)
            if hasattr(loop, "on_iteration_done"):
                loop.on_iteration_done()

    def on_advance_end(self, *arguments: Any) -> None:
        """Make the step of the batch that has just been counted, if it was an optimizer's."""
        resumed, self._begins_with_validation = self._begins_with_validation, False
        run = self._run
        if self._is_tuner:
            self._original["on_advance_end"](*arguments)
            return
        if resumed:
            # 2.5 and later take a state in which all counters agree for one from after validation.
            self._own.skips_validation = False
        has_stepped = not self._own.accumulates()
        is_step = has_stepped and not resumed
        is_due = resumed or bool(self._own.is_validation_due(*arguments))
        # The batch's row is written, and is counted only after validation.
        self._state.loggers.is_row_uncounted = has_stepped and is_due
        metrics = self._metrics() if is_step and run.is_supervised else {}
        if is_step and is_due:
            run.step(metrics)
        if is_due and not any(loader.outstanding for loader in run._registered.loaders):
            # What validation and its callbacks change is not in the state that a resume begins with.
            run._loop.after_pass()
        self._original["on_advance_end"](*arguments)
        self._state.loggers.is_row_uncounted = False
        if is_step and not is_due:
            run.step(metrics)

    def _metrics(self) -> dict[str, float]:
        """Return what this step logged, and what validation has logged since the last one."""
        own = self._own.results.metrics(True)["callback"]
        known = self._known_metrics
        everything = compatibility.callback_metrics(self._trainer)
        fresh = {name: value for name, value in everything.items() if known.get(name) is not value}
        self._known_metrics = dict(everything)
        return {name: float(value) for name, value in {**fresh, **own}.items()}
