"""A checksum of all bytes of a tensor, computed on its device at memory speed.

Each word is multiplied by an odd number for its position, and each piece by another factor, modulo 2^64. So
a change of a single word always changes the sum. Of other changes, such as swapped words, about one in 2^63
does not.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import torch

_WORDS = 1 << 16
_MULTIPLIER = 0x5851F42D4C957F2D
_MASK = (1 << 64) - 1


def checksum(source: Any) -> int:
    """Return the checksum of a strided tensor."""
    with torch.no_grad():
        source = source.detach().resolve_conj().resolve_neg()
        # View as bytes first: 8-bit floats do not support all operations.
        data = source.contiguous().reshape(-1).view(torch.uint8)
        whole = data.numel() // 8 * 8
        total = 0
        # A view of another tensor may begin at any byte.
        aligned = data[:whole] if data.storage_offset() % 8 == 0 else data[:whole].clone()
        weights = _weights(str(data.device))
        for piece in aligned.view(torch.int64).split(_WORDS) if whole else ():
            total = total * _MULTIPLIER + int((piece * weights[: piece.numel()]).sum()) & _MASK
        for byte in data[whole:].tolist():
            total = (total * 257 + byte + 1) & _MASK
        return total


@lru_cache(maxsize=16)
def _weights(device: str) -> Any:
    generator = torch.Generator().manual_seed(_MULTIPLIER)
    largest = (1 << 63) - 1
    numbers = torch.randint(-largest, largest, (_WORDS,), generator=generator, dtype=torch.int64)
    return (numbers | 1).to(device)
