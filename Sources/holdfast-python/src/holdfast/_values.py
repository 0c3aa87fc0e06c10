"""All kinds of values that a state may contain; their modules are imported when they are needed."""

from __future__ import annotations

import sys
from importlib.util import find_spec
from typing import Any

from . import _plain, _sklearn
from ._decode import Decode, Decoder, Stored, known_decoder
from ._encode import Encode, Encoder


def new_encoder() -> Encoder:
    """Return an encoder for states of all kinds of values."""
    return Encoder(_encoder_of)


def new_decoder(tensors: dict[str, Stored], *, copy: bool = True, device: Any = None) -> Decoder:
    """Return a decoder for states of all kinds of values; the arguments are those of `Decoder`."""
    return Decoder(tensors, _decoder_of, copy=copy, device=device)


def _encoder_of(value: Any) -> Encode | None:
    found = _plain.encoder_of(value) or _sklearn.encoder_of(value)
    if found is None and "torch" in sys.modules:
        from . import _torch_leaves

        found = _torch_leaves.encoder_of(value)
    if found is None and "numpy" in sys.modules:
        from . import _numpy_leaves

        found = _numpy_leaves.encoder_of(value)
    return found


def _decoder_of(kind: str) -> Decode | None:
    if kind == "tensor" and "torch" not in sys.modules and find_spec("torch") is None:
        from . import _numpy_leaves

        return _numpy_leaves.decode_tensor
    if kind == "jax":
        if find_spec("jax") is None:
            from . import _numpy_leaves

            return _numpy_leaves.decode_array
        from . import jax  # noqa: F401
    elif kind in ("tensor", "size", "torch.dtype", "device"):
        from . import _torch_leaves  # noqa: F401
    elif kind in ("array", "scalar", "dtype") or kind.startswith("numpy."):
        from . import _numpy_leaves
    return known_decoder(kind)
