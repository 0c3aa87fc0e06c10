"""Lightning under the built supervisor, killed at random steps; and Lightning without Holdfast, killed."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

import pytest
import torch

pytest.importorskip("lightning_program")

from supervised import OPTIONS, PACKAGE, Job, finish_after_kills, uninterrupted_digest

DIGITS = PACKAGE / "examples/digits_lightning.py"
ALONE = PACKAGE / "tests/programs/lightning_alone.py"
# 90 steps in an epoch, with validation after 45 of them.
STEPS = 360
# 1.9, installed in the same virtual environment as 2.x.
OLD = Path(sys.prefix) / "lightning-1.9"


@pytest.fixture(scope="module")
def expected(tmp_path_factory: pytest.TempPathFactory) -> str:
    return uninterrupted_digest(DIGITS, "--epochs", 4, "--directory", tmp_path_factory.mktemp("undisturbed"))


@pytest.mark.parametrize(
    ("kind", "arguments", "kills", "seed"),
    [
        ("pytorch_lightning", (), 6, 21),
        ("lightning", ("--workers", 2), 5, 22),
        ("pytorch_lightning", ("--workers", 2, "--persistent", "--publish"), 5, 23),
        ("1.9", (), 5, 24),
    ],
    ids=["pytorch_lightning", "lightning with workers", "persistent workers, own files published", "1.9"],
)
def test_digits(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    expected: str,
    kind: str,
    arguments: tuple[object, ...],
    kills: int,
    seed: int,
) -> None:
    if kind == "1.9":
        if not OLD.is_dir():
            pytest.skip(f"Lightning 1.9 is not in {OLD}")
        monkeypatch.setenv("PYTHONPATH", str(OLD))
    monkeypatch.setenv("LIGHTNING_NAMESPACE", kind)
    program = (DIGITS, "--epochs", 4, "--step-delay", 0.003, "--directory", tmp_path / "files", *arguments)
    with Job(tmp_path, *program, options=OPTIONS) as job:
        job.start()
        chance = random.Random(seed)
        # The last two while validation runs: within an epoch, and at its end.
        steps = sorted([*chance.sample(range(2, STEPS - 10), kills - 2), 135, 180])
        done = sum(job.kill_at(step) for step in steps)
        finish_after_kills(job, done, expected, fewest=kills // 2)
        assert f"steps {STEPS} " in job.output.read_text()
    files = list((tmp_path / "files").iterdir())
    assert len(files) >= 2
    if "--publish" in arguments:
        for file in files:
            # Temporary files left by a kill begin with a dot.
            assert file.name.startswith(".") or torch.load(file)["global_step"]


@pytest.mark.skipif(not OLD.is_dir(), reason=f"Lightning 1.9 is not in {OLD}")
def test_kills_at_every_point_with_the_older_lightning() -> None:
    command = [
        sys.executable,
        "-m",
        "pytest",
        "-q",
        "-p",
        "no:cacheprovider",
        PACKAGE / "tests/test_lightning.py",
    ]
    chosen = [
        "-k",
        "(validation and after and epoch) or accumulation or manual or recreated or repeatedly or checkpoint "
        "or refused",
    ]
    environment = {**os.environ, "PYTHONPATH": f"{OLD}{os.pathsep}{os.environ.get('PYTHONPATH', '')}"}
    done = subprocess.run(
        [*command, *chosen], stdout=subprocess.PIPE, text=True, check=False, cwd=PACKAGE, env=environment
    )
    assert done.returncode == 0, done.stdout
    assert "skipped" not in done.stdout, done.stdout


def run_alone(directory: Path, die_at: int) -> tuple[int, list[str]]:
    done = subprocess.run(
        [sys.executable, ALONE, directory, str(die_at)], stdout=subprocess.PIPE, text=True, check=False
    )
    return done.returncode, done.stdout.splitlines()


def _version() -> tuple[int, ...]:
    return tuple(int(part) for part in version("pytorch-lightning").split(".")[:2])


def test_lightning_alone_does_not_resume_exactly(tmp_path: Path) -> None:
    """Without Holdfast a step is made twice, and the weights differ (Lightning's issue 19815)."""
    _, undisturbed_lines = run_alone(tmp_path / "undisturbed", -1)
    status, lines = run_alone(tmp_path / "killed", 200)
    assert (status, lines) == (-signal.SIGKILL, [])
    _, resumed_lines = run_alone(tmp_path / "killed", -1)
    assert undisturbed_lines[0] == "steps 452"
    # 2.5 and later count correctly.
    assert resumed_lines[0] == ("steps 453" if _version() < (2, 5) else "steps 452")
    assert resumed_lines[1] != undisturbed_lines[1]


@pytest.mark.parametrize("kind", ["pytorch_lightning", "1.9"])
def test_an_interrupt_is_a_stop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str) -> None:
    if kind == "1.9":
        if not OLD.is_dir():
            pytest.skip(f"Lightning 1.9 is not in {OLD}")
        monkeypatch.setenv("PYTHONPATH", str(OLD))
    monkeypatch.setenv("LIGHTNING_NAMESPACE", kind)
    program = (DIGITS, "--epochs", 4, "--step-delay", 0.003, "--directory", tmp_path / "files")
    with Job(tmp_path, *program, options=OPTIONS) as job:
        job.start()
        job.wait_for(lambda: job.step >= 20 and job.trainer)
        os.kill(job.trainer, signal.SIGINT)
        assert job.wait() == 75, job.errors.read_text()
        assert [attempt["cause"] for attempt in job.json("history")["attempts"]] == ["keyboard_interrupt"]
        assert "before run.finish()" not in job.errors.read_text()


