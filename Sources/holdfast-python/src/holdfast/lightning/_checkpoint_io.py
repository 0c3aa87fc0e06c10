"""Atomic writes of Lightning's own checkpoint files."""

from __future__ import annotations

import glob
import io
import os
import shlex
import shutil
from pathlib import Path
from typing import Any

import torch

from .. import _export
from .._errors import HoldfastError, PathLike
from .._local import local_path
from . import _namespaces


class HoldfastCheckpointIO:
    """Write Lightning's own `.ckpt` files atomically: `Trainer(plugins=[HoldfastCheckpointIO()])`.

    A file is written under a temporary name, synced and renamed. The directory is synced before
    `save_checkpoint` returns, so that a file that Lightning removes afterwards has a durable replacement.
    Lightning itself writes to the final name and syncs nothing. Local files only. Works with and without a
    supervisor, and with the `Holdfast` callback, which does not need such files.

    Args:
        weights_only: load with torch's unpickler for tensors and plain values, which runs no code.
            Files with hyperparameters of other types cannot be loaded like this.
    """

    def __new__(cls, *args: Any, **kwargs: Any) -> HoldfastCheckpointIO:
        """Create the plugin as a subclass of the Lightning package that the program uses."""
        return object.__new__(_namespaces.mixed(cls, "plugins.io", "CheckpointIO"))

    def __init__(self, *, weights_only: bool = False) -> None:
        self._weights_only = weights_only

    def save_checkpoint(
        self, checkpoint: dict[str, Any], path: PathLike, storage_options: Any | None = None
    ) -> None:
        """Save a checkpoint.

        Args:
            checkpoint: what the trainer dumped.
            path: of the file; its directory is created.
            storage_options: must be None: remote storage is not supported.

        Raises:
            HoldfastError: the disk is full or fails. Nothing is left behind, and an older file of that name
                is unchanged.
            TypeError: `storage_options` was given.
        """
        if storage_options is not None:
            raise TypeError(
                "HoldfastCheckpointIO writes local files only and does not support storage_options"
            )
        target = local_path(path)
        temporary = _temporary_name(target)
        # Not directly into the file: if writing fails, torch's writer ends the whole process.
        data = io.BytesIO()
        torch.save(checkpoint, data)
        try:
            _make_directory(target.parent)
            _remove_unfinished(target)
            try:
                with temporary.open("xb") as file:
                    file.write(data.getbuffer())
                    file.flush()
                    os.fsync(file.fileno())
                if target.is_dir():
                    raise IsADirectoryError(21, "a directory has this name")
                temporary.replace(target)
            except BaseException:
                temporary.unlink(missing_ok=True)
                raise
            _sync(target.parent)
        except OSError as error:
            raise HoldfastError(
                f"cannot save the checkpoint: {error.strerror or error}",
                path=target,
                hint=f"df {shlex.quote(str(target.parent))}",
            ) from error

    def load_checkpoint(
        self, path: PathLike, map_location: Any | None = None, weights_only: bool | None = None
    ) -> dict[str, Any]:
        """Load a checkpoint.

        Args:
            path: of the file, or the directory of one of the supervisor's checkpoints.
            map_location: where tensors go; None: the CPU.
            weights_only: overrides the plugin's setting; newer versions of Lightning pass it.

        Raises:
            HoldfastError: there is no such file, or it is damaged.
        """
        source = local_path(path)
        if (source / "manifest.json").is_file():
            return _export.lightning_checkpoint(source, map_location or "cpu")
        chosen = self._weights_only if weights_only is None else weights_only
        if not source.is_file():
            raise HoldfastError(
                "no such checkpoint", path=source, hint=f"ls {shlex.quote(str(source.parent))}"
            )
        try:
            return dict(torch.load(source, map_location=map_location or "cpu", weights_only=chosen))
        except (RuntimeError, EOFError, OSError) as error:
            raise HoldfastError(
                f"cannot read the checkpoint: {error}", path=source, hint="use an older checkpoint"
            ) from error

    def remove_checkpoint(self, path: PathLike) -> None:
        """Remove a checkpoint, which is a file or a directory. It is not an error if it does not exist.

        Raises:
            HoldfastError: it cannot be removed.
        """
        target = local_path(path)
        try:
            if target.is_dir() and not target.is_symlink():
                # Renamed first: after a crash, the remains of a directory must not look like a checkpoint.
                temporary = _temporary_name(target)
                shutil.rmtree(target.rename(temporary))
            else:
                target.unlink()
            _sync(target.parent)
        except FileNotFoundError:
            return
        except OSError as error:
            raise HoldfastError(
                f"cannot remove the checkpoint: {error.strerror}",
                path=target,
                hint=f"ls -l {shlex.quote(str(target.parent))}",
            ) from error

    def teardown(self) -> None:
        """Do nothing: there are no pending writes."""


def _temporary_name(target: Path) -> Path:
    """Return a name that does not look like a checkpoint's, and that `_remove_unfinished` recognizes."""
    return target.with_name(f".{target.name}.{os.urandom(8).hex()}")


def _remove_unfinished(target: Path) -> None:
    """Remove temporary files of this checkpoint, which killed processes have left behind."""
    for left in target.parent.glob(f".{glob.escape(target.name)}.{'[0-9a-f]' * 16}"):
        if left.is_dir():
            shutil.rmtree(left)
        else:
            left.unlink(missing_ok=True)


def _make_directory(directory: Path) -> None:
    """Create a directory and its parents, and sync the parent of each."""
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
