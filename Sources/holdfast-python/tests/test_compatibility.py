"""A library version that lacks a private name that is used is refused when training starts."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

import pytest

import holdfast
from conftest import RunDirectory
from internals import forget_run

torch = pytest.importorskip("torch")


def test_torch(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(torch.utils.data.DataLoader, "_get_iterator")
    run = holdfast.attach()
    with pytest.raises(
        holdfast.HoldfastError, match="has no DataLoader._get_iterator; use torch 1.13"
    ) as refused:
        run.restore()
    assert f"torch {torch.__version__} " in str(refused.value)


def test_torchmetrics() -> None:
    pytest.importorskip("torchmetrics")
    program = """
import torch, torchmetrics, holdfast
made = torchmetrics.Metric.__init__
def init(self, *args, **kwargs):
    made(self, *args, **kwargs)
    del self._update_count
torchmetrics.Metric.__init__ = init
run = holdfast.attach()
model = torch.nn.Module()
model.accuracy = torchmetrics.MeanMetric()
run.register(model=model)
run.restore()
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert "it has no MeanMetric._update_count; use torchmetrics" in done.stderr, done.stderr


def test_jax(monkeypatch: pytest.MonkeyPatch) -> None:
    jax = pytest.importorskip("jax")
    import holdfast.jax

    array = jax.numpy.zeros(2)
    monkeypatch.delattr(type(array), "_committed")
    with pytest.raises(holdfast.HoldfastError, match="has no ArrayImpl._committed; use jax 0.4"):
        holdfast.jax.Pytrees(array=array)


@pytest.fixture
def program(tmp_path: Any, monkeypatch: pytest.MonkeyPatch) -> Any:
    lightning_program = pytest.importorskip("lightning_program")
    forget_run()
    return lightning_program.Program(tmp_path / "files")


def class_of(connector: str) -> Any:
    lightning_program = pytest.importorskip("lightning_program")
    return type(getattr(lightning_program.pl.Trainer(logger=False, enable_checkpointing=False), connector))


def test_lightning(program: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(class_of("_data_connector"), "_prepare_dataloader")
    with pytest.raises(holdfast.HoldfastError, match=r"Lightning \d.* has no \w+._prepare_dataloader; use"):
        program.fit()


def test_a_state_that_lightning_does_not_restore(
    program: Any, run_directory: RunDirectory, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert program.fit(run_directory, ("batch start", 4)) is None
    run_directory.next_attempt()
    forget_run()
    monkeypatch.setattr(class_of("_checkpoint_connector"), "restore_loops", lambda _: None)
    with pytest.raises(holdfast.HoldfastError, match="did not restore .*: it begins at .*batch 0"):
        program.fit(run_directory)
