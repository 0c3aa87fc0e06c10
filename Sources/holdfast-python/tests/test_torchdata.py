"""torchdata's StatefulDataLoader: the run manages its position if it can, else the loader itself."""

from __future__ import annotations

import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch

# torch 1.13 of Debian is too old for it.
pytest.importorskip("torchdata.stateful_dataloader", reason="torchdata needs torch 2")

from torch.utils.data import Dataset, IterableDataset, get_worker_info
from torchdata.stateful_dataloader import StatefulDataLoader

from conftest import RunDirectory
from loading import Noisy, Shuffled, check
from supervised import OPTIONS, PACKAGE, Job, finish_after_kills, kill_at_random_steps, uninterrupted_digest

PROGRAM = PACKAGE / "tests/programs/digits_datasets.py"


class Stream(IterableDataset):
    """Random samples, shared by workers; no state."""

    def numbers(self) -> range:
        worker = get_worker_info()
        return range(20) if worker is None else range(worker.id, 20, worker.num_workers)

    def __iter__(self) -> Iterator[torch.Tensor]:
        for number in self.numbers():
            yield sample(number)


class StatefulStream(Stream):
    """Continues where the last pass was left, and must be reset to the beginning."""

    def __init__(self) -> None:
        self.next = 0

    def state_dict(self) -> dict[str, int]:
        return {"next": self.next}

    def load_state_dict(self, state: dict[str, int]) -> None:
        self.next = state["next"]

    def __iter__(self) -> Iterator[torch.Tensor]:
        for number in self.numbers()[self.next :]:
            self.next += 1
            yield sample(number)
        self.next = 0


class Place:
    """An iterator with a state."""

    def __init__(self, numbers: range) -> None:
        self.numbers = numbers
        self.next = 0

    def __iter__(self) -> Place:
        return self

    def __next__(self) -> torch.Tensor:
        if self.next == len(self.numbers):
            raise StopIteration
        self.next += 1
        return sample(self.numbers[self.next - 1])

    def state_dict(self) -> dict[str, int]:
        return {"next": self.next}

    def load_state_dict(self, state: dict[str, int]) -> None:
        self.next = state["next"]


class IteratorStream(Stream):
    def __iter__(self) -> Iterator[torch.Tensor]:
        return Place(self.numbers())


def sample(number: int) -> torch.Tensor:
    return torch.tensor([number, random.random(), float(torch.rand(1))], dtype=torch.float64)


class StatefulRows(Dataset):
    """Map-style data with a state of its own, which only torchdata saves."""

    def __init__(self) -> None:
        self.reads = 0

    def __len__(self) -> int:
        return 23

    def __getitem__(self, index: int) -> torch.Tensor:
        self.reads += 1
        return torch.tensor([index, self.reads], dtype=torch.float64)

    def state_dict(self) -> dict[str, int]:
        return {"reads": self.reads}

    def load_state_dict(self, state: dict[str, int]) -> None:
        self.reads = state["reads"]


SOURCES: dict[str, Any] = {
    "in order": lambda **options: StatefulDataLoader(Noisy(), batch_size=4, **options),
    "shuffled": lambda **options: StatefulDataLoader(Noisy(), batch_size=4, shuffle=True, **options),
    "own sampler": lambda **options: StatefulDataLoader(Noisy(), batch_size=4, sampler=Shuffled(), **options),
    "stateful rows": lambda **options: StatefulDataLoader(
        StatefulRows(), batch_size=4, shuffle=True, **options
    ),
    "no state": lambda **options: StatefulDataLoader(Stream(), batch_size=3, **options),
    "dataset's state": lambda **options: StatefulDataLoader(StatefulStream(), batch_size=3, **options),
    "iterator's state": lambda **options: StatefulDataLoader(IteratorStream(), batch_size=3, **options),
    "snapshots now and then": lambda **options: StatefulDataLoader(
        StatefulStream(), batch_size=3, snapshot_every_n_steps=3, **options
    ),
}


@pytest.mark.parametrize(
    "options",
    [{}, {"num_workers": 2}, {"num_workers": 2, "persistent_workers": True}],
    ids=["alone", "workers", "persistent workers"],
)
@pytest.mark.parametrize("source", SOURCES)
def test_resumed_batches(
    run_directory: RunDirectory, source: str, options: dict[str, Any], capfd: pytest.CaptureFixture[str]
) -> None:
    check(run_directory, lambda: SOURCES[source](**options))
    assert ("read again and discarded" in capfd.readouterr().err) == (source == "no state")


def test_shuffled_rows_do_not_depend_on_the_loader(run_directory: RunDirectory) -> None:
    plain: Any = lambda: {"dataset": Noisy(), "batch_size": 4, "shuffle": True}  # noqa: E731
    check(run_directory, plain, remake=lambda: SOURCES["shuffled"](num_workers=2))


@pytest.mark.parametrize("workers", [0, 2])
@pytest.mark.parametrize("source", ["map-style", "shards", "buffer"])
def test_killed_repeatedly(tmp_path: Path, source: str, workers: int) -> None:
    pytest.importorskip("datasets")
    arguments = (source, "--torchdata", "--workers", workers)
    expected = uninterrupted_digest(PROGRAM, *arguments)
    with Job(tmp_path, PROGRAM, *arguments, options=OPTIONS) as job:
        done = kill_at_random_steps(job, 3, 118, seed=workers)
        attempts = finish_after_kills(job, done, expected, fewest=0)
        assert sum(attempt["resumed_from"] is not None for attempt in attempts) > 0
        is_drawn_again = source == "buffer" or (source == "shards" and workers > 0)
        assert ("read again and discarded" in job.errors.read_text()) == is_drawn_again
