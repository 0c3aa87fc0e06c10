"""Files of Lightning at a URL, by fsspec, which Lightning itself uses."""

from __future__ import annotations

import io
import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from .._errors import HoldfastError
from .._local import is_url


def write(url: str, data: memoryview, storage_options: dict[str, Any]) -> None:
    """Write a file, which becomes visible when it is complete, and compare its size.

    Raises:
        HoldfastError: the storage fails, or the package for it is not installed.
    """
    with _failures("cannot save the checkpoint", url):
        system, path = _filesystem(url, storage_options)
        parent = path.rpartition("/")[0]
        if parent:
            system.makedirs(parent, exist_ok=True)
        with system.transaction, system.open(path, "wb") as file:
            file.write(data)
        size = system.size(path)
        if size != data.nbytes:
            raise OSError(f"{size} of {data.nbytes} bytes are there")


def read(url: str, storage_options: dict[str, Any]) -> io.BytesIO:
    """Return the contents of a file.

    Raises:
        HoldfastError: there is none, or the storage fails.
    """
    with _failures("cannot read the checkpoint", url):
        system, path = _filesystem(url, storage_options)
        return io.BytesIO(system.cat_file(path))


def remove(url: str, storage_options: dict[str, Any]) -> None:
    """Remove a file or a directory, if it exists.

    Raises:
        HoldfastError: the storage fails.
    """
    with _failures("cannot remove the checkpoint", url):
        system, path = _filesystem(url, storage_options)
        if system.exists(path):
            system.rm(path, recursive=True)


def _filesystem(url: str, storage_options: dict[str, Any]) -> tuple[Any, str]:
    from fsspec.core import url_to_fs

    system, path = url_to_fs(url, **storage_options)
    return system, str(path)


@contextmanager
def _failures(what: str, url: str) -> Iterator[None]:
    try:
        yield
    except (ImportError, OSError, ValueError) as error:
        raise HoldfastError(
            f"{what}: {error}",
            path=os.fspath(url),
            hint="check the URL and its storage_options, and that fsspec has the package for it",
        ) from error


__all__ = ["is_url", "read", "remove", "write"]
