"""Tuners: their results are saved, and their training steps do not belong to the run.

The searches for a learning rate and a batch size train with the trainer's own loops: `Tuner` in a `fit` that
ends early, `LearningRateFinder` and `BatchSizeFinder` within a `fit`. A resumed program gets the results of
the first attempt, without another search.
"""

from __future__ import annotations

from typing import Any

from . import _compatibility as compatibility
from ._fits import Fits

_SEARCHES = {"LearningRateFinder": "lr_find", "BatchSizeFinder": "scale_batch_size"}


class Tuning:
    """The tuners among a trainer's callbacks."""

    def __init__(self, trainer: Any, fits: Fits) -> None:
        self._trainer = trainer
        self._fits = fits
        self._wrapped: list[tuple[Any, str]] = []
        self.ends_early = False
        for number, callback in enumerate(trainer.callbacks):
            for kind, name in _SEARCHES.items():
                if compatibility.is_a(callback, kind):
                    self.ends_early = self.ends_early or bool(compatibility.Tuner(callback).ends_early)
                    self._wrap(callback, name, number)

    def _wrap(self, callback: Any, name: str, number: int) -> None:
        original = getattr(callback, name)
        fits = self._fits

        def search(trainer: Any, module: Any) -> None:
            if trainer.state.fn != "fit":
                original(trainer, module)
                return
            ends_early = compatibility.Tuner(callback).ends_early
            if ends_early:
                place = f"tuner {fits.tuners}"
                fits.tuners += 1
            else:
                place = f"fit {fits.number}, callback {number}, epoch {trainer.current_epoch}"
            if place in fits.found:
                _load(callback, name, fits.found[place], trainer, module)
                if ends_early:
                    raise compatibility.tuner_exit(trainer)
                return
            try:
                original(trainer, module)
            finally:
                compatibility.forget_loaders(trainer)
                found = _found(callback, name)
                if found is not None:
                    fits.found[place] = found

        setattr(callback, name, search)
        self._wrapped.append((callback, name))

    def remove(self) -> None:
        """Remove the wrappers."""
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
        "batches": compatibility.FoundRates(finder).batches,
    }


def _load(callback: Any, name: str, found: dict[str, Any], trainer: Any, module: Any) -> None:
    """Set the saved result of a search on a callback."""
    if name == "scale_batch_size":
        callback.optimal_batch_size = found["size"]
        size_name = compatibility.BatchSizeFinder(callback).attribute
        compatibility.set_attribute(trainer, module, size_name, found["size"])
        compatibility.forget_loaders(trainer)
        return
    results = {key: list(values) for key, values in found["results"].items()}
    finder = compatibility.new_finder(callback, trainer, results, found["batches"])
    callback.optimal_lr = finder
    if compatibility.LearningRateFinder(callback).updates:
        rate = finder.suggestion()
        if rate is not None:
            rate_name = compatibility.learning_rate_name(callback, trainer, module)
            compatibility.set_attribute(trainer, module, rate_name, rate)
