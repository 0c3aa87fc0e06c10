"""torch's tensors as leaves of a state."""

from __future__ import annotations

from typing import Any

import torch

from ._decode import Decoder, Stored, add_decoder
from ._encode import Encode, Encoder, Leaf, Node, python, refuse
from ._errors import HoldfastError

# safetensors names and sizes in bytes of the stored elements, for the dtypes of the installed torch.
DTYPES: dict[Any, tuple[str, int]] = {}
NAMES: dict[str, Any] = {}
for _name, _stored, _size in (
    ("bool", "BOOL", 1),
    ("uint8", "U8", 1),
    ("int8", "I8", 1),
    ("float8_e5m2", "F8_E5M2", 1),
    ("float8_e4m3fn", "F8_E4M3", 1),
    ("uint16", "U16", 2),
    ("int16", "I16", 2),
    ("float16", "F16", 2),
    ("bfloat16", "BF16", 2),
    ("uint32", "U32", 4),
    ("int32", "I32", 4),
    ("float32", "F32", 4),
    ("uint64", "U64", 8),
    ("int64", "I64", 8),
    ("float64", "F64", 8),
):
    if hasattr(torch, _name):
        DTYPES[getattr(torch, _name)] = (_stored, _size)
        NAMES[_stored] = getattr(torch, _name)
# Dtypes stored as another one with the same bits: (view as, whether a dimension is added).
_VIEWED: dict[Any, tuple[Any, bool]] = {torch.complex64: (torch.float32, True)}
_VIEWED[torch.complex128] = (torch.float64, True)
NAMES["C64"] = torch.complex64
# Written as bytes, which every version of safetensors reads; read under both names.
for _name, _stored in (
    ("float8_e4m3fnuz", "F8_E4M3FNUZ"),
    ("float8_e5m2fnuz", "F8_E5M2FNUZ"),
    ("float8_e8m0fnu", "F8_E8M0"),
    ("float4_e2m1fn_x2", "F4"),
):
    if hasattr(torch, _name):
        _VIEWED[getattr(torch, _name)] = (torch.uint8, False)
        NAMES[_stored] = getattr(torch, _name)
if hasattr(torch, "complex32"):
    _VIEWED[torch.complex32] = (torch.float16, True)


def put(views: Any, offset: int, size: int, source: Any) -> None:
    """Copy a tensor from any device into an image, in row-major order."""
    target = views.torch[offset : offset + size].view(source.dtype).view(source.shape)
    if source.is_cuda:
        views.accelerator = True
        target.copy_(source, non_blocking=True)
    else:
        target.copy_(source)


def _put_viewed(views: Any, offset: int, size: int, source: Any) -> None:
    put(views, offset, size, _stored_view(source))


def _stored_view(source: Any) -> Any:
    stored, adds = _VIEWED[source.dtype]
    if adds:
        return torch.view_as_real(source.resolve_conj())
    return source.contiguous().view(stored)


def encoder_of(value: Any) -> Encode | None:
    """Return the encoder for a value of torch; None for other values."""
    if isinstance(value, torch.Tensor):
        if type(value) not in (torch.Tensor, torch.nn.Parameter, torch.nn.Buffer if _HAS_BUFFER else None):
            return None
        return tensor
    if isinstance(value, torch.Size):
        return lambda encoder, value, path, depth: python("size", list(value))
    if isinstance(value, torch.dtype):
        return lambda encoder, value, path, depth: python("torch.dtype", str(value).split(".")[-1])
    if isinstance(value, torch.device):
        return lambda encoder, value, path, depth: python("device", str(value))
    return None


_HAS_BUFFER = hasattr(torch.nn, "Buffer")


