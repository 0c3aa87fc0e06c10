"""The hyperparameters of the module and data module: recorded with the job, and kept in the checkpoint."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from .._errors import HoldfastError
from .._values import new_encoder

_KEYS = ("hyper_parameters", "datamodule_hyper_parameters")
# Classes of the program, which a checkpoint cannot contain.
_CLASSES = ("hparams_type", "datamodule_hparams_type")


def of(trainer: Any, module: Any) -> dict[str, Any]:
    """Return the hyperparameters of both; one of the data module has a prefix where the names collide."""
    named = _plain(getattr(module, "hparams", None) or {})
    for name, value in _plain(getattr(trainer.datamodule, "hparams", None) or {}).items():
        collides = name in named and not _is_equal(named[name], value)
        named[f"datamodule.{name}" if collides else name] = value
    return named


def change(trainer: Any, module: Any, changed: Mapping[str, Any]) -> None:
    """Set changed hyperparameters where the module and the data module have them.

    As Lightning's tuner does: an attribute of that name, and the entry of `hparams`.
    """
    data = trainer.datamodule
    own = getattr(data, "hparams", None) or {}
    for name, value in changed.items():
        is_data = name.startswith("datamodule.")
        plain = name[len("datamodule.") :] if is_data else name
        for owner in (data,) if is_data else (module, *((data,) if name in own else ())):
            if owner is None:
                continue
            hparams = getattr(owner, "hparams", None) or {}
            if plain in hparams:
                hparams[plain] = value
            if plain in vars(owner):
                setattr(owner, plain, value)


def keep_savable(checkpoint: dict[str, Any]) -> list[str]:
    """Remove what an image cannot contain from a trainer's checkpoint.

    Returns:
        Names of the removed hyperparameters, with their types.
    """
    for key in _CLASSES:
        checkpoint.pop(key, None)
    removed = []
    for key in _KEYS:
        if key not in checkpoint:
            continue
        kept = {}
        for name, value in _plain(checkpoint[key]).items():
            value = _as_dicts(value)
            if _is_savable(value):
                kept[name] = value
            else:
                removed.append(f"{name} ({type(value).__module__}.{type(value).__qualname__})")
        checkpoint[key] = kept
    return removed


def _plain(hparams: Any) -> dict[str, Any]:
    """Return the hyperparameters as a dict; those of OmegaConf with plain values."""
    if type(hparams).__module__.partition(".")[0] == "omegaconf":
        from omegaconf import OmegaConf  # type: ignore[import-not-found,unused-ignore]

        hparams = OmegaConf.to_container(hparams, resolve=True)
    return {str(name): value for name, value in dict(hparams).items()}


def _as_dicts(value: Any) -> Any:
    """Return nested mappings of other classes, such as Lightning's `AttributeDict`, as dicts."""
    if type(value).__module__.partition(".")[0] == "omegaconf":
        from omegaconf import OmegaConf  # type: ignore[import-not-found,unused-ignore]

        return OmegaConf.to_container(value, resolve=True)
    if isinstance(value, Mapping):
        return {key: _as_dicts(member) for key, member in value.items()}
    if type(value) in (list, tuple):
        return type(value)(map(_as_dicts, value))
    return value


def _is_savable(value: Any) -> bool:
    try:
        new_encoder().node(value, "value")
    except HoldfastError:
        return False
    return True


def _is_equal(one: Any, other: Any) -> bool:
    try:
        return bool(one == other)
    except Exception:  # Arrays, or the program's own method.
        return False
