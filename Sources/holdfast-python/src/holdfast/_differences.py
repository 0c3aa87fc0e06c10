"""Compares states with an image, byte by byte."""

from __future__ import annotations

import hashlib
import json
from typing import Any

from ._encode import Leaf, escape
from ._image import ImageReader, Views
from ._values import new_encoder

_CHUNK = 1 << 20


def differing(states: dict[str, Any], image: ImageReader) -> list[str]:
    """Return the names of the states that differ from those in an image. States it lacks are ignored."""
    changed = []
    # One encoder for all: a tensor shared by two states has the name that it has in the first one.
    encoder = new_encoder()
    for name, state in states.items():
        first = len(encoder.leaves)
        node = encoder.node(state, escape(name))
        if image.nodes is None or name not in image.nodes:
            continue
        # As the image's reader returns it: JSON has no tuples.
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
    """Return the bytes of a tensor as they are in an image."""
    data = memoryview(bytearray(leaf.size))
    if leaf.size:
        views = Views(data)
        leaf.put(views, 0, leaf.size, leaf.source)
        if views.accelerator:
            import torch

            torch.cuda.synchronize()
    return data


def are_same(one: memoryview, other: memoryview) -> bool:
    """Return whether two buffers contain the same bytes."""
    if one.nbytes != other.nbytes:
        return False
    # `bytes` are compared with memcmp, views element by element.
    return all(
        bytes(one[start : start + _CHUNK]) == bytes(other[start : start + _CHUNK])
        for start in range(0, one.nbytes, _CHUNK)
    )
