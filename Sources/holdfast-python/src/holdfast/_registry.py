"""Types that a program adds to those that states may contain."""

from __future__ import annotations

import dataclasses
from typing import Any, Callable, NamedTuple, TypeVar

Value = TypeVar("Value")


class Registered(NamedTuple):
    """The functions that save and load values of one type."""

    name: str
    save: Callable[[Any], object]
    load: Callable[[Any], object]


by_type: dict[type, Registered] = {}
by_name: dict[str, Registered] = {}


def register_type(
    cls: type, save: Callable[[Any], object], load: Callable[[Any], object], *, name: str | None = None
) -> None:
    """Allow values of a type in states.

    Args:
        cls: the type. Subclasses must be registered separately.
        save: returns the state of a value.
        load: returns a value from that state. It gets data from a file that may be untrusted, and must only
            construct values.
        name: the name under which the type is stored; by default that of the class.

    Raises:
        ValueError: another type is registered under that name.
    """
    entry = Registered(name or cls.__qualname__, save, load)
    known = by_name.get(entry.name)
    if known is not None and by_type.get(cls) is not known:
        raise ValueError(f"another type is registered as '{entry.name}'; give this one another name")
    by_type[cls] = entry
    by_name[entry.name] = entry


def register_dataclass(cls: type[Value]) -> type[Value]:
    """Allow values of a dataclass in states; its fields are saved by name. Can be used as a decorator."""
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
