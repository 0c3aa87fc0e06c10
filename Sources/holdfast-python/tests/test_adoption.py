"""Programs that know nothing of holdfast, killed while they write checkpoints, and resumed with them."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from supervised import HOLDFAST, PACKAGE, TIMEOUT_SECONDS

PROGRAMS = PACKAGE / "tests/programs"
TORN = str(PROGRAMS / "torn.py")


@pytest.fixture
def memory() -> Iterator[Path]:
    """A run directory."""
    path = Path(tempfile.mkdtemp(prefix="holdfast-python.", dir="/dev/shm"))
    yield path
    shutil.rmtree(path, ignore_errors=True)


def digest(output: str) -> str:
    return next(line for line in output.splitlines() if line.startswith("digest "))


def undisturbed(directory: Path, *program: str) -> str:
    directory.mkdir()
    done = subprocess.run(
        [sys.executable, *program], cwd=directory, stdout=subprocess.PIPE, text=True, check=True,
        timeout=TIMEOUT_SECONDS,
    )  # fmt: skip
    return digest(done.stdout)


def starts(output: str) -> list[str]:
    return [line.split(" from ")[1] for line in output.splitlines() if line.startswith("start")]


class Job:
    """`holdfast run --adopt`, in a directory of its own."""

    def __init__(self, directory: Path, memory: Path, pattern: str, *options: str) -> None:
        directory.mkdir()
        self.directory = directory
        self.holdfast = [
            str(HOLDFAST), "run", "--job", "adopted", "--state-dir", str(directory / "state"), "--run-dir",
            str(memory), "--adopt", pattern, *options, "--", sys.executable,
        ]  # fmt: skip
        self.errors = ""

    def run(self, *program: str) -> str:
        done = subprocess.run(
            [*self.holdfast, *program], cwd=self.directory, capture_output=True, text=True, check=False,
            timeout=TIMEOUT_SECONDS,
        )  # fmt: skip
        self.errors = done.stderr
        assert done.returncode == 0, done.stderr
        return done.stdout


def run_with_torn_file(tmp_path: Path, memory: Path, name: str) -> tuple[Job, list[str]]:
    """Kill a program in the middle of its fourth file; return the job and the paths it was started with."""
    program = str(PROGRAMS / name)
    expected = undisturbed(tmp_path / "alone", program)
    job = Job(tmp_path / "job", memory, "out/*.ckpt")
    output = job.run(TORN, "4", program, "{resume:--ckpt_path %}")
    assert digest(output) == expected
    return job, starts(output)


def test_plain_script_is_killed_in_the_middle_of_a_file(tmp_path: Path, memory: Path) -> None:
    pytest.importorskip("torch")
    job, paths = run_with_torn_file(tmp_path, memory, "adopted_torch.py")
    assert paths == ["None", "out/step-00030.ckpt"]
    assert "out/step-00040.ckpt is not used as a checkpoint" in job.errors


def test_file_that_is_overwritten_is_restored(
    tmp_path: Path, memory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("torch")
    program = str(PROGRAMS / "adopted_torch.py")
    job = Job(tmp_path / "job", memory, "out/last.pt")
    expected = undisturbed(tmp_path / "alone", program)
    monkeypatch.setenv("TORN_AFTER", "state/checkpoints/adopted-*")
    output = job.run(TORN, "4", program, "--last", "{resume:--ckpt_path %}")
    assert digest(output) == expected
    assert starts(output) == ["None", "out/last.pt"]
    assert "out/last.pt is restored from adopted-" in job.errors
    assert (job.directory / "out/.last.pt.holdfast-aside").exists()


def test_lightning_resumes_with_its_own_checkpoint(tmp_path: Path, memory: Path) -> None:
    pytest.importorskip("pytorch_lightning")
    _, paths = run_with_torn_file(tmp_path, memory, "adopted_lightning.py")
    assert paths == ["None", "out/epoch=2-step=24.ckpt"]


def test_trainer_of_hugging_face_resumes_with_its_directory(tmp_path: Path, memory: Path) -> None:
    pytest.importorskip("transformers", reason="needs transformers and accelerate, with their torch")
    program = str(PROGRAMS / "adopted_transformers.py")
    expected = undisturbed(tmp_path / "alone", program)
    job = Job(tmp_path / "job", memory, "out/checkpoint-*")
    # Its files are saved one after the other: the directory stays without trainer_state.json.
    output = job.run(TORN, "12", program, "{resume:--resume_from_checkpoint %}")
    assert digest(output) == expected
    assert starts(output)[0] == "None" and starts(output)[1].startswith("out/checkpoint-")
    assert "is not used as a checkpoint: it has no trainer_state.json" in job.errors
    assert job.errors.count("is durable: adopted-") >= 2


def test_simulation_continues_with_its_restart_file(tmp_path: Path, memory: Path) -> None:
    """Killed at any moment, several times."""
    program = str(PROGRAMS / "adopted_simulation.py")
    expected = undisturbed(tmp_path / "alone", program)
    job = Job(tmp_path / "job", memory, "state.cpt", "--max-stalls", "3")
    with (tmp_path / "output").open("wb") as output, (tmp_path / "errors").open("wb") as errors:
        supervisor = subprocess.Popen(
            [*job.holdfast, program, "{resume:-cpi %}"], cwd=job.directory, stdout=output, stderr=errors
        )
    try:
        for kill in range(4):
            begun = kill + 1
            deadline = time.monotonic() + TIMEOUT_SECONDS
            text = (tmp_path / "output").read_text
            while text().count("start at") < begun or not (job.directory / "state.cpt").exists():
                assert time.monotonic() < deadline and supervisor.poll() is None, (
                    tmp_path / "errors"
                ).read_text()
                time.sleep(0.01)
            time.sleep(0.17)
            children = Path(f"/proc/{supervisor.pid}/task/{supervisor.pid}/children").read_text().split()
            for child in children[:1]:
                os.kill(int(child), signal.SIGKILL)
        assert supervisor.wait(TIMEOUT_SECONDS) == 0, (tmp_path / "errors").read_text()
    finally:
        if supervisor.poll() is None:
            supervisor.send_signal(signal.SIGTERM)
            supervisor.send_signal(signal.SIGTERM)
            supervisor.wait(TIMEOUT_SECONDS)
    done = (tmp_path / "output").read_text()
    assert digest(done) == expected
    assert starts(done)[0] == "None" and set(starts(done)[1:]) == {"state.cpt"}
