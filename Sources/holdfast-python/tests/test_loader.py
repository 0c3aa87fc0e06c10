"""Loaders that resume in mid-epoch."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
import torch
from torch.utils.data import (
    BatchSampler,
    DataLoader,
    DistributedSampler,
    IterableDataset,
    RandomSampler,
    Subset,
    TensorDataset,
    WeightedRandomSampler,
)

import holdfast
from conftest import RunDirectory
from loading import Noisy, Numbers, Pairs, Shuffled, check, end_between_epochs, train

SOURCES = {
    "in order": lambda: {"dataset": Noisy(), "batch_size": 4},
    "shuffled": lambda: {"dataset": Noisy(), "batch_size": 4, "shuffle": True},
    "drop last": lambda: {"dataset": Noisy(), "batch_size": 4, "shuffle": True, "drop_last": True},
    "single": lambda: {"dataset": Noisy(), "batch_size": None, "shuffle": True},
    "own collate": lambda: {
        "dataset": Noisy(), "batch_size": 3, "collate_fn": lambda samples: torch.stack(samples[::-1])
    },
    "tensors": lambda: {
        "dataset": Subset(TensorDataset(torch.arange(23)), range(20)), "batch_size": 4, "shuffle": True
    },
    "seeded generator": lambda: {
        "dataset": Noisy(), "batch_size": 4, "shuffle": True, "generator": torch.Generator().manual_seed(5)
    },
    "random sampler": lambda: {
        "dataset": Noisy(), "batch_size": 4, "sampler": RandomSampler(Noisy(), replacement=True)
    },
    "weighted": lambda: {
        "dataset": Noisy(), "batch_size": 4, "sampler": WeightedRandomSampler(range(1, 24), 25)
    },
    "distributed": lambda: {
        "dataset": Noisy(), "batch_size": 4,
        "sampler": DistributedSampler(Noisy(), num_replicas=2, rank=1, shuffle=True),
    },
    "own sampler, random": lambda: {"dataset": Noisy(), "batch_size": 4, "sampler": Shuffled("random")},
    "own sampler, numpy": lambda: {"dataset": Noisy(), "batch_size": 4, "sampler": Shuffled("numpy")},
    "own sampler, lazily": lambda: {"dataset": Noisy(), "batch_size": 4, "sampler": Shuffled("torch")},
    "own batch sampler": lambda: {"dataset": Noisy(), "batch_sampler": Pairs()},
    "torch's batch sampler": lambda: {
        "dataset": Noisy(), "batch_sampler": BatchSampler(RandomSampler(Noisy()), 5, drop_last=True)
    },
    "a DataLoader": lambda: DataLoader(Noisy(), batch_size=4, shuffle=True),
}  # fmt: skip


@pytest.mark.parametrize("source", SOURCES)
def test_resumed_batches_order_and_random_numbers(run_directory: RunDirectory, source: str) -> None:
    check(run_directory, SOURCES[source])


@pytest.mark.parametrize("persistent", [False, True], ids=["workers", "persistent workers"])
@pytest.mark.parametrize("source", ["shuffled", "own sampler, lazily", "own batch sampler"])
def test_prefetching_workers_whose_number_changes(
    run_directory: RunDirectory, source: str, persistent: bool
) -> None:
    make = SOURCES[source]
    more = {"num_workers": 2, "persistent_workers": persistent, "prefetch_factor": 3}
    check(run_directory, lambda: {**make(), **more}, remake=make)


def test_batches_do_not_depend_on_the_number_of_workers() -> None:
    alone = train(SOURCES["shuffled"], epochs=2)
    assert alone == train(lambda: {**SOURCES["shuffled"](), "num_workers": 1}, epochs=2)
    assert alone == train(lambda: {**SOURCES["shuffled"](), "num_workers": 3}, epochs=2)


def test_two_loaders_of_one_dataset_differ() -> None:
    run = holdfast.attach()
    one, other = (run.loader(Noisy(), batch_size=23, shuffle=True) for _ in range(2))
    (first,), (second,) = list(one), list(other)
    assert first[:, 0].tolist() != second[:, 0].tolist()
    by_index = [batch[batch[:, 0].argsort(), 1:] for batch in (first, second)]
    assert not torch.isclose(*by_index).any()


def test_epochs_have_different_orders_and_samples() -> None:
    steps = train(lambda: {"dataset": Noisy(), "batch_size": 23, "shuffle": True}, epochs=3)
    orders = [[sample[0] for sample in batch] for _, _, batch, _ in steps]
    assert all(sorted(order) == list(range(23)) for order in orders)
    assert len({tuple(order) for order in orders}) == 3
    by_index = [dict(zip(order, batch)) for order, (_, _, batch, _) in zip(orders, steps)]
    assert by_index[0][7.0] != by_index[1][7.0]


ORDERS: dict[str, Any] = {
    "in order": lambda: {},
    "shuffled": lambda: {"shuffle": True},
    "sampler": lambda: {"sampler": Shuffled()},
    "weighted": lambda: {"sampler": WeightedRandomSampler([1.0] * 23, 23)},
    "otherwise weighted": lambda: {"sampler": WeightedRandomSampler(range(1, 24), 23)},
    "one of two": lambda: {"sampler": DistributedSampler(Noisy(), num_replicas=2, rank=1)},
    "one of three": lambda: {"sampler": DistributedSampler(Noisy(), num_replicas=3, rank=1)},
}


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("in order", "shuffled"),
        ("shuffled", "in order"),
        ("sampler", "shuffled"),
        ("shuffled", "weighted"),
        ("weighted", "otherwise weighted"),
        ("one of two", "one of three"),
    ],
)
def test_a_different_order_in_mid_epoch_is_refused(
    run_directory: RunDirectory, before: str, after: str
) -> None:
    train(lambda: {"dataset": Noisy(), "batch_size": 4, **ORDERS[before]()}, stop_at=2)
    run_directory.next_attempt()
    with pytest.raises(holdfast.HoldfastError, match=r"the order was|does not reproduce its order"):
        train(lambda: {"dataset": Noisy(), "batch_size": 4, **ORDERS[after]()})


@pytest.mark.parametrize(
    ("changed", "what"),
    [
        ({"dataset": Noisy(29)}, "23 samples, now 29"),
        ({"batch_size": 5}, "batch size was 4, now 5"),
    ],
)
def test_different_data_in_mid_epoch_is_refused(
    run_directory: RunDirectory, changed: dict[str, Any], what: str
) -> None:
    make = SOURCES["shuffled"]
    train(make, stop_at=4)
    run_directory.next_attempt()
    with pytest.raises(holdfast.HoldfastError, match=what):
        train(lambda: {**make(), **changed})


def test_a_different_batch_size_and_order_between_epochs_are_accepted(run_directory: RunDirectory) -> None:
    end_between_epochs(run_directory)
    steps = train(lambda: {"dataset": Noisy(), "batch_size": 23, "shuffle": True}, epochs=2)
    assert [(epoch, step) for epoch, step, _, _ in steps] == [(1, 6)]


class Unrepeatable(Shuffled):
    """Draws from a generator that is not registered."""

    source_of_all = np.random.default_rng()

    def __iter__(self) -> Iterator[int]:
        return iter(self.source_of_all.permutation(23).tolist())


def test_a_sampler_that_does_not_reproduce_its_order_is_refused(run_directory: RunDirectory) -> None:
    make: Any = lambda: {"dataset": Noisy(), "batch_size": 4, "sampler": Unrepeatable()}  # noqa: E731
    train(make, stop_at=4)
    run_directory.next_attempt()
    with pytest.raises(holdfast.HoldfastError, match="does not reproduce its order"):
        train(make)


def test_batches_on_the_skip_list_are_skipped(run_directory: RunDirectory) -> None:
    run_directory.resume(skip=[{"epoch": 0, "batch": 1}, {"epoch": 1, "batch": 0}])
    steps = train(lambda: {"dataset": Noisy(12), "batch_size": 4}, epochs=2)
    first = [(epoch, batch[0][0]) for epoch, _, batch, _ in steps]
    assert first == [(0, 0), (0, 8), (1, 4), (1, 8)]


@pytest.mark.parametrize("workers", [0, 2])
def test_iterable_datasets_are_read_again_with_a_warning(
    run_directory: RunDirectory, workers: int, capfd: pytest.CaptureFixture[str]
) -> None:
    make: Any = lambda: {"dataset": Numbers(False), "batch_size": 3, "num_workers": workers}  # noqa: E731
    check(run_directory, make)
    assert "were read again and discarded" in capfd.readouterr().err


def test_iterable_datasets_with_a_state_continue(
    run_directory: RunDirectory, capfd: pytest.CaptureFixture[str]
) -> None:
    make: Any = lambda: {"dataset": Numbers(True), "batch_size": 3, "seed_samples": False}  # noqa: E731
    whole = train(make, uses_rng=False)
    run_directory.__init__(run_directory.path)  # type: ignore[misc]
    seen = train(make, stop_at=3, uses_rng=False)
    run_directory.next_attempt()
    seen += train(make, uses_rng=False)
    assert [[sample[0] for sample in step[2]] for step in seen] == [
        [sample[0] for sample in step[2]] for step in whole
    ]
    assert "discarded" not in capfd.readouterr().err


def test_a_different_number_of_workers_for_an_iterable_dataset_is_refused(
    run_directory: RunDirectory,
) -> None:
    train(lambda: {"dataset": Numbers(False), "batch_size": 3, "num_workers": 2}, stop_at=3)
    run_directory.next_attempt()
    with pytest.raises(holdfast.HoldfastError, match="2 workers shared the data, now 0"):
        train(lambda: {"dataset": Numbers(False), "batch_size": 3})


class Range(IterableDataset):
    """Numbers that workers share by means of `worker_init_fn`, as in torch's documentation."""

    def __init__(self) -> None:
        self.first, self.last = 0, 12

    def __iter__(self) -> Iterator[int]:
        return iter(range(self.first, self.last))


