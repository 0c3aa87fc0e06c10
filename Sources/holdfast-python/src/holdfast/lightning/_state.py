"""A trainer's state: its own checkpoint, and what that leaves out.

Lightning's checkpoint has the module, the optimizers, the schedulers, the callbacks, the precision plugin
and the progress of the loops. It is taken only where the loops' counters agree, so that none of them has to
be corrected. Beside it are kept: what is accumulated over the epoch, the metrics that callbacks look at,
the wish to stop, what `ModelCheckpoint` does not save of itself, and gradients under manual optimization.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any, Callable

from .. import _gradients, _torchmetrics
from .._components import without_functions
from .._registry import register_type
from .._run import Run
from . import _logged
from ._saving import Saving

# Of no use for a resume, and of any type.
_LEFT_OUT = (
    "hyper_parameters",
    "hparams_name",
    "hparams_type",
    "datamodule_hyper_parameters",
    "datamodule_hparams_name",
    "datamodule_hparams_type",
)
# Where logging stands, by which it is known what begins anew; the last three are of 1.9.
_CONNECTOR = ("_current_fx", "_first_loop_iter", "_epoch_end_reached", "_batch_idx", "_split_idx")
_METRICS = ("_callback_metrics", "_logged_metrics", "_progress_bar_metrics")

# Callbacks keep the directories that they were given.
register_type(type(Path()), str, Path, name="path")


class TrainerState:
    """The two components of a Lightning run: the module's weights, and all the rest."""

    def __init__(self, trainer: Any, run: Run, seed: int) -> None:
        self.trainer = trainer
        self.run = run
        self.seed = seed
        self.saving = Saving(trainer, run)
        # Before the loops run there is nothing to save, and parts of the trainer are missing.
        self.is_running = False
        self._rest: dict[str, Any] = {}
        self._loaded: dict[str, Any] = {}
        self._extra: dict[str, Any] | None = None
        self.model = _Component(self._dump, self._take_model)
        self.rest = _Component(lambda: self._rest, self._take_rest)

    def _dump(self) -> Any:
        if not self.is_running:
            self._rest = {}
            return {}
        checkpoint = self.trainer._checkpoint_connector.dump_checkpoint(weights_only=False)
        for key in _LEFT_OUT:
            checkpoint.pop(key, None)
        # The run has the loaders' positions itself.
        checkpoint["loops"]["fit_loop"]["state_dict"].pop("combined_loader", None)
        checkpoint["lr_schedulers"] = without_functions(checkpoint["lr_schedulers"])
        for state in checkpoint["callbacks"].values():
            # That of StochasticWeightAveraging has a scheduler of its own.
            if isinstance(state, dict) and "scheduler_state" in state:
                state["scheduler_state"] = without_functions(state["scheduler_state"])
        model = checkpoint.pop("state_dict")
        self._rest = {"checkpoint": checkpoint, "extra": self._dump_extra()}
        return model

    def _dump_extra(self) -> dict[str, Any]:
        trainer, module = self.trainer, self.trainer.lightning_module
        loop, connector = trainer.fit_loop.epoch_loop, trainer._logger_connector
        return {
            "seed": self.seed,
            "recorded": list(self.run._metrics.names),
            "results": _logged.results_state(loop._results),
            "metrics": _torchmetrics.metrics_state(module),
            "logged": {name: dict(getattr(connector, name)) for name in _METRICS},
            "connector": {name: getattr(connector, name) for name in _CONNECTOR if hasattr(connector, name)},
            "should_stop": trainer.should_stop,
            "reload_epoch": _reloads(trainer)._last_train_dl_reload_epoch,
            "saving": self.saving.state(),
            "gradients": _gradients.state_of(module, with_values=not module.automatic_optimization),
        }

    def _take_model(self, state: Any) -> None:
        self._loaded["state_dict"] = state

    def _take_rest(self, state: Any) -> None:
        if not state:
            self._loaded = {}
            return
        self._loaded.update(state["checkpoint"])
        self._extra = state["extra"]
        self.seed = state["extra"]["seed"]

    def give(self) -> dict[str, Any]:
        """Return the checkpoint to go on from, for the trainer's own connector; empty when there is none."""
        loaded, self._loaded = self._loaded, {}
        if loaded:
            package = sys.modules[type(self.trainer).__module__.rpartition(".trainer.")[0]]
            migrate = sys.modules[f"{package.__name__}.utilities.migration.utils"]._pl_migrate_checkpoint
            return dict(migrate(loaded))
        return loaded

    def begin(self) -> None:
        """Load what was staged before the first step: into what this trainer has made for its beginning."""
        loaded, self._loaded, self._extra = self._loaded, {}, None
        self.trainer.lightning_module.load_state_dict(loaded["state_dict"])
        for optimizer, saved in zip(self.trainer.optimizers, loaded["optimizer_states"]):
            optimizer.load_state_dict(saved)
        for config, saved in zip(self.trainer.lr_scheduler_configs, loaded["lr_schedulers"]):
            config.scheduler.load_state_dict(saved)

    def restore_extra(self) -> None:
        """Put back what the trainer's checkpoint leaves out; after the hooks that begin an epoch."""
        extra, self._extra = self._extra, None
        if extra is None:
            return
        trainer, module = self.trainer, self.trainer.lightning_module
        connector = trainer._logger_connector
        # Replayed steps are compared with what was recorded: in the same columns.
        self.run._metrics.numbers(dict.fromkeys(extra["recorded"], float("nan")))
        _logged.load_results_state(trainer.fit_loop.epoch_loop._results, extra["results"], trainer)
        _torchmetrics.load_metrics_state(module, extra["metrics"])
        for name in _METRICS:
            getattr(connector, name).update(extra["logged"][name])
        for name, value in extra["connector"].items():
            setattr(connector, name, value)
        trainer.should_stop = extra["should_stop"]
        _reloads(trainer)._last_train_dl_reload_epoch = extra["reload_epoch"]
        self.saving.load(extra["saving"])
        _gradients.load(module, extra.get("gradients", b""))


class _Component:
    """A state with the two methods that a run knows."""

    def __init__(self, save: Callable[[], Any], load: Callable[[Any], None]) -> None:
        self.state_dict = save
        self.load_state_dict = load


def _reloads(trainer: Any) -> Any:
    """Return who remembers when the loaders were made: the fit loop, in 1.9 the trainer."""
    return trainer if hasattr(trainer, "_last_train_dl_reload_epoch") else trainer.fit_loop
