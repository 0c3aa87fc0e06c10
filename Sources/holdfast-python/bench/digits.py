"""Measures the cost of a whole run on digits: the same loop with and without holdfast or checkpoints.

    digits.py KIND NETWORK EPOCHS [DIRECTORY EVERY]

KIND is plain, holdfast, lightning, lightning-holdfast or lightning-checkpoints.
NETWORK is `convolutional`, whose step takes some 10 ms, or `small`, that of the example, with 1.3 ms.
`lightning-checkpoints` has Lightning save its own into DIRECTORY, every EVERY steps. The last line on
standard output is JSON: seconds of wall clock and of the processor that the loop took, and its steps.
"""

from __future__ import annotations

import json
import sys
import time
import warnings
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import torch
from torch import nn
from torch.utils.data import DataLoader, Dataset

import holdfast

sys.path.insert(0, str(Path(__file__).parent.parent / "examples"))

from digits_torch import Digits

BATCH = {"small": 32, "convolutional": 64}


class Plain:
    """Replaces the run in a program without holdfast."""

    def register(self, **components: Any) -> None:
        pass

    def loader(self, dataset: Dataset[Any], **options: Any) -> DataLoader[Any]:
        return DataLoader(dataset, **options)

    def epochs(self, count: int) -> Iterable[int]:
        return range(count)

    def step(self, **metrics: Any) -> None:
        pass


def network(kind: str) -> nn.Module:
    if kind == "small":
        return nn.Sequential(
            nn.Linear(64, 96), nn.BatchNorm1d(96), nn.ReLU(), nn.Dropout(0.2), nn.Linear(96, 10)
        )
    layers: list[nn.Module] = [nn.Unflatten(1, (1, 8, 8))]
    for channels, wider in ((1, 32), (32, 64)):
        layers += [nn.Conv2d(channels, wider, 3, padding=1), nn.BatchNorm2d(wider), nn.ReLU()]
    return nn.Sequential(*layers, nn.MaxPool2d(2), nn.Flatten(), nn.Dropout(0.2), nn.Linear(1024, 10))


def training_data(kind: str) -> dict[str, Any]:
    return {"dataset": Digits(0, 1437, augment=True), "batch_size": BATCH[kind], "shuffle": True}


def in_torch(kind: str, size: str, count: int) -> int:
    model = network(size)
    optimizer = torch.optim.AdamW(model.parameters(), lr=3e-3)
    run: Any = Plain() if kind == "plain" else holdfast.attach()
    run.register(model=model, optimizer=optimizer)
    training = run.loader(**training_data(size))
    steps = 0
    for _ in run.epochs(count):
        for images, labels in training:
            loss = nn.functional.cross_entropy(model(images), labels)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            run.step(loss=loss)
            steps += 1
    return steps


def in_lightning(kind: str, size: str, count: int) -> int:
    # torch of Debian 12 cannot import its own sharded tensors under Python 3.11.
    torch.distributed.is_available = lambda: False
    import pytorch_lightning as pl
    from pytorch_lightning.callbacks import ModelCheckpoint

    import holdfast.lightning

    class Network(pl.LightningModule):
        def __init__(self) -> None:
            super().__init__()
            self.layers = network(size)

        def training_step(self, batch: Any, batch_index: int) -> torch.Tensor:
            return nn.functional.cross_entropy(self.layers(batch[0]), batch[1])

        def configure_optimizers(self) -> Any:
            return torch.optim.AdamW(self.parameters(), lr=3e-3)

    callbacks: list[Any] = []
    if kind == "lightning-holdfast":
        callbacks = [holdfast.lightning.Holdfast()]
    elif kind == "lightning-checkpoints":
        callbacks = [ModelCheckpoint(sys.argv[4], every_n_train_steps=int(sys.argv[5]))]
    trainer = pl.Trainer(
        max_epochs=count,
        callbacks=callbacks,
        enable_checkpointing=kind == "lightning-checkpoints",
        accelerator="cpu",
        logger=False,
        enable_progress_bar=False,
        enable_model_summary=False,
    )
    trainer.fit(Network(), DataLoader(**training_data(size)))
    return int(trainer.global_step)


def main() -> None:
    kind, size, count = sys.argv[1], sys.argv[2], int(sys.argv[3])
    warnings.simplefilter("ignore")
    holdfast.seed_everything(1)
    torch.set_num_threads(1)
    make = in_lightning if kind.startswith("lightning") else in_torch
    make("plain" if make is in_torch else "lightning", size, 1)  # Exclude one-time costs.
    wall, processor = time.perf_counter(), time.process_time()
    steps = make(kind, size, count)
    wall, processor = time.perf_counter() - wall, time.process_time() - processor
    print(json.dumps({"wall": wall, "processor": processor, "steps": steps}))


if __name__ == "__main__":
    main()
