"""A trainer's end of the run directory: ring, resume point, and the records about the whole attempt."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any, Callable

from . import _layout as at
from ._documents import ResumeFile, ResumePoint, read_resume_file
from ._errors import HoldfastError
from ._image import ImageWriter
from ._ring import RingWriter
from ._stager import Stager

# Without any progress of the supervisor's.
_VERDICT_SECONDS = 60.0


class Connection:
    """What connects a run with the supervisor that records it.

    Args:
        directory: the run directory.
        ring: of this trainer.
        resume: the contents of `resume.json`.
        image: returns the image to save; None when there is none at this moment.
    """

    def __init__(
        self, directory: Path, ring: RingWriter, resume: ResumeFile, image: Callable[[], ImageWriter | None]
    ) -> None:
        self.directory = directory
        self.ring = ring
        self.resume = resume
        self.stager = Stager(directory, ring, image)
        self._attached: dict[str, Any] = {}

    def attach(self, record: dict[str, Any]) -> None:
        """Publish which process writes, and what it is."""
        self.ring.set_attached(record["pid"])
        self.ring.publish_restoring(at.RESTORING_WAITS)
        self._publish(record)

    def announce(self, total_epochs: int, batches: int | None) -> None:
        """Publish how long the run will be, now that it is known."""
        record = {**self._attached, "total_epochs": total_epochs}
        if batches is not None:
            record.update(batches_per_epoch=batches, total_steps=batches * total_epochs)
        if self._attached and record != self._attached:
            self._publish(record)

    def _publish(self, record: dict[str, Any]) -> None:
        self._attached = record
        self.stager.append(at.RECORD_ATTACHED, json.dumps(record).encode())

    def close(self) -> None:
        """Give up the ring, as a process that ends does."""
        self.ring.close()

    def await_point(self) -> ResumePoint | None:
        """Wait for the supervisor's verdict on the resume point, which it reads while this process starts.

        Returns:
            Where to continue; None: at the beginning.

        Raises:
            HoldfastError: there is no verdict, and no progress towards one.
        """
        ring = self.ring
        seen, pause = ring.verified, 0.0001
        patience_ends = time.monotonic() + _VERDICT_SECONDS
        while ring.verdict == at.VERDICT_PENDING:
            time.sleep(pause)
            pause = min(pause * 2, 0.01)
            ring.beat()
            if ring.verified != seen:
                seen = ring.verified
                patience_ends = time.monotonic() + _VERDICT_SECONDS
            if time.monotonic() > patience_ends:
                raise HoldfastError(
                    "the supervisor does not say whether the resume point is whole",
                    path=self.directory,
                    hint="is it stopped, or its disk stalled? holdfast status shows how it is",
                )
        if ring.verdict == at.VERDICT_REPLACED:
            self.resume = read_resume_file(self.directory, ring.identity.global_rank)
        return self.resume.point


class ForkedConnection:
    """Stands for the connection in a process that was forked after the run was attached."""

    def __getattr__(self, name: str) -> Any:
        raise HoldfastError(
            "this process was forked after the run was attached, and may not use it",
            hint="call step(), safepoint() and finish() only in the process that called attach()",
        )
