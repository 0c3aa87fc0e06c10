"""Lightning's own files, published whole or not at all."""

from __future__ import annotations

import glob
import io
import os
import shlex
import shutil
from pathlib import Path
from typing import Any

import torch

from .._errors import HoldfastError, PathLike
from .._local import local_path
from . import _namespaces


class HoldfastCheckpointIO:
    """Publish Lightning's own `.ckpt` files safely: `Trainer(plugins=[HoldfastCheckpointIO()])`.

    A file is written aside, made durable, and only then given its name; the name is durable before
    `save_checkpoint` returns, so that what Lightning removes afterwards was replaced. Lightning itself
    writes to the final name and makes nothing durable. Local files only. Works with and without a
    supervisor, and beside the `Holdfast` callback, which needs no such files.

    Args:
        weights_only: load with torch's own unpickler of tensors and plain values, which runs no code.
            Files with hyperparameters of other types cannot be loaded so.
    """

    def __new__(cls, *args: Any, **kwargs: Any) -> HoldfastCheckpointIO:
        """Make the plugin one of the Lightning that the program uses."""
        return object.__new__(_namespaces.mixed(cls, "plugins.io", "CheckpointIO"))

    def __init__(self, *, weights_only: bool = False) -> None:
        self._weights_only = weights_only

    def save_checkpoint(
        self, checkpoint: dict[str, Any], path: PathLike, storage_options: Any | None = None
    ) -> None:
        """Save a checkpoint.

        Args:
            checkpoint: what the trainer dumped.
            path: of the file; its directory is made.
            storage_options: of remote storage: there is none.

        Raises:
            HoldfastError: the disk is full or fails. Nothing is left then, and an older file of that name is
                still whole.
        """
        if storage_options is not None:
            raise TypeError("HoldfastCheckpointIO writes local files, and takes no storage_options")
        target = local_path(path)
        aside = _aside(target)
        # Not straight into the file: where writing fails, torch's own writer ends the whole process.
        data = io.BytesIO()
        torch.save(checkpoint, data)
        try:
            _make_directory(target.parent)
            _remove_unfinished(target)
            try:
                with aside.open("xb") as file:
                    file.write(data.getbuffer())
                    file.flush()
                    os.fsync(file.fileno())
                if target.is_dir():
                    raise IsADirectoryError(21, "a directory has this name")
                aside.replace(target)
            except BaseException:
                aside.unlink(missing_ok=True)
                raise
            _sync(target.parent)
        except OSError as error:
            raise HoldfastError(
                f"the checkpoint could not be saved: {error.strerror or error}",
                path=target,
                hint=f"df {shlex.quote(str(target.parent))}",
            ) from error

    def load_checkpoint(
        self, path: PathLike, map_location: Any | None = None, weights_only: bool | None = None
    ) -> dict[str, Any]:
        """Load a checkpoint.

        Args:
            path: of the file.
            map_location: where tensors go; None: the CPU.
            weights_only: in place of what the plugin was made with; newer Lightnings give it.

        Raises:
            HoldfastError: there is no such file, or it is damaged.
        """
        source = local_path(path)
        chosen = self._weights_only if weights_only is None else weights_only
        if not source.is_file():
            raise HoldfastError(
                "there is no such checkpoint", path=source, hint=f"ls {shlex.quote(str(source.parent))}"
            )
        try:
            return dict(torch.load(source, map_location=map_location or "cpu", weights_only=chosen))
        except (RuntimeError, EOFError, OSError) as error:
            raise HoldfastError(
                f"the checkpoint cannot be read: {error}", path=source, hint="use an older one"
            ) from error

    def remove_checkpoint(self, path: PathLike) -> None:
        """Remove a checkpoint, a file or a directory; one that is not there is no error.

        Raises:
            HoldfastError: it cannot be removed.
        """
        target = local_path(path)
        try:
            if target.is_dir() and not target.is_symlink():
                # Out of the way first: what is left of a directory by a crash must not look like one.
                aside = _aside(target)
                shutil.rmtree(target.rename(aside))
            else:
                target.unlink()
            _sync(target.parent)
        except FileNotFoundError:
            return
        except OSError as error:
            raise HoldfastError(
                f"the checkpoint could not be removed: {error.strerror}",
                path=target,
                hint=f"ls -l {shlex.quote(str(target.parent))}",
            ) from error

    def teardown(self) -> None:
        """End: there is nothing to wait for."""


def _aside(target: Path) -> Path:
    """Return a name that no one takes for a checkpoint's; `_remove_unfinished` knows it again."""
    return target.with_name(f".{target.name}.{os.urandom(8).hex()}")


def _remove_unfinished(target: Path) -> None:
    """Remove what kills have left of this file: the run that goes on saves it again, once for each kill."""
    for left in target.parent.glob(f".{glob.escape(target.name)}.{'[0-9a-f]' * 16}"):
        if left.is_dir():
            shutil.rmtree(left)
        else:
            left.unlink(missing_ok=True)


def _make_directory(directory: Path) -> None:
    """Make a directory and its parents, each durable in its own parent."""
    if directory.is_dir():
        return
    _make_directory(directory.parent)
    directory.mkdir(exist_ok=True)
    _sync(directory.parent)


def _sync(directory: Path) -> None:
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
