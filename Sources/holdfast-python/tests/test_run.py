"""Registering, restoring, phases, hyperparameters, saving and loading."""

from __future__ import annotations

import argparse
import datetime
import enum
import json
import random
import struct
import subprocess
import warnings
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import safetensors.torch
import torch
from torch import nn

import holdfast
from conftest import RunDirectory
from internals import at, close
from supervised import HOLDFAST


def stage(directory: RunDirectory, run: holdfast.Run, number: int = 1) -> None:
    """Stage the state at a step, and begin the next attempt from it."""
    directory.request(number)
    run.step()
    assert directory.word(at.RING_OUTCOME, "<I") == at.OUTCOME_STAGED
    close(run)
    directory.next_attempt()


@dataclass
class Progress:
    best: float = 0.0
    patience: int = 3


def test_everything_that_can_be_registered_is_restored(run_directory: RunDirectory) -> None:
    def make(seed: int) -> dict[str, Any]:
        torch.manual_seed(seed)
        model = nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4))
        optimizer = torch.optim.Adam(model.parameters(), lr=0.1 * seed)
        model(torch.randn(5, 3)).sum().backward()
        optimizer.step()
        return {
            "model": model,
            "optimizer": optimizer,
            "scheduler": torch.optim.lr_scheduler.MultiStepLR(optimizer, [2, 4], gamma=0.1),
            "scaler": torch.cuda.amp.GradScaler(enabled=False),
            "settings": {"a": seed, "b": [seed, {"c": (1, seed)}]},
            "history": [seed, seed],
            "array": np.arange(4.0) * seed,
            "tensor": torch.ones(3) * seed,
            "progress": Progress(best=seed, patience=seed),
            "numpy_rng": np.random.default_rng(seed),
            "old_numpy_rng": np.random.RandomState(seed),
            "torch_rng": torch.Generator().manual_seed(seed),
            "python_rng": random.Random(seed),
            "nothing": None,
        }

    def draws(parts: dict[str, Any]) -> list[float]:
        return [
            parts["numpy_rng"].random(), parts["old_numpy_rng"].normal(),
            float(torch.rand(1, generator=parts["torch_rng"])), parts["python_rng"].gauss(0, 1),
            random.gauss(0, 1), np.random.normal(), float(torch.randn(1)),
        ]  # fmt: skip

    saved = make(3)
    run = holdfast.attach()
    run.register(**saved)
    run.restore()
    draws(saved)  # Each generator now stores the second number of a Gaussian pair.
    stage(run_directory, run)
    expected = draws(saved)
    loaded = make(5)
    run = holdfast.attach()
    run.register(**loaded)
    assert run.restore()
    assert draws(loaded) == expected
    assert (run.global_step, run.resumed_from) == (1, 1)
    for name in ("settings", "history", "progress"):
        assert loaded[name] == saved[name]
    assert np.array_equal(loaded["array"], saved["array"])
    assert torch.equal(loaded["tensor"], saved["tensor"])
    for name in ("model", "optimizer", "scheduler"):
        assert repr(loaded[name].state_dict()) == repr(saved[name].state_dict())


def test_optimizer_state_is_not_a_view_of_the_arena(run_directory: RunDirectory) -> None:
    model = nn.Linear(100, 100)
    optimizer = torch.optim.Adam(model.parameters())
    model(torch.randn(5, 100)).sum().backward()
    optimizer.step()
    run = holdfast.attach()
    run.register(model=model, optimizer=optimizer)
    run.restore()
    stage(run_directory, run)
    run = holdfast.attach()
    run.register(model=model, optimizer=optimizer)
    run.restore()
    before = json.dumps(optimizer.state_dict(), default=lambda tensor: tensor.tolist())
    weights = model.weight.detach().clone()
    arena = run_directory.path / "arena-0-0"
    with arena.open("r+b") as file:
        file.write(b"\xff" * arena.stat().st_size)
    assert before == json.dumps(optimizer.state_dict(), default=lambda tensor: tensor.tolist())
    assert torch.equal(model.weight, weights)


