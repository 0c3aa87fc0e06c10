"""Private names of other libraries: read through one place for each library, and checked before training.

Each compatibility file has views of a library's objects: its private names under ours. A version that
lacks one is refused when training starts; else a run might silently go another way.
"""

from __future__ import annotations

from typing import Any

from ._errors import HoldfastError


class Private:
    """An attribute of a view: a private name of the object that it is of.

    Args:
        name: the library's.
        is_optional: whether some supported versions lack it. It is then None there, and is not set.
    """

    def __init__(self, name: str, *, is_optional: bool = False) -> None:
        self.name = name
        self.is_optional = is_optional

    def __get__(self, view: View, owner: type) -> Any:
        """Return what the object has under the name."""
        return getattr(view.target, self.name, None) if self.is_optional else getattr(view.target, self.name)

    def __set__(self, view: View, value: Any) -> None:
        """Set it on the object."""
        if not self.is_optional or hasattr(view.target, self.name):
            setattr(view.target, self.name, value)


class View:
    """An object of another library, with names of ours for its private ones."""

    def __init__(self, target: Any) -> None:
        self.target = target

    def missing(self) -> list[str]:
        """Return the private names that the object lacks."""
        kind = type(self.target).__name__
        return [
            f"{kind}.{one.name}"
            for cls in type(self).__mro__
            for one in vars(cls).values()
            if isinstance(one, Private) and not one.is_optional and not hasattr(self.target, one.name)
        ]


def require(library: str, version: object, supported: str, missing: list[str]) -> None:
    """Refuse a version of a library that lacks private names.

    Raises:
        HoldfastError: something is missing.
    """
    if missing:
        raise HoldfastError(
            f"{library} {version} is not supported: it has no {', '.join(missing)}",
            hint=f"use {library} {supported}, or a newer holdfast",
        )
