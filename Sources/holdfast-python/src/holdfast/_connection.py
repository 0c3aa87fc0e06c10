"""The trainer's side of the run directory: ring, resume point, and the records about the whole attempt."""

from __future__ import annotations

import contextlib
import json
import time
from pathlib import Path
from typing import Any, Callable

from . import _layout as at
from ._documents import ResumeFile, ResumePoint, read_resume_file
from ._errors import HoldfastError
from ._image import ImageWriter
from ._mapping import map_private, populate_resident
from ._ring import RingWriter
from ._stager import Stager

# Without progress by the supervisor.
_VERDICT_SECONDS = 60.0


class Connection:
    """The connection between a run and the supervisor that records it.

    Args:
        directory: the run directory.
        ring: of this trainer.
        resume: the contents of `resume.json`.
        image: returns the image to save; None when no state can be saved at this moment.
    """

    def __init__(
        self, directory: Path, ring: RingWriter, resume: ResumeFile, image: Callable[[], ImageWriter | None]
    ) -> None:
        self.directory = directory
        self.ring = ring
        self.resume = resume
        disk = None if resume.arena_disk is None else Path(resume.arena_disk)
        self.stager = Stager(directory, ring, image, disk)
        self._attached: dict[str, Any] = {}
        # The resume point's image, mapped as it was verified.
        self.image: memoryview | None = None

    def attach(self, record: dict[str, Any]) -> None:
        """Publish the record of the attached process."""
        self.ring.set_attached(record["pid"])
        self.ring.publish_restoring(at.RESTORING_WAITS)
        self._publish(record)

    def announce(self, total_epochs: int, batches: int | None) -> None:
        """Publish the length of the run."""
        record = {**self._attached, "total_epochs": total_epochs}
        if batches is not None:
            record.update(batches_per_epoch=batches, total_steps=batches * total_epochs)
        if self._attached and record != self._attached:
            self._publish(record)

    def add(self, fields: dict[str, Any]) -> None:
        """Publish the record of the attached process again, with further fields."""
        if self._attached:
            self._publish({**self._attached, **fields})

    def _publish(self, record: dict[str, Any]) -> None:
        self._attached = record
        self.stager.append(at.RECORD_ATTACHED, json.dumps(record).encode())

    def close(self) -> None:
        """Release the ring, as the end of the process does."""
        self.ring.close()

    def await_point(self) -> ResumePoint | None:
        """Wait for the supervisor, which verifies the resume point while this process starts.

        Returns:
            Where to continue; None: from the beginning.

        Raises:
            HoldfastError: the supervisor has made no progress for 60 s.
        """
        ring = self.ring
        seen, pause, mapped = ring.verified, 0.0001, 0
        deadline = time.monotonic() + _VERDICT_SECONDS
        point = self.resume.point
        if point is not None and ring.verdict == at.VERDICT_PENDING:
            # If it cannot be mapped, the later load reports it.
            with contextlib.suppress(HoldfastError):
                self.image = map_private(Path(point.path), point.offset, point.length)
        while ring.verdict == at.VERDICT_PENDING:
            if self.image is not None:
                mapped = populate_resident(self.image, mapped)
            time.sleep(pause)
            pause = min(pause * 2, 0.01)
            ring.beat()
            if ring.verified != seen:
                seen = ring.verified
                deadline = time.monotonic() + _VERDICT_SECONDS
            if time.monotonic() > deadline:
                raise HoldfastError(
                    "the supervisor has not verified the resume point, and made no progress for "
                    f"{_VERDICT_SECONDS:.0f} s",
                    path=self.directory,
                    hint="check with 'holdfast status' whether it is stopped or its disk stalled",
                )
        if ring.verdict == at.VERDICT_REPLACED:
            self.image = None
            self.resume = read_resume_file(self.directory, ring.identity.global_rank)
        return self.resume.point


class ForkedConnection:
    """Replaces the connection in a process that was forked after the run was attached."""

    def __getattr__(self, name: str) -> Any:
        raise HoldfastError(
            "this process was forked after the run was attached and cannot use the run",
            hint="call step(), safepoint() and finish() only in the process that called attach()",
        )
