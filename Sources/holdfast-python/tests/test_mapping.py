"""A waiting trainer maps the pages of its resume point that are in memory."""

from __future__ import annotations

import threading
import time
from pathlib import Path

import pytest
import torch
from torch import nn

import holdfast
from conftest import RunDirectory
from internals import at, close, forget_run


def _mapped_kibibytes(path: Path) -> int:
    """Return how much of a file this process has mapped and present."""
    found, total = False, 0
    for line in Path("/proc/self/smaps").read_text().splitlines():
        if "-" in line.split(" ")[0] and ":" not in line.split(" ")[0]:
            found = line.endswith(f" {path}")
        elif found and line.startswith("Rss:"):
            total += int(line.split()[1])
    return total


@pytest.mark.parametrize("is_replaced", [False, True])
def test_a_point_is_mapped_while_it_is_verified(run_directory: RunDirectory, is_replaced: bool) -> None:
    run = holdfast.attach()
    model = nn.Linear(1 << 20, 4)
    run.register(model=model)
    run.restore()
    run_directory.request(1)
    run.step()
    close(run)
    forget_run()
    run_directory.next_attempt(slot=0)
    path = run_directory.path / "arena-0-0"
    run_directory.put(at.RING_VERDICT, "<I", at.VERDICT_PENDING)
    again = holdfast.attach()
    fresh = nn.Linear(1 << 20, 4)
    again.register(model=fresh)
    seen = []

    def supervise() -> None:
        deadline = time.monotonic() + 30
        while _mapped_kibibytes(path) < 16 << 10 and time.monotonic() < deadline:
            time.sleep(0.01)
        seen.append(_mapped_kibibytes(path))
        if is_replaced:
            run_directory.resume()
        run_directory.put(at.RING_VERDICT, "<I", at.VERDICT_REPLACED if is_replaced else at.VERDICT_WHOLE)

    thread = threading.Thread(target=supervise)
    thread.start()
    resumes = again.restore()
    thread.join()
    assert seen[0] >= 16 << 10, "all of it, before the verdict"
    assert resumes is not is_replaced
    assert torch.equal(fresh.weight, model.weight) is not is_replaced
