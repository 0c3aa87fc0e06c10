"""Digests of files: XXH3 with 128 bits, and SHA-256 of checkpoints by older versions."""

from __future__ import annotations

import ctypes
import hashlib
import os
from functools import lru_cache
from pathlib import Path
from typing import Any, Protocol

from ._mapping import map_private
from ._opening import open_file
from ._xxh128 import xxh128

# The file with the digests of a checkpoint's other files, by algorithm; the newest first.
SUMS_NAMES = {"xxh128": "XXH128SUMS", "sha256": "SHA256SUMS"}
_CHUNK = 1 << 20


class _Computation(Protocol):
    def update(self, data: Any, /) -> None: ...

    def hexdigest(self) -> str: ...


def new_algorithm() -> str:
    """Return the algorithm for new checkpoints: XXH3 if there is a library, which SHA-256 always has."""
    return "sha256" if _library() is None and _package() is None else "xxh128"


def digest_of(data: bytes | bytearray | memoryview, algorithm: str) -> str:
    """Return the digest of some bytes."""
    computation = _computation(algorithm)
    if computation is None:
        return xxh128(memoryview(data))
    computation.update(data)
    return computation.hexdigest()


def digest_of_file(path: Path, algorithm: str) -> str:
    """Return the digest of a regular file."""
    computation = _computation(algorithm)
    if computation is None:
        return xxh128(map_private(path) if path.stat().st_size else memoryview(b""))
    with os.fdopen(open_file(path, os.O_RDONLY), "rb") as file:
        while chunk := file.read(_CHUNK):
            computation.update(chunk)
    return computation.hexdigest()


def _computation(algorithm: str) -> _Computation | None:
    """Return a new computation; None if there is no library for it."""
    if algorithm == "sha256":
        return hashlib.sha256()
    library, package = _library(), _package()
    if library is not None:
        return _Native(library)
    return None if package is None else package.xxh3_128()


class _Native:
    """XXH3 with 128 bits, by libxxhash."""

    def __init__(self, library: ctypes.CDLL) -> None:
        self._library = library
        self._state = ctypes.c_void_p(library.XXH3_createState())
        if not self._state:
            raise MemoryError
        library.XXH3_128bits_reset(self._state)

    def __del__(self) -> None:
        self._library.XXH3_freeState(self._state)

    def update(self, data: bytes | bytearray | memoryview, /) -> None:
        if isinstance(data, bytes):
            self._library.XXH3_128bits_update(self._state, data, ctypes.c_size_t(len(data)))
            return
        for start in range(0, len(data), _CHUNK):
            self.update(bytes(data[start : start + _CHUNK]))

    def hexdigest(self) -> str:
        found = self._library.XXH3_128bits_digest(self._state)
        return f"{found.high:016x}{found.low:016x}"


class _Hash128(ctypes.Structure):
    _fields_ = (("low", ctypes.c_uint64), ("high", ctypes.c_uint64))


@lru_cache(maxsize=1)
def _library() -> ctypes.CDLL | None:
    """Return libxxhash, which is part of most distributions; Debian's apt needs it."""
    try:
        library = ctypes.CDLL("libxxhash.so.0")
        library.XXH3_createState.restype = ctypes.c_void_p
        library.XXH3_128bits_digest.restype = _Hash128
        for name in ("freeState", "128bits_reset", "128bits_update", "128bits_digest"):
            function = getattr(library, f"XXH3_{name}")
            first = [ctypes.c_void_p]
            function.argtypes = [*first, ctypes.c_char_p, ctypes.c_size_t] if "update" in name else first
    except (OSError, AttributeError):
        return None
    return library


@lru_cache(maxsize=1)
def _package() -> Any:
    try:
        import xxhash
    except ImportError:
        return None
    return xxhash if hasattr(xxhash, "xxh3_128") else None
