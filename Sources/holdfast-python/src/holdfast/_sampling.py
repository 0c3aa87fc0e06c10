"""Which samples come in which batch: seeded for each pass, and continued at any batch.

Workers import this module; it refers to no run.
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
from ._samples import begin_sample, make_samples, mix, seed_everything, seed_of, undisturbed

# torch's own samplers that draw from their `generator` alone, or from nothing.
_WITH_GENERATOR = (
    torch_data.RandomSampler,
    torch_data.SubsetRandomSampler,
    torch_data.WeightedRandomSampler,
)
_WITHOUT_RANDOMNESS = (torch_data.SequentialSampler, torch_data.distributed.DistributedSampler)


class Place(NamedTuple):
    """A pass over the data, and where it begins: at a batch, after so many samples."""

    seed: int
    epoch: int
    batch: int = 0
    samples: int = 0
    crc: int = 0


class Drawn(NamedTuple):
    """A batch that was drawn: how many batches and samples are consumed once it is, and of what order."""

    batch: int
    samples: int
    crc: int


class SampleDataset(torch_data.Dataset):  # type: ignore[misc,unused-ignore]
    """A dataset whose samples each have their own seed, which comes with the index."""

    def __init__(self, dataset: Any, seeds_globals: bool) -> None:
        self.dataset = dataset
        self.seeds_globals = seeds_globals

    def __getitem__(self, key: tuple[int, Any]) -> Any:
        """Make one sample."""
        begin_sample(key[0], seeds_globals=self.seeds_globals)
        return self.dataset[key[1]]

    def __len__(self) -> int:
        return len(self.dataset)


class BatchDataset(SampleDataset):
    """Likewise, of whole batches: a key is the first sample's seed, and the indices.

    Where the dataset makes a batch at once (`__getitems__`), all its samples have the first one's seed.
    """

    def __getitem__(self, key: tuple[int, Any]) -> Any:
        """Make the samples of one batch."""
        seed, indices = key
        if not hasattr(self.dataset, "__getitems__"):
            return make_samples(self.dataset, indices, seed, seeds_globals=self.seeds_globals)
        begin_sample(seed, seeds_globals=self.seeds_globals)
        return self.dataset.__getitems__(indices)


class IterableSamples(torch_data.IterableDataset):  # type: ignore[misc,unused-ignore]
    """An iterable dataset whose samples each have their own seed, by worker and number."""

    def __init__(self, dataset: Any, seeds_globals: bool) -> None:
        self.dataset = dataset
        self.seeds_globals = seeds_globals
        # Shared: persistent workers keep their copy of this object over all passes.
        self._seed = torch.zeros(1, dtype=torch.int64).share_memory_()

    def begin_pass(self, seed: int) -> None:
        """Set the seed of the pass that begins now."""
        self._seed[0] = seed >> 1

    def __len__(self) -> int:
        """Return the dataset's own number of samples; it raises TypeError where there is none."""
        return len(self.dataset)

    def __iter__(self) -> Iterator[Any]:
        """Give the samples of this worker."""
        seed = self._begin_worker()
        for _, sample in self._drawn(iter(self.dataset), seed, 0):
            yield sample

    def _begin_worker(self) -> int:
        """Return the seed of this worker's samples; its iterator is made with it."""
        worker = torch_data.get_worker_info()
        seed = mix(int(self._seed[0]), 0 if worker is None else worker.id)
        begin_sample(seed, seeds_globals=self.seeds_globals)
        return seed

    def _drawn(self, source: Iterator[Any], seed: int, number: int) -> Iterator[tuple[int, Any]]:
        """Draw the samples after that of a number, each with its seed; gives their numbers too."""
        while True:
            number += 1
            begin_sample(seed_of(seed, number), seeds_globals=self.seeds_globals)
            try:
                sample = next(source)
            except StopIteration:
                return
            yield number, sample


class WorkerStart:
    """A `worker_init_fn`: what a program's code in a worker asks about is the program's own dataset."""

    def __init__(self, start: Any) -> None:
        self._start = start

    def __call__(self, worker: int) -> None:
        """Begin a worker."""
        info = torch_data.get_worker_info()
        if isinstance(info.dataset, (SampleDataset, IterableSamples)):
            # It refuses assignment, and in newer torch it has slots in place of a dict.
            object.__setattr__(info, "dataset", info.dataset.dataset)
        if self._start is not None:
            self._start(worker)


class _Isolated:
    """An iterator with global random streams of its own, as if nobody else drew from them."""

    def __init__(self, source: Any, seed: int) -> None:
        with undisturbed():
            seed_everything(seed)
            self._source = iter(source)
            self._save()

    def _save(self) -> None:
        self._streams = [(stream, stream.capture()) for stream in global_streams()]

    def draw(self, count: int) -> list[Any]:
        """Return up to `count` elements."""
        with undisturbed():
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
        """Return up to `count` elements."""
        return list(islice(self._source, count))


class BatchPlan:
    """Gives the batches of a pass, from any place on; a `batch_sampler` for torch's own loader.

    Args:
        length: of the dataset.
        batch_size: None when the sampler's elements are the batches' indices themselves.
        sampler: a sampler, or a batch sampler where `gives_batches`; None: in order, or shuffled.
        keyed: whether indices come with the seed of their first sample.
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
        # Checksum of which samples a subset has, where the order is the own one.
        self.choice = 0
        # Where its random numbers come from is not known.
        self.draws_globally = not self.is_own and not _is_known(sampler)

    def begin(self, place: Place) -> None:
        """Begin a pass; the next `iter` gives its batches."""
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
        """Give the batches of the own order, from the place on: no batch before it is made."""
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
        """Give the batches of another's order, from its beginning."""
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
    """A sampler did not repeat the order that it had."""


def _is_known(sampler: Any) -> bool:
    """Whether a sampler's order comes from its `generator`, its epoch or nothing, and so from the pass."""
    if type(sampler) is torch_data.BatchSampler:
        return _is_known(sampler.sampler)
    return type(sampler) in _WITH_GENERATOR or type(sampler) in _WITHOUT_RANDOMNESS


def _prepare(sampler: Any, place: Place) -> None:
    """Let a sampler draw the order of this pass."""
    if hasattr(sampler, "set_epoch"):
        sampler.set_epoch(place.epoch)
    if type(sampler) in _WITH_GENERATOR or isinstance(getattr(sampler, "generator", None), torch.Generator):
        sampler.generator = torch.Generator().manual_seed(place.seed)
    for inner in ("sampler", "batch_sampler"):
        if hasattr(sampler, inner):
            _prepare(getattr(sampler, inner), place)
