"""Every private name of the package that tests use, and why. Everything else is tested through `holdfast`.

Formats that the supervisor shares, which tests read and write byte by byte:

- `at`, `RingWriter`: ring and arena (`CTrainerProtocol.h`);
- `ImageReader`, `ImageWriter`, `LoopState`, `Part`, `flatten`: state images, with a fixed loop state;
- `mersenne`, `random_streams`: the stored states of random generators, which replays compare.

`close` and `forget_run` end an attempt without ending the process: for users, an attempt is a process.
"""

from __future__ import annotations

import holdfast
import holdfast._attach
from holdfast import _layout as at
from holdfast import _mersenne as mersenne
from holdfast import _random as random_streams
from holdfast._image import ImageReader, ImageWriter, LoopState, Part, flatten
from holdfast._ring import RingWriter

__all__ = [
    "ImageReader",
    "ImageWriter",
    "LoopState",
    "Part",
    "RingWriter",
    "at",
    "close",
    "flatten",
    "forget_run",
    "mersenne",
    "random_streams",
]


def close(run: holdfast.Run) -> None:
    """End an attempt as a kill does: the next one may attach to the run directory."""
    if run._connection is not None:
        run._connection.close()


def forget_run() -> None:
    """Let this process attach again, as the process of the next attempt would."""
    holdfast._attach._attached = None
