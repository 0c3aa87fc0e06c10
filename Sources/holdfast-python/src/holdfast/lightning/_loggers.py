"""Loggers under replay: each attempt has the same version, and each row is written once.

A `CSVLogger` buffers rows in memory, and deletes the file of a version that exists. A resume truncates that
file to the rows that it contained at the resume point, and passes the other rows to the logger. TensorBoard
gets the step from which older files are ignored.
"""

from __future__ import annotations

import csv
import os
from pathlib import Path
from typing import Any

from .._run import Run
from . import _compatibility


def directories(state: Any) -> set[str]:
    """Return the log directories in a saved state of loggers."""
    return {one["directory"] for one in state.get("loggers", ()) if "directory" in one}


class Loggers:
    """The loggers of one trainer."""

    def __init__(self, trainer: Any, run: Run) -> None:
        self._trainer = trainer
        self._run = run
        self._files: dict[int, _Rows] = {}
        self._muted: list[Any] = []
        # Whether a row has been written that the loop's counter does not include yet.
        self.is_row_uncounted = False

    def resume(self, state: Any, later: frozenset[str]) -> None:
        """Prepare each logger to continue its files, before it creates them.

        Args:
            state: what `state()` returned.
            later: log directories of later fits in earlier attempts, whose files are not truncated.
        """
        for number, (logger, saved) in enumerate(zip(self._trainer.loggers, state.get("loggers", ()))):
            if saved["type"] != type(logger).__qualname__:
                continue
            experiment = _compatibility.experiment_of(logger)
            if experiment is None and "version" in saved:
                _compatibility.set_version(logger, saved["version"])
            goes_on = saved.get("directory") not in later
            if "rows" in saved:
                rows = self._files[number] = _Rows(Path(logger.log_dir) / "metrics.csv")
                rows.resume(saved["rows"] if goes_on else None, experiment)
            elif experiment is None and goes_on and "TensorBoard" in saved["type"]:
                options = _compatibility.TensorBoardLogger(logger).options
                options.setdefault("purge_step", state["next_step"])

    def restore_rows(self) -> None:
        """Restore the rows of the loggers, whose files exist by now."""
        if not self._run.is_supervised:
            return
        for number, logger in enumerate(self._trainer.loggers):
            if not _has_rows(logger):
                continue
            rows = self._files.get(number)
            if rows is None:
                rows = self._files[number] = _Rows(Path(logger.log_dir) / "metrics.csv")
            rows.open(logger.experiment)

    def mute(self) -> None:
        """Discard what hooks log that run again before the first batch of a resumed epoch."""
        for logger in self._trainer.loggers:
            if "log_metrics" not in vars(logger):
                logger.log_metrics = _nothing
                self._muted.append(logger)

    def unmute(self) -> None:
        """Log again."""
        for logger in self._muted:
            vars(logger).pop("log_metrics", None)
        self._muted = []

    def remove(self) -> None:
        """Remove the wrappers."""
        self.unmute()
        for rows in self._files.values():
            rows.remove()

    def state(self) -> dict[str, Any]:
        """Return the state of all loggers."""
        loop = _compatibility.EpochLoop(self._trainer.fit_loop.epoch_loop)
        saved = []
        for number, logger in enumerate(self._trainer.loggers):
            one: dict[str, Any] = {"type": type(logger).__qualname__}
            if isinstance(getattr(logger, "log_dir", None), str):
                one["directory"] = logger.log_dir
            version = _compatibility.version_of(logger)
            if type(version) in (int, str):
                one["version"] = version
            if number in self._files:
                one["rows"] = self._files[number].state()
            saved.append(one)
        return {"loggers": saved, "next_step": loop.batches_that_stepped + self.is_row_uncounted}


class _Rows:
    """The rows of one `CSVLogger`."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._saved: dict[str, Any] | None = None
        self._backup = path.with_name(path.name + ".holdfast")
        self._experiment: Any = None
        # Number of rows in the file.
        self._written = 0

    def resume(self, saved: dict[str, Any] | None, experiment: Any) -> None:
        """Set the rows that the file must contain (None: all), and the experiment if it already exists."""
        self._saved = saved
        if self._path.is_file() and not self._backup.is_file():
            # The logger deletes the file. If there is a copy already, an attempt died before restoring it.
            self._path.replace(self._backup)
        if experiment is not None:
            self.open(experiment)

    def open(self, experiment: Any) -> None:
        """Restore the file, without the rows that will be written again."""
        if self._experiment is experiment:
            return
        self._experiment = experiment
        if self._backup.is_file() or self._saved is not None:
            self._restore(experiment)
        elif self._path.is_file():
            self._written = len(_read(self._path))
        original = experiment.save

        def save() -> None:
            count = len(experiment.metrics)
            original()
            self._written = count if experiment.metrics else self._written + count

        experiment.save = save

    def _restore(self, experiment: Any) -> None:
        rows, saved = _read(self._backup) if self._backup.is_file() else [], self._saved
        keys = list(rows[0]) if rows else []
        if saved is not None:
            rows, keys = rows[: saved["written"]], saved["keys"] or keys
        pending = [] if saved is None else [dict(row) for row in saved["pending"]]
        self._written = len(rows)
        if hasattr(experiment, "metrics_keys"):
            experiment.metrics_keys = list(keys)
            experiment.metrics = pending
        else:
            # 1.9 writes all rows each time.
            experiment.metrics = [_filled(row) for row in rows] + pending
        if rows:
            self._write(rows, keys)
        self._backup.unlink(missing_ok=True)

    def remove(self) -> None:
        if self._experiment is not None:
            vars(self._experiment).pop("save", None)

    def state(self) -> dict[str, Any]:
        experiment = self._experiment
        if experiment is None:
            return {"written": 0, "pending": [], "keys": []}
        keeps_all = not hasattr(experiment, "metrics_keys")
        pending = experiment.metrics[self._written :] if keeps_all else experiment.metrics
        return {
            "written": self._written,
            "pending": [{key: _plain(value) for key, value in row.items()} for row in pending],
            "keys": list(getattr(experiment, "metrics_keys", ())),
        }

    def _write(self, rows: list[dict[str, Any]], keys: list[str]) -> None:
        self._path.parent.mkdir(parents=True, exist_ok=True)
        unfinished = self._path.with_name(f".{self._path.name}.{os.getpid()}")
        with unfinished.open("w", newline="") as file:
            writer = csv.DictWriter(file, fieldnames=keys, extrasaction="ignore")
            writer.writeheader()
            writer.writerows(rows)
        unfinished.replace(self._path)


def _read(path: Path) -> list[dict[str, Any]]:
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def _has_rows(logger: Any) -> bool:
    return _compatibility.is_a(logger, "CSVLogger")


def _filled(row: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in row.items() if value not in ("", None)}


def _plain(value: Any) -> Any:
    item = getattr(value, "item", None)
    return value if item is None else item()


def _nothing(*_: Any, **__: Any) -> None:
    """Log nothing."""
