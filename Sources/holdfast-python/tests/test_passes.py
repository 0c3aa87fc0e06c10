"""The beginning and end of passes over the data, in loops of many kinds."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from torch.utils.data import (
    RandomSampler,
)

import holdfast
from conftest import RunDirectory, check_resumed, step
from internals import close
from loading import Noisy, train

SHUFFLED: Any = lambda: {"dataset": Noisy(), "batch_size": 4, "shuffle": True}  # noqa: E731


def test_resume_at_the_end_of_an_epoch_is_not_the_start_of_the_next(run_directory: RunDirectory) -> None:
    # A request at the last step of an epoch is answered after the first step of the next one.
    whole = train(SHUFFLED)
    run_directory.__init__(run_directory.path)  # type: ignore[misc]
    seen = train(SHUFFLED, stop_at=6)
    assert not (run_directory.path / "arena-0-0").exists()
    run_directory.next_attempt(None)
    seen = train(SHUFFLED, stop_at=7)
    assert seen == whole[:7]


def test_a_pass_of_one_batch_is_saved_before_the_next(run_directory: RunDirectory) -> None:
    make: Any = lambda: {"dataset": Noisy(4), "batch_size": 4}  # noqa: E731
    whole = train(make, epochs=5)
    run_directory.__init__(run_directory.path)  # type: ignore[misc]
    run = holdfast.attach()
    torch.manual_seed(1)
    loader = run.loader(**make())
    for epoch in run.epochs(5, finish=False):
        for _ in loader:
            if epoch == 1:
                run_directory.request(1)
            run.step()
        if epoch == 2:
            break
    close(run)
    run_directory.next_attempt()
    rest = train(make, epochs=5, uses_rng=False)
    # The state was saved at the beginning of the next epoch.
    assert [step[:2] for step in rest] == [step[:2] for step in whole[2:]]


@pytest.mark.parametrize("stop_at", [2, 4, 7, 10, 11])
def test_a_pass_over_several_epochs(run_directory: RunDirectory, stop_at: int) -> None:
    def forever(loader: Any) -> Iterator[Any]:
        while True:
            yield from loader

    def train(stop_at: int = 0) -> list[Any]:
        torch.manual_seed(1)
        run = holdfast.attach()
        loader = run.loader(Noisy(12), batch_size=4, shuffle=True, seed=1)
        others = forever(run.loader(Noisy(20), batch_size=4, shuffle=True, seed=2))
        seen = []
        for _ in run.epochs(4, finish=False):
            for batch in loader:
                seen.append((batch.tolist(), next(others).tolist()))
                if step(run, run_directory, stop_at):
                    return seen
        close(run)
        return seen

    check_resumed(run_directory, train, stop_at)


@pytest.mark.parametrize("stop_at", [2, 3, 6, 9])
def test_a_pass_over_several_epochs_saved_at_the_end_of_an_epoch(tmp_path: Path, stop_at: int) -> None:
    def forever(loader: Any) -> Iterator[Any]:
        while True:
            yield from loader

    def train(stop_at: int = 0, path: Path | None = None) -> list[Any]:
        torch.manual_seed(1)
        run = holdfast.attach()
        loader = run.loader(Noisy(12), batch_size=4, shuffle=True, seed=1)
        others = forever(run.loader(Noisy(20), batch_size=4, shuffle=True, seed=2))
        if path is not None:
            run.load(path)
        seen = []
        for _ in run.epochs(4):
            for batch in loader:
                seen.append((batch.tolist(), next(others).tolist()))
                run.step()
                if run.global_step == stop_at:
                    run.save(tmp_path)
                    return seen
        return seen

    whole = train()
    assert train(stop_at) + train(path=tmp_path / f"step-{stop_at}") == whole


@pytest.mark.parametrize("by_sampler", [False, True])
@pytest.mark.parametrize(("length", "batch_size"), [(20, 2), (20, 8), (40, 4)])
def test_a_complete_pass_stays_complete_with_different_data(
    tmp_path: Path, by_sampler: bool, length: int, batch_size: int
) -> None:
    def train(length: int, batch_size: int, path: Path | None = None) -> list[int]:
        run = holdfast.attach()
        order = {"sampler": RandomSampler(range(length))} if by_sampler else {"shuffle": True}
        loader = run.loader(Noisy(length), batch_size=batch_size, **order)
        if path is not None:
            run.load(path)
        counts = []
        for _ in run.epochs(2):
            counts.append(0)
            for _ in loader:
                counts[-1] += 1
                run.step()
            if path is None:
                run.save(tmp_path)
                break
        return counts

    assert train(20, 4) == [5]
    assert train(length, batch_size, tmp_path / "step-5") == [0, length // batch_size + (batch_size == 8)]


def test_a_loader_created_within_the_loop_after_run_load(tmp_path: Path) -> None:
    def train(save_at: int = 0, path: Path | None = None) -> list[Any]:
        torch.manual_seed(1)
        run = holdfast.attach()
        if path is not None:
            run.load(path)
        seen = []
        for _ in run.epochs(2):
            for batch in run.loader(Noisy(20), batch_size=4, shuffle=True, name="train"):
                seen.append(batch.tolist())
                run.step()
                if run.global_step == save_at:
                    run.save(tmp_path)
                    return seen
        return seen

    whole = train()
    assert train(3) + train(path=tmp_path / "step-3") == whole


@pytest.mark.parametrize("stop_at", [3, 8])
def test_loaders_created_within_the_loop(run_directory: RunDirectory, stop_at: int) -> None:
    def train(stop_at: int = 0) -> list[Any]:
        torch.manual_seed(1)
        run = holdfast.attach()
        seen = []
        for epoch in run.epochs(3, finish=False):
            loader = run.loader(Noisy(20 + 4 * epoch), batch_size=4, shuffle=True, name="train")
            for batch in loader:
                seen.append(batch.tolist())
                if step(run, run_directory, stop_at):
                    return seen
        with pytest.raises(holdfast.HoldfastError, match="needs a name"):
            run.loader(Noisy())
        close(run)
        return seen

    check_resumed(run_directory, train, stop_at)


def test_validation_passes_do_not_affect_training(run_directory: RunDirectory) -> None:
    def loop(stop_at: int | None) -> list[Any]:
        torch.manual_seed(1)
        run = holdfast.attach()
        training = run.loader(Noisy(), batch_size=4, shuffle=True)
        validation = run.loader(Noisy(9), batch_size=2, shuffle=True)
        seen: list[Any] = []
        for _ in run.epochs(2, finish=False):
            for batch in training:
                # Before the step: a resume repeats it.
                checked = [sample.tolist() for sample in validation] if run.global_step % 3 == 2 else []
                seen.append((run.global_step, batch.tolist(), checked))
                if step(run, run_directory, stop_at):
                    return seen
        return seen

    whole = loop(None)
    run_directory.next_attempt(None)
    seen = loop(5)
    run_directory.next_attempt()
    assert seen + loop(None) == whole


def test_two_passes_in_one_epoch(run_directory: RunDirectory) -> None:
    def loop(stop_at: int | None) -> list[Any]:
        run = holdfast.attach()
        torch.manual_seed(1)
        loader = run.loader(Noisy(6), batch_size=2, shuffle=True)
        run.restore()
        seen: list[Any] = []
        source = iter(loader)
        while run.global_step < 10:
            try:
                batch = next(source)
            except StopIteration:
                source = iter(loader)
                batch = next(source)
            seen.append(batch.tolist())
            if step(run, run_directory, stop_at):
                return seen
        return seen

    whole = loop(None)
    assert whole[0] != whole[3]
    for stop in (4, 5):
        run_directory.next_attempt(None)
        seen = loop(stop)
        run_directory.next_attempt()
        assert seen + loop(None) == whole


@pytest.mark.parametrize("save_at", [1, 2, 3, 5, 8])
def test_a_dataset_that_grows(tmp_path: Path, save_at: int) -> None:
    def train(save_at: int = 0, path: Path | None = None) -> list[Any]:
        torch.manual_seed(1)
        run = holdfast.attach()
        seen, found = [0] * 4, []
        run.register(seen=seen)
        loader = run.loader(seen, batch_size=3, shuffle=True)
        if path is not None:
            run.load(path)
        for epoch in run.epochs(4):
            for batch in loader:
                found.append(batch.tolist())
                if loader.position + 1 == len(loader):
                    seen += [epoch + 1] * 3
                run.step()
                if run.global_step == save_at:
                    run.save(tmp_path)
                    return found
        return found

    whole = train()
    assert [len(batches) for batches in whole[-5:]] == [3, 3, 3, 3, 1]
    assert train(save_at) + train(path=tmp_path / f"step-{save_at}") == whole


def test_an_open_iterator_prints_nothing_at_interpreter_exit() -> None:
    program = "import holdfast; batches = iter(holdfast.attach().loader(range(4))); print(next(batches))"
    ended = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert ended.stderr == ""


@pytest.mark.parametrize("save_at", [2, 3, 4, 6])
def test_a_pass_that_is_left_while_its_iterator_exists(tmp_path: Path, save_at: int) -> None:
    def train(save_at: int = 0, path: Path | None = None) -> list[Any]:
        torch.manual_seed(1)
        run = holdfast.attach()
        loader = run.loader(Noisy(20), batch_size=4, shuffle=True)
        if path is not None:
            run.load(path)
        seen = []
        for _ in run.epochs(3):
            batches = iter(loader)
            for _ in range(3 - loader.position):
                seen.append(next(batches).tolist())
                run.step()
                if run.global_step == save_at:
                    run.save(tmp_path)
                    return seen
        return seen

    whole = train()
    assert len(whole) == 9
    assert train(save_at) + train(path=tmp_path / f"step-{save_at}") == whole
