"""Replays that differ because of unregistered state or random numbers: reported, optionally a failure."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from supervised import Job

PROGRAM = """
import os, random, time
import holdfast
run = holdfast.attach()
random.seed(1)
total = {{"value": 0}}
extra = random.Random(5)
hidden = [0]
run.register(total=total, extra=extra)
began = run.restore()
for epoch in run.epochs(1):
    for batch in run.batches(40):
        # The supervisor requests the state meanwhile, also on a busy machine.
        time.sleep(2 if batch == 5 and not began else 0.01)
        {body}
        hidden[0] += 1
        total["value"] += batch
        run.step(loss=float(batch), reward=hidden[0] if {has_hidden} else 1.0)
        if run.global_step == 30 and not began:
            time.sleep(0.3)
            os.kill(os.getpid(), 9)
print("digest", total["value"], flush=True)
"""


def deviation(tmp_path: Path, body: str, has_hidden: bool, *options: str) -> tuple[int, Any]:
    program = tmp_path / "train.py"
    program.write_text(PROGRAM.format(body=body, has_hidden=has_hidden))
    # The state is saved at the first steps only: all later steps are replayed.
    with Job(tmp_path, program, options=("--stage-every", "1h", *options)) as job:
        job.start()
        status = job.wait()
        assert "finished at step 40" in job.errors.read_text()
        return status, job.json("status")["deviation"]


@pytest.mark.parametrize(
    ("body", "has_hidden", "part", "name", "cause"),
    [
        ("pass", True, "metrics", "reward", "unregistered state"),
        ("began and batch == 20 and random.random()", False, "rng", "python", "more or fewer random numbers"),
        ("began and batch == 20 and extra.random()", False, "rng", "extra", "more or fewer random numbers"),
    ],
)
def test_differences_are_named(
    body: str, has_hidden: bool, part: str, name: str, cause: str, tmp_path: Path
) -> None:
    status, found = deviation(tmp_path, body, has_hidden, "--require-identical")
    assert status == 4
    assert found["attempt"] == 2
    assert [(one["part"], one["name"]) for one in found["differences"]] == [(part, name)]
    assert cause in found["likely_cause"]
    if part == "rng":
        assert found["step"] == 21


def test_an_identical_replay_is_no_deviation(tmp_path: Path) -> None:
    assert deviation(tmp_path, "random.random(), extra.random()", False, "--require-identical") == (0, None)
