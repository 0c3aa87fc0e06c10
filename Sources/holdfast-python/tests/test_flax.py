"""flax's TrainState with optax under the built supervisor."""

from __future__ import annotations

from pathlib import Path

import pytest

pytest.importorskip("flax")

from supervised import PACKAGE, Job, storm, undisturbed

PROGRAM = PACKAGE / "tests/programs/digits_flax.py"
OPTIONS = ("--stage-every", "50ms", "--every", "1s", "--max-stalls", "100")


def test_killed_again_and_again(tmp_path: Path) -> None:
    with Job(tmp_path, PROGRAM, options=OPTIONS) as job:
        done = storm(job, 4, 118, seed=1)
        assert job.wait() == 0, job.errors.read_text()
        assert job.digest() == undisturbed(PROGRAM)
        attempts = job.json("history")["attempts"]
        assert sum(attempt["cause"] == "killed" for attempt in attempts) == done > 0
        assert {attempt["replay"] for attempt in attempts} <= {"identical", None}
        assert sum(attempt["resumed_from"] is not None for attempt in attempts) > 0
