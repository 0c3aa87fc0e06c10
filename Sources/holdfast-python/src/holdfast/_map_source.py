"""The batches of a map-style dataset, which can begin at any position without reading earlier batches."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch
from torch.utils import data as torch_data

from . import _position
from ._dataloader import choice_of, is_tensors
from ._errors import HoldfastError
from ._position import Position
from ._sampling import BatchDataset, BatchPlan, Drawn, Place, SampleDataset


class MapSource:
    """Batches in the order of a plan that is seeded for each pass.

    Args:
        dataset: map-style.
        options: of `DataLoader`.
        name: of the loader.
        seed_samples: whether the global random streams are seeded for each batch.
        skip: (epoch, batch) pairs to skip.
    """

    keeps_state = False

    def __init__(
        self,
        dataset: Any,
        options: dict[str, Any],
        *,
        name: str,
        seed_samples: bool,
        skip: frozenset[tuple[int, int]],
    ) -> None:
        self._dataset = dataset
        self._name = name
        self._generator = torch.Generator()
        sampler, batch_sampler = options.pop("sampler", None), options.pop("batch_sampler", None)
        batch_size = options.pop("batch_size", 1)
        shuffle, drop_last = bool(options.pop("shuffle", False)), bool(options.pop("drop_last", False))
        if sampler is not None and shuffle:
            raise ValueError("sampler and shuffle are mutually exclusive")
        if batch_sampler is not None and (batch_size != 1 or shuffle or sampler is not None or drop_last):
            raise ValueError(
                "batch_sampler and any of batch_size, shuffle, sampler and drop_last are mutually exclusive"
            )
        self.batch_size: int | None = None if batch_sampler is not None else batch_size
        needs_no_seeds = options.get("collate_fn") is None and is_tensors(dataset)
        self._plan = BatchPlan(
            len(dataset),
            self.batch_size,
            shuffle=shuffle,
            drop_last=drop_last,
            sampler=sampler if batch_sampler is None else batch_sampler,
            gives_batches=batch_sampler is not None,
            keyed=not needs_no_seeds,
        )
        self._plan.skip = skip
        # In this process, samples that draw from the global streams must not change them.
        self.isolates = seed_samples and not needs_no_seeds and not options.get("num_workers", 0)
        self.batches = self._loader(options, is_plain=needs_no_seeds, seed_samples=seed_samples)

    def _loader(self, options: dict[str, Any], *, is_plain: bool, seed_samples: bool) -> Any:
        gives_samples = self.batch_size is None and not self._plan.gives_batches
        if is_plain and not gives_samples:
            options.update(batch_sampler=self._plan)
            return torch_data.DataLoader(self._dataset, generator=self._generator, **options)
        dataset = self._dataset
        if not is_plain:
            dataset = (SampleDataset if gives_samples else BatchDataset)(dataset, seed_samples)
        if not gives_samples and options.get("collate_fn") is None:
            options["collate_fn"] = torch_data.default_collate
        # torch's loader treats a batch of a BatchDataset as one sample.
        options.update(batch_size=None, sampler=self._plan)
        return torch_data.DataLoader(dataset, generator=self._generator, **options)

    @property
    def flags(self) -> int:
        """Flags of `Position`: the kind of data, and the source of its order."""
        return _position.SHUFFLED * self._plan.shuffle | _position.SAMPLER * (not self._plan.is_own)

    @property
    def length(self) -> int:
        """Number of samples."""
        return self._plan.length

    def measure(self) -> None:
        """Update the number of samples."""
        self._plan.length = len(self._dataset)
        self._plan.choice = choice_of(self._dataset)

    def begin(self, place: Place, saved: Position | None) -> None:
        """Begin a pass at a place; `saved` is the position that it continues from.

        Raises:
            HoldfastError: the data are different samples.
        """
        self._generator.manual_seed(place.seed)
        if saved is not None and self._plan.is_own and saved.crc not in (0, self._plan.choice):
            raise HoldfastError(
                f"loader '{self._name}' has different samples than before in the middle of epoch "
                f"{saved.epoch}: the indices of its Subset differ",
                hint="use the same indices: seed the code that draws them, or register them",
            )
        self._plan.begin(place)

    def discard(self, batches: Iterator[Any], until: Drawn) -> Iterator[str]:
        """Do nothing: the plan begins at the position."""
        return iter(())

    def count(self, batch: Any, before: Drawn) -> Drawn:
        """Return the position of the pass after a batch that was returned."""
        return self._plan.drawn.popleft()

    def state(self) -> bytes:
        """Return an empty state: the position is sufficient."""
        return b""
