"""Plain attributes of callbacks, of the module and of the data module, which are in no `state_dict`.

Lightning's checkpoints leave out a list of outputs that is averaged at the end of an epoch, a counter, a flag
set by a hook. An attribute is saved if it contains only data and has changed since `fit` was called. Large
attributes that were set before the first batch are left out as long as they do not change.
"""

from __future__ import annotations

import math
import sys
import zlib
from collections import Counter, OrderedDict, deque
from typing import Any

import torch

from .._torch_compatibility import version_of
from .._torchmetrics import load_metric_state, metric_state, moved, state_names
from ._compatibility import CLOCKS

# Classes whose attributes belong to this process: clocks, progress bars, results of tuners.
_OWN = {
    "BatchSizeFinder",
    "DeviceStatsMonitor",
    "Holdfast",
    "LearningRateFinder",
    "ModelSummary",
    "ProgressBar",
    "ProgressBarBase",
    "SaveConfigCallback",
    "ThroughputMonitor",
    "Timer",
}
_CONTAINERS = (list, tuple, set, frozenset, deque)
_MAPPINGS = (dict, OrderedDict, Counter)
_SCALARS = (type(None), bool, int, float, complex, str, bytes, bytearray)
_LARGE_BYTES = 1 << 20
_COMPARED = 64

_Fingerprint = Any


class Attributes:
    """The attributes of one trainer's callbacks and of its module and data module."""

    def __init__(self, trainer: Any, module: Any) -> None:
        """Record the attributes when `fit` is called."""
        self._trainer = trainer
        self._module = module
        self._at_call = {place: _fingerprints(values) for place, values in self._places().items()}
        self._at_start: dict[str, dict[str, _Fingerprint]] = {}

    def forget_module(self) -> None:
        """Save all attributes of the module: a tuner trained it before `fit`, and does not run again."""
        self._at_call = {
            place: found for place, found in self._at_call.items() if not place.startswith("module")
        }

    def record_start(self) -> None:
        """Record the attributes before the first batch."""
        self._at_start = {place: _fingerprints(values) for place, values in self._places().items()}

    def state(self) -> dict[str, Any]:
        """Return what has changed."""
        saved: dict[str, Any] = {}
        for place, values in self._places().items():
            at_call, at_start = self._at_call.get(place, {}), self._at_start.get(place, {})
            changed = {}
            for name, value in values.items():
                size = _size(value)
                now = None if size is None else _fingerprint(value)
                if size is None or at_call.get(name, self) == now:
                    continue
                if size > _LARGE_BYTES and at_start.get(name, self) == now:
                    continue
                changed[name] = _detached(value)
            if changed:
                saved[place] = changed
        models = {
            place: {name: one.state_dict() for name, one in found.items()} for place, found in self._models()
        }
        metrics = {place: metric_state(metric) for place, metric in self._metrics().items()}
        return {"values": saved, "models": models, "metrics": metrics, "shared": self._shared()}

    def load(self, state: dict[str, Any]) -> None:
        """Restore what `state()` returned."""
        places = self._objects()
        for place, values in state["values"].items():
            target = places.get(place)
            if target is not None:
                for name, value in values.items():
                    _set(target, name, value)
        for place, found in self._models():
            for name, model in found.items():
                if name in state["models"].get(place, {}):
                    model.load_state_dict(state["models"][place][name])
        own = dict(self._module.named_parameters())
        for _, found in self._models():
            for name, model in found.items():
                for inner, one in model.named_parameters():
                    shared = state.get("shared", {}).get(f"{name}.{inner}")
                    if shared in own:
                        one.data = own[shared].data
        for place, metric in self._metrics().items():
            if place in state["metrics"]:
                load_metric_state(metric, moved(state["metrics"][place], metric.device))

    def _objects(self) -> dict[str, Any]:
        """Return all objects whose attributes are saved, by a name that is the same in each attempt."""
        objects: dict[str, Any] = {}
        for number, callback in enumerate(self._trainer.callbacks):
            if not any(cls.__name__ in _OWN for cls in type(callback).__mro__):
                objects[f"callback {number} {type(callback).__qualname__}"] = callback
        objects.update(self._metrics())
        for name, part in self._module.named_modules():
            objects[f"module {name}"] = part
        if getattr(self._trainer, "datamodule", None) is not None:
            objects["datamodule"] = self._trainer.datamodule
        return objects

    def _places(self) -> dict[str, dict[str, Any]]:
        return {
            place: {
                name: value
                for name, value in vars(target).items()
                if name not in _not_data(target) and name not in CLOCKS
            }
            for place, target in self._objects().items()
        }

    def _models(self) -> list[tuple[str, dict[str, Any]]]:
        """Return modules in callbacks that have no state of their own, such as an average of the weights."""
        own = {id(part) for part in self._module.modules()}
        found = []
        for place, target in self._objects().items():
            kinds: list[Any] = [cls for cls in type(target).__mro__ if cls.__name__ == "Callback"]
            # Both Lightning packages may be imported, each with its own class.
            if not kinds or type(target).state_dict is not kinds[0].state_dict:
                continue
            models = {
                name: model
                for attribute, value in vars(target).items()
                for name, model in _modules_in(attribute, value)
                if id(model) not in own and not _is_metric(model)
            }
            found.append((place, models))
        return found

    def _shared(self) -> dict[str, str]:
        """Return which of their parameters share memory with the module's, as those of `ModelPruning` do."""
        own = {one.data_ptr(): name for name, one in self._module.named_parameters() if one.numel()}
        return {
            f"{name}.{inner}": own[one.data_ptr()]
            for _, found in self._models()
            for name, model in found.items()
            for inner, one in model.named_parameters()
            if one.data_ptr() in own
        }

    def _metrics(self) -> dict[str, Any]:
        """Return the torchmetrics in callbacks."""
        return {
            f"callback {number} {name}/{inner}": part
            for number, callback in enumerate(self._trainer.callbacks)
            for name, value in vars(callback).items()
            if _is_metric(value)
            for inner, part in value.named_modules()
            if _is_metric(part)
        }


