"""JAX: round trips of trees and keys, and a loop that is killed."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import pytest

jax = pytest.importorskip("jax")
import jax.numpy as jnp
import numpy as np
import optax
import safetensors.numpy

import holdfast
import holdfast.jax
from conftest import RunDirectory
from holdfast import HoldfastError
from supervised import OPTIONS, PACKAGE, Job, finish_after_kills, kill_at_random_steps, uninterrupted_digest

DIGITS = PACKAGE / "examples/digits_jax.py"


def trees(seed: int) -> dict[str, Any]:
    chance = np.random.default_rng(seed)
    parameters = {
        "layer": {"w": jnp.asarray(chance.random((3, 5)), jnp.bfloat16), "b": jnp.asarray(chance.random(5))},
        "odd/name": [jnp.asarray(chance.integers(0, 9, 4), jnp.int8), jnp.zeros((0, 2))],
        "complex": jnp.asarray(chance.random(2) + 1j),
        "truth": jnp.asarray(chance.random(3) > 0.5),
    }
    optimizer = optax.chain(optax.clip_by_global_norm(1.0), optax.adam(1e-3))
    return {
        "parameters": parameters,
        "optimizer": optimizer.init(parameters["layer"]),
        "typed": jax.random.split(jax.random.key(seed), 3),
        "other": jax.random.key(seed, impl="rbg"),
        "raw": jax.random.PRNGKey(seed),
        "count": seed,
        "missing": None,
    }


def trees_of(state: holdfast.jax.Pytrees) -> dict[str, Any]:
    return {name: getattr(state, name) for name in trees(1)}


def same(one: Any, other: Any) -> bool:
    left, right = jax.tree_util.tree_flatten(one), jax.tree_util.tree_flatten(other)
    return left[1] == right[1] and all(
        getattr(a, "dtype", None) == getattr(b, "dtype", None)
        and type(a) is type(b)
        and (
            a == b
            if not isinstance(a, jax.Array)
            else bool((jax.random.key_data(a) == jax.random.key_data(b)).all())
            if jax.dtypes.issubdtype(a.dtype, jax.dtypes.prng_key)
            else np.asarray(a).tobytes() == np.asarray(b).tobytes()
        )
        for a, b in zip(left[0], right[0])
    )


def test_round_trip(tmp_path: Path) -> None:
    run = holdfast.attach(rng=False)
    run.register(state=holdfast.jax.Pytrees(**trees(1)))
    path = run.save(tmp_path)
    resumed = holdfast.attach(rng=False)
    state = holdfast.jax.Pytrees(**trees(2))
    resumed.register(state=state)
    assert not same(trees_of(state), trees(1))
    resumed.load(path)
    assert same(trees_of(state), trees(1))
    # The random numbers continue.
    assert jax.random.normal(state.typed[1]) == jax.random.normal(trees(1)["typed"][1])
    public = safetensors.numpy.load_file(path / "state.safetensors")
    assert public["state/optimizer/1/0/mu/w"].shape == (3, 5)


def test_mismatched_trees_are_refused() -> None:
    state = holdfast.jax.Pytrees(w=jnp.zeros(3), key=jax.random.key(0))
    saved = state.state_dict()
    for other, problem in (
        (holdfast.jax.Pytrees(w=jnp.zeros(4), key=jax.random.key(0)), "shape"),
        (holdfast.jax.Pytrees(w=jnp.zeros(3, jnp.bfloat16), key=jax.random.key(0)), "bfloat16"),
        (holdfast.jax.Pytrees(w=jnp.zeros(3), key=jax.random.key(0, impl="rbg")), "implementation"),
        (
            holdfast.jax.Pytrees(w=jnp.zeros(3), lock=jax.random.key(0)),
            "not saved: lock; no longer present: key",
        ),
    ):
        with pytest.raises(HoldfastError, match=problem):
            other.load_state_dict(saved)
    with pytest.raises(HoldfastError, match="two leaves have the path"):
        holdfast.jax.Pytrees(w=_Twice()).state_dict()
    with pytest.raises(AttributeError, match="no tree 'wight'"):
        state.wight = 1


@jax.tree_util.register_pytree_with_keys_class
class _Twice:
    def tree_flatten_with_keys(self) -> Any:
        key = jax.tree_util.DictKey
        return ((key("1"), jnp.zeros(1)), (key(1), jnp.zeros(1))), None

    @classmethod
    def tree_unflatten(cls, _: Any, __: Any) -> Any:
        return cls()


def test_arrays_in_registered_containers(run_directory: RunDirectory) -> None:
    values: dict[str, Any] = {"x": jnp.arange(3)}
    run = holdfast.attach(rng=False)
    run.register(values=values)
    run_directory.request(1)
    run.step()
    run_directory.next_attempt()
    values.clear()
    run = holdfast.attach(rng=False)
    run.register(values=values)
    assert run.restore()
    assert isinstance(values["x"], jax.Array)
    assert values["x"].tolist() == [0, 1, 2]


def test_digits(tmp_path: Path) -> None:
    expected = uninterrupted_digest(DIGITS)
    with Job(tmp_path, DIGITS, "--step-delay", 0.004, options=OPTIONS) as job:
        done = kill_at_random_steps(job, 10, 326, random.Random(31).randrange(1000))
        finish_after_kills(job, done, expected, fewest=5)
