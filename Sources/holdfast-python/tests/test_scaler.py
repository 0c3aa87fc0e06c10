"""A loss scale that grows, overflows and backs off, under the built supervisor."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from supervised import OPTIONS, PACKAGE, Job, finish_after_kills, kill_at_random_steps, uninterrupted_digest

PROGRAM = PACKAGE / "tests/programs/digits_scaled.py"


# Before torch 2.3 a scaler does nothing without CUDA.
@pytest.mark.skipif(not hasattr(torch.amp, "GradScaler"), reason="torch's GradScaler is for CUDA alone")
@pytest.mark.parametrize("kind", ["float16", "bfloat16"])
def test_killed_repeatedly(tmp_path: Path, kind: str) -> None:
    expected = uninterrupted_digest(PROGRAM, kind)
    with Job(tmp_path, PROGRAM, kind, options=OPTIONS) as job:
        done = kill_at_random_steps(job, 3, 118, seed=3)
        attempts = finish_after_kills(job, done, expected, fewest=0)
        assert "skipped 0\n" not in job.output.read_text()
        assert sum(attempt["resumed_from"] is not None for attempt in attempts) > 0