def _modules_in(name: str, value: Any) -> list[tuple[str, Any]]:
    """Return the modules in an attribute: `ModelPruning` stores the first weights of each layer in dicts."""
    if isinstance(value, torch.nn.Module):
        return [(name, value)]
    members = value.values() if type(value) is dict else value if type(value) in (list, tuple) else ()
    return [one for number, member in enumerate(members) for one in _modules_in(f"{name}/{number}", member)]


def _is_metric(value: Any) -> bool:
    library = sys.modules.get("torchmetrics")
    return library is not None and isinstance(value, library.Metric)


_not_data_of: dict[type, frozenset[str]] = {}


def _not_data(target: Any) -> frozenset[str]:
    """Return the names of attributes that a base class uses internally, or that are saved elsewhere."""
    for cls in type(target).__mro__:
        if cls.__name__ == "LightningModule" and cls.__module__.endswith("core.module"):
            return _names_of(cls) - {"training"}
        if cls.__name__ == "LightningDataModule" and cls.__module__.endswith("core.datamodule"):
            return _names_of(cls)
    if _is_metric(target):
        return _names_of(sys.modules["torchmetrics"].MeanMetric) | state_names(target)
    if isinstance(target, torch.nn.Module):
        return _names_of(torch.nn.Module) - {"training"}
    return frozenset(("log", "log_dict"))


def _names_of(cls: type) -> frozenset[str]:
    if cls not in _not_data_of:
        _not_data_of[cls] = frozenset(vars(cls()))
    return _not_data_of[cls]


def _set(target: Any, name: str, value: Any) -> None:
    present = vars(target).get(name)
    if type(present) is type(value) and type(value) in (list, dict, OrderedDict, Counter, set, deque):
        # In place, because other objects may reference it.
        present.clear()
        if isinstance(value, (list, deque)):
            present.extend(value)
        else:
            present.update(value)
        return
    vars(target)[name] = value


def _fingerprints(values: dict[str, Any]) -> dict[str, _Fingerprint]:
    return {name: _fingerprint(value) for name, value in values.items() if _size(value) is not None}


def _size(value: Any, depth: int = 0) -> int | None:
    """Return the approximate size of a value in bytes; None if it contains more than data."""
    kind = type(value)
    if kind in _SCALARS:
        return len(value) if kind in (str, bytes, bytearray) else 8
    if kind is torch.Tensor:
        return int(value.numel() * value.element_size()) if value.layout == torch.strided else None
    if depth > 16:
        return None
    if kind in _CONTAINERS or kind in _MAPPINGS:
        members = value if kind in _CONTAINERS else [one for pair in value.items() for one in pair]
        sizes = [_size(member, depth + 1) for member in members]
        return None if None in sizes else sum(size for size in sizes if size is not None)
    numpy = sys.modules.get("numpy")
    if numpy is not None and (kind is numpy.ndarray or isinstance(value, numpy.generic)):
        return int(value.nbytes) if value.dtype.kind in "biufc" else None
    return None


def _fingerprint(value: Any) -> _Fingerprint:
    """Return a value that differs if the argument differs."""
    kind = type(value)
    if kind is float and math.isnan(value):
        return (kind, "nan")
    if kind in _SCALARS:
        return (kind, bytes(value) if kind is bytearray else value)
    if kind is torch.Tensor:
        if value.numel() * value.element_size() > _LARGE_BYTES:
            return (value.data_ptr(), version_of(value), tuple(value.shape))
        data = value.detach().cpu().contiguous().view(-1)
        return (str(value.dtype), tuple(value.shape), zlib.crc32(_bytes(data)))
    if kind in (set, frozenset):
        return (kind, frozenset(map(_fingerprint, value)))
    if kind in _CONTAINERS:
        return (kind, tuple(map(_fingerprint, value)))
    if kind in _MAPPINGS:
        return (kind, tuple((_fingerprint(key), _fingerprint(member)) for key, member in value.items()))
    if value.nbytes > _LARGE_BYTES:
        sample = value.ravel()[:: max(1, value.size // _COMPARED)]
        return (id(value), value.shape, zlib.crc32(sample.tobytes()))
    return (str(value.dtype), value.shape, zlib.crc32(value.tobytes()))


def _bytes(data: Any) -> bytes:
    return bytes(data.view(torch.uint8).numpy()) if data.numel() else b""


def _detached(value: Any) -> Any:
    """Return a value without autograd graphs, in new containers."""
    kind = type(value)
    if kind is torch.Tensor:
        return value.detach()
    if kind is deque:
        return deque(map(_detached, value), value.maxlen)
    if kind in _CONTAINERS:
        return kind(map(_detached, value))
    if kind in _MAPPINGS:
        return kind((key, _detached(member)) for key, member in value.items())
    return value
