"""Atomic writes of Lightning's own checkpoint files."""

from __future__ import annotations

import ctypes
import glob
import inspect
import io
import os
import shlex
import shutil
from pathlib import Path
from typing import Any, Callable

import torch

from .. import _export
from .._errors import HoldfastError, PathLike
from .._host import on_host
from .._local import local_path
from . import _namespaces, _remote


class HoldfastCheckpointIO:
    """Write Lightning's own `.ckpt` files atomically: `Trainer(plugins=[HoldfastCheckpointIO()])`.

    A file is written under a temporary name, synced and renamed. The directory is synced before
    `save_checkpoint` returns, so that a file that Lightning removes afterwards has a durable replacement.
    Lightning itself writes to the final name and syncs nothing. Works with and without a supervisor, and with
    the `Holdfast` callback, which does not need such files. Arrays of XLA are copied to the host first.

    It composes with other plugins: `AsyncCheckpointIO(HoldfastCheckpointIO())` saves in the background, and
    `HoldfastCheckpointIO(OtherIO())` makes the files or directories of another plugin atomic and durable.
    `Trainer(strategy=SingleDeviceStrategy(device, checkpoint_io=HoldfastCheckpointIO()))` works, too.

    Args:
        checkpoint_io: the plugin that determines what is written; None: a file of `torch.save`.
        weights_only: load with torch's unpickler for tensors and plain values, which runs no code.
            Files with hyperparameters of other types cannot be loaded like this.

    Raises:
        HoldfastError: `checkpoint_io` saves in the background, so that it is not known when it is done.
    """

    def __new__(cls, *args: Any, **kwargs: Any) -> HoldfastCheckpointIO:
        """Create the plugin as a subclass of the Lightning package that the program uses."""
        return object.__new__(_namespaces.mixed(cls, "plugins.io", "CheckpointIO"))

    def __init__(self, checkpoint_io: Any = None, *, weights_only: bool = False) -> None:
        if any(one.__name__ == "AsyncCheckpointIO" for one in type(checkpoint_io).__mro__):
            raise HoldfastError(
                "HoldfastCheckpointIO cannot wait for a plugin that saves in the background",
                hint="put it inside: AsyncCheckpointIO(HoldfastCheckpointIO())",
            )
        self._inner = checkpoint_io
        # Of the last save: Lightning passes none when it loads or removes.
        self._storage_options: dict[str, Any] = {}
        self._weights_only = weights_only

    def save_checkpoint(
        self, checkpoint: dict[str, Any], path: PathLike, storage_options: Any | None = None
    ) -> None:
        """Save a checkpoint.

        Args:
            checkpoint: what the trainer dumped.
            path: of the file; its directory is created. Or a URL of fsspec, such as `s3://bucket/one.ckpt`:
                the storage must make a file visible only when it is complete, as object stores do.
            storage_options: for the other plugin, if there is one; else for the storage of a URL. Local files
                have none.

        Raises:
            HoldfastError: the disk is full or fails, or the storage does. Nothing is left behind, and an
                older file of that name is unchanged.
            TypeError: `storage_options` was given for a local file without another plugin.
        """
        checkpoint = on_host(checkpoint)
        if _remote.is_url(path):
            return self._save_remotely(checkpoint, os.fspath(path), storage_options)
        target = local_path(path)
        if self._inner is None:
            if storage_options:
                raise TypeError(
                    f"a local file has no storage_options, but got {', '.join(storage_options)}; "
                    "they are for URLs, and for the plugin in HoldfastCheckpointIO(plugin)"
                )
            # Not directly into the file: if writing fails, torch's writer ends the whole process.
            data = io.BytesIO()
            torch.save(checkpoint, data)
            return _publish(target, lambda temporary: _write(temporary, data.getbuffer()))
        options = {} if storage_options is None else {"storage_options": storage_options}

        def write(directory: Path) -> Path:
            # Under its own name, whose suffix may mean something to the plugin.
            directory.mkdir()
            self._inner.save_checkpoint(checkpoint, directory / target.name, **options)
            return directory / target.name

        return _publish(target, write)

    def _save_remotely(self, checkpoint: dict[str, Any], url: str, storage_options: Any) -> None:
        if self._inner is not None:
            self._inner.save_checkpoint(checkpoint, url, storage_options=storage_options)
            return
        data = io.BytesIO()
        torch.save(checkpoint, data)
        if storage_options is not None:
            self._storage_options = dict(storage_options)
        _remote.write(url, data.getbuffer(), self._storage_options)

    def load_checkpoint(
        self, path: PathLike, map_location: Any | None = None, weights_only: bool | None = None
    ) -> dict[str, Any]:
        """Load a checkpoint.

        Args:
            path: of the file, or the directory of one of the supervisor's checkpoints, or a URL.
            map_location: where tensors go; None: the CPU.
            weights_only: overrides the plugin's setting; newer versions of Lightning pass it.

        Raises:
            HoldfastError: there is no such file, or it is damaged.
        """
        is_remote = _remote.is_url(path)
        source = os.fspath(path) if is_remote else local_path(path)
        if isinstance(source, Path) and (source / "manifest.json").is_file():
            return _export.lightning_checkpoint(source, map_location or "cpu")
        chosen = self._weights_only if weights_only is None else weights_only
        if self._inner is not None:
            return self._load_by_other(path, map_location, weights_only)
        if isinstance(source, Path) and not source.is_file():
            raise HoldfastError(
                "no such checkpoint", path=source, hint=f"ls {shlex.quote(str(source.parent))}"
            )
        file = _remote.read(source, self._storage_options) if isinstance(source, str) else source
        try:
            return dict(torch.load(file, map_location=map_location or "cpu", weights_only=chosen))
        except (RuntimeError, EOFError, OSError) as error:
            raise HoldfastError(
                f"cannot read the checkpoint: {error}", path=str(source), hint="use an older checkpoint"
            ) from error

    def _load_by_other(self, path: PathLike, map_location: Any, weights_only: bool | None) -> dict[str, Any]:
        accepted = inspect.signature(self._inner.load_checkpoint).parameters
        options = {"map_location": map_location, "weights_only": weights_only}
        takes_any = any(one.kind is one.VAR_KEYWORD for one in accepted.values())
        options = {
            name: value
            for name, value in options.items()
            if value is not None and (takes_any or name in accepted)
        }
        return dict(self._inner.load_checkpoint(path, **options))

    def remove_checkpoint(self, path: PathLike) -> None:
        """Remove a checkpoint, which is a file or a directory. It is not an error if it does not exist.

        Raises:
            HoldfastError: it cannot be removed.
        """
        if _remote.is_url(path):
            if self._inner is not None:
                self._inner.remove_checkpoint(path)
            else:
                _remote.remove(os.fspath(path), self._storage_options)
            return
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
        """End the other plugin; there are no pending writes of its own."""
        if hasattr(self._inner, "teardown"):
            self._inner.teardown()


