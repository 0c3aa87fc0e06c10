"""The configuration file of `LightningCLI`, which refuses to overwrite an existing one."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from .._run import Run
from . import _compatibility


class Configuration:
    """The callbacks of a trainer that save a configuration file."""

    def __init__(self, trainer: Any, run: Run) -> None:
        self._trainer = trainer
        self._run = run

    def allow(self, *, resumes: bool) -> None:
        """Allow overwriting the file that an earlier attempt of this job has written.

        Args:
            resumes: whether the job has trained, so that the file is its own. If not, only a file with the
                same content is.
        """
        if not self._run.is_supervised:
            return
        for callback in self._trainer.callbacks:
            if _compatibility.is_a(callback, "SaveConfigCallback"):
                directory = self._trainer.log_dir
                path = None if directory is None else Path(directory) / callback.config_filename
                if path is not None and path.is_file() and (resumes or _is_same(callback, path)):
                    callback.overwrite = True


def _is_same(callback: Any, path: Path) -> bool:
    text = callback.parser.dump(callback.config, skip_none=False)
    saved = path.read_text()
    # The file begins with a comment that contains the version.
    lines = [line for line in saved.splitlines() if not line.startswith("#")]
    return bool(lines == [line for line in text.splitlines() if not line.startswith("#")])
