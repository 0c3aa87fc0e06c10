"""A loop that prints the learning rate with which each step has really changed the weights."""

from __future__ import annotations

import argparse
import time

import torch

import holdfast

parser = argparse.ArgumentParser()
parser.add_argument("kind", choices=["loader", "batches", "range", "second", "nested"])
parser.add_argument("--lr", type=float, default=0.01)
args = parser.parse_args()

torch.manual_seed(1)
data = torch.randn(200, 3, dtype=torch.float64)
settings = {"optimizer": {"lr": args.lr}} if args.kind == "nested" else vars(args)
options = settings.get("optimizer", settings)
run = holdfast.attach(settings)
model = torch.nn.Linear(3, 1, dtype=torch.float64)
optimizer = torch.optim.SGD(model.parameters(), lr=options["lr"])
run.register(model=model, optimizer=optimizer)
loader = run.loader(torch.utils.data.TensorDataset(data), batch_size=1, shuffle=True)


def train(sample: torch.Tensor) -> None:
    (model(sample) - sample[:, :1].square()).square().sum().backward()
    before, gradient = model.weight.detach().clone(), model.weight.grad.clone()
    optimizer.step()
    optimizer.zero_grad()
    moved = (before - model.weight.detach()).flatten()
    largest = gradient.flatten().abs().argmax()
    print("rate", run.global_step, round(float(moved[largest] / gradient.flatten()[largest]), 6), flush=True)
    run.step()
    time.sleep(0.02 if run.resumed_from is None else 0.002)


if args.kind == "second":
    for _ in run.epochs(1, finish=False):
        for number in run.batches(2):
            train(data[number : number + 1])
for _ in run.epochs(2):
    if args.kind == "loader":
        for (sample,) in loader:
            train(sample)
    elif args.kind == "range":
        for number in range(run.batch, 200):
            train(data[number : number + 1])
    else:
        for number in run.batches(200):
            train(data[number : number + 1])
