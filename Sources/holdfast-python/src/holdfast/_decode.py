"""From the JSON tree of an image and its tensors back to a state. Nothing in it is run."""

from __future__ import annotations

import base64
import binascii
import struct
import sys
from collections import Counter, OrderedDict, deque
from importlib.util import find_spec
from typing import Any, Callable, NamedTuple

from . import _registry
from ._encode import PYTHON, Node
from ._errors import HoldfastError


class Stored(NamedTuple):
    """A tensor in an image."""

    dtype: str
    shape: tuple[int, ...]
    data: memoryview


def damaged(what: str) -> HoldfastError:
    """Return the error for an image that is none."""
    return HoldfastError(
        f"the image is damaged: {what}", hint="holdfast checkpoints verify; use an older one"
    )


class Decoder:
    """Makes states of nodes. Tensors that had one name are one tensor again.

    Args:
        tensors: of the image, by name.
        copy: whether tensors get memory of their own, or are views of the image's bytes.
        device: of torch's tensors; None: where they were.
    """

    def __init__(self, tensors: dict[str, Stored], *, copy: bool = True, device: Any = None) -> None:
        self._tensors = tensors
        self._copy = copy
        self._device = device
        self._made: dict[tuple[str, str], Any] = {}

    def value(self, node: Node) -> Any:
        """Return the value of a node.

        Raises:
            HoldfastError: it is damaged, or of a kind that this version does not know.
        """
        if isinstance(node, list):
            return [self.value(element) for element in node]
        if not isinstance(node, dict):
            return node
        if PYTHON in node:
            return self._python(node)
        if len(node) == 1:
            ((key, text),) = node.items()
            if key[:1] == "$" and key[:2] != "$$":
                return self._leaf(key, text)
        value = {}
        for key, member in node.items():
            if key[:1] == "$":
                if key[:2] != "$$":
                    raise _unknown(key)
                key = key[1:]
            value[key] = self.value(member)
        return value

    def _leaf(self, key: str, text: Any) -> Any:
        if not isinstance(text, str):
            raise damaged(f"{key} is no text") if key in _TAGS else _unknown(key)
        try:
            if key == "$tensor":
                return self._tensor(text, {})
            if key == "$real":
                return float(text)
            if key == "$bits":
                return struct.unpack(">d", int(text, 16).to_bytes(8, "big"))[0]
            if key == "$data":
                return base64.b64decode(text, validate=True)
        except (ValueError, OverflowError, binascii.Error) as error:
            raise damaged(f"{key} '{text[:40]}' is none ({error})") from error
        raise _unknown(key)

    def _stored(self, name: Any) -> Stored:
        stored = self._tensors.get(name)
        if stored is None:
            raise damaged(f"there is no tensor '{name}'")
        return stored

    def _tensor(self, name: str, node: Node) -> Any:
        made = self._made.get(("tensor", name))
        if made is None:
            stored = self._stored(name)
            if "torch" in sys.modules or find_spec("torch") is not None:
                from . import _torch_leaves

                made = _torch_leaves.decode(
                    stored.data, stored.dtype, stored.shape, node, self._copy, self._device
                )
            else:
                from . import _numpy_leaves

                made = _numpy_leaves.decode(
                    stored.data, stored.dtype, stored.shape, node.get("dtype"), self._copy
                )
            self._made["tensor", name] = made
        return made

    def _array(self, node: Node) -> Any:
        from . import _numpy_leaves

        name = node["value"]["$tensor"]
        made = self._made.get(("array", name))
        if made is None:
            stored = self._stored(name)
            made = _numpy_leaves.decode(
                stored.data, stored.dtype, stored.shape, node.get("dtype"), self._copy
            )
            self._made["array", name] = made
        return made

    def _python(self, node: Node) -> Any:
        kind = node[PYTHON]
        try:
            if kind == "tensor":
                return self._tensor(node["value"]["$tensor"], node)
            if kind == "array":
                return self._array(node)
            make = _makers.get(kind) or _later_maker(kind)
            if make is None:
                raise _unknown(f"$python {kind}")
            return make(self, node)
        except (KeyError, TypeError, ValueError, OverflowError) as error:
            raise damaged(f"a {kind} is none ({error!r})") from error


