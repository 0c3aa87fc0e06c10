"""Runs a program that is killed in the middle of its n-th `torch.save`, once: `torn.py N PROGRAM ...`.

With TORN_AFTER, a pattern, it waits until a file matches before that.
"""

from __future__ import annotations

import io
import os
import runpy
import signal
import sys
import time
from pathlib import Path
from typing import Any

import torch

original = torch.save
number, program = int(sys.argv[1]), sys.argv[2]
saves = 0


def save(value: Any, file: Any, *more: Any, **named: Any) -> None:
    global saves
    saves += 1
    marker = Path("torn")
    if saves != number or marker.exists():
        original(value, file, *more, **named)
        return
    while "TORN_AFTER" in os.environ and not list(Path.cwd().glob(os.environ["TORN_AFTER"])):
        time.sleep(0.01)
    marker.touch()
    buffer = io.BytesIO()
    original(value, buffer, *more, **named)
    half = buffer.getvalue()[: buffer.tell() // 2]
    if isinstance(file, (str, os.PathLike)):
        Path(file).write_bytes(half)
    else:
        file.write(half)
        file.flush()
    os.kill(os.getpid(), signal.SIGKILL)


torch.save = save
sys.argv = sys.argv[2:]
sys.path[0] = str(Path(program).parent)
runpy.run_path(program, run_name="__main__")
