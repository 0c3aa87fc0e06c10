"""The values that `self.log` has accumulated over an epoch, which Lightning's checkpoints leave out.

Without them an epoch's means would cover only the batches after the resume, and everything that depends on
them (plateau schedulers, early stopping, the best checkpoint) would differ.
"""

from __future__ import annotations

from typing import Any

from .._errors import HoldfastError
from .._torchmetrics import load_metric_state, metric_state, metrics_of, moved
from . import _compatibility

_META = (
    "fx",
    "name",
    "prog_bar",
    "logger",
    "on_step",
    "on_epoch",
    "enable_graph",
    "add_dataloader_idx",
    "dataloader_idx",
    "metric_attribute",
)


def results_state(results: Any) -> dict[str, Any]:
    """Return the state of a result collection of `self.log`."""
    saved = {}
    for key, result in results.items():
        if isinstance(result, dict):
            raise HoldfastError(f"cannot save '{key}': it was logged as a dict", hint="use self.log_dict()")
        meta = result.meta
        saved[key] = {
            "meta": {name: getattr(meta, name) for name in _META},
            "reduce": meta.reduce_fx.__name__,
            "sync": meta.sync.should,
            "rank_zero_only": meta.sync.rank_zero_only,
            "is_tensor": result.is_tensor,
            "has_reset": result.has_reset,
            "forward": _compatibility.Result(result).forward if result.is_tensor else None,
            "state": metric_state(result) if result.is_tensor else None,
        }
    return saved


def load_results_state(results: Any, saved: dict[str, Any], trainer: Any) -> None:
    """Restore the state of a result collection."""
    metrics = metrics_of(trainer.lightning_module)
    for key, one in saved.items():
        result = _compatibility.new_result(
            trainer,
            one["meta"],
            reduce=one["reduce"],
            sync=one["sync"],
            rank_zero_only=one["rank_zero_only"],
            is_tensor=one["is_tensor"],
        ).to(trainer.lightning_module.device)
        if one["is_tensor"]:
            load_metric_state(result, moved(one["state"], trainer.lightning_module.device))
            _compatibility.Result(result).forward = one["forward"]
        elif result.meta.metric_attribute in metrics:
            result.value = metrics[result.meta.metric_attribute]
        else:
            continue
        result.has_reset = one["has_reset"]
        results[key] = result
