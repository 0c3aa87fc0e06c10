"""Failures after the loop, and repeated failures."""

from __future__ import annotations

from pathlib import Path

import pytest

from supervised import Job

AFTERWARDS = """
import holdfast
run = holdfast.attach()
total = {"value": 0}
run.register(total=total)
for epoch in run.epochs(1):
    for batch in run.batches(5):
        total["value"] += batch
        run.step()
raise RuntimeError("export failed:\\n\\x1b[31mno such opset")
"""


def test_a_failing_export_is_not_success(tmp_path: Path) -> None:
    program = tmp_path / "train.py"
    program.write_text(AFTERWARDS)
    with Job(tmp_path, program, options=("--max-stalls", "2")) as job:
        job.start()
        assert job.wait() == 69, job.errors.read_text()
        errors = job.errors.read_text()
        assert "gave up: the training is complete at step 5" in errors
        assert "kept: checkpoint step-5" in errors
        attempts = job.json("history")["attempts"]
        assert [attempt["outcome"] for attempt in attempts] == ["failed"] * 3
        assert attempts[-1]["failure"]["message"] == "export failed:\n\x1b[31mno such opset"
        assert 'raise RuntimeError("export failed' in attempts[-1]["failure"]["traceback"]
        assert job.json("status")["durable_step"] == 5


TWO_LOOPS = """
import os
import signal
import sys
import holdfast
run = holdfast.attach()
total = {"value": 0}
run.register(total=total)
for epoch in run.epochs(2):
    for batch in run.batches(3):
        total["value"] += 1
        run.step()
for epoch in run.epochs(4):
    for batch in run.batches(3):
        if run.global_step == int(sys.argv[1]) and run.resumed_from is None:
            os.kill(os.getpid(), signal.SIGKILL)
        total["value"] += 10
        run.step(state=True)
run.finish()
print("total", total["value"], run.global_step, flush=True)
"""


@pytest.mark.parametrize("dies_at", [99, 6, 7, 10])
def test_two_loops_are_one_run(tmp_path: Path, dies_at: int) -> None:
    program = tmp_path / "train.py"
    program.write_text(TWO_LOOPS)
    with Job(tmp_path, program, dies_at) as job:
        job.start()
        assert job.wait() == 0, job.errors.read_text()
        assert job.output.read_text() == "total 66 12\n"
        attempts = job.json("history")["attempts"]
        assert [attempt["cause"] for attempt in attempts] == ["killed"] * (dies_at < 99) + ["finished"]
        assert job.json("status")["durable_step"] == 12


# Only the first step of each attempt is saved: the resume point advances, but the job makes no progress.
AGAIN = """
import time
import holdfast
run = holdfast.attach()
total = {"value": 0}
run.register(total=total)
run.restore()
saved = []
run.on_save_checkpoint(saved.append)
while run.global_step < 60:
    total["value"] += 1
    run.step(optimizer_stepped=not saved)
    while not saved:
        run.safepoint()
        time.sleep(0.001)
raise ValueError(f"tensor at {id(total):#x}")
"""


def test_the_same_exception_ten_times_is_not_progress(tmp_path: Path) -> None:
    program = tmp_path / "train.py"
    program.write_text(AGAIN)
    options = ("--max-stalls", "2", "--stage-every", "1ms", "--every", "1h")
    with Job(tmp_path, program, options=options) as job:
        job.start()
        assert job.wait() == 69, job.errors.read_text()
        errors = job.errors.read_text()
        reason = f"11 attempts in a row failed with the same ValueError at {program}:16"
        assert f"gave up: {reason}, and none made a step past 60" in errors, errors
        attempts = job.json("history")["attempts"]
        assert len(attempts) == 11
        assert attempts[-1]["resumed_from"]["step"] == 10
        assert "ValueError" in job.json("status")["failing"]
