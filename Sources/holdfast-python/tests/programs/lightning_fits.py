"""A Lightning program of several parts: a search for the learning rate, two trainings, a test, an export.

Arguments: a directory, and the parts at which it is killed once each; a file records each kill.
"""

from __future__ import annotations

import hashlib
import os
import signal
import sys
from pathlib import Path
from typing import Any

import torch
from torch.utils.data import DataLoader, TensorDataset

# See examples/digits_lightning.py.
torch.distributed.is_available = lambda: False
torch.set_num_threads(1)

import pytorch_lightning as pl
from pytorch_lightning.callbacks import EarlyStopping, ModelCheckpoint
from pytorch_lightning.loggers import CSVLogger

import holdfast.lightning

directory, dies_at = Path(sys.argv[1]), sys.argv[2:]


class Network(pl.LightningModule):
    def __init__(self) -> None:
        super().__init__()
        self.learning_rate = 0.1
        self.layers = torch.nn.Sequential(
            torch.nn.Linear(8, 16), torch.nn.Dropout(0.2), torch.nn.Linear(16, 4)
        )

    def training_step(self, batch: Any, batch_index: int) -> Any:
        loss = torch.nn.functional.cross_entropy(self.layers(batch[0]), batch[1])
        self.log("loss", loss)
        return loss

    def validation_step(self, batch: Any, batch_index: int) -> None:
        self.log("validation_loss", torch.nn.functional.cross_entropy(self.layers(batch[0]), batch[1]))

    def test_step(self, batch: Any, batch_index: int) -> None:
        self.log("test_loss", torch.nn.functional.cross_entropy(self.layers(batch[0]), batch[1]))

    def configure_optimizers(self) -> Any:
        return torch.optim.Adam(self.parameters(), lr=self.learning_rate)


def dies(part: str) -> None:
    """Kill this process here, the first time."""
    mark = directory / f"died {part}"
    if part in dies_at and not mark.exists():
        mark.touch()
        os.kill(os.getpid(), signal.SIGKILL)


def trainer(version: str, *callbacks: Any, **options: Any) -> Any:
    return pl.Trainer(
        callbacks=[holdfast.lightning.Holdfast(), *callbacks],
        logger=CSVLogger(directory, name="logs", version=version, flush_logs_every_n_steps=5),
        log_every_n_steps=1,
        default_root_dir=directory,
        accelerator="cpu",
        enable_progress_bar=False,
        enable_model_summary=False,
        **options,
    )


directory.mkdir(exist_ok=True)
torch.manual_seed(1)
generator = torch.Generator().manual_seed(5)
data = TensorDataset(torch.randn(60, 8, generator=generator), torch.randint(4, (60,), generator=generator))
training, validation = DataLoader(data, batch_size=6, shuffle=True), DataLoader(data, batch_size=30)
model = Network()
first = trainer("first", max_epochs=2)
if "search" in dies_at:
    tuner = first.tuner if pl.__version__ < "2" else pl.tuner.Tuner(first)
    found = tuner.lr_find(model, training, num_training=24, update_attr=True)
    print("found", model.learning_rate)
first.fit(model, training, validation)
dies("between")
stopping = EarlyStopping("validation_loss", patience=1, mode="max")
best = ModelCheckpoint(directory / "saved", monitor="validation_loss")
model.learning_rate /= 2
second = trainer("second", best, stopping, max_epochs=9, val_check_interval=4)
second.fit(model, training, validation)
dies("after")
tested = second.test(model, validation, verbose=False)
dies("test")
second.save_checkpoint(directory / "exported.ckpt")
parts = {
    "model": [value.numpy().tobytes().hex() for value in model.state_dict().values()],
    "tested": tested,
    "steps": second.global_step,
    "stopping": stopping.state_dict(),
    "metrics": {name: float(value) for name, value in sorted(second.callback_metrics.items())},
    "rows": [(directory / "logs" / version / "metrics.csv").read_text() for version in ("first", "second")],
    "saved": sorted(path.name for path in (directory / "saved").iterdir()),
}
dies("export")
for name, part in parts.items():
    print(name, hashlib.sha256(repr(part).encode()).hexdigest()[:16])
print("digest", hashlib.sha256(repr(parts).encode()).hexdigest(), flush=True)
