"""Lightning without Holdfast, resumed from its own checkpoints after a kill in mid-epoch."""

from __future__ import annotations

import hashlib
import os
import signal
import sys
from typing import Any

import torch
from sklearn.datasets import load_digits
from torch.utils.data import DataLoader, TensorDataset

# See examples/digits_lightning.py.
torch.distributed.is_available = lambda: False

import pytorch_lightning as pl
from pytorch_lightning.callbacks import Callback, ModelCheckpoint

directory, die_at = sys.argv[1], int(sys.argv[2])


class Network(pl.LightningModule):
    def __init__(self) -> None:
        super().__init__()
        self.layers = torch.nn.Sequential(
            torch.nn.Linear(64, 32), torch.nn.ReLU(), torch.nn.Dropout(0.2), torch.nn.Linear(32, 10)
        )

    def training_step(self, batch: Any, batch_index: int) -> torch.Tensor:
        return torch.nn.functional.cross_entropy(self.layers(batch[0]), batch[1])

    def configure_optimizers(self) -> Any:
        return torch.optim.AdamW(self.parameters(), lr=1e-3)


class Death(Callback):
    def on_train_batch_start(self, trainer: Any, *_: Any) -> None:
        if trainer.global_step == die_at:
            os.kill(os.getpid(), signal.SIGKILL)


pl.seed_everything(1)
images, labels = load_digits(return_X_y=True)
data = TensorDataset(torch.tensor(images, dtype=torch.float32) / 16, torch.tensor(labels))
saving = ModelCheckpoint(directory, every_n_train_steps=10, save_last=True)
trainer = pl.Trainer(
    max_epochs=4,
    callbacks=[saving, Death()],
    accelerator="cpu",
    logger=False,
    enable_progress_bar=False,
    enable_model_summary=False,
)
model = Network()
trainer.fit(model, DataLoader(data, batch_size=16, shuffle=True), ckpt_path="last")
print("steps", trainer.global_step)
hashed = hashlib.sha256()
for value in model.state_dict().values():
    hashed.update(value.numpy().tobytes())
print("digest", hashed.hexdigest(), flush=True)
