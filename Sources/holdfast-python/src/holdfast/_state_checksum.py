"""A checksum of a few trained elements for each step's record, which shows replays with different results.

If a prefetched batch or an environment differs after a resume, random streams and loader positions still
agree, but the weights do not. A few elements are enough to detect that, since a step changes nearly all of
them; equal elements prove nothing. Tensors on a device are left out, as reading them waits for the device.
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


class StateChecksum:
    """Some arrays of the registered components."""

    def __init__(self, components: Iterable[Any]) -> None:
        arrays = [array for component in components for array in _arrays(getattr(component, "target", None))]
        # Evenly distributed, including the last one: usually a bias, which each batch changes.
        count = len(arrays)
        chosen = sorted({count - 1 - index * count // _ARRAYS for index in range(min(_ARRAYS, count))})
        self._chosen = [arrays[index] for index in chosen]

    @property
    def has_any(self) -> bool:
        """Whether there is any array to check."""
        return bool(self._chosen)

    def checksum(self) -> bytes:
        """Return a checksum of the current elements."""
        crc = 0
        for array in self._chosen:
            # Read each time, because assigning to `data` moves a tensor to other memory.
            data = getattr(array, "data_ptr", None)
            address, size = (array.ctypes.data, array.nbytes) if data is None else _place(array)
            begin = max(0, size // 2 - _BYTES // 2)
            crc = zlib.crc32(ctypes.string_at(address + begin, min(_BYTES, size - begin)), crc)
        return crc.to_bytes(4, "little")


def _place(tensor: Any) -> tuple[int, int]:
    """Return the address and size in bytes of a tensor; (0, 0) if it is not contiguous in CPU memory."""
    if tensor.device.type != "cpu" or not tensor.is_contiguous():
        return 0, 0
    return tensor.data_ptr(), tensor.numel() * tensor.element_size()


def _arrays(target: Any) -> Iterator[Any]:
    torch, numpy = sys.modules.get("torch"), sys.modules.get("numpy")
    if torch is not None and isinstance(target, torch.nn.Module):
        for parameter in target.parameters():
            yield from _arrays(parameter)
    elif torch is not None and isinstance(target, torch.Tensor):
        # Only types with memory of their own.
        is_plain = type(target) in (torch.Tensor, torch.nn.Parameter) and target.layout is torch.strided
        if is_plain and target.device.type == "cpu" and target.numel():
            yield target
    elif numpy is not None and isinstance(target, numpy.ndarray):
        is_plain = target.flags.c_contiguous and not target.dtype.hasobject
        if is_plain and target.size:
            yield target
