"""flax's TrainState with optax under the built supervisor."""

from __future__ import annotations

from pathlib import Path

import pytest

pytest.importorskip("flax")

from supervised import OPTIONS, PACKAGE, Job, storm, survived, undisturbed

PROGRAM = PACKAGE / "tests/programs/digits_flax.py"


def test_killed_again_and_again(tmp_path: Path) -> None:
    expected = undisturbed(PROGRAM)
    with Job(tmp_path, PROGRAM, options=OPTIONS) as job:
        done = storm(job, 4, 118, seed=1)
        attempts = survived(job, done, expected, fewest=0)
        assert sum(attempt["resumed_from"] is not None for attempt in attempts) > 0
