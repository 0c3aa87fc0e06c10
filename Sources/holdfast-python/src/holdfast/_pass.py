"""One iteration of a loader."""

from __future__ import annotations

from ._sampling import Drawn

BEGINNING = Drawn(0, 0, 0)


class Pass:
    """The state of one iteration: where it began, and what it has returned so far.

    Attributes:
        epoch: in which it began.
        begin_step: global step at which it began.
        given: position after the batch that was returned last.
        outstanding: whether a batch was returned that no step has counted.
        is_open: whether its iterator is in use; a program may use it in the next epoch too.
        is_resumed: whether the run resumed in it, and no batch was returned yet.
    """

    def __init__(self, epoch: int, begin_step: int, begun: Drawn, *, is_resumed: bool = False) -> None:
        self.epoch = epoch
        self.begin_step = begin_step
        self.given = begun
        self.outstanding = False
        self.is_open = False
        self.is_resumed = is_resumed

    def resume(self, epoch: int, begin_step: int, begun: Drawn, *, is_resumed: bool) -> None:
        """Become the pass that was saved."""
        self.epoch = epoch
        self.begin_step = begin_step
        self.given = begun
        self.is_resumed = is_resumed

    def reset(self) -> None:
        """Reset to the beginning of the pass."""
        self.given = BEGINNING
        self.outstanding = False
