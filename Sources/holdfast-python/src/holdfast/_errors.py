"""The exception of the package."""

from __future__ import annotations

import os
from typing import Union

PathLike = Union[str, "os.PathLike[str]"]


class HoldfastError(Exception):
    """A run could not be attached, recorded, saved or restored.

    Attributes:
        what: what happened.
        hint: what to do about it.
        path: the file or directory concerned, or None.
    """

    def __init__(self, what: str, *, hint: str, path: PathLike | None = None) -> None:
        self.what = what
        self.hint = hint
        self.path = None if path is None else os.fspath(path)
        where = "" if self.path is None else f" ({self.path})"
        super().__init__(f"{what}{where}; {hint}")
