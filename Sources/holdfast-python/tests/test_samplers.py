"""Samplers with an epoch, and loaders that a resumed program creates differently."""

from __future__ import annotations

import random
from collections.abc import Iterator
from typing import Any

import pytest
import torch
from torch.utils.data import BatchSampler, DataLoader, DistributedSampler, Sampler

import holdfast
from conftest import RunDirectory, step
from internals import close
from loading import Noisy, Numbers, check, end_between_epochs, train


class ByEpoch(Sampler):
    """A custom sampler, whose order depends only on its epoch."""

    def __init__(self) -> None:
        self.epoch = 0

    def set_epoch(self, epoch: int) -> None:
        self.epoch = epoch

    def __len__(self) -> int:
        return 23

    def __iter__(self) -> Iterator[int]:
        return iter(random.Random(self.epoch).sample(range(23), 23))


SAMPLERS: dict[str, Any] = {
    "distributed": lambda: DistributedSampler(Noisy(), num_replicas=2, rank=1, seed=4),
    "custom": ByEpoch,
}


@pytest.mark.parametrize("sampler", SAMPLERS)
@pytest.mark.parametrize("gives_batches", [False, True], ids=["sampler", "batch sampler"])
def test_the_order_depends_on_the_epoch_number(
    run_directory: RunDirectory, sampler: str, gives_batches: bool
) -> None:
    make = SAMPLERS[sampler]

    def order(epoch: int) -> list[int]:
        alone = make()
        alone.set_epoch(epoch)
        return list(alone)

    def options() -> dict[str, Any]:
        if gives_batches:
            return {"dataset": Noisy(), "batch_sampler": BatchSampler(make(), 4, drop_last=False)}
        return {"dataset": Noisy(), "batch_size": 4, "sampler": make()}

    check(run_directory, options)
    seen: dict[int, list[int]] = {}
    run_directory.next_attempt(None)
    for epoch, _, batch, _ in train(options):
        seen.setdefault(epoch, []).extend(int(sample[0]) for sample in batch)
    assert seen == {epoch: order(epoch) for epoch in range(3)}
    assert order(0) != order(1)


def test_the_loader_exposes_the_programs_sampler() -> None:
    run = holdfast.attach()
    sampler = ByEpoch()
    loader = run.loader(Noisy(), batch_size=4, sampler=sampler, drop_last=True)
    wrapped = run.loader(DataLoader(Noisy(), batch_size=4, sampler=sampler))
    shuffled = run.loader(Noisy(), batch_size=4, shuffle=True)
    assert loader.sampler is wrapped.sampler is sampler
    assert (loader.drop_last, wrapped.drop_last) == (True, False)
    assert shuffled.sampler is None
    for epoch in run.epochs(2, finish=False):
        loader.sampler.set_epoch(epoch)
        order = [int(index) for batch in loader for index in batch[:, 0]]
        assert order == random.Random(epoch).sample(range(23), 23)[:20]


def named(run: holdfast.Run, name: str, late: bool) -> Any:
    """Yield the batches of a loader, after a complete validation pass."""
    loader = None if late else run.loader(Noisy(), batch_size=4, name=name)
    for _ in run.epochs(2, finish=False):
        validation = run.loader(Noisy(8), batch_size=4, name="validation")
        assert len(list(validation)) == 2
        yield from loader or run.loader(Noisy(), batch_size=4, name=name)


@pytest.mark.parametrize("late", [False, True], ids=["before the loop", "within the loop"])
@pytest.mark.parametrize("name", ["train", "renamed"])
def test_renaming_a_loader_in_mid_epoch_is_refused(
    run_directory: RunDirectory, name: str, late: bool
) -> None:
    run = holdfast.attach()
    for _ in named(run, "train", late):
        if run.global_step == 1:
            run_directory.request(1)
        run.step()
        if run.global_step == 2:
            break
    close(run)
    run_directory.next_attempt()
    run = holdfast.attach()
    batches = named(run, name, late)
    first = next(batches)[0, 0]
    if name == "train":
        assert first == 8
        run.step()
        return
    with pytest.raises(holdfast.HoldfastError, match="'train' was in the middle of epoch 0, after 2 batches"):
        run.step()
    assert run.global_step == 2


def test_renaming_a_loader_between_epochs_is_accepted(run_directory: RunDirectory) -> None:
    end_between_epochs(run_directory, name="train")
    run = holdfast.attach()
    for _ in named(run, "renamed", late=False):
        run.step()
    assert (run.epoch, run.global_step) == (2, 12)


def test_replacing_iterable_by_map_style_data_is_refused(run_directory: RunDirectory) -> None:
    train(lambda: {"dataset": Numbers(False), "batch_size": 3}, stop_at=2)
    run_directory.next_attempt()
    with pytest.raises(holdfast.HoldfastError, match="an iterable dataset became a map-style one"):
        train(lambda: {"dataset": Noisy(), "batch_size": 3})


class Counted:
    """A custom loader, which continues from its state, and returns to the beginning only on request."""

    def __init__(self) -> None:
        self.first = 0
        self.at = 0

    def __iter__(self) -> Iterator[torch.Tensor]:
        for number in range(self.first, 6):
            self.at = number + 1
            yield torch.tensor([[float(number)]])

    def state_dict(self) -> dict[str, int]:
        return {"at": self.at}

    def load_state_dict(self, state: dict[str, int]) -> None:
        self.first = self.at = state["at"]


def test_the_pass_after_a_resumed_one_is_complete(run_directory: RunDirectory) -> None:
    def loop(stop_at: int = 0) -> list[float]:
        run = holdfast.attach()
        loader = run.loader(Counted())
        seen = []
        for _ in run.epochs(3, finish=False):
            for batch in loader:
                seen.append(float(batch))
                if step(run, run_directory, stop_at):
                    return seen
        close(run)
        return seen

    assert loop(stop_at=4) == [0, 1, 2, 3]
    run_directory.next_attempt()
    assert loop() == [4, 5, *range(6), *range(6)]


offset = 0.0


def initialize(worker: int) -> None:
    global offset
    offset = 10.0


class Initialized(Noisy):
    """Samples that show whether their worker was initialized."""

    def __getitem__(self, index: int) -> torch.Tensor:
        return super().__getitem__(index) + offset


def jitter(samples: list[torch.Tensor]) -> torch.Tensor:
    return torch.stack(samples) + random.random() + torch.rand(1)


WORKERS: dict[str, dict[str, Any]] = {
    "worker_init_fn": {"dataset": Initialized(), "worker_init_fn": initialize},
    "collate_fn": {"dataset": Noisy(), "collate_fn": jitter},
    "spawn": {"dataset": Noisy(), "multiprocessing_context": "spawn"},
}


@pytest.mark.parametrize("kind", WORKERS)
def test_options_for_workers_are_used(run_directory: RunDirectory, kind: str) -> None:
    # A spawned worker imports torch, which takes seconds.
    workers = 1 if kind == "spawn" else 2
    options = {"batch_size": 4, "shuffle": True, "num_workers": workers, **WORKERS[kind]}
    alone = {**options, "num_workers": 0, "multiprocessing_context": None}
    whole = train(lambda: DataLoader(**(options if kind == "worker_init_fn" else alone)), epochs=1)
    assert (whole[0][2][0][1] >= 10) == (kind == "worker_init_fn")
    run_directory.next_attempt(None)
    seen = train(lambda: DataLoader(**options), epochs=1, stop_at=3)
    assert seen == whole[:3]
    run_directory.next_attempt()
    assert seen + train(lambda: DataLoader(**options), epochs=1) == whole
