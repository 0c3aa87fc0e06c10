"""Where a loader's batches come from, and how a pass over them begins and continues."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Protocol

from torch.utils import data as torch_data

from ._components import has_state
from ._continued import what_state_lacks
from ._iterable_source import IterableSource
from ._map_source import MapSource
from ._position import Position
from ._sampling import Drawn, Place
from ._stateful_source import StatefulSource


class Source(Protocol):
    """A kind of data.

    Attributes:
        batches: gives the batches of a pass, which `begin` has begun.
        batch_size: samples of a batch; None where batches are another's.
        isolates: whether making a batch must leave the global random streams as they were.
        keeps_state: whether the data have a state of their own, beside a position.
    """

    batches: Any
    batch_size: int | None
    isolates: bool
    keeps_state: bool

    @property
    def flags(self) -> int:
        """What kind of data it is, and where its order comes from; of `Position`."""

    @property
    def length(self) -> int:
        """Samples of the data; `NO_LENGTH` where that is not known."""

    def measure(self) -> None:
        """Find how much data there is now: it may grow from one pass to the next."""

    def begin(self, place: Place, saved: Position | None) -> None:
        """Begin a pass at a place; `saved` is the position that it continues."""

    def discard(self, batches: Iterator[Any], until: Drawn) -> Iterator[str]:
        """Discard the batches before a position, where they must be drawn; gives the warnings about it."""

    def count(self, batch: Any, before: Drawn) -> Drawn:
        """Return how far the pass is with a batch that was given."""

    def state(self) -> bytes:
        """Return the state of the data itself, packed."""


def is_loader(dataset: Any) -> bool:
    """Whether something is a loader with a state, and no dataset."""
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
        kind: the class of an iterable dataset's loader.
        name: of the loader.
        seed_samples: whether the global random streams are seeded for what is made.
        skip: (epoch, batch) that are left out.
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
    """Return why a pass cannot continue from a state of an iterable dataset; None where it can."""
    lacks = what_state_lacks(dataset, workers)
    if lacks is not None:
        return f"has a state without {lacks}"
    if kind is not torch_data.DataLoader:
        return None
    if not has_state(dataset):
        return "has no state"
    if workers:
        return "has a state that workers do not give; torchdata's StatefulDataLoader uses it"
    return None
