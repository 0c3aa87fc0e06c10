"""A job under the built `holdfast`, and ways to kill it."""

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
# In seconds. Nothing here is slow, but the machine may be loaded.
TIMEOUT_SECONDS = 400.0
# For a job that is killed often: it loses few steps each time, and the supervisor does not give up.
OPTIONS = ("--stage-every", "50ms", "--every", "1s", "--max-stalls", "100")


class Job:
    """`holdfast run` of a Python program; removes its directory in memory at the end."""

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
            # The second signal makes it exit quickly; it ends the trainer and clears the run directory.
            self.supervisor.send_signal(signal.SIGTERM)
            self.supervisor.send_signal(signal.SIGTERM)
            try:
                self.supervisor.wait(TIMEOUT_SECONDS)
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
        return self.supervisor.wait(TIMEOUT_SECONDS)

    def _ring(self, offset: int, layout: str) -> int:
        try:
            with (self.memory / "ring-0").open("rb") as file:
                file.seek(offset)
                return int(struct.unpack(layout, file.read(struct.calcsize(layout)))[0])
        except (OSError, struct.error):
            return 0

    @property
    def trainer(self) -> int:
        """ID of the attached process; 0: none."""
        return self._ring(164, "<I")

    @property
    def step(self) -> int:
        return self._ring(144, "<Q")

    def is_running(self) -> bool:
        return self.supervisor is not None and self.supervisor.poll() is None

    def wait_for(self, condition: Any) -> bool:
        """Wait for a condition; return False if the job ends first."""
        deadline = time.monotonic() + TIMEOUT_SECONDS
        while time.monotonic() < deadline:
            if condition():
                return True
            if not self.is_running():
                return False
            time.sleep(0.002)
        raise AssertionError(f"timeout: {self.errors.read_text()}")

    def kill_at(self, step: int) -> bool:
        """SIGKILL the trainer once this attempt has reached a step; return False if the job ends first."""
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


def kill_at_random_steps(job: Job, kills: int, last_step: int, seed: int) -> int:
    """Start a job and kill its trainer at random steps; return the number of kills."""
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


def finish_after_kills(job: Job, kills: int, expected: str, *, fewest: int) -> list[dict[str, Any]]:
    """Wait for a job that was killed; check that its result is identical, and return its attempts.

    Args:
        job: the running job.
        kills: number of kills, each of which ended an attempt.
        expected: digest of the uninterrupted program.
        fewest: there must be more kills than that: some may come when the process is just exiting.
    """
    assert job.wait() == 0, job.errors.read_text()
    assert job.digest() == expected
    attempts: list[dict[str, Any]] = job.json("history")["attempts"]
    assert sum(attempt["cause"] == "killed" for attempt in attempts) == kills > fewest
    assert {attempt["replay"] for attempt in attempts} <= {"identical", None}
    return attempts


def uninterrupted_digest(*program: object) -> str:
    """Return the digest of a program that runs without a supervisor."""
    output = subprocess.run(
        [sys.executable, *map(str, program)], stdout=subprocess.PIPE, check=True, timeout=TIMEOUT_SECONDS
    ).stdout.decode()
    return next(line for line in output.splitlines() if line.startswith("digest "))
