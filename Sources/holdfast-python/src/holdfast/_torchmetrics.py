"""What torchmetrics have accumulated, which the `state_dict` of a module leaves out."""

from __future__ import annotations

import sys
from typing import Any


def metrics_of(module: Any) -> dict[str, Any]:
    """Return the torchmetrics in a module, by name; "" is the module itself."""
    torchmetrics = sys.modules.get("torchmetrics")
    if torchmetrics is None:
        return {}
    return {name: part for name, part in module.named_modules() if isinstance(part, torchmetrics.Metric)}


def metrics_state(module: Any) -> dict[str, Any]:
    """Return what all metrics in a module have accumulated, by name."""
    leaders = _leaders(module)
    return {name: metric_state(leaders.get(id(one), one)) for name, one in metrics_of(module).items()}


def load_metrics_state(module: Any, saved: dict[str, Any], *, strict: bool = True) -> None:
    """Let a module's metrics go on from what they had accumulated, on the devices where they are now.

    Args:
        module: whose metrics.
        saved: what `metrics_state` returned.
        strict: whether a metric that is another one now is an error; else it begins anew.
    """
    for name, metric in metrics_of(module).items():
        if name in saved and (strict or saved[name]["states"].keys() == metric._defaults.keys()):
            load_metric_state(metric, moved(saved[name], metric.device))


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


def moved(value: Any, device: Any) -> Any:
    """Return a state whose tensors are on a device, each of its own: metrics are changed in place."""
    if isinstance(value, dict):
        return {name: moved(member, device) for name, member in value.items()}
    if isinstance(value, list):
        return [moved(member, device) for member in value]
    return value.to(device, copy=True) if hasattr(value, "device") else value


def _leaders(module: Any) -> dict[int, Any]:
    """Return, by id, the metric that is updated in place of another of its collection's compute group.

    Collections update one metric of those that accumulate the same; the others follow when they are read.
    """
    leaders = {}
    collection_type = sys.modules["torchmetrics"].MetricCollection if "torchmetrics" in sys.modules else ()
    for collection in module.modules():
        if isinstance(collection, collection_type) and collection._groups_checked:
            for first, *others in collection._groups.values():
                for other in others:
                    leaders[id(getattr(collection, other))] = getattr(collection, first)
    return leaders


def _copied(value: Any) -> Any:
    # Lists grow in place; tensors of a metric are replaced or changed, and are copied where they are held.
    return list(value) if isinstance(value, list) else value
