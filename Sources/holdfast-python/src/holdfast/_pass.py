"""One iteration of a loader."""

from __future__ import annotations

from ._sampling import Drawn

BEGINNING = Drawn(0, 0, 0)


class Pass:
    """The state of one iteration: where it began, and what it has given so far.

    Attributes:
        epoch: in which it began.
        begin_step: global step at which it began.
        given: how far it is, with the batch that was given last.
        outstanding: whether a batch was given that no step has counted.
        is_open: whether its iterator goes on; one that a program keeps goes on in the next epoch too.
        is_resumed: whether the run goes on with it, and it has given no batch yet.
    """

    def __init__(self, epoch: int, begin_step: int, begun: Drawn, *, is_resumed: bool = False) -> None:
        self.epoch = epoch
        self.begin_step = begin_step
        self.given = begun
        self.outstanding = False
        self.is_open = False
        self.is_resumed = is_resumed

    def resume(self, epoch: int, begin_step: int, begun: Drawn, *, is_resumed: bool) -> None:
        """Be the pass that was saved, from now on."""
        self.epoch = epoch
        self.begin_step = begin_step
        self.given = begun
        self.is_resumed = is_resumed

    def forget(self) -> None:
        """Forget what was given."""
        self.given = BEGINNING
        self.outstanding = False
