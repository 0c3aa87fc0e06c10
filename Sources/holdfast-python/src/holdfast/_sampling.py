"""The samples of each batch: seeded for each pass, and able to continue at any batch.

Worker processes import this module, so it must not refer to a run.
"""

from __future__ import annotations

import zlib
from collections import deque
from collections.abc import Iterator
from itertools import islice
from typing import Any, NamedTuple

import torch
from torch.utils import data as torch_data

from ._random import global_streams
from ._samples import begin_sample, create_samples, mix, preserve_streams, seed_everything, seed_of

# torch's own samplers that draw only from their `generator`, or not at all.
_WITH_GENERATOR = (
    torch_data.RandomSampler,
    torch_data.SubsetRandomSampler,
    torch_data.WeightedRandomSampler,
)
_WITHOUT_RANDOMNESS = (torch_data.SequentialSampler, torch_data.distributed.DistributedSampler)


class Place(NamedTuple):
    """A pass over the data, and its first batch, with the number of samples before that."""

    seed: int
    epoch: int
    batch: int = 0
    samples: int = 0
    crc: int = 0


class Drawn(NamedTuple):
    """The position after a batch: number of batches and samples so far, and the checksum of their order."""

    batch: int
    samples: int
    crc: int


class SampleDataset(torch_data.Dataset):  # type: ignore[misc,unused-ignore]
    """A dataset whose samples each have their own seed, which is passed with the index."""

    def __init__(self, dataset: Any, seeds_globals: bool) -> None:
        self.dataset = dataset
        self.seeds_globals = seeds_globals

    def __getitem__(self, key: tuple[int, Any]) -> Any:
        """Return one sample."""
        begin_sample(key[0], seeds_globals=self.seeds_globals)
        return self.dataset[key[1]]

    def __len__(self) -> int:
        return len(self.dataset)


class BatchDataset(SampleDataset):
    """A dataset of whole batches: a key consists of the first sample's seed and the indices.

    If the dataset creates a batch at once (`__getitems__`), all samples have the seed of the first one.
    """

    def __getitem__(self, key: tuple[int, Any]) -> Any:
        """Return the samples of one batch."""
        seed, indices = key
        if not hasattr(self.dataset, "__getitems__"):
            return create_samples(self.dataset, indices, seed, seeds_globals=self.seeds_globals)
        begin_sample(seed, seeds_globals=self.seeds_globals)
        return self.dataset.__getitems__(indices)


class IterableSamples(torch_data.IterableDataset):  # type: ignore[misc,unused-ignore]
    """An iterable dataset whose samples each have their own seed, derived from worker and number."""

    def __init__(self, dataset: Any, seeds_globals: bool) -> None:
        self.dataset = dataset
        self.seeds_globals = seeds_globals
        # Shared memory, because persistent workers use the same copy of this object in all passes.
        self._seed = torch.zeros(1, dtype=torch.int64).share_memory_()

    def begin_pass(self, seed: int) -> None:
        """Set the seed of the next pass."""
        self._seed[0] = seed >> 1

    def __len__(self) -> int:
        """Return the dataset's number of samples.

        Raises:
            TypeError: it has no length.
        """
        return len(self.dataset)

    def __iter__(self) -> Iterator[Any]:
        """Iterate over the samples of this worker."""
        seed = self._begin_worker()
        for _, sample in self._drawn(iter(self.dataset), seed, 0):
            yield sample

    def _begin_worker(self) -> int:
        """Return the seed of this worker's samples, and seed the creation of its iterator."""
        worker = torch_data.get_worker_info()
        seed = mix(int(self._seed[0]), 0 if worker is None else worker.id)
        begin_sample(seed, seeds_globals=self.seeds_globals)
        return seed

    def _drawn(self, source: Iterator[Any], seed: int, number: int) -> Iterator[tuple[int, Any]]:
        """Yield the samples after `number`, each created with its seed, together with their numbers."""
        while True:
            number += 1
            begin_sample(seed_of(seed, number), seeds_globals=self.seeds_globals)
            try:
                sample = next(source)
            except StopIteration:
                return
            yield number, sample


class WorkerStart:
    """A `worker_init_fn` that sets the dataset of `get_worker_info()` to the program's own."""

    def __init__(self, start: Any) -> None:
        self._start = start

    def __call__(self, worker: int) -> None:
        """Initialize a worker."""
        info = torch_data.get_worker_info()
        if isinstance(info.dataset, (SampleDataset, IterableSamples)):
            # It refuses assignment, and in newer torch it has slots instead of a dict.
            object.__setattr__(info, "dataset", info.dataset.dataset)
        if self._start is not None:
            self._start(worker)


class _Isolated:
    """An iterator with global random streams of its own, which no other code draws from."""

    def __init__(self, source: Any, seed: int) -> None:
        with preserve_streams():
            seed_everything(seed)
            self._source = iter(source)
            self._save()

    def _save(self) -> None:
        self._streams = [(stream, stream.capture()) for stream in global_streams()]

    def draw(self, count: int) -> list[Any]:
        """Return the next elements, at most `count`."""
        with preserve_streams():
            for stream, state in self._streams:
                stream.restore(state)
            drawn = list(islice(self._source, count))
            self._save()
        return drawn


