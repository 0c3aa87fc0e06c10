"""Local paths: a URL is refused, since it would otherwise become a directory on this machine."""

from __future__ import annotations

import os
import re
from pathlib import Path

from ._errors import HoldfastError, PathLike

# `pathlib` merges two slashes into one. A scheme of one letter would be a drive.
_URL = re.compile(r"[A-Za-z][A-Za-z0-9+.-]+:/")


def is_url(path: PathLike) -> bool:
    """Return whether a path is a URL."""
    text = os.fspath(path)
    return isinstance(text, str) and _URL.match(text) is not None


def local_path(path: PathLike) -> Path:
    """Return `path` as a local path.

    Raises:
        HoldfastError: it is a URL.
    """
    text = os.fspath(path)
    if is_url(text):
        raise HoldfastError(
            f"'{text}' is a URL; checkpoints are saved and loaded on this machine only",
            hint="use a local directory, and copy whole checkpoint directories to or from remote storage",
        )
    return Path(text)
