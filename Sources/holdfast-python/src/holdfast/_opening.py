"""Opens regular files only: anything else in their place neither blocks this process nor is written to."""

from __future__ import annotations

import contextlib
import errno
import os
import shutil
import stat
from pathlib import Path

_KINDS = {
    stat.S_IFDIR: "a directory",
    stat.S_IFLNK: "a symbolic link",
    stat.S_IFIFO: "a named pipe",
    stat.S_IFSOCK: "a socket",
    stat.S_IFCHR: "a device",
    stat.S_IFBLK: "a device",
}


class MisplacedError(OSError):
    """The path is not a regular file."""


def open_file(path: Path, flags: int, mode: int = 0o600, *, follow_link: bool = False) -> int:
    """Open a regular file.

    Args:
        path: of the file.
        flags: of open(2); without `O_TRUNC`, which would take effect before the file is checked.
        mode: of a file that is created.
        follow_link: for a file that the user names, which may be a link.

    Returns:
        The descriptor, which is not inherited by children.

    Raises:
        MisplacedError: it is not a regular file, or it would be written and has another hard link.
        OSError: as open(2).
    """
    with contextlib.suppress(FileNotFoundError):  # It may be created.
        _check(path.stat() if follow_link else path.lstat(), path, flags)
    guarded = flags | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC | (0 if follow_link else os.O_NOFOLLOW)
    descriptor = os.open(path, guarded, mode)
    try:
        _check(os.fstat(descriptor), path, flags)
        os.set_blocking(descriptor, True)
    except BaseException:
        os.close(descriptor)
        raise
    return descriptor


def replace_file(path: Path, flags: int) -> int:
    """Open a file of the run directory; create it if it does not exist.

    Anything else than a regular file in its place is removed.
    """
    try:
        return open_file(path, flags | os.O_CREAT)
    except MisplacedError:
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        else:
            path.unlink()
        return open_file(path, flags | os.O_CREAT | os.O_EXCL)


def read_file(path: Path, limit: int, *, follow_link: bool = False) -> bytes:
    """Read a regular file of at most `limit` bytes.

    Raises:
        OSError: as `open_file`; with EFBIG if it is larger.
    """
    with os.fdopen(open_file(path, os.O_RDONLY, follow_link=follow_link), "rb") as file:
        data = file.read(limit + 1)
    if len(data) > limit:
        raise OSError(errno.EFBIG, os.strerror(errno.EFBIG), str(path))
    return data


def _check(status: os.stat_result, path: Path, flags: int) -> None:
    if not stat.S_ISREG(status.st_mode):
        kind = _KINDS.get(stat.S_IFMT(status.st_mode), "not a regular file")
        raise MisplacedError(errno.EINVAL, f"it is {kind}", str(path))
    if flags & os.O_ACCMODE != os.O_RDONLY and status.st_nlink > 1:
        raise MisplacedError(errno.EMLINK, "it is a hard link to a file with another name", str(path))
