"""A small Lightning program that can end at any point, as if killed, and resume in the same process."""

from __future__ import annotations

import random
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import torch

# Debian 12's torch 1.13 cannot import its sharded tensors under Python 3.11.
torch.distributed.is_available = lambda: False
# Parallel tests with a spinning thread per core each would take eight times as long.
torch.set_num_threads(1)

import pytorch_lightning as pl
import torchmetrics
from pytorch_lightning.callbacks import Callback, EarlyStopping, ModelCheckpoint
from torch.utils.data import DataLoader, Dataset

from conftest import RunDirectory, without_functions
from holdfast.lightning import Holdfast

BATCHES = 7


class Killed(BaseException):
    """Simulates SIGKILL: everything that was not staged is lost."""


class Data(Dataset):
    def __len__(self) -> int:
        return BATCHES * 4 - 1

    def __getitem__(self, index: int) -> Any:
        return torch.full((6,), index / 30.0) + torch.randn(6) * 0.1, torch.tensor(index % 3)


class Network(pl.LightningModule):
    """A module whose learning rate depends on the mean loss of an epoch, and whose hooks reset and draw."""

    def __init__(self, *, manual: bool = False, one_cycle: bool = False) -> None:
        super().__init__()
        self.automatic_optimization = not manual
        self.one_cycle = one_cycle
        self.layers = torch.nn.Sequential(
            torch.nn.Linear(6, 8), torch.nn.BatchNorm1d(8), torch.nn.Dropout(0.3), torch.nn.Linear(8, 3)
        )
        # Not used in most steps, where its gradient is zero but the optimizer still changes it.
        self.sometimes = torch.nn.Linear(6, 3)
        self.accuracy = torchmetrics.Accuracy(task="multiclass", num_classes=3)
        self.register_buffer("average", torch.zeros(3))

    def on_train_epoch_start(self) -> None:
        self.accuracy.reset()
        torch.rand(3)

    def training_step(self, batch: Any, batch_index: int) -> Any:
        output = self.layers(batch[0])
        if batch_index % 3 == 0:
            output = output + self.sometimes(batch[0])
        loss = torch.nn.functional.cross_entropy(output, batch[1])
        self.accuracy(output, batch[1])
        self.log("loss", loss, on_step=True, on_epoch=True)
        self.log("largest", loss, on_step=False, on_epoch=True, reduce_fx="max")
        self.log("accuracy", self.accuracy, on_step=False, on_epoch=True)
        if not self.automatic_optimization:
            self.manual_backward(loss)
            # Gradients of an odd batch are used after the next one.
            if batch_index % 2 == 0:
                self.optimizers().step()
                self.optimizers().zero_grad()
        return loss

    def on_train_batch_end(self, *_: Any) -> None:
        # Called after this hook of all callbacks.
        least = self.trainer.min_steps
        if least is not None and self.trainer.global_step == least // 2:
            # Too early: Lightning stops once `min_steps` is reached.
            self.trainer.should_stop = True
        self.average.mul_(0.9).add_(self.layers[3].bias.detach() + random.random() + np.random.rand())

    def validation_step(self, batch: Any, batch_index: int) -> None:
        # A resume begins before this, wherever the state was requested.
        self.average.add_(torch.rand(3) / 100)
        self.log("validation_loss", torch.nn.functional.cross_entropy(self.layers(batch[0]), batch[1]))

    def configure_optimizers(self) -> Any:
        optimizer = torch.optim.Adam(self.parameters(), lr=0.05)
        plateau = torch.optim.lr_scheduler.ReduceLROnPlateau(optimizer, patience=0, factor=0.7)
        steps: Any = torch.optim.lr_scheduler.StepLR(optimizer, 5, 0.9)
        if self.one_cycle:
            steps = torch.optim.lr_scheduler.OneCycleLR(optimizer, 0.1, total_steps=3 * BATCHES)
        return [optimizer], [
            {"scheduler": plateau, "interval": "epoch", "monitor": "loss_epoch"},
            {"scheduler": steps, "interval": "step"},
        ]


