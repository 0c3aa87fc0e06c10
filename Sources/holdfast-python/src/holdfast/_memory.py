"""Memory that processes of a job can still use before something is killed."""

from __future__ import annotations

from pathlib import Path

_CGROUPS = Path("/sys/fs/cgroup")
# Of the unified hierarchy, and of the older one: limit, usage.
_FILES = (("memory.max", "memory.current"), ("memory.limit_in_bytes", "memory.usage_in_bytes"))


def suffices(size: int) -> bool:
    """Return whether a slot of the arena may take so many bytes of memory.

    Half of what is left is for the program, which is better off with a slow copy than killed.
    """
    return size <= headroom() // 2


def headroom() -> int:
    """Return what the machine has available, in bytes, or less where a cgroup of this process is limited."""
    available = _field(Path("/proc/meminfo"), "MemAvailable:")
    least = 1 << 62 if available is None else available * 1024
    for cgroup in _own_cgroups():
        for directory in (cgroup, *cgroup.parents):
            if not directory.is_relative_to(_CGROUPS):
                break
            least = min(least, _left_in(directory))
    return least


def _own_cgroups() -> list[Path]:
    try:
        lines = Path("/proc/self/cgroup").read_text().splitlines()
    except (OSError, ValueError):
        return []
    found = []
    for line in lines:
        _, _, rest = line.partition(":")
        controllers, _, path = rest.partition(":")
        if not controllers:
            found.append(_CGROUPS / path.lstrip("/"))
        elif "memory" in controllers.split(","):
            found.append(_CGROUPS / "memory" / path.lstrip("/"))
    return found


def _left_in(cgroup: Path) -> int:
    least = 1 << 62
    for limit_name, usage_name in _FILES:
        limit, usage = _number(cgroup / limit_name), _number(cgroup / usage_name)
        if limit is not None and usage is not None:
            # The kernel reclaims pages of files.
            pages = (_field(cgroup / "memory.stat", name) or 0 for name in ("inactive_file", "active_file"))
            least = min(least, max(0, limit - usage) + sum(pages))
    return least


def _number(path: Path) -> int | None:
    try:
        return int(path.read_text())
    except (OSError, ValueError):
        return None


def _field(path: Path, name: str) -> int | None:
    try:
        for line in path.read_text().splitlines():
            words = line.split()
            if len(words) > 1 and words[0] == name:
                return int(words[1])
    except (OSError, ValueError):
        pass
    return None