def test_different_components_are_refused_unless_not_strict(run_directory: RunDirectory) -> None:
    run = holdfast.attach()
    run.register(model=nn.Linear(2, 2), extra={"a": 1})
    run.restore()
    stage(run_directory, run)

    def resume(**components: Any) -> holdfast.Run:
        run = holdfast.attach()
        try:
            run.register(**components)
            run.restore()
        finally:
            close(run)
            run_directory.next_attempt()
        return run

    with pytest.raises(holdfast.HoldfastError, match="components that are not registered: extra"):
        resume(model=nn.Linear(2, 2))
    with pytest.raises(holdfast.HoldfastError, match="no state of 'more'"):
        resume(model=nn.Linear(2, 2), extra={}, more={})
    with pytest.raises(holdfast.HoldfastError, match="'model' cannot load its saved state"):
        resume(model=nn.Linear(2, 3), extra={})
    larger = nn.Sequential()
    larger.add_module("weight", nn.Linear(1, 1))
    with pytest.raises(holdfast.HoldfastError, match="cannot load its saved state"):
        resume(model=larger, extra={})
    resume(model=larger, extra={}, more={}, strict=False)


def test_registering_twice_or_late_is_refused() -> None:
    run = holdfast.attach()
    run.register(model=nn.Linear(1, 1))
    with pytest.raises(holdfast.HoldfastError, match="already in use"):
        run.register(model=nn.Linear(1, 1))
    with pytest.raises(holdfast.HoldfastError, match="no state_dict"):
        run.register(number=3)
    run.restore()
    with pytest.raises(holdfast.HoldfastError, match="after the run was restored"):
        run.register(late=nn.Linear(1, 1))


def test_hooks_add_and_remove_states(run_directory: RunDirectory) -> None:
    run = holdfast.attach()
    run.on_save_checkpoint(lambda states: states.update(extra={"seen": 7}))
    stage(run_directory, run)
    run = holdfast.attach()
    seen: list[Any] = []
    run.on_load_checkpoint(lambda states: seen.append(states.pop("extra")))
    run.restore()
    assert seen == [{"seen": 7}]


def test_hyperparameters(run_directory: RunDirectory, capfd: pytest.CaptureFixture[str]) -> None:
    run_directory.resume(hyperparameters={"lr": 0.1, "epochs": 3})
    run = holdfast.attach({"lr": 0.2, "epochs": 3, "new": 1})
    assert run.hyperparameters == {"lr": 0.2, "epochs": 3, "new": 1}
    assert "hyperparameter 'lr' changed from 0.1 to 0.2" in capfd.readouterr().err
    close(run)
    run_directory.next_attempt(None)
    run_directory.resume(hyperparameters={"lr": 0.1, "epochs": 3})
    run = holdfast.attach({"lr": 0.2, "epochs": 9, "new": 1}, overrides={"epochs": 5})
    assert run.hyperparameters == {"lr": 0.1, "epochs": 5, "new": 1}


def test_hyperparameters_of_any_type(run_directory: RunDirectory, capfd: pytest.CaptureFixture[str]) -> None:
    class Color(enum.Enum):
        RED = "red"

    given = {
        "betas": (0.9, 1.0), "schedule": {"warmup": 5, "sizes": {3, 1}}, "args": argparse.Namespace(lr=1.0),
        "width": np.int64(3), "rate": torch.tensor(0.5), "path": Path("a/b"), "color": Color.RED,
        "model": nn.ReLU(), "inner": {"when": datetime.date(2026, 1, 2)}, "nothing": None,
        "nan": float("nan"),
    }  # fmt: skip
    expected = {
        "betas": [0.9, 1.0], "schedule": {"warmup": 5, "sizes": [1, 3]}, "args": {"lr": 1.0},
        "width": 3, "rate": 0.5, "path": "a/b", "color": "red",
        "model": "ReLU()", "inner": {"when": "2026-01-02"}, "nothing": None, "nan": "nan",
    }  # fmt: skip
    # Older versions saved nested values as text.
    run_directory.resume(hyperparameters={"betas": "[0.9, 1.0]", "nothing": "null", "width": "3"})
    run = holdfast.attach(given)
    assert run.hyperparameters == expected
    assert type(run.hyperparameters["args"]["lr"]) is float
    assert type(run.hyperparameters["width"]) is int
    lines = [line for line in capfd.readouterr().err.splitlines() if "hyperparameter" in line]
    assert lines == [
        "holdfast: hyperparameter 'width' changed from '3' to 3",
        "holdfast: hyperparameters that JSON cannot hold are recorded as text: "
        "inner.when (datetime.date), model (torch.nn.modules.activation.ReLU)",
    ]
    circular: dict[str, object] = {}
    circular["self"] = circular
    close(run)
    run_directory.next_attempt(None)
    assert str(holdfast.attach({"circular": circular}).hyperparameters).startswith("{'circular': {'self'")


