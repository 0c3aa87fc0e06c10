"""The callback that makes a `Trainer.fit` a run that can be killed at any moment.

Where it acts, in Lightning's own order (1.9 and 2.x; `docs/lightning.md` has all of it):

1. `setup`: attaches, and puts the saved state before the trainer's own connector, which loads it.
2. The loaders, as they are made: each becomes one whose order and position are the run's.
3. The epoch loop's `on_run_start`, after every `on_train_epoch_start`: what those hooks reset is put back.
4. The epoch loop's `on_advance_end`, after `on_train_batch_end` and once the batch is counted: the step. If
   validation is due the step comes before it, and a resume begins with validation; else after everything.
5. `on_fit_end`: the run is complete.
"""

from __future__ import annotations

from typing import Any

import torch
from torch.utils.data import DataLoader

from .. import _random
from .._attach import attach, attached
from .._components import has_state
from .._errors import HoldfastError
from .._loader import Loader
from .._run import Run
from . import _namespaces
from ._loops import EpochLoop
from ._state import TrainerState


class Holdfast:
    """Let a trainer's `fit` go on after any kill, in mid-epoch, with the same bits.

        trainer = Trainer(callbacks=[holdfast.lightning.Holdfast()])
        trainer.fit(model, loaders)
        # holdfast run --job digits -- python train.py

    Nothing else is needed: no `ckpt_path`, no loader of another kind. Without a supervisor the program runs
    to its end as it would, with the same order of batches. A step is an optimizer step. To register more
    that has state, call `holdfast.attach()` and `register()` before `fit`.

    Args:
        finish: whether the job is complete when `fit` is; else call `holdfast.attached().finish()` later,
            after a test or an export, say.

    Raises:
        HoldfastError: in `fit`: several processes, a second `fit` under the supervisor, or a state that
            does not fit the model.
    """

    def __new__(cls, *args: Any, **kwargs: Any) -> Holdfast:
        """Make the callback one of the Lightning that the program uses."""
        return object.__new__(_namespaces.mixed(cls, "callbacks", "Callback"))

    def __init__(self, *, finish: bool = True) -> None:
        self._finishes = finish
        self._run: Run | None = None
        self._state: TrainerState | None = None
        self._loop: EpochLoop | None = None
        self._resumes = False
        self._numbers: dict[str, int] = {}
        self._validated: dict[str, Any] = {}

    @property
    def run(self) -> Run:
        """The run, while `fit` goes on and after it."""
        if self._run is None:
            raise HoldfastError("there is no run before fit()", hint="read it in a hook, or after fit()")
        return self._run

    def setup(self, trainer: Any, pl_module: Any, stage: str) -> None:
        """Attach, and let the trainer restore what was saved."""
        if stage != "fit":
            return
        run = self._run = self._attach(trainer, pl_module)
        # After the last batch Lightning goes on with validation and the epoch's end, and so does a resume.
        run._defers_last_batch = False
        state = self._state = TrainerState(trainer, run, torch.initial_seed())
        run.register(model=state.model, trainer=state.rest)
        # Lightning makes more of the state after this: what is before the first step is staged later.
        run._stages_at_restore = False
        self._resumes = run.restore()
        if self._resumes:
            self._give_to_connector(trainer, state.give())
        self._wrap_loaders(trainer)
        self._loop = EpochLoop(trainer, run, state, self)
        self._numbers = {}

    def _attach(self, trainer: Any, module: Any) -> Run:
        run = attached()
        if run is None or run.is_finished or self._run is run or "trainer" in run._components:
            if run is not None and run.is_supervised:
                raise HoldfastError(
                    "this process has a run already, and a job is one fit()",
                    hint="give the other Trainer no Holdfast callback",
                )
            run = attach(hyperparameters=dict(getattr(module, "hparams", {})))
        if trainer.world_size != run.world_size:
            raise HoldfastError(
                f"the trainer has {trainer.world_size} processes, the supervisor knows of {run.world_size}",
                hint="Trainer(devices=1)",
            )
        return run

    def _give_to_connector(self, trainer: Any, checkpoint: dict[str, Any]) -> None:
        """Let the trainer's connector load this checkpoint, in place of `ckpt_path` if that was given."""
        connector = trainer._checkpoint_connector

        def resume_start(*_: Any, **__: Any) -> None:
            connector._loaded_checkpoint = checkpoint
            vars(connector).pop("resume_start")

        connector.resume_start = resume_start

    def _wrap_loaders(self, trainer: Any) -> None:
        connector = trainer._data_connector
        original = connector._prepare_dataloader

        def prepare(dataloader: Any, *args: Any, **kwargs: Any) -> Any:
            prepared = original(dataloader, *args, **kwargs)
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

    def on_sanity_check_start(self, trainer: Any, pl_module: Any) -> None:
        """Begin another series of loaders."""
        self._numbers = {}

    def on_train_start(self, trainer: Any, pl_module: Any) -> None:
        """Tell how long the run will be."""
        self._numbers = {}
        run, state = self.run, self._state
        assert state is not None
        if not run._loaders:
            # 1.9 shows its connector nothing but DataLoaders.
            raise _no_position("training loader")
        state.is_running = True
        if not self._resumes and trainer.global_step:
            # Started from a checkpoint of Lightning's own.
            run.global_step = run.optimizer_steps = trainer.global_step
        if trainer.max_epochs is not None and trainer.max_epochs > 0:
            run._announce(trainer.max_epochs, self._steps_per_epoch(trainer))
        if not self._resumes and run.global_step == 0:
            self._begin()

    def _begin(self) -> None:
        """Here training begins: stage the state, or go on from what the first attempt staged here."""
        run, state = self.run, self._state
        assert state is not None
        if run._at_beginning:
            state.begin()
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
            self.run._begin_epoch(trainer.current_epoch)

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

    def on_exception(self, trainer: Any, pl_module: Any, exception: BaseException) -> None:
        """Let an interrupt end the program: Lightning would go on after `fit` as if it were complete."""
        if isinstance(exception, KeyboardInterrupt) and self._run is not None and self._run.is_supervised:
            self._run._leaving = True
            raise SystemExit(130) from exception

    def on_fit_end(self, trainer: Any, pl_module: Any) -> None:
        """Say that the run is complete, if that is so."""
        if self._finishes:
            self.run.finish()

    def teardown(self, trainer: Any, pl_module: Any, stage: str) -> None:
        """Leave the trainer as it was."""
        if stage != "fit":
            return
        if self._loop is not None:
            self._loop.remove()
        if self._state is not None:
            self._state.saving.remove()
        vars(trainer._data_connector).pop("_prepare_dataloader", None)


def _no_position(what: str) -> HoldfastError:
    return HoldfastError(
        f"a {what} without state_dict has no position to resume at",
        hint="use a DataLoader, or let it have state_dict and load_state_dict",
    )
