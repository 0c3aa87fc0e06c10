"""The ends of trainers in `holdfast history`, and child processes that use the run."""

from __future__ import annotations

import json
import multiprocessing
import os
import pickle
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path
from typing import Any

import pytest

import holdfast
from conftest import RunDirectory
from internals import at
from supervised import HOLDFAST, Job

PROGRAM = """
import os, sys, time
import holdfast
marker = {marker!r}
def first():
    if os.path.exists(marker):
        return False
    open(marker, "w").close()
    return True
run = holdfast.attach()
total = {{"value": 0}}
run.register(total=total)
for epoch in run.epochs(1):
    for batch in run.batches(40):
        if batch == 20 and first():
            {event}
        total["value"] += batch
        run.step(state=True)
        time.sleep(0.005)
print("digest", total["value"], flush=True)
"""


def history_of(tmp_path: Path, event: str, *options: str) -> list[dict[str, Any]]:
    program = tmp_path / "train.py"
    program.write_text(PROGRAM.format(marker=str(tmp_path / "marker"), event=event))
    with Job(tmp_path, program, options=options) as job:
        job.start()
        assert job.wait() == 0, job.errors.read_text()
        assert job.digest() == "digest 780"
        attempts: list[dict[str, Any]] = job.json("history")["attempts"]
        assert len(attempts) == 2
        assert attempts[1]["outcome"] == "finished"
        assert attempts[1]["resumed_from"]["step"] == 20
        attempts[0]["stderr"] = job.errors.read_text()
        return attempts


def test_an_exception_is_in_the_history(tmp_path: Path) -> None:
    first = history_of(tmp_path, "raise ValueError('label \\udcff is none: \"x\"')")[0]
    assert first["cause"] == "crashed"
    assert first["failure"]["type"] == "ValueError"
    assert first["failure"]["message"].startswith("label ")
    assert "train.py" in first["failure"]["traceback"]
    assert "raise ValueError" in first["failure"]["traceback"]
    assert "Traceback" in first["stderr"]


@pytest.mark.parametrize(
    ("event", "kind", "message"),
    [
        # A hook that is set later, as by rich.traceback.install(), replaces that of the package.
        ("sys.excepthook = lambda *_: None; raise KeyError('late')", "KeyError", "'late'"),
        ("raise type('Mute', (Exception,), {'__str__': lambda self: 1 / 0})", "Mute", "<no message>"),
    ],
)
def test_errors_that_are_difficult_to_report(tmp_path: Path, event: str, kind: str, message: str) -> None:
    attempt = history_of(tmp_path, event)[0]
    assert attempt["cause"] == "crashed"
    assert (attempt["failure"]["type"], attempt["failure"]["message"]) == (kind, message)


@pytest.mark.parametrize("exit_", ["sys.exit(0)", "os._exit(0)", "raise SystemExit"])
def test_exit_0_before_the_end_is_a_failure(tmp_path: Path, exit_: str) -> None:
    first = history_of(tmp_path, exit_)[0]
    assert first["cause"] == "incomplete"
    assert ("before run.finish()" in first["stderr"]) == (exit_ != "os._exit(0)")


def test_a_segmentation_fault_writes_its_stack(tmp_path: Path) -> None:
    first = history_of(tmp_path, "import ctypes; ctypes.string_at(0)")[0]
    assert first["signal"] == signal.SIGSEGV
    assert "Segmentation fault" in first["stderr"]
    assert "train.py" in first["stderr"]


