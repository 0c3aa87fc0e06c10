"""JAX: pytrees of arrays and random keys as state, saved from the host.

    state = holdfast.jax.Pytrees(parameters=parameters, optimizer=optimizer_state, key=key)
    run.register(state=state)
    for epoch in run.epochs(args.epochs):
        for batch in run.batches(45):
            state.parameters, state.optimizer, state.key, loss = update(...)
            run.step(loss=loss)

Nothing depends on the device: copies on the host are saved, and loaded values go to the device of the values
that they replace.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import jax
import numpy as np

from . import _jax_compatibility, _numpy_leaves
from ._errors import HoldfastError

__all__ = ["Pytrees"]

_KEY = "random_key"


class Pytrees:
    """Pytrees by name, as attributes that the loop replaces: JAX values themselves never change.

    A tree may be anything that JAX accepts: dicts, lists, named tuples, dataclasses, states of flax and
    optax. Its leaves are arrays of any dtype, random keys (including typed ones) and plain values. Only
    leaves are saved, never code. A resumed program creates the same trees as the first attempt, and their
    leaves are replaced. Each leaf goes to the device and sharding of the one that it replaces.

    Args:
        **trees: under names that stay the same in every attempt.

    Raises:
        HoldfastError: when saving, a leaf is on devices of other processes, or two leaves have the same
            path; when loading, the trees, shapes or dtypes differ from the saved ones.
    """

    def __init__(self, **trees: Any) -> None:
        object.__setattr__(self, "_trees", trees)
        for leaf in jax.tree_util.tree_leaves(trees):
            if isinstance(leaf, jax.Array):
                _jax_compatibility.check(leaf)

    def __getattr__(self, name: str) -> Any:
        """Return a tree."""
        try:
            return object.__getattribute__(self, "_trees")[name]
        except KeyError:
            raise AttributeError(f"no tree '{name}'") from None

    def __setattr__(self, name: str, value: Any) -> None:
        """Replace a tree."""
        if name not in self._trees:
            raise AttributeError(f"no tree '{name}'; pass every tree to Pytrees()")
        self._trees[name] = value

    def state_dict(self) -> dict[str, Any]:
        """Return copies of the leaves on the host, in nested dicts by path."""
        state: dict[str, Any] = {}
        for path, leaf in _leaves(self._trees):
            inner = state
            for part in path[:-1]:
                inner = inner.setdefault(part, {})
            inner[path[-1]] = _on_host(leaf, path)
        return state

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Replace every leaf by the saved one.

        Raises:
            HoldfastError: the trees, shapes or dtypes differ from the saved ones.
        """
        saved = dict(_saved_leaves(state, ()))
        present = dict(_leaves(self._trees))
        missing, unknown = sorted(set(present) - set(saved)), sorted(set(saved) - set(present))
        if missing or unknown:
            raise HoldfastError(
                "the trees differ from the saved ones: "
                + "; ".join(
                    f"{what} {', '.join('/'.join(path) for path in paths[:5])}"
                    for what, paths in (("not saved:", missing), ("no longer present:", unknown))
                    if paths
                ),
                hint="create the same model and optimizer as the run that saved them",
            )
        leaves = [_converted(leaf, saved[path], path) for path, leaf in _leaves(self._trees)]
        structure = jax.tree_util.tree_structure(self._trees)
        self._trees.update(jax.tree_util.tree_unflatten(structure, leaves))


class Value:
    """A registered tree that cannot be changed in place, such as flax's `TrainState`; see `Run.values`.

    A tree of the same structure replaces it at each step.
    """

    def __init__(self, name: str, tree: Any) -> None:
        self._name = name
        self._trees = Pytrees(value=tree)
        self.is_replaced = False

    @property
    def value(self) -> Any:
        """The current tree."""
        return self._trees.value

    @value.setter
    def value(self, tree: Any) -> None:
        self.is_replaced = True
        self._trees.value = tree

    def state_dict(self) -> Any:
        """Return copies of the leaves on the host, in nested dicts by path."""
        return self._trees.state_dict()

    def load_state_dict(self, state: Any) -> None:
        """Replace every leaf by the saved one."""
        self._trees.load_state_dict(state)


def _leaves(trees: Any) -> Iterator[tuple[tuple[str, ...], Any]]:
    seen = set()
    for keys, leaf in jax.tree_util.tree_flatten_with_path(trees)[0]:
        path = tuple(_key_text(key) for key in keys)
        if path in seen:
            raise HoldfastError(
                f"two leaves have the path '{'/'.join(path)}'", hint="use keys that differ as text"
            )
        seen.add(path)
        yield path, leaf


def _key_text(key: Any) -> str:
    for attribute in ("key", "idx", "name"):
        if hasattr(key, attribute):
            return str(getattr(key, attribute))
    return str(key)


def _saved_leaves(state: Any, path: tuple[str, ...]) -> Iterator[tuple[tuple[str, ...], Any]]:
    if isinstance(state, dict) and _KEY not in state:
        for name, member in state.items():
            yield from _saved_leaves(member, (*path, name))
    else:
        yield path, state


def _on_host(leaf: Any, path: tuple[str, ...]) -> Any:
    if not isinstance(leaf, jax.Array):
        return leaf
    if not leaf.is_fully_addressable:
        raise HoldfastError(
            f"'{'/'.join(path)}' is on devices of other processes", hint="run one process for each job"
        )
    if _jax_compatibility.is_key(leaf):
        return {
            _KEY: np.asarray(jax.random.key_data(leaf)),
            "implementation": _jax_compatibility.implementation(leaf),
        }
    return np.asarray(leaf)


def _converted(leaf: Any, saved: Any, path: tuple[str, ...]) -> Any:
    """Return a saved leaf converted to the kind of value that it replaces."""
    if not isinstance(leaf, jax.Array):
        return saved
    if _jax_compatibility.is_key(leaf):
        if not isinstance(saved, dict) or saved.get("implementation") != _jax_compatibility.implementation(
            leaf
        ):
            raise _mismatch(path, "was not a random key of this implementation")
        # From a JAX array: a key over a numpy array cannot be saved again before it is used.
        value = jax.random.wrap_key_data(jax.numpy.array(saved[_KEY]), impl=saved["implementation"])
    else:
        if not isinstance(saved, np.ndarray):
            raise _mismatch(path, f"was a {type(saved).__name__}, but is an array now")
        if saved.dtype != leaf.dtype:
            raise _mismatch(path, f"had dtype {saved.dtype}, but has {leaf.dtype} now")
        value = saved
    if value.shape != leaf.shape:
        raise _mismatch(path, f"had shape {value.shape}, but has {leaf.shape} now")
    # A value that was not placed on a device explicitly stays uncommitted.
    if _jax_compatibility.is_placed(leaf):
        return jax.device_put(value, leaf.sharding)
    return value if _jax_compatibility.is_key(leaf) else jax.numpy.array(value)


def _mismatch(path: tuple[str, ...], how: str) -> HoldfastError:
    return HoldfastError(
        f"'{'/'.join(path)}' {how}", hint="create the same model and optimizer as the run that saved it"
    )


def _is_plain_array(value: Any) -> bool:
    return isinstance(value, jax.Array) and not _jax_compatibility.is_key(value)


# For arrays in other states: `run.step(state={...})`, hooks.
_numpy_leaves.add_array_kind("jax", _is_plain_array, np.asarray, jax.numpy.asarray)
