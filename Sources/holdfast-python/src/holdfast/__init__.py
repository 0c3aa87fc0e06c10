"""Training jobs that can be killed at any moment and resume in mid-epoch with bit-identical results.

run = holdfast.attach(hyperparameters=vars(args))
run.register(model=model, optimizer=optimizer)
loader = run.loader(dataset, batch_size=64, shuffle=True, num_workers=4)
for epoch in run.epochs(args.epochs):
    for batch in loader:
        ...
        run.step(loss=loss)
"""

from __future__ import annotations

from typing import Any

from ._attach import attach, attached
from ._best import BestCheckpoint
from ._checkpoints import Checkpoint, load
from ._components import Attributes
from ._errors import HoldfastError
from ._registry import register_dataclass, register_type
from ._run import Run
from ._samples import sample_generator, sample_seed, seed_everything

__all__ = [
    "Attributes",
    "BestCheckpoint",
    "Checkpoint",
    "HoldfastError",
    "Loader",
    "Run",
    "attach",
    "attached",
    "load",
    "register_dataclass",
    "register_type",
    "sample_generator",
    "sample_seed",
    "seed_everything",
]

__version__ = "0.1.0"


def __getattr__(name: str) -> Any:
    # torch is optional, and takes a second to import.
    if name == "Loader":
        from ._loader import Loader

        return Loader
    raise AttributeError(f"module 'holdfast' has no attribute {name!r}")
