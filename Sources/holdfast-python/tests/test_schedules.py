"""Learning rates over resumes: schedulers per step and per epoch, and based on validation."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import nn
from torch.optim import lr_scheduler

import holdfast
from conftest import RunDirectory, step
from internals import close

EPOCHS = 4
BATCHES = 5
SCHEDULERS = {
    "of each step": lambda optimizer: lr_scheduler.OneCycleLR(optimizer, 0.1, total_steps=EPOCHS * BATCHES),
    "of each epoch": lambda optimizer: lr_scheduler.StepLR(optimizer, 1, gamma=0.5),
    "warm-up, then a cosine": lambda optimizer: lr_scheduler.SequentialLR(
        optimizer,
        [
            lr_scheduler.LinearLR(optimizer, 0.1, total_iters=3),
            lr_scheduler.CosineAnnealingLR(optimizer, EPOCHS * BATCHES),
        ],
        [3],
    ),
    "of each step, up and down": lambda optimizer: lr_scheduler.CyclicLR(
        optimizer, 0.01, 0.1, step_size_up=3, mode="exp_range", gamma=0.97
    ),
    "by validation": lambda optimizer: lr_scheduler.ReduceLROnPlateau(optimizer, patience=0, factor=0.5),
}


def train(kind: str, stop_at: int | None, directory: RunDirectory | None) -> list[Any]:
    """Train until a step and save there; return each step's learning rate, and the weight after it."""
    torch.manual_seed(3)
    run = holdfast.attach()
    model = nn.Linear(2, 1)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.05, momentum=0.9)
    scheduler: Any = SCHEDULERS[kind](optimizer)
    run.register(model=model, optimizer=optimizer, scheduler=scheduler)
    seen = []
    for epoch in run.epochs(EPOCHS, finish=False):
        for _ in run.batches(BATCHES):
            rate = optimizer.param_groups[0]["lr"]
            loss = (model(torch.randn(8, 2)) - 1).square().mean()
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            if kind not in ("of each epoch", "by validation"):
                scheduler.step()
            seen.append((rate, model.weight.tolist()))
            if step(run, directory, stop_at, loss=loss):
                return seen
        with run.phase("validation"):
            # Increases with every epoch.
            quality = epoch + float(model.weight.detach().square().sum()) * 1e-3
        if kind == "by validation":
            scheduler.step(quality)
        elif kind == "of each epoch":
            scheduler.step()
    close(run)
    return seen


@pytest.mark.filterwarnings("ignore:.*epoch parameter in `scheduler.step:UserWarning")
@pytest.mark.parametrize("kind", SCHEDULERS)
def test_learning_rates_are_identical_after_resumes(run_directory: RunDirectory, kind: str) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("HOLDFAST_RUN_DIR")
        whole = train(kind, None, None)
    assert len({rate for rate, _ in whole}) > 2
    seen: list[Any] = []
    # In mid-epoch, after the first step of an epoch, before the last one, and in quick succession.
    for stop in (2, 3, 4, 6, 11, 13, 19):
        seen += train(kind, stop, run_directory)
        run_directory.next_attempt()
    seen += train(kind, None, run_directory)
    assert seen == whole
