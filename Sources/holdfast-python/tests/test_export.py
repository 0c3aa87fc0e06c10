"""`holdfast checkpoints export`: files for programs that know nothing of holdfast."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import safetensors.torch
import torch
from torch import nn

from supervised import HOLDFAST, PACKAGE, Job

PROGRAM = PACKAGE / "tests/programs/lightning_exported.py"
# torch 1.13 reads no floating-point numbers with weights_only=True, only tensors.
READS_FLOATS = int(torch.__version__.partition(".")[0]) >= 2


def command(job: Job, *words: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [HOLDFAST, "checkpoints", *map(str, words), "--state-dir", job.state],
        capture_output=True, text=True, check=False,
    )  # fmt: skip


def exported(job: Job, name: str, path: Path, *options: object) -> Path:
    done = command(job, "export", name, path, *options)
    assert done.returncode == 0, done.stderr
    return path


def newest(job: Job) -> str:
    return str(job.json("checkpoints list")["checkpoints"][0]["name"])


class Network(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Linear(3, 3, bias=False)
        self.second = nn.Linear(3, 3, bias=False)
        self.second.weight = self.first.weight
        self.register_buffer("wave", torch.tensor([1 + 2j, 3]))


TORCH_PROGRAM = """
import collections, pathlib, torch, holdfast
from test_export import Network
run = holdfast.attach({"lr": 1.0, "betas": [0.9, 0.99], "in_dim": 3})
model = Network()
optimizer = torch.optim.Adam(model.parameters(), lr=0.25)
odd = {"count": collections.Counter("aab"), "where": pathlib.Path("a"), 3: {"a/b": torch.ones(2)},
       "decimal": __import__("decimal").Decimal("1.5"), "array": __import__("numpy").arange(3)}
run.register(model=model, optimizer=optimizer, odd=odd)
for epoch in run.epochs(2):
    (model.first.weight.sum() * 2).backward()
    optimizer.step()
    run.step(loss=0.5)
