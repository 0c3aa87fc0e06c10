"""A loss scale that grows, overflows and backs off, under the built supervisor."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from supervised import PACKAGE, Job, storm, undisturbed

PROGRAM = PACKAGE / "tests/programs/digits_scaled.py"
OPTIONS = ("--stage-every", "50ms", "--every", "1s", "--max-stalls", "100")


# Before torch 2.3 a scaler does nothing without CUDA.
@pytest.mark.skipif(not hasattr(torch.amp, "GradScaler"), reason="torch's GradScaler is for CUDA alone")
@pytest.mark.parametrize("kind", ["float16", "bfloat16"])
def test_killed_again_and_again(tmp_path: Path, kind: str) -> None:
    with Job(tmp_path, PROGRAM, kind, options=OPTIONS) as job:
        done = storm(job, 3, 118, seed=3)
        assert job.wait() == 0, job.errors.read_text()
        assert job.digest() == undisturbed(PROGRAM, kind)
        assert "skipped 0\n" not in job.output.read_text()
        attempts = job.json("history")["attempts"]
        assert sum(attempt["cause"] == "killed" for attempt in attempts) == done > 0
        assert {attempt["replay"] for attempt in attempts} <= {"identical", None}
        assert sum(attempt["resumed_from"] is not None for attempt in attempts) > 0
