"""`StochasticWeightAveraging` in a run that resumes after its last epoch, where it creates no scheduler."""

from __future__ import annotations

from typing import Any

from . import _compatibility


def create_schedulers(trainer: Any, saved: dict[str, Any]) -> None:
    """Replace the trainer's scheduler as the callback would.

    Before a resume the callback removes the trainer's scheduler. It creates its own at the beginning of an
    epoch, but not after its last epoch, and not if no epoch begins.

    Args:
        trainer: the trainer.
        saved: the states of its callbacks, by key.
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
            # 1.9 supports several optimizers.
            config.opt_idx = 0
        trainer.lr_scheduler_configs[:] = [config]
