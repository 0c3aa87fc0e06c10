"""Types that a program adds to those that a state may hold."""

from __future__ import annotations

import dataclasses
from typing import Any, Callable, NamedTuple, TypeVar

Value = TypeVar("Value")


class Registered(NamedTuple):
    """How values of one type are saved and made again."""

    name: str
    save: Callable[[Any], object]
    load: Callable[[Any], object]


by_type: dict[type, Registered] = {}
by_name: dict[str, Registered] = {}


def register_type(
    cls: type, save: Callable[[Any], object], load: Callable[[Any], object], *, name: str | None = None
) -> None:
    """Let states hold values of a type.

    Args:
        cls: the type itself; subclasses are registered on their own.
        save: gives a state for a value.
        load: makes a value from that state. Called with whatever is in a file: it must only build data.
        name: under which it is stored; the class's own name if not given.
    """
    entry = Registered(name or cls.__qualname__, save, load)
    known = by_name.get(entry.name)
    if known is not None and by_type.get(cls) is not known:
        raise ValueError(f"another type is registered as '{entry.name}'; give this one another name")
    by_type[cls] = entry
    by_name[entry.name] = entry


def register_dataclass(cls: type[Value]) -> type[Value]:
    """Let states hold values of a dataclass: its fields are saved by name. Usable as a decorator."""
    fields = [field.name for field in dataclasses.fields(cls)]  # type: ignore[arg-type]

    def save(value: object) -> dict[str, object]:
        return {name: getattr(value, name) for name in fields}

    def load(state: dict[str, object]) -> object:
        value = object.__new__(cls)
        for name in fields:
            object.__setattr__(value, name, state[name])
        return value

    register_type(cls, save, load)
    return cls
