"""The state after the last step, captured while validation runs.

A resume repeats what follows the last batch of an epoch: validation, schedulers that step per epoch, early
stopping. So a request that arrives meanwhile must get the state from before all of that. Small tensors are
copied. Large ones are referenced; their version counters and a checksum of all their bytes show whether they
have changed since, as writes through `data` do not increase the counters.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from ._differences import are_same, bytes_of
from ._encode import Leaf
from ._image import FlatState, LoopState
from ._torch_compatibility import version_of

_SMALL_BYTES = 1 << 16


class Watched(NamedTuple):
    """A large tensor that is referenced, with its version and checksum when it was captured."""

    leaf: Leaf
    version: int
    checksum: int

    def is_changed(self) -> bool:
        """Return whether the tensor has changed since."""
        return version_of(self.leaf.source) != self.version or _checksum(self.leaf.source) != self.checksum


class Captured(NamedTuple):
    """A state and its loop state at one moment."""

    state: FlatState
    loop: LoopState
    watched: list[Watched]

    def changed(self) -> str | None:
        """Return the name of a large tensor that has changed since, or None."""
        for watched in self.watched:
            if watched.is_changed():
                return watched.leaf.name
        return None

    def difference(self, state: FlatState, *, ignoring: str) -> str | None:
        """Return the name of a component or tensor that has changed, or None.

        Args:
            state: the current state.
            ignoring: suffix of the names of components that are not compared.
        """
        for name, node in self.state.nodes.items():
            if state.nodes.get(name) != node and not name.endswith(ignoring):
                return name
        checksums = {watched.leaf.name: watched.checksum for watched in self.watched}
        for before, now in zip(self.state.leaves, state.leaves):
            if before.name in checksums:
                is_same = _checksum(now.source) == checksums[before.name]
            else:
                is_same = are_same(bytes_of(before), bytes_of(now))
            if before.name != now.name or not is_same:
                return before.name
        return None


def capture(state: FlatState, loop: LoopState) -> Captured:
    """Capture a state."""
    watched = []
    for leaf in state.leaves:
        version = version_of(leaf.source) if leaf.size > _SMALL_BYTES else None
        if version is None:
            leaf.source = leaf.source.clone() if hasattr(leaf.source, "clone") else leaf.source.copy()
        else:
            watched.append(Watched(leaf, version, _checksum(leaf.source)))
    return Captured(state, loop, watched)


def _checksum(source: Any) -> int:
    from ._checksum import checksum

    return checksum(source)
