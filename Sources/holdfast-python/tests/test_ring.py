"""Records and requests, byte by byte."""

from __future__ import annotations

import json
import os
import struct
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

import holdfast
from conftest import JOB, RunDirectory
from internals import RingWriter, at, close


def snapshots(records: list[tuple[int, bytes]]) -> list[tuple[int, ...]]:
    return [struct.unpack_from("<QQQQ", payload) for kind, payload in records if kind == at.RECORD_SNAPSHOT]


def test_attached_then_names_then_snapshots(run_directory: RunDirectory) -> None:
    run = holdfast.attach({"lr": 0.1, "layers": [1, 2], "seed": None, "big": 1 << 70}, total_epochs=3)
    run.step(loss=0.5, samples=4)
    run.step({"a/b": 2}, samples=4)
    records = run_directory.drain()
    assert [kind for kind, _ in records] == [1, 6, 2, 6, 2]
    attached = json.loads(records[0][1])
    assert attached["pid"] == os.getpid() == run_directory.word(at.RING_ATTACHED_PID, "<I")
    assert attached["interpreter"] == sys.executable
    assert attached["hyperparameters"] == {
        "lr": 0.1, "layers": [1, 2], "seed": None, "big": str(1 << 70)
    }  # fmt: skip
    assert json.loads(records[3][1]) == ["loss", "a/b"]
    step, epoch, batch, samples = struct.unpack_from("<QQQQ", records[4][1])
    assert (step, epoch, batch, samples) == (2, 0, 2, 8)
    metrics = struct.unpack_from("<dd", records[4][1], at.SNAPSHOT_BYTES)
    assert metrics[0] != metrics[0]
    assert metrics[1] == 2
    assert run_directory.word(at.RING_LAST_STEP) == 2
    assert run_directory.word(at.RING_HEARTBEAT) == 2


def attach_to(directory: RunDirectory, monkeypatch: pytest.MonkeyPatch) -> holdfast.Run:
    """Attach without random streams, and drain the records written so far."""
    monkeypatch.setenv("HOLDFAST_RUN_DIR", str(directory.path))
    run = holdfast.attach(rng=False)
    run.restore()
    directory.drain()
    return run


def test_records_wrap_around_and_are_padded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    directory = RunDirectory(tmp_path / "run", capacity=4096)
    run = attach_to(directory, monkeypatch)
    sent: list[str] = []
    for number in range(500):
        sent.append(chr(ord("A") + number % 26) * (number * 37 % 400))
        run.fail(ValueError(sent[-1]))
        if number % 3 == 0:
            records = directory.drain()
            assert {kind for kind, _ in records} == {at.RECORD_FAILURE}
            assert [json.loads(payload)["message"] for _, payload in records] == sent
            sent = []
    assert directory.position > 40 * directory.capacity


def test_a_full_ring_drops_new_snapshots_and_counts_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    directory = RunDirectory(tmp_path / "run", capacity=4096)
    run = attach_to(directory, monkeypatch)
    for _ in range(60):
        run.step()
    dropped = directory.word(at.RING_SKIPPED)
    used = directory.word(at.RING_WRITTEN) - directory.word(at.RING_CONSUMED)
    kept = snapshots(directory.drain())
    assert 30 <= len(kept) == 60 - dropped
    assert [step for step, *_ in kept] == list(range(1, len(kept) + 1))
    # At least eight bytes stay free, and there is no room for another record of that size.
    record = used // len(kept)
    assert 8 <= directory.capacity - used < record + 2 * at.RECORD_HEADER_BYTES
    run.step()
    assert directory.word(at.RING_SKIPPED) == dropped
    assert [step for step, *_ in snapshots(directory.drain())] == [61]


def test_the_largest_record_has_half_of_the_ring(tmp_path: Path) -> None:
    directory = RunDirectory(tmp_path / "run", capacity=4096)
    ring = RingWriter(directory.path)
    assert not ring.append(at.RECORD_FAILURE, bytes(ring.largest_payload + 1))
    assert ring.append(at.RECORD_FAILURE, bytes(ring.largest_payload))
    assert ring.skipped == 0, "only snapshots are counted"
    (record,) = directory.drain()
    assert len(record[1]) + at.RECORD_HEADER_BYTES == 2048


