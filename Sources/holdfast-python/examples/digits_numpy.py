"""Handwritten digits with scikit-learn's `partial_fit` and numpy: the shortest example.

holdfast run --job digits -- python digits_numpy.py
"""

from __future__ import annotations

import argparse
import hashlib
import time

import numpy as np
from sklearn.datasets import load_digits
from sklearn.linear_model import SGDClassifier

import holdfast

parser = argparse.ArgumentParser(description=__doc__)
parser.add_argument("--epochs", type=int, default=4)
parser.add_argument("--step-delay", type=float, default=0, help="pause after each step, in seconds")
args = parser.parse_args()

images, labels = load_digits(return_X_y=True)
holdfast.seed_everything(1)
run = holdfast.attach(hyperparameters=vars(args))
model = SGDClassifier(loss="log_loss", random_state=np.random.mtrand._rand)
run.register(model=holdfast.Attributes(model, "coef_", "intercept_", "t_", "classes_", "n_features_in_"))

for epoch in run.epochs(args.epochs):
    order = np.random.default_rng(epoch).permutation(len(labels))
    for batch in run.batches(56):
        chosen = order[batch * 32 : batch * 32 + 32]
        noisy = images[chosen] / 16 + np.random.normal(0, 0.1, (len(chosen), 64))
        model.partial_fit(noisy, labels[chosen], classes=np.arange(10))
        run.step(state=True, accuracy=model.score(images[chosen] / 16, labels[chosen]))
        time.sleep(args.step_delay)

print("accuracy", model.score(images / 16, labels))
print("digest", hashlib.sha256(model.coef_.tobytes() + model.intercept_.tobytes()).hexdigest(), flush=True)
