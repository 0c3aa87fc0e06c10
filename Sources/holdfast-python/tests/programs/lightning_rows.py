"""A Lightning program that logs each step, and is killed in validations once its state has been saved there.

Arguments: a directory; "tensorboard", or "lines": files of lines, with the interface of that logger; the
number of batches, of 5 in an epoch, after which it validates; and the steps at which it is killed.
"""

from __future__ import annotations

import json
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
from pytorch_lightning.loggers import TensorBoardLogger
from pytorch_lightning.loggers.logger import Logger

import holdfast.lightning

directory, kind = Path(sys.argv[1]), sys.argv[2]
interval, *dies_at = map(int, sys.argv[3:])


class TensorBoardLines(Logger):
    """Writes a file for each attempt: the step at which earlier files end, then its own steps."""

    def __init__(self) -> None:
        super().__init__()
        self._version = 0
        self._experiment: Any = None
        self._kwargs: dict[str, Any] = {}

    name = "lines"

    @property
    def version(self) -> int:
        return self._version

    @property
    def experiment(self) -> Any:
        if self._experiment is None:
            self._experiment = (directory / f"{time.time_ns()}.lines").open("w", buffering=1)
            print(json.dumps(self._kwargs.get("purge_step")), file=self._experiment)
        return self._experiment

    def log_metrics(self, metrics: dict[str, float], step: int | None = None) -> None:
        if "loss" in metrics:
            print(step, file=self.experiment)

    def log_hyperparams(self, *_: Any, **__: Any) -> None:
        pass


class Network(pl.LightningModule):
    def __init__(self) -> None:
        super().__init__()
        self.layer = torch.nn.Linear(4, 1)

    def training_step(self, batch: Any, batch_index: int) -> Any:
        loss = self.layer(batch[0]).pow(2).mean()
        self.log("loss", loss)
        return loss

    def validation_step(self, batch: Any, batch_index: int) -> None:
        mark = directory / f"killed at {self.trainer.global_step}"
        if self.trainer.global_step in dies_at and not mark.exists():
            time.sleep(0.15)
            if batch_index == 3:
                mark.touch()
                os.kill(os.getpid(), signal.SIGKILL)
        self.log("validation_loss", self.layer(batch[0]).pow(2).mean())

    def configure_optimizers(self) -> Any:
        return torch.optim.SGD(self.parameters(), lr=0.1)


directory.mkdir(exist_ok=True)
torch.manual_seed(1)
data = TensorDataset(torch.randn(80, 4))
trainer = pl.Trainer(
    max_epochs=4,
    val_check_interval=interval,
    accelerator="cpu",
    logger=TensorBoardLogger(directory, "logs") if kind == "tensorboard" else TensorBoardLines(),
    log_every_n_steps=1,
    enable_progress_bar=False,
    enable_model_summary=False,
    enable_checkpointing=False,
    callbacks=[holdfast.lightning.Holdfast()],
)
trainer.fit(Network(), DataLoader(data, batch_size=16, shuffle=True), DataLoader(data, batch_size=16))
