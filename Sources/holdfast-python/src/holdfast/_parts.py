"""The states of random streams and loaders, encoded as the parts of a snapshot."""

from __future__ import annotations

from typing import Callable

from . import _layout as at
from ._image import Part

_KINDS = {"rng": at.PART_RNG, "sampler": at.PART_SAMPLER, "other": at.PART_OTHER}


class Source:
    """The source of one part."""

    __slots__ = ("_header", "_length", "get", "get_whole", "is_in_images", "kind", "name")

    def __init__(
        self,
        kind: str,
        name: str,
        get: Callable[[], bytes],
        get_whole: Callable[[], bytes] | None = None,
        *,
        is_in_images: bool = True,
    ) -> None:
        if not 0 < len(name.encode()) <= 255:
            raise ValueError(f"invalid name {name!r}: it must have 1 to 255 bytes")
        self.kind = kind
        self.name = name
        self.get = get
        # For an image, which may need more than the record of a step.
        self.get_whole = get_whole or get
        self.is_in_images = is_in_images
        self._length = -1
        self._header = b""

    def header(self, length: int) -> bytes:
        """Return the header of this part for `length` bytes of data."""
        if length != self._length:
            name = self.name.encode()
            self._header = at.PART_HEADER.pack(_KINDS[self.kind], len(name), length) + name
            self._length = length
        return self._header


def encode(sources: list[Source]) -> bytes:
    """Return all current states, encoded."""
    chunks = []
    for source in sources:
        data = source.get()
        chunks.append(source.header(len(data)))
        chunks.append(data)
    return b"".join(chunks)


def decode(data: bytes) -> tuple[Part, ...]:
    """Return the parts that `encode` has encoded."""
    kinds = {number: kind for kind, number in _KINDS.items()}
    parts = []
    at_byte = 0
    while at_byte < len(data):
        kind, name_length, length = at.PART_HEADER.unpack_from(data, at_byte)
        name_at = at_byte + at.PART_HEADER.size
        data_at = name_at + name_length
        at_byte = data_at + length
        parts.append(Part(kinds[kind], data[name_at:data_at].decode(), data[data_at:at_byte]))
    return tuple(parts)


def states_of(sources: list[Source]) -> tuple[Part, ...]:
    """Return all current states, for an image."""
    return tuple(
        Part(source.kind, source.name, source.get_whole()) for source in sources if source.is_in_images
    )
