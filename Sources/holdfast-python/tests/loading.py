"""Data with random samples, and a loop over them that can be interrupted anywhere."""

from __future__ import annotations

import os
import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch.utils.data import (
    Dataset,
    IterableDataset,
    Sampler,
)

import holdfast
from conftest import RunDirectory
from internals import at, close


class Noisy(Dataset):
    """Samples with random numbers from every source."""

    def __init__(self, length: int = 23) -> None:
        self.length = length

    def __len__(self) -> int:
        return self.length

    def __getitem__(self, index: int) -> torch.Tensor:
        own = torch.rand(1, generator=holdfast.sample_generator(), dtype=torch.float64)
        values = [float(index), random.random(), np.random.random(), float(torch.rand(1)), float(own)]
        values.append(float(holdfast.sample_generator("numpy").random()))
        values.append(holdfast.sample_generator("python").random())
        return torch.tensor(values, dtype=torch.float64)


class Shuffled(Sampler):
    """A custom sampler, which draws its order from a global stream."""

    def __init__(self, source: str = "random") -> None:
        self.source = source

    def __len__(self) -> int:
        return 23

    def __iter__(self) -> Iterator[int]:
        if self.source == "random":
            return iter(random.sample(range(23), 23))
        if self.source == "numpy":
            return iter(np.random.permutation(23).tolist())
        return (int(torch.randint(23, ())) for _ in range(23))


class Pairs(Sampler):
    """A custom batch sampler."""

    def __init__(self) -> None:
        pass

    def __len__(self) -> int:
        return 11

    def __iter__(self) -> Iterator[list[int]]:
        for _ in range(11):
            first = random.randrange(22)
            yield [first, first + 1]


Step = tuple[int, int, list[Any], float]


def train(make: Any, epochs: int = 3, *, stop_at: int | None = None, uses_rng: bool = True) -> list[Step]:
    """Train until a step, save there, and return what each step saw."""
    random.seed(1)
    np.random.seed(1)
    torch.manual_seed(1)
    run = holdfast.attach()
    loader = run.loader(**make()) if isinstance(make(), dict) else run.loader(make())
    seen: list[Step] = []
    for epoch in run.epochs(epochs, finish=False):
        for batch in loader:
            drawn = float(torch.rand(1)) + random.random() + float(np.random.random()) if uses_rng else 0
            values = batch[0] if isinstance(batch, list) else batch
            seen.append((epoch, run.global_step, values.tolist(), drawn))
            if run.is_supervised and run.global_step + 1 == stop_at:
                request(Path(os.environ["HOLDFAST_RUN_DIR"]))
            run.step()
            if run.global_step == stop_at:
                close(run)
                return seen
    close(run)
    return seen


def request(path: Any) -> None:
    directory = RunDirectory.__new__(RunDirectory)
    directory.path = path
    directory.attempt = directory.word(at.RING_ATTEMPT)
    directory.request(1)


def check(directory: RunDirectory, make: Any, *, remake: Any = None) -> None:
    """Interrupt in each epoch, in successive attempts, and compare with the uninterrupted run."""
    whole = train(make)
    length = len(whole) // 3
    stops = (1, length + 1, 2 * length + length - 1)
    directory.__init__(directory.path)  # type: ignore[misc]
    seen: list[Step] = []
    for number, stop in enumerate(stops):
        seen += train((remake or make) if number % 2 else make, stop_at=stop)
        assert seen == whole[:stop]
        directory.next_attempt()
    seen += train(make)
    assert seen == whole


def end_between_epochs(directory: RunDirectory, **options: Any) -> None:
    """Save after the first epoch of a run, and begin the next attempt."""
    run = holdfast.attach()
    loader = run.loader(Noisy(), batch_size=4, **options)
    for epoch in run.epochs(2, finish=False):
        if epoch == 1:
            directory.request(1)
            run.safepoint()
            break
        for _ in loader:
            run.step()
    close(run)
    directory.next_attempt()


class Numbers(IterableDataset):
    """An iterable dataset, with or without a state."""

    def __init__(self, stateful: bool) -> None:
        self.at = 0
        if stateful:
            self.state_dict = lambda: {"at": self.at}
            self.load_state_dict = self._load

    def _load(self, state: dict[str, int]) -> None:
        self.at = state["at"]

    def __iter__(self) -> Iterator[torch.Tensor]:
        first, self.at = (self.at, self.at) if hasattr(self, "state_dict") else (0, 0)
        for number in range(first, 20):
            self.at = number + 1
            yield torch.tensor([float(number), random.random()], dtype=torch.float64)
        self.at = 0
