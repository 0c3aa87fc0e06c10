"""Real programs under the built supervisor, killed at random steps: the same bits as undisturbed."""

from __future__ import annotations

from pathlib import Path

import pytest

from supervised import PACKAGE, Job, storm, undisturbed

DIGITS = PACKAGE / "examples/digits_torch.py"
OPTIONS = ("--stage-every", "50ms", "--every", "1s", "--max-stalls", "100")


@pytest.fixture(scope="module")
def expected_digits() -> str:
    return undisturbed(DIGITS)


@pytest.mark.parametrize(
    ("arguments", "kills", "seed"),
    [
        (("--workers", 0), 12, 1),
        (("--workers", 2), 10, 2),
        (("--workers", 2, "--persistent"), 10, 3),
    ],
    ids=["alone", "workers", "persistent workers"],
)
def test_digits(
    tmp_path: Path, expected_digits: str, arguments: tuple[object, ...], kills: int, seed: int
) -> None:
    with Job(tmp_path, DIGITS, "--step-delay", 0.004, *arguments, options=OPTIONS) as job:
        done = storm(job, kills, 268, seed)
        assert job.wait() == 0, job.errors.read_text()
        assert job.digest() == expected_digits
        attempts = job.json("history")["attempts"]
        assert sum(attempt["cause"] == "killed" for attempt in attempts) == done > kills // 2
        replays = [attempt["replay"] for attempt in attempts]
        assert set(replays) <= {"identical", None}
        assert "identical" in replays
