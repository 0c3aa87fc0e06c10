"""A fit that prints the learning rate with which each step has really changed the weights."""

from __future__ import annotations

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

IS_MANUAL = sys.argv[1] == "manual"


class Network(pl.LightningModule):
    """A linear layer, trained by SGD."""

    def __init__(self, lr: float = 0.01) -> None:
        super().__init__()
        self.save_hyperparameters()
        self.automatic_optimization = not IS_MANUAL
        self.layer = torch.nn.Linear(3, 1, dtype=torch.float64)
        self.before: Any = None

    def training_step(self, batch: Any, number: int) -> Any:
        loss = (self.layer(batch[0]) - batch[0].square()[:, :1]).square().sum()
        if not IS_MANUAL:
            return loss
        optimizer = self.optimizers()
        optimizer.zero_grad()
        self.manual_backward(loss)
        self.on_before_optimizer_step(optimizer)
        optimizer.step()
        return None

    def on_before_optimizer_step(self, *_: Any) -> None:
        weight = self.layer.weight
        self.before = (weight.detach().clone(), weight.grad.clone())

    def on_train_batch_end(self, *_: Any) -> None:
        before, gradient = (one.flatten() for one in self.before)
        self.before = None
        largest = gradient.abs().argmax()
        moved = before - self.layer.weight.detach().flatten()
        rate = float(moved[largest] / gradient[largest])
        print("rate", self.trainer.global_step - 1, round(rate, 6), flush=True)
        time.sleep(0.02)

    def configure_optimizers(self) -> Any:
        return torch.optim.SGD(self.parameters(), lr=self.hparams.lr)


if __name__ == "__main__":
    pl.seed_everything(1)
    trainer = pl.Trainer(
        max_epochs=2, accelerator="cpu", logger=False, enable_checkpointing=False,
        enable_progress_bar=False, enable_model_summary=False, callbacks=[holdfast.lightning.Holdfast()],
    )  # fmt: skip
    samples = torch.utils.data.TensorDataset(torch.randn(60, 3, dtype=torch.float64))
    trainer.fit(Network(), torch.utils.data.DataLoader(samples, shuffle=True))
