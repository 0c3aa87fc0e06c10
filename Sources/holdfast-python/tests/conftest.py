"""Shared by the tests: a run directory as a supervisor creates it."""

from __future__ import annotations

import json
import os
import struct
import sys
import zlib
from pathlib import Path
from typing import Any, Callable

import pytest

sys.path.insert(0, str(Path(__file__).parent))
# Their assertions need detailed messages too.
pytest.register_assert_rewrite("loading", "supervised")

from internals import at, close

JOB = bytes(range(16))


class RunDirectory:
    """The supervisor's side of a run directory, in Python, for tests of single calls."""

    def __init__(self, path: Path, capacity: int = 1 << 20, attempt: int = 1, slots: int = 2) -> None:
        self.path = path
        path.mkdir(exist_ok=True)
        self.capacity = capacity
        self.position = 0
        self.sequence = 1
        self.attempt = attempt
        # With the newest state.
        self.filled_slot: int | None = None
        header = bytearray(at.HEADER_BYTES)
        at.RING_IDENTITY.pack_into(
            header, 0,
            at.RING_MAGIC, 1, at.HEADER_BYTES, capacity, JOB, attempt, attempt, 0, 0, 1, 1, slots, 0,
        )  # fmt: skip
        struct.pack_into("<I", header, at.RING_IDENTITY_CRC, zlib.crc32(header[: at.RING_IDENTITY_CRC]))
        struct.pack_into("<I", header, at.RING_SPARE_SLOT, at.NO_SLOT)
        struct.pack_into("<Q", header, at.RING_CONSUMED_SEQUENCE, 1)
        (path / "ring-0.new").write_bytes(bytes(header) + bytes(capacity))
        (path / "ring-0.new").rename(path / "ring-0")
        self.resume()

    def resume(self, point: dict[str, Any] | None = None, **more: Any) -> None:
        document = {
            "format_version": 1, "job": "test", "job_id": JOB.hex(), "attempt": self.attempt,
            "generation": self.attempt, "world_size": 1,
            "ranks": [{"rank": 0, "point": point} if point else {"rank": 0}],
            "skip": [], "hyperparameters": {}, **more,
        }  # fmt: skip
        (self.path / "resume.json").write_text(json.dumps(document))

    def word(self, offset: int, layout: str = "<Q") -> int:
        with (self.path / "ring-0").open("rb") as file:
            file.seek(offset)
            return int(struct.unpack(layout, file.read(struct.calcsize(layout)))[0])

    def put(self, offset: int, layout: str, *values: Any) -> None:
        with (self.path / "ring-0").open("r+b") as file:
            file.seek(offset)
            file.write(struct.pack(layout, *values))

    def request(
        self,
        sequence: int,
        kind: int = at.REQUEST_SAVE,
        slot: int = 0,
        target: int = 0,
        generation: int = 0,
        every_epochs: int = 0,
        epoch_end: int = at.EPOCH_END_VALIDATION,
    ) -> None:
        generation = generation or self.attempt
        self.put(at.RING_REQUEST_LOCK, "<Q", 1)
        written = at.RING_REQUEST.pack(
            sequence, kind, slot, bytes([7]) * 16, target, generation, 0, every_epochs, epoch_end
        )
        self.put(at.RING_REQUEST_SEQUENCE, f"{len(written)}s", written)
        self.put(at.RING_REQUEST_LOCK, "<Q", 2)

    def drain(self) -> list[tuple[int, bytes]]:
        """Return all records since the last call, and check them like the ring's reader."""
        data = (self.path / "ring-0").read_bytes()[at.HEADER_BYTES :]
        written = self.word(at.RING_WRITTEN)
        records = []
        while self.position < written:
            offset = self.position % self.capacity
            if self.capacity - offset < at.RECORD_HEADER_BYTES:
                self.position += self.capacity - offset
                continue
            length, kind, _, sequence, crc = at.RECORD_HEADER.unpack_from(data, offset)
            assert sequence == self.sequence
            self.sequence += 1
            end = at.RECORD_HEADER_BYTES if kind == at.RECORD_PADDING else length
            record = bytearray(data[offset : offset + end])
            record[at.RECORD_CRC : at.RECORD_CRC + 4] = bytes(4)
            assert zlib.crc32(record) == crc
            if kind != at.RECORD_PADDING:
                records.append((kind, bytes(record[at.RECORD_HEADER_BYTES :])))
                self._note(*records[-1])
            self.position += (length + 7) & ~7
        self.put(at.RING_CONSUMED, "<Q", self.position)
        return records

    def _note(self, kind: int, payload: bytes) -> None:
        if kind == at.RECORD_STAGED:
            *_, slot, outcome, _, _, _, _ = at.STAGED.unpack(payload)
            if outcome == at.OUTCOME_STAGED:
                self.filled_slot = slot

    def offer_slot(self) -> None:
        """Offer a slot for the final state: never the one with the newest state."""
        self.drain()
        self.put(at.RING_SPARE_SLOT, "<I", 1 if self.filled_slot == 0 else 0)

    def next_attempt(self, slot: int | None = 0) -> None:
        """Begin another attempt, from the image in a slot; None: without a resume point."""
        point = None
        if slot is not None:
            path = self.path / f"arena-0-{slot}"
            header = path.read_bytes()[: at.HEADER_BYTES]
            step, size = struct.unpack_from("<QQ", header, at.SLOT_STEP)
            assert struct.unpack_from("<I", header, at.SLOT_COMPLETE)[0] == 1
            point = {
                "level": "staged", "step": step, "path": str(path),
                "offset_bytes": at.HEADER_BYTES, "length_bytes": size,
            }  # fmt: skip
        self.__init__(self.path, self.capacity, self.attempt + 1)  # type: ignore[misc]
        self.filled_slot = slot
        self.resume(point)


def without_functions(state: Any) -> Any:
    """Return a scheduler's state without the functions in it, which are other objects in each program."""
    if type(state) is dict:
        return {key: without_functions(value) for key, value in state.items() if not callable(value)}
    return [without_functions(value) for value in state] if type(state) is list else state


def step(run: Any, directory: RunDirectory | None, stop_at: int | None, **metrics: Any) -> bool:
    """Make a step. At `stop_at`, save its state, end the attempt and return True."""
    stops = bool(run.global_step + 1 == stop_at)
    if stops:
        assert directory is not None
        directory.request(1)
    run.step(**metrics)
    if stops:
        close(run)
    return stops


def check_resumed(directory: RunDirectory, train: Callable[..., list[Any]], stop_at: int) -> None:
    """Check that two attempts, the first of which ends at a step, see the same as a single one."""
    whole = train()
    directory.next_attempt(None)
    first = train(stop_at)
    directory.next_attempt()
    assert first + train() == whole


@pytest.fixture
def run_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> RunDirectory:
    directory = RunDirectory(tmp_path / "run")
    monkeypatch.setenv("HOLDFAST_RUN_DIR", str(directory.path))
    return directory


@pytest.fixture(autouse=True)
def _alone(monkeypatch: pytest.MonkeyPatch) -> None:
    if os.environ.get("HOLDFAST_RUN_DIR"):
        monkeypatch.delenv("HOLDFAST_RUN_DIR")
