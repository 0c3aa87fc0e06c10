"""A trainer's state: its own checkpoint, and what that leaves out.

Lightning's checkpoint has the module, the optimizers, the schedulers, the callbacks, the precision plugin
and the progress of the loops. It is made only where the loops' counters agree, so that none of them has to
be corrected. Stored beside it are: what is accumulated over the epoch, the metrics that callbacks look at,
the wish to stop, what `ModelCheckpoint` does not save of itself, plain attributes of callbacks and module,
the module's own tensors, what loggers have written, and gradients under manual optimization.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from .. import _gradients, _torchmetrics
from .._components import without_functions
from .._errors import HoldfastError
from .._registry import register_type
from .._run import Run
from . import _averaging, _compatibility, _logged, _module_state
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

# Callbacks keep the directories that they were given.
register_type(type(Path()), str, Path, name="path")


class TrainerState:
    """What is saved of one fit, and restored."""

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
        # This fit goes on from a saved state, and its first epoch has not begun yet.
        self.resumes = False
        self._checkpoint: dict[str, Any] = {}
        self._extra: dict[str, Any] | None = None

    def dump(self) -> tuple[Any, dict[str, Any]]:
        """Return the module's state, and the rest."""
        checkpoint = _compatibility.dump_checkpoint(self.trainer)
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
        return {
            "seed": self.seed,
            "recorded": list(self.run._metrics.names),
            "results": _logged.results_state(_results(trainer)),
            "metrics": _torchmetrics.metrics_state(module),
            "logged": {name: dict(one) for name, one in _compatibility.logged(trainer).items()},
            "connector": _compatibility.logging_position(trainer),
            "should_stop": trainer.should_stop,
            "accumulate": trainer.accumulate_grad_batches,
            "max_batches": _max_batches(trainer),
            "reload_epoch": _compatibility.loader_epoch(trainer),
            "saving": self.saving.state(),
            "loggers": self.loggers.state(),
            "module": _module_state.state_of(module, model),
            "attributes": self.attributes.state(),
            "gradients": _gradients.state_of(module, with_values=not module.automatic_optimization),
        }

    def use_saved(self, model: Any, rest: dict[str, Any], later: frozenset[str]) -> None:
        """Use a saved state, to go on from or as the fit's result; `later` is of `Loggers.resume`."""
        self._extra = rest["extra"]
        self._checkpoint = {**rest["checkpoint"], "state_dict": model}
        self.seed = rest["extra"]["seed"]
        self.loggers.resume(rest["extra"].get("loggers", {}), later)
        self.saving.began = rest["extra"]["saving"]["began"]

    @property
    def global_step(self) -> int:
        """Optimizer steps of the saved state, as Lightning counts them."""
        return int(self._checkpoint.get("global_step", 0))

    def checkpoint(self) -> dict[str, Any]:
        """Return the checkpoint to go on from, for the trainer's own connector."""
        checkpoint = dict(self._checkpoint)
        if isinstance(checkpoint["state_dict"], dict):
            checkpoint["state_dict"] = _module_state.without_masks(self.module, checkpoint["state_dict"])
        return _compatibility.migrated(self.trainer, checkpoint)

    def check_restored(self) -> None:
        """Check that the loops stand where the saved state does, when the first resumed batch begins.

        Raises:
            HoldfastError: Lightning has not loaded it, and would train the batches before it once more.
        """
        if self._extra is None:
            return
        saved = _compatibility.saved_progress(self._checkpoint)
        now = _compatibility.progress(self.trainer)
        wrong = [f"{what} {now[what]}, not {count}" for what, count in saved.items() if now[what] != count]
        if wrong:
            raise HoldfastError(
                f"Lightning did not restore the saved state: it begins at {', '.join(wrong)}",
                hint=f"use Lightning {_compatibility.SUPPORTED}, and its own loops",
            )

    def restore_rest(self) -> None:
        """Restore what the trainer's checkpoint leaves out, and what hooks changed since it was loaded."""
        extra, checkpoint, self._extra, self._checkpoint = self._extra, self._checkpoint, None, {}
        if extra is None:
            return
        trainer, module = self.trainer, self.module
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
        _logged.load_results_state(_results(trainer), extra["results"], trainer)
        _torchmetrics.load_metrics_state(module, extra["metrics"])
        for name, metrics in _compatibility.logged(trainer).items():
            metrics.clear()
            metrics.update(extra["logged"][name])
        _compatibility.set_logging_position(trainer, extra["connector"])
        trainer.should_stop = extra["should_stop"]
        if "accumulate" in extra:
            trainer.accumulate_grad_batches = extra["accumulate"]
        _compatibility.set_loader_epoch(trainer, extra["reload_epoch"])
        if "attributes" in extra:
            self.attributes.load(extra["attributes"])
        self.saving.load(extra["saving"])
        self.loggers.unmute()
        _gradients.load(module, extra.get("gradients", b""), with_frozen="module" in extra)

    def restore_end(self) -> None:
        """Restore how a fit ended whose loops did not run again."""
        extra, checkpoint = self._extra, self._checkpoint
        assert extra is not None
        trainer = self.trainer
        loop = trainer.fit_loop
        self.restore_rest()
        loop.load_state_dict(checkpoint["loops"]["fit_loop"])
        _compatibility.end_restarts(loop)
        if "max_batches" in extra and "max_batches" in vars(loop):
            loop.max_batches = extra["max_batches"]


def _max_batches(trainer: Any) -> Any:
    return getattr(trainer.fit_loop, "max_batches", None)


def _results(trainer: Any) -> Any:
    """Return what `self.log` has accumulated in training."""
    return _compatibility.EpochLoop(trainer.fit_loop.epoch_loop).results