def test_random_streams_continue_right_before_the_next_batch(run_directory: RunDirectory) -> None:
    def loop(stop: int) -> list[float]:
        random.seed(1)
        run = holdfast.attach()
        drawn = []
        for _ in run.epochs(1, finish=False):
            random.random()  # Drawn again by each attempt, which must have no effect.
            for _ in run.batches(9):
                drawn.append(random.random())
                if run.global_step + 1 == stop:
                    run_directory.request(1)
                run.step()
                if run.global_step == stop:
                    break
        close(run)
        return drawn

    whole = loop(0)
    run_directory.next_attempt(None)
    first = loop(4)
    run_directory.next_attempt()
    assert first + loop(0) == whole


def test_a_stop_request_survives_a_kill(run_directory: RunDirectory) -> None:
    def train(stops: bool) -> list[int]:
        run = holdfast.attach()
        seen = []
        for epoch in run.epochs(9, finish=False):
            for batch in run.batches(4):
                seen.append(epoch * 4 + batch)
                if stops and len(seen) == 2:
                    run.stop()
                    run_directory.request(1)
                run.step()
                if stops and len(seen) == 2:
                    close(run)
                    return seen
        close(run)
        return seen

    assert train(stops=True) == [0, 1]
    run_directory.next_attempt()
    assert train(stops=False) == [2, 3]


def test_a_different_number_of_ranks_is_refused(run_directory: RunDirectory) -> None:
    run = holdfast.attach()
    run.restore()
    run_directory.request(1)
    run.step()
    close(run)
    run_directory.next_attempt()
    run_directory.put(at.RING_WORLD_SIZE, "<I", 2)
    identity = (run_directory.path / "ring-0").read_bytes()[: at.RING_IDENTITY_CRC]
    run_directory.put(at.RING_IDENTITY_CRC, "<I", zlib.crc32(identity))
    with pytest.raises(holdfast.HoldfastError, match="had 1 ranks, now it has 2"):
        holdfast.attach().restore()


def test_full_snapshots_contain_the_state(run_directory: RunDirectory) -> None:
    run = holdfast.attach()
    run.register(counter={"value": 5})
    run.restore()
    run.step(state={"position": (1, 2)})
    payload = dict(run_directory.drain())[at.RECORD_SNAPSHOT]
    size = struct.unpack_from("<Q", payload, at.SNAPSHOT_IMAGE_BYTES)[0]
    path = run_directory.path / "snapshot-0.safetensors"
    path.write_bytes(payload[-size:])
    close(run)
    run_directory.next_attempt(None)
    run_directory.resume(
        {"level": "snapshot", "step": 1, "path": str(path), "offset_bytes": 0, "length_bytes": size}
    )
    counter = {"value": 0}
    run = holdfast.attach()
    run.register(counter=counter)
    run.restore()
    assert counter == {"value": 5}
    assert run.state == {"position": (1, 2)}
    with pytest.raises(holdfast.HoldfastError, match="does not fit into the ring"):
        run.step(state={"large": bytes(1 << 20)})


def test_early_stopping_finishes_the_run(run_directory: RunDirectory) -> None:
    run_directory.put(at.RING_SPARE_SLOT, "<I", 0)
    run = holdfast.attach()
    epochs = []
    for epoch in run.epochs(10):
        epochs.append(epoch)
        run.step()
        if epoch == 2:
            run.stop()
    assert epochs == [0, 1, 2]
    assert run.is_finished
    assert run_directory.drain()[-1][0] == at.RECORD_FINISHED


