"""The best checkpoints by a metric, as the supervisor keeps them: `best.json` of the run directory."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from ._errors import HoldfastError
from ._opening import read_file

if TYPE_CHECKING:
    from ._connection import Connection

_LARGEST_BYTES = 64 << 20
_VERSION = 1
# After the loop: a checkpoint that is being written is on a local disk soon.
PATIENCE_SECONDS = 60.0


class BestCheckpoint(NamedTuple):
    """One of the best checkpoints by a metric, which a policy with `--keep-best` keeps.

    Attributes:
        path: its directory, for `holdfast.load`. It is removed when better ones take its place.
        score: the value of the metric.
        monitor: name of the metric.
        step: the step after which it was saved.
        weights_only: whether it contains only components that are tensors alone, such as a model.
    """

    path: Path
    score: float
    monitor: str
    step: int
    weights_only: bool


def read(
    connection: Connection, *, monitor: str | None, logged: int, finished_step: int | None, wait: float
) -> list[BestCheckpoint]:
    """Return the checkpoints that a policy ranks, best first.

    Args:
        connection: to the supervisor.
        monitor: name of the policy's metric; None: of the first policy.
        logged: number of records of metrics that this process has sent.
        finished_step: step of its record that the run is complete.
        wait: longest time to wait until the supervisor has handled all of that, in seconds.

    Raises:
        HoldfastError: policies rank by other metrics.
    """
    document = _await(connection, logged, finished_step, time.monotonic() + wait)
    policies = document.get("policies", [])
    chosen = [policy for policy in policies if monitor in (None, policy["monitor"])]
    if policies and not chosen:
        names = ", ".join(sorted({policy["monitor"] for policy in policies}))
        raise HoldfastError(
            f"no policy keeps the best checkpoints by '{monitor}'", hint=f"policies rank by: {names}"
        )
    return [
        BestCheckpoint(
            Path(one["path"]), float(one["score"]), policy["monitor"], one["step"], policy["weights_only"]
        )
        for policy in chosen[:1]
        for one in policy["checkpoints"]
    ]


def _await(connection: Connection, logged: int, finished_step: int | None, deadline: float) -> dict[str, Any]:
    ring, pause = connection.ring, 0.0005
    while True:
        document = _document(connection.directory)
        is_current = (
            document.get("attempt") == ring.identity.attempt
            and document["answered"] >= ring.acknowledged
            and document["logged"] >= logged
            and (finished_step is None or document.get("finished_step") == finished_step)
            and document.get("publishing_step") is None
        )
        if is_current or document.get("policies") == [] or time.monotonic() >= deadline:
            return document
        connection.stager.send_unsent()
        ring.beat()
        time.sleep(pause)
        pause = min(pause * 2, 0.02)


def _document(directory: Path) -> dict[str, Any]:
    """Return the contents of the file; {} if there is none, as with an older supervisor."""
    try:
        document = json.loads(read_file(directory / "best.json", _LARGEST_BYTES))
    except (OSError, ValueError):
        return {}
    is_known = isinstance(document, dict) and document.get("format_version") == _VERSION
    return document if is_known else {}
