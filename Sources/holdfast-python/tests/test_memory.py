"""Memory that a slot of the arena may take."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from holdfast import _memory
from holdfast._arena import ArenaSlot
from holdfast._ring import Identity

IDENTITY = Identity(bytes(16), 1, 1, 0, 0, 1, 1, 2)


@pytest.mark.parametrize(("left", "place"), [(1 << 20, "state/disk"), (4 << 20, "memory")])
def test_a_slot_takes_at_most_half_of_the_memory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, left: int, place: str
) -> None:
    """The filesystem in memory has room for all of it."""
    monkeypatch.setattr(_memory, "headroom", lambda: left)
    for name in ("memory", "state"):
        (tmp_path / name).mkdir()
    slot = ArenaSlot(tmp_path / "memory", 0, 0, tmp_path / "state/disk")
    slot.stage(IDENTITY, bytes(16), 3, 900_000, lambda image: image.__setitem__(slice(0, 4), b"here"))
    assert (tmp_path / place / "arena-0-0").read_bytes()[4096:4100] == b"here"


def test_the_machine_has_memory_left() -> None:
    total = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    assert 0 < _memory.headroom() < total
