"""Reads the states of the Mersenne twisters of `random` and numpy directly from memory.

The libraries' own getters copy word by word, through 625 Python integers: 5 us and 25 us, several times
the cost of the rest of a step's record.

Invariants:

- No layout is assumed. A probe generator is searched, inside the memory that its type declares, for states
  that the library's getter returns. A layout that is not found exactly once, or does not change with draws,
  is not used; nor is any layout if the interpreter is not CPython.
- Objects are read, never written. Only numpy's key and position are written, at the address that numpy
  publishes (`BitGenerator.ctypes`), under numpy's own lock.
- A getter holds a reference to its generator.
"""

from __future__ import annotations

import _random
import random
import struct
import sys
import sysconfig
from array import array
from functools import lru_cache
from typing import Any, Callable

_WORDS = 624
_KEY_BYTES = 4 * _WORDS
_STATE_BYTES = _KEY_BYTES + 4
_POSITION = struct.Struct("<i")
_DOUBLE = struct.Struct("<d")
# Whether there is a second number of a Gaussian pair, and that number.
GAUSS = struct.Struct("<?7xd")
_NO_GAUSS = GAUSS.pack(False, 0.0)

Getter = Callable[[], bytes]
Setter = Callable[[bytes], bool]


def _is_readable() -> bool:
    """Return whether an object's `id` is its address, and nothing moves while Python code reads."""
    return (
        sys.implementation.name == "cpython"
        and sys.byteorder == "little"
        and not sysconfig.get_config_var("Py_GIL_DISABLED")
    )


def _view(address: int, size: int) -> memoryview:
    import ctypes

    return memoryview((ctypes.c_ubyte * size).from_address(address)).cast("B")


def _unique_offset(memory: bytes, wanted: bytes) -> int:
    """Return the offset of bytes that must occur exactly once; -1 if they do not."""
    place = memory.find(wanted)
    return place if place >= 0 and memory.find(wanted, place + 1) < 0 else -1


# Python's `random`


@lru_cache(maxsize=1)
def _python_offset() -> int:
    """Return the offset of the key in a `random.Random`, which follows its position; -1 if it is unknown."""
    if not _is_readable():
        return -1
    probe = random.Random(20_240_229)
    memory = _view(id(probe), _random.Random.__basicsize__)
    offset = -1
    for draws in (0, 1, 100, 700):
        for _ in range(draws):
            probe.random()
        words = array("I", probe.getstate()[1])
        key, position = words[:_WORDS].tobytes(), words[_WORDS]
        found = _unique_offset(bytes(memory), key)
        if found < 4 or offset not in (-1, found):
            return -1
        if _POSITION.unpack_from(memory, found - 4)[0] != position:
            return -1
        offset = found
    return offset


def python_getter(source: Any) -> Getter | None:
    """Return a function that reads the state of a `random.Random`: key, position, has_gauss, gauss."""
    if type(source) is not random.Random or array("I").itemsize != 4:
        return None
    offset = _python_offset()
    if offset < 0:
        return None
    memory = _view(id(source), offset + _KEY_BYTES)
    position, key = memory[offset - 4 : offset], memory[offset:]
    generator: Any = source

    def get() -> bytes:
        gauss = generator.gauss_next
        return b"".join((key, position, _NO_GAUSS if gauss is None else GAUSS.pack(True, gauss)))

    return get


# numpy's legacy stream


@lru_cache(maxsize=1)
def _numpy_gauss_offset() -> int:
    """Return the offset of gauss in a `RandomState`, 8 bytes after has_gauss.

    -1 if it is unknown, or if the key and the position are not at the address that numpy publishes.
    """
    import numpy as np

    if not _is_readable():
        return -1
    probe = np.random.RandomState(np.random.MT19937(20_240_229))
    state = probe.get_state(legacy=False)
    twister = _view(probe._bit_generator.ctypes.state_address, _STATE_BYTES)
    memory = _view(id(probe), np.random.RandomState.__basicsize__)
    offset = -1
    for gauss, has_gauss, draws in ((1.2345678e-77, 1, 0), (9.8765432e77, 0, 700), (-3.14159265e55, 1, 3)):
        for _ in range(draws):
            probe.random_sample()
        state = probe.get_state(legacy=False)
        state.update(gauss=gauss, has_gauss=has_gauss)
        probe.set_state(state)
        found = _unique_offset(bytes(memory), _DOUBLE.pack(gauss))
        if found < 8 or found % 8 or offset not in (-1, found):
            return -1
        if _POSITION.unpack_from(memory, found - 8)[0] != has_gauss:
            return -1
        if bytes(twister[:_KEY_BYTES]) != state["state"]["key"].tobytes():
            return -1
        if _POSITION.unpack_from(twister, _KEY_BYTES)[0] != state["state"]["pos"]:
            return -1
        offset = found
    return offset


def numpy_access(source: Any) -> tuple[Getter, Setter] | None:
    """Return functions that read and set the state of a `RandomState`: key, position, has_gauss, gauss.

    The getter returns b"" and the setter False if numpy's own must be used: for another bit generator, and
    to set a different gauss.
    """
    import numpy as np

    generator = getattr(source, "_bit_generator", None)
    if type(source) is not np.random.RandomState or type(generator) is not np.random.MT19937:
        return None
    offset = _numpy_gauss_offset()
    if offset < 0:
        return None
    twister = _view(generator.ctypes.state_address, _STATE_BYTES)
    memory = _view(id(source), offset + 8)
    has_gauss, gauss = memory[offset - 8 : offset - 4], memory[offset:]
    lock = generator.lock

    def get() -> bytes:
        # A program may replace the bit generator of numpy's global stream.
        if source._bit_generator is not generator:
            return b""
        with lock:
            return b"".join((twister, has_gauss, gauss))

    def put(data: bytes) -> bool:
        if source._bit_generator is not generator or len(data) != _STATE_BYTES + 12:
            return False
        if not 0 <= _POSITION.unpack_from(data, _KEY_BYTES)[0] <= _WORDS:
            return False
        with lock:
            if data[_STATE_BYTES:] != b"".join((has_gauss, gauss)):
                return False
            twister[:] = data[:_STATE_BYTES]
        return True

    return get, put