@pytest.mark.parametrize(
    ("interrupt", "ended"),
    [
        ("os.kill(os.getpid(), 2); time.sleep(1000)", "SIGINT"),
        ("raise KeyboardInterrupt", "SIGINT"),
        # As a shell reports the signal of its child.
        ("os._exit(130)", "exit 130"),
    ],
)
def test_an_interrupt_of_the_trainer_alone_stops_the_job(tmp_path: Path, interrupt: str, ended: str) -> None:
    program = tmp_path / "train.py"
    program.write_text(PROGRAM.format(marker=str(tmp_path / "marker"), event=interrupt))
    with Job(tmp_path, program) as job:
        job.start()
        assert job.wait() == 75, job.errors.read_text()
        (first,) = job.json("history")["attempts"]
        assert first["outcome"] == "stopped"
        assert first["cause"] == "keyboard_interrupt"
        assert first["failure"] is None
        words = [HOLDFAST, "history", "--state-dir", job.state]
        history = subprocess.run(words, stdout=subprocess.PIPE, check=True).stdout.decode()
        assert f"stopped by a keyboard interrupt: {ended}" in history
        assert "at step 20; the next start resumes" in job.errors.read_text()
        status = job.json("status")
        assert status["state"] == "stopped"
        assert status["restart_budget"] == 5

        job.start()
        assert job.wait() == 0, job.errors.read_text()
        assert job.digest() == "digest 780"
        second = job.json("history")["attempts"][1]
        assert second["outcome"] == "finished"
        assert second["resumed_from"]["step"] == 20
        assert second["replayed_steps"] == 0


def test_an_error_reported_by_the_program(tmp_path: Path) -> None:
    event = textwrap.dedent("""
            try:
                1 / 0
            except ZeroDivisionError as error:
                run.fail(error)
                os._exit(3)""")
    first = history_of(tmp_path, event.strip().replace("\n", "\n" + " " * 12))[0]
    assert first["exit_status"] == 3
    assert first["failure"]["type"] == "ZeroDivisionError"
    assert "1 / 0" in first["failure"]["traceback"]


def test_a_signal_writes_the_stacks_of_a_hung_process(run_directory: RunDirectory) -> None:
    program = "import holdfast, time\nrun = holdfast.attach()\ndef stuck():\n    time.sleep(1000)\nstuck()"
    process = subprocess.Popen([sys.executable, "-c", program])
    try:
        deadline = time.monotonic() + 60
        while not run_directory.drain() and time.monotonic() < deadline:
            time.sleep(0.01)
        process.send_signal(signal.SIGUSR2)
        stacks = run_directory.path / "stacks-0"
        while "in stuck" not in stacks.read_text() and time.monotonic() < deadline:
            time.sleep(0.01)
        assert "in stuck" in stacks.read_text()
        assert process.poll() is None
    finally:
        process.kill()
        process.wait()


def test_the_stacks_signal_avoids_signals_with_a_handler(run_directory: RunDirectory) -> None:
    program = (
        "import signal, holdfast\n"
        "signal.signal(signal.SIGUSR2, print)\n"
        "run = holdfast.attach()\n"
        "print(signal.getsignal(signal.SIGUSR2) is print)"
    )
    output = subprocess.run([sys.executable, "-c", program], stdout=subprocess.PIPE, check=True).stdout
    assert output == b"True\n"
    attached = next(payload for kind, payload in run_directory.drain() if kind == at.RECORD_ATTACHED)
    assert json.loads(attached)["stacks_signal"] != signal.SIGUSR2


def use_run(run: Any, queue: Any) -> None:
    try:
        run.step(loss=1)
    except holdfast.HoldfastError as error:
        queue.put(str(error))
    else:
        queue.put("no error")


@pytest.mark.parametrize("supervised", [True, False])
def test_using_the_run_in_a_forked_process_is_refused(
    run_directory: RunDirectory, monkeypatch: pytest.MonkeyPatch, supervised: bool
) -> None:
    if not supervised:
        monkeypatch.delenv("HOLDFAST_RUN_DIR")
    run = holdfast.attach()
    context = multiprocessing.get_context("fork")
    queue = context.Queue()
    process = context.Process(target=use_run, args=(run, queue))
    process.start()
    assert "forked after the run was attached" in queue.get(timeout=60)
    process.join()
    run.step(loss=1)
    run_directory.drain()


def test_a_failing_child_is_not_a_failure_of_the_trainer(run_directory: RunDirectory) -> None:
    holdfast.attach()
    run_directory.drain()
    child = os.fork()
    if child == 0:
        try:
            sys.excepthook(ValueError, ValueError("in the child"), None)
        finally:
            os._exit(0)
    os.waitpid(child, 0)
    assert run_directory.drain() == []


def test_a_run_cannot_be_sent_to_another_process() -> None:
    with pytest.raises(holdfast.HoldfastError, match="cannot be sent"):
        pickle.dumps(holdfast.attach())
