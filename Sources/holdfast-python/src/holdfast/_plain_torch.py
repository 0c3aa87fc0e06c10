"""States as plain values that `torch.load(..., weights_only=True)` accepts."""

from __future__ import annotations

import io
import pickle
from collections import Counter, OrderedDict, defaultdict, deque
from collections.abc import Mapping, Set
from pathlib import PurePath
from types import SimpleNamespace
from typing import Any

import torch

_SIMPLE = (type(None), bool, int, float, str)


class Plain:
    """Converts states. What the installed torch's loader accepts keeps its type.

    Attributes:
        as_text: paths of values that became text.
    """

    def __init__(self) -> None:
        self.as_text: list[str] = []
        self._accepted: dict[type, bool] = {}

    def value(self, value: Any, path: str = "") -> Any:
        """Return a value as plain ones."""
        cls = type(value)
        if cls in _SIMPLE:
            return value
        if isinstance(value, torch.Tensor):
            # Not as a Parameter: the checkpoint of a module contains tensors.
            return value.detach()
        if isinstance(value, (dict, Mapping)):
            return self._mapping(value, path)
        if isinstance(value, (list, tuple, deque, Set, range)):
            return self._sequence(value, path)
        return self._other(value, path)

    def _mapping(self, value: Any, path: str) -> Any:
        members = {
            self.value(key, f"{path}/{key}~key"): self.value(member, f"{path}/{key}".lstrip("/"))
            for key, member in value.items()
        }
        cls = type(value)
        if cls is OrderedDict or (cls is Counter and self._accepts(Counter())):
            return cls(members)
        if cls is defaultdict and self._accepts(defaultdict(value.default_factory), cls):
            return defaultdict(value.default_factory, members)
        return members

    def _sequence(self, value: Any, path: str) -> Any:
        values = [self.value(one, f"{path}/{index}".lstrip("/")) for index, one in enumerate(value)]
        cls = type(value)
        if cls is torch.Size:
            return torch.Size(values)
        if isinstance(value, tuple):
            return tuple(values)
        if cls in (set, frozenset) and self._accepts(cls()):
            return cls(values)
        return values

    def _other(self, value: Any, path: str) -> Any:
        for plain in (int, float, str):
            if isinstance(value, plain):
                return plain(value)
        if type(value).__module__ == "numpy" and hasattr(value, "item") and not hasattr(value, "__len__"):
            # A scalar; an array of no dimension is a tensor.
            return self.value(value.item(), path)
        if isinstance(value, (bytes, bytearray)) and not self._accepts(value, None):
            return torch.tensor(list(value), dtype=torch.uint8)
        if hasattr(value, "dtype") and hasattr(value, "__array__"):
            import numpy

            return self._array(numpy.asarray(value), path)
        if isinstance(value, PurePath):
            return str(value)
        if isinstance(value, SimpleNamespace) or type(value).__name__ == "Namespace":
            return self._mapping(vars(value), path)
        if self._accepts(value, None):
            return value
        self.as_text.append(path)
        return str(value)

    def _array(self, value: Any, path: str) -> Any:
        """Return an array of numpy, or of a framework that converts to one, as a tensor."""
        if value.dtype.type.__module__ == "ml_dtypes":
            dtype = getattr(torch, value.dtype.name, None)
            if isinstance(dtype, torch.dtype):
                data = torch.frombuffer(bytearray(value.tobytes()), dtype=torch.uint8)
                return data.view(dtype).view(value.shape)
        try:
            return torch.from_numpy(value.copy())
        except TypeError:
            return self.value(value.tolist(), path)

    def _accepts(self, value: Any, cls: Any = ...) -> bool:
        """Return whether the installed torch's loader accepts a small value.

        Args:
            value: an example.
            cls: the type for which this is remembered; None: for this value only.
        """
        cls = type(value) if cls is ... else cls
        if cls not in self._accepted:
            accepted = _is_accepted(value)
            if cls is None:
                return accepted
            self._accepted[cls] = accepted
        return self._accepted[cls]


def _is_accepted(value: Any) -> bool:
    data = io.BytesIO()
    try:
        torch.save(value, data)
        data.seek(0)
        torch.load(data, weights_only=True)
    except (pickle.PickleError, RuntimeError, AttributeError, TypeError):
        return False
    return True
