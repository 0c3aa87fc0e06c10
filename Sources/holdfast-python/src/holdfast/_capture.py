"""The state as it was after the last step, while validation goes on.

A resume repeats what follows the last batch of an epoch: validation, schedulers that step per epoch, early
stopping. So a request that comes meanwhile must get the state from before all that. Small tensors are
copied; large ones are referred to, and their version counters tell whether anything changed them since, and a
checksum of all of their bytes does: what is written through `data` counts nothing.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from ._differences import are_same, bytes_of
from ._encode import Leaf
from ._image import FlatState, LoopState

_SMALL_BYTES = 1 << 16


class Watched(NamedTuple):
    """A large tensor that is referred to, and what it was."""

    leaf: Leaf
    version: int
    checksum: int

    def is_changed(self) -> bool:
        """Whether it is another one by now."""
        return bool(self.leaf.source._version != self.version) or _checksum(self.leaf.source) != self.checksum


class Captured(NamedTuple):
    """A state and its loop state, of one moment."""

    state: FlatState
    loop: LoopState
    watched: list[Watched]

    def changed(self) -> str | None:
        """Return the name of a large tensor that was changed since, or None."""
        for watched in self.watched:
            if watched.is_changed():
                return watched.leaf.name
        return None

    def difference(self, state: FlatState, *, but: str) -> str | None:
        """Return what is another now: a component's name or a tensor's; or None.

        Args:
            state: as it is now.
            but: ending of the names of components that do not count.
        """
        for name, node in self.state.nodes.items():
            if state.nodes.get(name) != node and not name.endswith(but):
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
    """Hold on to a state."""
    watched = []
    for leaf in state.leaves:
        version = _version(leaf.source) if leaf.size > _SMALL_BYTES else None
        if version is None:
            leaf.source = leaf.source.clone() if hasattr(leaf.source, "clone") else leaf.source.copy()
        else:
            watched.append(Watched(leaf, version, _checksum(leaf.source)))
    return Captured(state, loop, watched)


def _version(source: Any) -> int | None:
    """Return a tensor's version counter; None where it has none: numpy's, and inference tensors."""
    try:
        return int(source._version)
    except (AttributeError, RuntimeError):
        return None


def _checksum(source: Any) -> int:
    from ._checksum import checksum

    return checksum(source)
