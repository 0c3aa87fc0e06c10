"""Policies with weights-only, with programs in torch and Lightning under the built `holdfast`."""

from __future__ import annotations

import random
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch

import holdfast
from supervised import HOLDFAST, PACKAGE, Job, uninterrupted_digest

EXAMPLES = PACKAGE / "examples"
OPTIONS = ("--weights-only", "--every-epochs", "1", "--keep-last", "99", "--stage-every", "50ms")
READS_FLOATS = int(torch.__version__.partition(".")[0]) >= 2


def killed(job: Job, steps: list[int]) -> None:
    job.start()
    for step in steps:
        assert job.kill_at(step), job.errors.read_text()
    assert job.wait() == 0, job.errors.read_text()


def weights(job: Job) -> list[dict[str, Any]]:
    """Return those of the ends of epochs; there may be others, of failures."""
    listed = job.json("checkpoints list")["checkpoints"]
    # The state of the last step is whole, for a later attempt.
    assert not listed[0]["weights_only"] or not listed[1]["weights_only"]
    return [one for one in reversed(listed) if one["weights_only"] and "epochs=1" in one["saved_for"]]


def export(job: Job, name: str, path: Path, *options: str) -> Any:
    words = [HOLDFAST, "checkpoints", "export", name, path, "--format", "torch", "--state-dir", job.state]
    done = subprocess.run([*words, *options], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return torch.load(path, **({"weights_only": True} if READS_FLOATS else {}))


def test_torch(tmp_path: Path) -> None:
    program = EXAMPLES / "digits_torch.py"
    expected = uninterrupted_digest(program, "--epochs", 4)
    with Job(tmp_path, program, "--epochs", 4, "--step-delay", 0.005, options=OPTIONS) as job:
        killed(job, sorted(random.Random(5).sample(range(50, 150), 2)))
        assert job.digest() == expected
        saved = weights(job)
        assert [one["step"] for one in saved] == [45, 90, 135, 180]
        name = saved[1]["name"]
        assert name == "step-90-weights"
        loaded = holdfast.load(job.state / "checkpoints" / name)
        assert loaded.step == 90
        assert set(loaded) == {"model"}
        content = export(job, name, tmp_path / "model.pt")
        assert content["global_step"] == 90
        assert all(torch.equal(content["state_dict"][key], value) for key, value in loaded["model"].items())
        assert set(export(job, name, tmp_path / "plain.pt", "--weights-only")) == set(loaded["model"])
        # A run cannot be continued from it.
        run = holdfast.attach(rng=False)
        model = torch.nn.Linear(2, 2)
        run.register(model=model, optimizer=torch.optim.Adam(model.parameters()))
        with pytest.raises(holdfast.HoldfastError, match="only weights.*weights_only=True"):
            run.load(job.state / "checkpoints" / name)


LOADED = """
import sys
sys.path[:0] = sys.argv[1:3]
import torch
import digits_lightning
model = digits_lightning.Network.load_from_checkpoint(sys.argv[3], learning_rate=0.5)
print(model.hparams["learning_rate"])
print(float(sum(value.double().sum() for value in model.state_dict().values())))
"""


def test_lightning(tmp_path: Path) -> None:
    pytest.importorskip("pytorch_lightning")
    program = (EXAMPLES / "digits_lightning.py", "--epochs", 3, "--directory", tmp_path / "files")
    with Job(tmp_path, *program, "--step-delay", 0.005, options=OPTIONS) as job:
        killed(job, [random.Random(6).randrange(100, 200)])
        saved = weights(job)
        assert [one["step"] for one in saved] == [90, 180, 270]
        name = saved[-1]["name"]
        loaded = holdfast.load(job.state / "checkpoints" / name)
        assert set(loaded) == {"model"}
        export(job, name, tmp_path / "model.ckpt")
    done = subprocess.run(
        [sys.executable, "-c", LOADED, str(EXAMPLES), str(PACKAGE / "src"), str(tmp_path / "model.ckpt")],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    rate, total = done.stdout.split()
    assert float(rate) == 0.5
    assert float(total) == float(sum(value.double().sum() for value in loaded["model"].values()))
