"""Handwritten digits in PyTorch: a network with dropout and batch norm, and data augmented by workers.

    holdfast run --job digits -- python digits_torch.py --workers 2

The last line on standard output is the SHA-256 of all final parameters and of the optimizer's state.
"""

from __future__ import annotations

import argparse
import hashlib
import random
import time
from typing import Any

import torch
from sklearn.datasets import load_digits
from torch import nn
from torch.utils.data import Dataset

import holdfast


class Digits(Dataset):
    """1,797 images of 8 x 8 pixels, each shifted by up to one pixel and with noise added when it is read."""

    def __init__(self, first: int, last: int, *, augment: bool) -> None:
        digits = load_digits()
        self.images = torch.tensor(digits.images[first:last], dtype=torch.float32) / 16
        self.labels = torch.tensor(digits.target[first:last])
        self.augment = augment

    def __len__(self) -> int:
        return len(self.labels)

    def __getitem__(self, index: int) -> tuple[torch.Tensor, torch.Tensor]:
        image = self.images[index]
        if self.augment:
            image = torch.roll(image, random.randint(-1, 1), dims=random.randint(0, 1))
            image = image + torch.randn(image.shape) * 0.05
        return image.flatten(), self.labels[index]


def digest(*states: Any) -> str:
    """Return the SHA-256 of tensors and numbers, in order."""
    hashed = hashlib.sha256()

    def add(value: Any) -> None:
        if isinstance(value, dict):
            for key in value:
                add(value[key])
        elif isinstance(value, (list, tuple)):
            for element in value:
                add(element)
        elif isinstance(value, torch.Tensor):
            hashed.update(value.contiguous().numpy().tobytes())
        else:
            hashed.update(repr(value).encode())

    add(states)
    return hashed.hexdigest()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--epochs", type=int, default=6)
    parser.add_argument("--batch-size", type=int, default=32)
    parser.add_argument("--learning-rate", type=float, default=3e-3)
    parser.add_argument("--workers", type=int, default=0)
    parser.add_argument("--persistent", action="store_true", help="use the same workers in all epochs")
    parser.add_argument("--step-delay", type=float, default=0, help="pause after each step, in seconds")
    args = parser.parse_args()

    holdfast.seed_everything(1)
    torch.set_num_threads(1)
    run = holdfast.attach(hyperparameters=vars(args))
    model = nn.Sequential(
        nn.Linear(64, 96), nn.BatchNorm1d(96), nn.ReLU(), nn.Dropout(0.2), nn.Linear(96, 10)
    )
    optimizer = torch.optim.AdamW(model.parameters(), lr=args.learning_rate)
    scheduler = torch.optim.lr_scheduler.StepLR(optimizer, step_size=2, gamma=0.5)
    best = {"accuracy": 0.0, "epoch": -1}
    run.register(model=model, optimizer=optimizer, scheduler=scheduler, best=best)
    training = run.loader(
        Digits(0, 1437, augment=True),
        batch_size=args.batch_size,
        shuffle=True,
        num_workers=args.workers,
        persistent_workers=args.persistent,
    )
    validation = run.loader(Digits(1437, 1797, augment=False), batch_size=120)

    for epoch in run.epochs(args.epochs):
        model.train()
        for images, labels in training:
            loss = nn.functional.cross_entropy(model(images), labels)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            run.step(loss=loss, learning_rate=scheduler.get_last_lr()[0])
            time.sleep(args.step_delay)
        with run.phase("validation"), torch.no_grad():
            model.eval()
            right = 0
            for images, labels in validation:
                right += int((model(images).argmax(1) == labels).sum())
                run.safepoint()
        if right / 360 > best["accuracy"]:
            best.update(accuracy=right / 360, epoch=epoch)
        scheduler.step()
        print(
            f"epoch {epoch + 1}/{args.epochs} loss {loss.item():.4f} accuracy {right / 360:.4f}", flush=True
        )
    print(
        "digest", digest(model.state_dict(), optimizer.state_dict(), scheduler.state_dict(), best), flush=True
    )


if __name__ == "__main__":
    main()
