"""A trainer's state: its own checkpoint, and what that leaves out.

Lightning's checkpoint has the module, the optimizers, the schedulers, the callbacks, the precision plugin
and the progress of the loops. It is taken only where the loops' counters agree, so that none of them has to
be corrected. Beside it are kept: what is accumulated over the epoch, the metrics that callbacks look at,
the wish to stop, what `ModelCheckpoint` does not save of itself, plain attributes of callbacks and module,
the module's own tensors, what loggers have written, and gradients under manual optimization.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

from .. import _gradients, _torchmetrics
from .._components import without_functions
from .._registry import register_type
from .._run import Run
from . import _averaging, _logged, _module_state
from ._attributes import Attributes
from ._loggers import Loggers
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
    """What is saved of one fit, and put back."""

    def __init__(self, trainer: Any, module: Any, run: Run, seed: int) -> None:
        self.trainer = trainer
        self.module = module
        self.run = run
        self.seed = seed
        self.saving = Saving(trainer, run)
        self.loggers = Loggers(trainer, run)
        self.attributes = Attributes(trainer, module)
        # Before the loops run there is nothing to save, and parts of the trainer are missing.
        self.is_running = False
        self._checkpoint: dict[str, Any] = {}
        self._extra: dict[str, Any] | None = None

    def dump(self) -> tuple[Any, dict[str, Any]]:
        """Return the module's state, and the rest."""
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
        return model, {"checkpoint": checkpoint, "extra": self._dump_extra(model)}

    def _dump_extra(self, model: Any) -> dict[str, Any]:
        trainer, module = self.trainer, self.module
        loop, connector = trainer.fit_loop.epoch_loop, trainer._logger_connector
        return {
            "seed": self.seed,
            "recorded": list(self.run._metrics.names),
            "results": _logged.results_state(loop._results),
            "metrics": _torchmetrics.metrics_state(module),
            "logged": {name: dict(getattr(connector, name)) for name in _METRICS},
            "connector": {name: getattr(connector, name) for name in _CONNECTOR if hasattr(connector, name)},
            "should_stop": trainer.should_stop,
            "accumulate": trainer.accumulate_grad_batches,
            "max_batches": _max_batches(trainer),
            "reload_epoch": _reloads(trainer)._last_train_dl_reload_epoch,
            "saving": self.saving.state(),
            "loggers": self.loggers.state(),
            "module": _module_state.state_of(module, model),
            "attributes": self.attributes.state(),
            "gradients": _gradients.state_of(module, with_values=not module.automatic_optimization),
        }

    def take(self, model: Any, rest: dict[str, Any], later: frozenset[str]) -> None:
        """Take a saved state, to go on from or to give back; `later` is of `Loggers.take`."""
        self._extra = rest["extra"]
        self._checkpoint = {**rest["checkpoint"], "state_dict": model}
        self.seed = rest["extra"]["seed"]
        self.loggers.take(rest["extra"].get("loggers", {}), later)
        self.saving.began = rest["extra"]["saving"]["began"]

    @property
    def global_step(self) -> int:
        """Optimizer steps of the saved state, as Lightning counts them."""
        return int(self._checkpoint.get("global_step", 0))

    def give(self) -> dict[str, Any]:
        """Return the checkpoint to go on from, for the trainer's own connector."""
        package = sys.modules[type(self.trainer).__module__.rpartition(".trainer.")[0]]
        migrate = sys.modules[f"{package.__name__}.utilities.migration.utils"]._pl_migrate_checkpoint
        checkpoint = dict(self._checkpoint)
        if isinstance(checkpoint["state_dict"], dict):
            checkpoint["state_dict"] = _module_state.without_masks(self.module, checkpoint["state_dict"])
        return dict(migrate(checkpoint))

    def put_back(self) -> None:
        """Put back what the trainer's checkpoint leaves out, and what hooks changed since it was loaded."""
        extra, checkpoint, self._extra, self._checkpoint = self._extra, self._checkpoint, None, {}
        if extra is None:
            return
        trainer, module = self.trainer, self.module
        connector = trainer._logger_connector
        _averaging.make_schedulers(trainer, checkpoint["callbacks"])
        if "module" in extra:
            _module_state.load(module, extra["module"])
        if len(trainer.optimizers) == len(checkpoint["optimizer_states"]):
            for optimizer, state in zip(trainer.optimizers, checkpoint["optimizer_states"]):
                optimizer.load_state_dict(state)
        for config, state in zip(trainer.lr_scheduler_configs, checkpoint["lr_schedulers"]):
            config.scheduler.load_state_dict(state)
        # Replayed steps are compared with what was recorded: in the same columns.
        self.run._metrics.numbers(dict.fromkeys(extra["recorded"], float("nan")))
        _logged.load_results_state(trainer.fit_loop.epoch_loop._results, extra["results"], trainer)
        _torchmetrics.load_metrics_state(module, extra["metrics"])
        for name in _METRICS:
            metrics = getattr(connector, name)
            metrics.clear()
            metrics.update(extra["logged"][name])
        for name, value in extra["connector"].items():
            setattr(connector, name, value)
        trainer.should_stop = extra["should_stop"]
        if "accumulate" in extra:
            trainer.accumulate_grad_batches = extra["accumulate"]
        _reloads(trainer)._last_train_dl_reload_epoch = extra["reload_epoch"]
        if "attributes" in extra:
            self.attributes.load(extra["attributes"])
        self.saving.load(extra["saving"])
        self.loggers.put_back()
        _gradients.load(module, extra.get("gradients", b""), with_frozen="module" in extra)

    def put_back_at_end(self) -> None:
        """Put back how a fit ended whose loops did not run again."""
        extra, checkpoint = self._extra, self._checkpoint
        assert extra is not None
        trainer = self.trainer
        loop = trainer.fit_loop
        self.put_back()
        loop.load_state_dict(checkpoint["loops"]["fit_loop"])
        for one in _loops(loop):
            one._restarting = False
            for name in ("_loaded_from_state_dict", "_resuming_from_checkpoint"):
                if hasattr(one, name):
                    setattr(one, name, False)
        if "max_batches" in extra and "max_batches" in vars(loop):
            loop.max_batches = extra["max_batches"]


def _max_batches(trainer: Any) -> Any:
    return getattr(trainer.fit_loop, "max_batches", None)


def _loops(loop: Any) -> list[Any]:
    """Return a loop and all in it."""
    inner = [value for value in vars(loop).values() if hasattr(value, "_restarting")]
    return [loop, *(one for each in inner for one in _loops(each))]


def _reloads(trainer: Any) -> Any:
    """Return who remembers when the loaders were made: the fit loop, in 1.9 the trainer."""
    return trainer if hasattr(trainer, "_last_train_dl_reload_epoch") else trainer.fit_loop
