"""Handwritten digits in Lightning, with everything that makes resuming difficult: shuffling, dropout,
workers, schedulers per step and per epoch, accumulation, validation within epochs, `ModelCheckpoint`,
`EarlyStopping`.

    holdfast run --job digits -- python digits_lightning.py --workers 2

The last line on standard output is the SHA-256 of all final parameters and of the optimizer's state.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import random
import sys
import time
from pathlib import Path
from typing import Any

import torch
from sklearn.datasets import load_digits
from torch import nn
from torch.utils.data import DataLoader, Dataset

if torch.__version__.startswith("1.13") and sys.version_info >= (3, 11):
    # torch of Debian 12 cannot import its own sharded tensors, which Lightning requires if torch.distributed
    # is available.
    torch.distributed.is_available = lambda: False

if os.environ.get("LIGHTNING_NAMESPACE") == "lightning":
    import lightning.pytorch as pl
    from lightning.pytorch.callbacks import Callback, EarlyStopping, ModelCheckpoint
else:
    import pytorch_lightning as pl
    from pytorch_lightning.callbacks import Callback, EarlyStopping, ModelCheckpoint

import torchmetrics

import holdfast.lightning


class Digits(Dataset):
    """1,797 images of 8 x 8 pixels, each shifted by up to one pixel and with noise added when it is read."""

    def __init__(self, first: int, last: int, *, augment: bool) -> None:
        digits = load_digits()
        self.images = torch.tensor(digits.images[first:last], dtype=torch.float32) / 16
        self.labels = torch.tensor(digits.target[first:last])
        self.augment = augment

    def __len__(self) -> int:
        return len(self.labels)

    def __getitem__(self, index: int) -> tuple[torch.Tensor, torch.Tensor]:
        image = self.images[index]
        if self.augment:
            image = torch.roll(image, random.randint(-1, 1), dims=random.randint(0, 1))
            image = image + torch.randn(image.shape) * 0.05
        return image.flatten(), self.labels[index]


class Network(pl.LightningModule):
    """A network with dropout and batch norm, and schedulers per step and per epoch."""

    def __init__(self, learning_rate: float) -> None:
        super().__init__()
        self.save_hyperparameters()
        self.layers = nn.Sequential(
            nn.Linear(64, 96), nn.BatchNorm1d(96), nn.ReLU(), nn.Dropout(0.2), nn.Linear(96, 10)
        )
        self.accuracy = torchmetrics.Accuracy(task="multiclass", num_classes=10)

    def training_step(self, batch: Any, batch_index: int) -> torch.Tensor:
        images, labels = batch
        output = self.layers(images)
        loss = nn.functional.cross_entropy(output, labels)
        self.accuracy(output, labels)
        self.log("loss", loss, on_step=True, on_epoch=True)
        self.log("accuracy", self.accuracy, on_step=False, on_epoch=True)
        return loss

    def validation_step(self, batch: Any, batch_index: int) -> None:
        images, labels = batch
        self.log("validation_loss", nn.functional.cross_entropy(self.layers(images), labels))

    def configure_optimizers(self) -> Any:
        optimizer = torch.optim.AdamW(self.parameters(), lr=self.hparams.learning_rate)
        cosine = torch.optim.lr_scheduler.CosineAnnealingWarmRestarts(optimizer, T_0=40)
        steps = torch.optim.lr_scheduler.StepLR(optimizer, step_size=2, gamma=0.8)
        return [optimizer], [
            {"scheduler": cosine, "interval": "step"},
            {"scheduler": steps, "interval": "epoch"},
        ]


class Pause(Callback):
    """Pauses after each batch, so that there is time to kill this program."""

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds

    def on_train_batch_end(self, *_: Any) -> None:
        time.sleep(self.seconds)


def digest(*states: Any) -> str:
    """Return the SHA-256 of tensors and numbers, in order."""
    hashed = hashlib.sha256()

    def add(value: Any) -> None:
        if isinstance(value, dict):
            for key in value:
                add(value[key])
        elif isinstance(value, (list, tuple)):
            for element in value:
                add(element)
        elif isinstance(value, torch.Tensor):
            hashed.update(value.contiguous().numpy().tobytes())
        else:
            hashed.update(repr(value).encode())

    add(states)
    return hashed.hexdigest()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--epochs", type=int, default=6)
    parser.add_argument("--batch-size", type=int, default=16)
    parser.add_argument("--accumulate", type=int, default=1)
    parser.add_argument("--workers", type=int, default=0)
    parser.add_argument("--persistent", action="store_true", help="use the same workers in all epochs")
    parser.add_argument("--directory", default="lightning", help="for Lightning's own checkpoints")
    parser.add_argument("--publish", action="store_true", help="write those atomically")
    parser.add_argument("--step-delay", type=float, default=0, help="pause after each batch, in seconds")
    args = parser.parse_args()

    pl.seed_everything(1)
    torch.set_num_threads(1)
    workers = {"num_workers": args.workers, "persistent_workers": args.persistent}
    training = DataLoader(Digits(0, 1437, augment=True), batch_size=args.batch_size, shuffle=True, **workers)
    validation = DataLoader(Digits(1437, 1797, augment=False), batch_size=120)
    best = ModelCheckpoint(args.directory, monitor="validation_loss", save_top_k=2)
    stopping = EarlyStopping("validation_loss", patience=8)
    trainer = pl.Trainer(
        max_epochs=args.epochs,
        accumulate_grad_batches=args.accumulate,
        val_check_interval=0.5,
        callbacks=[holdfast.lightning.Holdfast(), best, stopping, Pause(args.step_delay)],
        plugins=[holdfast.lightning.HoldfastCheckpointIO()] if args.publish else None,
        accelerator="cpu",
        logger=False,
        enable_progress_bar=False,
        enable_model_summary=False,
    )
    model = Network(learning_rate=3e-3)
    trainer.fit(model, training, validation)
    metrics = {name: float(value) for name, value in sorted(trainer.callback_metrics.items())}
    scores = {Path(path).name: float(score) for path, score in best.best_k_models.items()}
    print("steps", trainer.global_step, "metrics", metrics)
    states = [model.state_dict(), trainer.optimizers[0].state_dict(), stopping.state_dict(), metrics, scores]
    states += [config.scheduler.state_dict() for config in trainer.lr_scheduler_configs]
    print("digest", digest(trainer.global_step, *states), flush=True)


if __name__ == "__main__":
    main()
