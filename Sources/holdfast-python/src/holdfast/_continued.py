"""Iterable datasets that go on from a state, and those whose state does not have all of their position.

Workers import this module; it refers to no run.
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


def what_state_lacks(dataset: Any, workers: int) -> str | None:
    """Return what the state of a dataset leaves out, so that going on from it would lose samples.

    Hugging Face's states are without the samples in the buffer of `shuffle(buffer_size=...)`: they would
    never come. Nothing public tells whether there is such a buffer, so it is searched for. Before 5.1 most
    of its pipelines skip up to a whole shard after `load_state_dict`: `map`, `filter`, shuffled shards. In
    workers, which each have some of the shards, 5.2 cannot load its own state of them.
    """
    if not has_state(dataset):
        return None
    if _is_of_datasets(dataset):
        version = str(getattr(sys.modules.get("datasets"), "__version__", "0"))
        if tuple(int(part) if part.isdigit() else 0 for part in version.split(".")[:2]) < _EXACT:
            return f"whole shards (datasets {version}; 5.1 and later are right)"
        if workers:
            return "the shards of each worker (without workers it is used)"
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

    A position is the number of samples with that state, so that random numbers continue too. Without any
    state the samples before it are drawn and thrown away.
    """

    def __init__(self, dataset: Any, seeds_globals: bool) -> None:
        super().__init__(dataset, seeds_globals)
        self._initial = dataset.state_dict() if has_state(dataset) else None
        self._number = 0
        self._ended = False
        self._source: Any = None
        self._loaded: dict[str, Any] | None = None
        # The state that was loaded, until there is a later one: what is loaded lazily does not give it yet.
        self._begun_from: dict[str, Any] | None = None
        self._was_loaded = False

    def state_dict(self) -> dict[str, Any]:
        """Return the position after the last sample that was given."""
        if self._begun_from is not None:
            return self._begun_from
        state: dict[str, Any] = {"number": self._number}
        if self._ended:
            # Its dataset may be at the beginning again.
            state["ended"] = True
        elif self._initial is not None:
            state["dataset"] = self.dataset.state_dict()
        elif has_state(self._source):
            state["iterator"] = self._source.state_dict()
        return state

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Let the next pass begin at a position."""
        self._loaded = self._begun_from = state

    def __iter__(self) -> Iterator[Any]:
        """Give the samples of this worker, from the position on."""
        loaded, self._loaded = self._loaded, None
        seed = self._begin_worker()
        if loaded is not None and "dataset" in loaded:
            self.dataset.load_state_dict(loaded["dataset"])
        elif self._initial is not None and self._was_loaded:
            # After a resumed pass back to the beginning, or some would begin where that pass did.
            self.dataset.load_state_dict(self._initial)
        self._was_loaded = loaded is not None
        self._begun_from = loaded
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
                f"holdfast: the dataset has no state: {loaded['number']} samples were drawn and thrown away, "
                f"which took {time.monotonic() - began:.1f} s; state_dict and load_state_dict cost nothing",
                file=sys.stderr,
                flush=True,
            )
        for number, sample in self._drawn(source, seed, self._number):
            self._number = number
            self._begun_from = None
            yield sample
        self._ended = True
        self._begun_from = None
