"""Killed Lightning programs of many forms: all of its callbacks, several fits, tuners, its own files."""

from __future__ import annotations

import csv
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

sweep = pytest.importorskip("lightning_sweep")

from supervised import PACKAGE, Job, uninterrupted_digest

OLD = Path(sys.prefix) / "lightning-1.9"
FITS = PACKAGE / "tests/programs/lightning_fits.py"
CLI = PACKAGE / "tests/programs/lightning_cli.py"
STOPPED = PACKAGE / "tests/programs/lightning_stopped.py"
ROWS = PACKAGE / "tests/programs/lightning_rows.py"
OFTEN = ("--stage-every", "10ms")
# Kills at a few of the points; `tests/lightning_sweep.py` kills at all of them.
STRIDE = 19


@pytest.mark.parametrize(("number", "name"), list(enumerate(sweep.CASES)), ids=list(sweep.CASES))
def test_killed_at_some_points(number: int, name: str) -> None:
    kills, different = sweep.run_case(name, STRIDE, every=1 + number % 3, first=1 + number * 7 % STRIDE)
    assert not different
    assert kills >= 2


@pytest.mark.parametrize("name", ["plain", "checkpoint, best", "fit, then test", "the same trainer twice"])
def test_killed_again_in_the_resumed_attempt(name: str) -> None:
    kills, different = sweep.run_case(name, 23, first=9, again=5)
    assert not different
    assert kills >= 4


