"""A fit that prints the weights with which it begins; the module's layer is created at once or in `setup`."""

from __future__ import annotations

import json
import sys
import time
from typing import Any

import torch

if torch.__version__.startswith("1.13"):
    torch.distributed.is_available = lambda: False
try:
    import lightning.pytorch as pl
except ImportError:
    import pytorch_lightning as pl

import holdfast.lightning


class Network(pl.LightningModule):
    """A linear layer, trained by Adam."""

    def __init__(self) -> None:
        super().__init__()
        if sys.argv[1] == "at-once":
            self.setup()

    def setup(self, stage: Any = None) -> None:
        if not hasattr(self, "layer"):
            self.layer = torch.nn.Linear(3, 1)

    def training_step(self, batch: Any, number: int) -> Any:
        if self.trainer.global_step == 0:
            moments = len(self.trainer.optimizers[0].state)
            print("first", json.dumps([self.layer.weight.flatten().tolist(), moments]), flush=True)
        time.sleep(0.01)
        return self.layer(batch[0]).square().sum()

    def configure_optimizers(self) -> Any:
        return torch.optim.Adam(self.parameters())


if __name__ == "__main__":
    trainer = pl.Trainer(
        max_epochs=1, accelerator="cpu", logger=False, enable_checkpointing=False,
        enable_progress_bar=False, enable_model_summary=False, callbacks=[holdfast.lightning.Holdfast()],
    )  # fmt: skip
    samples = torch.utils.data.TensorDataset(torch.ones(20, 3))
    trainer.fit(Network(), torch.utils.data.DataLoader(samples))
