"""A Lightning program with Lightning's own checkpoints, which knows nothing of holdfast."""

from __future__ import annotations

import argparse
import hashlib

import torch

# See examples/digits_lightning.py.
torch.distributed.is_available = lambda: False

import pytorch_lightning as pl
from pytorch_lightning.callbacks import ModelCheckpoint

parser = argparse.ArgumentParser()
parser.add_argument("--ckpt_path", help="resume with this file")
arguments = parser.parse_args()


class Module(pl.LightningModule):
    def __init__(self) -> None:
        super().__init__()
        self.layer = torch.nn.Linear(8, 1)

    def training_step(self, batch: list[torch.Tensor], index: int) -> torch.Tensor:
        (inputs,) = batch
        return (self.layer(inputs) - inputs.sum(1, keepdim=True)).square().mean()

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return torch.optim.Adam(self.parameters(), lr=0.01)


pl.seed_everything(1)
data = torch.utils.data.TensorDataset(torch.randn(64, 8))
loader = torch.utils.data.DataLoader(data, batch_size=8)
saved = ModelCheckpoint(dirpath="out", save_top_k=-1, every_n_epochs=1)
trainer = pl.Trainer(
    max_epochs=6, accelerator="cpu", logger=False, callbacks=[saved], enable_progress_bar=False,
    enable_model_summary=False,
)  # fmt: skip
module = Module()
print(f"start from {arguments.ckpt_path}", flush=True)
trainer.fit(module, loader, ckpt_path=arguments.ckpt_path)
digest = hashlib.sha256(b"".join(tensor.numpy().tobytes() for tensor in module.state_dict().values()))
print(f"digest {digest.hexdigest()}")
