"""Slots that the supervisor allocates ahead of time are mapped off the trainer's path."""

from __future__ import annotations

import os
import struct
import time
from pathlib import Path

import torch
from torch import nn

import holdfast
from conftest import RunDirectory
from internals import at, close, forget_run

STATE_BYTES = 4 << 20


def _prepare(directory: RunDirectory, slot: int, size: int) -> int:
    """Allocate a slot as the supervisor does; return its size."""
    descriptor = os.open(directory.path / f"arena-0-{slot}", os.O_RDWR | os.O_CREAT, 0o600)
    whole = (at.HEADER_BYTES + size) * 65 // 64 + 0xFFFF & ~0xFFFF
    os.posix_fallocate(descriptor, 0, whole)
    os.close(descriptor)
    return whole


def _answer(directory: RunDirectory) -> tuple[int, ...]:
    payload = [payload for kind, payload in directory.drain() if kind == at.RECORD_STAGED][-1]
    assert len(payload) == at.STAGED_BYTES
    return struct.unpack_from("<QQ", payload, at.STAGED_STALL_NS)


def _run() -> holdfast.Run:
    run = holdfast.attach()
    run.register(model=nn.Linear(STATE_BYTES // 4, 1))
    return run


def _is_mapped(path: Path) -> bool:
    return f"{path}\n" in Path("/proc/self/maps").read_text()


def test_a_prepared_slot_is_mapped_before_the_copy(run_directory: RunDirectory) -> None:
    run = _run()
    run.restore()
    run.step()
    size = run_directory.word(at.RING_STATE_BYTES)
    assert STATE_BYTES < size < STATE_BYTES + 4096
    whole = [_prepare(run_directory, slot, size) for slot in range(2)]
    run_directory.put(at.RING_PREPARED_BYTES, "<Q", size)
    paths = [run_directory.path / f"arena-0-{slot}" for slot in range(2)]
    deadline = time.monotonic() + 30
    while not all(map(_is_mapped, paths)) and time.monotonic() < deadline:
        run.step()
    assert all(map(_is_mapped, paths)), "before any request"
    files = [path.stat().st_ino for path in paths]
    run_directory.request(1, slot=1)
    while run_directory.word(at.RING_ACKNOWLEDGED) == 0 and time.monotonic() < deadline:
        run.step()
    assert run_directory.word(at.RING_OUTCOME, "<I") == at.OUTCOME_STAGED
    stall, preparation = _answer(run_directory)
    assert preparation <= stall
    assert [path.stat().st_ino for path in paths] == files
    assert [path.stat().st_size for path in paths] == whole
    run_directory.next_attempt(slot=1)
    close(run)
    forget_run()
    resumed = _run()
    assert resumed.restore()


def test_a_slot_that_is_not_allocated_is_not_mapped_ahead(run_directory: RunDirectory) -> None:
    run = _run()
    run.restore()
    path = run_directory.path / "arena-0-1"
    # A sparse file: an access could raise SIGBUS on a full tmpfs.
    with path.open("wb") as file:
        file.truncate(STATE_BYTES * 2)
    run_directory.put(at.RING_PREPARED_BYTES, "<Q", STATE_BYTES)
    for _ in range(20):
        run.step()
        time.sleep(0.01)
    assert not _is_mapped(path)
    run_directory.request(1, slot=1)
    run.step()
    assert run_directory.word(at.RING_OUTCOME, "<I") == at.OUTCOME_STAGED
    stall, preparation = _answer(run_directory)
    assert 0 < preparation <= stall


def test_the_size_includes_the_moments_of_an_optimizer(run_directory: RunDirectory) -> None:
    run = holdfast.attach()
    model = nn.Linear(1000, 10)
    optimizer = torch.optim.Adam(model.parameters())
    run.register(model=model, optimizer=optimizer)
    run.restore()
    model(torch.ones(2, 1000)).sum().backward()
    optimizer.step()
    run.step()
    assert run_directory.word(at.RING_STATE_BYTES) > 3 * 4 * 10_010
