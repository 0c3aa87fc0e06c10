"""Programs without a seed: after an attempt that dies early, the next one repeats the same run."""

from __future__ import annotations

from pathlib import Path

import pytest

from supervised import PACKAGE, Job

PROGRAM = PACKAGE / "tests/programs/unseeded.py"
# Only the state before the first step is staged.
OPTIONS = ("--stage-every", "1h", "--every", "1h", "--max-stalls", "20")


@pytest.mark.parametrize("shape", ["loader", "workers", "while", "begins", "load", "plain loader", "batches"])
def test_kills_at_the_first_steps_repeat_the_same_run(tmp_path: Path, shape: str) -> None:
    _check(Job(tmp_path, PROGRAM, shape, tmp_path / "marker", options=OPTIONS))


def test_lightning(tmp_path: Path) -> None:
    pytest.importorskip("pytorch_lightning")
    _check(Job(tmp_path, PROGRAM.with_name("unseeded_lightning.py"), tmp_path / "marker", options=OPTIONS))


def _check(job: Job) -> None:
    with job:
        job.start()
        assert job.wait() == 0, job.errors.read_text()
        first = [line for line in job.output.read_text().splitlines() if line.startswith("first")]
        assert len(first) >= 2, job.errors.read_text()
        assert len(set(first)) == 1, first
        attempts = job.json("history")["attempts"]
        assert len(attempts) == 4
        assert attempts[1]["resumed_from"] == {"level": "staged", "step": 0}
        # A slow attempt may have staged its state before it died.
        assert sum(attempt["replayed_steps"] for attempt in attempts) >= 1
        assert "does not reproduce the run it resumed" not in job.errors.read_text()
