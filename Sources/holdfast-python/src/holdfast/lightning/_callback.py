"""The callback that turns a program's fits into a run that can be killed at any moment.

It acts at these points, in Lightning's order (1.9 and 2.x; `docs/lightning.md` has the full list):

1. When callbacks get the module's `log`, before anything is set up: attaches, reads the resume point, and
   lets loggers continue their files.
2. `setup`: passes the saved state to the trainer's own connector, which loads it.
3. The creation of loaders: each is wrapped in one whose order and position belong to the run.
4. The epoch loop's `on_run_start`, after every `on_train_epoch_start`: restores what those hooks reset.
5. The epoch loop's `on_advance_end`, after `on_train_batch_end` and once the batch is counted: the step. If
   validation is due, the step comes before it and a resume begins with validation; otherwise it comes last.
6. The profiler's `describe`, the last call of a fit: captures the final state, and finishes the run if no
   other fit follows.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from torch.utils.data import DataLoader

from .. import _failures, _random
from .._attach import attach, attached, will_resume
from .._changes import newest
from .._components import has_state
from .._errors import HoldfastError
from .._loader import Loader
from .._run import Run
from . import _compatibility, _hparams, _namespaces
from ._files import Configuration
from ._fits import OVER, RESUMED, Fits
from ._loggers import Loggers
from ._loops import EpochLoop
from ._state import TrainerState
from ._tuning import Tuning


class Holdfast:
    """Lets a trainer's `fit` resume after any kill, in mid-epoch, with bit-identical results.

        trainer = Trainer(callbacks=[holdfast.lightning.Holdfast()])
        trainer.fit(model, loaders)
        # holdfast run --job digits -- python train.py

    Nothing else is needed: no `ckpt_path`, no other loader. Without a supervisor the program runs to its end
    as usual, with the same order of batches. A step is an optimizer step. To register more objects with
    state, call `holdfast.attach()` and `register()` before `fit`.

    A program may call `fit` several times, with one or several trainers, each with its own Holdfast
    callback; together they are one job. A fit that was complete when the program was killed returns
    immediately, with its final state.

    Args:
        finish: whether the job is complete when the last `fit` is complete and the program exits with status
            0. If False, call `holdfast.attached().finish()` later, for example after a test or an export.

    Raises:
        HoldfastError: in `fit`: several processes, a fit after one that failed, or a state that does not fit
            the model.
    """

    def __new__(cls, *args: Any, **kwargs: Any) -> Holdfast:
        """Create the callback as a subclass of the Lightning package that the program uses."""
        return object.__new__(_namespaces.mixed(cls, "callbacks", "Callback"))

    def __init__(self, *, finish: bool = True) -> None:
        self._finishes = finish
        self._run: Run | None = None
        self._fits: Fits | None = None
        self._state: TrainerState | None = None
        self._loop: EpochLoop | None = None
        self._tuning: Tuning | None = None
        self._upcoming: Loggers | None = None
        self._begun_by: Any = None
        self._is_over = False
        self._first_epoch = 0
        self._numbers: dict[str, int] = {}

    @property
    def run(self) -> Run:
        """The run, during and after `fit`.

        Raises:
            HoldfastError: `fit` has not been called.
        """
        if self._run is None:
            raise HoldfastError("there is no run before fit()", hint="access it in a hook, or after fit()")
        return self._run

    @property
    def best_model_path(self) -> Path | None:
        """The best checkpoint by the first policy with `--keep-best`; see `Run.best_model_path`.

        None before `fit`, without a supervisor and without such a policy. After `fit` it waits for what is
        still being written.
        """
        return None if self._run is None else self._run.best_model_path

    @property
    def best_model_score(self) -> float | None:
        """The metric of `best_model_path`."""
        return None if self._run is None else self._run.best_model_score

    @property
    def best_k_models(self) -> dict[Path, float]:
        """The metrics of all checkpoints that this policy keeps, by path, best first."""
        return {} if self._run is None else self._run.best_k_models

    @property
    def _resumes(self) -> bool:
        return self._state is not None and self._state.resumes

    @property
    def log(self) -> Any:
        """The module's `log`, which Lightning sets on every callback."""
        return self._log

    @log.setter
    def log(self, log: Any) -> None:
        # The first point of a fit at which a callback is called: loggers have not created files yet.
        self._log = log
        module = getattr(log, "__self__", None)
        if module is None:
            return
        # `module.trainer` is a weak proxy.
        trainer = module.trainer.fit_loop.trainer
        if trainer.state.fn == "fit":
            self._begin(trainer, module)
            self._begun_by = module
        elif self._run is None and will_resume():
            # An evaluation before the first fit, with the same loggers.
            self._run = self._attach(trainer, module)
            self._resume_files(trainer, Fits.of(self._run))

    def _begin(self, trainer: Any, module: Any) -> None:
        _compatibility.check(trainer)
        self._remove(trainer)
        run = self._run = self._attach(trainer, module)
        # After the last batch Lightning continues with validation and the end of the epoch; so does a resume.
        run._loop.is_own = False
        run._is_loop_over = False
        seed = torch.initial_seed()
        fits = self._fits = Fits.of(run)
        fits.use_weights(module, is_set_up=False)
        self._tuning = Tuning(trainer, fits)
        if self._tuning.ends_early:
            # A fit of a tuner, not of the program.
            self._resume_files(trainer, fits)
            return
        state = self._state = TrainerState(trainer, module, run, seed)
        if fits.tuners:
            state.attributes.forget_module()
        how = fits.begin(state)
        state.resumes, self._is_over = how == RESUMED, how == OVER
        self._numbers = {}
        Configuration(trainer, run).allow(resumes=self._resumes or self._is_over)

    def _resume_files(self, trainer: Any, fits: Fits) -> None:
        """Let loggers continue their files before the next fit."""
        self._upcoming = Loggers(trainer, self.run)
        self._upcoming.resume(*fits.upcoming_loggers())

    def _attach(self, trainer: Any, module: Any) -> Run:
        run = attached()
        is_other = run is not None and "trainer" in run._registered.components and not Fits.has(run)
        if run is not None and run.is_supervised and is_other:
            raise HoldfastError(
                "the name 'trainer' is already in use in this run",
                hint="register that object under another name",
            )
        has_failed = run is not None and Fits.has(run) and not Fits.of(run).has_ended
        if run is None or (not run.is_supervised and (is_other or has_failed)):
            run = attach(hyperparameters=_hparams.of(trainer, module))
            _hparams.change(trainer, module, newest(run._changes))
        else:
            _hparams.change(trainer, module, newest(run._changes))
            run._add_hyperparameters(_hparams.of(trainer, module))
        if run.is_supervised:
            _namespaces.set_sigterm_exit_status()
        if trainer.world_size != run.world_size:
            raise HoldfastError(
                f"the trainer has {trainer.world_size} processes, but the job has {run.world_size}",
                hint="use Trainer(devices=1)",
            )
        return run

    def setup(self, trainer: Any, pl_module: Any, stage: str) -> None:
        """Make the trainer restore the saved state."""
        if self._upcoming is not None:
            self._upcoming.restore_rows()
            self._upcoming.remove()
            self._upcoming = None
        if stage != "fit":
            return
        if self._begun_by is not pl_module:
            self._begin(trainer, pl_module)
        self._begun_by = None
        state, fits = self._state, self._fits
        assert fits is not None
        if state is None:
            return
        state.loggers.restore_rows()
        if self._resumes or self._is_over:
            state.loggers.mute()
            self._load_when_resuming(trainer, state.checkpoint())
        trainer.profiler.describe = self._described(trainer, trainer.profiler.describe)
        if self._is_over:
            trainer.fit_loop.run = _do_not_run
            return
        self._wrap_loaders(trainer)
        self._loop = EpochLoop(trainer, self.run, state, self)
        if self._resumes:
            self._loop.allow_last_epoch_end(state.global_step)

    def _described(self, trainer: Any, original: Any) -> Any:
        def describe() -> None:
            original()
            self._end(trainer)

        return describe

    def _load_when_resuming(self, trainer: Any, checkpoint: dict[str, Any]) -> None:
        for callback in trainer.callbacks:
            # Such a callback loads its state into an attribute that it does not have.
            if hasattr(callback, "running_mean") and not hasattr(callback, "running"):
                callback.running = callback.running_mean
        _compatibility.load_when_resuming(trainer, checkpoint)

    def _wrap_loaders(self, trainer: Any) -> None:
        def wrap(loader: Any, stage: str) -> Any:
            # A tuner removes all callbacks, and its loaders do not belong to the run.
            return self._wrapped(loader, stage) if self in trainer.callbacks else loader

        _compatibility.wrap_loaders(trainer, wrap)

    def _wrapped(self, loader: Any, stage: str) -> Any:
        if isinstance(loader, Loader) or type(loader).__name__ == "CombinedLoader":
            return loader
        if not isinstance(loader, DataLoader) and not has_state(loader):
            if stage == "train":
                raise _no_position(type(loader).__qualname__)
            return loader
        run, state = self.run, self._state
        assert state is not None
        number = self._numbers.get(stage, 0)
        self._numbers[stage] = number + 1
        name = f"{stage}-{number}"
        seed = None if getattr(loader, "generator", None) is not None else state.seed + number
        wrapped = Loader(run, loader, name=name, seed=seed)
        # Validation always runs from its beginning: its loaders have no position to save.
        if stage == "train":
            if wrapped.total is None:
                raise HoldfastError(
                    "a training loader without a length has no position, because Lightning reads ahead",
                    hint="add __len__ to the dataset, or use a loop with holdfast.attach()",
                )
            run._registered.remove_loader(name)
            run._registered.add_loader(wrapped)
        return wrapped

    # Lightning's hooks

    def on_fit_start(self, trainer: Any, pl_module: Any) -> None:
        """Number loaders from 0 again, and load weights into layers that hooks have created."""
        self._numbers = {}
        if self._fits is not None:
            self._fits.use_weights(pl_module, is_set_up=True)

    def on_sanity_check_start(self, trainer: Any, pl_module: Any) -> None:
        """Number loaders from 0 again."""
        self._numbers = {}

    def on_train_start(self, trainer: Any, pl_module: Any) -> None:
        """Publish the length of the run."""
        self._numbers = {}
        run, state, fits = self.run, self._state, self._fits
        assert state is not None
        assert fits is not None
        if not run._registered.loaders:
            # 1.9 passes only DataLoaders to its connector.
            raise _no_position("training loader")
        state.is_running = True
        if not self._resumes and not fits.number and trainer.global_step:
            # The fit started from a Lightning checkpoint.
            run.global_step = run.optimizer_steps = trainer.global_step
        if not self._resumes and run.global_step == 0:
            self._begin_training(state)
        if self._resumes or run.global_step == 0:
            state.adapt()
        # Epoch numbers of a later fit continue those of the fits before it.
        self._first_epoch = 0
        if fits.number:
            self._first_epoch = run.epoch + (0 if self._resumes else 1) - trainer.current_epoch
        if trainer.max_epochs is not None and trainer.max_epochs > 0:
            run._announce(self._first_epoch + trainer.max_epochs, self._steps_per_epoch(trainer))

    def _begin_training(self, state: TrainerState) -> None:
        """Stage the state, or restore what the first attempt staged here."""
        run = self.run
        if run._initial_streams:
            state.restore_rest()
            _random.set_streams(run._registered.streams(), run._initial_streams)
            run._initial_streams = {}
        else:
            run._stage_initially()

    def _steps_per_epoch(self, trainer: Any) -> int | None:
        batches = trainer.num_training_batches
        return None if batches == float("inf") else -(-int(batches) // trainer.accumulate_grad_batches)

    def on_train_epoch_start(self, trainer: Any, pl_module: Any) -> None:
        """Begin an epoch, unless the run resumed in it."""
        self._numbers = {}
        if self._state is not None and self._state.resumes:
            self._state.resumes = False
        else:
            self.run._loop.begin_epoch(self._first_epoch + trainer.current_epoch)

    def on_validation_start(self, trainer: Any, pl_module: Any) -> None:
        """Answer the supervisor's requests."""
        self._numbers = {}
        if not trainer.sanity_checking and self._run is not None:
            self._run._phase = 1
            self._run.safepoint()

    def on_validation_batch_end(self, trainer: Any, *_: Any, **__: Any) -> None:
        """Show that the trainer is alive."""
        if not trainer.sanity_checking and self._run is not None:
            self._run.safepoint()

    def on_validation_end(self, trainer: Any, pl_module: Any) -> None:
        """Return to the training phase."""
        if self._run is not None:
            self._run._phase = 0

    def on_test_batch_end(self, *_: Any, **__: Any) -> None:
        """Show that the trainer is alive."""
        if self._run is not None:
            self._run.safepoint()

    def on_predict_batch_end(self, *_: Any, **__: Any) -> None:
        """Show that the trainer is alive."""
        if self._run is not None:
            self._run.safepoint()

    def on_exception(self, trainer: Any, pl_module: Any, exception: BaseException) -> None:
        """End the program at an interrupt: Lightning would continue after `fit` as if it were complete."""
        self._remove(trainer)
        _failures.restore_stacks_signal()
        if self._run is None or not self._run.is_supervised:
            return
        if isinstance(exception, KeyboardInterrupt):
            self._run._is_exiting = True
            raise SystemExit(130) from exception
        if isinstance(exception, SystemExit) and not exception.code and trainer.state.fn == "fit":
            # If an earlier fit has ended, the supervisor would treat this as the end of the job.
            raise SystemExit(1) from exception

    def _end(self, trainer: Any) -> None:
        """Capture the final state of a fit, which the next attempt of a killed program restores."""
        state, fits, run = self._state, self._fits, self.run
        assert state is not None
        assert fits is not None
        # The loaders' positions are no longer needed.
        for name in [one.name for one in run._registered.loaders if one.name.startswith("train-")]:
            run._registered.remove_loader(name)
        run._registered.forget_sources()
        run._loop.release_captured()
        run._is_loop_over = True
        was_over = self._is_over
        if was_over:
            state.restore_end()
            fits.restore_streams()
        else:
            fits.end(state)
        self._remove(trainer)
        if self._finishes and fits.is_last_over:
            run.finish()

    def teardown(self, trainer: Any, pl_module: Any, stage: str) -> None:
        """Restore the trainer, unless the end of the fit does that."""
        _failures.restore_stacks_signal()
        if stage == "fit" and self._state is None:
            self._remove(trainer)

    def _remove(self, trainer: Any) -> None:
        """Remove everything that was set on the trainer."""
        if self._loop is not None:
            self._loop.remove()
        if self._tuning is not None:
            self._tuning.remove()
        if self._state is not None:
            self._state.saving.remove()
            self._state.loggers.remove()
        _compatibility.unwrap_loaders(trainer)
        _compatibility.stop_loading(trainer)
        vars(trainer.fit_loop).pop("run", None)
        vars(trainer.profiler).pop("describe", None)
        self._loop = self._tuning = self._state = None
        self._is_over = False


def _do_not_run(*_: Any, **__: Any) -> None:
    """Replaces the loops of a fit that is already complete."""


def _no_position(what: str) -> HoldfastError:
    return HoldfastError(
        f"a {what} without state_dict has no position to resume from",
        hint="use a DataLoader, or implement state_dict and load_state_dict",
    )
