"""The ends of a program's `epochs()` loops. A resume passes through completed loops without an epoch.

The code between two loops runs again, and must draw the same numbers. So an image contains the random streams
at the end of each completed loop.
"""

from __future__ import annotations

import sys

from . import _random
from ._image import Part
from ._registered import Registered

_PREFIX = "loop."


class LoopEnds:
    """The random streams at the end of each loop, by the loop's number from 0."""

    def __init__(self, registered: Registered) -> None:
        self._registered = registered
        self._streams: dict[int, dict[str, bytes]] = {}

    def record(self, number: int) -> None:
        """Record the current streams, unless the interpreter is exiting."""
        if not sys.is_finalizing():
            self._streams[number] = {stream.name: stream.get() for stream in self._registered.streams()}

    def set_streams(self, number: int) -> None:
        """Set the streams to those at the end of a loop."""
        _random.set_streams(self._registered.streams(), self._streams.get(number, {}))

    def parts(self, count: int) -> tuple[Part, ...]:
        """Return the parts of an image for the first `count` loops: a mark for each, and its streams."""
        return tuple(
            Part("other", f"{_PREFIX}{number}.{name}", data)
            for number in range(count)
            for name, data in {"": b"", **self._streams.get(number, {})}.items()
        )

    def use_parts(self, parts: tuple[Part, ...]) -> int:
        """Use the parts of an image, and return the number of loops that are over."""
        self._streams = {}
        for part in parts:
            if part.kind == "other" and part.name.startswith(_PREFIX):
                number, _, name = part.name[len(_PREFIX) :].partition(".")
                self._streams.setdefault(int(number), {})[name] = part.data
        return len(self._streams)