def select_share(worker: int) -> None:
    info = torch.utils.data.get_worker_info()
    dataset = info.dataset
    size = (dataset.last - dataset.first) // info.num_workers
    dataset.first += worker * size
    dataset.last = dataset.first + size


class SealedWorkerInfo:
    """Worker information as in newer torch: with slots instead of a dict, and without assignment."""

    __slots__ = ("dataset", "id")

    def __setattr__(self, name: str, value: Any) -> None:
        raise TypeError(name)


class OfKnownWorker(Noisy):
    """Samples that show whether `worker_init_fn` has found this dataset."""

    found: Any = None

    def __getitem__(self, index: int) -> torch.Tensor:
        return torch.tensor(self.found is self)


def find_dataset(worker: int) -> None:
    OfKnownWorker.found = torch.utils.data.get_worker_info().dataset


def test_workers_find_the_dataset_where_worker_info_is_sealed(monkeypatch: pytest.MonkeyPatch) -> None:
    original = torch.utils.data.get_worker_info
    sealed = SealedWorkerInfo()

    def get_worker_info() -> Any:
        info = original()
        if info is not None and not hasattr(sealed, "dataset"):
            object.__setattr__(sealed, "id", info.id)
            object.__setattr__(sealed, "dataset", info.dataset)
        return None if info is None else sealed

    monkeypatch.setattr(torch.utils.data, "get_worker_info", get_worker_info)
    loader = holdfast.attach().loader(
        OfKnownWorker(), batch_size=4, num_workers=1, worker_init_fn=find_dataset
    )
    assert torch.cat(list(loader)).tolist() == [True] * 23


@pytest.mark.parametrize("start", ["fork", "spawn"])
def test_workers_find_the_programs_dataset(start: str) -> None:
    run = holdfast.attach()
    options = {"num_workers": 2, "worker_init_fn": select_share, "multiprocessing_context": start}
    loader = run.loader(Range(), batch_size=3, **options)
    assert sorted(torch.cat(list(loader)).tolist()) == list(range(12))
