"""What is accumulated over an epoch: logged values and torchmetrics, which Lightning's checkpoints leave out.

Without it an epoch's means would be those of the batches after the resume alone, and whatever follows them
(plateau schedulers, early stopping, the best checkpoint) would go another way.
"""

from __future__ import annotations

import sys
from typing import Any

from .._errors import HoldfastError

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


def metrics_of(module: Any) -> dict[str, Any]:
    """Return the torchmetrics of a module, by name."""
    torchmetrics = sys.modules.get("torchmetrics")
    if torchmetrics is None:
        return {}
    return {
        name: part for name, part in module.named_modules() if isinstance(part, torchmetrics.Metric) and name
    }


def metric_state(metric: Any) -> dict[str, Any]:
    """Return what a metric has accumulated, persistent or not."""
    return {
        "states": {name: _copied(getattr(metric, name)) for name in metric._defaults},
        "updates": metric._update_count,
        "computed": getattr(metric, "_computed", None),
    }


def load_metric_state(metric: Any, saved: dict[str, Any]) -> None:
    """Let a metric go on from what it had accumulated."""
    for name, value in saved["states"].items():
        if name not in metric._defaults:
            raise ValueError(f"a {type(metric).__name__} has no state '{name}'")
        setattr(metric, name, value)
    metric._update_count = saved["updates"]
    metric._computed = saved["computed"]


def _copied(value: Any) -> Any:
    # Lists grow in place; tensors of a metric are replaced or changed, and are copied where they are held.
    return list(value) if isinstance(value, list) else value


def results_state(results: Any) -> dict[str, Any]:
    """Return what `self.log` has accumulated in a result collection."""
    saved = {}
    for key, result in results.items():
        if isinstance(result, dict):
            raise HoldfastError(f"cannot save '{key}': a dict was logged as one", hint="use self.log_dict()")
        meta = result.meta
        saved[key] = {
            "meta": {name: getattr(meta, name) for name in _META},
            "reduce": meta.reduce_fx.__name__,
            "sync": meta.sync.should,
            "rank_zero_only": meta.sync.rank_zero_only,
            "is_tensor": result.is_tensor,
            "has_reset": result.has_reset,
            "forward": result._forward_cache if result.is_tensor else None,
            "state": metric_state(result) if result.is_tensor else None,
        }
    return saved


def load_results_state(results: Any, saved: dict[str, Any], trainer: Any) -> None:
    """Make the results of a collection again."""
    library = sys.modules[type(results).__module__]
    metrics = metrics_of(trainer.lightning_module)
    for key, one in saved.items():
        meta = library._Metadata(reduce_fx=one["reduce"], **one["meta"])
        meta.sync = library._Sync(
            _should=one["sync"], fn=trainer.strategy.reduce, rank_zero_only=one["rank_zero_only"]
        )
        result = library._ResultMetric(meta, one["is_tensor"]).to(trainer.lightning_module.device)
        if one["is_tensor"]:
            load_metric_state(result, _moved(one["state"], trainer.lightning_module.device))
            result._forward_cache = one["forward"]
        elif meta.metric_attribute in metrics:
            result.value = metrics[meta.metric_attribute]
        else:
            continue
        result.has_reset = one["has_reset"]
        results[key] = result


def _moved(value: Any, device: Any) -> Any:
    if isinstance(value, dict):
        return {name: _moved(member, device) for name, member in value.items()}
    if isinstance(value, list):
        return [_moved(member, device) for member in value]
    return value.to(device) if hasattr(value, "device") else value