class _Plain:
    """An iterator whose source draws no global random numbers."""

    def __init__(self, source: Any) -> None:
        self._source = iter(source)

    def draw(self, count: int) -> list[Any]:
        """Return the next elements, at most `count`."""
        return list(islice(self._source, count))


class BatchPlan:
    """Yields the batches of a pass, from any position on; a `batch_sampler` for torch's loader.

    Args:
        length: number of samples of the dataset.
        batch_size: None if the elements of the sampler are used as they are.
        shuffle: whether the order is random, without a sampler.
        drop_last: whether an incomplete last batch is left out.
        sampler: a sampler, or a batch sampler if `gives_batches`; None: in order, or shuffled.
        gives_batches: whether the sampler yields the indices of whole batches.
        keyed: whether indices are returned with the seed of their first sample.
    """

    def __init__(
        self,
        length: int,
        batch_size: int | None,
        *,
        shuffle: bool,
        drop_last: bool,
        sampler: Any,
        gives_batches: bool,
        keyed: bool,
    ) -> None:
        self.length = length
        self.batch_size = batch_size
        self.shuffle = shuffle
        self.drop_last = drop_last
        self.sampler = sampler
        self.gives_batches = gives_batches
        self.keyed = keyed
        self.place = Place(0, 0)
        self.skip: frozenset[tuple[int, int]] = frozenset()
        self.drawn: deque[Drawn] = deque()
        self.is_own = sampler is None
        # Checksum of the indices of a subset, without a sampler.
        self.choice = 0
        # Whether the source of the sampler's random numbers is unknown.
        self.draws_globally = not self.is_own and not _is_known(sampler)

    def begin(self, place: Place) -> None:
        """Begin a pass; the next iterator yields its batches."""
        self.place = place
        self.drawn.clear()

    def __len__(self) -> int:
        if self.gives_batches or self.batch_size is None:
            return self.length if self.sampler is None else len(self.sampler)
        count = self.length if self.sampler is None else len(self.sampler)
        return count // self.batch_size if self.drop_last else -(-count // self.batch_size)

    def __iter__(self) -> Iterator[Any]:
        batch, samples, crc = 0, 0, self.choice if self.is_own else 0
        place = self.place
        for indices in self._own(place) if self.is_own else self._batches(place):
            count = len(indices) if isinstance(indices, (list, tuple)) else 1
            if self.is_own and batch == 0 and place.batch:
                batch, samples = place.batch, place.samples
            first = samples
            batch += 1
            samples += count
            if not self.is_own:
                crc = zlib.crc32(repr(indices).encode(), crc)
            if not self.is_own and batch <= place.batch:
                if batch == place.batch and crc != place.crc:
                    raise OrderError
                continue
            if (place.epoch, batch - 1) in self.skip:
                continue
            self.drawn.append(Drawn(batch, samples, crc))
            yield (seed_of(place.seed, first + 1), indices) if self.keyed else indices

    def _own(self, place: Place) -> Iterator[Any]:
        """Yield the batches in the plan's own order, starting at the place."""
        if self.shuffle:
            generator = torch.Generator().manual_seed(place.seed)
            order: Any = torch.randperm(self.length, generator=generator).tolist()
        else:
            order = range(self.length)
        if self.batch_size is None:
            yield from order[place.batch :]
            return
        for start in range(place.batch * self.batch_size, self.length, self.batch_size):
            indices = list(order[start : start + self.batch_size])
            if len(indices) == self.batch_size or not self.drop_last:
                yield indices

    def _batches(self, place: Place) -> Iterator[Any]:
        """Yield the batches in the order of the sampler, from its beginning."""
        _prepare(self.sampler, place)
        source = _Isolated(self.sampler, place.seed) if self.draws_globally else _Plain(self.sampler)
        if self.gives_batches or self.batch_size is None:
            while drawn := source.draw(1):
                yield drawn[0]
            return
        while drawn := source.draw(self.batch_size):
            if len(drawn) == self.batch_size or not self.drop_last:
                yield drawn


class OrderError(Exception):
    """A sampler did not reproduce its order."""


def _is_known(sampler: Any) -> bool:
    """Return whether a sampler's order depends only on its `generator` and epoch, both set by the pass."""
    if type(sampler) is torch_data.BatchSampler:
        return _is_known(sampler.sampler)
    return type(sampler) in _WITH_GENERATOR or type(sampler) in _WITHOUT_RANDOMNESS


def _prepare(sampler: Any, place: Place) -> None:
    """Prepare a sampler to draw the order of this pass."""
    if hasattr(sampler, "set_epoch"):
        sampler.set_epoch(place.epoch)
    if type(sampler) in _WITH_GENERATOR or isinstance(getattr(sampler, "generator", None), torch.Generator):
        sampler.generator = torch.Generator().manual_seed(place.seed)
    for inner in ("sampler", "batch_sampler"):
        if hasattr(sampler, inner):
            _prepare(getattr(sampler, inner), place)
