"""The callback that makes a program's fits a run that can be killed at any moment.

Where it acts, in Lightning's own order (1.9 and 2.x; `docs/lightning.md` has all of it):

1. When callbacks are given the module's `log`, before anything is set up: attaches, reads the resume point,
   and lets loggers go on in their files.
2. `setup`: puts the saved state before the trainer's own connector, which loads it.
3. The loaders, as they are made: each becomes one whose order and position are the run's.
4. The epoch loop's `on_run_start`, after every `on_train_epoch_start`: what those hooks reset is put back.
5. The epoch loop's `on_advance_end`, after `on_train_batch_end` and once the batch is counted: the step. If
   validation is due the step comes before it, and a resume begins with validation; else after everything.
6. The profiler's `describe`, the last call of a fit: its final state is held on to, and the run is finished,
   if no other fit follows.
"""

from __future__ import annotations

from typing import Any

import torch
from torch.utils.data import DataLoader

from .. import _random
from .._attach import attach, attached, will_resume
from .._components import has_state
from .._errors import HoldfastError
from .._loader import Loader
from .._run import Run
from . import _namespaces
from ._files import Configuration
from ._fits import OVER, RESUMED, Fits
from ._loggers import Loggers
from ._loops import EpochLoop
from ._state import TrainerState
from ._tuning import Tuning


