"""Warnings about loops that a resume would not repeat: what they draw or change in the wrong place."""

from __future__ import annotations

from typing import Callable

from . import _parts
from ._capture import Captured, capture
from ._components import MODES, is_replaced_each_step
from ._differences import digest
from ._errors import HoldfastError
from ._image import FlatState, LoopState, flatten
from ._registered import Registered

# After so many steps what is trained must have changed.
_STEPS_THAT_CHANGE = 3
# So many saved states are compared with what the loop has when it asks for the next batch.
_COMPARED = 3


class LoopChecks:
    """What is remembered of one moment of a loop, and compared with what it has later."""

    def __init__(self, registered: Registered, warn: Callable[[str], None]) -> None:
        self._registered = registered
        self._warn = warn
        # Encoded parts of the last step's record.
        self.last_parts = b""
        self._compared = 0
        self._staged: Captured | None = None
        # Digests, when the run was restored, of what each step must change.
        self._unchanged: dict[str, bytes] = {}
        self._compare_at = 0

    def begin(self, step: int) -> None:
        """Remember the random streams and what must change, where a recorded loop begins."""
        # Loaders and streams may have come since, and may still come.
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
        """Do not compare the state that was saved; `again` lets the next ones be compared from the first."""
        self._staged = None
        if again:
            self._compared = 0

    def remember_staged(self, state: FlatState, loop: LoopState) -> None:
        """Remember a state that is saved, to compare it with what the rest of the loop's body leaves."""
        if self._compared < _COMPARED:
            self._compared += 1
            self._staged = capture(state, loop)

    def compare_with_staged(self, step: int) -> None:
        """Warn of what the loop's body changed after a step whose state was saved."""
        staged, self._staged = self._staged, None
        if staged is None or staged.loop.step != step:
            return
        try:
            changed = staged.difference(flatten(self._registered.states()), but=MODES)
        except HoldfastError:
            return  # Reported when the state is saved.
        if changed is not None:
            self._warn(
                f"'{changed}' changed after run.step(), in the rest of the loop's body, which a resume does "
                "not make again: call run.step() last in the body"
            )

    def check_drawn(self) -> None:
        """Warn of random numbers that were drawn between restore() and a loop without `epochs()`."""
        if not self.last_parts:
            return
        self._registered.forget_sources()
        drawn = self._moved_streams()
        if drawn:
            self._warn(
                f"between restore() and the loop numbers were drawn from the random stream '{drawn[0]}', "
                "and a resume draws other ones there. A batch that is drawn ahead of its step must be "
                "registered, and drawn only if restore() returns False; draw anything else before restore(), "
                "or in the loop"
            )

    def has_drawn(self) -> bool:
        """Whether the loop's body has drawn random numbers since the last step."""
        return bool(self.last_parts and self._moved_streams())

    def _moved_streams(self) -> list[str]:
        """Return the names of the random streams whose states differ from those of the last step."""
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
        """Warn of what was registered and stays as it is, while the loop goes on with something else."""
        if not self._unchanged or step != self._compare_at:
            return
        before, self._unchanged = self._unchanged, {}
        for name, was in before.items():
            if digest(self._registered.components[name].state()) == was:
                self._warn(
                    f"'{name}' has not changed in {_STEPS_THAT_CHANGE} steps. If the loop assigns a new "
                    f"value to its own variable, that one is not saved: change it in place ('{name}[...] = "
                    f"...'), or set run.values.{name} where it is a tree of JAX"
                )
