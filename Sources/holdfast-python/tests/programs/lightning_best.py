"""A Lightning program that uses the best checkpoint after its fit; its argument is a directory."""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent.parent / "examples"))

import torch
from torch.utils.data import DataLoader

import holdfast
from digits_lightning import Digits, ModelCheckpoint, Network, Pause, pl
from holdfast.lightning import Holdfast, HoldfastCheckpointIO

pl.seed_everything(1)
torch.set_num_threads(1)
callback = Holdfast()
best = ModelCheckpoint(sys.argv[1], monitor="validation_loss")
trainer = pl.Trainer(
    max_epochs=4,
    callbacks=[callback, best, Pause(0.01)],
    plugins=[HoldfastCheckpointIO()],
    accelerator="cpu",
    logger=False,
    enable_progress_bar=False,
    enable_model_summary=False,
)
model = Network(learning_rate=3e-3)
training = DataLoader(Digits(0, 400, augment=True), batch_size=20, shuffle=True)
validation = DataLoader(Digits(1437, 1797, augment=False), batch_size=120)
trainer.fit(model, training, validation)
print("path", callback.best_model_path, "score", callback.best_model_score)
print("lightning", float(best.best_model_score))
weights = holdfast.load(callback.best_model_path)["model"]
# The plugin reads such a checkpoint as well.
trainer.validate(model, validation, ckpt_path=str(callback.best_model_path), verbose=False)
same = all(torch.equal(value, model.state_dict()[name]) for name, value in weights.items())
print(
    "tested",
    same and abs(float(trainer.callback_metrics["validation_loss"]) - callback.best_model_score) < 1e-6,
)
