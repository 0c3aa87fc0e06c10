"""The metrics of a run: names are recorded once, then numbers in the order of the names."""

from __future__ import annotations

import json
from collections.abc import Mapping
from math import isfinite, isnan
from typing import Any, Callable

from . import _layout as at
from ._documents import clean
from ._errors import HoldfastError

LARGEST_COUNT = 256


class Metrics:
    """The names of metrics so far, and the layout of a snapshot with that many numbers."""

    def __init__(self, send: Callable[[bytes], object]) -> None:
        """Begin without names; `send` sends the record of all names."""
        self._send = send
        self.names: tuple[str, ...] = ()
        self.layout = at.snapshot_record(0)
        self._last: Mapping[str, Any] = {}

    def numbers(self, metrics: Mapping[str, Any]) -> list[float]:
        """Return the numbers of one step; NaN for metrics that the step lacks.

        Raises:
            HoldfastError: there are too many metrics.
        """
        if tuple(metrics) == self.names:
            numbers = [as_number(value) for value in metrics.values()]
            self._last = dict(zip(self.names, numbers))
            return numbers
        new = tuple(name for name in metrics if name not in self.names)
        if new:
            if len(self.names) + len(new) > LARGEST_COUNT:
                raise HoldfastError(
                    f"more than {LARGEST_COUNT} metrics", hint="record fewer, under fixed names"
                )
            self.names += new
            self.layout = at.snapshot_record(len(self.names))
            self._send(json.dumps([clean(name) for name in self.names]).encode())
        numbers = [as_number(metrics[name]) if name in metrics else float("nan") for name in self.names]
        self._last = dict(zip(self.names, numbers))
        return numbers

    def remember(self, metrics: Mapping[str, Any]) -> None:
        """Remember the metrics of one step without reading them, which may wait for a device."""
        self._last = {name: _detached(value) for name, value in metrics.items()}

    def add(self, metrics: Mapping[str, Any]) -> None:
        """Remember further metrics of the last step."""
        self._last = {**self._last, **{name: _detached(value) for name, value in metrics.items()}}

    def last(self) -> dict[str, float]:
        """Return the finite numbers of the last step, by name."""
        numbers = {clean(name): as_number(value) for name, value in self._last.items()}
        return {name: number for name, number in numbers.items() if isfinite(number)}


def _detached(value: Any) -> Any:
    """Return a tensor without its graph, which it would keep in memory."""
    detach = getattr(value, "detach", None)
    return value if detach is None else detach()


def encode_metrics(step: int, values: Mapping[str, Any]) -> bytes:
    """Return the record of metrics that were computed after a step. JSON has no NaN: it is text."""
    numbers = {clean(name): as_number(value) for name, value in values.items()}
    encoded = {name: value if isfinite(value) else _word(value) for name, value in numbers.items()}
    return json.dumps({"step": step, "values": encoded}).encode()


def _word(value: float) -> str:
    return "NaN" if isnan(value) else "Infinity" if value > 0 else "-Infinity"


def as_number(value: Any) -> float:
    """Return a metric's value as a number."""
    # torch warns about float() of a tensor that requires a gradient, such as a loss, but not about item().
    item = getattr(value, "item", None)
    return float(value if item is None else item())
