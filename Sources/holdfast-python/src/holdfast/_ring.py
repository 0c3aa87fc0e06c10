"""The trainer's side of the ring.

Invariants:

- One thread of one process writes; the flock on the ring shows that this process is alive.
- A record becomes valid by its CRC, which is written after the payload; `written` is updated last.
- Bytes between `consumed` and `written` are never overwritten: a full ring drops a new record, and dropped
  snapshots are counted. At least eight bytes stay free.
- Only written records get sequence numbers, so the reader sees no gap.
- Words that the other side reads individually are written through `memoryview.cast`, which stores them
  atomically; `struct` with an explicit byte order would store them byte by byte.
"""

from __future__ import annotations

import fcntl
import os
import struct
import sys
import zlib
from pathlib import Path
from typing import NamedTuple

from . import _layout as at
from ._errors import HoldfastError
from ._mapping import map_shared
from ._opening import open_file

_LARGEST_CAPACITY = 1 << 32
_HINT = "start the trainer with 'holdfast run'"


class Request(NamedTuple):
    """A request of the supervisor, read at the next step or safe point."""

    sequence: int
    kind: int
    slot: int
    cut_id: bytes
    target_step: int
    generation: int
    deadline_ns: int
    every_epochs: int = 0
    epoch_end: int = 0

    @property
    def is_immediate(self) -> bool:
        """Whether the next step is to be saved."""
        return self.target_step == 0 and self.every_epochs == 0

    @property
    def is_patient(self) -> bool:
        """Whether any step will do, and no time is set for it."""
        return self.is_immediate and self.kind == at.REQUEST_SAVE and self.deadline_ns == 0

    def is_due(self, step: int) -> bool:
        """Return whether the state after this step is to be saved at the step."""
        return self.is_immediate or 0 < self.target_step == step

    def is_missed(self, step: int) -> bool:
        """Return whether it is too late to save the requested state."""
        return 0 < self.target_step < step

    def is_due_at_end(self, epoch: int, end: int) -> bool:
        """Return whether the state is to be saved at the end of this epoch, counted from 0."""
        return self.every_epochs > 0 and self.epoch_end == end and (epoch + 1) % self.every_epochs == 0


class Identity(NamedTuple):
    """The job, attempt and rank of a ring: constant during an attempt."""

    job_id: bytes
    attempt: int
    generation: int
    global_rank: int
    local_rank: int
    world_size: int
    local_world_size: int
    arena_slots: int


