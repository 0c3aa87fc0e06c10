"""The head of an epoch: the code before its first batch, which runs again after a resume in mid-epoch.

It draws an order, resets sums, steps a scheduler. A state that was saved in mid-epoch already includes these
changes. So the head of a resumed epoch runs with the random streams from the beginning of the epoch, and
draws the same numbers. When the loop reads its first batch, the streams and everything that the head has
changed are restored from the resume point.
"""

from __future__ import annotations

from typing import Any

from . import _random
from ._differences import differing
from ._image import ImageReader, ImageWriter, LoopState, Part, flatten
from ._registered import Registered

EPOCH_PREFIX = "epoch."


class Head:
    """The head of the current epoch."""

    def __init__(self, registered: Registered) -> None:
        self._registered = registered
        # Streams at the beginning of the epoch; a stream that is missing has not changed since.
        self._streams: dict[str, bytes] = {}
        self._image: ImageReader | None = None
        # What differs from the image on purpose since it was loaded: options that `--set` changed.
        self._adapted: ImageReader | None = None
        # What the program changed between restore() and the loop: it is not restored.
        self._own: ImageReader | None = None

    def begin(self) -> None:
        """Record the random streams at the beginning of an epoch."""
        self._streams = {stream.name: stream.get() for stream in self._registered.streams()}

    def parts(self, now: tuple[Part, ...]) -> tuple[Part, ...]:
        """Return the parts for an image, in addition to the current streams."""
        current = {part.name: part.data for part in now if part.kind == "rng"}
        return tuple(
            Part("other", EPOCH_PREFIX + name, data)
            for name, data in self._streams.items()
            if name in current and current[name] != data
        )

    def use_image(self, image: ImageReader, loop: LoopState) -> None:
        """Use the image that the run was restored from."""
        self._image, self._adapted = image, None
        self._streams = {
            part.name[len(EPOCH_PREFIX) :]: part.data
            for part in loop.parts
            if part.kind == "other" and part.name.startswith(EPOCH_PREFIX)
        }

    def use_adapted(self) -> None:
        """Keep what was changed on purpose right after the image was loaded."""
        if self._image is not None:
            self._adapted = self._changed_from(self._image)

    def _changed_from(self, image: ImageReader) -> ImageReader | None:
        """Return a copy of the components that differ from an image; None: all are equal."""
        states = self._states(self._registered.components)
        changed = differing(states, image)
        if not changed:
            return None
        copied = ImageWriter(flatten({name: states[name] for name in changed}), LoopState())
        return ImageReader(memoryview(copied.to_bytes()))

    def resume(self, pending: dict[str, bytes], *, is_restored_here: bool) -> None:
        """Begin the head of an epoch that was resumed in its middle.

        Args:
            pending: the streams to be set before the first batch.
            is_restored_here: whether the state was restored just now, so that nothing can have changed it.
        """
        image = self._image
        if image is not None and not is_restored_here:
            self._own = self._changed_from(image)
        self._streams = {**pending, **self._streams}
        _random.set_streams(self._registered.streams(), self._streams)

    def end(self) -> None:
        """Restore what the head of a resumed epoch has changed; the caller restores the streams."""
        readers = (self._own, self._adapted, self._image)
        self.forget()
        done: set[str] = set()
        for reader in readers:
            if reader is None:
                continue
            names = set(reader.nodes or {}) - done
            done |= names
            components = {name: one for name, one in self._registered.components.items() if name in names}
            for name in differing(self._states(components), reader):
                component = components[name]
                component.load(reader.component(name, copy=component.needs_copies))

    def forget(self) -> None:
        """Release the image that the run was resumed from."""
        self._image = self._own = self._adapted = None

    @staticmethod
    def _states(components: dict[str, Any]) -> dict[str, Any]:
        return {name: component.state() for name, component in components.items()}
