"""A program that uses the best checkpoint of its run at the end of it."""

from __future__ import annotations

import sys
import time

import torch

import holdfast

holdfast.seed_everything(3)
run = holdfast.attach()
model = torch.nn.Linear(4, 1)
optimizer = torch.optim.SGD(model.parameters(), lr=0.5, momentum=0.9)
run.register(model=model, optimizer=optimizer)
scores = [0.5, 0.9, 0.3, 0.7, 0.2, 0.8]
if "--improving" in sys.argv:
    scores.reverse()
    scores[-1] = 0.1
for epoch in run.epochs(len(scores), finish="--finish-later" not in sys.argv):
    for _ in run.batches(5):
        model(torch.randn(8, 4)).square().mean().backward()
        optimizer.step()
        optimizer.zero_grad()
        run.step()
        time.sleep(0.08)
    with run.phase("validation"):
        run.log(val_loss=scores[epoch], accuracy=1 - scores[epoch])
    # In the loop the answer is what is known now, without a wait.
    known = run.best_model_path
    print("known", None if known is None else known.name, file=sys.stderr, flush=True)
path = run.best_model_path
print("path", path, "score", run.best_model_score)
print("models", [(one.name, score) for one, score in run.best_k_models.items()])
if path is not None:
    loaded = holdfast.load(path)
    model.load_state_dict(loaded["model"])
    print("loaded", loaded.step, "optimizer" in loaded)
    accuracies = run.best_checkpoints("accuracy")
    print("accuracy", [(one.step, one.score, one.weights_only) for one in accuracies])
    try:
        run.best_checkpoints("acuracy")
    except holdfast.HoldfastError as error:
        print("refused", error)
run.finish()
