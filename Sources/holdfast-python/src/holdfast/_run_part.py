"""The run's own part of a snapshot: what belongs to no component, stream or loader."""

from __future__ import annotations

import struct
from typing import NamedTuple

NAME = "holdfast"
_LAYOUT = struct.Struct("<QQB")
_STOPS = 1
_STOPS_AT_ONCE = 2
_FINISHED = 4


class RunPart(NamedTuple):
    """Optimizer steps, ranks, and whether the run is to stop.

    Attributes:
        optimizer_steps: steps after which the optimizer had stepped.
        world_size: number of ranks.
        is_stopped: the run is to stop after this epoch.
        stops_at_once: it is to stop before the next batch.
        is_finished: it is complete.
    """

    optimizer_steps: int
    world_size: int
    is_stopped: bool
    stops_at_once: bool
    is_finished: bool

    def packed(self) -> bytes:
        """Return the bytes of it."""
        flags = _STOPS * self.is_stopped | _STOPS_AT_ONCE * self.stops_at_once | _FINISHED * self.is_finished
        return _LAYOUT.pack(self.optimizer_steps, self.world_size, flags)

    @staticmethod
    def unpacked(data: bytes) -> RunPart | None:
        """Return it from its bytes; None where they have another length."""
        if len(data) != _LAYOUT.size:
            return None
        steps, ranks, flags = _LAYOUT.unpack(data)
        return RunPart(
            steps, ranks, bool(flags & _STOPS), bool(flags & _STOPS_AT_ONCE), bool(flags & _FINISHED)
        )
