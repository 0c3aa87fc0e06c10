"""A checksum of a batch, cheap enough for every step: it covers about a thousand elements of each array."""

from __future__ import annotations

import sys
import zlib
from typing import Any

_ELEMENTS = 1024


def fingerprint(value: Any, crc: int = 0) -> int:
    """Return the checksum of a batch, continued from `crc`. Unknown types contribute only their name."""
    torch, numpy = sys.modules.get("torch"), sys.modules.get("numpy")
    if torch is not None and isinstance(value, torch.Tensor):
        return _of_tensor(torch, value, crc)
    if numpy is not None and isinstance(value, (numpy.ndarray, numpy.generic)):
        flat = numpy.asarray(value).reshape(-1)
        if flat.dtype.hasobject:
            return fingerprint(flat.tolist(), crc)
        return zlib.crc32(flat[:: 1 + len(flat) // _ELEMENTS].tobytes(), crc)
    if isinstance(value, dict):
        for key, member in value.items():
            crc = fingerprint(member, fingerprint(key, crc))
        return crc
    if isinstance(value, (list, tuple)):
        for element in value[:: 1 + len(value) // _ELEMENTS]:
            crc = fingerprint(element, crc)
        return crc
    if value is None or isinstance(value, (bool, int, float, complex, str, bytes)):
        return zlib.crc32(repr(value).encode(errors="replace"), crc)
    return zlib.crc32(type(value).__qualname__.encode(), crc)


def _of_tensor(torch: Any, value: Any, crc: int) -> int:
    # Reading a tensor on a device would wait for the device.
    if value.device.type != "cpu" or value.layout is not torch.strided or value.is_quantized:
        return zlib.crc32(str(tuple(value.shape)).encode(), crc)
    value = value.detach().resolve_conj().resolve_neg()
    flat = (torch.view_as_real(value) if value.is_complex() else value).reshape(-1)
    part = flat[:: 1 + len(flat) // _ELEMENTS].contiguous()
    return zlib.crc32(part.view(torch.uint8).numpy(), crc) if len(part) else crc
