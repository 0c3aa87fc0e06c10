"""Whether states still are what an image has: every byte of them is compared."""

from __future__ import annotations

import hashlib
import json
from typing import Any

from ._encode import Leaf, escape
from ._image import ImageReader, Views
from ._values import new_encoder

_CHUNK = 1 << 20


def differing(states: dict[str, Any], image: ImageReader) -> list[str]:
    """Return the names of the states that an image has otherwise; those that it lacks are none of them."""
    changed = []
    # One for all of them: what two of them share has the name that it has in the first one.
    encoder = new_encoder()
    for name, state in states.items():
        first = len(encoder.leaves)
        node = encoder.node(state, escape(name))
        if image.nodes is None or name not in image.nodes:
            continue
        # As an image's reader finds it: JSON has no tuples.
        is_same = json.loads(json.dumps(node)) == image.nodes[name]
        if not is_same or not all(_is_as_in(image, leaf) for leaf in encoder.leaves[first:]):
            changed.append(name)
    return changed


def digest(state: Any) -> bytes:
    """Return a digest of every byte of a state."""
    encoder = new_encoder()
    hashed = hashlib.blake2b(json.dumps(encoder.node(state, "state")).encode(), digest_size=16)
    for leaf in encoder.leaves:
        hashed.update(bytes_of(leaf))
    return hashed.digest()


def _is_as_in(image: ImageReader, leaf: Leaf) -> bool:
    stored = image.tensors.get(leaf.name)
    if stored is None or stored.dtype != leaf.dtype or stored.shape != tuple(leaf.shape):
        return False
    return are_same(bytes_of(leaf), stored.data)


def bytes_of(leaf: Leaf) -> memoryview:
    """Return the bytes of a tensor, as an image has them."""
    data = memoryview(bytearray(leaf.size))
    if leaf.size:
        views = Views(data)
        leaf.put(views, 0, leaf.size, leaf.source)
        if views.accelerator:
            import torch

            torch.cuda.synchronize()
    return data


def are_same(one: memoryview, other: memoryview) -> bool:
    """Whether two pieces of memory have the same bytes."""
    if one.nbytes != other.nbytes:
        return False
    # Comparing `bytes` is comparing memory; comparing views is a loop over elements.
    return all(
        bytes(one[start : start + _CHUNK]) == bytes(other[start : start + _CHUNK])
        for start in range(0, one.nbytes, _CHUNK)
    )
