"""The fits of a program in order: completed ones, the current one, and the results of tuners.

All of them together are one job. Each image contains the final state of every completed fit, so that an
attempt that resumes in the third fit returns from the first two immediately, with their final states.
"""

from __future__ import annotations

import weakref
from typing import Any, Callable

import torch

from .. import _random
from .._components import component_of
from .._errors import HoldfastError
from .._run import Run
from .._torch_compatibility import set_state_metadata, state_metadata
from . import _module_state
from ._loggers import directories
from ._state import TrainerState

_by_run: weakref.WeakKeyDictionary[Run, Fits] = weakref.WeakKeyDictionary()

FRESH, RESUMED, OVER = "fresh", "resumed", "over"


class Fits:
    """Two components of a run, the module's weights and everything else, for the current fit."""

    def __init__(self, run: Run) -> None:
        self._run = run
        # Number of the current fit, from 0.
        self.number = -1
        self._state: TrainerState | None = None
        # Final states of the fits before it.
        self._ended: list[dict[str, Any]] = []
        # Final state of the current fit, once it has ended.
        self._final: dict[str, Any] | None = None
        # Results of tuners, by the place in the program where they ran.
        self.found: dict[str, Any] = {}
        self.tuners = 0
        self._saved_model: Any = {}
        self._saved: dict[str, Any] = {}
        self._target = -1
        self._began = 0.0
        run.register(
            model=_Component(lambda: self._dump()[0], self._load_model),
            trainer=_Component(lambda: self._dump()[1], self._load_rest),
        )
        # Lightning creates more of the state later, so the initial state is staged later too.
        run._stages_at_restore = False
        run.restore()
        # Weights to begin with: the rest of the checkpoint that they are from is not loaded.
        self._weights: Any = None
        if not self._saved:
            self._weights, self._saved_model = self._saved_model, {}
        # Streams and loaders belong to the fit of the image, which may be a later one.
        loop = run._loop
        self._deferred = (loop.pending, loop.registered.saved_loaders)
        if self._saved:
            loop.pending, loop.registered.saved_loaders = {}, {}
            self._target = int(self._saved.get("fit", 0))
            self._ended = list(self._saved.get("ended", ()))
            self.found = dict(self._saved.get("found", {}))
            states = [*(one["rest"] for one in self._ended), self._saved]
            self._began = next((one["extra"]["saving"]["began"] for one in states if "extra" in one), 0.0)

    @staticmethod
    def of(run: Run) -> Fits:
        """Return the fits of a run; the first call registers them and restores the run."""
        if run not in _by_run:
            _by_run[run] = Fits(run)
        return _by_run[run]

    @staticmethod
    def has(run: Run) -> bool:
        """Return whether a run has fits."""
        return run in _by_run

    # Saving

    def _dump(self) -> tuple[Any, dict[str, Any]]:
        rest = {"fit": max(0, self.number), "ended": self._ended[: max(0, self.number)], "found": self.found}
        if self._final:
            return self._final["model"], {**rest, **self._final["rest"], "over": True}
        if self._state is None or not self._state.is_running:
            return {}, rest
        model, own = self._state.dump()
        return model, {**rest, **own}

    def _load_model(self, state: Any) -> None:
        self._saved_model = state

    def _load_rest(self, state: Any) -> None:
        self._saved = state

    # Weights to begin with

    def use_weights(self, module: Any, *, is_set_up: bool) -> None:
        """Load the weights that the supervisor was asked to begin with into the first fit's module.

        Before `fit` sets anything up, so that callbacks which copy weights get these; for a module that
        creates its layers in a hook, after that.

        Raises:
            HoldfastError: they do not fit the module.
        """
        if not self._weights or self.number > 0:
            return
        weights = _module_state.without_masks(module, self._weights)
        if not is_set_up and set(weights) != set(module.state_dict()):
            return
        self._weights = None
        # Since 2.2 a module can allow differences.
        loading = component_of("model", module, bool(getattr(module, "strict_loading", True)))
        try:
            loading.load(weights)
        except Exception as error:
            raise HoldfastError(
                f"the module cannot load the weights that it was to begin with: {error}",
                hint="use the same module as the run that saved them, or set its strict_loading to False",
            ) from error
        left_out = [f"model/{one}" for one in getattr(loading, "left_out", ())]
        if left_out:
            self._run.not_loaded += left_out
            self._run._warn(f"not loaded from the checkpoint: {'; '.join(left_out)}")

    # The program's order

    def begin(self, state: TrainerState) -> str:
        """Begin the next fit; return whether it is fresh, resumed or already over.

        Raises:
            HoldfastError: the fit before it failed.
        """
        if not self.has_ended:
            raise HoldfastError(
                f"fit {self.number + 1} of this program did not end, but another one begins; "
                "a resumed program could not find its position",
                hint="exit if a fit fails; the supervisor restarts the program",
            )
        if self._final is not None and self.number == len(self._ended):
            self._ended.append(self._final)
        self.number += 1
        self._final = None
        self._state = state
        # The start time of the job, which identifies files of lost steps.
        self._began = state.saving.began = self._began or state.saving.began
        # The run was complete after the previous fit, but continues now.
        loop = self._run._loop
        self._run.is_finished = loop.is_complete = loop.was_finished = False
        if self.number < self._target:
            self._final = self._ended[self.number]
        elif self.number == self._target:
            saved, model = self._saved, self._saved_model
            self._saved, self._saved_model = {}, {}
            if saved.get("over"):
                self._final = {"model": model, "rest": saved}
            elif "checkpoint" in saved and self._run._initial_streams:
                # It repeats everything before the first step, and then restores the initial state.
                state.use_saved(model, saved, frozenset())
            elif "checkpoint" in saved:
                loop.pending, loop.registered.saved_loaders = self._deferred
                state.use_saved(model, saved, frozenset())
                return RESUMED
        if self._final is None:
            return FRESH
        state.use_saved(self._final["model"], self._final["rest"], self._later(self.number + 1))
        return OVER

    def upcoming_loggers(self) -> tuple[Any, frozenset[str]]:
        """Return the saved state of the next fit's loggers, and the directories of that and later fits."""
        return self._loggers_of(self.number + 1), self._later(self.number + 1)

    def _loggers_of(self, number: int) -> Any:
        if number < self._target:
            rest = self._ended[number]["rest"]
        else:
            rest = self._saved if number == self._target else {}
        return rest.get("extra", {}).get("loggers", {})

    def _later(self, number: int) -> frozenset[str]:
        """Return the log directories of this and later fits in earlier attempts."""
        fits = range(number, self._target + 1)
        return frozenset(one for fit in fits for one in directories(self._loggers_of(fit)))

    @property
    def has_ended(self) -> bool:
        """Whether no fit is running."""
        return self.number < 0 or self._final is not None

    @property
    def is_last_over(self) -> bool:
        """Whether no attempt has begun a later fit than this one."""
        return self.number >= self._target

    def end(self, state: TrainerState) -> None:
        """Capture a fit's final state, since later code may change the module."""
        run = self._run
        if not run.is_supervised:
            self._final = {}
            return
        model, rest = state.dump()
        streams = {stream.name: stream.get() for stream in run._registered.streams()}
        self._final = {"model": _copied(model), "rest": {**_copied(rest), "streams": streams}}

    def restore_streams(self) -> None:
        """Set the random streams to those after the completed fit."""
        assert self._final is not None
        _random.set_streams(self._run._registered.streams(), self._final["rest"]["streams"])


class _Component:
    """A state with the two methods that a run calls."""

    def __init__(self, save: Callable[[], Any], load: Callable[[Any], None]) -> None:
        self.state_dict = save
        self.load_state_dict = load


def _copied(value: Any) -> Any:
    """Return a copy of a state, with all tensors in CPU memory."""
    copies: dict[Any, Any] = {}

    def copy(value: Any) -> Any:
        if isinstance(value, torch.Tensor):
            key = (value.data_ptr(), value.storage_offset(), value.shape, value.stride(), value.dtype)
            if not value.numel() or value.layout != torch.strided:
                return value.detach().cpu().clone()
            if key not in copies:
                copies[key] = value.detach().to("cpu", copy=True)
            return copies[key]
        kind = type(value)
        if isinstance(value, dict):
            copied: Any = kind()
            for key, member in value.items():
                copied[key] = copy(member)
            metadata = state_metadata(value)
            if metadata is not None:
                set_state_metadata(copied, metadata)
            return copied
        if kind in (list, tuple):
            return kind(map(copy, value))
        return value

    return copy(value)
