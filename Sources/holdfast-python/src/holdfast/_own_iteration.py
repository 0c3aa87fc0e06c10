"""Loaders whose class has an `__iter__` of its own, as those that `accelerator.prepare` returns.

It is used, on batches whose order and position are the run's. That is exact as long as it makes each of its
batches of one batch, in order; it may read ahead.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator
from typing import Any

from ._errors import HoldfastError
from ._torch_compatibility import iterate_through


class OwnIteration:
    """The own iteration of one loader."""

    def __init__(self, loader: Any, name: str) -> None:
        self._name = name
        self._taken = 0
        # Another one, for the program's own goes on to be what it is.
        self._loader = copy.copy(loader)

    def batches(self, inner: Any) -> Iterator[Any]:
        """Give the batches that it makes of those of `inner`."""
        self._taken = 0
        ended = False

        def counted() -> Iterator[Any]:
            nonlocal ended
            for batch in inner:
                self._taken += 1
                yield batch
            ended = True

        iterate_through(self._loader, counted)
        given = 0
        for batch in iter(self._loader):
            given += 1
            self._check(given, ended)
            yield batch
        if not ended or self._taken != given:
            raise self._refused(given)

    def _check(self, given: int, ended: bool) -> None:
        # One more may have been read ahead.
        if not 0 <= self._taken - given <= 1 or (ended and self._taken != given):
            raise self._refused(given)

    def _refused(self, given: int) -> HoldfastError:
        return HoldfastError(
            f"the __iter__ of {type(self._loader).__name__}, loader '{self._name}', gave {given} batches of "
            f"{self._taken}: what it gives has no position in the data",
            hint="let it make each batch of one batch of super().__iter__(), or give run.loader() the "
            "dataset and a sampler or collate_fn",
        )