def _publish(target: Path, write: Callable[[Path], Path]) -> None:
    """Let `write` create something under a temporary name, sync what it returns, and rename that to `target`.

    Raises:
        HoldfastError: the disk is full or fails. Nothing is left behind, and `target` is unchanged.
    """
    temporary = _temporary_name(target)
    try:
        _make_directory(target.parent)
        _remove_unfinished(target)
        try:
            written = write(temporary)
            _sync_tree(written)
            if written.is_dir():
                _replace_directory(written, target)
            else:
                if target.is_dir():
                    raise IsADirectoryError(21, "a directory has this name")
                written.replace(target)
        finally:
            if temporary.is_dir():
                shutil.rmtree(temporary, ignore_errors=True)
            else:
                temporary.unlink(missing_ok=True)
        _sync(target.parent)
    except OSError as error:
        raise HoldfastError(
            f"cannot save the checkpoint: {error.strerror or error}",
            path=target,
            hint=f"df {shlex.quote(str(target.parent))}",
        ) from error


def _write(path: Path, data: memoryview) -> Path:
    with path.open("xb") as file:
        file.write(data)
    return path


def _replace_directory(temporary: Path, target: Path) -> None:
    """Rename a directory to `target`; something else of that name takes its place, and is removed later."""
    if not os.path.lexists(target):
        temporary.rename(target)
        return
    paths = (os.fsencode(temporary), os.fsencode(target))
    # renameat2(2): AT_FDCWD, RENAME_EXCHANGE.
    if ctypes.CDLL(None, use_errno=True).renameat2(-100, paths[0], -100, paths[1], 2) != 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number), str(target))


def _sync_tree(path: Path) -> None:
    if path.is_dir():
        for inner in path.iterdir():
            if not inner.is_symlink():
                _sync_tree(inner)
        _sync(path)
        return
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


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
