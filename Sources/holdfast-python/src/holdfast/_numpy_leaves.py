"""numpy's arrays and scalars as leaves of a state."""

from __future__ import annotations

import base64
import re
from typing import Any, Callable

import numpy as np

from ._decode import Decoder, Stored, add_decoder
from ._encode import PYTHON, Encode, Encoder, Leaf, Node, python, refuse
from ._errors import HoldfastError

_BIT_GENERATORS = ("MT19937", "PCG64", "PCG64DXSM", "Philox", "SFC64")

# By numpy's name; bfloat16 and float8 are from ml_dtypes.
DTYPES: dict[str, tuple[str, int]] = {
    "bool": ("BOOL", 1),
    "uint8": ("U8", 1),
    "int8": ("I8", 1),
    "float8_e5m2": ("F8_E5M2", 1),
    "float8_e4m3fn": ("F8_E4M3", 1),
    "uint16": ("U16", 2),
    "int16": ("I16", 2),
    "float16": ("F16", 2),
    "bfloat16": ("BF16", 2),
    "uint32": ("U32", 4),
    "int32": ("I32", 4),
    "float32": ("F32", 4),
    "uint64": ("U64", 8),
    "int64": ("I64", 8),
    "float64": ("F64", 8),
}
NAMES = {dtype: name for name, (dtype, _) in DTYPES.items()}
# Read only; written as bytes, or as pairs of reals.
NAMES.update(
    F8_E8M0="float8_e8m0fnu", F8_E4M3FNUZ="float8_e4m3fnuz", F8_E5M2FNUZ="float8_e5m2fnuz", C64="complex64"
)
_ML_DTYPE = re.compile(r"b?float\d+(_e\d+m\d+[a-z0-9]*)?|u?int[124]")
COMPLEX = {"complex64": ("float32", "F32", 4), "complex128": ("float64", "F64", 8)}


def put(views: Any, offset: int, size: int, source: Any) -> None:
    """Copy an array into an image, in row-major order."""
    target = views.numpy[offset : offset + size].view(source.dtype).reshape(source.shape)
    target[...] = source


# Conversions of arrays of other frameworks: is_kind(value), kind, to_numpy(value).
_array_kinds: list[tuple[Callable[[Any], bool], str, Callable[[Any], Any]]] = []


def add_array_kind(
    kind: str,
    is_kind: Callable[[Any], bool],
    to_numpy: Callable[[Any], Any],
    from_numpy: Callable[[Any], Any],
) -> None:
    """Add a kind of arrays of another framework, stored like numpy's."""
    _array_kinds.append((is_kind, kind, to_numpy))
    add_decoder(kind, lambda decoder, node: from_numpy(decode_array(decoder, node)))


def _array_encoder(kind: str, to_numpy: Callable[[Any], Any]) -> Encode:
    return lambda encoder, value, path, depth: array(encoder, to_numpy(value), path, kind)


def encoder_of(value: Any) -> Encode | None:
    """Return the encoder for a numpy value or an array of an added framework; None for other values."""
    if type(value) is np.ndarray:
        return _array_encoder("array", lambda value: value)
    if isinstance(value, np.generic):
        return _scalar
    if isinstance(value, np.dtype):
        return _dtype
    if type(value) in (np.random.RandomState, np.random.Generator):
        return _generator
    for is_kind, kind, to_numpy in _array_kinds:
        if is_kind(value):
            return _array_encoder(kind, to_numpy)
    return None


def _generator(encoder: Encoder, value: Any, path: str, depth: int) -> Node:
    is_old = type(value) is np.random.RandomState
    state = value.get_state(legacy=False) if is_old else value.bit_generator.state
    if state["bit_generator"] not in _BIT_GENERATORS:
        raise refuse(path, f"generator of kind {state['bit_generator']}", "use numpy's own bit generators")
    kind = "numpy.RandomState" if is_old else "numpy.Generator"
    return python(kind, encoder.node(_with_lists(state), path, depth + 1))


def _with_lists(state: Any) -> Any:
    """Return a generator's state with lists instead of arrays, which would be stored as tensors."""
    if isinstance(state, dict):
        return {key: _with_lists(member) for key, member in state.items()}
    return state.tolist() if isinstance(state, (np.ndarray, np.generic)) else state


def _decode_generator(decoder: Decoder, node: Node) -> Any:
    state = decoder.value(node["value"])
    name = state["bit_generator"]
    if name not in _BIT_GENERATORS:
        raise ValueError(f"unknown bit generator {name}")
    source = getattr(np.random, name)()
    if node[PYTHON] == "numpy.RandomState":
        made = np.random.RandomState(source)
        made.set_state(_checked(state))
        return made
    source.state = _checked(state)
    return np.random.Generator(source)


def _checked(state: Any) -> Any:
    # numpy does not check it, and would read past the key.
    if state["bit_generator"] == "MT19937" and not 0 <= state["state"]["pos"] <= 624:
        raise ValueError("position out of range")
    return state


