"""Small trainers of many forms, resumed from their states: identical results, or a message why not."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import pytest

import trainers
from supervised import PACKAGE, TIMEOUT_SECONDS

# Slow trainers are resumed from every n-th state only, the others from every state.
EVERY = {"workers_persistent": 3, "nested_phases": 8, "for_loop_over_steps": 4, "compiled": 3}


@pytest.fixture(scope="module")
def server() -> Iterator[subprocess.Popen[str]]:
    """Start a process that has imported everything, and forks a trainer for each attempt."""
    command = [sys.executable, str(PACKAGE / "tests/sweep.py"), "--serve"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        yield process
        assert process.stdin is not None
        process.stdin.close()
        process.wait(TIMEOUT_SECONDS)


@pytest.mark.parametrize("name", trainers.TRAINERS)
def test_resumed_from_every_state(server: subprocess.Popen[str], name: str) -> None:
    assert server.stdin is not None and server.stdout is not None
    print(name, EVERY.get(name, 1), file=server.stdin, flush=True)
    result: dict[str, Any] = json.loads(server.stdout.readline())
    assert result["wrong"] == [], result
    trainer = trainers.TRAINERS[name]
    if trainer.refused:
        assert result["refused"] == 1
    elif trainer.warns:
        # Otherwise it is not an example of a trainer that cannot be resumed identically.
        assert result["refused"] + result["reported"] > 0, result
    else:
        assert result["identical"] == result["resumes"] > 1, result
