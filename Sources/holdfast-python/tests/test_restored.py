"""Restored objects own their memory, and the last saved state is the final one."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import nn

import holdfast
from conftest import RunDirectory
from internals import at, close
from test_run import stage


class Averaged(nn.Module):
    """A module with a custom `load_state_dict`, which stores the given tensors."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(40, 40)
        self.average = torch.full((40, 40), 0.5)

    def state_dict(self, *_: Any, **__: Any) -> Any:
        return {**self.layer.state_dict(), "average": self.average}

    def load_state_dict(self, state: Any, *_: Any, **__: Any) -> Any:
        self.average = state["average"]
        return self.layer.load_state_dict({name: state[name] for name in ("weight", "bias")})


@pytest.mark.parametrize("kind", ["gradient", "own load_state_dict"])
def test_restored_tensors_are_not_views_of_the_arena(run_directory: RunDirectory, kind: str) -> None:
    """The supervisor reuses a slot while the program still trains."""

    def begin() -> tuple[Any, holdfast.Run]:
        model = nn.Linear(40, 40) if kind == "gradient" else Averaged()
        run = holdfast.attach()
        run.register(model=model, save_gradients=kind == "gradient")
        return model, run

    def kept(model: Any) -> torch.Tensor:
        return model.weight.grad if kind == "gradient" else model.average

    model, run = begin()
    run.restore()
    if kind == "gradient":
        model(torch.ones(40)).sum().backward()
    stage(run_directory, run)
    resumed, run = begin()
    run.restore()
    assert torch.equal(kept(resumed), kept(model))
    arena = run_directory.path / "arena-0-0"
    with arena.open("r+b") as file:
        file.write(b"\xff" * arena.stat().st_size)
    assert torch.equal(kept(resumed), kept(model))


def test_the_final_state_includes_validation(run_directory: RunDirectory) -> None:
    run_directory.put(at.RING_SPARE_SLOT, "<I", 0)
    best = {"score": 0}
    run = holdfast.attach()
    run.register(best=best)
    loader = run.loader(torch.utils.data.TensorDataset(torch.arange(4)), batch_size=2)
    for _ in run.epochs(3):
        for _ in loader:
            run.step()
        with run.phase("validation"):
            best["score"] = 7
        run.stop()  # So no other epoch begins.
    close(run)
    run_directory.next_attempt()
    run = holdfast.attach()
    best = {}
    run.register(best=best)
    run.restore()
    assert best == {"score": 7}


def test_module_flags_are_saved_once_training_changes_them(
    run_directory: RunDirectory,
) -> None:
    def begin(*, frozen: bool) -> tuple[nn.Module, holdfast.Run]:
        model = nn.Sequential(nn.Linear(2, 2), nn.Dropout(0.5))
        model[0].requires_grad_(not frozen)
        run = holdfast.attach()
        run.register(model=model)
        run.restore()
        return model, run

    _, run = begin(frozen=False)
    stage(run_directory, run)
    # A changed program freezes the layer.
    model, run = begin(frozen=True)
    assert not model[0].weight.requires_grad
    model[0].weight.requires_grad_(True)
    model[1].eval()
    stage(run_directory, run)
    model, run = begin(frozen=True)
    assert model[0].weight.requires_grad
    assert not model[0].bias.requires_grad
    assert [part.training for part in model.modules()] == [True, True, False]


def test_states_of_older_versions_without_flags_and_buffers_are_accepted(run_directory: RunDirectory) -> None:
    """Older versions did not save them."""

    def begin(value: float) -> tuple[nn.Module, holdfast.Run]:
        model = nn.Linear(2, 2)
        model.register_buffer("mean", torch.full((2,), value), persistent=False)
        run = holdfast.attach()
        run.register(model=model)
        return model, run

    model, run = begin(1.0)
    run.restore()
    model.weight.requires_grad_(False)
    stage(run_directory, run)
    model, run = begin(2.0)

    def older(states: dict[str, Any]) -> None:
        del states["model.modes"], states["model.beside"]["trained"], states["model.beside"]["buffers"]

    run.on_load_checkpoint(older)
    assert run.restore()
    assert model.weight.requires_grad
    assert model.mean.tolist() == [2.0, 2.0]


def test_changing_the_training_mode_after_a_step_is_not_reported(
    run_directory: RunDirectory, capfd: pytest.CaptureFixture[str]
) -> None:
    model = nn.Linear(2, 2)
    run = holdfast.attach()
    run.register(model=model)
    for _ in run.epochs(1, finish=False):
        for number in run.batches(4):
            model.train()
            run_directory.request(number + 1, slot=number % 2)
            run.step()
            model.eval()
    assert run_directory.word(at.RING_ACKNOWLEDGED) >= 3
    assert "changed after run.step()" not in capfd.readouterr().err


@pytest.mark.parametrize("strict", [True, False])
def test_parameter_groups_are_added_in_a_load_hook(run_directory: RunDirectory, strict: bool) -> None:
    def begin() -> tuple[Any, torch.optim.Optimizer, holdfast.Run]:
        model = nn.Sequential(nn.Linear(2, 2), nn.Linear(2, 2))
        optimizer = torch.optim.Adam(model[1].parameters())
        run = holdfast.attach()
        run.register(model=model, optimizer=optimizer, strict=strict)
        return model, optimizer, run

    model, optimizer, run = begin()
    run.restore()
    optimizer.add_param_group({"params": model[0].parameters(), "lr": 0.5})
    model(torch.ones(2)).sum().backward()
    optimizer.step()
    stage(run_directory, run)
    model, optimizer, run = begin()
    with pytest.raises(
        holdfast.HoldfastError, match="number of parameter groups.*on_load_checkpoint"
    ) as refused:
        run.restore()
    assert "strict=False" not in str(refused.value)
    close(run)
    run_directory.next_attempt()
    model, optimizer, run = begin()
    run.on_load_checkpoint(lambda _: optimizer.add_param_group({"params": model[0].parameters()}))
    assert run.restore()
    assert [group["lr"] for group in optimizer.param_groups] == [0.001, 0.5]
    assert len(optimizer.state) == 4


def test_mismatches_are_reported_when_not_strict(
    run_directory: RunDirectory, capfd: pytest.CaptureFixture[str]
) -> None:
    def begin(classes: int, last: str, **more: Any) -> tuple[nn.Module, holdfast.Run]:
        model = nn.Sequential()
        model.add_module("first", nn.Linear(2, 2))
        model.add_module("head", nn.Linear(2, classes))
        model.add_module(last, nn.Linear(2, 2, bias=False))
        run = holdfast.attach()
        run.register(model=model, strict=False, **more)
        return model, run

    before, run = begin(3, "old")
    run.restore()
    stage(run_directory, run)
    assert "model" not in capfd.readouterr().err
    model, run = begin(4, "new", more={})
    assert run.restore()
    assert torch.equal(model.first.weight, before.first.weight)
    errors = capfd.readouterr().err
    assert "'model' was restored partially; left out: " in errors
    assert "head.weight (shape was (3, 2), is (4, 2)); head.bias (shape was (3,), is (4,))" in errors
    assert "old.weight (not in the model); new.weight (not saved)" in errors
    assert "'more' has no saved state" in errors
    assert "modes" not in errors
    assert run.not_loaded == [
        "model/head.weight (shape was (3, 2), is (4, 2))",
        "model/head.bias (shape was (3,), is (4,))",
        "model/old.weight (not in the model)",
        "model/new.weight (not saved)",
        "more (not saved)",
    ]
