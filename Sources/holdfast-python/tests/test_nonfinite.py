"""Metrics that are not finite are shown as they are, and only NaN ranks last."""

from __future__ import annotations

import signal
from pathlib import Path

from supervised import PACKAGE, Job


def test_values_are_shown_and_ranked(tmp_path: Path) -> None:
    """Also what is reported about them is reported once, whatever happens to the supervisor."""
    options = ("--every-epochs", "1", "--keep-last", "9", "--keep-best", "1", "--monitor", "val")
    with Job(tmp_path, PACKAGE / "tests/programs/nonfinite.py", options=options) as job:
        job.start()
        assert job.wait_for(lambda: "val" in job.errors.read_text())
        assert job.supervisor is not None
        job.supervisor.send_signal(signal.SIGTERM)
        assert job.wait() == 75, job.errors.read_text()
        job.start()
        assert job.wait() == 0, job.errors.read_text()
        listed = {one["step"]: one["metrics"] for one in job.json("checkpoints list")["checkpoints"]}
        assert [listed[step]["val"] for step in (5, 10, 15, 20)] == ["NaN", 1.0, "NaN", "-Infinity"]
        assert [listed[step]["loss"] for step in (5, 10)] == [1.0, "NaN"]
        assert job.json("checkpoints show step-5")["metrics"]["val"] == "NaN"
        best = job.json("status")["best"]
        assert (best["step"], best["value"]) == (20, "-Infinity")
        assert "best -inf" in job.output.read_text()
        errors = job.errors.read_text()
        assert errors.count("metric 'val' of checkpoint step-5 is NaN") == 1, errors
        assert errors.count("'val'") == 1, errors
