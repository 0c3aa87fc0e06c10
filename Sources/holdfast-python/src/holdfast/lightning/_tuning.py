"""Tuners: what they found is kept, and what they train is no step of the run.

The searches for a learning rate and a batch size train with the trainer's own loops, from `Tuner` in a `fit`
that ends early, and from `LearningRateFinder` and `BatchSizeFinder` within a `fit`. A resumed program gets
what was found when it first ran, without another search.
"""

from __future__ import annotations

import sys
from typing import Any

from ._fits import Fits

_SEARCHES = {"LearningRateFinder": "lr_find", "BatchSizeFinder": "scale_batch_size"}


class Tuning:
    """The tuners among a trainer's callbacks."""

    def __init__(self, trainer: Any, fits: Fits) -> None:
        self._trainer = trainer
        self._fits = fits
        self._wrapped: list[tuple[Any, str]] = []
        self.ends_early = any(getattr(one, "_early_exit", False) for one in trainer.callbacks)
        for number, callback in enumerate(trainer.callbacks):
            for cls in type(callback).__mro__:
                name = _SEARCHES.get(cls.__name__)
                if name is not None:
                    self._wrap(callback, name, number)

    def _wrap(self, callback: Any, name: str, number: int) -> None:
        original = getattr(callback, name)
        fits = self._fits

        def search(trainer: Any, module: Any) -> None:
            if trainer.state.fn != "fit":
                original(trainer, module)
                return
            if callback._early_exit:
                place = f"tuner {fits.tuners}"
                fits.tuners += 1
            else:
                place = f"fit {fits.number}, callback {number}, epoch {trainer.current_epoch}"
            if place in fits.found:
                _give(callback, name, fits.found[place], trainer, module)
                if callback._early_exit:
                    raise _exception(trainer)
                return
            try:
                original(trainer, module)
            finally:
                _make_loaders_again(trainer)
                found = _found(callback, name)
                if found is not None:
                    fits.found[place] = found

        setattr(callback, name, search)
        self._wrapped.append((callback, name))

    def remove(self) -> None:
        """Leave the callbacks as they were."""
        for callback, name in self._wrapped:
            vars(callback).pop(name, None)


def _found(callback: Any, name: str) -> dict[str, Any] | None:
    if name == "scale_batch_size":
        return {"size": callback.optimal_batch_size}
    finder = getattr(callback, "optimal_lr", None)
    if finder is None:
        return None
    return {
        "results": {key: [float(one) for one in values] for key, values in finder.results.items()},
        "batches": finder._total_batch_idx,
    }


def _give(callback: Any, name: str, found: dict[str, Any], trainer: Any, module: Any) -> None:
    package = sys.modules[type(trainer).__module__.rpartition(".trainer.")[0]].__name__
    set_attribute = sys.modules[f"{package}.utilities.parsing"].lightning_setattr
    if name == "scale_batch_size":
        callback.optimal_batch_size = found["size"]
        set_attribute(module, callback._batch_arg_name, found["size"])
        _make_loaders_again(trainer)
        return
    library = sys.modules[f"{package}.tuner.lr_finder"]
    finder = library._LRFinder(
        callback._mode, callback._min_lr, callback._max_lr, callback._num_training_steps
    )
    finder.results = {key: list(values) for key, values in found["results"].items()}
    finder._total_batch_idx = found["batches"]
    callback.optimal_lr = finder
    if callback._update_attr:
        rate = finder.suggestion()
        if rate is not None:
            set_attribute(module, _attribute(callback, library, trainer, module), rate)


def _make_loaders_again(trainer: Any) -> None:
    """Drop the loaders that a search had made, for itself or with another size of batches."""
    for loop in (trainer.fit_loop, trainer.fit_loop.epoch_loop.val_loop):
        if hasattr(loop, "_combined_loader"):
            loop._combined_loader = None
    for name in ("train_dataloader", "val_dataloaders"):
        # 1.9 has them itself.
        if name in vars(trainer):
            setattr(trainer, name, None)


def _attribute(callback: Any, library: Any, trainer: Any, module: Any) -> str:
    """Return the name of the learning rate's attribute, which 1.9 finds by the trainer."""
    find = library._determine_lr_attr_name
    if hasattr(callback, "_attr_name"):
        return str(find(module, callback._attr_name))
    return str(find(trainer, module))


def _exception(trainer: Any) -> Exception:
    package = sys.modules[type(trainer).__module__.rpartition(".trainer.")[0]].__name__
    error: Exception = sys.modules[f"{package}.utilities.exceptions"]._TunerExitException()
    return error