def decode_tensor(decoder: Decoder, node: Node) -> Any:
    """Decode a tensor as an array, if torch is not installed."""
    return decoder.shared("tensor", node, lambda stored: _decoded(stored, node.get("dtype"), decoder.copy))


def decode_array(decoder: Decoder, node: Node) -> Any:
    """Decode an array of numpy, or one of JAX if that is not installed."""
    return decoder.shared("array", node, lambda stored: _decoded(stored, node.get("dtype"), decoder.copy))


def _decode_scalar(decoder: Decoder, node: Node) -> Any:
    return np.frombuffer(decoder.value(node["value"]), dtype_of(node["dtype"]))[0]


add_decoder("array", decode_array)
add_decoder("scalar", _decode_scalar)
add_decoder("dtype", lambda _, node: dtype_of(node["value"]))
add_decoder("numpy.RandomState", _decode_generator)
add_decoder("numpy.Generator", _decode_generator)


def array(encoder: Encoder, value: Any, path: str, kind: str) -> Node:
    """Return the node of an array; `kind` is the kind of array that it is decoded to."""
    dtype = value.dtype
    name = dtype.name
    if dtype.hasobject:
        raise refuse(path, "array of Python objects", "use a list instead")
    if name in DTYPES and not (dtype.byteorder == ">" and dtype.itemsize > 1):
        stored, shape, more = value, value.shape, {}
        dtype_name, itemsize = DTYPES[name]
    elif name in COMPLEX and dtype.byteorder != ">":
        part, dtype_name, itemsize = COMPLEX[name]
        shape, more = (*value.shape, 2), {"dtype": name}
        stored = np.ascontiguousarray(value).reshape(-1).view(part).reshape(shape)
    elif dtype.names is None and dtype.subdtype is None and dtype.itemsize:
        # Text, times, long doubles and big-endian numbers are stored as bytes.
        dtype_name, itemsize = "U8", 1
        shape, more = (*value.shape, dtype.itemsize), {"dtype": _name(dtype)}
        stored = np.frombuffer(value.tobytes(), np.uint8).reshape(shape)
    else:
        raise refuse(path, f"array of {dtype}", "save its fields as separate arrays")
    if more or not value.size:
        return python(kind, _leaf(encoder, path, dtype_name, shape, itemsize, stored), **more)
    key = (value.__array_interface__["data"][0], dtype.str, value.shape, value.strides)
    shared = encoder.shared.get(key)
    if shared is not None:
        return python(kind, {"$tensor": shared})
    node = _leaf(encoder, path, dtype_name, shape, itemsize, stored)
    encoder.shared[key] = node["$tensor"]
    return python(kind, node)


def _leaf(
    encoder: Encoder, path: str, dtype: str, shape: tuple[int, ...], itemsize: int, stored: Any
) -> Node:
    return encoder.add(path, Leaf("", dtype, shape, itemsize, stored.nbytes, stored, put))


def _scalar(_: Encoder, value: Any, path: str, depth: int) -> Node:
    dtype = value.dtype
    if dtype.hasobject or dtype.names is not None:
        raise refuse(path, f"scalar of {dtype}", "use a plain value instead")
    name = _name(dtype)
    data = base64.b64encode(value.tobytes()).decode("ascii")
    return python("scalar", {"$data": data}, dtype=name)


def _dtype(_: Encoder, value: Any, path: str, depth: int) -> Node:
    if value.names is not None or value.subdtype is not None:
        raise refuse(path, f"dtype {value}", "save the dtypes of its fields")
    return python("dtype", _name(value))


def _name(dtype: Any) -> str:
    is_named = dtype.name in DTYPES and dtype.byteorder != ">"
    return str(dtype.name if is_named or dtype.type.__module__ == "ml_dtypes" else dtype.str)


def dtype_of(name: str) -> Any:
    """Return a dtype by its stored name; those of ml_dtypes only if it is installed."""
    try:
        return np.dtype(name)
    except TypeError:
        if not _ML_DTYPE.fullmatch(name):
            raise
    import ml_dtypes  # type: ignore[import-not-found,unused-ignore]

    return np.dtype(getattr(ml_dtypes, name))


def _decoded(stored: Stored, name: str | None, copy: bool) -> Any:
    """Decode an array from an image.

    Args:
        stored: the tensor in the image.
        name: the array's dtype, if it differs from that of the stored elements.
        copy: whether the array gets memory of its own.
    """
    data, dtype, shape = stored.data, stored.dtype, stored.shape
    flat = np.frombuffer(data, np.uint8)
    if copy or not flat.flags.writeable:
        flat = flat.copy()
    if name is None:
        if dtype not in NAMES:
            raise HoldfastError(f"numpy has no dtype for {dtype}", hint="load it with torch 2.8 or newer")
        return flat.view(dtype_of(NAMES[dtype])).reshape(shape)
    if name in COMPLEX:
        return flat.view(name).reshape(shape[:-1])
    return flat.view(dtype_of(name)).reshape(shape[:-1])
