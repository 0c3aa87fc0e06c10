"""Loggers under replay: the same version in each attempt, and each row once.

A `CSVLogger` keeps rows in memory for a while, and deletes the file of a version that it is given again. A
resume cuts that file back to the rows that were in it at the resume point, and gives the logger those that
were not. To TensorBoard it says from which step on an older file does not count.
"""

from __future__ import annotations

import csv
import os
from pathlib import Path
from typing import Any

from .._run import Run


def directories(state: Any) -> set[str]:
    """Return where the loggers of a saved state have logged."""
    return {one["directory"] for one in state.get("loggers", ()) if "directory" in one}


class Loggers:
    """The loggers of one trainer."""

    def __init__(self, trainer: Any, run: Run) -> None:
        self._trainer = trainer
        self._run = run
        self._files: dict[int, _Rows] = {}
        self._muted: list[Any] = []
        # Whether the loop's counter is yet to count a row that is written.
        self.is_row_uncounted = False

    def take(self, state: Any, later: frozenset[str]) -> None:
        """Let each logger go on where it was; before it makes its files.

        Args:
            state: what `state()` gave.
            later: directories in which later fits of an earlier attempt have logged: files there stay whole.
        """
        for number, (logger, saved) in enumerate(zip(self._trainer.loggers, state.get("loggers", ()))):
            if saved["type"] != type(logger).__qualname__:
                continue
            experiment = getattr(logger, "_experiment", None)
            if experiment is None and "version" in saved and hasattr(logger, "_version"):
                logger._version = saved["version"]
            goes_on = saved.get("directory") not in later
            if "rows" in saved:
                rows = self._files[number] = _Rows(Path(logger.log_dir) / "metrics.csv")
                rows.take(saved["rows"] if goes_on else None, experiment)
            elif experiment is None and goes_on and "TensorBoard" in saved["type"]:
                logger._kwargs.setdefault("purge_step", state["next_step"])

    def opened(self) -> None:
        """Give the loggers, whose files are made by now, their rows."""
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
        """Let hooks that run again before the first batch of a resumed epoch log nothing again."""
        for logger in self._trainer.loggers:
            if "log_metrics" not in vars(logger):
                logger.log_metrics = _nothing
                self._muted.append(logger)

    def put_back(self) -> None:
        """Log again."""
        for logger in self._muted:
            vars(logger).pop("log_metrics", None)
        self._muted = []

    def remove(self) -> None:
        """Leave the loggers as they were."""
        self.put_back()
        for rows in self._files.values():
            rows.remove()

    def state(self) -> dict[str, Any]:
        """Return what they have written."""
        loop = self._trainer.fit_loop.epoch_loop
        saved = []
        for number, logger in enumerate(self._trainer.loggers):
            one: dict[str, Any] = {"type": type(logger).__qualname__}
            if isinstance(getattr(logger, "log_dir", None), str):
                one["directory"] = logger.log_dir
            version = getattr(logger, "_version", None)
            if type(version) in (int, str):
                one["version"] = version
            if number in self._files:
                one["rows"] = self._files[number].state()
            saved.append(one)
        return {"loggers": saved, "next_step": loop._batches_that_stepped + self.is_row_uncounted}


class _Rows:
    """The rows of one `CSVLogger`."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._saved: dict[str, Any] | None = None
        self._aside = path.with_name(path.name + ".holdfast")
        self._experiment: Any = None
        # Rows that are in the file.
        self._written = 0

    def take(self, saved: dict[str, Any] | None, experiment: Any) -> None:
        """Take which rows the file shall have, None for all; the experiment if there is one already."""
        self._saved = saved
        if self._path.is_file() and not self._aside.is_file():
            # The logger deletes it. Whoever died before it was put back has left the one that counts.
            self._path.replace(self._aside)
        if experiment is not None:
            self.open(experiment)

    def open(self, experiment: Any) -> None:
        """Put the file back, without the rows that are made again."""
        if self._experiment is experiment:
            return
        self._experiment = experiment
        if self._aside.is_file() or self._saved is not None:
            self._put_back(experiment)
        elif self._path.is_file():
            self._written = len(_read(self._path))
        original = experiment.save

        def save() -> None:
            count = len(experiment.metrics)
            original()
            self._written = count if experiment.metrics else self._written + count

        experiment.save = save

    def _put_back(self, experiment: Any) -> None:
        rows, saved = _read(self._aside) if self._aside.is_file() else [], self._saved
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
        self._aside.unlink(missing_ok=True)

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
    return any(cls.__name__ == "CSVLogger" for cls in type(logger).__mro__)


def _filled(row: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in row.items() if value not in ("", None)}


def _plain(value: Any) -> Any:
    item = getattr(value, "item", None)
    return value if item is None else item()


def _nothing(*_: Any, **__: Any) -> None:
    """Log nothing."""
