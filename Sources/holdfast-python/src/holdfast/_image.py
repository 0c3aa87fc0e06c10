"""A state image: a safetensors file whose metadata contain the loop state and the tree of the state."""

from __future__ import annotations

import base64
import json
import struct
import sys
import unicodedata
from math import prod
from typing import Any, NamedTuple

from ._decode import Decoder, Stored, damaged
from ._encode import Leaf, escape, is_unicode
from ._errors import HoldfastError
from ._values import new_decoder, new_encoder

STATE = "holdfast.state"
LOOP = "holdfast.loop_state"
LARGEST_HEADER = 100_000_000
# All element types of safetensors 0.8. Those smaller than a byte are packed.
_BITS = {
    "BOOL": 8, "F4": 4, "F6_E2M3": 6, "F6_E3M2": 6, "U8": 8, "I8": 8, "F8_E5M2": 8, "F8_E4M3": 8,
    "F8_E8M0": 8, "F8_E4M3FNUZ": 8, "F8_E5M2FNUZ": 8, "U16": 16, "I16": 16, "F16": 16, "BF16": 16,
    "U32": 32, "I32": 32, "F32": 32, "C64": 64, "U64": 64, "I64": 64, "F64": 64,
}  # fmt: skip


class Part(NamedTuple):
    """The state of one random stream or sampler: `rng`, `sampler` or `other`."""

    kind: str
    name: str
    data: bytes


