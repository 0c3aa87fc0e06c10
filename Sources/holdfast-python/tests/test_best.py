"""The best checkpoints, as a program asks for them, under the built `holdfast`."""

from __future__ import annotations

import ast
import json
from pathlib import Path
from typing import Any

import pytest

import holdfast
from conftest import RunDirectory
from supervised import PACKAGE, Job

PROGRAM = PACKAGE / "tests/programs/best_torch.py"
FILE = """
[checkpoint]
every-epochs = 1
keep-best = 2
monitor = "val_loss"
stage-interval = "50ms"

[[checkpoint.policy]]
every-epochs = 2
keep-best = 2
monitor = "accuracy"
mode = "max"
weights-only = true
"""


def told(job: Job) -> dict[str, str]:
    """Return the last line of each kind that the program has printed."""
    lines = [line.partition(" ") for line in job.output.read_text().splitlines()]
    return {first: rest for first, _, rest in lines}


def run_job(job: Job, *kills: int) -> dict[str, str]:
    job.start()
    for step in kills:
        assert job.kill_at(step), job.errors.read_text()
    assert job.wait() == 0, job.errors.read_text()
    return told(job)


def write_file(directory: Path) -> tuple[str, ...]:
    (directory / "job.toml").write_text(FILE)
    return ("--config", str(directory / "job.toml"), "--job", "test")


@pytest.mark.parametrize(
    "options", [(), ("--finish-later",), ("--improving",), ("--improving", "--finish-later")]
)
def test_after_the_loop(options: tuple[str, ...], tmp_path: Path) -> None:
    """The best one may be of the last epoch, and is durable when the program gets its path."""
    with Job(tmp_path, PROGRAM, *options, options=write_file(tmp_path)) as job:
        lines = run_job(job, *((7, 18) if not options else ()))
        step, score, second = (30, 0.1, 0.2) if "--improving" in options else (25, 0.2, 0.3)
        path, _, rest = lines["path"].partition(" ")
        assert Path(path).parent == job.state / "checkpoints"
        assert float(rest.split()[1]) == score
        models = ast.literal_eval(lines["models"])
        assert [score for _, score in models] == [score, second]
        assert models[0][0] == Path(path).name
        assert lines["loaded"] == f"{step} True"
        # Of every other epoch.
        expected = [(30, 0.9), (10, 0.8)] if "--improving" in options else None
        accuracies = [(step, round(score, 3)) for step, score, _ in ast.literal_eval(lines["accuracy"])]
        if expected is None:
            expected = [(20, 0.3), (30, 0.2)]
        assert accuracies == expected
        assert all(weights for _, _, weights in ast.literal_eval(lines["accuracy"]))
        assert "policies rank by: accuracy, val_loss" in lines["refused"]
        status = job.json("status")
        assert status["best"]["path"] == path
        assert (status["best"]["value"], status["best"]["monitor"]) == (score, "val_loss")
        assert [one["weights_only"] for one in status["best_checkpoints"]] == [False, True]


def test_without_a_policy_or_a_supervisor(tmp_path: Path) -> None:
    with Job(tmp_path, PROGRAM, "--improving") as job:
        assert run_job(job)["path"] == "None score None"
    run = holdfast.attach(rng=False)
    assert (run.best_model_path, run.best_model_score, run.best_k_models) == (None, None, {})
    assert run.best_checkpoints("val_loss", wait=100) == []


def best(**fields: Any) -> str:
    one = {"path": "/x/step-9", "step": 9, "score": 0.5}
    policy = {"monitor": "loss", "mode": "min", "weights_only": False, "checkpoints": [one]}
    return json.dumps(
        {"format_version": 1, "attempt": 1, "answered": 0, "logged": 0, "policies": [policy], **fields}
    )


def test_the_wait_is_bounded(run_directory: RunDirectory) -> None:
    """It ends with what is known, whatever the file says."""
    run = holdfast.attach(rng=False)
    file = run_directory.path / "best.json"
    assert run.best_checkpoints(wait=0.05) == []
    run.step()
    run.log(loss=0.5)
    for fields in ({}, {"logged": 1, "publishing_step": 9}, {"logged": 1, "attempt": 7}):
        file.write_text(best(**fields))
        assert [one.step for one in run.best_checkpoints(wait=0.05)] == [9]
    for text in ("", "[]", "{", best(format_version=2), best(policies=[])):
        file.write_text(text)
        assert run.best_checkpoints(wait=0.05) == []
    file.unlink()
    file.mkdir()
    assert run.best_checkpoints(wait=0.05) == []
    assert run_directory.path.exists()


def test_lightning(tmp_path: Path) -> None:
    pytest.importorskip("pytorch_lightning")
    program = PACKAGE / "tests/programs/lightning_best.py"
    options = (
        "--every-epochs",
        "1",
        "--keep-best",
        "2",
        "--monitor",
        "validation_loss",
        "--stage-every",
        "50ms",
    )
    with Job(tmp_path, program, tmp_path / "files", options=options) as job:
        lines = run_job(job, 40)
        listed = {one["name"]: one for one in job.json("checkpoints list")["checkpoints"]}
        path, _, rest = lines["path"].partition(" ")
        score = float(rest.split()[1])
        assert listed[Path(path).name]["metrics"]["validation_loss"] == score
        # As Lightning's own callback, which has seen the same validations.
        assert lines["lightning"] == f"{score}"
        assert lines["tested"] == "True"
