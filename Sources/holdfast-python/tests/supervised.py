"""A job under the built `holdfast`, and ways to disturb it."""

from __future__ import annotations

import json
import os
import random
import shutil
import signal
import struct
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from types import TracebackType
from typing import Any

PACKAGE = Path(__file__).parent.parent
HOLDFAST = Path(os.environ.get("HOLDFAST_TEST_BIN", PACKAGE.parent.parent / ".build/release")) / "holdfast"
# Nothing here is slow; a loaded machine may be.
PATIENCE = 400.0
# For a job that is killed often: little is lost each time, and it is not given up.
OPTIONS = ("--stage-every", "50ms", "--every", "1s", "--max-stalls", "100")


class Job:
    """`holdfast run` of a Python program; its directories go away with it."""

    def __init__(self, directory: Path, *program: object, options: tuple[str, ...] = ()) -> None:
        self.state = directory / "state"
        self.memory = Path(tempfile.mkdtemp(prefix="holdfast-python.", dir="/dev/shm"))
        self.output = directory / "output"
        self.errors = directory / "errors"
        self.program = [sys.executable, *map(str, program)]
        self.options = list(options)
        self.supervisor: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Job:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self.supervisor is not None and self.supervisor.poll() is None:
            # The trainer dies with it; what is left of both is cleared when it leaves in order.
            self.supervisor.send_signal(signal.SIGTERM)
            self.supervisor.send_signal(signal.SIGTERM)
            try:
                self.supervisor.wait(PATIENCE)
            except subprocess.TimeoutExpired:
                self.supervisor.kill()
                self.supervisor.wait()
        shutil.rmtree(self.memory, ignore_errors=True)

    def start(self) -> None:
        command = [HOLDFAST, "run", "--state-dir", self.state, "--run-dir", self.memory, *self.options]
        with self.output.open("ab") as output, self.errors.open("ab") as errors:
            self.supervisor = subprocess.Popen([*command, "--", *self.program], stdout=output, stderr=errors)

    def wait(self) -> int:
        assert self.supervisor is not None
        return self.supervisor.wait(PATIENCE)

    def _ring(self, offset: int, layout: str) -> int:
        try:
            with (self.memory / "ring-0").open("rb") as file:
                file.seek(offset)
                return int(struct.unpack(layout, file.read(struct.calcsize(layout)))[0])
        except (OSError, struct.error):
            return 0

    @property
    def trainer(self) -> int:
        """Process that is attached; 0: none."""
        return self._ring(164, "<I")

    @property
    def step(self) -> int:
        return self._ring(144, "<Q")

    def is_running(self) -> bool:
        return self.supervisor is not None and self.supervisor.poll() is None

    def wait_for(self, condition: Any) -> bool:
        """Wait for a condition; False when the job ended first."""
        deadline = time.monotonic() + PATIENCE
        while time.monotonic() < deadline:
            if condition():
                return True
            if not self.is_running():
                return False
            time.sleep(0.002)
        raise AssertionError(f"nothing happened: {self.errors.read_text()}")

    def kill_at(self, step: int) -> bool:
        """SIGKILL the trainer once it has made a step in this attempt; False when the job ended first."""
        if not self.wait_for(lambda: self.step >= step and self.trainer):
            return False
        killed = self.trainer
        os.kill(killed, signal.SIGKILL)
        # The next attempt has a ring of its own.
        self.wait_for(lambda: self.trainer != killed)
        return True

    def json(self, command: str) -> Any:
        words = [HOLDFAST, *command.split(), "--state-dir", self.state, "--json"]
        return json.loads(subprocess.run(words, stdout=subprocess.PIPE, check=True).stdout)

    def digest(self) -> str:
        lines = [line for line in self.output.read_text().splitlines() if line.startswith("digest ")]
        return lines[-1]


def storm(job: Job, kills: int, last_step: int, seed: int) -> int:
    """Kill the trainer at random steps of the run; returns how often."""
    rng = random.Random(seed)
    job.start()
    steps = sorted(rng.sample(range(1, last_step), kills))
    done = 0
    for step in steps:
        try:
            if not job.kill_at(step):
                break
        except ProcessLookupError:
            continue
        done += 1
    return done


def survived(job: Job, kills: int, expected: str, *, fewest: int) -> list[dict[str, Any]]:
    """Wait for the end of a job that was killed, which must be as if nothing had been; returns its attempts.

    Args:
        job: that runs.
        kills: that were made, each of which has ended an attempt.
        expected: digest of the undisturbed program.
        fewest: more kills than that must have been made: one may come when its process is just ending.
    """
    assert job.wait() == 0, job.errors.read_text()
    assert job.digest() == expected
    attempts: list[dict[str, Any]] = job.json("history")["attempts"]
    assert sum(attempt["cause"] == "killed" for attempt in attempts) == kills > fewest
    assert {attempt["replay"] for attempt in attempts} <= {"identical", None}
    return attempts


def undisturbed(*program: object) -> str:
    """The digest of a program that runs alone."""
    output = subprocess.run(
        [sys.executable, *map(str, program)], stdout=subprocess.PIPE, check=True, timeout=PATIENCE
    ).stdout.decode()
    return next(line for line in output.splitlines() if line.startswith("digest "))
