"""Private names of other libraries: accessed in one file per library, and checked before training.

Each compatibility file defines views of a library's objects, which map private names to names of this
package. A version that lacks a private name is refused when training starts, as a run might silently differ.
"""

from __future__ import annotations

from typing import Any

from ._errors import HoldfastError

Version = tuple[int, int]


class Private:
    """An attribute of a view: a private name of the target object.

    In versions without the name it is None, and setting it does nothing.

    Args:
        name: the library's name.
        since: the first version that has it, major and minor.
        until: the first version that no longer has it.
    """

    def __init__(self, name: str, *, since: Version = (0, 0), until: Version = (1_000_000, 0)) -> None:
        self.name = name
        self.since = since
        self.until = until

    def __get__(self, view: View, owner: type) -> Any:
        """Return the object's attribute of that name."""
        return getattr(view.target, self.name, None)

    def __set__(self, view: View, value: Any) -> None:
        """Set the object's attribute of that name."""
        if hasattr(view.target, self.name):
            setattr(view.target, self.name, value)


class View:
    """An object of another library, with names of this package for its private attributes."""

    def __init__(self, target: Any) -> None:
        self.target = target

    def missing(self, version: str) -> list[str]:
        """Return the private names that the object lacks although that version should have them."""
        kind, now = type(self.target).__name__, _number(version)
        return [
            f"{kind}.{one.name}"
            for cls in type(self).__mro__
            for one in vars(cls).values()
            if isinstance(one, Private)
            and one.since <= now < one.until
            and not hasattr(self.target, one.name)
        ]


def _number(version: str) -> Version:
    major, minor, *_ = [*version.split("."), "0"]
    return int(major), int(minor) if minor.isdigit() else 0


def require(library: str, version: str, supported: str, missing: list[str]) -> None:
    """Refuse a version of a library that lacks private names.

    Raises:
        HoldfastError: a name is missing.
    """
    if missing:
        raise HoldfastError(
            f"{library} {version} is not supported: it has no {', '.join(missing)}",
            hint=f"use {library} {supported}, or a newer holdfast",
        )
