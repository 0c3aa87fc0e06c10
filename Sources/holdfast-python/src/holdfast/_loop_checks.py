"""Warnings about loops that draw or change something in a place that a resume does not repeat."""

from __future__ import annotations

from typing import Callable

from . import _parts
from ._capture import Captured, capture
from ._components import MODES, is_replaced_each_step
from ._differences import digest
from ._errors import HoldfastError
from ._image import FlatState, LoopState, flatten
from ._registered import Registered

# After this many steps, what is trained must have changed.
_STEPS_THAT_CHANGE = 3
# This many saved states are compared with the state when the loop requests the next batch.
_COMPARED = 3


class LoopChecks:
    """Records a loop's state at certain moments, and compares it with later states."""

    def __init__(self, registered: Registered, warn: Callable[[str], None]) -> None:
        self._registered = registered
        self._warn = warn
        # Encoded parts of the last step's record.
        self.last_parts = b""
        self._compared = 0
        self._staged: Captured | None = None
        # Digests of what each step must change, from when the run was restored.
        self._unchanged: dict[str, bytes] = {}
        self._compare_at = 0

    def begin(self, step: int) -> None:
        """Record the random streams and what must change, at the beginning of a recorded loop."""
        # Loaders and streams may have been added since, and may still be added.
        self._registered.forget_sources()
        self.last_parts = self._registered.encoded_parts()
        self._registered.forget_sources()
        self._unchanged = {
            name: digest(component.state())
            for name, component in self._registered.components.items()
            if is_replaced_each_step(component)
        }
        self._compare_at = step + _STEPS_THAT_CHANGE

    def forget_staged(self, *, again: bool = False) -> None:
        """Do not compare the state that was saved; `again` starts counting compared states anew."""
        self._staged = None
        if again:
            self._compared = 0

    def remember_staged(self, state: FlatState, loop: LoopState) -> None:
        """Record a saved state, to compare it with the state after the rest of the loop's body."""
        if self._compared < _COMPARED:
            self._compared += 1
            self._staged = capture(state, loop)

    def compare_with_staged(self, step: int) -> None:
        """Warn about changes by the loop's body after a step whose state was saved."""
        staged, self._staged = self._staged, None
        if staged is None or staged.loop.step != step:
            return
        try:
            changed = staged.difference(flatten(self._registered.states()), ignoring=MODES)
        except HoldfastError:
            return  # Reported when the state is saved.
        if changed is not None:
            self._warn(
                f"'{changed}' changed after run.step(), in the rest of the loop's body, which a resume does "
                "not repeat; call run.step() last in the body"
            )

    def check_drawn(self) -> None:
        """Warn about random numbers drawn between restore() and a loop without `epochs()`."""
        if not self.last_parts:
            return
        self._registered.forget_sources()
        drawn = self._moved_streams()
        if drawn:
            self._warn(
                f"numbers were drawn from the random stream '{drawn[0]}' between restore() and the loop, "
                "where a resume draws different ones. Register a batch that is drawn ahead of its step, and "
                "draw it only if restore() returns False; draw anything else before restore() or in the loop"
            )

    def has_drawn(self) -> bool:
        """Return whether the loop's body has drawn random numbers since the last step."""
        return bool(self.last_parts and self._moved_streams())

    def _moved_streams(self) -> list[str]:
        """Return the names of the random streams that have changed since the last step."""
        now = self._registered.encoded_parts()
        if self.last_parts == now:
            return []
        states = {part.name: part.data for part in _parts.decode(self.last_parts) if part.kind == "rng"}
        return [
            part.name
            for part in _parts.decode(now)
            if part.kind == "rng" and states.get(part.name, part.data) != part.data
        ]

    def warn_unchanged(self, step: int) -> None:
        """Warn about registered values that do not change because the loop uses another object."""
        if not self._unchanged or step != self._compare_at:
            return
        before, self._unchanged = self._unchanged, {}
        for name, was in before.items():
            if digest(self._registered.components[name].state()) == was:
                self._warn(
                    f"'{name}' has not changed in {_STEPS_THAT_CHANGE} steps. If the loop assigns new values "
                    f"to a variable of its own, they are not saved: change it in place ('{name}[...] = "
                    f"...'), or set run.values.{name} if it is a tree of JAX arrays"
                )