"""


def test_files_of_a_torch_job(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONPATH", f"{PACKAGE / 'tests'}:{PACKAGE / 'src'}")
    program = tmp_path / "train.py"
    program.write_text(TORCH_PROGRAM)
    with Job(tmp_path, program) as job:
        job.start()
        assert job.wait() == 0, job.errors.read_text()
        name = newest(job)
        # Plain tensors, shared ones under both names.
        path = exported(job, name, tmp_path / "weights.safetensors", "--weights-only")
        weights = safetensors.torch.load_file(path) if READS_FLOATS else read_header(path)
        assert set(weights) == {"first.weight", "second.weight", "wave"}
        path = exported(job, name, tmp_path / "all.safetensors")
        header = read_header(path)
        assert header["model/wave"] == ("C64", [2])
        assert header["odd/3/a~1b"] == ("F32", [2])
        assert header["optimizer/state/0/exp_avg"] == ("F32", [3, 3])
        # torch.
        state = torch.load(
            exported(job, name, tmp_path / "weights.pt", "--weights-only", "--format", "torch"),
            weights_only=True,
        )
        model = Network()
        model.load_state_dict(state)
        assert torch.equal(model.wave, torch.tensor([1 + 2j, 3]))
        done = command(job, "export", name, tmp_path / "all.pt", "--format", "torch")
        assert done.returncode == 0, done.stderr
        assert "warning: 'odd/decimal' was written as text" in done.stderr
        content = torch.load(tmp_path / "all.pt", **({"weights_only": True} if READS_FLOATS else {}))
        assert (content["epoch"], content["global_step"], content["metrics"]) == (2, 2, {"loss": 0.5})
        assert content["hyper_parameters"] == {"lr": 1.0, "betas": [0.9, 0.99], "in_dim": 3}
        assert type(content["hyper_parameters"]["lr"]) is float
        torch.optim.Adam(model.parameters()).load_state_dict(content["optimizer"])
        odd = content["odd"]
        assert odd["count"] == {"a": 2, "b": 1}
        assert (odd["where"], odd["decimal"], odd["array"].tolist()) == ("a", "1.5", [0, 1, 2])
        check_refusals(job, name, tmp_path)


def read_header(path: Path) -> dict[str, Any]:
    data = path.read_bytes()
    header = json.loads(data[8 : 8 + int.from_bytes(data[:8], "little")])
    assert header.pop("__metadata__")["format"] == "pt"
    return {name: (one["dtype"], one["shape"]) for name, one in header.items()}


def check_refusals(job: Job, name: str, tmp_path: Path) -> None:
    """Nothing is replaced without --force, and a missing package is named with what to do."""
    for file_format, taken in (("safetensors", "all.safetensors"), ("torch", "all.pt")):
        path = tmp_path / taken
        before = path.read_bytes()
        done = command(job, "export", name, path, "--format", file_format)
        assert (done.returncode, path.read_bytes()) == (73, before)
        assert "already exists" in done.stderr
        path.write_bytes(b"old")
        exported(job, name, path, "--format", file_format, "--force")
        assert path.read_bytes() != b"old"
    program = tmp_path / "python-without"
    program.write_text(f'#!/bin/sh\nexec {sys.executable} -I -S "$@"\n')
    program.chmod(0o755)
    done = command(job, "export", name, tmp_path / "no.pt", "--format", "torch", "--python", program)
    assert done.returncode == 69
    assert "has no holdfast" in done.stderr
    done = command(job, "export", name, tmp_path / "no.pt", "--format", "torch", "--python", "/nowhere")
    assert done.returncode == 69
    assert "'/nowhere' cannot be run" in done.stderr
    done = command(job, "export", "step-999", tmp_path / "no.pt", "--json")
    assert json.loads(done.stderr)["exit_code"] == 66
    done = command(job, "export", name, tmp_path / "nowhere/no.pt", "--format", "torch")
    assert done.returncode == 74
    state = job.state / "checkpoints" / name / "state.safetensors"
    content = bytearray(state.read_bytes())
    content[-1] ^= 1
    state.write_bytes(content)
    for file_format in ("safetensors", "torch"):
        done = command(job, "export", name, tmp_path / "no.pt", "--format", file_format)
        assert done.returncode == 65, done.stderr
    assert not list(tmp_path.glob("*no.pt*"))
    assert not list(tmp_path.glob(".*"))


def test_an_interpreter_that_others_can_replace_is_not_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PYTHONPATH", str(PACKAGE / "src"))
    program = tmp_path / "train.py"
    program.write_text(
        "import holdfast\nrun = holdfast.attach()\nrun.register(state={'a': 1})\n"
        "for epoch in run.epochs(1):\n    run.step()\n"
    )
    python = tmp_path / "shared/python"
    python.parent.mkdir()
    python.symlink_to(Path(sys.executable).resolve())
    other = tmp_path / "path/python3"
    other.parent.mkdir()
    other.write_text('#!/bin/sh\necho \'{"missing": "torch"}\'\n')
    other.chmod(0o755)
    with Job(tmp_path, program) as job:
        job.program[0] = str(python)
        job.start()
        assert job.wait() == 0, job.errors.read_text()
        python.parent.chmod(0o777)
        monkeypatch.setenv("PATH", f"{other.parent}:{os.environ['PATH']}")
        done = command(job, "export", newest(job), tmp_path / "no.pt", "--format", "torch")
        assert done.returncode == 69
        assert "'python3' has no torch" in done.stderr
        assert f"the job's Python '{python}' is not used: {python.parent}: everybody may write" in done.stderr


def run(*words: object) -> list[Any]:
    done = subprocess.run(
        [sys.executable, PROGRAM, *map(str, words)],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]


def test_a_lightning_checkpoint(tmp_path: Path) -> None:
    pytest.importorskip("lightning_program")
    with Job(tmp_path, PROGRAM, "train") as job:
        job.start()
        assert job.wait() == 0, job.errors.read_text()
        recorded, end = [json.loads(line) for line in job.output.read_text().splitlines() if line[0] == "{"]
        # Both are recorded; what JSON cannot hold is reported once.
        assert recorded == {
            "in_dim": 3, "betas": [0.8, 0.9], "activation": "Tanh()", "path": "some/where", "rate": 1.0,
            "batch_size": 5, "names": {"train": ["a", 1.0], "none": None},
        }  # fmt: skip
        errors = job.errors.read_text()
        assert errors.count("activation (torch.nn.modules.activation.Tanh)") == 2
        assert "recorded as text: activation" in errors
        assert "checkpoints cannot contain these hyperparameters: activation" in errors
        shown = job.json("checkpoints show")
        assert shown["hyperparameters"] == recorded
        trainer = next(one for one in shown["components"] if one["name"] == "trainer")
        parts = {one["name"]: one["tensors"] for one in trainer["parts"]}
        # Of Adam: three tensors for each of four parameters, with torch's `step`.
        assert parts["optimizer 0"] == 12
        assert {"scheduler 0", "loops", "Numbers", "hyper_parameters", "epoch"} <= set(parts)
        values = {one["path"]: one.get("value") for one in shown["values"]}
        assert values["trainer/checkpoint/optimizer_states/0/param_groups/0/lr"] == pytest.approx(end["rate"])
        assert values["trainer/checkpoint/lr_schedulers/0/last_epoch"] == 2

        name = newest(job)
        path = exported(job, name, tmp_path / "model.ckpt", "--format", "torch")
        if READS_FLOATS:
            torch.load(path, weights_only=True)
        weights = exported(job, name, tmp_path / "weights.ckpt", "--format", "torch", "--weights-only")
        loaded, data, from_weights = run("load", path, weights)
        assert loaded["sum"] == end["sum"]
        assert loaded["hparams"]["betas"] == "(0.8, 0.9)"
        assert loaded["hparams"]["rate"] == "0.5"
        assert data == {"batch_size": 5, "names": {"train": ["a", 1.0], "none": None}}
        # A third epoch of four batches, from the same state.
        (more,) = run("fit", path)
        assert (more["step"], more["epoch"], more["adam"]) == (12, 3, 12)
        assert more["reads"] >= end["reads"]
        content = torch.load(weights, **({"weights_only": True} if READS_FLOATS else {}))
        assert "optimizer_states" not in content
        assert content["hyper_parameters"]["betas"] == (0.8, 0.9)
        assert from_weights == loaded
