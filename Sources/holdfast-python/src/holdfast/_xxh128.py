"""XXH3 with 128 bits and without a seed, for machines that have no library for it.

It follows xxhash_spec.md of https://github.com/Cyan4973/xxHash. With numpy it computes some 300 MB/s.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import Any

_MASK = (1 << 64) - 1
_SECRET = bytes.fromhex(
    "b8fe6c3923a44bbe7c01812cf721ad1cded46de9839097db7240a4a4b7b3671fcb79e64eccc0e578825ad07dccff7221"
    "b8084674f743248ee03590e6813a264c3c2852bb91c300cb88d0658b1b532ea371644897a20df94e3819ef46a9deacd8"
    "a8fa763fe39c343ff9dcbbc7c70b4f1d8a51e04bcdb45931c89f7ec9d9787364eac5ac8334d3ebc3c581a0fffa1363eb"
    "170ddd51b7f0da49d316552629d4689e2b16be587d47a1fc8ff8b8d17ad031ce45cb3a8f95160428afd7fbcabb4b407e"
)
_PRIME32 = (0x9E3779B1, 0x85EBCA77, 0xC2B2AE3D)
_PRIME64 = (
    0x9E3779B185EBCA87,
    0xC2B2AE3D27D4EB4F,
    0x165667B19E3779F9,
    0x85EBCA77C2B2AE63,
    0x27D4EB2F165667C5,
)
# A block is 16 stripes of 64 bytes, after which the accumulators are scrambled.
_STRIPE = 64
_BLOCK = 1024
_BLOCKS_AT_ONCE = 4096


def xxh128(data: memoryview) -> str:
    """Return the digest of some bytes, as `xxh128sum` prints it."""
    size = len(data)
    if size > 240:
        low, high = _long(data)
    elif size > 16:
        low, high = _middle(bytes(data))
    else:
        low, high = _short(bytes(data))
    return f"{high:016x}{low:016x}"


def _u32(data: bytes, offset: int) -> int:
    return int.from_bytes(data[offset : offset + 4], "little")


def _u64(data: bytes, offset: int) -> int:
    return int.from_bytes(data[offset : offset + 8], "little")


def _avalanche(value: int) -> int:
    value ^= value >> 37
    value = value * 0x165667919E3779F9 & _MASK
    return value ^ value >> 32


def _avalanche64(value: int) -> int:
    """Return the last step of XXH64."""
    value = (value ^ value >> 33) * _PRIME64[1] & _MASK
    value = (value ^ value >> 29) * _PRIME64[2] & _MASK
    return value ^ value >> 32


def _fold(left: int, right: int) -> int:
    product = left * right
    return (product ^ product >> 64) & _MASK


def _short(data: bytes) -> tuple[int, int]:
    size = len(data)
    if size > 8:
        return _nine_to_sixteen(data)
    if size >= 4:
        value = _u32(data, 0) + (_u32(data, size - 4) << 32)
        product = (value ^ _u64(_SECRET, 16) ^ _u64(_SECRET, 24)) * (_PRIME64[0] + (size << 2))
        low, high = product & _MASK, product >> 64 & _MASK
        high = (high + (low << 1)) & _MASK
        low ^= high >> 3
        low = (low ^ low >> 35) * 0x9FB21C651E98DF25 & _MASK
        return low ^ low >> 28, _avalanche(high)
    if size:
        low = data[0] << 16 | data[size >> 1] << 24 | data[-1] | size << 8
        swapped = int.from_bytes(low.to_bytes(4, "little"), "big")
        high = (swapped << 13 | swapped >> 19) & 0xFFFFFFFF
        flips = (_u32(_SECRET, 0) ^ _u32(_SECRET, 4), _u32(_SECRET, 8) ^ _u32(_SECRET, 12))
        return _avalanche64(low ^ flips[0]), _avalanche64(high ^ flips[1])
    return (
        _avalanche64(_u64(_SECRET, 64) ^ _u64(_SECRET, 72)),
        _avalanche64(_u64(_SECRET, 80) ^ _u64(_SECRET, 88)),
    )


def _nine_to_sixteen(data: bytes) -> tuple[int, int]:
    first, last = _u64(data, 0), _u64(data, len(data) - 8)
    product = (first ^ last ^ _u64(_SECRET, 32) ^ _u64(_SECRET, 40)) * _PRIME64[0]
    low, high = product & _MASK, product >> 64
    low = (low + (len(data) - 1 << 54)) & _MASK
    last ^= _u64(_SECRET, 48) ^ _u64(_SECRET, 56)
    high = (high + last + (last & 0xFFFFFFFF) * (_PRIME32[1] - 1)) & _MASK
    low ^= int.from_bytes(high.to_bytes(8, "little"), "big")
    product = low * _PRIME64[1]
    low, high = product & _MASK, ((product >> 64) + high * _PRIME64[1]) & _MASK
    return _avalanche(low), _avalanche(high)


def _middle(data: bytes) -> tuple[int, int]:
    size = len(data)
    low, high = size * _PRIME64[0] & _MASK, 0

    def mix(first: int, second: int, secret: int) -> None:
        nonlocal low, high
        low = (low + _mixed(data, first, secret)) & _MASK
        low ^= (_u64(data, second) + _u64(data, second + 8)) & _MASK
        high = (high + _mixed(data, second, secret + 16)) & _MASK
        high ^= (_u64(data, first) + _u64(data, first + 8)) & _MASK

    if size <= 128:
        for part in range((size - 1) // 32, -1, -1):
            mix(16 * part, size - 16 * (part + 1), 32 * part)
    else:
        for part in range(4):
            mix(32 * part, 32 * part + 16, 32 * part)
        low, high = _avalanche(low), _avalanche(high)
        for part in range(4, size // 32):
            mix(32 * part, 32 * part + 16, 3 + 32 * (part - 4))
        mix(size - 16, size - 32, 136 - 17 - 16)
    total = (low * _PRIME64[0] + high * _PRIME64[3] + size * _PRIME64[1]) & _MASK
    return _avalanche((low + high) & _MASK), -_avalanche(total) & _MASK


def _mixed(data: bytes, offset: int, secret: int) -> int:
    return _fold(
        _u64(data, offset) ^ _u64(_SECRET, secret), _u64(data, offset + 8) ^ _u64(_SECRET, secret + 8)
    )


def _long(data: memoryview) -> tuple[int, int]:
    size = len(data)
    lanes = [
        _PRIME32[2],
        _PRIME64[0],
        _PRIME64[1],
        _PRIME64[2],
        _PRIME64[3],
        _PRIME32[1],
        _PRIME64[4],
        _PRIME32[0],
    ]
    blocks = (size - 1) // _BLOCK
    scrambling = struct.unpack("<8Q", _SECRET[-_STRIPE:])
    for sums in _sums(data[: blocks * _BLOCK]):
        for lane, key in enumerate(scrambling):
            value = (lanes[lane] + sums[lane]) & _MASK
            lanes[lane] = (value ^ value >> 47 ^ key) * _PRIME32[0] & _MASK
    stripes = (size - 1 - blocks * _BLOCK) // _STRIPE
    for stripe in range(stripes):
        _accumulate(lanes, data, blocks * _BLOCK + stripe * _STRIPE, 8 * stripe)
    _accumulate(lanes, data, size - _STRIPE, len(_SECRET) - _STRIPE - 7)
    low = _merge(lanes, 11, size * _PRIME64[0] & _MASK)
    return low, _merge(lanes, len(_SECRET) - _STRIPE - 11, ~(size * _PRIME64[1]) & _MASK)


def _sums(data: memoryview) -> Iterator[Any]:
    """Yield what each block adds to the accumulators."""
    try:
        import numpy
    except ImportError:
        for start in range(0, len(data), _BLOCK):
            lanes = [0] * 8
            for stripe in range(_BLOCK // _STRIPE):
                _accumulate(lanes, data, start + stripe * _STRIPE, 8 * stripe)
            yield lanes
        return
    keys = numpy.stack([numpy.frombuffer(_SECRET, "<u8", 8, 8 * stripe) for stripe in range(16)])
    step = _BLOCK * _BLOCKS_AT_ONCE
    for start in range(0, len(data), step):
        words = numpy.frombuffer(data[start : start + step], "<u8").reshape(-1, 16, 8)
        keyed = words ^ keys
        products = (keyed & numpy.uint64(0xFFFFFFFF)) * (keyed >> numpy.uint64(32))
        swapped = words.sum(axis=1)[:, [1, 0, 3, 2, 5, 4, 7, 6]]
        yield from (products.sum(axis=1) + swapped).tolist()


def _accumulate(lanes: list[int], data: memoryview, offset: int, secret: int) -> None:
    words = struct.unpack_from("<8Q", data, offset)
    keys = struct.unpack_from("<8Q", _SECRET, secret)
    for lane, (word, key) in enumerate(zip(words, keys)):
        key ^= word
        lanes[lane ^ 1] = (lanes[lane ^ 1] + word) & _MASK
        lanes[lane] = (lanes[lane] + (key & 0xFFFFFFFF) * (key >> 32)) & _MASK


def _merge(lanes: list[int], secret: int, start: int) -> int:
    keys = struct.unpack_from("<8Q", _SECRET, secret)
    for lane in range(0, 8, 2):
        start += _fold(lanes[lane] ^ keys[lane], lanes[lane + 1] ^ keys[lane + 1])
    return _avalanche(start & _MASK)