class RingWriter:
    """Writes records into `ring-<local rank>` of a run directory."""

    def __init__(self, directory: Path, local_rank: int = 0) -> None:
        if sys.byteorder != "little":
            raise HoldfastError("big-endian machines are not supported", hint="use a little-endian machine")
        self.path = directory / f"ring-{local_rank}"
        try:
            self._descriptor = open_file(self.path, os.O_RDWR)
        except OSError as error:
            raise HoldfastError(
                f"cannot open the ring: {error.strerror}", path=self.path, hint=_HINT
            ) from error
        try:
            self._open()
        except BaseException:
            os.close(self._descriptor)
            raise

    def _open(self) -> None:
        try:
            fcntl.flock(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise HoldfastError(
                "another trainer of this job is attached", path=self.path, hint="only one process may attach"
            ) from error
        size = os.fstat(self._descriptor).st_size
        if size <= at.HEADER_BYTES:
            raise self._damaged("too short")
        header = os.pread(self._descriptor, at.HEADER_BYTES, 0)
        self.identity, self.capacity = self._parse(header)
        if size != at.HEADER_BYTES + self.capacity:
            raise self._damaged("size")
        self.map = map_shared(self._descriptor, size)
        self._bytes = memoryview(self.map)
        self._words = self._bytes[: at.HEADER_BYTES].cast("Q")
        self._halves = self._bytes[: at.HEADER_BYTES].cast("I")
        if self._words[at.RING_WRITTEN // 8] != 0:
            raise HoldfastError(
                "a trainer of this attempt has attached before",
                path=self.path,
                hint="only one process may attach, once per attempt",
            )
        self._mask = self.capacity - 1
        self._written = 0
        self._sequence = 0
        self._consumed = 0
        self._answered = 0
        self._request: Request | None = None
        self._heartbeats = 0

    def _damaged(self, what: str) -> HoldfastError:
        return HoldfastError(f"the ring's header is damaged: {what}", path=self.path, hint=_HINT)

    def _parse(self, header: bytes) -> tuple[Identity, int]:
        magic, version, header_bytes, capacity, *rest, crc = at.RING_IDENTITY.unpack_from(header)
        if magic != at.RING_MAGIC:
            raise self._damaged("magic")
        if version > at.PROTOCOL_VERSION:
            raise HoldfastError(
                f"the ring has protocol version {version}, newer than {at.PROTOCOL_VERSION}",
                path=self.path,
                hint="use the same version of holdfast for supervisor and trainer",
            )
        if zlib.crc32(header[: at.RING_IDENTITY_CRC]) != crc:
            raise self._damaged("checksum")
        if header_bytes != at.HEADER_BYTES:
            raise self._damaged("header size")
        if not 4096 <= capacity <= _LARGEST_CAPACITY or capacity & (capacity - 1):
            raise self._damaged("capacity")
        return Identity(*rest), capacity

    @property
    def largest_payload(self) -> int:
        """The size limit for the payload of a record, in bytes."""
        return self.capacity // 2 - at.RECORD_HEADER_BYTES

    @property
    def skipped(self) -> int:
        """Number of snapshots dropped because the ring was full."""
        return self._words[at.RING_SKIPPED // 8]

    def set_attached(self, pid: int) -> None:
        """Publish the ID of the attached process."""
        self._halves[at.RING_ATTACHED_PID // 4] = pid

    def beat(self) -> None:
        """Show that the trainer is alive; called at every step and safe point."""
        self._heartbeats += 1
        self._words[at.RING_HEARTBEAT // 8] = self._heartbeats

    def append(self, kind: int, payload: bytes) -> bool:
        """Append a record; return False if there is no room, so that the caller tries again later."""
        length = len(payload) + at.RECORD_HEADER_BYTES
        position = self._reserve(length)
        if position < 0:
            return False
        start = position + at.RECORD_HEADER_BYTES
        self._bytes[start : start + len(payload)] = payload
        at.RECORD_HEADER.pack_into(self.map, position, length, kind, 0, self._sequence + 1, 0)
        self._commit(position, length)
        return True

    def append_snapshot(
        self, layout: struct.Struct, step: int, values: tuple[object, ...], parts: bytes, image: bytes
    ) -> bool:
        """Append the snapshot of a step; return False if it was dropped because there is no room.

        Args:
            layout: the struct of record header, snapshot and metrics.
            step: of the snapshot; `values` contains it too.
            values: the values of `layout` after the record's sequence and CRC.
            parts: encoded parts.
            image: the whole state of a full snapshot; else empty.
        """
        words = self._words
        words[at.RING_LAST_STEP // 8] = step
        fixed = layout.size
        length = fixed + len(parts) + len(image)
        position = self._reserve(length)
        if position < 0:
            words[at.RING_SKIPPED // 8] += 1
            return False
        layout.pack_into(self.map, position, length, at.RECORD_SNAPSHOT, 0, self._sequence + 1, 0, *values)
        end = position + fixed
        if parts:
            self._bytes[end : end + len(parts)] = parts
            end += len(parts)
        if image:
            self._bytes[end : end + len(image)] = image
        self._commit(position, length)
        return True

    def _reserve(self, length: int) -> int:
        """Return the offset in the mapping for a record of `length` bytes, after any padding, or -1."""
        need = (length + 7) & ~7
        if need > self.capacity >> 1:
            return -1
        offset = self._written & self._mask
        remaining = self.capacity - offset
        total = need + remaining if need > remaining else need
        if self._written + total - self._consumed >= self.capacity:
            consumed = self._words[at.RING_CONSUMED // 8]
            # A damaged position must not lead to overwriting.
            if consumed > self._written or self._written + total - consumed >= self.capacity:
                return -1
            self._consumed = consumed
        if need > remaining:
            self._pad(at.HEADER_BYTES + offset, remaining)
            offset = 0
        return at.HEADER_BYTES + offset

    def _pad(self, position: int, size: int) -> None:
        if size < at.RECORD_HEADER_BYTES:
            self._written += size
            return
        at.RECORD_HEADER.pack_into(self.map, position, size, at.RECORD_PADDING, 0, self._sequence + 1, 0)
        self._commit(position, size, at.RECORD_HEADER_BYTES)

    def _commit(self, position: int, length: int, covered: int | None = None) -> None:
        end = position + (length if covered is None else covered)
        crc = zlib.crc32(self._bytes[position:end])
        self._sequence += 1
        self._bytes[position + at.RECORD_CRC : position + at.RECORD_CRC + 4] = crc.to_bytes(4, "little")
        self._written += (length + 7) & ~7
        self._words[at.RING_WRITTEN // 8] = self._written

    # The resume point

    def publish_restoring(self, restoring: int) -> None:
        """Publish the progress of this trainer with its resume point."""
        self._halves[at.RING_RESTORING // 4] = restoring

    @property
    def verdict(self) -> int:
        """The supervisor's verdict on the resume point."""
        return self._halves[at.RING_VERDICT // 4]

    @property
    def verified(self) -> int:
        """A counter that grows while the supervisor reads the resume point."""
        return self._words[at.RING_VERIFIED // 8]

    @property
    def initial_slot(self) -> int | None:
        """The slot for the state before the first step."""
        slot = self._halves[at.RING_INITIAL_SLOT // 4]
        return slot - 1 if 0 < slot <= self.identity.arena_slots else None

    # The arena

    def publish_state_size(self, size: int) -> None:
        """Publish the size of an image of the state, for which the supervisor allocates the slots."""
        self._words[at.RING_STATE_BYTES // 8] = size

    @property
    def prepared_bytes(self) -> int:
        """The slots have allocated pages for images of this size; 0: not yet."""
        return self._words[at.RING_PREPARED_BYTES // 8]

    # Requests

    def pending_request(self) -> Request | None:
        """Return the request that has not been answered yet, or None."""
        sequence = self._words[at.RING_REQUEST_SEQUENCE // 8]
        if sequence == self._answered:
            return None
        # A request for a later step waits for many steps. It never changes under the same sequence.
        if self._request is None or self._request.sequence != sequence:
            self._request = self._read_request()
        return self._request

    def _read_request(self) -> Request | None:
        before = self._words[at.RING_REQUEST_LOCK // 8]
        if before % 2:
            return None  # Being written, or the writer died meanwhile: a later step reads it again.
        end = at.RING_REQUEST_SEQUENCE + at.RING_REQUEST.size
        raw = bytes(self._bytes[at.RING_REQUEST_SEQUENCE : end])
        if self._words[at.RING_REQUEST_LOCK // 8] != before:
            return None
        request = Request._make(at.RING_REQUEST.unpack(raw))
        known = at.REQUEST_SAVE <= request.kind <= at.REQUEST_CANCEL
        if not known or request.generation != self.identity.generation:
            self._answered = request.sequence  # Requests of other generations are ignored.
            return None
        return request

    @property
    def acknowledged(self) -> int:
        """Sequence of the newest request that was answered; 0: none."""
        return int(self._words[at.RING_ACKNOWLEDGED // 8])

    def acknowledge(self, request: Request, outcome: int) -> None:
        """Mark a request as answered."""
        self._answered = request.sequence
        self._halves[at.RING_OUTCOME // 4] = outcome
        self._words[at.RING_ACKNOWLEDGED // 8] = request.sequence

    @property
    def spare_slot(self) -> int | None:
        """The slot that may be filled without a request."""
        slot = self._halves[at.RING_SPARE_SLOT // 4]
        return slot if slot < self.identity.arena_slots else None

    def close(self) -> None:
        """Release the mapping and the lock, as the end of the process does."""
        self._words.release()
        self._halves.release()
        self._bytes.release()
        self.map.close()
        os.close(self._descriptor)
