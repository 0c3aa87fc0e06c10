"""The two names under which Lightning is installed: their classes are different, and alike."""

from __future__ import annotations

import importlib
import signal
import sys
from typing import Any

from .._errors import HoldfastError

_NAMES = ("lightning.pytorch", "pytorch_lightning")


def modules() -> list[Any]:
    """Return the Lightning modules that the program uses; the one that is installed if it uses none yet.

    Raises:
        HoldfastError: there is none.
    """
    used = [sys.modules[name] for name in _NAMES if name in sys.modules]
    if used:
        return used
    for name in _NAMES:
        try:
            return [importlib.import_module(name)]
        except ImportError:
            continue
    raise HoldfastError("there is no Lightning here", hint='pip install "holdfast[lightning]"')


def mixed(cls: type, submodule: str, attribute: str) -> type:
    """Return a subclass of `cls` that is also the class of that name of each Lightning in use."""
    bases = [
        getattr(importlib.import_module(f"{module.__name__}.{submodule}"), attribute) for module in modules()
    ]
    if any(base in cls.__mro__ for base in bases):
        return cls
    key = (cls, *dict.fromkeys(bases))
    if key not in _classes:
        _classes[key] = type(cls.__name__, key, {"__module__": cls.__module__, "__doc__": cls.__doc__})
    return _classes[key]


def let_stops_be_told() -> None:
    """Let a program that Lightning ends at SIGTERM have the status of one that the signal has ended.

    It ends with status 0, in whatever fit, search or test it was, as if all of it were done. The class has
    the status, for trainers without the callback too; 1.9 leaves the signal alone.
    """
    for module in modules():
        exceptions = importlib.import_module(f"{module.__name__}.utilities.exceptions")
        if hasattr(exceptions, "SIGTERMException"):
            exceptions.SIGTERMException.code = 128 + signal.SIGTERM


_classes: dict[tuple[type, ...], type] = {}
