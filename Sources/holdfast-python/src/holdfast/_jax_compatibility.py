"""All private names of JAX that are used, and the check that the installed version has them."""

from __future__ import annotations

from typing import Any

import jax

from ._private_names import Private, View, require

SUPPORTED = "0.4.20 to 0.4.30"


class Array(View):
    """An array, and whether the program has placed it on a device."""

    is_placed = Private("_committed")


def check(leaf: Any) -> None:
    """Check the installed JAX with an array.

    Raises:
        HoldfastError: it lacks a private name.
    """
    missing = [] if is_key(leaf) else Array(leaf).missing(jax.__version__)
    if is_key(leaf) and _implementation_name(leaf) is None:
        missing.append("random.key_impl()._impl.name")
    require("jax", jax.__version__, SUPPORTED, missing)


def is_placed(leaf: Any) -> bool:
    """Return whether the program has placed an array on a device. Keys without that flag count as placed."""
    return bool(getattr(leaf, "_committed", True)) if is_key(leaf) else bool(Array(leaf).is_placed)


def is_key(leaf: Any) -> bool:
    """Return whether a leaf is a typed random key."""
    return isinstance(leaf, jax.Array) and jax.dtypes.issubdtype(leaf.dtype, jax.dtypes.prng_key)


def implementation(leaf: Any) -> str:
    """Return the name of a random key's implementation."""
    return str(_implementation_name(leaf))


def _implementation_name(leaf: Any) -> str | None:
    # Text in newer versions; in older ones an object with that name.
    found = jax.random.key_impl(leaf)
    if isinstance(found, str):
        return found
    name = getattr(getattr(found, "_impl", found), "name", None)
    return None if name is None else str(name)
