"""Runs that begin with weights: `--resume-weights-only`, and `load(weights_only=True)`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import holdfast
from supervised import Job

PROGRAMS = Path(__file__).parent / "programs"


def _first(tmp_path: Path, program: str, *arguments: str) -> tuple[Any, list[Any], str]:
    """Train, and begin another job with the weights of a step; kill it once.

    Returns:
        The checkpoint, what each attempt from the beginning began with, and the messages.
    """
    options: tuple[str, ...] = ("--every-steps", "7", "--keep-last", "9")
    where = tmp_path / "one"
    where.mkdir()
    with Job(where, PROGRAMS / program, *arguments, options=options) as job:
        job.start()
        assert job.wait() == 0, job.errors.read_text()
        path = job.state / "checkpoints" / "step-7"
    options = ("--resume-from", str(path), "--resume-weights-only")
    with Job(tmp_path, PROGRAMS / program, *arguments, options=options) as job:
        job.start()
        assert job.kill_at(3), job.errors.read_text()
        assert job.wait() == 0, job.errors.read_text()
        lines = [line for line in job.output.read_text().splitlines() if line.startswith("first ")]
        return holdfast.load(path), [json.loads(line[6:]) for line in lines], job.errors.read_text()


def test_a_torch_program_begins_with_them(tmp_path: Path) -> None:
    saved, first, errors = _first(tmp_path, "weights_torch.py")
    assert first
    for weights, array, inner, moments, loss in first:
        assert weights == saved["model"]["weight"].flatten().tolist()
        assert (array, inner) == ([7.0] * 3, [7.0] * 2)
        assert (moments, loss) == (0, 1.0)
    assert "not loaded from the checkpoint: optimizer (more than tensors); best (more than tensors)" in errors


@pytest.mark.parametrize("kind", ["at-once", "setup"])
def test_a_fit_begins_with_them(tmp_path: Path, kind: str) -> None:
    pytest.importorskip("pytorch_lightning")
    saved, first, errors = _first(tmp_path, "weights_lightning.py", kind)
    assert first
    for weights, moments in first:
        assert weights == saved["model"]["layer.weight"].flatten().tolist()
        assert moments == 0
    assert "not loaded from the checkpoint: trainer (more than tensors)" in errors


def test_nothing_to_load_is_an_error(tmp_path: Path) -> None:
    run = holdfast.attach(rng=False)
    run.register(net=torch.nn.Linear(1, 1), best={"loss": 1.0})
    path = run.save(tmp_path)
    other = holdfast.attach(rng=False)
    other.register(model=torch.nn.Linear(1, 1))
    with pytest.raises(holdfast.HoldfastError, match="no weights of model; it has weights of net"):
        other.load(path, weights_only=True)


def test_what_is_not_loaded_is_listed(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    run = holdfast.attach(rng=False)
    run.register(net=torch.nn.Linear(1, 1), array=np.ones(2), list=[np.ones(1)], count={"n": np.float64(1)})
    for path in (run.save(tmp_path), run.save(tmp_path / "weights", weights_only=True)):
        other = holdfast.attach(rng=False)
        array, arrays, count = np.zeros(2), [np.zeros(1)], {"n": np.float64(0)}
        other.register(array=array, list=arrays, count=count, model=torch.nn.Linear(1, 1))
        other.load(path, weights_only=True)
        assert (array.tolist(), arrays[0].tolist(), count["n"]) == ([1.0, 1.0], [1.0], 0.0)
        reason = "more than tensors" if path.parent == tmp_path else "not saved"
        assert other.not_loaded == ["net (not registered)", f"count ({reason})", "model (not saved)"]
        assert f"not loaded from the checkpoint: {'; '.join(other.not_loaded)}" in capfd.readouterr().err


def test_trees_of_jax(tmp_path: Path) -> None:
    jax = pytest.importorskip("jax")
    import holdfast.jax

    def registered(value: float) -> tuple[holdfast.Run, Any]:
        run = holdfast.attach(rng=False)
        weights = holdfast.jax.Pytrees(layers=[{"w": jax.numpy.full(3, value)}])
        run.register(weights=weights, optimizer=holdfast.jax.Pytrees(count=1))
        return run, weights

    path = registered(2.0)[0].save(tmp_path)
    run, weights = registered(0.0)
    run.load(path, weights_only=True)
    assert weights.layers[0]["w"].tolist() == [2.0, 2.0, 2.0]
    assert run.not_loaded == ["optimizer (more than tensors)"]
