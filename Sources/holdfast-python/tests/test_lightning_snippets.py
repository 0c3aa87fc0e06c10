"""What Lightning's documentation shows of checkpoints, under the built `holdfast` and with kills."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("pytorch_lightning")

from supervised import PACKAGE, TIMEOUT_SECONDS, Job

PROGRAM = PACKAGE / "tests/programs/lightning_snippets.py"
# Each is a job with several fits; one process for each snippet would need most of its time for imports.
GROUPS = (
    ("automatic", "load", "disabled", "resumed"),
    ("best", "several", "last"),
    ("manual", "hooks", "own_class", "url"),
    ("plugin", "strategy", "background"),
)


def told(output: str) -> dict[str, str]:
    """Return what the last attempt printed of each snippet."""
    lines = [line for line in output.splitlines() if line.startswith(("files of ", "digest of "))]
    return {" ".join(line.split()[:3]): line for line in lines}


@pytest.mark.parametrize(("number", "names"), list(enumerate(GROUPS)), ids=[group[0] for group in GROUPS])
def test_killed(number: int, names: tuple[str, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The weights, the optimizer and Lightning's own files are those of the undisturbed program."""
    monkeypatch.setenv("PYTHONPATH", f"{PACKAGE / 'src'}{os.pathsep}{os.environ.get('PYTHONPATH', '')}")
    alone = subprocess.run(
        [sys.executable, str(PROGRAM), str(tmp_path / "alone"), *names],
        capture_output=True, text=True, check=False, timeout=TIMEOUT_SECONDS,
    )  # fmt: skip
    assert alone.returncode == 0, alone.stderr
    monkeypatch.setenv("STEP_DELAY", "0.02")
    with Job(tmp_path, PROGRAM, tmp_path / "killed", *names, options=("--stage-every", "50ms")) as job:
        job.start()
        # In the first fit and in a later one.
        for step in (13 + number, 77 + number):
            assert job.kill_at(step), job.errors.read_text()
        assert job.wait() == 0, job.errors.read_text()
        expected = told(alone.stdout)
        assert len(expected) == 2 * len(names)
        assert told(job.output.read_text()) == expected, job.errors.read_text()
        attempts = job.json("history")["attempts"]
        assert len(attempts) >= 3
        assert {attempt["replay"] for attempt in attempts} <= {"identical", None}


def test_every_snippet_is_run() -> None:
    source = PROGRAM.read_text()
    names = [name for group in GROUPS for name in group]
    assert all(f"\ndef {name}(program: Program) -> None:" in source for name in names)
    assert source.count("(program: Program) -> None:") == len(names)
