"""The run's own part of a snapshot: state that belongs to no component, stream or loader."""

from __future__ import annotations

import struct
from typing import NamedTuple

NAME = "holdfast"
_LAYOUT = struct.Struct("<QQB")
_STOPS = 1
_STOPS_AT_ONCE = 2
_FINISHED = 4


class RunPart(NamedTuple):
    """Optimizer steps, ranks, and whether the run should stop.

    Attributes:
        optimizer_steps: number of steps with a step of the optimizer.
        world_size: number of ranks.
        is_stopped: whether the run stops after this epoch.
        stops_at_once: whether it stops before the next batch.
        is_finished: whether it is complete.
    """

    optimizer_steps: int
    world_size: int
    is_stopped: bool
    stops_at_once: bool
    is_finished: bool

    def packed(self) -> bytes:
        """Return it encoded."""
        flags = _STOPS * self.is_stopped | _STOPS_AT_ONCE * self.stops_at_once | _FINISHED * self.is_finished
        return _LAYOUT.pack(self.optimizer_steps, self.world_size, flags)

    @staticmethod
    def unpacked(data: bytes) -> RunPart | None:
        """Decode it; return None if the data have another length."""
        if len(data) != _LAYOUT.size:
            return None
        steps, ranks, flags = _LAYOUT.unpack(data)
        return RunPart(
            steps, ranks, bool(flags & _STOPS), bool(flags & _STOPS_AT_ONCE), bool(flags & _FINISHED)
        )
