"""The batches of an iterable dataset without a state: a resume reads those before its position again."""

from __future__ import annotations

import time
from collections.abc import Iterator
from itertools import islice
from typing import Any

import torch
from torch.utils import data as torch_data

from . import _position
from ._fingerprint import fingerprint
from ._position import Position
from ._sampling import Drawn, IterableSamples, Place


class IterableSource:
    """Batches in the order of an iterable dataset.

    Args:
        dataset: iterable.
        options: of `DataLoader`.
        name: of the loader.
        seed_samples: whether the global random streams are seeded for each sample.
        lacks: why no state of the dataset is used, as the predicate of a sentence about the loader.
    """

    flags = _position.ITERABLE
    length = _position.NO_LENGTH
    keeps_state = False

    def __init__(
        self, dataset: Any, options: dict[str, Any], *, name: str, seed_samples: bool, lacks: str
    ) -> None:
        self._dataset = dataset
        self._name = name
        self._lacks = lacks
        self._generator = torch.Generator()
        self._samples = IterableSamples(dataset, seed_samples)
        self.batch_size: int | None = options.get("batch_size", 1)
        self.isolates = seed_samples and not options.get("num_workers", 0)
        options.pop("snapshot_every_n_steps", None)
        self.batches = torch_data.DataLoader(self._samples, generator=self._generator, **options)

    def measure(self) -> None:
        """Do nothing: the amount of data is unknown."""

    def begin(self, place: Place, saved: Position | None) -> None:
        """Begin a pass."""
        self._generator.manual_seed(place.seed)
        self._samples.begin_pass(place.seed)
        if hasattr(self._dataset, "set_epoch"):
            self._dataset.set_epoch(place.epoch)

    def discard(self, batches: Iterator[Any], until: Drawn) -> Iterator[str]:
        """Read and discard the batches before a position; yield warnings about it."""
        if not until.batch:
            return
        began = time.monotonic()
        crc = 0
        for batch in islice(batches, until.batch):
            crc = fingerprint(batch, crc)
        seconds = time.monotonic() - began
        yield (
            f"loader '{self._name}' {self._lacks}: {until.batch} batches were read again and discarded, "
            f"which took {seconds:.1f} s; a dataset with state_dict and load_state_dict avoids this"
        )
        if crc != until.crc:
            yield (
                f"loader '{self._name}' did not return the same batches again: this run continues "
                "differently from the one that was interrupted; seed what draws or shuffles the data"
            )

    def count(self, batch: Any, before: Drawn) -> Drawn:
        """Return the position of the pass after a batch that was returned."""
        crc = fingerprint(batch, before.crc)
        return Drawn(before.batch + 1, before.samples + (self.batch_size or 1), crc)

    def state(self) -> bytes:
        """Return an empty state."""
        return b""
