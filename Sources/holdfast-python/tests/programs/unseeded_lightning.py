"""A Lightning program without a seed, which dies before its second, third and fourth batch."""

from __future__ import annotations

import os
import random
import signal
import sys
from typing import Any

import torch
from torch.utils.data import DataLoader, TensorDataset

# See examples/digits_lightning.py.
torch.distributed.is_available = lambda: False

import pytorch_lightning as pl
from pytorch_lightning.callbacks import Callback

import holdfast.lightning

marker = sys.argv[1]


class Network(pl.LightningModule):
    def __init__(self) -> None:
        super().__init__()
        self.layers = torch.nn.Sequential(torch.nn.Linear(8, 8), torch.nn.Dropout(0.5), torch.nn.Linear(8, 2))
        self.rate = random.uniform(1e-3, 1e-2)

    def training_step(self, batch: Any, batch_index: int) -> torch.Tensor:
        loss = torch.nn.functional.cross_entropy(self.layers(batch[0]), batch[1]) * (1 + random.random())
        self.log("loss", loss)
        return loss

    def validation_step(self, batch: Any, batch_index: int) -> None:
        torch.rand(3)

    def configure_optimizers(self) -> Any:
        return torch.optim.Adam(self.parameters(), lr=self.rate)


class Death(Callback):
    def on_train_batch_start(self, trainer: Any, module: Any, batch: Any, batch_index: int) -> None:
        if trainer.global_step == 0:
            rate = trainer.optimizers[0].param_groups[0]["lr"]
            print("first", batch[0].sum().item(), next(module.parameters()).sum().item(), rate, flush=True)
        elif trainer.global_step <= 3:
            try:
                os.close(os.open(f"{marker}-{trainer.global_step}", os.O_CREAT | os.O_EXCL))
            except FileExistsError:
                return
            os.kill(os.getpid(), signal.SIGKILL)


data = TensorDataset(torch.arange(48.0).reshape(-1, 8) / 48, torch.arange(6) % 2)
trainer = pl.Trainer(
    max_epochs=2,
    callbacks=[holdfast.lightning.Holdfast(), Death()],
    logger=False,
    enable_checkpointing=False,
    enable_progress_bar=False,
    enable_model_summary=False,
    accelerator="cpu",
)
loader = DataLoader(data, batch_size=2, shuffle=True)
trainer.fit(Network(), loader, DataLoader(data, batch_size=2))