class Holdfast:
    """Let a trainer's `fit` go on after any kill, in mid-epoch, with the same bits.

        trainer = Trainer(callbacks=[holdfast.lightning.Holdfast()])
        trainer.fit(model, loaders)
        # holdfast run --job digits -- python train.py

    Nothing else is needed: no `ckpt_path`, no loader of another kind. Without a supervisor the program runs
    to its end as it would, with the same order of batches. A step is an optimizer step. To register more
    that has state, call `holdfast.attach()` and `register()` before `fit`.

    A program may fit more than once, with one trainer or with several, each with a Holdfast callback: all of
    that is one job. A fit that had ended when the program was killed returns at once, with its final state.

    Args:
        finish: whether the job is complete when the last `fit` is, and the program ends with status 0; else
            call `holdfast.attached().finish()` later, after a test or an export, say.

    Raises:
        HoldfastError: in `fit`: several processes, a fit after one that failed, or a state that does not fit
            the model.
    """

    def __new__(cls, *args: Any, **kwargs: Any) -> Holdfast:
        """Make the callback one of the Lightning that the program uses."""
        return object.__new__(_namespaces.mixed(cls, "callbacks", "Callback"))

    def __init__(self, *, finish: bool = True) -> None:
        self._finishes = finish
        self._run: Run | None = None
        self._fits: Fits | None = None
        self._state: TrainerState | None = None
        self._loop: EpochLoop | None = None
        self._tuning: Tuning | None = None
        self._kept: Loggers | None = None
        self._begun_by: Any = None
        self._resumes = False
        self._is_over = False
        self._first_epoch = 0
        self._numbers: dict[str, int] = {}

    @property
    def run(self) -> Run:
        """The run, while `fit` goes on and after it."""
        if self._run is None:
            raise HoldfastError("there is no run before fit()", hint="read it in a hook, or after fit()")
        return self._run

    @property
    def log(self) -> Any:
        """The module's `log`, as every callback has it."""
        return self._log

    @log.setter
    def log(self, log: Any) -> None:
        # The first that a callback sees of a fit: loggers have made no files yet.
        self._log = log
        module = getattr(log, "__self__", None)
        if module is None:
            return
        # The module's own is a weak proxy.
        trainer = module.trainer.fit_loop.trainer
        if trainer.state.fn == "fit":
            self._begin(trainer, module)
            self._begun_by = module
        elif self._run is None and will_resume():
            # An evaluation before the first fit, with the same loggers.
            self._run = self._attach(trainer, module)
            self._keep_files(trainer, Fits.of(self._run))

    def _begin(self, trainer: Any, module: Any) -> None:
        self._remove(trainer)
        run = self._run = self._attach(trainer, module)
        # After the last batch Lightning goes on with validation and the epoch's end, and so does a resume.
        run._defers_last_batch = False
        seed = torch.initial_seed()
        fits = self._fits = Fits.of(run)
        self._tuning = Tuning(trainer, fits)
        if self._tuning.ends_early:
            # A tuner's own: no fit of the program.
            self._keep_files(trainer, fits)
            return
        state = self._state = TrainerState(trainer, module, run, seed)
        if fits.tuners:
            state.attributes.forget_module()
        how = fits.begin(state)
        self._resumes, self._is_over = how == RESUMED, how == OVER
        self._numbers = {}
        Configuration(trainer, run).allow(resumes=self._resumes or self._is_over)

    def _keep_files(self, trainer: Any, fits: Fits) -> None:
        """Let loggers keep what they have written in a fit that is still to come."""
        self._kept = Loggers(trainer, self.run)
        self._kept.take(*fits.upcoming_loggers())

    def _attach(self, trainer: Any, module: Any) -> Run:
        run = attached()
        is_other = run is not None and "trainer" in run._components and not Fits.has(run)
        if run is not None and run.is_supervised and is_other:
            raise HoldfastError(
                "the name 'trainer' is taken in this run",
                hint="register what has it under another name",
            )
        has_failed = run is not None and Fits.has(run) and not Fits.of(run).has_ended
        if run is None or (not run.is_supervised and (is_other or has_failed)):
            run = attach(hyperparameters=dict(getattr(module, "hparams", {})))
        if run.is_supervised:
            _namespaces.let_stops_be_told()
        if trainer.world_size != run.world_size:
            raise HoldfastError(
                f"the trainer has {trainer.world_size} processes, the supervisor knows of {run.world_size}",
                hint="Trainer(devices=1)",
            )
        return run

    def setup(self, trainer: Any, pl_module: Any, stage: str) -> None:
        """Let the trainer restore what was saved."""
        if self._kept is not None:
            self._kept.opened()
            self._kept.remove()
            self._kept = None
        if stage != "fit":
            return
        if self._begun_by is not pl_module:
            self._begin(trainer, pl_module)
        self._begun_by = None
        state, fits = self._state, self._fits
        assert fits is not None
        if state is None:
            return
        state.loggers.opened()
        if self._resumes or self._is_over:
            state.loggers.mute()
            self._give_to_connector(trainer, state.give())
        trainer.profiler.describe = self._described(trainer, trainer.profiler.describe)
        if self._is_over:
            trainer.fit_loop.run = _do_not_run
            return
        self._wrap_loaders(trainer)
        self._loop = EpochLoop(trainer, self.run, state, self)
        if self._resumes:
            self._loop.let_last_step_end(state.global_step)

    def _described(self, trainer: Any, original: Any) -> Any:
        def describe() -> None:
            original()
            self._end(trainer)

        return describe

    def _give_to_connector(self, trainer: Any, checkpoint: dict[str, Any]) -> None:
        """Let the trainer's connector load this checkpoint, in place of `ckpt_path` if that was given."""
        connector = trainer._checkpoint_connector
        for callback in trainer.callbacks:
            # It loads into an attribute that it does not have.
            if hasattr(callback, "running_mean") and not hasattr(callback, "running"):
                callback.running = callback.running_mean

        def resume_start(*_: Any, **__: Any) -> None:
            connector._loaded_checkpoint = checkpoint
            vars(connector).pop("resume_start")

        connector.resume_start = resume_start

    def _wrap_loaders(self, trainer: Any) -> None:
        connector = trainer._data_connector
        original = connector._prepare_dataloader

        def prepare(dataloader: Any, *args: Any, **kwargs: Any) -> Any:
            prepared = original(dataloader, *args, **kwargs)
            if self not in trainer.callbacks:
                # A tuner's.
                return prepared
            mode = kwargs.get("mode")
            return self._wrapped(prepared, str(getattr(mode, "value", mode)))

        connector._prepare_dataloader = prepare

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
                    "a training loader without a length has no position under Lightning, which reads ahead",
                    hint="give the dataset a __len__, or use the loop of holdfast.attach()",
                )
            run._loaders = [other for other in run._loaders if other.name != name]
            run._add_loader(wrapped)
        return wrapped

    # Where Lightning is

    def on_fit_start(self, trainer: Any, pl_module: Any) -> None:
        """Begin another series of loaders."""
        self._numbers = {}

    def on_sanity_check_start(self, trainer: Any, pl_module: Any) -> None:
        """Begin another series of loaders."""
        self._numbers = {}

    def on_train_start(self, trainer: Any, pl_module: Any) -> None:
        """Tell how long the run will be."""
        self._numbers = {}
        run, state, fits = self.run, self._state, self._fits
        assert state is not None
        assert fits is not None
        if not run._loaders:
            # 1.9 shows its connector nothing but DataLoaders.
            raise _no_position("training loader")
        state.is_running = True
        if not self._resumes and not fits.number and trainer.global_step:
            # Started from a checkpoint of Lightning's own.
            run.global_step = run.optimizer_steps = trainer.global_step
        if not self._resumes and run.global_step == 0:
            self._begin_training(state)
        # A later fit's epochs are counted on from those of the fits before it.
        self._first_epoch = 0
        if fits.number:
            self._first_epoch = run.epoch + (0 if self._resumes else 1) - trainer.current_epoch
        if trainer.max_epochs is not None and trainer.max_epochs > 0:
            run._announce(self._first_epoch + trainer.max_epochs, self._steps_per_epoch(trainer))

    def _begin_training(self, state: TrainerState) -> None:
        """Stage the state, or go on from what the first attempt staged here."""
        run = self.run
        if run._at_beginning:
            state.put_back()
            _random.set_streams(run._all_streams(), run._at_beginning)
            run._at_beginning = {}
        else:
            run._stage_initially()

    def _steps_per_epoch(self, trainer: Any) -> int | None:
        batches = trainer.num_training_batches
        return None if batches == float("inf") else -(-int(batches) // trainer.accumulate_grad_batches)

    def on_train_epoch_start(self, trainer: Any, pl_module: Any) -> None:
        """Begin an epoch, unless it is the one that the run resumed in."""
        self._numbers = {}
        if self._resumes:
            self._resumes = False
        else:
            self.run._begin_epoch(self._first_epoch + trainer.current_epoch)

    def on_validation_start(self, trainer: Any, pl_module: Any) -> None:
        """Let the supervisor's requests in."""
        self._numbers = {}
        if not trainer.sanity_checking and self._run is not None:
            self._run._phase = 1
            self._run.safepoint()

    def on_validation_batch_end(self, trainer: Any, *_: Any, **__: Any) -> None:
        """Show that the trainer lives."""
        if not trainer.sanity_checking and self._run is not None:
            self._run.safepoint()

    def on_validation_end(self, trainer: Any, pl_module: Any) -> None:
        """Train again."""
        if self._run is not None:
            self._run._phase = 0

    def on_test_batch_end(self, *_: Any, **__: Any) -> None:
        """Show that the trainer lives."""
        if self._run is not None:
            self._run.safepoint()

    def on_predict_batch_end(self, *_: Any, **__: Any) -> None:
        """Show that the trainer lives."""
        if self._run is not None:
            self._run.safepoint()

    def on_exception(self, trainer: Any, pl_module: Any, exception: BaseException) -> None:
        """Let an interrupt end the program: Lightning would go on after `fit` as if it were complete."""
        self._remove(trainer)
        if self._run is None or not self._run.is_supervised:
            return
        if isinstance(exception, KeyboardInterrupt):
            self._run._leaving = True
            raise SystemExit(130) from exception
        if isinstance(exception, SystemExit) and not exception.code and trainer.state.fn == "fit":
            # The supervisor may know of the end of an earlier fit, and would take this for that of all.
            raise SystemExit(1) from exception

    def _end(self, trainer: Any) -> None:
        """Hold on to the final state of a fit, which is what a killed program's next attempt begins with."""
        state, fits, run = self._state, self._fits, self.run
        assert state is not None
        assert fits is not None
        # Loaders have no position any more.
        run._loaders = [one for one in run._loaders if not one.name.startswith("train-")]
        run._sources = None
        run._captured = None
        was_over = self._is_over
        if was_over:
            state.put_back_at_end()
            fits.give_streams()
        else:
            fits.end(state)
        self._remove(trainer)
        if self._finishes and fits.is_last_over:
            run.finish()

    def teardown(self, trainer: Any, pl_module: Any, stage: str) -> None:
        """Leave the trainer as it was, where nothing of it has a fit's end to wait for."""
        if stage == "fit" and self._state is None:
            self._remove(trainer)

    def _remove(self, trainer: Any) -> None:
        """Leave the trainer as it was."""
        if self._loop is not None:
            self._loop.remove()
        if self._tuning is not None:
            self._tuning.remove()
        if self._state is not None:
            self._state.saving.remove()
            self._state.loggers.remove()
        vars(trainer._data_connector).pop("_prepare_dataloader", None)
        vars(trainer._checkpoint_connector).pop("resume_start", None)
        vars(trainer.fit_loop).pop("run", None)
        vars(trainer.profiler).pop("describe", None)
        self._loop = self._tuning = self._state = None
        self._is_over = False


def _do_not_run(*_: Any, **__: Any) -> None:
    """Stand for the loops of a fit that is over."""


def _no_position(what: str) -> HoldfastError:
    return HoldfastError(
        f"a {what} without state_dict has no position to resume at",
        hint="use a DataLoader, or let it have state_dict and load_state_dict",
    )
