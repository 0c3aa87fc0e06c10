"""What is restored belongs to the program, and what is saved last is the state at the end."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import nn

import holdfast
from conftest import RunDirectory, close
from holdfast import _layout as at
from test_run import stage


class Averaged(nn.Module):
    """A module with a `load_state_dict` of its own, which keeps what it is given."""

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
def test_what_is_restored_is_no_view_of_the_arena(run_directory: RunDirectory, kind: str) -> None:
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


def test_the_final_state_is_that_after_validation(run_directory: RunDirectory) -> None:
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
        run.stop()  # No next epoch begins.
    close(run)
    run_directory.next_attempt()
    run = holdfast.attach()
    best = {}
    run.register(best=best)
    run.restore()
    assert best == {"score": 7}
