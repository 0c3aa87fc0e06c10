"""Random streams: the global ones of `random`, numpy and torch, every CUDA device's, registered ones."""

from __future__ import annotations

import json
import random
import struct
import sys
from array import array
from typing import Any, Callable, NamedTuple

from ._errors import HoldfastError


class Stream(NamedTuple):
    """One random stream: how its state is taken as bytes, and set."""

    name: str
    get: Callable[[], bytes]
    set: Callable[[bytes], None]


_GAUSS = struct.Struct("<?7xd")


def _python_bytes(source: Any) -> bytes:
    version, words, gauss = source.getstate()
    if version != 3:
        raise HoldfastError(f"random states of version {version} are not known", hint="update holdfast")
    return array("I", words).tobytes() + _GAUSS.pack(gauss is not None, gauss or 0.0)


def _set_python(source: Any, data: bytes) -> None:
    words = array("I")
    words.frombytes(data[: -_GAUSS.size])
    has_gauss, gauss = _GAUSS.unpack(data[-_GAUSS.size :])
    source.setstate((3, tuple(words), gauss if has_gauss else None))


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
    key = np.frombuffer(data[: -_NUMPY.size], np.uint32)
    source.set_state(("MT19937", key, position, int(has_gauss), gauss))


def _json_bytes(state: Any) -> bytes:
    from ._encode import Encoder

    def plain(value: Any) -> Any:
        if isinstance(value, dict):
            return {key: plain(member) for key, member in value.items()}
        return value.tolist() if hasattr(value, "tolist") else value

    return json.dumps(Encoder().node(plain(state), "generator"), separators=(",", ":")).encode()


def _from_json(data: bytes) -> Any:
    from ._decode import Decoder

    return Decoder({}).value(json.loads(data))


def _torch_bytes(source: Any) -> bytes:
    return source.get_state().numpy().tobytes()  # type: ignore[no-any-return]


def _set_torch(source: Any, data: bytes) -> None:
    import torch

    source.set_state(torch.frombuffer(bytearray(data), dtype=torch.uint8))


def _set_bit_generator(source: Any, data: bytes) -> None:
    source.bit_generator.state = _from_json(data)


def stream_of(name: str, source: Any) -> Stream | None:
    """Return the stream of a generator object; None when it is none."""
    if isinstance(source, random.Random):
        return Stream(name, lambda: _python_bytes(source), lambda data: _set_python(source, data))
    numpy = sys.modules.get("numpy")
    if numpy is not None and isinstance(source, numpy.random.RandomState):
        return Stream(name, lambda: _numpy_bytes(source), lambda data: _set_numpy(source, data))
    if numpy is not None and isinstance(source, numpy.random.Generator):
        return Stream(
            name,
            lambda: _json_bytes(source.bit_generator.state),
            lambda data: _set_bit_generator(source, data),
        )
    torch = sys.modules.get("torch")
    if torch is not None and isinstance(source, torch.Generator):
        return Stream(name, lambda: _torch_bytes(source), lambda data: _set_torch(source, data))
    return None


def global_streams() -> list[Stream]:
    """Return the global streams of what is imported by now."""
    streams = [Stream("python", lambda: _python_bytes(random), lambda data: _set_python(random, data))]
    numpy = sys.modules.get("numpy")
    if numpy is not None and hasattr(numpy, "random"):
        streams.append(
            Stream("numpy", lambda: _numpy_bytes(numpy.random), lambda data: _set_numpy(numpy.random, data))
        )
    torch = sys.modules.get("torch")
    if torch is not None and hasattr(torch, "default_generator"):
        source = torch.default_generator
        streams.append(Stream("torch", lambda: _torch_bytes(source), lambda data: _set_torch(source, data)))
        if torch.cuda.is_available() and torch.cuda.is_initialized():
            streams += [_cuda(torch, index) for index in range(torch.cuda.device_count())]
    return streams


def _cuda(torch: Any, index: int) -> Stream:
    def set_state(data: bytes) -> None:
        torch.cuda.set_rng_state(torch.frombuffer(bytearray(data), dtype=torch.uint8), index)

    return Stream(f"cuda.{index}", lambda: torch.cuda.get_rng_state(index).numpy().tobytes(), set_state)


def set_streams(streams: list[Stream], saved: dict[str, bytes], *, path: str | None = None) -> list[str]:
    """Set streams to saved states; returns the names of those that nothing was saved of."""
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
