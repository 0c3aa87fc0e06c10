"""Decodes the JSON tree of an image and its tensors into a state. Never runs code from an image."""

from __future__ import annotations

import base64
import binascii
import struct
from collections import Counter, OrderedDict, deque
from typing import Any, Callable, NamedTuple

from . import _registry
from ._encode import PYTHON, Node
from ._errors import HoldfastError
from ._torch_compatibility import set_state_metadata


class Stored(NamedTuple):
    """A tensor in an image."""

    dtype: str
    shape: tuple[int, ...]
    data: memoryview


def damaged(what: str) -> HoldfastError:
    """Return the error for an invalid image."""
    return HoldfastError(
        f"the image is damaged: {what}",
        hint="run 'holdfast checkpoints verify', and use an older checkpoint",
    )


class Decoder:
    """Decodes nodes. All nodes that name the same tensor share one tensor again.

    Args:
        tensors: of the image, by name.
        find: returns the function that decodes a kind of value not seen before; None if it is unknown.
        copy: whether tensors get memory of their own, or are views of the image's bytes.
        device: device for torch tensors; None: the one they were saved from.
    """

    def __init__(
        self,
        tensors: dict[str, Stored],
        find: Callable[[str], Decode | None],
        *,
        copy: bool = True,
        device: Any = None,
    ) -> None:
        self._tensors = tensors
        self._find = find
        self.copy = copy
        self.device = device
        self._shared: dict[tuple[str, str], Any] = {}

    def value(self, node: Node) -> Any:
        """Return the value of a node.

        Raises:
            HoldfastError: it is damaged, or of a kind that this version does not support.
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
            raise damaged(f"{key} is not text") if key in _TAGS else _unknown(key)
        try:
            if key == "$tensor":
                return self._decoder_function("tensor")(self, {"value": {key: text}})
            if key == "$real":
                return float(text)
            if key == "$bits":
                return struct.unpack(">d", int(text, 16).to_bytes(8, "big"))[0]
            if key == "$data":
                return base64.b64decode(text, validate=True)
        except (ValueError, OverflowError, binascii.Error) as error:
            raise damaged(f"invalid {key} '{text[:40]}' ({error})") from error
        raise _unknown(key)

    def shared(self, kind: str, node: Node, decode: Callable[[Stored], Any]) -> Any:
        """Return the tensor or array that a node names; it is decoded once for all nodes with that name."""
        name = node["value"]["$tensor"]
        key = (kind, name)
        if key not in self._shared:
            stored = self._tensors.get(name)
            if stored is None:
                raise damaged(f"tensor '{name}' is missing")
            self._shared[key] = decode(stored)
        return self._shared[key]

    def _decoder_function(self, kind: Any) -> Decode:
        decode = _decoders.get(kind) or self._find(str(kind))
        if decode is None:
            raise _unknown(f"$python {kind}")
        return decode

    def _python(self, node: Node) -> Any:
        kind = node[PYTHON]
        try:
            return self._decoder_function(kind)(self, node)
        except (KeyError, TypeError, ValueError, OverflowError) as error:
            raise damaged(f"invalid {kind} ({error!r})") from error


Decode = Callable[[Decoder, Node], Any]

_TAGS = ("$tensor", "$real", "$bits", "$data")


def _unknown(key: str) -> HoldfastError:
    return HoldfastError(f"the image contains a value of unknown kind {key}", hint="update holdfast")


def _dict(decoder: Decoder, node: Node) -> dict[Any, Any]:
    return {decoder.value(key): decoder.value(member) for key, member in node["value"]}


def _ordered(decoder: Decoder, node: Node) -> OrderedDict[Any, Any]:
    value: Any = OrderedDict(decoder.value(node["value"]))
    if "metadata" in node:
        set_state_metadata(value, decoder.value(node["metadata"]))
    return value  # type: ignore[no-any-return]


def _object(decoder: Decoder, node: Node) -> Any:
    entry = _registry.by_name.get(node["type"])
    if entry is None:
        raise HoldfastError(
            f"the image contains a value of type '{node['type']}', which is not registered",
            hint="call holdfast.register_type or holdfast.register_dataclass before loading",
        )
    return entry.load(decoder.value(node["value"]))


_decoders: dict[str, Decode] = {
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
}


def add_decoder(kind: str, decode: Decode) -> None:
    """Add the function that decodes a kind of value."""
    _decoders[kind] = decode


def known_decoder(kind: str) -> Decode | None:
    """Return the function that decodes a kind of value, if its module is loaded."""
    return _decoders.get(kind)
