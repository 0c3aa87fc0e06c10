"""The points where a state can be saved: after a step, during validation, between micro-batches."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

import holdfast
from conftest import RunDirectory
from internals import at, close


def test_validation_saves_the_state_of_the_last_step(run_directory: RunDirectory) -> None:
    best = {"score": 1.0}
    model = nn.Linear(300, 300)
    run = holdfast.attach()
    run.register(model=model, best=best)
    run.restore()
    run.step()
    expected = random.getstate()
    with run.phase("validation"):
        random.random()
        best["score"] = 2.0
        run_directory.request(1)
        run.safepoint()
    assert run_directory.word(at.RING_OUTCOME, "<I") == at.OUTCOME_STAGED
    # A weight has changed since the step, so the state is inconsistent: the next step answers instead.
    with run.phase("validation"), torch.no_grad():
        model.weight.add_(1)
        run_directory.request(2, slot=1)
        run.safepoint()
    assert run_directory.word(at.RING_OUTCOME, "<I") == at.OUTCOME_MISSED
    close(run)
    run_directory.next_attempt()
    run = holdfast.attach()
    run.register(model=nn.Linear(300, 300), best=best)
    run.restore()
    assert best == {"score": 1.0}
    assert random.getstate() == expected


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.complex64, torch.bool], ids=str)
def test_averaged_weights_swapped_in_for_validation_are_not_saved(
    run_directory: RunDirectory, dtype: torch.dtype
) -> None:
    # Writes through `data` do not change the version counter.
    weight = nn.Parameter(torch.zeros(300, 300).to(dtype), requires_grad=False)
    averaged = torch.ones(300, 300).to(dtype)
    run = holdfast.attach()
    run.register(weight=weight)
    run.restore()
    run.step()
    with run.phase("validation"):
        # A change of a single element must be detected.
        weight.data[123, 45] = averaged[123, 45]
        run_directory.request(1)
        run.safepoint()
        assert run_directory.word(at.RING_OUTCOME, "<I") == at.OUTCOME_MISSED
        weight.data.zero_()
        run_directory.request(2)
        run.safepoint()
        assert run_directory.word(at.RING_OUTCOME, "<I") == at.OUTCOME_STAGED


def test_requests_are_answered_while_validation_reads_a_loader(run_directory: RunDirectory) -> None:
    data = torch.utils.data.TensorDataset(torch.arange(8))
    run = holdfast.attach()
    run.register(count={"value": 1})
    loader = run.loader(data, batch_size=2)
    validation = run.loader(data, batch_size=2)
    batches = iter(loader)
    next(batches)
    run.step()
    with run.phase("validation"):
        for number, _ in enumerate(validation, 1):
            run_directory.request(number)
            run.safepoint()
            assert run_directory.word(at.RING_ACKNOWLEDGED) == number
    assert loader.position == 1


def test_a_safepoint_in_the_middle_of_a_batch_only_beats(run_directory: RunDirectory) -> None:
    run = holdfast.attach()
    loader = run.loader(torch.utils.data.TensorDataset(torch.arange(6)), batch_size=2)
    for _ in loader:
        run_directory.request(1)
        before = run_directory.word(at.RING_HEARTBEAT)
        run.safepoint()
        assert run_directory.word(at.RING_HEARTBEAT) == before + 1
        assert run_directory.word(at.RING_ACKNOWLEDGED) == 0
        run.step()
        assert run_directory.word(at.RING_ACKNOWLEDGED) == 1
        break


def test_gradients_between_micro_batches(run_directory: RunDirectory) -> None:
    def make() -> nn.Module:
        torch.manual_seed(2)
        return nn.Linear(3, 1)

    model = make()
    run = holdfast.attach()
    run.register(model=model, save_gradients=True)
    run.restore()
    model(torch.ones(3)).backward()
    run_directory.request(1)
    run.step(optimizer_stepped=False)
    assert (run.global_step, run.optimizer_steps) == (1, 0)
    close(run)
    run_directory.next_attempt()
    resumed = make()
    run = holdfast.attach()
    run.register(model=resumed, save_gradients=True)
    run.restore()
    assert (run.global_step, run.optimizer_steps) == (1, 0)
    assert torch.equal(resumed.weight.grad, model.weight.grad)


@pytest.mark.parametrize("sparse", [False, True])
def test_the_presence_of_gradients_is_restored(run_directory: RunDirectory, sparse: bool) -> None:
    """An optimizer with momentum changes parameters whose gradient is zero, but not those without one."""

    def train(steps: range) -> list[Any]:
        torch.manual_seed(4)
        model = nn.ModuleList([nn.Embedding(3, 2, sparse=sparse), nn.Embedding(3, 2, sparse=sparse)])
        kind = torch.optim.SparseAdam if sparse else torch.optim.Adam
        optimizer = kind(list(model.parameters()), lr=0.1)
        run = holdfast.attach()
        run.register(model=model, optimizer=optimizer)
        run.restore()
        seen = []
        for step in steps:
            optimizer.zero_grad(set_to_none=False)
            # Each step uses only one of the two.
            model[step % 2](torch.tensor([step % 3])).sum().backward()
            optimizer.step()
            if step == 3:
                run_directory.request(1)
            run.step()
            seen.append([parameter.tolist() for parameter in model.parameters()])
        close(run)
        return seen

    whole = train(range(7))
    run_directory.next_attempt()
    assert train(range(4, 7)) == whole[4:]


def test_no_resume_point_between_micro_batches_without_the_gradients(run_directory: RunDirectory) -> None:
    model = nn.Linear(3, 1)
    run = holdfast.attach()
    run.register(model=model)
    run.restore()
    run_directory.request(1)
    run.step(optimizer_stepped=False)
    run.safepoint()
    with run.phase("validation"):
        run.safepoint()
    assert run_directory.word(at.RING_ACKNOWLEDGED) == 0
    with pytest.raises(holdfast.HoldfastError, match="save_gradients=True"):
        run.step(optimizer_stepped=False, state=True)
    run.step()
    assert run.optimizer_steps == 1
    assert run_directory.word(at.RING_ACKNOWLEDGED) == 1
    run_directory.request(2, at.REQUEST_CANCEL)
    run.step(optimizer_stepped=False)
    assert run_directory.word(at.RING_ACKNOWLEDGED) == 2


def test_saved_gradients_are_separate_from_the_weights(tmp_path: Path) -> None:
    model = nn.Linear(2, 2)
    run = holdfast.attach()
    run.register(model=model, save_gradients=True)
    model(torch.ones(2)).sum().backward()
    run.step(optimizer_stepped=False)
    path = run.save(tmp_path)
    for weights_only in (False, True):
        loaded = holdfast.load(path, weights_only=weights_only)
        assert "model" in loaded
        nn.Linear(2, 2).load_state_dict(loaded["model"])
    # A program that no longer requests gradients still loads them; the next one loads what that one saves.
    for gradient in (model.weight.grad, torch.zeros(2, 2)):
        run = holdfast.attach()
        run.register(model=model)
        model.weight.grad = None
        run.load(path)
        assert torch.equal(model.weight.grad, gradient)
        path = run.save(tmp_path / "without")


def test_a_state_that_cannot_be_saved_after_a_pass(run_directory: RunDirectory) -> None:
    run = holdfast.attach()
    best: dict[str, Any] = {}
    run.register(best=best)
    for _ in run.epochs(2, finish=False):
        for _ in run.batches(1):
            run.step()
        best["image"] = object()
        with run.phase("validation"):
            pass
    run_directory.request(1)
    run.step()
    assert run_directory.word(at.RING_ACKNOWLEDGED) == 1
    assert run_directory.word(at.RING_OUTCOME, "<I") == at.OUTCOME_FAILED
