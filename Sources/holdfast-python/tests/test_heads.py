"""The code before the first batch of an epoch, and after the last one."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

import holdfast
from conftest import RunDirectory, step
from internals import at, close

DATA = torch.utils.data.TensorDataset(torch.arange(20.0))


def test_changes_in_the_head_of_an_epoch_are_applied_once(run_directory: RunDirectory) -> None:
    """For small and large states."""

    def train(stop_at: int | None = None) -> list[Any]:
        torch.manual_seed(1)
        run = holdfast.attach()
        model = nn.Linear(300, 300)
        counts = {"heads": 0}
        run.register(model=model, counts=counts)
        seen = []
        for _ in run.epochs(2, finish=False):
            counts["heads"] += 1
            # Does not change the version counter.
            model.weight.data[7, 11] += 1
            drawn = torch.rand(1).item()
            for _ in run.batches(4):
                with torch.no_grad():
                    model.weight.add_(torch.rand(1) * drawn)
                seen.append((counts["heads"], drawn, model.weight.sum().item(), model.weight[7, 11].item()))
                if step(run, run_directory, stop_at):
                    return seen
        close(run)
        return seen

    whole = train()
    for stop_at in (2, 6):
        run_directory.next_attempt(None)
        first = train(stop_at)
        run_directory.next_attempt()
        assert first + train() == whole


def test_changes_between_restore_and_the_loop_are_preserved(run_directory: RunDirectory) -> None:
    def train(rate: float | None, stop_at: int | None = None) -> list[float]:
        run = holdfast.attach()
        optimizer = torch.optim.SGD(nn.Linear(2, 2).parameters(), lr=1.0)
        run.register(optimizer=optimizer)
        run.restore()
        if rate is not None:
            optimizer.param_groups[0]["lr"] = rate
        seen = []
        for _ in run.epochs(1, finish=False):
            optimizer.param_groups[0]["lr"] *= 0.5
            for _ in run.batches(4):
                seen.append(optimizer.param_groups[0]["lr"])
                if step(run, run_directory, stop_at):
                    return seen
        close(run)
        return seen

    assert train(None, stop_at=2) == [0.5, 0.5]
    run_directory.next_attempt()
    assert train(0.25) == [0.25, 0.25]


def test_validation_restores_the_random_streams() -> None:
    run = holdfast.attach()
    torch.manual_seed(1)
    expected = torch.rand(1)
    torch.manual_seed(1)
    with run.phase("validation"):
        torch.rand(5)
    assert torch.equal(torch.rand(1), expected)
    # Training may depend on what other phases draw.
    torch.manual_seed(1)
    with run.phase("collecting"):
        assert torch.equal(torch.rand(1), expected)
    assert not torch.equal(torch.rand(1), expected)


def test_a_safepoint_in_the_middle_of_a_body_waits(run_directory: RunDirectory) -> None:
    run = holdfast.attach()
    run.restore()
    while run.global_step < 2:
        torch.rand(1)
        run_directory.request(1)
        run.safepoint()
        with run.phase("collecting"):
            run.safepoint()
        assert run_directory.word(at.RING_ACKNOWLEDGED) == 0
        run.step()
        assert run_directory.word(at.RING_ACKNOWLEDGED) == 1
        break


def test_stopping_at_once(run_directory: RunDirectory) -> None:
    def train(stop_at: int | None = None) -> int:
        run = holdfast.attach()
        loader = run.loader(DATA, batch_size=4)
        for _ in run.epochs(3, finish=False):
            for _ in loader:
                if run.global_step == 6:
                    run.stop(at_once=True)
                if step(run, run_directory, stop_at):
                    return run.global_step
        close(run)
        return run.global_step

    assert train() == 7
    run_directory.next_attempt(None)
    assert train(stop_at=7) == 7
    run_directory.next_attempt()
    assert train() == 7


def test_stopping_after_the_step_is_reported(capfd: pytest.CaptureFixture[str]) -> None:
    run = holdfast.attach()
    for _ in run.epochs(1):
        for _ in run.loader(DATA, batch_size=4, name="train"):
            run.step()
            run.stop()
            break
    assert "run.stop() was called after run.step()" in capfd.readouterr().err


def test_a_step_after_the_end_is_reported(
    run_directory: RunDirectory, capfd: pytest.CaptureFixture[str]
) -> None:
    run_directory.put(at.RING_SPARE_SLOT, "<I", 0)
    run = holdfast.attach()
    run.restore()
    run.step()
    run.finish()
    close(run)
    run_directory.next_attempt()
    run = holdfast.attach()
    run.restore()
    run.step()
    assert "the run was finished at step 1, but continues now" in capfd.readouterr().err


def test_a_different_subset_is_refused_in_mid_epoch(tmp_path: Path) -> None:
    def train(chosen: list[int], path: Path | None = None) -> None:
        run = holdfast.attach()
        loader = run.loader(torch.utils.data.Subset(DATA, chosen), batch_size=2, shuffle=True)
        if path is not None:
            run.load(path)
        for _ in run.epochs(1):
            for _ in loader:
                run.step()
                if path is None:
                    run.save(tmp_path)
                    return

    train([1, 2, 3, 4])
    train([1, 2, 3, 4], tmp_path / "step-1")
    with pytest.raises(holdfast.HoldfastError, match="the indices of its Subset differ"):
        train([1, 2, 3, 5], tmp_path / "step-1")
