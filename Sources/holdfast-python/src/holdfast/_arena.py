"""One slot of the arena: a file on tmpfs that is kept mapped and used again, so that its pages are warm.

Invariant: `complete` is 1 only while header and image belong together; it is cleared before the first
byte changes and set after the last.
"""

from __future__ import annotations

import mmap
import os
import zlib
from pathlib import Path
from typing import Callable

from . import _layout as at
from ._mapping import map_shared
from ._opening import replace_file
from ._ring import Identity


class ArenaSlot:
    """`arena-<local rank>-<slot>` of a run directory."""

    def __init__(self, directory: Path, local_rank: int, slot: int) -> None:
        self.path = directory / f"arena-{local_rank}-{slot}"
        self._descriptor: int | None = None
        self._map: mmap.mmap | None = None
        self._size = 0

    def stage(
        self, identity: Identity, cut_id: bytes, step: int, size: int, write: Callable[[memoryview], None]
    ) -> None:
        """Put an image of `size` bytes into the slot; `write` fills it, page-aligned.

        Raises:
            OSError: tmpfs is full; the slot then keeps what it held.
        """
        mapping = self._room(at.HEADER_BYTES + size)
        whole = memoryview(mapping)
        halves = whole[: at.HEADER_BYTES].cast("I")
        halves[at.SLOT_COMPLETE // 4] = 0
        write(whole[at.HEADER_BYTES : at.HEADER_BYTES + size])
        at.SLOT_IDENTITY.pack_into(
            mapping,
            0,
            at.SLOT_MAGIC,
            at.PROTOCOL_VERSION,
            at.HEADER_BYTES,
            identity.job_id,
            cut_id,
            identity.attempt,
            identity.generation,
            identity.global_rank,
            identity.world_size,
            step,
            size,
        )
        halves[at.SLOT_PLACEMENTS // 4] = 0
        halves[at.SLOT_HEADER_CRC // 4] = zlib.crc32(whole[: at.SLOT_HEADER_CRC])
        halves[at.SLOT_COMPLETE // 4] = 1

    def _is_still_named(self, descriptor: int) -> bool:
        try:
            named = self.path.lstat()
        except OSError:
            return False
        opened = os.fstat(descriptor)
        return (named.st_dev, named.st_ino) == (opened.st_dev, opened.st_ino)

    def _is_whole(self) -> bool:
        """Whether nobody has cut the file off, which allocating it again undoes."""
        return (
            self._descriptor is not None
            and self._map is not None
            and os.fstat(self._descriptor).st_size >= len(self._map)
        )

    def _room(self, size: int) -> mmap.mmap:
        """Return the mapping, grown where the image needs more."""
        if self._descriptor is not None and not self._is_still_named(self._descriptor):
            # Somebody cleared the run directory away: what has no name is found by nobody.
            os.close(self._descriptor)
            self._descriptor, self._map, self._size = None, None, 0
        if self._map is not None and self._size >= size and self._is_whole():
            return self._map
        if self._descriptor is None:
            self._descriptor = replace_file(self.path, os.O_RDWR)
        # A little more than asked: states grow by a few bytes as counters gain digits.
        grown = (size + size // 64 + 0xFFFF) & ~0xFFFF
        # Not ftruncate: a full tmpfs is then an error and not a SIGBUS.
        os.posix_fallocate(self._descriptor, 0, grown)
        self._map = map_shared(self._descriptor, os.fstat(self._descriptor).st_size)
        self._size = grown
        return self._map
