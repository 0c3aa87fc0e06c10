"""Iterable datasets that continue from a state, and those whose state lacks a part of their position.

Worker processes import this module, so it must not refer to a run.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from itertools import islice
from typing import Any

from ._components import has_state
from ._sampling import IterableSamples

# Hugging Face's first version whose states are exact.
_EXACT = (5, 1)


def missing_from_state(dataset: Any, workers: int) -> str | None:
    """Return what the state of a dataset leaves out, so that continuing from it would lose samples, or None.

    States of Hugging Face datasets leave out the samples in the buffer of `shuffle(buffer_size=...)`. No
    public attribute shows such a buffer, so it is searched for. Before 5.1 most pipelines (`map`, `filter`,
    shuffled shards) skip up to a whole shard after `load_state_dict`. In workers, which each read some of
    the shards, 5.2 cannot load its own state of them.
    """
    if not has_state(dataset):
        return None
    if _is_of_datasets(dataset):
        version = str(getattr(sys.modules.get("datasets"), "__version__", "0"))
        if tuple(int(part) if part.isdigit() else 0 for part in version.split(".")[:2]) < _EXACT:
            return f"whole shards (datasets {version}; fixed in 5.1)"
        if workers:
            return "the shards of each worker (it is complete without workers)"
    seen: set[int] = set()
    remaining = [dataset]
    while remaining:
        thing = remaining.pop()
        if isinstance(thing, (list, tuple)):
            remaining += thing
        elif _is_of_datasets(thing) and id(thing) not in seen:
            seen.add(id(thing))
            if getattr(thing, "buffer_size", 1) > 1:
                return "the samples in its shuffle buffer"
            remaining += getattr(thing, "__dict__", {}).values()
    return None


def _is_of_datasets(thing: Any) -> bool:
    return any(kind.__module__.partition(".")[0] == "datasets" for kind in type(thing).__mro__)


class ContinuedSamples(IterableSamples):
    """Samples of an iterable dataset that has a state, or whose iterator has one.

    A position is the number of samples together with that state, so that random numbers continue too.
    Without a state, the samples before the position are read again and discarded.
    """

    def __init__(self, dataset: Any, seeds_globals: bool) -> None:
        super().__init__(dataset, seeds_globals)
        self._initial = dataset.state_dict() if has_state(dataset) else None
        self._number = 0
        self._ended = False
        self._source: Any = None
        self._loaded: dict[str, Any] | None = None
        # The loaded state, until there is a later one: an object that loads lazily does not return it yet.
        self._initial_position: dict[str, Any] | None = None
        self._was_loaded = False

    def state_dict(self) -> dict[str, Any]:
        """Return the position after the last sample that was returned."""
        if self._initial_position is not None:
            return self._initial_position
        state: dict[str, Any] = {"number": self._number}
        if self._ended:
            # The dataset may have returned to its beginning.
            state["ended"] = True
        elif self._initial is not None:
            state["dataset"] = self.dataset.state_dict()
        elif has_state(self._source):
            state["iterator"] = self._source.state_dict()
        return state

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Start the next pass at a position."""
        self._loaded = self._initial_position = state

    def __iter__(self) -> Iterator[Any]:
        """Iterate over the samples of this worker, from the position on."""
        loaded, self._loaded = self._loaded, None
        seed = self._begin_worker()
        if loaded is not None and "dataset" in loaded:
            self.dataset.load_state_dict(loaded["dataset"])
        elif self._initial is not None and self._was_loaded:
            # Return to the beginning after a resumed pass: some datasets would begin where that pass did.
            self.dataset.load_state_dict(self._initial)
        self._was_loaded = loaded is not None
        self._initial_position = loaded
        self._number = 0 if loaded is None else loaded["number"]
        self._ended = loaded is not None and "ended" in loaded
        if self._ended:
            return iter(())
        self._source = iter(self.dataset)
        if loaded is not None and "iterator" in loaded:
            self._source.load_state_dict(loaded["iterator"])
        return self._samples(seed, loaded)

    def _samples(self, seed: int, loaded: dict[str, Any] | None) -> Iterator[Any]:
        source = self._source
        if loaded is not None and not {"dataset", "iterator"} & set(loaded):
            began = time.monotonic()
            for _ in islice(self._drawn(source, seed, 0), loaded["number"]):
                pass
            print(
                f"holdfast: the dataset has no state: {loaded['number']} samples were read again and "
                f"discarded, which took {time.monotonic() - began:.1f} s; add state_dict and load_state_dict "
                "to avoid this",
                file=sys.stderr,
                flush=True,
            )
        for number, sample in self._drawn(source, seed, self._number):
            self._number = number
            self._initial_position = None
            yield sample
        self._ended = True
        self._initial_position = None