def test_a_damaged_position_does_not_free_space(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    directory = RunDirectory(tmp_path / "run", capacity=4096)
    run = attach_to(directory, monkeypatch)
    while directory.word(at.RING_SKIPPED) == 0:
        run.step()
    written = directory.word(at.RING_WRITTEN)
    directory.put(at.RING_CONSUMED, "<Q", 1 << 60)
    run.step()
    assert directory.word(at.RING_SKIPPED) == 2
    assert directory.word(at.RING_WRITTEN) == written


@pytest.mark.parametrize("offset", [0, 8, 12, 16, 30, 44, 76])
def test_a_damaged_header_is_refused(run_directory: RunDirectory, offset: int) -> None:
    run_directory.put(offset, "<B", run_directory.word(offset, "<B") ^ 0x40)
    with pytest.raises(holdfast.HoldfastError, match="ring.*(damaged|newer)"):
        holdfast.attach()


def test_only_one_process_may_attach_and_only_once(run_directory: RunDirectory) -> None:
    run = holdfast.attach()
    program = "import holdfast; holdfast.attach()"
    other = subprocess.run([sys.executable, "-c", program], stderr=subprocess.PIPE, check=False)
    assert other.returncode == 1
    assert b"another trainer of this job is attached" in other.stderr
    close(run)
    with pytest.raises(holdfast.HoldfastError, match="attached before"):
        holdfast.attach()


def test_resume_json_of_another_attempt_is_refused(run_directory: RunDirectory) -> None:
    run_directory.resume(attempt=9)
    with pytest.raises(holdfast.HoldfastError, match="another job or attempt"):
        holdfast.attach()


@pytest.mark.parametrize("text", ["", "{", "[]", '{"format_version":1}', '{"format_version":2}'])
def test_damaged_resume_json_is_refused(run_directory: RunDirectory, text: str) -> None:
    (run_directory.path / "resume.json").write_text(text)
    with pytest.raises(holdfast.HoldfastError, match=r"resume\.json (is damaged|has format 2)"):
        holdfast.attach()


def test_a_request_is_answered_at_the_next_step(run_directory: RunDirectory) -> None:
    run = holdfast.attach()
    run.register(counter={"value": 3})
    run.step()
    run_directory.request(1, slot=1)
    assert not (run_directory.path / "arena-0-1").exists()
    run.step()
    kind, payload = run_directory.drain()[-1]
    sequence, step, size, cut, slot, outcome, error = struct.unpack_from("<QQQ16sIII", payload)
    assert (kind, sequence, step, cut, slot, outcome, error) == (3, 1, 2, bytes([7]) * 16, 1, 1, 0)
    assert run_directory.word(at.RING_ACKNOWLEDGED) == 1
    assert run_directory.word(at.RING_OUTCOME, "<I") == at.OUTCOME_STAGED
    header = (run_directory.path / "arena-0-1").read_bytes()[:96]
    assert header[: 8 + 8] == struct.pack("<QII", at.SLOT_MAGIC, 1, 4096)
    assert header[at.SLOT_JOB_ID : at.SLOT_JOB_ID + 16] == JOB
    assert struct.unpack_from("<QQ", header, at.SLOT_STEP) == (2, size)
    run.step()
    assert [kind for kind, _ in run_directory.drain()] == [at.RECORD_SNAPSHOT]


def test_a_full_ring_delays_no_step_and_loses_no_answer(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    directory = RunDirectory(tmp_path / "run", capacity=4096)
    monkeypatch.setenv("HOLDFAST_RUN_DIR", str(directory.path))
    run = holdfast.attach(rng=False)
    run.register(counter={"value": 3})
    run.restore()
    # No one drains the ring. A step that waited would call this.
    monkeypatch.setattr("time.sleep", lambda seconds: pytest.fail(f"a step waits {seconds} s"))
    while directory.word(at.RING_SKIPPED) == 0:
        run.step()
    # Longer than what is left where a snapshot does not fit.
    name = "loss" * 50
    run.step({name: 1.0})
    directory.request(1, slot=1)
    run.step({name: 2.0}, accuracy=1.0)
    # The header contains the answer even if the record is dropped.
    assert directory.word(at.RING_ACKNOWLEDGED) == 1
    assert directory.word(at.RING_OUTCOME, "<I") == at.OUTCOME_STAGED
    lost = directory.word(at.RING_SKIPPED)
    assert lost == 3, "names and answers that have no room are not snapshots"
    kinds = [kind for kind, _ in directory.drain()]
    assert at.RECORD_STAGED not in kinds
    assert at.RECORD_METRIC_NAMES not in kinds
    run.step({name: 3.0})
    records = directory.drain()
    assert [kind for kind, _ in records] == [at.RECORD_METRIC_NAMES, at.RECORD_STAGED, at.RECORD_SNAPSHOT]
    assert json.loads(records[0][1]) == [name, "accuracy"]
    assert directory.word(at.RING_SKIPPED) == lost
    monkeypatch.undo()


def test_restore_waits_for_the_verdict_on_the_resume_point(run_directory: RunDirectory) -> None:
    first = holdfast.attach()
    counter = {"value": 3}
    first.register(counter=counter)
    for slot, value in enumerate((4, 5)):
        counter["value"] = value
        run_directory.request(slot + 1, slot=slot)
        first.step()
    close(first)
    run_directory.next_attempt(1)
    damaged = json.loads((run_directory.path / "resume.json").read_text())["ranks"][0]["point"]
    run_directory.put(at.RING_VERDICT, "<I", at.VERDICT_PENDING)
    run = holdfast.attach()
    assert run_directory.word(at.RING_RESTORING, "<I") == at.RESTORING_WAITS
    run.register(counter=counter)

    def judge() -> None:
        time.sleep(0.2)
        path = run_directory.path / "arena-0-0"
        step, size = struct.unpack_from("<QQ", path.read_bytes(), at.SLOT_STEP)
        run_directory.resume({**damaged, "step": step, "path": str(path), "length_bytes": size})
        run_directory.put(at.RING_VERDICT, "<I", at.VERDICT_REPLACED)

    thread = threading.Thread(target=judge)
    thread.start()
    assert run.restore()
    thread.join()
    assert (run.global_step, counter["value"]) == (1, 4)
    assert run_directory.word(at.RING_RESTORING, "<I") == at.RESTORING_DONE


def test_restore_fails_without_a_verdict(
    run_directory: RunDirectory, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = holdfast.attach()
    run_directory.request(1)
    first.step()
    close(first)
    run_directory.next_attempt()
    run_directory.put(at.RING_VERDICT, "<I", at.VERDICT_PENDING)
    run = holdfast.attach()
    clock = [0.0]

    def sleep(seconds: float) -> None:
        clock[0] += seconds
        if clock[0] < 30:
            # The supervisor is still reading.
            run_directory.put(at.RING_VERIFIED, "<Q", int(clock[0]))

    monkeypatch.setattr("time.sleep", sleep)
    monkeypatch.setattr("time.monotonic", lambda: clock[0])
    with pytest.raises(holdfast.HoldfastError, match="has not verified the resume point"):
        run.restore()
    monkeypatch.undo()
    assert 89 <= clock[0] < 91, "60 s after the last progress"


def test_foreign_incomplete_and_late_requests(run_directory: RunDirectory) -> None:
    run = holdfast.attach()
    run_directory.request(1, generation=8)
    run.step()
    run_directory.request(2)
    run_directory.put(at.RING_REQUEST_LOCK, "<Q", 3)
    run.step()
    assert not (run_directory.path / "arena-0-0").exists()
    run_directory.put(at.RING_REQUEST_LOCK, "<Q", 4)
    run.step()
    assert run_directory.word(at.RING_OUTCOME, "<I") == at.OUTCOME_STAGED
    run_directory.request(3, target=6)
    run.step()
    run.step()
    assert run_directory.word(at.RING_ACKNOWLEDGED) == 2
    run.step()
    assert run_directory.word(at.RING_ACKNOWLEDGED) == 3
    run_directory.request(4, target=2)
    run.step()
    assert run_directory.word(at.RING_OUTCOME, "<I") == at.OUTCOME_MISSED
    run_directory.request(5, kind=at.REQUEST_CANCEL)
    run.safepoint()
    assert run_directory.word(at.RING_OUTCOME, "<I") == at.OUTCOME_CANCELLED


def test_save_and_exit_has_exit_status_75(run_directory: RunDirectory) -> None:
    run = holdfast.attach()
    run_directory.request(1, kind=at.REQUEST_SAVE_AND_LEAVE)
    with pytest.raises(SystemExit) as leaving:
        run.step()
    assert leaving.value.code == 75


def test_a_state_that_cannot_be_saved_does_not_end_the_training(
    run_directory: RunDirectory, capfd: pytest.CaptureFixture[str]
) -> None:
    run = holdfast.attach()
    state: dict[str, object] = {}
    run.register(state=state)
    run.restore()
    state["bad"] = object()
    run_directory.request(1)
    run.step()
    run.step()
    assert run_directory.word(at.RING_OUTCOME, "<I") == at.OUTCOME_FAILED
    assert "state/bad" in capfd.readouterr().err


def test_an_unsavable_state_is_refused_at_the_start(run_directory: RunDirectory) -> None:
    run = holdfast.attach()
    run.register(state={"bad": lambda: None})
    with pytest.raises(holdfast.HoldfastError, match="state/bad"):
        run.restore()


def test_finish_stages_into_the_spare_slot(run_directory: RunDirectory) -> None:
    run_directory.put(at.RING_SPARE_SLOT, "<I", 1)
    run = holdfast.attach()
    run.step()
    run.finish()
    run.finish()
    finished = [payload for kind, payload in run_directory.drain() if kind == at.RECORD_FINISHED]
    assert len(finished) == 1
    assert struct.unpack_from("<QQ", finished[0]) == (0, 1)
    assert struct.unpack_from("<II", finished[0], at.STAGED_SLOT) == (1, at.OUTCOME_STAGED)


def test_standalone_records_nothing() -> None:
    run = holdfast.attach({"lr": 1})
    run.register(counter={"value": 0})
    assert [epoch for epoch in run.epochs(2) if run.step(loss=1) is None] == [0, 1]
    assert run.is_finished
    assert not run.is_supervised
    assert run.global_step == 2
