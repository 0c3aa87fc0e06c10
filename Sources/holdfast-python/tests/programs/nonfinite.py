"""A program whose metrics are not finite at some steps."""

from __future__ import annotations

import time

import torch

import holdfast

run = holdfast.attach()
run.register(model=torch.nn.Linear(4, 1))
for epoch in run.epochs(4):
    for _ in run.batches(5):
        run.step(loss=float("nan") if epoch == 1 else 1.0)
        time.sleep(0.4)
    with run.phase("validation"):
        run.log(val=[float("nan"), 1.0, float("nan"), float("-inf")][epoch])
print("best", run.best_model_score)