_TAGS = ("$tensor", "$real", "$bits", "$data")


def _unknown(key: str) -> HoldfastError:
    return HoldfastError(f"the image has an unknown kind of value {key}", hint="update holdfast")


def _dict(decoder: Decoder, node: Node) -> dict[Any, Any]:
    return {decoder.value(key): decoder.value(member) for key, member in node["value"]}


def _ordered(decoder: Decoder, node: Node) -> OrderedDict[Any, Any]:
    value: Any = OrderedDict(decoder.value(node["value"]))
    if "metadata" in node:
        value._metadata = decoder.value(node["metadata"])
    return value  # type: ignore[no-any-return]


def _object(decoder: Decoder, node: Node) -> Any:
    entry = _registry.by_name.get(node["type"])
    if entry is None:
        raise HoldfastError(
            f"the image has a value of type '{node['type']}', which is not registered here",
            hint="call holdfast.register_type or holdfast.register_dataclass before loading",
        )
    return entry.load(decoder.value(node["value"]))


def _scalar(decoder: Decoder, node: Node) -> Any:
    from . import _numpy_leaves

    return _numpy_leaves.scalar(decoder.value(node["value"]), node["dtype"])


def _numpy_dtype(_: Decoder, node: Node) -> Any:
    from . import _numpy_leaves

    return _numpy_leaves.dtype_of(node["value"])


def _torch(attribute: str) -> Callable[[Decoder, Node], Any]:
    def make(_: Decoder, node: Node) -> Any:
        import torch

        if attribute == "dtype":
            found = getattr(torch, str(node["value"]), None)
            if not isinstance(found, torch.dtype):
                raise ValueError(f"this torch has no type {node['value']}")
            return found
        return getattr(torch, attribute)(node["value"])

    return make


_makers: dict[str, Callable[[Decoder, Node], Any]] = {
    "text": lambda decoder, node: decoder.value(node["value"]).decode("utf-8", "surrogatepass"),
    "int": lambda decoder, node: int(node["value"], 16),
    "complex": lambda decoder, node: complex(*decoder.value(node["value"])),
    "bytearray": lambda decoder, node: bytearray(decoder.value(node["value"])),
    "tuple": lambda decoder, node: tuple(decoder.value(node["value"])),
    "set": lambda decoder, node: set(decoder.value(node["value"])),
    "frozenset": lambda decoder, node: frozenset(decoder.value(node["value"])),
    "deque": lambda decoder, node: deque(decoder.value(node["value"]), node["length"]),
    "dict": _dict,
    "ordered": _ordered,
    "counter": lambda decoder, node: Counter(decoder.value(node["value"])),
    "object": _object,
    "scalar": _scalar,
    "dtype": _numpy_dtype,
    "size": _torch("Size"),
    "torch.dtype": _torch("dtype"),
    "device": _torch("device"),
}


def add_maker(kind: str, make: Callable[[Decoder, Node], Any]) -> None:
    """Let images hold values of another kind."""
    _makers[kind] = make


def _later_maker(kind: Any) -> Any:
    """Return a maker that comes with a module which is imported when it is needed."""
    from . import _plain  # noqa: F401

    if str(kind).startswith("sklearn") and "sklearn" in sys.modules:
        from . import _sklearn  # noqa: F401
    if str(kind).startswith("numpy."):
        from . import _numpy_leaves  # noqa: F401
    return _makers.get(kind)


# Makers of other frameworks' arrays from numpy's, by kind; see `_encode.array_kinds`.


def add_array_kind(kind: str, from_numpy: Callable[[Any], Any]) -> None:
    """Let images hold arrays of another framework."""

    def make(decoder: Decoder, node: Node) -> Any:
        return from_numpy(decoder._array(node))

    _makers[kind] = make
