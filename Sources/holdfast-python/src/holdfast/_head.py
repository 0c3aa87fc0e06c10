"""The head of an epoch: what a loop does before its first batch, which a resume in mid-epoch makes again.

It draws an order, sets sums back, steps a scheduler. A state that was saved in mid-epoch has all that behind
it. So a resumed head gets the random streams as they were when the epoch began, and draws what it drew. And
when the loop reads its first batch, the streams and whatever the head has changed are put where the resume
point has them.
"""

from __future__ import annotations

from typing import Any

from . import _random
from ._differences import differing
from ._image import ImageReader, ImageWriter, LoopState, Part, flatten
from ._registered import Registered

EPOCH_PREFIX = "epoch."


class Head:
    """Of the epoch that a run is in."""

    def __init__(self, registered: Registered) -> None:
        self._registered = registered
        # Streams as they were when the epoch began; what is not here was as it is now.
        self._streams: dict[str, bytes] = {}
        self._image: ImageReader | None = None
        # What the program has changed between restore() and the loop, which stays as the program wants it.
        self._own: ImageReader | None = None

    def begin(self) -> None:
        """Begin an epoch's head."""
        self._streams = {stream.name: stream.get() for stream in self._registered.streams()}

    def parts(self, now: tuple[Part, ...]) -> tuple[Part, ...]:
        """Return what an image needs of it, beside the streams as they are now."""
        current = {part.name: part.data for part in now if part.kind == "rng"}
        return tuple(
            Part("other", EPOCH_PREFIX + name, data)
            for name, data in self._streams.items()
            if name in current and current[name] != data
        )

    def use_image(self, image: ImageReader, loop: LoopState) -> None:
        """Remember what an image has of it."""
        self._image = image
        self._streams = {
            part.name[len(EPOCH_PREFIX) :]: part.data
            for part in loop.parts
            if part.kind == "other" and part.name.startswith(EPOCH_PREFIX)
        }

    def resume(self, pending: dict[str, bytes], *, is_restored_here: bool) -> None:
        """Begin the head of an epoch again, in the middle of which the run goes on.

        Args:
            pending: streams as they are to be before the first batch.
            is_restored_here: whether the state was restored right now, and nobody can have changed it since.
        """
        image = self._image
        if image is not None and not is_restored_here:
            states = self._states(self._registered.components)
            changed = differing(states, image)
            if changed:
                own = ImageWriter(flatten({name: states[name] for name in changed}), LoopState())
                self._own = ImageReader(memoryview(own.to_bytes()))
        self._streams = {**pending, **self._streams}
        _random.set_streams(self._registered.streams(), self._streams)

    def end(self) -> None:
        """Put back what a resumed head has changed; the streams are the caller's."""
        image, own = self._image, self._own
        self.forget()
        if image is None:
            return
        kept = set() if own is None or own.nodes is None else set(own.nodes)
        whole = set(image.nodes or {}) - kept
        for reader, names in ((own, kept), (image, whole)):
            if reader is None:
                continue
            components = {name: one for name, one in self._registered.components.items() if name in names}
            for name in differing(self._states(components), reader):
                component = components[name]
                component.load(reader.component(name, copy=component.wants_copies))

    def forget(self) -> None:
        """Let go of the image that the run was resumed from."""
        self._image = self._own = None

    @staticmethod
    def _states(components: dict[str, Any]) -> dict[str, Any]:
        return {name: component.state() for name, component in components.items()}
