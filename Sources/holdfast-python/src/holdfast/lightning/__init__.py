"""Lightning support: `Trainer(callbacks=[holdfast.lightning.Holdfast()])` is the only change to a program.

Supports `lightning` and `pytorch_lightning`, 1.9 and 2.x.
"""

from __future__ import annotations

from ._callback import Holdfast
from ._checkpoint_io import HoldfastCheckpointIO

__all__ = ["Holdfast", "HoldfastCheckpointIO"]
