"""Which state of a run can be saved at a moment."""

from __future__ import annotations

from enum import Enum, auto


class SavePoint(Enum):
    """The state that a request gets now.

    The loop sets it at the end of each step, and where an epoch or a pass begins or ends.
    """

    STEP = auto()
    """The current state: that of the last step, or of the beginning."""

    CAPTURED = auto()
    """The state that was captured after the last step: the current one may have changed since."""

    PASS_END = auto()
    """The current state, but preferably that of the next step.

    A pass that is resumed after its last batch returns no batch, and many programs use variables after their
    loop that the loop's body sets. So a request waits for one step, but not more: a pass may have one batch.
    """

    BATCH_PART = auto()
    """None: more steps of the same batch follow, but a resume continues with the next batch."""

    MICRO_BATCH = auto()
    """None: the optimizer has not used the gradients yet, and they are not saved."""

    NO_PLACE = auto()
    """None: a resume could not find the loop's position in the epoch."""

    RESUMED_HEAD = auto()
    """None: the epoch's head runs again, and what it changes has not been restored yet."""

    @property
    def is_savable(self) -> bool:
        """Whether there is a state to save."""
        return self in _SAVABLE


_SAVABLE = frozenset((SavePoint.STEP, SavePoint.CAPTURED, SavePoint.PASS_END))
