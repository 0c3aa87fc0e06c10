"""What of a run may be saved at this moment."""

from __future__ import annotations

from enum import Enum, auto


class SavePoint(Enum):
    """What a request for the state gets now.

    The loop sets it at the end of each step and where an epoch or a pass begins or ends.
    """

    STEP = auto()
    """The state as it is: that of the last step, or of the beginning."""

    CAPTURED = auto()
    """The state that was captured after the last step: what is registered may have changed since."""

    PASS_END = auto()
    """The state as it is, but better that of the next step.

    A pass that is resumed after its last batch gives none, and many programs use after their loop what the
    loop's body has set. So a request waits for one step; only for one, as a pass may have a single batch.
    """

    BATCH_PART = auto()
    """Nothing: more steps of the same batch follow, and a resume goes on with the next batch."""

    MICRO_BATCH = auto()
    """Nothing: the optimizer has yet to use gradients that are not saved."""

    NO_PLACE = auto()
    """Nothing: a resume would not know where in its epoch the loop stands."""

    RESUMED_HEAD = auto()
    """Nothing: the epoch's head is made again, and what it changes is not put back yet."""

    @property
    def is_savable(self) -> bool:
        """Whether there is a state to save."""
        return self in _SAVABLE


_SAVABLE = frozenset((SavePoint.STEP, SavePoint.CAPTURED, SavePoint.PASS_END))
