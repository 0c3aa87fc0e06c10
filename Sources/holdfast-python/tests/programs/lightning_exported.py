"""A Lightning program whose checkpoint is exported, and opened by Lightning without Holdfast.

train: under `holdfast run`. fit PATH: continues it with a plain trainer. load PATH PATH: loads it.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import torch
from torch.utils.data import DataLoader, TensorDataset

# See examples/digits_lightning.py.
torch.distributed.is_available = lambda: False
torch.set_num_threads(1)

import pytorch_lightning as pl

import holdfast
from holdfast.lightning import Holdfast


class Network(pl.LightningModule):
    def __init__(
        self, in_dim: int, betas: tuple[float, float], activation: Any, path: Path, rate: float = 1.0
    ) -> None:
        super().__init__()
        self.save_hyperparameters()
        self.first = torch.nn.Linear(in_dim, 4)
        self.activation = activation
        self.last = torch.nn.Linear(4, 2)

    def training_step(self, batch: Any, batch_index: int) -> torch.Tensor:
        loss = self.last(self.activation(self.first(batch[0]))).square().mean()
        self.log("loss", loss)
        return loss

    def configure_optimizers(self) -> Any:
        optimizer = torch.optim.Adam(self.parameters(), lr=self.hparams.rate / 100, betas=self.hparams.betas)
        return [optimizer], [torch.optim.lr_scheduler.MultiStepLR(optimizer, [1, 2])]


class Numbers(pl.LightningDataModule):
    def __init__(self, batch_size: int, names: dict[str, Any]) -> None:
        super().__init__()
        self.save_hyperparameters()
        self.reads = 0

    def train_dataloader(self) -> Any:
        data = TensorDataset(torch.arange(60, dtype=torch.float32).reshape(20, 3) / 60)
        return DataLoader(data, batch_size=self.hparams.batch_size, shuffle=True)

    def state_dict(self) -> dict[str, Any]:
        self.reads += 1
        return {"reads": self.reads}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.reads = state["reads"]


def trainer(epochs: int, *callbacks: Any) -> Any:
    return pl.Trainer(
        max_epochs=epochs, accelerator="cpu", callbacks=list(callbacks), enable_checkpointing=False,
        logger=False, enable_progress_bar=False, enable_model_summary=False,
    )  # fmt: skip


def load(path: str) -> None:
    module = Network.load_from_checkpoint(path, activation=torch.nn.Tanh(), rate=0.5)
    hparams = {name: repr(value) for name, value in module.hparams.items()}
    print(json.dumps({"hparams": hparams, "sum": float(module.first.weight.sum())}))


def main() -> None:
    pl.seed_everything(1)
    mode, *rest = sys.argv[1:]
    data = Numbers(batch_size=5, names={"train": ["a", 1.0], "none": None})
    if mode == "load":
        load(rest[0])
        print(json.dumps(dict(Numbers.load_from_checkpoint(rest[0]).hparams)))
        load(rest[1])
        return
    module = Network(3, (0.8, 0.9), torch.nn.Tanh(), Path("some/where"))
    if mode == "train":
        fitted = trainer(2, Holdfast())
        fitted.fit(module, datamodule=data)
        print(json.dumps(holdfast.attached().hyperparameters), flush=True)
    else:
        fitted = trainer(3)
        fitted.fit(module, datamodule=data, ckpt_path=rest[0])
    optimizer = fitted.optimizers[0]
    print(
        json.dumps(
            {
                "step": fitted.global_step,
                "epoch": fitted.current_epoch,
                "reads": data.reads,
                "rate": optimizer.param_groups[0]["lr"],
                "adam": float(optimizer.state[module.first.weight]["step"]),
                "sum": float(module.first.weight.sum()),
            }
        )
    )


if __name__ == "__main__":
    main()
