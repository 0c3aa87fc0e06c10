"""Real programs under the built supervisor, killed at random steps: the same bits as undisturbed."""

from __future__ import annotations

from pathlib import Path

import pytest

from supervised import OPTIONS, PACKAGE, Job, storm, survived, undisturbed

# Program, its arguments, steps of the whole run, seconds of pause after a step, kills.
STORMS = {
    "digits": ("digits_torch.py", (), 270, 0.004, 14),
    "digits, workers": ("digits_torch.py", ("--workers", 2), 270, 0.004, 14),
    "digits, persistent workers": ("digits_torch.py", ("--workers", 2, "--persistent"), 270, 0.004, 14),
    "characters": ("characters_torch.py", (), 120, 0.01, 14),
    "characters, workers": ("characters_torch.py", ("--workers", 2), 120, 0.01, 14),
    "numpy": ("digits_numpy.py", (), 224, 0.005, 34),
}


@pytest.mark.parametrize("name", STORMS)
def test_killed_again_and_again(tmp_path: Path, name: str) -> None:
    example, arguments, steps, pause, kills = STORMS[name]
    program = PACKAGE / "examples" / example
    expected = undisturbed(program)
    with Job(tmp_path, program, "--step-delay", pause, *arguments, options=OPTIONS) as job:
        done = storm(job, kills, steps - 1, seed=len(name))
        attempts = survived(job, done, expected, fewest=int(kills * 0.8))
        assert sum(attempt["resumed_from"] is not None for attempt in attempts) > kills // 2
        if example == "digits_numpy.py":
            # Every step carried the state: none was lost.
            assert sum(attempt["replayed_steps"] for attempt in attempts) == 0


def test_stopped_in_mid_epoch_and_started_again(tmp_path: Path) -> None:
    program = PACKAGE / "examples/digits_torch.py"
    with Job(tmp_path, program, "--step-delay", 0.004, "--workers", 2, options=OPTIONS) as job:
        for step in (60, 150):
            job.start()
            assert job.wait_for(lambda step=step: job.step >= step)
            assert job.supervisor is not None
            job.supervisor.terminate()
            assert job.wait() == 75
        job.start()
        assert job.wait() == 0, job.errors.read_text()
        assert job.digest() == undisturbed(program)
        attempts = job.json("history")["attempts"]
        assert [attempt["cause"] for attempt in attempts] == ["stopped", "stopped", "finished"]
        # Saved when it was asked to leave: nothing is made again.
        assert sum(attempt["replayed_steps"] for attempt in attempts) == 0
