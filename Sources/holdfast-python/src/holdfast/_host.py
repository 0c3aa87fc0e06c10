"""Copies of what lies on accelerators of XLA, whose arrays other programs cannot open."""

from __future__ import annotations

import sys
from collections import OrderedDict, defaultdict
from typing import Any


def on_host(value: Any) -> Any:
    """Return a value with all arrays of JAX as numpy arrays, and all tensors of torch-xla on the CPU.

    Containers that have none are returned as they are. A typed random key of JAX becomes a dict of its data
    and the name of its implementation.
    """
    if isinstance(value, dict):
        members = {key: on_host(member) for key, member in value.items()}
        return value if _same(members.values(), value.values()) else _dict_like(value, members)
    if isinstance(value, (list, tuple)):
        elements = [on_host(element) for element in value]
        if _same(elements, value):
            return value
        if isinstance(value, tuple):
            return type(value)(*elements) if hasattr(value, "_fields") else tuple(elements)
        return elements
    if _is_jax(value):
        from . import jax

        return jax._on_host(value, ())
    if getattr(getattr(value, "device", None), "type", None) == "xla":
        return value.cpu()
    return value


def _is_jax(value: Any) -> bool:
    jax = sys.modules.get("jax")
    return jax is not None and isinstance(value, jax.Array)


def _same(one: Any, other: Any) -> bool:
    return all(first is second for first, second in zip(one, other))


def _dict_like(original: dict[Any, Any], members: dict[Any, Any]) -> dict[Any, Any]:
    if isinstance(original, OrderedDict):
        return OrderedDict(members)
    if isinstance(original, defaultdict):
        return defaultdict(original.default_factory, members)
    return members
