"""Loaders whose class has its own `__iter__`, such as those that `accelerator.prepare` returns.

It is called with batches whose order and position belong to the run. That is exact as long as it creates each
of its batches from one batch, in order; it may read one ahead.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator
from typing import Any

from ._errors import HoldfastError
from ._torch_compatibility import iterate_through


class OwnIteration:
    """The `__iter__` of one loader."""

    def __init__(self, loader: Any, name: str) -> None:
        self._name = name
        self._read = 0
        # A copy: the program's loader must not change.
        self._loader = copy.copy(loader)

    def batches(self, inner: Any) -> Iterator[Any]:
        """Yield the batches that it creates from those of `inner`."""
        self._read = 0
        ended = False

        def counted() -> Iterator[Any]:
            nonlocal ended
            for batch in inner:
                self._read += 1
                yield batch
            ended = True

        iterate_through(self._loader, counted)
        given = 0
        for batch in iter(self._loader):
            given += 1
            self._check(given, ended)
            yield batch
        if not ended or self._read != given:
            raise self._refused(given)

    def _check(self, given: int, ended: bool) -> None:
        # It may have read one batch ahead.
        if not 0 <= self._read - given <= 1 or (ended and self._read != given):
            raise self._refused(given)

    def _refused(self, given: int) -> HoldfastError:
        return HoldfastError(
            f"the __iter__ of {type(self._loader).__name__}, loader '{self._name}', returned {given} batches "
            f"after reading {self._read}, so a batch has no position in the data",
            hint="return one batch for each batch of super().__iter__(), or pass the dataset and a sampler "
            "or collate_fn to run.loader()",
        )
