"""Handwritten digits in JAX with optax: bfloat16 layers, dropout from a typed random key, and a schedule.

    holdfast run --job digits -- python digits_jax.py

The last line on standard output is the SHA-256 of parameters, optimizer state and key.
"""

from __future__ import annotations

import argparse
import hashlib
import time
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
from sklearn.datasets import load_digits

import holdfast
import holdfast.jax

BATCHES = 56


def initial(key: Any) -> dict[str, Any]:
    """Return the parameters of two layers, the first in bfloat16."""
    first, second = jax.random.split(key)
    return {
        "hidden": {
            "w": jax.random.normal(first, (64, 96), jnp.bfloat16) / 8,
            "b": jnp.zeros(96, jnp.bfloat16),
        },
        "output": {"w": jax.random.normal(second, (96, 10)) / 10, "b": jnp.zeros(10)},
    }


def outputs(parameters: dict[str, Any], images: Any) -> Any:
    """Activations of the hidden layer and what makes logits of them."""
    hidden = jax.nn.relu(images.astype(jnp.bfloat16) @ parameters["hidden"]["w"] + parameters["hidden"]["b"])
    return hidden.astype(jnp.float32)


def logits(parameters: dict[str, Any], hidden: Any) -> Any:
    return hidden @ parameters["output"]["w"] + parameters["output"]["b"]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--epochs", type=int, default=6)
    parser.add_argument("--step-delay", type=float, default=0, help="pause after each step, in seconds")
    args = parser.parse_args()

    digits = load_digits()
    images, labels = digits.images.reshape(-1, 64).astype(np.float32) / 16, digits.target
    optimizer = optax.adamw(optax.cosine_decay_schedule(5e-3, args.epochs * BATCHES))

    @jax.jit
    def update(parameters: Any, state: Any, key: Any, images: Any, labels: Any) -> Any:
        key, now = jax.random.split(key)

        def loss_of(parameters: Any) -> Any:
            hidden = outputs(parameters, images)
            kept = jax.random.bernoulli(now, 0.8, hidden.shape)
            scores = logits(parameters, jnp.where(kept, hidden / 0.8, 0))
            return optax.softmax_cross_entropy_with_integer_labels(scores, labels).mean()

        loss, gradients = jax.value_and_grad(loss_of)(parameters)
        changes, state = optimizer.update(gradients, state, parameters)
        return optax.apply_updates(parameters, changes), state, key, loss

    # Randomness comes only from keys and seeded generators: no global stream has to be recorded.
    run = holdfast.attach(hyperparameters=vars(args), rng=False)
    parameters = initial(jax.random.key(1))
    state = holdfast.jax.Pytrees(
        parameters=parameters, optimizer=optimizer.init(parameters), key=jax.random.key(2)
    )
    run.register(state=state)

    for epoch in run.epochs(args.epochs):
        order = np.random.default_rng(epoch).permutation(len(labels))
        for batch in run.batches(BATCHES):
            chosen = order[batch * 32 : batch * 32 + 32]
            state.parameters, state.optimizer, state.key, loss = update(
                state.parameters, state.optimizer, state.key, images[chosen], labels[chosen]
            )
            run.step(loss=loss)
            time.sleep(args.step_delay)

    scores = logits(state.parameters, outputs(state.parameters, images))
    print("accuracy", float((scores.argmax(1) == labels).mean()))
    hashed = hashlib.sha256()
    for leaf in jax.tree_util.tree_leaves((state.parameters, state.optimizer)):
        hashed.update(np.asarray(leaf).tobytes())
    hashed.update(np.asarray(jax.random.key_data(state.key)).tobytes())
    print("digest", hashed.hexdigest(), flush=True)


if __name__ == "__main__":
    main()
