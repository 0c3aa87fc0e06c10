"""Invalid records: each is reported with its field, and the job continues."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from supervised import HOLDFAST, PACKAGE, Job

TESTS = str(PACKAGE / "tests")

# `change(kind, payload)` returns the payload to write instead, or None for no record.
PROGRAM = """
import json
import sys
import time
import holdfast
sys.path.insert(0, {tests!r})
from internals import RingWriter, at

def edit(payload, **fields):
    return json.dumps({{**json.loads(payload), **fields}}).encode()

def without(payload, field):
    return json.dumps({{k: v for k, v in json.loads(payload).items() if k != field}}).encode()

def change(kind, payload):
    {change}
    return payload

append = RingWriter.append
def changed(self, kind, payload):
    payload = change(kind, payload)
    return True if payload is None else append(self, kind, payload)
RingWriter.append = changed

run = holdfast.attach(hyperparameters={{"lr": 0.1}})
total = {{"value": 0}}
run.register(total=total)
for epoch in run.epochs(1):
    for batch in run.batches(30):
        total["value"] += batch
        run.step(loss=1.0)
        time.sleep(0.01)
{end}
print("digest", total["value"], flush=True)
"""

CASES = {
    "no-hyperparameters": (
        "if kind == at.RECORD_ATTACHED: payload = without(payload, 'hyperparameters')",
        None,
    ),
    "no-pid": (
        "if kind == at.RECORD_ATTACHED: payload = without(payload, 'pid')",
        "field 'pid' of record 'attached' is missing",
    ),
    "steps-of-text": (
        "if kind == at.RECORD_ATTACHED: payload = edit(payload, total_steps='many\\x1b[2J')",
        "field 'total_steps' of record 'attached' is text, not a whole number",
    ),
    "invalid-json": (
        "if kind == at.RECORD_ATTACHED: payload = b'\\xff{'",
        "record 'attached' is not a JSON object",
    ),
    "never-attached": (
        "if kind == at.RECORD_ATTACHED: return None",
        "record 'attached' was not sent first",
    ),
    "names": (
        "if kind == at.RECORD_METRIC_NAMES: payload = b'[7]'",
        "field '[0]' of record 'metric names' is not text",
    ),
    "answer": (
        "if kind == at.RECORD_STAGED and run.global_step < 25: payload = payload[:20]",
        "record 'staged' has 20 bytes, not 64",
    ),
    "end": (
        "if kind == at.RECORD_FINISHED: payload = payload + b'more'",
        None,
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_invalid_records_are_reported_and_the_job_finishes(case: str, tmp_path: Path) -> None:
    change, problem = CASES[case]
    program = tmp_path / "train.py"
    program.write_text(PROGRAM.format(tests=TESTS, change=change, end=""))
    with Job(tmp_path, program) as job:
        job.start()
        assert job.wait() == 0, job.errors.read_text()
        assert job.json("status")["durable_step"] == 30
        assert job.digest() == "digest 435"
        attempt = job.json("history")["attempts"][-1]
        assert attempt["record_problems"] == ([problem] if problem else [])
        errors = job.errors.read_text()
        assert "\x1b" not in errors
        words = [HOLDFAST, "events", "--state-dir", job.state]
        events = subprocess.run(words, stdout=subprocess.PIPE, check=True).stdout.decode()
        for text in (errors, events):
            assert (problem or "sent invalid records") in text or not problem
            assert problem or "sent invalid records" not in text


def test_a_failure_without_a_type_is_still_reported(tmp_path: Path) -> None:
    program = tmp_path / "train.py"
    change = "if kind == at.RECORD_FAILURE: payload = without(payload, 'type')"
    program.write_text(PROGRAM.format(tests=TESTS, change=change, end="raise ValueError('what it was')"))
    with Job(tmp_path, program, options=("--max-stalls", "1")) as job:
        job.start()
        assert job.wait() == 69, job.errors.read_text()
        attempt = job.json("history")["attempts"][-1]
        assert attempt["failure"]["message"] == "what it was"
        assert attempt["record_problems"] == ["field 'type' of record 'failure' is missing"]
