"""One slot of the arena: a file on tmpfs that stays mapped and is reused, so that its pages are allocated.

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
        """Write an image of `size` bytes into the slot; `write` gets page-aligned memory.

        Raises:
            OSError: tmpfs is full; the slot then retains its previous image.
        """
        mapping = self._mapping_of(at.HEADER_BYTES + size)
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
        """Return whether the file has its full size; if it was truncated, it is allocated again."""
        return (
            self._descriptor is not None
            and self._map is not None
            and os.fstat(self._descriptor).st_size >= len(self._map)
        )

    def _mapping_of(self, size: int) -> mmap.mmap:
        """Return the mapping, enlarged if the image needs more."""
        if self._descriptor is not None and not self._is_still_named(self._descriptor):
            # The run directory was cleared: the supervisor cannot find a file without a name.
            os.close(self._descriptor)
            self._descriptor, self._map, self._size = None, None, 0
        if self._map is not None and self._size >= size and self._is_whole():
            return self._map
        if self._descriptor is None:
            self._descriptor = replace_file(self.path, os.O_RDWR)
        # Allocate a little more than needed: states grow by a few bytes as counters gain digits.
        grown = (size + size // 64 + 0xFFFF) & ~0xFFFF
        # Not ftruncate, with which a full tmpfs is a SIGBUS later instead of an error now.
        os.posix_fallocate(self._descriptor, 0, grown)
        self._map = map_shared(self._descriptor, os.fstat(self._descriptor).st_size)
        self._size = grown
        return self._map
