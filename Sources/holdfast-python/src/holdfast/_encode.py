"""Encodes a state, a tree of Python values and tensors, as the JSON tree of an image and its tensors.

JSON values are encoded as they are. In addition to the tags that all readers of the project know, a value of
a Python type is an object with the key `$python` (written `$$python`, like every key that begins with `$`).
Other readers see an ordinary object; the Python decoder restores the value. The tree never contains code.
"""

from __future__ import annotations

import base64
import math
import struct
import unicodedata
from collections import Counter, OrderedDict, deque
from typing import Any, Callable

from . import _registry
from ._errors import HoldfastError
from ._torch_compatibility import state_metadata

PYTHON = "$$python"
# Levels of containers: readers accept 512, but Python's stack allows fewer.
DEEPEST = 200

Node = Any


class Leaf:
    """A tensor to be written: its source, and the function that copies its bytes into an image."""

    __slots__ = ("dtype", "itemsize", "name", "put", "shape", "size", "source")

    def __init__(
        self,
        name: str,
        dtype: str,
        shape: tuple[int, ...],
        itemsize: int,
        size: int,
        source: Any,
        put: Callable[[Any, int, int, Any], None],
    ) -> None:
        self.name = name
        self.dtype = dtype
        self.shape = shape
        self.itemsize = itemsize
        self.size = size
        # The reference keeps it alive: until the image is written its address identifies shared memory.
        self.source = source
        # put(views, offset, size, source)
        self.put = put


def python(kind: str, value: Node, **more: Node) -> Node:
    """Return the node of a Python value."""
    return {PYTHON: kind, "value": value, **more}


def escape(key: str) -> str:
    """Escape a key as JSON Pointer does (RFC 6901)."""
    return key.replace("~", "~0").replace("/", "~1") if "/" in key or "~" in key else key


def refuse(path: str, what: str, hint: str) -> HoldfastError:
    """Return the error for a value that cannot be saved."""
    return HoldfastError(f"cannot save '{path}': {what}", hint=hint)


class Encoder:
    """Encodes states; collects the tensors in `leaves`.

    Args:
        find: returns the function that encodes a type not seen before; None if it is unknown.
    """

    def __init__(self, find: Callable[[Any], Encode | None]) -> None:
        self._find = find
        self.leaves: list[Leaf] = []
        self._names: set[str] = set()
        self._open: set[int] = set()
        self.shared: dict[Any, str] = {}

    def node(self, value: Any, path: str, depth: int = 0) -> Node:
        """Return the node of a value.

        Raises:
            HoldfastError: it contains something that cannot be saved; the error names its path.
        """
        encode = _encoders.get(type(value)) or self._found(value, path)
        return encode(self, value, path, depth)

    def _found(self, value: Any, path: str) -> Encode:
        cls = type(value)
        found = _registered if cls in _registry.by_type else self._find(value)
        if found is None:
            raise refuse(
                path,
                f"values of type {cls.__module__}.{cls.__qualname__} are not supported",
                "leave it out, or use holdfast.register_type or holdfast.register_dataclass",
            )
        if found is not _registered:
            _encoders[cls] = found
        return found

    def add(self, path: str, leaf: Leaf) -> Node:
        """Add a tensor under a unique name; return its node."""
        # The only name that the format reserves; no other path ends with a slash.
        name = path + "/" if path == "__metadata__" else path
        # Some readers normalize keys: names must differ after normalization.
        key = name if name.isascii() else unicodedata.normalize("NFC", name)
        number = 2
        while key in self._names:
            name = f"{path}~{number}"
            key = name if name.isascii() else unicodedata.normalize("NFC", name)
            number += 1
        self._names.add(key)
        leaf.name = name
        self.leaves.append(leaf)
        return {"$tensor": name}

    def enter(self, value: object, path: str, depth: int) -> None:
        """Begin a container; refuse circular references and deep nesting."""
        if depth > DEEPEST:
            raise refuse(path[:200] + "…", f"it is nested deeper than {DEEPEST}", "flatten it")
        if id(value) in self._open:
            raise refuse(path, "it contains itself", "leave the reference out of the state")
        self._open.add(id(value))

    def leave(self, value: object) -> None:
        """End a container."""
        self._open.discard(id(value))


Encode = Callable[[Encoder, Any, str, int], Node]


def _plain(_: Encoder, value: Any, path: str, depth: int) -> Node:
    return value


def _text(_: Encoder, value: str, path: str, depth: int) -> Node:
    if value.isascii() or is_unicode(value):
        return value
    return python("text", {"$data": _base64(value.encode("utf-8", "surrogatepass"))})


