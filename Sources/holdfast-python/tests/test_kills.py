"""Real programs under the built supervisor, killed at random steps: the results must be bit-identical."""

from __future__ import annotations

from pathlib import Path

import pytest

from supervised import OPTIONS, PACKAGE, Job, finish_after_kills, kill_at_random_steps, uninterrupted_digest

# Program, arguments, number of steps, pause after each step in seconds, number of kills.
STORMS = {
    "digits": ("digits_torch.py", (), 270, 0.004, 14),
    "digits, workers": ("digits_torch.py", ("--workers", 2), 270, 0.004, 14),
    "digits, persistent workers": ("digits_torch.py", ("--workers", 2, "--persistent"), 270, 0.004, 14),
    "characters": ("characters_torch.py", (), 120, 0.01, 14),
    "characters, workers": ("characters_torch.py", ("--workers", 2), 120, 0.01, 14),
    "numpy": ("digits_numpy.py", (), 224, 0.005, 34),
}


@pytest.mark.parametrize("name", STORMS)
def test_killed_repeatedly(tmp_path: Path, name: str) -> None:
    example, arguments, steps, pause, kills = STORMS[name]
    program = PACKAGE / "examples" / example
    expected = uninterrupted_digest(program)
    with Job(tmp_path, program, "--step-delay", pause, *arguments, options=OPTIONS) as job:
        done = kill_at_random_steps(job, kills, steps - 1, seed=len(name))
        attempts = finish_after_kills(job, done, expected, fewest=int(kills * 0.8))
        assert sum(attempt["resumed_from"] is not None for attempt in attempts) > kills // 2
        if example == "digits_numpy.py":
            # Every step contained the state, so none was lost.
            assert sum(attempt["replayed_steps"] for attempt in attempts) == 0


def test_stopped_in_mid_epoch_and_restarted(tmp_path: Path) -> None:
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
        assert job.digest() == uninterrupted_digest(program)
        attempts = job.json("history")["attempts"]
        assert [attempt["cause"] for attempt in attempts] == ["stopped", "stopped", "finished"]
        # The state was saved before the exit, so no step is replayed.
        assert sum(attempt["replayed_steps"] for attempt in attempts) == 0


def test_killed_with_checkpoints_at_steps_and_epochs(tmp_path: Path) -> None:
    program = PACKAGE / "examples/digits_torch.py"
    expected = uninterrupted_digest(program)
    options = (*OPTIONS, "--every-steps", "20", "--every-epochs", "1", "--keep-last", "50")
    with Job(tmp_path, program, "--step-delay", 0.02, "--workers", 2, options=options) as job:
        done = kill_at_random_steps(job, 8, 269, seed=77)
        finish_after_kills(job, done, expected, fewest=6)
        log = job.errors.read_text()
        for step in range(20, 270, 20):
            assert f"step {step} is durable" in log
        for step in range(45, 270, 45):
            assert f"step {step} is durable" in log
