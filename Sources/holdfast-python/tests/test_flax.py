"""flax's TrainState with optax under the built supervisor."""

from __future__ import annotations

from pathlib import Path

import pytest

pytest.importorskip("flax")

from supervised import OPTIONS, PACKAGE, Job, finish_after_kills, kill_at_random_steps, uninterrupted_digest

PROGRAM = PACKAGE / "tests/programs/digits_flax.py"


def test_killed_repeatedly(tmp_path: Path) -> None:
    expected = uninterrupted_digest(PROGRAM)
    with Job(tmp_path, PROGRAM, options=OPTIONS) as job:
        done = kill_at_random_steps(job, 4, 118, seed=1)
        attempts = finish_after_kills(job, done, expected, fewest=0)
        assert sum(attempt["resumed_from"] is not None for attempt in attempts) > 0
