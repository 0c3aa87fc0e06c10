"""Answers requests of the supervisor by writing the state into a slot of the arena."""

from __future__ import annotations

import errno
import os
import threading
import time
from pathlib import Path
from typing import Any, Callable

from . import _layout as at
from ._arena import ArenaSlot
from ._errors import HoldfastError
from ._image import ImageWriter
from ._ring import Request, RingWriter

# Time to wait for a slot when finishing; the supervisor offers one unless both are in use for a moment.
_FINISH_SECONDS = 30.0
# The supervisor handles an answer within a fraction of that.
_OLD_OFFER_SECONDS = 5.0
# Number of records that wait for room in a full ring; the newest answer is also in the ring's header.
_LARGEST_UNSENT = 64
# Time to wait for room before the process exits, when no step is delayed any more.
_FLUSH_SECONDS = 2.0


def _map(slots: list[ArenaSlot]) -> None:
    for slot in slots:
        slot.map_ahead()


class Stager:
    """Writes images into the slots of one run directory, and the records about them."""

    def __init__(
        self,
        directory: Path,
        ring: RingWriter,
        image: Callable[[], ImageWriter | None],
        disk: Path | None = None,
    ) -> None:
        """Create the stager of one trainer.

        Args:
            directory: the run directory.
            ring: of this trainer.
            image: returns the image to save; None if no state can be saved at this moment.
            disk: directory of slots that find no room in the run directory; None: there is none.
        """
        self._directory = directory
        self._disk = disk
        self._ring = ring
        self._image = image
        self._slots: dict[int, ArenaSlot] = {}
        # Records other than snapshots that did not fit into a full ring.
        self.unsent: list[tuple[int, bytes]] = []
        self.last_error: str | None = None
        # The slot with the newest image of this attempt.
        self._filled_slot: int | None = None
        # The last request that was answered elsewhere than at the end of an epoch, and the answer.
        self._answered: tuple[Request, bytes] | None = None
        # Size of images for which the slots were mapped ahead of time, and the thread that does it.
        self._mapped_bytes = 0
        self._mapping: threading.Thread | None = None

    def answer(
        self, request: Request, step: int, *, completed_epochs: int = 0, is_reached: bool = False
    ) -> bool:
        """Answer a request after a step, if it is due; return whether the trainer must exit now.

        Args:
            request: of the supervisor.
            step: the last step.
            completed_epochs: if an epoch has ended whose end is requested, its number, from 1.
            is_reached: whether the requested step was reached earlier, when no state could be saved.
        """
        if request.kind == at.REQUEST_CANCEL:
            self._ring.acknowledge(request, at.OUTCOME_CANCELLED)
            return False
        too_late = 0 < request.deadline_ns < time.monotonic_ns()
        too_late = too_late or (request.is_missed(step) and not is_reached)
        if not (too_late or is_reached or completed_epochs or request.is_due(step)):
            return False
        if request.is_patient and self._is_mapping():
            return False
        if too_late:
            payload, outcome = self._missed(request.slot, request.cut_id, request.sequence, step)
        else:
            payload, outcome = self._stage(
                request.slot, request.cut_id, request.sequence, step, completed_epochs
            )
        answered = outcome == at.OUTCOME_STAGED and not completed_epochs
        self._answered = (request, payload) if answered else None
        self.append(at.RECORD_STAGED, payload)
        self._ring.acknowledge(request, outcome)
        return request.kind == at.REQUEST_SAVE_AND_LEAVE and outcome == at.OUTCOME_STAGED

    def end_epoch(self, epoch: int, end: int, step: int) -> None:
        """Repeat the last answer with the number of an epoch whose end its request was for too.

        Its state, after the epoch's last step, is also that of the epoch's end.

        Args:
            epoch: that has ended, from 0.
            end: which end of it.
            step: the last step.
        """
        if self._answered is None:
            return
        request, payload = self._answered
        sequence, saved, size, cut_id, slot, outcome, error, *_ = at.STAGED.unpack(payload)
        if saved == step and epoch >= 0 and request.is_due_at_end(epoch, end):
            self._answered = None
            answer = (sequence, saved, size, cut_id, slot, outcome, error, epoch + 1, 0, 0)
            self.append(at.RECORD_STAGED, at.STAGED.pack(*answer))

    def map_ahead(self) -> None:
        """Map the slots on another thread when the supervisor has allocated them; called at every step."""
        prepared = self._ring.prepared_bytes
        if prepared == self._mapped_bytes:
            return
        if self._is_mapping():
            return  # A later step does it.
        self._mapped_bytes = prepared
        slots = [self._slot(slot) for slot in range(self._ring.identity.arena_slots if prepared else 0)]
        small = [slot for slot in slots if not slot.is_mapped(prepared)]
        if small:
            self._mapping = threading.Thread(target=_map, args=(small,), name="holdfast", daemon=True)
            self._mapping.start()

    def _slot(self, number: int) -> ArenaSlot:
        slot = self._slots.get(number)
        if slot is None:
            rank = self._ring.identity.local_rank
            slot = self._slots[number] = ArenaSlot(self._directory, rank, number, self._disk)
        return slot

    def _is_mapping(self) -> bool:
        if self._mapping is not None and not self._mapping.is_alive():
            self._mapping = None
        return self._mapping is not None

    def stage_initially(self) -> None:
        """Stage the state before the first step for the next attempt.

        So an attempt that dies early is repeated with the same initial state and random numbers.
        """
        slot = self._ring.initial_slot
        if slot is not None:
            payload, _ = self._stage(slot, os.urandom(16), 0, 0)
            self.append(at.RECORD_STAGED, payload)

    def _missed(self, slot: int, cut_id: bytes, sequence: int, step: int) -> tuple[bytes, int]:
        outcome = at.OUTCOME_MISSED
        return at.STAGED.pack(sequence, step, 0, cut_id, slot, outcome, 0, 0, 0, 0), outcome

    def _stage(
        self, slot: int, cut_id: bytes, sequence: int, step: int, epochs: int = 0
    ) -> tuple[bytes, int]:
        began = time.monotonic_ns()
        outcome, error, size, preparation = at.OUTCOME_STAGED, 0, 0, 0
        self.last_error = None
        try:
            if slot >= self._ring.identity.arena_slots:
                raise OSError(errno.EINVAL, f"no such slot: {slot}")
            image = self._image()
            if image is None:
                return self._missed(slot, cut_id, sequence, step)
            size = image.size
            identity = self._ring.identity
            arena = self._slot(slot)
            arena.stage(identity, cut_id, step, size, image.write, epochs)
            preparation = arena.preparation_ns
        except OSError as failure:
            outcome, error = at.OUTCOME_FAILED, failure.errno or errno.EIO
            self.last_error = f"{failure}"
        except (HoldfastError, RuntimeError, ValueError, TypeError, BufferError) as failure:
            # A state that cannot be saved is reported, and must not end the training.
            outcome, error = at.OUTCOME_FAILED, errno.EIO
            self.last_error = f"{failure}"
        if outcome == at.OUTCOME_STAGED:
            self._filled_slot = slot
        stall = time.monotonic_ns() - began
        answer = (sequence, step, size, cut_id, slot, outcome, error, epochs, stall, preparation)
        return at.STAGED.pack(*answer), outcome

    def finish(self, step: int) -> None:
        """Stage the final state into the offered slot, and record that the run is complete."""
        slot = self._spare_slot()
        deadline = time.monotonic() + _FINISH_SECONDS
        while slot is None and time.monotonic() < deadline:
            request = self._ring.pending_request()
            if request is not None:
                self.answer(request, step)
            time.sleep(0.01)
            self._ring.beat()
            slot = self._spare_slot()
            if deadline - time.monotonic() < _FINISH_SECONDS - _OLD_OFFER_SECONDS:
                # It is no old offer: the supervisor could not use the answer.
                slot = self._ring.spare_slot
        cut_id = os.urandom(16)
        payload = at.STAGED.pack(0, step, 0, cut_id, at.NO_SLOT, at.OUTCOME_NONE, 0, 0, 0, 0)
        if slot is not None:
            staged, outcome = self._stage(slot, cut_id, 0, step)
            if outcome == at.OUTCOME_STAGED:
                payload = staged
        self.append(at.RECORD_FINISHED, payload)
        self.flush()

    def _spare_slot(self) -> int | None:
        """Return the offered slot.

        An offer of the slot that was filled last is an old one: the supervisor has not seen the answer yet,
        and that image may be the only one of its step.
        """
        slot = self._ring.spare_slot
        return None if slot == self._filled_slot else slot

    def refuse_writes(self, ring: Any) -> None:
        """Refuse further writes; called in a forked process."""
        self._ring = ring

    def append(self, kind: int, payload: bytes) -> None:
        """Append a record, or queue it for a later step if there is no room. A step never waits."""
        if not self.unsent and self._ring.append(kind, payload):
            return
        if kind in (at.RECORD_METRIC_NAMES, at.RECORD_ATTACHED):
            # Only the newest is needed: it contains everything in earlier ones.
            self.unsent[:] = [record for record in self.unsent if record[0] != kind]
        if len(self.unsent) < _LARGEST_UNSENT or kind != at.RECORD_STAGED:
            self.unsent.append((kind, payload))

    def send_unsent(self) -> None:
        """Append queued records, as far as there is room."""
        while self.unsent and self._ring.append(*self.unsent[0]):
            del self.unsent[0]

    def flush(self) -> None:
        """Append queued records before the process exits, waiting a while for room."""
        deadline = time.monotonic() + _FLUSH_SECONDS
        self.send_unsent()
        while self.unsent and time.monotonic() < deadline:
            time.sleep(0.01)
            self.send_unsent()
