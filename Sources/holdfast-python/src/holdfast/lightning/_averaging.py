"""`StochasticWeightAveraging` in a run that resumes after its last epoch, without a scheduler there."""

from __future__ import annotations

import sys
from typing import Any


def make_schedulers(trainer: Any, saved: dict[str, Any]) -> None:
    """Give the trainer the scheduler that the callback put in the place of its own.

    The callback takes the trainer's own away before a resume, and makes its scheduler at the beginning of an
    epoch, but not of the one that follows its last, nor where no epoch begins.

    Args:
        trainer: whose callbacks.
        saved: their states by key.
    """
    for callback in trainer.callbacks:
        kinds = [cls for cls in type(callback).__mro__ if cls.__name__ == "StochasticWeightAveraging"]
        if not kinds or callback._swa_scheduler is not None:
            continue
        state = saved.get(callback.state_key, {}).get("scheduler_state")
        if state is None:
            continue
        library = sys.modules[kinds[0].__module__]
        optimizer, rates = trainer.optimizers[0], callback._swa_lrs
        if isinstance(rates, float):
            rates = callback._swa_lrs = [rates] * len(optimizer.param_groups)
        for rate, group in zip(rates, optimizer.param_groups):
            group["initial_lr"] = rate
        callback._swa_scheduler = library.SWALR(
            optimizer,
            swa_lr=rates,
            anneal_epochs=callback._annealing_epochs,
            anneal_strategy=callback._annealing_strategy,
            last_epoch=trainer.max_epochs if callback._annealing_strategy == "cos" else -1,
        )
        callback._swa_scheduler.load_state_dict(state)
        config = library.LRSchedulerConfig(callback._swa_scheduler)
        if hasattr(config, "opt_idx"):
            # 1.9 has several optimizers.
            config.opt_idx = 0
        trainer.lr_scheduler_configs[:] = [config]
