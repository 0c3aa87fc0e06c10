"""A trainer's state: its own checkpoint, and what that leaves out.

Lightning's checkpoint contains the module, the optimizers, the schedulers, the callbacks, the precision
plugin and the progress of the loops. It is created only at points where the loops' counters agree, so that
none has to be corrected. Stored in addition: values accumulated over the epoch, the metrics for callbacks,
`should_stop`, what the state of `ModelCheckpoint` lacks, plain attributes of callbacks and module, the
module's own tensors, the state of loggers, and gradients under manual optimization.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from .. import _gradients, _torchmetrics
from .._components import without_functions
from .._errors import HoldfastError
from .._registry import register_type
from .._run import Run
from . import _averaging, _compatibility, _hparams, _logged, _module_state
from ._attributes import Attributes
from ._loggers import Loggers
from ._saving import Saving

# Callbacks store directories as paths.
register_type(type(Path()), str, Path, name="path")


class TrainerState:
    """The saved state of one fit."""

    def __init__(self, trainer: Any, module: Any, run: Run, seed: int) -> None:
        self.trainer = trainer
        self.module = module
        self.run = run
        self.seed = seed
        self.saving = Saving(trainer, run)
        self.loggers = Loggers(trainer, run)
        self.attributes = Attributes(trainer, module)
        # Before the loops run there is nothing to save, and parts of the trainer do not exist yet.
        self.is_running = False
        # Whether this fit resumes from a saved state, and its first epoch has not begun yet.
        self.resumes = False
        self._checkpoint: dict[str, Any] = {}
        self._extra: dict[str, Any] | None = None

    def dump(self) -> tuple[Any, dict[str, Any]]:
        """Return the module's state, and everything else."""
        checkpoint = _compatibility.dump_checkpoint(self.trainer)
        removed = _hparams.keep_savable(checkpoint)
        if removed:
            self.run._warn(
                f"checkpoints cannot contain these hyperparameters: {', '.join(removed)}; "
                "pass them to load_from_checkpoint"
            )
        # The run saves the positions of loaders itself.
        checkpoint["loops"]["fit_loop"]["state_dict"].pop("combined_loader", None)
        checkpoint["lr_schedulers"] = without_functions(checkpoint["lr_schedulers"])
        for state in checkpoint["callbacks"].values():
            # The state of StochasticWeightAveraging contains a scheduler of its own.
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
        """Use a saved state, to resume from or as the fit's result; for `later` see `Loggers.resume`."""
        self._extra = rest["extra"]
        self._checkpoint = {**rest["checkpoint"], "state_dict": model}
        self.seed = rest["extra"]["seed"]
        self.loggers.resume(rest["extra"].get("loggers", {}), later)
        self.saving.began = rest["extra"]["saving"]["began"]

    @property
    def global_step(self) -> int:
        """Number of optimizer steps of the saved state, as Lightning counts them."""
        return int(self._checkpoint.get("global_step", 0))

    def checkpoint(self) -> dict[str, Any]:
        """Return the checkpoint to resume from, for the trainer's own connector."""
        checkpoint = dict(self._checkpoint)
        if isinstance(checkpoint["state_dict"], dict):
            checkpoint["state_dict"] = _module_state.without_masks(self.module, checkpoint["state_dict"])
        return _compatibility.migrated(self.trainer, checkpoint)

    def check_restored(self) -> None:
        """Check at the first resumed batch that the loops have the progress of the saved state.

        Raises:
            HoldfastError: Lightning has not loaded it, and would repeat batches.
        """
        if self._extra is None:
            return
        saved = _compatibility.saved_progress(self._checkpoint)
        now = _compatibility.progress(self.trainer)
        wrong = [
            f"{what} {now[what]} instead of {count}" for what, count in saved.items() if now[what] != count
        ]
        if wrong:
            raise HoldfastError(
                f"Lightning did not restore the saved state: it begins at {', '.join(wrong)}",
                hint=f"use Lightning {_compatibility.SUPPORTED} with its own loops",
            )

    def restore_rest(self) -> None:
        """Restore what the trainer's checkpoint leaves out, and what hooks changed since it was loaded."""
        extra, checkpoint, self._extra, self._checkpoint = self._extra, self._checkpoint, None, {}
        if extra is None:
            return
        trainer, module = self.trainer, self.module
        _averaging.create_schedulers(trainer, checkpoint["callbacks"])
        if "module" in extra:
            _module_state.load(module, extra["module"])
        if len(trainer.optimizers) == len(checkpoint["optimizer_states"]):
            for optimizer, state in zip(trainer.optimizers, checkpoint["optimizer_states"]):
                optimizer.load_state_dict(state)
        for config, state in zip(trainer.lr_scheduler_configs, checkpoint["lr_schedulers"]):
            config.scheduler.load_state_dict(state)
        # Replayed steps are compared with recorded ones, so metrics need the same order.
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

    def adapt(self) -> None:
        """Change options of optimizers and schedulers that `--set` has changed since the saved state."""
        schedulers = [config.scheduler for config in self.trainer.lr_scheduler_configs]
        self.run._adapt([*self.trainer.optimizers, *schedulers])

    def restore_end(self) -> None:
        """Restore the final state of a fit whose loops did not run again."""
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
    """Return the result collection of `self.log` in training."""
    return _compatibility.EpochLoop(trainer.fit_loop.epoch_loop).results
