"""A plain PyTorch script that writes its own checkpoints and knows nothing of holdfast."""

from __future__ import annotations

import argparse
import hashlib
from pathlib import Path

import torch

parser = argparse.ArgumentParser()
parser.add_argument("--ckpt_path", help="resume with this file")
parser.add_argument("--out", default="out")
parser.add_argument("--last", action="store_true", help="overwrite one file, last.pt")
parser.add_argument("--steps", type=int, default=60)
parser.add_argument("--every", type=int, default=10)
arguments = parser.parse_args()

torch.manual_seed(1)
model = torch.nn.Sequential(torch.nn.Linear(8, 64), torch.nn.Dropout(0.1), torch.nn.Linear(64, 1))
optimizer = torch.optim.Adam(model.parameters(), lr=0.01)
step = 0
if arguments.ckpt_path:
    state = torch.load(arguments.ckpt_path)
    model.load_state_dict(state["model"])
    optimizer.load_state_dict(state["optimizer"])
    torch.set_rng_state(state["rng"])
    step = state["step"]
print(f"start at step {step} from {arguments.ckpt_path}", flush=True)

out = Path(arguments.out)
out.mkdir(exist_ok=True)
while step < arguments.steps:
    inputs = torch.randn(16, 8)
    loss = (model(inputs) - inputs.sum(1, keepdim=True)).square().mean()
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    step += 1
    if step % arguments.every == 0:
        path = out / ("last.pt" if arguments.last else f"step-{step:05d}.ckpt")
        state = {"model": model.state_dict(), "optimizer": optimizer.state_dict(), "step": step}
        torch.save({**state, "rng": torch.get_rng_state()}, path)

digest = hashlib.sha256(b"".join(tensor.numpy().tobytes() for tensor in model.state_dict().values()))
print(f"digest {digest.hexdigest()}")
