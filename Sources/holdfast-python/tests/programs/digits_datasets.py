"""Digits from a Hugging Face dataset, with the requested loader; prints the digest of the weights last."""

from __future__ import annotations

import argparse
import hashlib
import random
import time
from typing import Any

import torch
from datasets import Dataset
from sklearn.datasets import load_digits
from torch import nn

import holdfast


def noisy(row: dict[str, Any]) -> dict[str, Any]:
    noise = random.random()
    return {"image": [value / 16 + 0.1 * noise for value in row["image"]], "label": row["label"]}


def source_of(kind: str) -> Any:
    digits = load_digits()
    rows = Dataset.from_dict({"image": digits.data[:640].tolist(), "label": digits.target[:640].tolist()})
    if kind == "map-style":
        return rows.with_format("torch")
    stream = rows.to_iterable_dataset(num_shards=4).shuffle(
        seed=1, buffer_size=100 if kind == "buffer" else 1
    )
    return stream.map(noisy).with_format("torch")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("source", choices=["map-style", "shards", "buffer"])
    parser.add_argument("--workers", type=int, default=0)
    parser.add_argument("--torchdata", action="store_true")
    args = parser.parse_args()
    holdfast.seed_everything(1)
    torch.set_num_threads(1)
    run = holdfast.attach()
    model = nn.Sequential(nn.Linear(64, 48), nn.ReLU(), nn.Dropout(0.1), nn.Linear(48, 10))
    optimizer = torch.optim.Adam(model.parameters(), lr=3e-3)
    run.register(model=model, optimizer=optimizer)
    options: dict[str, Any] = {"batch_size": 16, "num_workers": args.workers}
    if args.source == "map-style":
        options["shuffle"] = True
    source = source_of(args.source)
    if args.torchdata:
        from torchdata.stateful_dataloader import StatefulDataLoader

        loader = run.loader(StatefulDataLoader(source, **options))
    else:
        loader = run.loader(source, **options)
    for _ in run.epochs(3):
        for batch in loader:
            loss = nn.functional.cross_entropy(model(batch["image"].float()), batch["label"])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            run.step(loss=loss.detach())
            time.sleep(0.01 if run.is_supervised else 0)
    hashed = hashlib.sha256()
    for parameter in model.parameters():
        hashed.update(parameter.detach().numpy().tobytes())
    print("digest", hashed.hexdigest(), flush=True)


if __name__ == "__main__":
    main()
