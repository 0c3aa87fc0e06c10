"""One slot of the arena: a file on tmpfs that stays mapped and is reused, so that its pages are allocated.

If it finds no room there, it is a file on disk, which the kernel keeps in memory too and writes back.

Invariant: `complete` is 1 only while header and image belong together; it is cleared before the first
byte changes and set after the last.
"""

from __future__ import annotations

import contextlib
import errno
import mmap
import os
import time
import zlib
from pathlib import Path
from typing import Callable

from . import _layout as at
from . import _memory
from ._mapping import map_shared, populate
from ._opening import open_file, replace_file
from ._ring import Identity


class ArenaSlot:
    """`arena-<local rank>-<slot>` of a run directory.

    Args:
        directory: the run directory, in memory.
        local_rank: of this process.
        slot: its number.
        disk: the directory of slots that find no room in memory; None: there is none.
    """

    def __init__(self, directory: Path, local_rank: int, slot: int, disk: Path | None = None) -> None:
        name = f"arena-{local_rank}-{slot}"
        self.path = directory / name
        self._disk_path = None if disk is None else disk / name
        self._is_on_disk = False
        self._descriptor: int | None = None
        self._map: mmap.mmap | None = None
        self._size = 0
        # Mapped by another thread: descriptor, mapping, size.
        self._ahead: tuple[int, mmap.mmap, int] | None = None
        # How long the last copy waited until the slot was allocated and mapped.
        self.preparation_ns = 0

    def stage(
        self,
        identity: Identity,
        cut_id: bytes,
        step: int,
        size: int,
        write: Callable[[memoryview], None],
        completed_epochs: int = 0,
    ) -> None:
        """Write an image of `size` bytes into the slot; `write` gets page-aligned memory.

        Args:
            identity: of the ring.
            cut_id: of the state.
            step: after which the state is.
            size: of the image, in bytes.
            write: fills the memory.
            completed_epochs: number, from 1, of the epoch at whose end the state is; 0: elsewhere.

        Raises:
            OSError: both places are full; the slot then retains its previous image.
        """
        began = time.monotonic_ns()
        mapping = self._mapping_of(at.HEADER_BYTES + size)
        self.preparation_ns = time.monotonic_ns() - began
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
        halves[at.SLOT_COMPLETED_EPOCHS // 4] = completed_epochs
        halves[at.SLOT_HEADER_CRC // 4] = zlib.crc32(whole[: at.SLOT_HEADER_CRC])
        halves[at.SLOT_COMPLETE // 4] = 1
        # What the other place has is older.
        older = self.path if self._is_on_disk else self._disk_path
        if older is not None:
            with contextlib.suppress(OSError):
                older.unlink()

    def _is_still_named(self, descriptor: int) -> bool:
        try:
            named = self._place.lstat()
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

    def is_mapped(self, size: int) -> bool:
        """Return whether an image of this size fits into the mapping."""
        return self._size >= at.HEADER_BYTES + size

    def map_ahead(self) -> None:
        """Map the slot, if its pages were allocated, ahead of the first copy of this size.

        Creating the entries of the page table takes as long as copying. This runs on another thread than
        `stage`, and never creates or changes the file.
        """
        mapped: tuple[int, mmap.mmap, int] | None = None
        try:
            descriptor = open_file(self.path, os.O_RDWR)
        except OSError:
            return
        try:
            size = os.fstat(descriptor).st_size
            if size > at.HEADER_BYTES and _is_allocated(descriptor, size):
                mapping = mmap.mmap(descriptor, size, mmap.MAP_SHARED, mmap.PROT_READ | mmap.PROT_WRITE)
                if populate(mapping):
                    mapped = (descriptor, mapping, size)
        except OSError:
            pass
        if mapped is None:
            os.close(descriptor)
        else:
            self._ahead = mapped

    @property
    def _place(self) -> Path:
        return self._disk_path if self._is_on_disk and self._disk_path is not None else self.path

    def _mapping_of(self, size: int) -> mmap.mmap:
        """Return the mapping, enlarged if the image needs more, in memory or else on disk."""
        if self._is_on_disk:
            return self._mapping_at_place(size)
        try:
            return self._mapping_at_place(size)
        except OSError as error:
            full = error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.ENOMEM)
            if not full or self._disk_path is None or not _make_directory(self._disk_path.parent):
                raise
        # For the rest of this attempt: memory that is scarce would be taken and given back again and again.
        self._is_on_disk = True
        self._forget()
        try:
            return self._mapping_at_place(size)
        except OSError:
            self._is_on_disk = False
            self._forget()
            raise

    def _forget(self) -> None:
        if self._descriptor is not None:
            os.close(self._descriptor)
        self._descriptor, self._map, self._size = None, None, 0

    def _mapping_at_place(self, size: int) -> mmap.mmap:
        ahead, self._ahead = self._ahead, None
        if ahead is not None and self._size < ahead[2] and not self._is_on_disk:
            if self._descriptor is not None:
                os.close(self._descriptor)
            self._descriptor, self._map, self._size = ahead
        elif ahead is not None:
            os.close(ahead[0])
        if self._descriptor is not None and not self._is_still_named(self._descriptor):
            # The run directory was cleared: the supervisor cannot find a file without a name.
            self._forget()
        if self._map is not None and self._size >= size and self._is_whole():
            return self._map
        if self._descriptor is None:
            self._descriptor = replace_file(self._place, os.O_RDWR)
        # Allocate a little more than needed: states grow by a few bytes as counters gain digits.
        grown = (size + size // 64 + 0xFFFF) & ~0xFFFF
        # Not ftruncate, with which a full tmpfs is a SIGBUS later instead of an error now. The supervisor may
        # have done it ahead of time; going through all pages again takes half as long as a copy.
        if not _is_allocated(self._descriptor, grown):
            missing = grown - os.fstat(self._descriptor).st_blocks * 512
            # The filesystem may have more room than there is memory.
            if not self._is_on_disk and self._disk_path is not None and not _memory.suffices(missing):
                raise OSError(errno.ENOMEM, os.strerror(errno.ENOMEM), str(self._place))
            os.posix_fallocate(self._descriptor, 0, grown)
        self._map = map_shared(self._descriptor, os.fstat(self._descriptor).st_size)
        self._size = grown
        return self._map


def _make_directory(path: Path) -> bool:
    """Create a directory, but not the one above it: that of the job may have been moved away."""
    try:
        path.mkdir(mode=0o700, exist_ok=True)
    except OSError:
        return False
    return True


def _is_allocated(descriptor: int, size: int) -> bool:
    """Return whether all of the file's first bytes are allocated."""
    status = os.fstat(descriptor)
    return status.st_size >= size and status.st_blocks * 512 >= size
