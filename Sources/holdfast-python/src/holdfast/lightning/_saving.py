"""`ModelCheckpoint` under replay: what its state lacks, and files of replayed steps.

Replayed steps save the same files again. As these exist, Lightning would add `-v1` to their names: its state
would contain other paths than in an uninterrupted run, and the older files would never be removed.
"""

from __future__ import annotations

import os
import time
from typing import Any

from .._run import Run
from . import _compatibility

_PATHS = ("best_model_path", "kth_best_model_path", "last_model_path")


class Saving:
    """The checkpoint callbacks of a trainer."""

    def __init__(self, trainer: Any, run: Run) -> None:
        self._callbacks: list[Any] = trainer.checkpoint_callbacks
        self._run = run
        # Files older than the job do not belong to it.
        self.began = time.time()
        if run.is_supervised:
            for callback in self._callbacks:
                if hasattr(callback, "file_exists"):
                    callback.file_exists = self._replacement(callback.file_exists)

    def remove(self) -> None:
        """Remove the wrappers."""
        for callback in self._callbacks:
            vars(callback).pop("file_exists", None)

    def _replacement(self, original: Any) -> Any:
        def file_exists(path: Any, trainer: Any) -> bool:
            return bool(original(path, trainer)) and not self._is_of_replayed_step(str(path))

        return file_exists

    def _is_of_replayed_step(self, path: str) -> bool:
        # Includes the save after the last recorded step: the trainer died before recording that step.
        if not self._run.is_supervised or self._run.global_step > self._run._last_recorded_step:
            return False
        if path in {name for callback in self._callbacks for name in _in_use(callback)}:
            return False
        try:
            return os.stat(path).st_mtime >= self.began  # noqa: PTH116
        except OSError:
            return False

    def state(self) -> dict[str, Any]:
        """Return what the states of the callbacks leave out."""
        now = time.monotonic()
        callbacks = {}
        for callback in self._callbacks:
            saved = _compatibility.remembered_files(callback)
            last = _compatibility.last_save_time(callback)
            if last is not None:
                # As a duration, because the clock restarts at each boot.
                saved["elapsed"] = now - last
            callbacks[callback.state_key] = saved
        return {"began": self.began, "callbacks": callbacks}

    def load(self, state: dict[str, Any]) -> None:
        """Restore a state that `state()` returned."""
        self.began = state["began"]
        for callback in self._callbacks:
            saved = state["callbacks"].get(callback.state_key, {})
            _compatibility.set_remembered_files(callback, saved)
            if "elapsed" in saved:
                _compatibility.set_last_save_time(callback, time.monotonic() - saved["elapsed"])


def _in_use(callback: Any) -> list[str]:
    paths = [str(getattr(callback, name, "")) for name in _PATHS]
    paths.append(str(_compatibility.last_saved_path(callback)))
    return paths + [str(path) for path in getattr(callback, "best_k_models", {})]