def _integer(_: Encoder, value: int, path: str, depth: int) -> Node:
    return value if -(1 << 63) <= value < 1 << 63 else python("int", hex(value))


def real(value: float) -> Node:
    """Return the node of a float, which preserves every bit."""
    if math.isfinite(value):
        return {"$real": repr(value)}
    return {"$bits": struct.pack(">d", value).hex()}


def _real(_: Encoder, value: float, path: str, depth: int) -> Node:
    return real(value)


def _complex(_: Encoder, value: complex, path: str, depth: int) -> Node:
    return python("complex", [real(value.real), real(value.imag)])


def _base64(value: bytes) -> str:
    return base64.b64encode(value).decode("ascii")


def _bytes(_: Encoder, value: bytes, path: str, depth: int) -> Node:
    return {"$data": _base64(value)}


def _bytearray(_: Encoder, value: bytearray, path: str, depth: int) -> Node:
    return python("bytearray", {"$data": _base64(bytes(value))})


def _list(encoder: Encoder, value: Any, path: str, depth: int) -> list[Node]:
    encoder.enter(value, path, depth)
    node = [encoder.node(element, f"{path}/{index}", depth + 1) for index, element in enumerate(value)]
    encoder.leave(value)
    return node


def _sequence(kind: str) -> Encode:
    def encode(encoder: Encoder, value: Any, path: str, depth: int) -> Node:
        return python(kind, _list(encoder, value, path, depth + 1))

    return encode


def _deque(encoder: Encoder, value: deque[Any], path: str, depth: int) -> Node:
    return python("deque", _list(encoder, value, path, depth + 1), length=value.maxlen)


def is_unicode(text: str) -> bool:
    """Return whether a text has no lone surrogates, which UTF-8 cannot represent."""
    try:
        text.encode("utf-8")
    except UnicodeEncodeError:
        return False
    return True


def _is_plain(keys: list[Any]) -> bool:
    """Return whether every reader can use all keys as those of a JSON object."""
    ascii_only = True
    for key in keys:
        if type(key) is not str or key == "$python":
            return False
        ascii_only = ascii_only and key.isascii()
    if ascii_only:
        return True
    if not all(map(is_unicode, keys)):
        return False
    return len({unicodedata.normalize("NFC", key) for key in keys}) == len(keys)


def _dict(encoder: Encoder, value: dict[Any, Any], path: str, depth: int) -> Node:
    encoder.enter(value, path, depth)
    node: Node
    if _is_plain(list(value)):
        node = {
            ("$" + key if key[:1] == "$" else key): encoder.node(member, f"{path}/{escape(key)}", depth + 1)
            for key, member in value.items()
        }
    else:
        pairs = []
        for key, member in value.items():
            name = escape(key if isinstance(key, str) and is_unicode(key) else ascii(key))
            pairs.append(
                [
                    encoder.node(key, f"{path}/{name}~key", depth + 3),
                    encoder.node(member, f"{path}/{name}", depth + 3),
                ]
            )
        node = python("dict", pairs)
    encoder.leave(value)
    return node


def _ordered(encoder: Encoder, value: OrderedDict[Any, Any], path: str, depth: int) -> Node:
    node = python("ordered", _dict(encoder, value, path, depth + 1))
    # The versions of a module's submodules, with which `load_state_dict` reads older states.
    metadata = state_metadata(value)
    if metadata is not None:
        node["metadata"] = encoder.node(metadata, f"{path}~metadata", depth + 1)
    return node


def _counter(encoder: Encoder, value: Counter[Any], path: str, depth: int) -> Node:
    return python("counter", _dict(encoder, value, path, depth + 1))


def _registered(encoder: Encoder, value: Any, path: str, depth: int) -> Node:
    entry = _registry.by_type[type(value)]
    encoder.enter(value, path, depth)
    node = python("object", encoder.node(entry.save(value), path, depth + 1), type=entry.name)
    encoder.leave(value)
    return node


_encoders: dict[type, Encode] = {
    type(None): _plain,
    bool: _plain,
    int: _integer,
    float: _real,
    complex: _complex,
    str: _text,
    bytes: _bytes,
    bytearray: _bytearray,
    list: _list,
    tuple: _sequence("tuple"),
    set: _sequence("set"),
    frozenset: _sequence("frozenset"),
    deque: _deque,
    dict: _dict,
    OrderedDict: _ordered,
    Counter: _counter,
}


def add_encoder(cls: type, encode: Encode) -> None:
    """Add the function that encodes a type."""
    _encoders[cls] = encode