class LoopState(NamedTuple):
    """The position of a loop."""

    step: int = 0
    epoch: int = 0
    batch: int = 0
    samples: int = 0
    parts: tuple[Part, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """Return its JSON form, which all languages share."""
        return {
            "step": self.step,
            "epoch": self.epoch,
            "batch": self.batch,
            "samples": self.samples,
            "parts": [
                {"kind": part.kind, "name": part.name, "bytes": base64.b64encode(part.data).decode("ascii")}
                for part in self.parts
            ],
        }

    @staticmethod
    def from_json(document: Any) -> LoopState:
        """Read it from its JSON form."""
        parts = tuple(
            Part(part["kind"], part["name"], base64.b64decode(part["bytes"], validate=True))
            for part in document["parts"]
        )
        numbers = [document[name] for name in ("step", "epoch", "batch", "samples")]
        if not all(isinstance(number, int) and number >= 0 for number in numbers):
            raise ValueError("invalid counter")
        return LoopState._make((*numbers, parts))


class Views:
    """The bytes of an image that is being written, as an array of each framework."""

    def __init__(self, data: memoryview) -> None:
        self._data = data
        self._torch: Any = None
        self._numpy: Any = None
        self.accelerator = False

    @property
    def torch(self) -> Any:
        """A tensor of bytes over the image."""
        if self._torch is None:
            import torch

            self._torch = torch.frombuffer(self._data, dtype=torch.uint8)
        return self._torch

    @property
    def numpy(self) -> Any:
        """An array of bytes over the image."""
        if self._numpy is None:
            import numpy

            self._numpy = numpy.frombuffer(self._data, numpy.uint8)
        return self._numpy


class FlatState(NamedTuple):
    """States, separated into the JSON tree of each component and the tensors."""

    nodes: dict[str, Any]
    leaves: list[Leaf]


def flatten(states: dict[str, Any]) -> FlatState:
    """Separate states into trees and tensors. The tensors are referenced, not copied."""
    encoder = new_encoder()
    for name in states:
        if not is_unicode(name):
            raise HoldfastError(
                f"the name {name!a} of a component is not valid Unicode",
                hint="register it under another name",
            )
    if len({unicodedata.normalize("NFC", name) for name in states}) != len(states):
        raise HoldfastError(
            "two components have the same name, with different encodings of its characters",
            hint="rename one that a hook of on_save_checkpoint adds",
        )
    try:
        nodes = {name: encoder.node(state, escape(name)) for name, state in states.items()}
    except RecursionError as error:
        raise HoldfastError("the state is nested too deeply to be saved", hint="flatten it") from error
    return FlatState(nodes, encoder.leaves)


class ImageWriter:
    """Computes the layout of an image, then writes it. Every tensor is copied once, from its own memory."""

    def __init__(self, state: FlatState, loop: LoopState) -> None:
        # Larger elements first: this aligns every tensor. Tensors of one element size are sorted by name.
        self._leaves = sorted(state.leaves, key=lambda leaf: (-leaf.itemsize, leaf.name))
        header: dict[str, Any] = {
            "__metadata__": {
                "format": "holdfast",
                LOOP: _dump(loop.to_json()),
                STATE: _dump(state.nodes),
            }
        }
        offset = 0
        for leaf in self._leaves:
            end = offset + leaf.size
            header[leaf.name] = {"dtype": leaf.dtype, "shape": leaf.shape, "data_offsets": (offset, end)}
            offset = end
        text = _dump(header).encode("utf-8")
        self._header = text + b" " * (-len(text) % 8)
        if len(self._header) > LARGEST_HEADER:
            raise damaged(f"its header would have {len(self._header)} bytes")
        self.size = 8 + len(self._header) + offset

    def write(self, target: memoryview) -> None:
        """Write the image into exactly `size` bytes."""
        offset = 8 + len(self._header)
        target[:8] = struct.pack("<Q", len(self._header))
        target[8:offset] = self._header
        views = Views(target)
        for leaf in self._leaves:
            if leaf.size:
                leaf.put(views, offset, leaf.size, leaf.source)
                offset += leaf.size
        if views.accelerator:
            sys.modules["torch"].cuda.synchronize()

    def to_bytes(self) -> bytearray:
        """Return the image as bytes."""
        data = bytearray(self.size)
        self.write(memoryview(data))
        return data


def _dump(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


class ImageReader:
    """Reads an image. Invalid bytes raise an error; no code is run."""

    def __init__(self, data: memoryview) -> None:
        metadata, self.tensors = _read_header(data)
        self.nodes = None if STATE not in metadata else _parse(metadata[STATE], "state")
        if self.nodes is not None and not isinstance(self.nodes, dict):
            raise damaged("its state is not an object")
        self.loop: LoopState | None = None
        if LOOP in metadata:
            try:
                self.loop = LoopState.from_json(_parse(metadata[LOOP], "loop state"))
            except (KeyError, TypeError, ValueError) as error:
                raise damaged("invalid loop state") from error

    def component(self, name: str, *, copy: bool = True, device: Any = None) -> Any:
        """Return one component's state."""
        if self.nodes is None:
            raise damaged(f"it has no '{STATE}'; another program wrote this file")
        return self.decoder(copy=copy, device=device).value(self.nodes[name])

    def decoder(self, *, copy: bool = True, device: Any = None) -> Decoder:
        """Return a decoder for the nodes of this image."""
        return new_decoder(self.tensors, copy=copy, device=device)


def _parse(text: Any, what: str) -> Any:
    def unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        members = dict(pairs)
        if len(members) != len(pairs):
            raise ValueError("duplicate key")
        return members

    try:
        return json.loads(text, object_pairs_hook=unique)
    except (ValueError, TypeError, RecursionError) as error:
        raise damaged(f"its {what} is not valid JSON ({error})") from error


def _read_header(data: memoryview) -> tuple[dict[str, Any], dict[str, Stored]]:
    if len(data) < 8:
        raise damaged(f"it has only {len(data)} bytes")
    length = struct.unpack_from("<Q", data)[0]
    if length > min(LARGEST_HEADER, len(data) - 8):
        raise damaged(f"its header of {length} bytes is too long or truncated")
    start = 8 + length
    header = _parse(bytes(data[8:start]), "header")
    if not isinstance(header, dict):
        raise damaged("its header is not an object")
    metadata = header.pop("__metadata__", {})
    if not isinstance(metadata, dict) or not all(isinstance(text, str) for text in metadata.values()):
        raise damaged("its metadata are not text")
    tensors: dict[str, Stored] = {}
    spans = []
    for name, entry in header.items():
        dtype, shape, begin, end = _entry(name, entry)
        if begin > end or end > len(data) - start:
            raise damaged(f"'{name}' extends beyond the end of the file")
        tensors[name] = Stored(dtype, shape, data[start + begin : start + end])
        spans.append((begin, end, name))
    reached = 0
    for begin, end, name in sorted(spans):
        if begin != reached:
            raise damaged(f"there is a gap or an overlap before '{name}'")
        reached = end
    if reached != len(data) - start:
        raise damaged(f"it has {len(data) - start} bytes of tensors, expected {reached}")
    return metadata, tensors


def _entry(name: str, entry: Any) -> tuple[str, tuple[int, ...], int, int]:
    try:
        dtype, shape = entry["dtype"], tuple(entry["shape"])
        begin, end = entry["data_offsets"]
        numbers = (*shape, begin, end)
        if not all(type(number) is int and number >= 0 for number in numbers):
            raise ValueError("invalid number")
        if dtype not in _BITS:
            raise ValueError(f"unknown dtype {dtype}")
        if prod(shape) * _BITS[dtype] != (end - begin) * 8:
            raise ValueError("its shape does not match its size")
        if begin * 8 % max(8, _BITS[dtype]):
            raise ValueError("it is not aligned")
    except (KeyError, TypeError, ValueError) as error:
        raise damaged(f"invalid tensor '{name}' ({error})") from error
    return dtype, shape, begin, end
