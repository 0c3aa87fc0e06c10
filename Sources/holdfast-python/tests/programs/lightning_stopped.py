"""A Lightning program of two fits, a search and a test, whose process group is stopped at some of the parts.

Arguments: a directory, and the parts; a file records each stop. Each part must start from its beginning.
"""

from __future__ import annotations

import os
import signal
import sys
import time
from pathlib import Path
from typing import Any

import torch
from torch.utils.data import DataLoader, TensorDataset

# See examples/digits_lightning.py.
torch.distributed.is_available = lambda: False
torch.set_num_threads(1)

import pytorch_lightning as pl

import holdfast.lightning

directory, stops_at = Path(sys.argv[1]), sys.argv[2:]
part = ""


def stop() -> None:
    """Stop here, the first time: the supervisor first, so that it knows why its trainer exits."""
    mark = directory / f"stopped {part}"
    if part in stops_at and not mark.exists():
        mark.touch()
        if part == "exit":
            sys.exit(0)
        os.kill(os.getppid(), signal.SIGTERM)
        time.sleep(0.5)
        os.kill(os.getpid(), signal.SIGTERM)


class Network(pl.LightningModule):
    def __init__(self) -> None:
        super().__init__()
        self.learning_rate = 0.1
        self.layer = torch.nn.Linear(4, 1)

    def training_step(self, batch: Any, batch_index: int) -> Any:
        stop()
        return self.layer(batch[0]).pow(2).mean()

    def test_step(self, batch: Any, batch_index: int) -> None:
        stop()
        self.log("test_loss", self.layer(batch[0]).pow(2).mean())

    def configure_optimizers(self) -> Any:
        return torch.optim.SGD(self.parameters(), lr=self.learning_rate)


def trainer(*callbacks: Any) -> Any:
    return pl.Trainer(
        max_epochs=2,
        # The search writes a file there.
        default_root_dir=directory,
        accelerator="cpu",
        callbacks=list(callbacks),
        logger=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        enable_checkpointing=False,
    )


directory.mkdir(exist_ok=True)
torch.manual_seed(1)
data = DataLoader(TensorDataset(torch.randn(40, 4)), batch_size=8, shuffle=True)
model, first = Network(), trainer(holdfast.lightning.Holdfast())
first.fit(model, data)
if "search" in stops_at:
    part = "search"
    # Another trainer, because the first one has already made more steps than the search.
    searching = trainer(holdfast.lightning.Holdfast())
    tuner = searching.tuner if pl.__version__ < "2" else pl.tuner.Tuner(searching)
    tuner.lr_find(model, data, num_training=5, update_attr=False)
first.fit_loop.max_epochs = 4
part = "exit" if "exit" in stops_at else "fit"
first.fit(model, data)
part = "test"
first.test(model, data, verbose=False)
part = "other trainer"
trainer().test(model, data, verbose=False)
print("exported at step", first.global_step, flush=True)