def test_a_step_that_ends_an_epoch_serves_both(tmp_path: Path) -> None:
    options = ("--every-steps", "45", "--every-epochs", "1", "--keep-last", "99")
    program = (DIGITS, "--epochs", 3, "--step-delay", 0.01, "--directory", tmp_path / "files")
    with Job(tmp_path, *program, options=(*OPTIONS, *options)) as job:
        job.start()
        assert job.wait() == 0, job.errors.read_text()
        found = {one["step"]: one for one in job.json("checkpoints")["checkpoints"]}
    for step in (90, 180, 270):
        assert {"steps=45", "epochs=1"} <= set(found[step]["saved_for"]), found[step]
        assert "validation_loss" in found[step]["metrics"]


@pytest.mark.parametrize("on_train_epoch_end", ["true", "false"])
def test_checkpoints_are_ranked_by_the_metrics_of_validation(
    tmp_path: Path, expected: str, on_train_epoch_end: str
) -> None:
    """As Lightning's own `ModelCheckpoint`, under kills; and the result stays the same."""
    options = (
        "--every-epochs", "1", "--save-on-train-epoch-end", on_train_epoch_end, "--keep-best", "2",
        "--monitor", "validation_loss", "--checkpoint-name", "{epoch:02d}-{step}", "--every-steps", "50",
    )  # fmt: skip
    program = (DIGITS, "--epochs", 4, "--step-delay", 0.01, "--directory", tmp_path / "files")
    with Job(tmp_path, *program, options=(*OPTIONS, *options)) as job:
        job.start()
        done = sum(job.kill_at(step) for step in (140, 230))
        finish_after_kills(job, done, expected, fewest=1)
        found = {one["step"]: one for one in job.json("checkpoints")["checkpoints"]}
        log = job.errors.read_text()
        for step in range(50, STEPS, 50):
            assert f"step {step} is durable" in log
        for epoch in range(3):
            step = 90 * (epoch + 1)
            assert f"step {step} is durable: epoch=0{epoch}-step={step}" in log
        assert "validation_loss" in found[STEPS]["metrics"] or on_train_epoch_end == "true"
        ranked = sorted(found.values(), key=lambda one: one["metrics"].get("validation_loss", 9e9))
        assert len(found) >= 2
        assert ranked[0]["metrics"]["validation_loss"] < 1
