"""Random streams: the global ones of `random`, numpy, torch and every CUDA device, and registered ones."""

from __future__ import annotations

import json
import random
import struct
import sys
from array import array
from collections.abc import Sequence
from functools import cache
from typing import Any, Callable, NamedTuple

from . import _mersenne
from ._errors import HoldfastError
from ._values import new_decoder, new_encoder


class Stream(NamedTuple):
    """A random stream: functions that read its state as bytes, and set it.

    `capture` and `restore` use the cheapest form, which is valid within this process only.
    """

    name: str
    get: Callable[[], bytes]
    set: Callable[[bytes], None]
    capture: Callable[[], Any]
    restore: Callable[[Any], None]


def _stream(name: str, get: Callable[[], bytes], put: Callable[[bytes], None]) -> Stream:
    return Stream(name, get, put, get, put)


def _python_bytes(source: Any) -> bytes:
    version, words, gauss = source.getstate()
    if version != 3:
        raise HoldfastError(f"unknown version {version} of a random state", hint="update holdfast")
    return array("I", words).tobytes() + _mersenne.GAUSS.pack(gauss is not None, gauss or 0.0)


def _set_python(source: Any, data: bytes) -> None:
    words = array("I")
    words.frombytes(data[: -_mersenne.GAUSS.size])
    has_gauss, gauss = _mersenne.GAUSS.unpack(data[-_mersenne.GAUSS.size :])
    source.setstate((3, tuple(words), gauss if has_gauss else None))


def _python_stream(name: str, source: Any) -> Stream:
    get = _mersenne.python_getter(source) or (lambda: _python_bytes(source))
    # The state that was restored last: usually it is the same again, since few loops draw from `random`.
    last: tuple[bytes, Any] = (b"", None)

    def restore(data: bytes) -> None:
        nonlocal last
        if data == last[0]:
            source.setstate(last[1])
            return
        _set_python(source, data)
        last = (data, source.getstate())

    return Stream(name, get, lambda data: _set_python(source, data), get, restore)


_NUMPY = struct.Struct("<I?3xd")


def _numpy_bytes(source: Any) -> bytes:
    state = source.get_state(legacy=False)
    if state["bit_generator"] != "MT19937":
        return _json_bytes(state)
    inner = state["state"]
    tail = _NUMPY.pack(inner["pos"], bool(state["has_gauss"]), state["gauss"])
    return inner["key"].tobytes() + tail  # type: ignore[no-any-return]


def _set_numpy(source: Any, data: bytes) -> None:
    import numpy as np

    if data[:1] == b"{" and len(data) != 624 * 4 + _NUMPY.size:
        source.set_state(_from_json(data))
        return
    position, has_gauss, gauss = _NUMPY.unpack(data[-_NUMPY.size :])
    if position > 624:
        raise ValueError(f"invalid position {position}")  # numpy would read past its key.
    key = np.frombuffer(data[: -_NUMPY.size], np.uint32)
    source.set_state(("MT19937", key, position, int(has_gauss), gauss))


def _numpy_stream(name: str, source: Any) -> Stream:
    access = _mersenne.numpy_access(source)
    if access is None:
        return _stream(name, lambda: _numpy_bytes(source), lambda data: _set_numpy(source, data))
    read, write = access

    def put(data: bytes) -> None:
        if not write(data):
            _set_numpy(source, data)

    return _stream(name, lambda: read() or _numpy_bytes(source), put)


def _json_bytes(state: Any) -> bytes:
    def plain(value: Any) -> Any:
        if isinstance(value, dict):
            return {key: plain(member) for key, member in value.items()}
        return value.tolist() if hasattr(value, "tolist") else value

    return json.dumps(new_encoder().node(plain(state), "generator"), separators=(",", ":")).encode()


def _from_json(data: bytes) -> Any:
    return new_decoder({}).value(json.loads(data))


def _torch_bytes(source: Any) -> bytes:
    return source.get_state().numpy().tobytes()  # type: ignore[no-any-return]


def _set_torch(source: Any, data: bytes) -> None:
    import torch

    source.set_state(torch.frombuffer(bytearray(data), dtype=torch.uint8))


def _torch_stream(name: str, source: Any) -> Stream:
    return Stream(
        name,
        lambda: _torch_bytes(source),
        lambda data: _set_torch(source, data),
        source.get_state,
        source.set_state,
    )


def _set_bit_generator(source: Any, data: bytes) -> None:
    source.bit_generator.state = _from_json(data)


def stream_of(name: str, source: Any) -> Stream | None:
    """Return the stream of a generator; None if the object is not one."""
    if isinstance(source, random.Random):
        return _python_stream(name, source)
    numpy = sys.modules.get("numpy")
    if numpy is not None and isinstance(source, numpy.random.RandomState):
        return _numpy_stream(name, source)
    if numpy is not None and isinstance(source, numpy.random.Generator):
        return _stream(
            name,
            lambda: _json_bytes(source.bit_generator.state),
            lambda data: _set_bit_generator(source, data),
        )
    torch = sys.modules.get("torch")
    if torch is not None and isinstance(source, torch.Generator):
        return _torch_stream(name, source)
    return None


def global_streams() -> Sequence[Stream]:
    """Return the global streams of all libraries imported so far."""
    numpy = sys.modules.get("numpy")
    torch = sys.modules.get("torch")
    has_torch = hasattr(torch, "default_generator")
    has_cuda = has_torch and torch is not None and torch.cuda.is_initialized()
    return _global_streams(hasattr(numpy, "random"), has_torch, has_cuda)


@cache
def _global_streams(has_numpy: bool, has_torch: bool, has_cuda: bool) -> Sequence[Stream]:
    streams = [_python_stream("python", random._inst)]
    if has_numpy:
        streams.append(_numpy_stream("numpy", sys.modules["numpy"].random.mtrand._rand))
    if has_torch:
        torch = sys.modules["torch"]
        streams.append(_torch_stream("torch", torch.default_generator))
        if has_cuda:
            streams += [_cuda(torch, index) for index in range(torch.cuda.device_count())]
    return tuple(streams)


def _cuda(torch: Any, index: int) -> Stream:
    def set_state(data: bytes) -> None:
        torch.cuda.set_rng_state(torch.frombuffer(bytearray(data), dtype=torch.uint8), index)

    return _stream(f"cuda.{index}", lambda: torch.cuda.get_rng_state(index).numpy().tobytes(), set_state)


def set_streams(streams: Sequence[Stream], saved: dict[str, bytes], *, path: str | None = None) -> list[str]:
    """Set streams to saved states; return the names of those that were not saved.

    Raises:
        HoldfastError: a state does not fit its stream.
    """
    missing = []
    for stream in streams:
        data = saved.get(stream.name)
        if data is None:
            missing.append(stream.name)
            continue
        try:
            stream.set(data)
        except (ValueError, TypeError, RuntimeError, KeyError, struct.error) as error:
            raise HoldfastError(
                f"the saved state of the random stream '{stream.name}' does not fit: {error}",
                path=path,
                hint="resume with the generators, devices and library versions that saved it",
            ) from error
    return missing
