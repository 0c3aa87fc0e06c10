"""Hyperparameters that `holdfast run --set` changes."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

import pytest
import torch

import holdfast
from conftest import RunDirectory
from holdfast import _changes
from holdfast._documents import Change
from supervised import PACKAGE, Job

PROGRAMS = Path(__file__).parent / "programs"


def test_changed_values_replace_those_of_the_program(
    run_directory: RunDirectory, capfd: pytest.CaptureFixture[str]
) -> None:
    args = argparse.Namespace(lr=0.1, data=Path("a"), betas=(0.9, 0.99), epochs=3)
    run_directory.resume(
        hyperparameters={"lr": 0.1, "data": "a", "betas": [0.9, 0.99], "epochs": 3},
        hyperparameter_changes=[
            {"name": "lr", "from": 0.1, "to": 0.2, "step": 5},
            {"name": "data", "from": "a", "to": "b", "step": 5},
            {"name": "betas", "from": [0.9, 0.99], "to": [0.8, 0.99], "step": 5},
            {"name": "lr", "from": 0.2, "to": 0.3, "step": 9},
        ],
    )
    run = holdfast.attach(vars(args))
    assert args == argparse.Namespace(lr=0.3, data=Path("b"), betas=(0.8, 0.99), epochs=3)
    assert run.hyperparameters == {"lr": 0.3, "data": "b", "betas": [0.8, 0.99], "epochs": 3}
    errors = capfd.readouterr().err
    assert "hyperparameter 'lr' is 0.3, not 0.1 (holdfast run --set)" in errors
    assert "changed from" not in errors


def test_a_changed_member_replaces_that_of_the_program(
    run_directory: RunDirectory, capfd: pytest.CaptureFixture[str]
) -> None:
    thing = object()
    options, own = {"lr": 0.1, "data": Path("a")}, argparse.Namespace(decay=1.0, thing=thing)
    values = {"optimizer": options, "own": own}
    run_directory.resume(
        hyperparameters={"optimizer": {"lr": 0.1, "data": "a"}, "own": {"decay": 1.0, "thing": str(thing)}},
        hyperparameter_changes=[
            {
                "name": "optimizer",
                "from": {"lr": 0.1, "data": "a"},
                "to": {"lr": 0.2, "data": "b"},
                "step": 5,
            },
            {"name": "own", "from": {"decay": 1.0}, "to": {"decay": 2, "thing": str(thing)}, "step": 5},
        ],
    )
    run = holdfast.attach(values)
    # The program may have read them already.
    assert options == {"lr": 0.2, "data": Path("b")}
    assert (own.decay, type(own.decay), own.thing) == (2.0, float, thing)
    assert run.hyperparameters["optimizer"] == {"lr": 0.2, "data": "b"}
    assert "'optimizer' is {'lr': 0.2, 'data': 'b'}, not {'lr': 0.1, 'data': 'a'}" in capfd.readouterr().err


def _scheduler(kind: str, optimizer: torch.optim.Optimizer, rate: float) -> Any:
    of = torch.optim.lr_scheduler
    if kind == "step":
        return of.StepLR(optimizer, 2, 0.5)
    if kind == "cycle":
        return of.OneCycleLR(optimizer, max_lr=rate, total_steps=20)
    if kind == "cosine":
        return of.CosineAnnealingLR(optimizer, 20)
    parts = [of.LinearLR(optimizer), of.ExponentialLR(optimizer, 0.9)]
    return of.SequentialLR(optimizer, parts, milestones=[3])


@pytest.mark.parametrize("kind", ["step", "cycle", "cosine", "sequence"])
def test_a_restored_optimizer_continues_as_with_the_new_rate(kind: str) -> None:
    def trained(rate: float, steps: int) -> tuple[torch.optim.Optimizer, Any]:
        optimizer = torch.optim.SGD([torch.nn.Parameter(torch.ones(1))], lr=rate, momentum=0.9)
        scheduler = _scheduler(kind, optimizer, rate)
        for _ in range(steps):
            optimizer.step()
            scheduler.step()
        return optimizer, scheduler

    optimizer, scheduler = trained(0.1, 5)
    lines: list[str] = []
    _changes.adapt([Change("model.lr", 0.1, 0.01, 5)], [{"all": [optimizer]}, scheduler], lines.append)
    assert lines and all("because of --set: lr is" in line for line in lines)
    expected, other = trained(0.01, 5)
    for _ in range(10):
        assert optimizer.param_groups[0]["lr"] == pytest.approx(expected.param_groups[0]["lr"])
        assert scheduler.get_last_lr() == pytest.approx(other.get_last_lr())
        for one, of in ((optimizer, scheduler), (expected, other)):
            one.step()
            of.step()


def test_other_options_are_changed_by_name() -> None:
    optimizer = torch.optim.AdamW([torch.nn.Parameter(torch.ones(1))], lr=0.1, weight_decay=0.01)
    changes = [
        Change("weight_decay", 0.01, 0.0, 1), Change("betas", [0.9, 0.999], [0.8, 0.999], 1),
        Change("lr", 0.5, 0.6, 1), Change("amsgrad", False, True, 1),
    ]  # fmt: skip
    _changes.adapt(changes, [optimizer], lambda line: None)
    group = optimizer.param_groups[0]
    assert (group["weight_decay"], group["betas"], group["lr"]) == (0.0, (0.8, 0.999), 0.1)
    assert group["amsgrad"] is False


def test_a_rate_is_adapted_once() -> None:
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.ones(1))], lr=0.1)
    scheduler = torch.optim.lr_scheduler.StepLR(optimizer, 1, 0.5)
    optimizer.step()
    scheduler.step()
    # The second time the rate is the old one by chance.
    for _ in range(2):
        _changes.adapt([Change("lr", 0.1, 0.2, 1)], [optimizer, scheduler], lambda line: None)
        assert optimizer.param_groups[0]["lr"] == 0.1


def test_another_rate_is_reported() -> None:
    parameters = [torch.nn.Parameter(torch.ones(1)) for _ in range(2)]
    optimizer = torch.optim.SGD([{"params": parameters[:1]}, {"params": parameters[1:], "lr": 1.0}], lr=0.1)
    lines: list[str] = []
    _changes.adapt([Change("lr", 0.1, 0.2, 1)], [optimizer], lines.append)
    assert [group["lr"] for group in optimizer.param_groups] == [0.2, 1.0]
    assert len(lines) == 2
    assert "keeps lr 1.0 despite --set, because it did not begin with 0.1" in lines[1]


@pytest.mark.parametrize("kind", ["loader", "batches", "range", "second", "nested", "automatic", "manual"])
def test_every_step_from_the_middle_of_an_epoch_uses_the_new_rate(tmp_path: Path, kind: str) -> None:
    is_lightning = kind in ("automatic", "manual")
    if is_lightning:
        pytest.importorskip("pytorch_lightning")
    program = PROGRAMS / ("rate_lightning.py" if is_lightning else "rate_torch.py")
    # Attempts that follow a kill begin in the middle of an epoch too.
    options = ("--stage-every", "20ms", "--no-checkpoints")
    with Job(tmp_path, program, kind, options=options) as job:
        job.start()
        assert job.wait_for(lambda: job.step > 5)
        assert job.supervisor is not None
        job.supervisor.terminate()
        assert job.wait() == 75
        stopped = job.json("status")["step"]
        assert 5 < stopped < 60
        assert {rate for _, rate in _rates(job)} == {0.01}
        lines = len(_rates(job))
        job.options += ["--set", "optimizer.lr=0.03" if kind == "nested" else "lr=0.03"]
        job.start()
        assert job.kill_at(stopped + 15)
        assert job.wait() == 0, job.errors.read_text()
        later = _rates(job)[lines:]
        assert later[0][0] == stopped
        assert len(later) > 15
        assert {rate for _, rate in later} == {0.03}


def _rates(job: Job) -> list[tuple[int, float]]:
    """Return the steps of all attempts, and the learning rate with which each has changed the weights."""
    lines = [line.split() for line in job.output.read_text().splitlines()]
    return [(int(words[1]), float(words[2])) for words in lines if len(words) == 3 and words[0] == "rate"]


def _continued(tmp_path: Path, program: str, *arguments: object) -> str:
    """Run a program, stop it, and continue it with another learning rate; return its messages."""
    options = ("--stage-every", "100ms")
    with Job(tmp_path, PACKAGE / "examples" / program, *arguments, options=options) as job:
        job.start()
        assert job.wait_for(lambda: job.step > 60)
        assert job.supervisor is not None
        job.supervisor.terminate()
        assert job.wait() == 75
        job.options += ["--set", "learning_rate=1e-4"]
        job.start()
        # The action is applied once, and its values stay.
        assert job.kill_at(110)
        assert job.wait() == 0
        assert job.json("status")["deviation"]["differences"][0]["name"] == "learning_rate"
        return job.errors.read_text()


def test_a_torch_program(tmp_path: Path) -> None:
    errors = _continued(tmp_path, "digits_torch.py", "--epochs", 5, "--step-delay", 0.02)
    assert "restored optimizer, because of --set: lr is " in errors, errors
    assert errors.count("because of --set: lr is") == 1, errors
    final = holdfast.load(tmp_path / "state" / "checkpoints" / "step-225")
    # Halved after every second epoch.
    assert final["optimizer"]["param_groups"][0]["lr"] == pytest.approx(2.5e-5)
    assert final["scheduler"]["_last_lr"] == [pytest.approx(2.5e-5)]


def test_a_lightning_program(tmp_path: Path) -> None:
    pytest.importorskip("pytorch_lightning")
    where = tmp_path / "lightning"
    errors = _continued(
        tmp_path, "digits_lightning.py", "--epochs", 5, "--step-delay", 0.02, "--directory", where
    )
    assert "because of --set: lr is" in errors, errors


def test_overriding_takes_members_and_keeps_types(tmp_path: Path) -> None:
    run = holdfast.attach({"net": {"dim": 4, "inner": {"rate": 0.5}}, "lr": 0.1, "a.b": 1})
    path = run.save(tmp_path)
    overriding = {"net.dim": 9, "net.inner.rate": 1, "net.more": 3, "lr": 2, "a.b": 5.0, "other.name": 7}
    loaded = holdfast.Checkpoint.load(path, overriding=overriding).hyperparameters
    expected = {"net": {"dim": 9, "inner": {"rate": 1.0}, "more": 3}, "lr": 2.0, "a.b": 5, "other.name": 7}
    assert json.dumps(loaded) == json.dumps(expected)
    assert holdfast.load(path).hyperparameters["net"] == {"dim": 4, "inner": {"rate": 0.5}}
    standalone = holdfast.attach({"net": {"dim": 4}}, overrides={"net.dim": 9})
    assert standalone.hyperparameters == {"net": {"dim": 9}}
