"""A character-level transformer on the text of the GPL, with typical features of larger trainings.

    holdfast run --job characters -- python characters_torch.py --workers 2

Gradient accumulation with a dynamic loss scale as for mixed precision, warm-up and cosine decay, dropout,
random crops by worker processes, tied weights. The last line on standard output is a digest.
"""

from __future__ import annotations

import argparse
import hashlib
import math
import time
from pathlib import Path
from typing import Any

import torch
from torch import nn
from torch.nn import functional
from torch.utils.data import Dataset

import holdfast

TEXT = Path("/usr/share/common-licenses/GPL-3")


class Crops(Dataset):
    """Pieces of the text: each sample begins at a random character near its position."""

    def __init__(self, codes: torch.Tensor, length: int, count: int) -> None:
        self.codes = codes
        self.length = length
        self.count = count

    def __len__(self) -> int:
        return self.count

    def __getitem__(self, index: int) -> tuple[torch.Tensor, torch.Tensor]:
        last = len(self.codes) - self.length - 1
        jitter = int(torch.randint(64, (), generator=holdfast.sample_generator()))
        begin = (index * last // self.count + jitter) % last
        piece = self.codes[begin : begin + self.length + 1]
        return piece[:-1], piece[1:]


class Characters(nn.Module):
    """Two layers of a transformer; the output shares the embedding's weights."""

    def __init__(self, alphabet: int, width: int, length: int) -> None:
        super().__init__()
        self.embedding = nn.Embedding(alphabet, width)
        self.place = nn.Parameter(torch.zeros(length, width))
        layer = nn.TransformerEncoderLayer(
            width, 4, 2 * width, dropout=0.1, batch_first=True, norm_first=True
        )
        self.layers = nn.TransformerEncoder(layer, 2)
        self.head = nn.Linear(width, alphabet, bias=False)
        self.head.weight = self.embedding.weight
        self.register_buffer("mask", torch.triu(torch.full((length, length), float("-inf")), diagonal=1))

    def forward(self, codes: torch.Tensor) -> torch.Tensor:
        return self.head(self.layers(self.embedding(codes) * 0.1 + self.place, self.mask))


class LossScale:
    """A dynamic loss scale like that of `torch.cuda.amp.GradScaler`, for any device."""

    def __init__(self) -> None:
        self.scale = 2.0**10
        self.good_steps = 0

    def step(self, optimizer: torch.optim.Optimizer, parameters: list[nn.Parameter]) -> None:
        """Step with unscaled gradients; skip the step if one is not finite."""
        gradients = [parameter.grad for parameter in parameters if parameter.grad is not None]
        for gradient in gradients:
            gradient.div_(self.scale)
        if all(bool(torch.isfinite(gradient).all()) for gradient in gradients):
            optimizer.step()
            self.good_steps += 1
            if self.good_steps % 20 == 0:
                self.scale *= 2
        else:
            self.scale /= 2
            self.good_steps = 0

    def state_dict(self) -> dict[str, Any]:
        return {"scale": self.scale, "good_steps": self.good_steps}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.scale, self.good_steps = state["scale"], state["good_steps"]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--epochs", type=int, default=3)
    parser.add_argument("--accumulate", type=int, default=2, help="number of batches per optimizer step")
    parser.add_argument("--workers", type=int, default=0)
    parser.add_argument("--step-delay", type=float, default=0, help="pause after each step, in seconds")
    args = parser.parse_args()

    holdfast.seed_everything(1)
    torch.set_num_threads(1)
    text = TEXT.read_text()
    alphabet = sorted(set(text))
    codes = torch.tensor([alphabet.index(character) for character in text])
    run = holdfast.attach(hyperparameters=vars(args))
    model = Characters(len(alphabet), 32, 32)
    parameters = list(model.parameters())
    optimizer = torch.optim.AdamW(parameters, lr=3e-3)
    scaler = LossScale()
    loader = run.loader(Crops(codes, 32, 640), batch_size=8, shuffle=True, num_workers=args.workers)
    total = args.epochs * len(loader) // args.accumulate
    scheduler = torch.optim.lr_scheduler.LambdaLR(
        optimizer, lambda step: min((step + 1) / 10, 0.5 + 0.5 * math.cos(math.pi * step / total))
    )
    run.register(model=model, optimizer=optimizer, scaler=scaler, scheduler=scheduler)

    for epoch in run.epochs(args.epochs):
        model.train()
        for number, (inputs, targets) in enumerate(loader, loader.position + 1):
            loss = functional.cross_entropy(model(inputs).flatten(0, 1), targets.flatten())
            (loss * scaler.scale / args.accumulate).backward()
            if number % args.accumulate and number != len(loader):
                continue
            scaler.step(optimizer, parameters)
            optimizer.zero_grad(set_to_none=True)
            scheduler.step()
            run.step(loss=loss, scale=scaler.scale)
            time.sleep(args.step_delay)
        print(f"epoch {epoch + 1}/{args.epochs} loss {loss.item():.4f}", flush=True)
    hashed = hashlib.sha256()
    for state in (model.state_dict(), *optimizer.state_dict()["state"].values()):
        for tensor in state.values():
            hashed.update(tensor.contiguous().numpy().tobytes())
    print("digest", hashed.hexdigest(), flush=True)


if __name__ == "__main__":
    main()
