"""A program with `LightningCLI`, which writes `config.yaml` and rows in a fixed version: `fit --trainer…`."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import torch
from torch.utils.data import DataLoader, TensorDataset

# See examples/digits_lightning.py.
torch.distributed.is_available = lambda: False
torch.set_num_threads(1)

import pytorch_lightning as pl
from pytorch_lightning.callbacks import Callback
from pytorch_lightning.cli import LightningCLI

import holdfast.lightning

DIRECTORY = os.environ["FILES"]
DIES_AT = {int(step) for step in os.environ.get("DIES_AT", "").split()}


class Network(pl.LightningModule):
    def __init__(self, width: int = 16) -> None:
        super().__init__()
        self.save_hyperparameters()
        self.layers = torch.nn.Sequential(
            torch.nn.Linear(8, width), torch.nn.Dropout(0.2), torch.nn.Linear(width, 4)
        )

    def training_step(self, batch: Any, batch_index: int) -> Any:
        loss = torch.nn.functional.cross_entropy(self.layers(batch[0]), batch[1])
        self.log("loss", loss)
        return loss

    def configure_optimizers(self) -> Any:
        return torch.optim.Adam(self.parameters(), lr=0.02)


class Data(pl.LightningDataModule):
    def train_dataloader(self) -> Any:
        generator = torch.Generator().manual_seed(5)
        data = TensorDataset(
            torch.randn(60, 8, generator=generator), torch.randint(4, (60,), generator=generator)
        )
        return DataLoader(data, batch_size=6, shuffle=True)


class Dies(Callback):
    """Exits at some steps, the first time that each is reached."""

    def on_train_batch_end(self, trainer: Any, *_: Any) -> None:
        mark = Path(DIRECTORY) / f"died at {trainer.global_step}"
        if trainer.global_step in DIES_AT and not mark.exists():
            mark.touch()
            os._exit(9)


LightningCLI(
    Network,
    Data,
    seed_everything_default=1,
    trainer_defaults={
        "callbacks": [holdfast.lightning.Holdfast(), Dies()],
        "logger": {
            "class_path": "pytorch_lightning.loggers.CSVLogger",
            "init_args": {
                "save_dir": DIRECTORY,
                "name": "logs",
                "version": "fixed",
                "flush_logs_every_n_steps": 4,
            },
        },
        "log_every_n_steps": 1,
        "max_epochs": 3,
        "accelerator": "cpu",
        "enable_progress_bar": False,
        "enable_model_summary": False,
    },
)
