"""scikit-learn's estimators, whose state is their `__dict__`, and scikit-learn objects inside them.

Classes are looked up in the modules of scikit-learn that the program has imported; none of them is called.
"""

from __future__ import annotations

import sys
from typing import Any

from ._decode import Decoder, add_decoder
from ._encode import Encode, Encoder, Node, python

# Compiled loss functions, which are not data; each `partial_fit` creates them again.
_MADE_AGAIN = ("loss_function_", "_loss")


def is_estimator(thing: Any) -> bool:
    """Return whether an object is an estimator, of scikit-learn itself or of the program."""
    base = sys.modules.get("sklearn.base")
    return base is not None and isinstance(thing, base.BaseEstimator)


def state_of(thing: Any) -> dict[str, Any]:
    """Return the attributes of an estimator."""
    return {name: value for name, value in vars(thing).items() if name not in _MADE_AGAIN}


def load(thing: Any, state: dict[str, Any]) -> None:
    """Set the attributes of an estimator, and delete all others."""
    attributes = vars(thing)
    kept = {name: attributes[name] for name in _MADE_AGAIN if name in attributes}
    attributes.clear()
    attributes.update(kept)
    attributes.update(state)


def encoder_of(value: Any) -> Encode | None:
    """Return the encoder for a scikit-learn object inside an estimator; None for other values."""
    cls = type(value)
    if not cls.__module__.startswith("sklearn.") or not hasattr(value, "__dict__"):
        return None
    return _encode


def _encode(encoder: Encoder, value: Any, path: str, depth: int) -> Node:
    cls = type(value)
    encoder.enter(value, path, depth)
    node = encoder.node(state_of(value), path, depth + 1)
    encoder.leave(value)
    return python("sklearn", node, type=f"{cls.__module__}:{cls.__qualname__}")


def _decode(decoder: Decoder, node: Node) -> Any:
    module, _, name = node["type"].partition(":")
    cls = getattr(sys.modules.get(module), name, None)
    if not module.startswith("sklearn.") or not isinstance(cls, type) or cls.__module__ != module:
        raise ValueError(f"{module} has no class {name}, or is not imported")
    made: Any = object.__new__(cls)
    vars(made).update(decoder.value(node["value"]))
    return made


add_decoder("sklearn", _decode)
