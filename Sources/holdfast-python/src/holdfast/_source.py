"""The source of a loader's batches, and how a pass over them begins and continues."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Protocol

from torch.utils import data as torch_data

from ._components import has_state
from ._continued import missing_from_state
from ._iterable_source import IterableSource
from ._map_source import MapSource
from ._position import Position
from ._sampling import Drawn, Place
from ._stateful_source import StatefulSource


class Source(Protocol):
    """A kind of data.

    Attributes:
        batches: iterable over the batches of a pass that `begin` has begun.
        batch_size: samples of a batch; None if a batch sampler or custom loader creates the batches.
        isolates: whether creating a batch must not change the global random streams.
        keeps_state: whether the data have a state in addition to a position.
    """

    batches: Any
    batch_size: int | None
    isolates: bool
    keeps_state: bool

    @property
    def flags(self) -> int:
        """Flags of `Position`: the kind of data, and the source of its order."""

    @property
    def length(self) -> int:
        """Number of samples; `NO_LENGTH` if it is unknown."""

    def measure(self) -> None:
        """Update the number of samples, which may grow between passes."""

    def begin(self, place: Place, saved: Position | None) -> None:
        """Begin a pass at a place; `saved` is the position that it continues from."""

    def discard(self, batches: Iterator[Any], until: Drawn) -> Iterator[str]:
        """Discard the batches before a position, if they must be read; yield warnings about it."""

    def count(self, batch: Any, before: Drawn) -> Drawn:
        """Return the position of the pass after a batch that was returned."""

    def state(self) -> bytes:
        """Return the encoded state of the data."""


def is_loader(dataset: Any) -> bool:
    """Return whether an object is a loader with a state, not a dataset."""
    return hasattr(dataset, "load_state_dict") and not isinstance(dataset, torch_data.Dataset)


def source_of(
    dataset: Any,
    options: dict[str, Any],
    *,
    kind: type[Any],
    name: str,
    seed_samples: bool,
    skip: frozenset[tuple[int, int]],
) -> Source:
    """Return the source of a dataset, or of a loader with a state.

    Args:
        dataset: map-style, iterable, or a loader with `state_dict` and `load_state_dict`.
        options: of `DataLoader`.
        kind: the class for the loader of an iterable dataset.
        name: of the loader.
        seed_samples: whether the global random streams are seeded for batches or samples.
        skip: (epoch, batch) pairs to skip.
    """
    if is_loader(dataset):
        return StatefulSource.of_loader(dataset)
    if not isinstance(dataset, torch_data.IterableDataset):
        return MapSource(dataset, options, name=name, seed_samples=seed_samples, skip=skip)
    lacks = _why_no_state(dataset, options.get("num_workers", 0), kind)
    if lacks is None:
        return StatefulSource.of_dataset(dataset, options, kind=kind, seed_samples=seed_samples)
    return IterableSource(dataset, options, name=name, seed_samples=seed_samples, lacks=lacks)


def _why_no_state(dataset: Any, workers: int, kind: type[Any]) -> str | None:
    """Return why a pass cannot continue from a state of an iterable dataset; None if it can."""
    lacks = missing_from_state(dataset, workers)
    if lacks is not None:
        return f"has a state that leaves out {lacks}"
    if kind is not torch_data.DataLoader:
        return None
    if not has_state(dataset):
        return "has no state"
    if workers:
        return "has a state that workers do not return (torchdata's StatefulDataLoader uses it)"
    return None