@pytest.fixture(params=["2", "1.9"])
def lightning(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Run programs with this version of Lightning."""
    if request.param == "1.9":
        if not OLD.is_dir():
            pytest.skip(f"Lightning 1.9 is not in {OLD}")
        monkeypatch.setenv("PYTHONPATH", f"{OLD}{os.pathsep}{os.environ.get('PYTHONPATH', '')}")


@pytest.mark.skipif(not OLD.is_dir(), reason=f"Lightning 1.9 is not in {OLD}")
def test_killed_at_some_points_with_the_older_lightning() -> None:
    environment = {**os.environ, "PYTHONPATH": f"{OLD}{os.pathsep}{os.environ.get('PYTHONPATH', '')}"}
    done = subprocess.run(
        [sys.executable, PACKAGE / "tests/lightning_sweep.py", "--stride", "31"],
        stdout=subprocess.PIPE, text=True, check=False, env=environment,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout
    assert "Lightning 1.9" in done.stdout


@pytest.mark.usefixtures("lightning")
def test_several_fits_are_one_job(tmp_path: Path) -> None:
    expected = uninterrupted_digest(FITS, tmp_path / "alone", "search")
    dies_at = ("between", "after", "test", "export")
    options = ("--stage-every", "10ms", "--max-stalls", "20")
    with Job(tmp_path, FITS, tmp_path / "files", "search", *dies_at, options=options) as job:
        job.start()
        job.kill_at(12)
        job.kill_at(30)
        assert job.wait() == 0, job.errors.read_text()
        assert job.digest() == expected
        attempts = job.json("history")["attempts"]
        assert [attempt["cause"] for attempt in attempts[-5:]] == ["killed"] * 4 + ["finished"]
        assert {attempt["replay"] for attempt in attempts} <= {"identical", None}
        # 20 steps of the first fit, none of the search.
        assert 24 <= max(attempt["last_step"] or 0 for attempt in attempts) <= 20 + 90


def test_a_failing_export_is_not_success(tmp_path: Path) -> None:
    program = tmp_path / "fails.py"
    program.write_text(
        f"import runpy, sys\nsys.argv[1:] = [{str(tmp_path / 'files')!r}]\n"
        f"runpy.run_path({str(FITS)!r}, run_name='__main__')\n"
        "raise ValueError('no export')\n"
    )
    with Job(tmp_path, program, options=("--max-stalls", "2")) as job:
        job.start()
        assert job.wait() != 0
        assert "no export" in job.errors.read_text()
        # Only the first attempt trained.
        assert len(job.json("history")["attempts"]) >= 2


def test_the_command_line_interface(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("jsonargparse")
    rows = []
    for name in ("alone", "killed"):
        files = tmp_path / name
        files.mkdir()
        monkeypatch.setenv("FILES", str(files))
        if name == "alone":
            subprocess.run([sys.executable, CLI, "fit"], check=True, stdout=subprocess.PIPE)
        else:
            monkeypatch.setenv("DIES_AT", "7 15 28")
            with Job(tmp_path, CLI, "fit", options=("--stage-every", "10ms")) as job:
                job.start()
                assert job.wait() == 0, job.errors.read_text()
                attempts = job.json("history")["attempts"]
            assert [attempt["cause"] for attempt in attempts] == ["crashed"] * 3 + ["finished"]
        assert (files / "logs/fixed/config.yaml").is_file()
        with (files / "logs/fixed/metrics.csv").open(newline="") as file:
            rows.append(list(csv.DictReader(file)))
    assert rows[0] == rows[1]
    assert len(rows[0]) == 30


def test_the_configuration_of_another_run_is_not_overwritten(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("jsonargparse")
    monkeypatch.setenv("FILES", str(tmp_path / "files"))
    config = tmp_path / "files/logs/fixed/config.yaml"
    config.parent.mkdir(parents=True)
    config.write_text("of: another run\n")
    with Job(tmp_path, CLI, "fit", options=("--max-stalls", "2")) as job:
        job.start()
        assert job.wait() != 0
        assert "to NOT exist" in job.errors.read_text()
    assert config.read_text() == "of: another run\n"


@pytest.mark.usefixtures("lightning")
def test_a_stop_after_the_first_of_two_fits_does_not_finish_the_job(tmp_path: Path) -> None:
    parts = ("search", "fit", "test", "other trainer")
    with Job(tmp_path, STOPPED, tmp_path / "files", *parts) as job:
        for part in parts:
            job.start()
            assert job.wait() == 75, job.errors.read_text()
            assert (tmp_path / "files" / f"stopped {part}").exists()
        job.start()
        assert job.wait() == 0, job.errors.read_text()
        assert job.output.read_text().splitlines()[-1] == "exported at step 20"
        attempts = job.json("history")["attempts"]
        assert [attempt["cause"] for attempt in attempts] == ["stopped"] * 4 + ["finished"]


def test_exit_0_in_a_later_fit_does_not_finish_the_job(tmp_path: Path) -> None:
    with Job(tmp_path, STOPPED, tmp_path / "files", "exit") as job:
        job.start()
        assert job.wait() == 0, job.errors.read_text()
        assert "exported at step 20" in job.output.read_text()
        assert [attempt["cause"] for attempt in job.json("history")["attempts"]] == ["crashed", "finished"]


@pytest.mark.parametrize(
    ("kind", "interval", "dies_at"),
    [("lines", 5, (10, 15)), ("lines", 2, (7, 12)), ("tensorboard", 5, (10,))],
)
def test_rows_are_not_duplicated_after_a_resume_into_validation(
    tmp_path: Path, kind: str, interval: int, dies_at: tuple[int, ...]
) -> None:
    if kind == "tensorboard":
        events = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")
    with Job(tmp_path, ROWS, tmp_path / "files", kind, interval, *dies_at, options=OFTEN) as job:
        job.start()
        assert job.wait() == 0, job.errors.read_text()
        causes = [attempt["cause"] for attempt in job.json("history")["attempts"]]
    assert causes == ["killed"] * len(dies_at) + ["finished"]
    rows: list[int] = []
    if kind == "tensorboard":
        log = events.EventAccumulator(str(tmp_path / "files/logs/version_0"), {"scalars": 0})
        log.Reload()
        rows = [row.step for row in log.Scalars("loss")]
    else:
        for file in sorted((tmp_path / "files").glob("*.lines")):
            first, *steps = map(json.loads, file.read_text().splitlines())
            rows = [step for step in rows if first is None or step < first] + steps
    assert rows == list(range(20))
