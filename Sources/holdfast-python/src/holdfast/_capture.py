"""The state as it was after the last step, while validation goes on.

A resume repeats what follows the last batch of an epoch: validation, schedulers that step per epoch, early
stopping. So a request that comes meanwhile must get the state from before all that. Small tensors are
copied; large ones are referred to, and their version counters tell whether anything changed them since, or a
few of their elements: what is written through `data` counts nothing.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any, NamedTuple

from ._encode import Leaf
from ._image import FlatState, LoopState

_SMALL_BYTES = 1 << 16
_COMPARED_ELEMENTS = 64


class Watched(NamedTuple):
    """A large tensor that is referred to, and what it was."""

    leaf: Leaf
    version: int
    elements: bytes


class Captured(NamedTuple):
    """A state and its loop state, of one moment."""

    state: FlatState
    loop: LoopState
    watched: list[Watched]

    def changed(self) -> str | None:
        """Return the name of a large tensor that was changed since, or None."""
        for leaf, version, elements in self.watched:
            if leaf.source._version != version or _elements(leaf.source) != elements:
                return leaf.name
        return None


def capture(state: FlatState, loop: LoopState) -> Captured:
    """Hold on to a state."""
    watched = []
    for leaf in state.leaves:
        version = _version(leaf.source) if leaf.size > _SMALL_BYTES else None
        if version is None:
            leaf.source = leaf.source.clone() if hasattr(leaf.source, "clone") else leaf.source.copy()
        else:
            watched.append(Watched(leaf, version, _elements(leaf.source)))
    return Captured(state, loop, watched)


def _version(source: Any) -> int | None:
    """Return a tensor's version counter; None where it has none: numpy's, and inference tensors."""
    try:
        return int(source._version)
    except (AttributeError, RuntimeError):
        return None


def _elements(source: Any) -> bytes:
    """Return the bytes of a few elements of a tensor, from everywhere in it."""
    import torch

    source = source.detach()
    if source.element_size() == 1:
        source = source.view(torch.uint8)  # Not everything can be done with the floats of 8 bits.
    taken = torch.take(source, _places(source.numel()).to(source.device)).cpu()
    return bytes(taken.view(torch.uint8).numpy())


@lru_cache(maxsize=1024)
def _places(count: int) -> Any:
    """Return which of so many elements are compared."""
    import torch

    return torch.linspace(0, count - 1, _COMPARED_ELEMENTS, dtype=torch.float64).long()
