"""The trainer's end of the ring.

Invariants:

- One thread of one process writes; the flock on the ring shows that this process lives.
- A record becomes valid only by its CRC, written after its payload; `written` moves last.
- Bytes between `consumed` and `written` are never overwritten: a full ring drops a new record, and a
  snapshot that is dropped is counted. Eight bytes at least stay free.
- Sequence numbers are given to written records alone, so the reader sees no gap.
- Words that the other side reads alone are written through `memoryview.cast`, which stores them in one
  move; `struct` with an explicit byte order would store them byte by byte.
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
_HINT = "start the trainer through holdfast run"


class Request(NamedTuple):
    """What the supervisor asks for, seen at the next step or safe point."""

    sequence: int
    kind: int
    slot: int
    cut_id: bytes
    target_step: int
    generation: int
    deadline_ns: int


class Identity(NamedTuple):
    """Whom a ring belongs to: constant for an attempt."""

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
            raise HoldfastError("this machine is big-endian", hint="the layouts are little-endian")
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
                hint="only one process may attach, once for each attempt",
            )
        self._mask = self.capacity - 1
        self._written = 0
        self._sequence = 0
        self._consumed = 0
        self._answered = 0
        self._heartbeats = 0

    def _damaged(self, what: str) -> HoldfastError:
        return HoldfastError(f"the ring's header is damaged: {what}", path=self.path, hint=_HINT)

    def _parse(self, header: bytes) -> tuple[Identity, int]:
        magic, version, header_bytes, capacity, *rest, crc = at.RING_IDENTITY.unpack_from(header)
        if magic != at.RING_MAGIC:
            raise self._damaged("magic")
        if version > at.PROTOCOL_VERSION:
            raise HoldfastError(
                f"the ring is of protocol version {version}, newer than {at.PROTOCOL_VERSION}",
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
        """The largest payload of a record, in bytes."""
        return self.capacity // 2 - at.RECORD_HEADER_BYTES

    @property
    def skipped(self) -> int:
        """Snapshots dropped because the ring was full."""
        return self._words[at.RING_SKIPPED // 8]

    def set_attached(self, pid: int) -> None:
        """Publish which process writes."""
        self._halves[at.RING_ATTACHED_PID // 4] = pid

    def beat(self) -> None:
        """Show that the trainer lives; at every step and safe point."""
        self._heartbeats += 1
        self._words[at.RING_HEARTBEAT // 8] = self._heartbeats

    def append(self, kind: int, payload: bytes) -> bool:
        """Append a record; False when there was no room: whoever appends it tries again."""
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
        """Append one step's snapshot.

        Args:
            layout: of a record's header, a snapshot and as many metrics as there are.
            step: of the snapshot, which is in `values` too.
            values: what `layout` has after the record's sequence and CRC.
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
        """Where in the mapping a record of `length` bytes begins, or -1; padding first if need be."""
        need = (length + 7) & ~7
        if need > self.capacity >> 1:
            return -1
        offset = self._written & self._mask
        remaining = self.capacity - offset
        total = need + remaining if need > remaining else need
        if self._written + total - self._consumed >= self.capacity:
            consumed = self._words[at.RING_CONSUMED // 8]
            # A damaged position must not make room where there is none.
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
        """Publish how far this trainer is with its resume point."""
        self._halves[at.RING_RESTORING // 4] = restoring

    @property
    def verdict(self) -> int:
        """The supervisor's verdict on the resume point."""
        return self._halves[at.RING_VERDICT // 4]

    @property
    def verified(self) -> int:
        """Grows while the supervisor reads the resume point."""
        return self._words[at.RING_VERIFIED // 8]

    @property
    def initial_slot(self) -> int | None:
        """The slot for the state before the first step."""
        slot = self._halves[at.RING_INITIAL_SLOT // 4]
        return slot - 1 if 0 < slot <= self.identity.arena_slots else None

    # Requests

    def pending_request(self) -> Request | None:
        """Return the request that is not answered yet."""
        if self._words[at.RING_REQUEST_SEQUENCE // 8] == self._answered:
            return None
        return self._read_request()

    def _read_request(self) -> Request | None:
        before = self._words[at.RING_REQUEST_LOCK // 8]
        if before % 2:
            return None  # Being written, or by someone who died writing: a later step looks again.
        end = at.RING_REQUEST_SEQUENCE + at.RING_REQUEST.size
        raw = bytes(self._bytes[at.RING_REQUEST_SEQUENCE : end])
        if self._words[at.RING_REQUEST_LOCK // 8] != before:
            return None
        request = Request._make(at.RING_REQUEST.unpack(raw))
        known = at.REQUEST_SAVE <= request.kind <= at.REQUEST_CANCEL
        if not known or request.generation != self.identity.generation:
            self._answered = request.sequence  # Whoever holds another generation asks in vain.
            return None
        return request

    def acknowledge(self, request: Request, outcome: int) -> None:
        """Mark a request as answered."""
        self._answered = request.sequence
        self._halves[at.RING_OUTCOME // 4] = outcome
        self._words[at.RING_ACKNOWLEDGED // 8] = request.sequence

    @property
    def spare_slot(self) -> int | None:
        """The slot that may be filled unasked."""
        slot = self._halves[at.RING_SPARE_SLOT // 4]
        return slot if slot < self.identity.arena_slots else None

    def close(self) -> None:
        """Give up the mapping and the lock. A process that ends does the same."""
        self._words.release()
        self._halves.release()
        self._bytes.release()
        self.map.close()
        os.close(self._descriptor)
