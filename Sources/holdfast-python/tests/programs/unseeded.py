"""A program without a seed, with the requested kind of loop; dies after its first, second and third step."""

from __future__ import annotations

import os
import random
import signal
import sys
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch.utils.data import DataLoader, TensorDataset

import holdfast

shape, marker = sys.argv[1], sys.argv[2]
STEPS = 6

run = holdfast.attach()
model = torch.nn.Sequential(torch.nn.Linear(8, 8), torch.nn.Dropout(0.5), torch.nn.Linear(8, 2))
optimizer = torch.optim.Adam(model.parameters(), lr=random.uniform(1e-3, 1e-2))
scheduler = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: 1 / (1 + step))
table = {"noise": np.random.rand(4)}
run.register(model=model, optimizer=optimizer, scheduler=scheduler, table=table)
data = TensorDataset(torch.arange(48.0).reshape(-1, 8) / 48, torch.arange(6) % 2)


def train(inputs: Any, targets: Any) -> None:
    noise = random.random() + float(np.random.rand()) + float(table["noise"].sum())
    if run.global_step == 0:
        print("first", noise, inputs.sum().item(), next(model.parameters()).sum().item(), flush=True)
    loss = torch.nn.functional.cross_entropy(model(inputs), targets) * (1 + noise)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    scheduler.step()
    run.step(loss=loss, noise=noise)
    if run.global_step <= 3:
        try:
            os.close(os.open(f"{marker}-{run.global_step}", os.O_CREAT | os.O_EXCL))
        except FileExistsError:
            return
        os.kill(os.getpid(), signal.SIGKILL)


if shape == "loader":
    loader = run.loader(data, batch_size=2, shuffle=True)
    for _ in run.epochs(STEPS // 3):
        for inputs, targets in loader:
            train(inputs, targets)
elif shape == "workers":
    loader = run.loader(data, batch_size=2, shuffle=True, num_workers=1)
    for _ in run.epochs(STEPS // 3):
        for inputs, targets in loader:
            train(inputs, targets)
elif shape == "while":
    run.restore()
    while run.global_step < STEPS:
        chosen = torch.randint(6, (2,))
        train(*data[chosen])
elif shape == "begins":
    # An attempt that starts from the beginning repeats the initialization.
    if not run.restore():
        torch.nn.init.normal_(model[0].weight)
        table["noise"][:] = np.random.rand(4)
    while run.global_step < STEPS:
        train(*data[torch.randint(6, (2,))])
elif shape == "load":
    other = Path(marker).parent / "other"
    if not other.exists():
        run.save(other, weights_only=True)
    run.load(next(other.iterdir()), weights_only=True)
    run.restore()
    while run.global_step < STEPS:
        train(*data[torch.randint(6, (2,))])
elif shape == "plain loader":
    # A plain loader: the creation of its iterator draws from the streams.
    run.restore()
    while run.global_step < STEPS:
        for inputs, targets in DataLoader(data, batch_size=2, shuffle=True):
            train(inputs, targets)
elif shape == "batches":
    for _ in run.epochs(2):
        order = torch.randperm(6)
        for batch in run.batches(3):
            train(*data[order[batch * 2 : batch * 2 + 2]])
if not run.is_finished:
    run.finish()