def test_saving_and_loading_without_a_supervisor(tmp_path: Path) -> None:
    model = nn.Linear(4, 2)
    optimizer = torch.optim.Adam(model.parameters())
    run = holdfast.attach({"lr": 0.1})
    run.register(model=model, optimizer=optimizer)
    run.step(loss=torch.tensor(0.5, requires_grad=True), bad=float("inf"))
    run.log(val_loss=0.25)
    path = run.save(tmp_path / "checkpoints")
    assert path.name == "step-1"
    assert run.save(tmp_path / "checkpoints").name.startswith("step-1-")
    subprocess.run(["xxh128sum", "--check", "--quiet", "XXH128SUMS"], cwd=path, check=True)
    checkpoint = holdfast.load(path)
    assert checkpoint.step == 1
    assert checkpoint.hyperparameters == {"lr": 0.1}
    changed = holdfast.Checkpoint.load(path, overriding={"lr": 1, "in_dim": 128})
    assert (changed.step, changed.hyperparameters) == (1, {"lr": 1.0, "in_dim": 128})
    assert type(changed.hyperparameters["lr"]) is float
    assert (checkpoint.metrics, changed.metrics) == (changed.metrics, {"loss": 0.5, "val_loss": 0.25})
    fresh = nn.Linear(4, 2)
    fresh.load_state_dict(checkpoint["model"])
    assert torch.equal(fresh.weight, model.weight)
    assert set(holdfast.load(path, weights_only=True).components) == {"model"}
    assert torch.equal(safetensors.torch.load_file(path / "state.safetensors")["model/weight"], model.weight)

    other = holdfast.attach()
    other.register(model=fresh, optimizer=torch.optim.Adam(fresh.parameters()))
    other.load(path)
    assert other.global_step == 1
    weights = run.save(tmp_path / "weights", weights_only=True)
    start = holdfast.attach()
    start.register(model=fresh, optimizer=torch.optim.SGD(fresh.parameters(), lr=1))
    start.load(weights, weights_only=True)
    assert start.global_step == 0


@pytest.mark.parametrize("name", ["state.safetensors", "manifest.json", "XXH128SUMS"])
def test_damaged_checkpoints_are_refused(tmp_path: Path, name: str) -> None:
    run = holdfast.attach()
    run.register(model=nn.Linear(4, 2))
    path = run.save(tmp_path)
    content = bytearray((path / name).read_bytes())
    content[len(content) // 2] ^= 1
    (path / name).write_bytes(content)
    with pytest.raises(holdfast.HoldfastError):
        holdfast.load(path)
    (path / name).unlink()
    with pytest.raises(holdfast.HoldfastError):
        holdfast.load(path)


def test_the_supervisor_verifies_what_python_saved(tmp_path: Path) -> None:
    program = tmp_path / "train.py"
    program.write_text(
        "import torch, holdfast\n"
        "run = holdfast.attach({'lr': 0.1})\n"
        "model = torch.nn.Linear(5, 3)\n"
        "state = {1: (None, 1 << 70, 2 + 3j, b'x'), '$tensor': torch.ones(2, dtype=torch.complex64)}\n"
        "run.register(model=model, state=state)\n"
        "for epoch in run.epochs(2):\n"
        "    run.step(loss=1, state=True)\n"
        f"path = run.save({str(tmp_path / 'saved')!r})\n"
        "print(path, holdfast.Checkpoint.load(path, overriding={'lr': 1.0}).hyperparameters)\n"
    )
    from supervised import Job

    with Job(tmp_path, program) as job:
        job.start()
        assert job.wait() == 0, job.errors.read_text()
        listed = job.json("checkpoints list")["checkpoints"]
        assert [one["state"] for one in listed] == ["complete"]
        assert job.json("checkpoints verify")
        status = job.json("status")
        assert (status["step"], status["state"]) == (2, "finished")
        directory = job.state / "checkpoints" / listed[0]["name"]
        loaded = holdfast.load(directory)
        assert loaded["state"][1] == (None, 1 << 70, 2 + 3j, b"x")
        assert loaded.hyperparameters == {"lr": 0.1}
        assert f"{tmp_path}/saved/step-2 {{'lr': 1.0}}" in job.output.read_text()
        saved = json.loads((tmp_path / "saved/step-2/manifest.json").read_text())
        manifest = json.loads((directory / "manifest.json").read_text())
        same = ("job", "job_id", "attempt", "metrics", "hyperparameters")
        assert [saved[key] for key in same] == [manifest[key] for key in same]
        assert set(safetensors.torch.load_file(directory / "state.safetensors")) == {
            "model/weight", "model/bias", "state/$tensor"
        }  # fmt: skip
    assert HOLDFAST.is_file()


def test_a_loss_that_requires_a_gradient_is_a_metric_without_a_warning(run_directory: RunDirectory) -> None:
    run = holdfast.attach()
    with warnings.catch_warnings():
        # Newer torch (2.13) warns about float() of such a tensor, once per process.
        warnings.simplefilter("error")
        run.step(loss=torch.ones((), requires_grad=True) * 2, other=np.float32(1), third=3)
    close(run)
    names = next(payload for kind, payload in run_directory.drain() if kind == at.RECORD_METRIC_NAMES)
    assert json.loads(names) == ["loss", "other", "third"]
