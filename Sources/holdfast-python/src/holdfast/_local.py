"""Paths of this machine: what looks like another place's is refused, not made a directory here."""

from __future__ import annotations

import os
import re
from pathlib import Path

from ._errors import HoldfastError, PathLike

# `pathlib` makes one slash of two. A scheme of one letter would be a drive.
_URL = re.compile(r"[A-Za-z][A-Za-z0-9+.-]+:/")


def local_path(path: PathLike) -> Path:
    """Return `path` for use here.

    Raises:
        HoldfastError: it is a URL.
    """
    text = os.fspath(path)
    if isinstance(text, str) and _URL.match(text):
        raise HoldfastError(
            f"'{text}' is a URL, and checkpoints are saved and loaded on this machine only",
            hint="name a directory; copy a checkpoint's whole directory to or from remote storage",
        )
    return Path(text)
