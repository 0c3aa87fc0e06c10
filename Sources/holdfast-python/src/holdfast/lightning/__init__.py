"""Lightning: `Trainer(callbacks=[holdfast.lightning.Holdfast()])`, and nothing else.

For `lightning` and `pytorch_lightning`, 1.9 and 2.x.
"""

from __future__ import annotations

from ._callback import Holdfast
from ._checkpoint_io import HoldfastCheckpointIO

__all__ = ["Holdfast", "HoldfastCheckpointIO"]
