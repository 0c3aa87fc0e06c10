"""Which states are weights: those that consist of tensors alone, such as a model's."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from typing import Any


def are_weights(state: Any) -> bool:
    """Return whether a state is a tensor or an array, or consists of them alone, by name or in a list."""
    if isinstance(state, Mapping):
        return bool(state) and all(map(are_weights, state.values()))
    if type(state) in (list, tuple):
        return bool(state) and all(map(are_weights, state))
    numpy = sys.modules.get("numpy")
    if numpy is not None and isinstance(state, numpy.generic):
        return False
    return hasattr(state, "shape") and hasattr(state, "dtype")
