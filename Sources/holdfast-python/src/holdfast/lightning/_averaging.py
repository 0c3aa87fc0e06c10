"""`StochasticWeightAveraging` in a run that resumes after its last epoch, without a scheduler there."""

from __future__ import annotations

from typing import Any

from . import _compatibility


def make_schedulers(trainer: Any, saved: dict[str, Any]) -> None:
    """Give the trainer the scheduler that the callback put in the place of its own.

    The callback takes the trainer's own away before a resume, and makes its scheduler at the beginning of an
    epoch, but not of the one that follows its last, nor where no epoch begins.

    Args:
        trainer: whose callbacks.
        saved: their states by key.
    """
    for callback in trainer.callbacks:
        if not _compatibility.is_a(callback, "StochasticWeightAveraging"):
            continue
        averaging = _compatibility.StochasticWeightAveraging(callback)
        state = saved.get(callback.state_key, {}).get("scheduler_state")
        if averaging.scheduler is not None or state is None:
            continue
        library = _compatibility.averaging_library(callback)
        optimizer, rates = trainer.optimizers[0], averaging.rates
        if isinstance(rates, float):
            rates = averaging.rates = [rates] * len(optimizer.param_groups)
        for rate, group in zip(rates, optimizer.param_groups):
            group["initial_lr"] = rate
        scheduler = averaging.scheduler = library.SWALR(
            optimizer,
            swa_lr=rates,
            anneal_epochs=averaging.epochs,
            anneal_strategy=averaging.strategy,
            last_epoch=trainer.max_epochs if averaging.strategy == "cos" else -1,
        )
        scheduler.load_state_dict(state)
        config = library.LRSchedulerConfig(scheduler)
        if hasattr(config, "opt_idx"):
            # 1.9 has several optimizers.
            config.opt_idx = 0
        trainer.lr_scheduler_configs[:] = [config]
