"""Slots that find no room in the run directory."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from supervised import PACKAGE, Job, uninterrupted_digest


@pytest.fixture
def memory(tmp_path: Path) -> Iterator[Path]:
    """A tmpfs with room for two rings, and hardly anything else."""
    path = tmp_path / "memory"
    path.mkdir()
    if (
        os.geteuid() != 0
        or subprocess.run(["mount", "-t", "tmpfs", "-o", "size=8400k", "tmpfs", path]).returncode
    ):
        pytest.skip("root is needed to mount a tmpfs")
    yield path
    subprocess.run(["umount", "-l", path], check=True)


def test_a_kill_loses_nothing_that_was_staged_on_disk(tmp_path: Path, memory: Path) -> None:
    program = PACKAGE / "examples/digits_torch.py"
    options = ("--stage-every", "50ms", "--no-checkpoints")
    with Job(tmp_path, program, "--epochs", 3, "--step-delay", 0.01, options=options) as job:
        own, job.memory = job.memory, memory / "run"
        own.rmdir()
        job.start()
        assert job.kill_at(60), job.errors.read_text()
        assert job.wait() == 0, job.errors.read_text()
        attempts = job.json("history")["attempts"]
        errors = job.errors.read_text()
    assert attempts[1]["resumed_from"]["level"] == "staged", errors
    assert attempts[1]["resumed_from"]["step"] > 0
    assert "is staged on disk" in errors
    assert not list(job.state.glob("arena-*"))
    assert job.digest() == uninterrupted_digest(program, "--epochs", 3)
