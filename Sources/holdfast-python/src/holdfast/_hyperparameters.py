"""Hyperparameters as the records and manifests contain them: JSON values."""

from __future__ import annotations

import argparse
import dataclasses
import enum
import json
import math
import types
from collections.abc import Mapping, Sequence, Set
from pathlib import PurePath
from typing import Any

from ._documents import clean

_DEEPEST = 50
_LONGEST_TEXT = 1000


class Recorded:
    """Hyperparameters as JSON values.

    Attributes:
        values: by name.
        as_text: names, with the type, of values that JSON cannot hold, which are recorded as text.
    """

    def __init__(self, given: Mapping[str, Any]) -> None:
        self.as_text: list[str] = []
        self.values: dict[str, Any] = {
            clean(str(name)): self._value(value, str(name), 0) for name, value in given.items()
        }

    def _value(self, value: Any, path: str, depth: int) -> Any:
        found, single = _single(value)
        if found:
            return single
        if depth >= _DEEPEST:
            return self._text(value, path)
        members = _members(value)
        if members is not None:
            return {
                clean(str(key)): self._value(member, f"{path}.{key}", depth + 1)
                for key, member in members.items()
            }
        if isinstance(value, Set):
            value = sorted(value, key=repr)
        if isinstance(value, Sequence) and not isinstance(value, (bytes, bytearray, memoryview)):
            return [self._value(one, f"{path}[{index}]", depth + 1) for index, one in enumerate(value)]
        return self._text(value, path)

    def _text(self, value: Any, path: str) -> str:
        cls = type(value)
        self.as_text.append(f"{path} ({cls.__module__}.{cls.__qualname__})")
        try:
            return clean(str(value))[:_LONGEST_TEXT]
        except Exception:  # The program's own method.
            return f"{cls.__module__}.{cls.__qualname__}"


def _single(value: Any) -> tuple[bool, Any]:
    """Return whether a value is a single one, and its JSON value."""
    if value is None or isinstance(value, bool):
        return True, value
    if isinstance(value, enum.Enum):
        return _single(value.value)
    if isinstance(value, (str, PurePath)):
        return True, clean(str(value))
    if isinstance(value, int):
        return True, int(value) if -(1 << 63) <= value < 1 << 63 else str(int(value))
    if isinstance(value, float):
        # JSON has no NaN or infinity; the records contain them as text.
        return True, float(value) if math.isfinite(value) else str(float(value))
    # A scalar of numpy, or a tensor of zero dimensions.
    if getattr(value, "shape", None) == () and callable(getattr(value, "item", None)):
        single = value.item()
        return _single(single) if isinstance(single, (bool, int, float, str)) else (False, None)
    return False, None


def _members(value: Any) -> Mapping[Any, Any] | None:
    if isinstance(value, Mapping):
        return value
    if isinstance(value, (argparse.Namespace, types.SimpleNamespace)):
        return vars(value)
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {field.name: getattr(value, field.name, None) for field in dataclasses.fields(value)}
    return None


def overridden(saved: Mapping[str, Any], overriding: Mapping[str, Any]) -> dict[str, Any]:
    """Return hyperparameters with some replaced; those that were numbers keep their type.

    Args:
        saved: the hyperparameters.
        overriding: values by name. Members of nested hyperparameters are named with dots, as for `--set`.
            Unknown names are added.
    """
    changed = dict(saved)
    for name, value in overriding.items():
        first, _, rest = name.partition(".")
        if name not in changed and rest and isinstance(changed.get(first), dict):
            changed[first] = overridden(changed[first], {rest: value})
        else:
            changed[name] = _like(changed.get(name), value)
    return changed


def _like(before: Any, value: Any) -> Any:
    if type(before) is float and type(value) is int:
        return float(value)
    return int(value) if type(before) is int and type(value) is float and value.is_integer() else value


def is_same(given: Any, saved: Any) -> bool:
    """Return whether a hyperparameter has its saved value; older versions saved nested ones as JSON text."""
    if given == saved:
        return True
    if given is not None and not isinstance(given, (list, dict)):
        return False
    return bool(saved == json.dumps(given, ensure_ascii=False))
