"""Digits in half precision on the CPU; the loss scale grows until it overflows. Prints a digest last."""

from __future__ import annotations

import argparse
import hashlib
import time

import torch
from sklearn.datasets import load_digits
from torch import nn
from torch.utils.data import TensorDataset

import holdfast

# Initial scales near the limit of the dtype, which overflow after a few tens of steps.
SCALES = {"float16": 2.0**12, "bfloat16": 2.0**122}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("kind", choices=SCALES)
    args = parser.parse_args()
    holdfast.seed_everything(1)
    torch.set_num_threads(1)
    run = holdfast.attach()
    model = nn.Sequential(nn.Linear(64, 48), nn.LayerNorm(48), nn.ReLU(), nn.Dropout(0.1), nn.Linear(48, 10))
    optimizer = torch.optim.AdamW(model.parameters(), lr=3e-3)
    scaler = torch.amp.GradScaler("cpu", init_scale=SCALES[args.kind], growth_interval=7)
    skipped = {"steps": 0}
    run.register(model=model, optimizer=optimizer, scaler=scaler, skipped=skipped)
    digits = load_digits()
    images = torch.tensor(digits.data[:640], dtype=torch.float32) / 16
    loader = run.loader(TensorDataset(images, torch.tensor(digits.target[:640])), batch_size=16, shuffle=True)
    for _ in run.epochs(3):
        for batch, labels in loader:
            with torch.autocast("cpu", dtype=getattr(torch, args.kind)):
                loss = nn.functional.cross_entropy(model(batch), labels)
            optimizer.zero_grad()
            scaler.scale(loss).backward()
            scaler.unscale_(optimizer)
            nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            before = scaler.get_scale()
            scaler.step(optimizer)
            scaler.update()
            skipped["steps"] += scaler.get_scale() < before
            run.step(loss=loss.detach(), scale=scaler.get_scale())
            time.sleep(0.01 if run.is_supervised else 0)
    hashed = hashlib.sha256(repr((scaler.state_dict(), skipped)).encode())
    for parameter in model.parameters():
        hashed.update(parameter.detach().numpy().tobytes())
    print("skipped", skipped["steps"], flush=True)
    print("digest", hashed.hexdigest(), flush=True)


if __name__ == "__main__":
    main()
