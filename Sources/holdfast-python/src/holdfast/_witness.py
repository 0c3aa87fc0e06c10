"""A few elements of what is trained, for each step's record: a replay that computes other ones shows there.

Random streams and positions of loaders agree although a batch that was drawn ahead, or an environment, is
not the same after a resume; the weights do not agree then. A few elements are enough for that, since a step
changes nearly all of them; they never decide that something is the same. What is on a device would have to be
waited for, and is left out.
"""

from __future__ import annotations

import ctypes
import sys
import zlib
from collections.abc import Iterable, Iterator
from typing import Any

NAME = "state"
_ARRAYS = 8
_BYTES = 32


class Witness:
    """Some arrays of the registered components."""

    def __init__(self, components: Iterable[Any]) -> None:
        arrays = [array for component in components for array in _arrays(getattr(component, "target", None))]
        # Evenly from all of them, and the last one: mostly a bias, which each batch moves.
        count = len(arrays)
        chosen = sorted({count - 1 - index * count // _ARRAYS for index in range(min(_ARRAYS, count))})
        self._chosen = [arrays[index] for index in chosen]

    @property
    def has_any(self) -> bool:
        """Whether anything that is registered can be looked at."""
        return bool(self._chosen)

    def checksum(self) -> bytes:
        """Return a checksum of the elements as they are now."""
        crc = 0
        for array in self._chosen:
            # Looked up each time: assigning to `data` moves a tensor to other memory.
            data = getattr(array, "data_ptr", None)
            address, size = (array.ctypes.data, array.nbytes) if data is None else _place(array)
            begin = max(0, size // 2 - _BYTES // 2)
            crc = zlib.crc32(ctypes.string_at(address + begin, min(_BYTES, size - begin)), crc)
        return crc.to_bytes(4, "little")


def _place(tensor: Any) -> tuple[int, int]:
    """Return where a tensor lies, and its bytes; none where they are not all there, one after the other."""
    if tensor.device.type != "cpu" or not tensor.is_contiguous():
        return 0, 0
    return tensor.data_ptr(), tensor.numel() * tensor.element_size()


def _arrays(target: Any) -> Iterator[Any]:
    torch, numpy = sys.modules.get("torch"), sys.modules.get("numpy")
    if torch is not None and isinstance(target, torch.nn.Module):
        for parameter in target.parameters():
            yield from _arrays(parameter)
    elif torch is not None and isinstance(target, torch.Tensor):
        # Of a type that has memory of its own.
        is_plain = type(target) in (torch.Tensor, torch.nn.Parameter) and target.layout is torch.strided
        if is_plain and target.device.type == "cpu" and target.numel():
            yield target
    elif numpy is not None and isinstance(target, numpy.ndarray):
        is_plain = target.flags.c_contiguous and not target.dtype.hasobject
        if is_plain and target.size:
            yield target
