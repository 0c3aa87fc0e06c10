"""Digits with flax's TrainState and optax; prints the digest of the state last."""

from __future__ import annotations

import hashlib
import time
from typing import Any

import flax.linen as nn
import jax
import numpy as np
import optax
from flax.training.train_state import TrainState
from sklearn.datasets import load_digits

import holdfast


class Network(nn.Module):
    @nn.compact
    def __call__(self, images: Any, *, train: bool) -> Any:
        hidden = nn.relu(nn.Dense(64)(images))
        return nn.Dense(10)(nn.Dropout(0.2, deterministic=not train)(hidden))


@jax.jit
def update(state: TrainState, key: Any, images: Any, labels: Any) -> Any:
    key, now = jax.random.split(key)

    def loss_of(parameters: Any) -> Any:
        scores = state.apply_fn({"params": parameters}, images, train=True, rngs={"dropout": now})
        return optax.softmax_cross_entropy_with_integer_labels(scores, labels).mean()

    loss, gradients = jax.value_and_grad(loss_of)(state.params)
    return state.apply_gradients(grads=gradients), key, loss


def main() -> None:
    digits = load_digits()
    images, labels = digits.data.astype(np.float32) / 16, digits.target
    network = Network()
    made = TrainState.create(
        apply_fn=network.apply,
        params=network.init(jax.random.key(1), images[:1], train=False)["params"],
        tx=optax.chain(optax.clip_by_global_norm(1.0), optax.adamw(optax.cosine_decay_schedule(5e-3, 120))),
    )
    run = holdfast.attach(rng=False)
    run.register(state=made, key=jax.random.key(2))
    values = run.values
    for epoch in run.epochs(3):
        order = np.random.default_rng(epoch).permutation(len(labels))
        for batch in run.batches(40):
            chosen = order[batch * 32 : batch * 32 + 32]
            values.state, values.key, loss = update(values.state, values.key, images[chosen], labels[chosen])
            run.step(loss=loss)
            time.sleep(0.01 if run.is_supervised else 0)
    hashed = hashlib.sha256()
    for leaf in jax.tree_util.tree_leaves(values.state):
        hashed.update(np.asarray(leaf).tobytes())
    print("digest", hashed.hexdigest(), flush=True)


if __name__ == "__main__":
    main()