class Counts(dict):
    """Not plain data, so that a resume does not restore it."""


class KillAt(Callback):
    """Requests the state at every step, and ends the program at one point."""

    def __init__(self, directory: RunDirectory | None, moment: tuple[str, int] | None) -> None:
        self.directory = directory
        self.moment = moment
        self.counts = Counts()

    def _at(self, what: str) -> None:
        self.counts[what] = self.counts.get(what, 0) + 1
        if self.moment == (what, self.counts[what]):
            raise Killed

    def _request_state(self) -> None:
        if self.directory is not None:
            self.counts["asked"] = self.counts.get("asked", 0) + 1
            self.directory.request(self.counts["asked"], slot=self.counts["asked"] % 2)
            self.directory.drain()

    def on_train_batch_start(self, *_: Any) -> None:
        self._request_state()
        self._at("batch start")

    def on_train_batch_end(self, *_: Any) -> None:
        self._at("batch end")

    def on_validation_batch_start(self, trainer: Any, *_: Any) -> None:
        if not trainer.sanity_checking:
            self._request_state()

    def on_validation_batch_end(self, trainer: Any, *_: Any) -> None:
        if not trainer.sanity_checking:
            self._at("validation batch")

    def on_validation_end(self, trainer: Any, *_: Any) -> None:
        if not trainer.sanity_checking:
            self._at("validation end")

    def on_train_epoch_end(self, *_: Any) -> None:
        self._at("epoch end")

    def on_fit_end(self, *_: Any) -> None:
        if self.directory is not None:
            self.directory.offer_slot()


class Program:
    """Runs the program, and provides its trainer and callbacks afterwards."""

    def __init__(self, files: Path, **options: Any) -> None:
        self.files = files
        self.of_network = {name: options.pop(name, False) for name in ("manual", "one_cycle")}
        self.options = {"max_epochs": 3, "val_check_interval": 3, **options}
        self.trainer: Any = None
        self.callback: Any = None

    def fit(
        self,
        directory: RunDirectory | None = None,
        moment: tuple[str, int] | None = None,
        *,
        with_holdfast: bool = True,
        ckpt_path: Any = None,
    ) -> dict[str, Any] | None:
        """Return everything that the program computed; None if it was killed."""
        torch.manual_seed(3)
        random.seed(3)
        np.random.seed(3)
        self.saving = ModelCheckpoint(self.files, monitor="validation_loss", save_top_k=2)
        self.stopping = EarlyStopping("validation_loss", patience=4)
        self.callback = Holdfast()
        callbacks = [self.callback] if with_holdfast else []
        self.trainer = pl.Trainer(
            callbacks=[*callbacks, self.saving, self.stopping, KillAt(directory, moment)],
            accelerator="cpu",
            logger=False,
            enable_progress_bar=False,
            enable_model_summary=False,
            **self.options,
        )
        network = Network(**self.of_network)
        training = DataLoader(Data(), batch_size=4, shuffle=True)
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                self.trainer.fit(network, training, DataLoader(Data(), batch_size=9), ckpt_path=ckpt_path)
        except Killed:
            return None
        return {
            "steps": self.trainer.global_step,
            "model": network.state_dict(),
            "optimizer": self.trainer.optimizers[0].state_dict(),
            "schedulers": [
                without_functions(config.scheduler.state_dict())
                for config in self.trainer.lr_scheduler_configs
            ],
            "metrics": {name: float(value) for name, value in self.trainer.callback_metrics.items()},
            "stopping": self.stopping.state_dict(),
            "best": sorted((Path(path).name, float(s)) for path, s in self.saving.best_k_models.items()),
            "random": (random.random(), float(np.random.rand()), float(torch.rand(1))),
        }


def same(one: Any, other: Any) -> bool:
    if isinstance(one, dict):
        return one.keys() == other.keys() and all(same(one[key], other[key]) for key in one)
    if isinstance(one, (list, tuple)):
        return len(one) == len(other) and all(map(same, one, other))
    if isinstance(one, torch.Tensor):
        return torch.equal(one, other)
    return bool(one == other)
