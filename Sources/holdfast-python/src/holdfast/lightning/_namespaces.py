"""The two package names of Lightning, which have distinct but equivalent classes."""

from __future__ import annotations

import importlib
import signal
import sys
from typing import Any

from .._errors import HoldfastError

_NAMES = ("lightning.pytorch", "pytorch_lightning")


def modules() -> list[Any]:
    """Return the Lightning packages that the program has imported; else import the installed one.

    Raises:
        HoldfastError: Lightning is not installed.
    """
    used = [sys.modules[name] for name in _NAMES if name in sys.modules]
    if used:
        return used
    for name in _NAMES:
        try:
            return [importlib.import_module(name)]
        except ImportError:
            continue
    raise HoldfastError("Lightning is not installed", hint='pip install "holdfast[lightning]"')


def mixed(cls: type, submodule: str, attribute: str) -> type:
    """Return a subclass of `cls` and of the class with that name in each Lightning package in use."""
    bases = [
        getattr(importlib.import_module(f"{module.__name__}.{submodule}"), attribute) for module in modules()
    ]
    if any(base in cls.__mro__ for base in bases):
        return cls
    key = (cls, *dict.fromkeys(bases))
    if key not in _classes:
        _classes[key] = type(cls.__name__, key, {"__module__": cls.__module__, "__doc__": cls.__doc__})
    return _classes[key]


def set_sigterm_exit_status() -> None:
    """Set the exit status of a program that Lightning ends at SIGTERM to 143, as for the signal itself.

    Lightning exits with status 0 during any fit, search or test, as if the program were complete. The status
    is set on the exception class, so that it applies to trainers without the callback too. 1.9 does not
    handle the signal.
    """
    for module in modules():
        exceptions = importlib.import_module(f"{module.__name__}.utilities.exceptions")
        if hasattr(exceptions, "SIGTERMException"):
            exceptions.SIGTERMException.code = 128 + signal.SIGTERM


_classes: dict[tuple[type, ...], type] = {}