def tensor(encoder: Encoder, value: Any, path: str, depth: int) -> Node:
    """Return the node of a tensor; a tensor with exactly the memory of an earlier one gets its name."""
    dtype = value.dtype
    known = DTYPES.get(dtype)
    if (known is None and dtype not in _VIEWED) or value.layout is not torch.strided or value.is_meta:
        raise _refused(value, path)
    shape = tuple(value.shape)
    if value.numel():
        key = (value.data_ptr(), dtype, shape, value.stride(), value.is_conj() or value.is_neg())
        shared = encoder.shared.get(key)
        if shared is None:
            node = _leaf(encoder, value, path, known, shape)
            encoder.shared[key] = node["$tensor"]
        else:
            node = {"$tensor": shared}
    else:
        node = _leaf(encoder, value, path, known, shape)
    more: dict[str, Node] = {}
    if known is None:
        more["dtype"] = str(dtype).split(".")[-1]
    if value.device.type != "cpu":
        more["device"] = str(value.device)
    if value.requires_grad:
        more["requires_grad"] = True
    if type(value) is torch.nn.Parameter:
        more["parameter"] = True
    return python("tensor", node, **more) if more else node


def _leaf(encoder: Encoder, value: Any, path: str, known: Any, shape: tuple[int, ...]) -> Node:
    source = value.detach() if value.requires_grad else value
    if known is not None:
        name, itemsize = known
        if source.is_neg():
            source = source.resolve_neg()
        return encoder.add(path, Leaf("", name, shape, itemsize, source.numel() * itemsize, source, put))
    stored, adds = _VIEWED[value.dtype]
    name, itemsize = DTYPES[stored]
    if adds:
        shape = (*shape, 2)
    size = source.numel() * itemsize * (2 if adds else 1)
    return encoder.add(path, Leaf("", name, shape, itemsize, size, source, _put_viewed))


def _refused(value: Any, path: str) -> Exception:
    if value.is_quantized:
        return refuse(path, "quantized tensor", "save its int_repr(), scale and zero point")
    if value.is_meta:
        return refuse(path, "tensor on the meta device, without data", "materialize it first")
    if value.layout is not torch.strided:
        return refuse(path, f"tensor of layout {value.layout}", "save its indices and values")
    return refuse(path, f"tensor of {value.dtype}", "convert it to another dtype")


def _decode_tensor(decoder: Decoder, node: Node) -> Any:
    return decoder.shared("tensor", node, lambda stored: _decoded(stored, node, decoder.copy, decoder.device))


def _decoded(stored: Stored, node: Node, copy: bool, device: Any) -> Any:
    """Decode a tensor from an image.

    Args:
        stored: the tensor in the image; its bytes are writable if `copy` is False.
        node: contains dtype, device and flags that differ from the stored elements.
        copy: whether the tensor gets memory of its own.
        device: device for the tensor; None: the one it was saved from, if it exists.
    """
    data, dtype, shape = stored.data, stored.dtype, stored.shape
    if dtype not in NAMES:
        raise HoldfastError(
            f"the installed torch has no dtype for {dtype}", hint="load it with a newer torch, or with numpy"
        )
    elements = NAMES[dtype]
    if dtype == "F4":
        # torch counts pairs.
        shape = (*shape[:-1], shape[-1] // 2)
    if len(data):
        value = torch.frombuffer(data, dtype=torch.uint8)
        if copy:
            value = value.clone()
        value = value.view(elements).view(shape)
    else:
        value = torch.empty(shape, dtype=elements)
    name = node.get("dtype")
    if name is not None:
        target = _dtype_of(name)
        value = torch.view_as_complex(value) if _VIEWED[target][1] else value.view(target)
    if device is None:
        device = node.get("device")
        if device is not None and str(device).startswith("cuda") and not torch.cuda.is_available():
            device = None
    if device is not None:
        value = value.to(device)
    if node.get("parameter"):
        return torch.nn.Parameter(value, requires_grad=bool(node.get("requires_grad")))
    return value.requires_grad_() if node.get("requires_grad") else value


def _dtype_of(name: Any) -> Any:
    found = getattr(torch, str(name), None)
    if not isinstance(found, torch.dtype):
        raise ValueError(f"the installed torch has no dtype {name}")
    return found


add_decoder("tensor", _decode_tensor)
add_decoder("size", lambda _, node: torch.Size(node["value"]))
add_decoder("torch.dtype", lambda _, node: _dtype_of(node["value"]))
add_decoder("device", lambda _, node: torch.device(node["value"]))
