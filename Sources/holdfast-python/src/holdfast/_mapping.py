"""Memory-mapped files: shared ones of the run directory, and private ones for images."""

from __future__ import annotations

import ctypes
import mmap
import os
from pathlib import Path
from typing import Any

from ._errors import HoldfastError
from ._opening import open_file

_MAP_POPULATE = 0x8000  # linux/mman.h; in the `mmap` module from Python 3.10 on
_MADV_POPULATE_READ = 22
_MADV_POPULATE_WRITE = 23  # linux/mman.h, from Linux 5.14 on
_WINDOW = 8 << 20
_LIST = "run 'holdfast checkpoints list' to see the available checkpoints"


def map_shared(descriptor: int, size: int) -> mmap.mmap:
    """Map a whole file of the run directory, and populate its pages."""
    return mmap.mmap(descriptor, size, mmap.MAP_SHARED | _MAP_POPULATE, mmap.PROT_READ | mmap.PROT_WRITE)


def populate(mapping: mmap.mmap) -> bool:
    """Make all pages of a shared mapping present, while other threads run; return whether that succeeded."""
    madvise = ctypes.CDLL(None).madvise  # `mmap.madvise` does not release the interpreter.
    madvise.argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int]
    first = ctypes.c_char.from_buffer(mapping)
    size, address = len(mapping), ctypes.addressof(first)
    starts = range(0, size, _WINDOW)
    return all(
        madvise(address + start, min(_WINDOW, size - start), _MADV_POPULATE_WRITE) == 0 for start in starts
    )


def populate_resident(image: memoryview, end: int) -> int:
    """Make pages of a private mapping present that are in memory, without waiting for the disk.

    Args:
        image: of `map_private`.
        end: of what is present, in bytes of the file.

    Returns:
        The new end.
    """
    library = ctypes.CDLL(None)
    library.mincore.argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_char_p]
    library.madvise.argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int]
    mapping: Any = image.obj
    address, size = ctypes.addressof(ctypes.c_char.from_buffer(mapping)), len(mapping)
    while end < size:
        count = min(_WINDOW, size - end)
        residence = ctypes.create_string_buffer((count + mmap.PAGESIZE - 1) // mmap.PAGESIZE)
        if library.mincore(address + end, count, residence) != 0 or not _all_resident(residence.raw):
            break
        if library.madvise(address + end, count, _MADV_POPULATE_READ) != 0:
            break
        end += count
    return end


def _all_resident(residence: bytes) -> bool:
    # The other bits are reserved: mincore(2).
    return all(byte & 1 for byte in residence)


def map_private(
    path: Path, offset: int = 0, length: int | None = None, *, follow_link: bool = False
) -> memoryview:
    """Map a part of a file: writable, since frameworks require that, but never written back.

    Args:
        path: of the file.
        offset: of the part, in bytes.
        length: of the part, in bytes; None: to the end.
        follow_link: for a file that the user names.

    Raises:
        HoldfastError: it cannot be read, or is shorter.
    """
    try:
        descriptor = open_file(path, os.O_RDONLY, follow_link=follow_link)
        try:
            size = os.fstat(descriptor).st_size
            end = size if length is None else offset + length
            if not offset < end <= size:
                raise HoldfastError("the image is truncated", path=path, hint=_LIST)
            mapping = mmap.mmap(descriptor, end, mmap.MAP_PRIVATE, mmap.PROT_READ | mmap.PROT_WRITE)
        finally:
            os.close(descriptor)
    except OSError as error:
        raise HoldfastError(f"cannot read the image: {error.strerror}", path=path, hint=_LIST) from error
    return memoryview(mapping)[offset:end]
