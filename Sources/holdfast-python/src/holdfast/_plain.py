"""Encodes and decodes Python values that JSON lacks: times, exact numbers, named tuples, generators.

Of the classes that a program defines, only named tuples are looked up, by the name in the image and among
imported modules. Creating one runs none of the program's code.
"""

from __future__ import annotations

import argparse
import array
import base64
import collections
import datetime
import decimal
import fractions
import pathlib
import random
import sys
from typing import Any, Callable

from ._decode import Decoder, add_decoder
from ._encode import Encode, Encoder, Node, add_encoder, python, refuse

_FACTORIES: dict[str, Any] = {
    kind.__name__: kind for kind in (int, float, complex, bool, str, bytes, list, dict, set, tuple)
}
_FACTORIES["deque"] = collections.deque
_FACTORIES["Counter"] = collections.Counter


def _named(encoder: Encoder, value: Any, path: str, depth: int) -> Node:
    cls = type(value)
    return python(
        "namedtuple",
        encoder.node(list(value), path, depth + 1),
        type=f"{cls.__module__}:{cls.__qualname__}",
        fields=list(cls._fields),
    )


def _decode_named(decoder: Decoder, node: Node) -> Any:
    fields = tuple(node["fields"])
    module, _, name = node["type"].partition(":")
    cls: Any = sys.modules.get(module)
    for part in name.split("."):
        cls = getattr(cls, part, None)
    if not is_named_tuple(cls) or cls._fields != fields:
        # The class is defined within a function, or no longer exists.
        cls = _named_tuple_like(name.rpartition(".")[2], fields)
    values = decoder.value(node["value"])
    if len(values) != len(fields):
        raise ValueError("wrong number of fields")
    return tuple.__new__(cls, values)


def _named_tuple_like(name: str, fields: tuple[str, ...]) -> Any:
    make: Any = collections.namedtuple
    return make(name, fields)


def is_named_tuple(cls: Any) -> bool:
    """Return whether an object is a class from `typing.NamedTuple` or `collections.namedtuple`."""
    return (
        isinstance(cls, type)
        and issubclass(cls, tuple)
        and isinstance(getattr(cls, "_fields", None), tuple)
        and cls.__new__ is not tuple.__new__
        and tuple in cls.__bases__
    )


def _default(encoder: Encoder, value: Any, path: str, depth: int) -> Node:
    factory = value.default_factory
    name = None if factory is None else getattr(factory, "__name__", "")
    if factory is not None and _FACTORIES.get(name or "") is not factory:
        raise refuse(
            path,
            "defaultdict whose factory is a function of the program",
            "register the defaultdict itself, or use a dict and setdefault()",
        )
    return python("defaultdict", encoder.node(dict(value), path, depth + 1), factory=name)


def _decode_default(decoder: Decoder, node: Node) -> Any:
    name = node["factory"]
    return collections.defaultdict(None if name is None else _FACTORIES[name], decoder.value(node["value"]))


def _array(encoder: Encoder, value: Any, path: str, depth: int) -> Node:
    if value.typecode == "u":
        raise refuse(path, "array of characters", "use a str instead")
    return python(
        "array.array", {"$data": base64.b64encode(value.tobytes()).decode()}, typecode=value.typecode
    )


def _decode_array(decoder: Decoder, node: Node) -> Any:
    return array.array(node["typecode"], decoder.value(node["value"]))


def _random(encoder: Encoder, value: Any, path: str, depth: int) -> Node:
    return python("random.Random", encoder.node(value.getstate(), path, depth + 1))


def _decode_random(decoder: Decoder, node: Node) -> Any:
    made = random.Random()
    made.setstate(decoder.value(node["value"]))
    return made


def _datetime(_: Encoder, value: Any, path: str, depth: int) -> Node:
    zone = value.tzinfo
    if zone is not None and type(zone) is not datetime.timezone:
        raise refuse(path, f"time in the zone {zone}", "convert it to UTC: value.astimezone(timezone.utc)")
    return python(type(value).__name__, value.isoformat(), fold=value.fold)


def _simple(kind: str, to_node: Callable[[Any], Node]) -> Encode:
    return lambda encoder, value, path, depth: python(kind, to_node(value))


def _ranged(encoder: Encoder, value: range, path: str, depth: int) -> Node:
    return python("range", encoder.node([value.start, value.stop, value.step], path, depth + 1))


def _namespace(encoder: Encoder, value: Any, path: str, depth: int) -> Node:
    encoder.enter(value, path, depth)
    node = python("namespace", encoder.node(dict(vars(value)), path, depth + 1))
    encoder.leave(value)
    return node


for _type, _encode in {
    argparse.Namespace: _namespace,
    collections.defaultdict: _default,
    array.array: _array,
    random.Random: _random,
    datetime.datetime: _datetime,
    datetime.time: _datetime,
    datetime.date: _simple("date", lambda value: value.isoformat()),
    datetime.timedelta: _simple("timedelta", lambda value: [value.days, value.seconds, value.microseconds]),
    decimal.Decimal: _simple("decimal", str),
    fractions.Fraction: _simple("fraction", str),
    range: _ranged,
    type(pathlib.Path()): _simple("path", str),
    pathlib.PurePosixPath: _simple("path", str),
}.items():
    add_encoder(_type, _encode)

for _kind, _decode in {
    "namedtuple": _decode_named,
    "namespace": lambda decoder, node: argparse.Namespace(**decoder.value(node["value"])),
    "defaultdict": _decode_default,
    "array.array": _decode_array,
    "random.Random": _decode_random,
    "datetime": lambda decoder, node: datetime.datetime.fromisoformat(node["value"]).replace(
        fold=node["fold"]
    ),
    "time": lambda decoder, node: datetime.time.fromisoformat(node["value"]).replace(fold=node["fold"]),
    "date": lambda decoder, node: datetime.date.fromisoformat(node["value"]),
    "timedelta": lambda decoder, node: datetime.timedelta(*node["value"]),
    "decimal": lambda decoder, node: decimal.Decimal(node["value"]),
    "fraction": lambda decoder, node: fractions.Fraction(node["value"]),
    "range": lambda decoder, node: range(*decoder.value(node["value"])),
    "path": lambda decoder, node: pathlib.Path(node["value"]),
}.items():
    add_decoder(_kind, _decode)


def encoder_of(value: Any) -> Encode | None:
    """Return the encoder for a value whose class the program defines; None if it is not supported."""
    return _named if is_named_tuple(type(value)) else None
