"""How the `epochs()` loops of a program ended, which a resume goes through without an epoch.

What a program does between two of them is made again, and has to draw the numbers that it drew: for each loop
that is over, an image has the random streams as they were at its end.
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
        """Record the streams as they are now, unless it is the whole program that ends."""
        if not sys.is_finalizing():
            self._streams[number] = {stream.name: stream.get() for stream in self._registered.streams()}

    def set_streams(self, number: int) -> None:
        """Set the streams as they were when a loop had ended."""
        _random.set_streams(self._registered.streams(), self._streams.get(number, {}))

    def parts(self, count: int) -> tuple[Part, ...]:
        """Return what an image needs of the first loops: of each, that it is over, and its streams."""
        return tuple(
            Part("other", f"{_PREFIX}{number}.{name}", data)
            for number in range(count)
            for name, data in {"": b"", **self._streams.get(number, {})}.items()
        )

    def use_parts(self, parts: tuple[Part, ...]) -> int:
        """Remember what an image has of them, and return how many loops are over."""
        self._streams = {}
        for part in parts:
            if part.kind == "other" and part.name.startswith(_PREFIX):
                number, _, name = part.name[len(_PREFIX) :].partition(".")
                self._streams.setdefault(int(number), {})[name] = part.data
        return len(self._streams)
