"""Points of Lightning's training loops where callbacks have no hook.

`on_train_batch_end` is too early for a step: the batch is not counted yet, the hooks of the module and of
other callbacks come later, and the loggers' counter is updated later still. `on_train_epoch_start` is too
early to restore accumulated metrics, because hooks that run after it reset them. And 2.5 and later skip
`on_train_epoch_start` in a resumed epoch, although callbacks initialize themselves there: it is called here,
as in older versions and in an uninterrupted run.
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
        # The original `max_steps`, if the last step has reached it.
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
        """Remove the wrappers."""
        for name in compatibility.EPOCH_LOOP_METHODS:
            vars(self._loop).pop(name, None)
        vars(self._trainer.fit_loop).pop("on_advance_start", None)
        self._restore_max_steps()

    @property
    def _is_tuner(self) -> bool:
        """Whether a tuner is training, which removes all callbacks: its steps do not belong to the run."""
        return self._callback not in self._trainer.callbacks

    def allow_last_epoch_end(self, global_step: int) -> None:
        """Allow the fit loop to run the end of the epoch in which `max_steps` was reached."""
        limit = self._loop.max_steps
        if limit is not None and 0 <= limit <= global_step:
            self._max_steps, self._loop.max_steps = limit, global_step + 1

    def _restore_max_steps(self) -> None:
        if self._max_steps is not None:
            self._loop.max_steps, self._max_steps = self._max_steps, None

    def on_advance_start(self) -> None:
        """Call the hooks at the beginning of an epoch, also of a resumed one."""
        fit_loop = compatibility.FitLoop(self._trainer.fit_loop)
        skips = fit_loop.is_resumed_in_epoch or fit_loop.is_resumed_at_end
        self._on_advance_start()
        if skips and self._state.resumes:
            compatibility.call_epoch_start_hooks(self._trainer)

    def on_run_start(self, *arguments: Any) -> None:
        """Restore what hooks have changed before the first batch of a resumed epoch."""
        self._original["on_run_start"](*arguments)
        loop = self._loop
        if self._is_tuner:
            return
        is_first, self._is_started = not self._is_started, True
        if is_first:
            self._state.attributes.record_start()
            self._state.check_restored()
        if not is_first or not loop.restarting or self._run.resumed_from is None:
            return
        self._restore_max_steps()
        self._state.resumes = False
        self._state.restore_rest()
        self._state.adapt()
        self._known_metrics = dict(compatibility.callback_metrics(self._trainer))
        fetcher = compatibility.fetcher(loop, arguments)
        self._begins_with_validation = bool(self._own.is_validation_due(*fetcher))
        # At the end of a resumed epoch Lightning does not step plateau schedulers, because it lacks their
        # metrics; here they have been restored.
        compatibility.FitLoop(self._trainer.fit_loop).is_restarting = False
        # The counters of the validation loop belong to the last completed validation: start a new one.
        loop.val_loop.restarting = False
        if hasattr(loop.val_loop, "dataloader_progress"):
            # Otherwise 1.9 would skip validation at the end of an epoch.
            loop.val_loop.dataloader_progress.reset_on_run()
        self._own.is_restarting = self._begins_with_validation
        self._run._loop.before_batch()
        if self._begins_with_validation and self._trainer.should_stop:
            # The loop would end at once and skip the validation that is due.
            self._own.is_restarting = False
            self.on_advance_end(*fetcher)
            if hasattr(loop, "on_iteration_done"):
                loop.on_iteration_done()

    def on_advance_end(self, *arguments: Any) -> None:
        """Record the step of the batch that has just been counted, if the optimizer has stepped."""
        resumed, self._begins_with_validation = self._begins_with_validation, False
        run = self._run
        if self._is_tuner:
            self._original["on_advance_end"](*arguments)
            return
        if resumed:
            # 2.5 and later treat a state in which all counters agree as one after validation.
            self._own.skips_validation = False
        has_stepped = not self._own.accumulates()
        is_step = has_stepped and not resumed
        is_due = resumed or bool(self._own.is_validation_due(*arguments))
        # The row of the batch is written, but is counted only after validation.
        self._state.loggers.is_row_uncounted = has_stepped and is_due
        metrics = self._metrics() if is_step and run.is_supervised else {}
        run._loop.is_last_batch = bool(self._trainer.is_last_batch)
        if is_step and is_due:
            run.step(metrics)
        if is_due and not any(loader.outstanding for loader in run._registered.loaders):
            # A resume begins with the state before validation and its callbacks change anything.
            run._loop.after_pass()
        self._original["on_advance_end"](*arguments)
        self._state.loggers.is_row_uncounted = False
        if is_step and not is_due:
            run.step(metrics)
        if run.is_supervised:
            self._end_validation(was_due=is_due)

    def _end_validation(self, *, was_due: bool) -> None:
        """Report the metrics of a validation, and save at the end of the epoch if that is requested."""
        if was_due:
            self._run.log(self._fresh_metrics())
        if self._run._loop.is_last_batch:
            self._run._save_after_epoch()

    def _metrics(self) -> dict[str, float]:
        """Return the metrics logged by this step, and by validation since the last step."""
        own = self._own.results.metrics(True)["callback"]
        fresh = self._fresh_metrics()
        self._known_metrics = dict(compatibility.callback_metrics(self._trainer))
        return {**fresh, **{name: float(value) for name, value in own.items()}}

    def _fresh_metrics(self) -> dict[str, float]:
        """Return the metrics that were logged since the last step."""
        known = self._known_metrics
        everything = compatibility.callback_metrics(self._trainer)
        return {name: float(value) for name, value in everything.items() if known.get(name) is not value}
