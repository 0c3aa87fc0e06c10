"""The accumulated state of torchmetrics, which the `state_dict` of a module leaves out.

All private names of torchmetrics that are used are here. They are checked when the first metric is used.
"""

from __future__ import annotations

import sys
from functools import cache
from typing import Any

from ._private_names import Private, View, require

SUPPORTED = "0.11 to 1.9"


class _Metric(View):
    states = Private("_defaults")
    updates = Private("_update_count")
    computed = Private("_computed")


class _Collection(View):
    is_grouped = Private("_groups_checked")
    groups = Private("_groups")


def check() -> None:
    """Check torchmetrics, once, if it is imported.

    Raises:
        HoldfastError: it lacks a private name.
    """
    library = sys.modules.get("torchmetrics")
    if library is not None:
        _check(library)


@cache
def _check(library: Any) -> None:
    views = (_Metric(library.MeanMetric()), _Collection(library.MetricCollection([])))
    missing = [name for view in views for name in view.missing(library.__version__)]
    require("torchmetrics", library.__version__, SUPPORTED, missing)


def state_names(metric: Any) -> frozenset[str]:
    """Return the names of the states that a metric accumulates."""
    return frozenset(_Metric(metric).states)


def metrics_of(module: Any) -> dict[str, Any]:
    """Return the metrics in a module, by name; "" is the module itself."""
    torchmetrics = sys.modules.get("torchmetrics")
    if torchmetrics is None:
        return {}
    found = {name: part for name, part in module.named_modules() if isinstance(part, torchmetrics.Metric)}
    if found:
        check()
    return found


def metrics_state(module: Any) -> dict[str, Any]:
    """Return the accumulated state of all metrics in a module, by name."""
    leaders = _leaders(module)
    return {name: metric_state(leaders.get(id(one), one)) for name, one in metrics_of(module).items()}


def load_metrics_state(module: Any, saved: dict[str, Any], *, strict: bool = True) -> None:
    """Restore the accumulated state of a module's metrics, on their current devices.

    Args:
        module: the module.
        saved: what `metrics_state` returned.
        strict: whether a metric of another kind is an error; else it starts from its initial state.
    """
    for name, metric in metrics_of(module).items():
        if name in saved and (strict or saved[name]["states"].keys() == state_names(metric)):
            load_metric_state(metric, moved(saved[name], metric.device))


def metric_state(metric: Any) -> dict[str, Any]:
    """Return the accumulated state of a metric, persistent or not."""
    view = _Metric(metric)
    return {
        "states": {name: _copied(getattr(metric, name)) for name in view.states},
        "updates": view.updates,
        "computed": view.computed,
    }


def load_metric_state(metric: Any, saved: dict[str, Any]) -> None:
    """Restore the accumulated state of a metric."""
    view = _Metric(metric)
    for name, value in saved["states"].items():
        if name not in view.states:
            raise ValueError(f"a {type(metric).__name__} has no state '{name}'")
        setattr(metric, name, value)
    view.updates = saved["updates"]
    view.computed = saved["computed"]


def moved(value: Any, device: Any) -> Any:
    """Return a state with all tensors copied to a device, because metrics change in place."""
    if isinstance(value, dict):
        return {name: moved(member, device) for name, member in value.items()}
    if isinstance(value, list):
        return [moved(member, device) for member in value]
    return value.to(device, copy=True) if hasattr(value, "device") else value


def _leaders(module: Any) -> dict[int, Any]:
    """Return, by id, the metric that is updated on behalf of another one in its compute group.

    A collection updates only one of the metrics that accumulate the same state; the others are synchronized
    when they are read.
    """
    leaders = {}
    collection_type = sys.modules["torchmetrics"].MetricCollection if "torchmetrics" in sys.modules else ()
    for collection in module.modules():
        if isinstance(collection, collection_type) and _Collection(collection).is_grouped:
            for first, *others in _Collection(collection).groups.values():
                for other in others:
                    leaders[id(getattr(collection, other))] = getattr(collection, first)
    return leaders


def _copied(value: Any) -> Any:
    # Lists grow in place. Tensors are replaced or changed; callers that store them copy them.
    return list(value) if isinstance(value, list) else value
