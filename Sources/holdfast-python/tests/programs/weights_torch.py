"""A loop that prints the weights with which it begins: of a module, an array, and a dict of arrays."""

from __future__ import annotations

import json
import time

import numpy as np
import torch

import holdfast

run = holdfast.attach(rng=False)
model = torch.nn.Linear(3, 1)
optimizer = torch.optim.Adam(model.parameters())
array, arrays, best = np.zeros(3), {"one": np.zeros(2)}, {"loss": 1.0}
run.register(model=model, optimizer=optimizer, array=array, arrays=arrays, best=best)
for _ in run.epochs(1):
    for _ in run.batches(20):
        if run.global_step == 0:
            values = [model.weight.flatten().tolist(), array.tolist(), arrays["one"].tolist()]
            print("first", json.dumps([*values, len(optimizer.state), best["loss"]]), flush=True)
        model(torch.ones(3)).square().sum().backward()
        optimizer.step()
        array += 1
        arrays["one"] += 1
        best["loss"] = 0.5
        run.step()
        time.sleep(0.01)
