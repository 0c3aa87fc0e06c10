"""`resume.json`: what an attempt starts from, written by the supervisor before the trainer starts."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, NamedTuple

from ._errors import HoldfastError
from ._opening import read_file

_LARGEST_BYTES = 64 << 20
_VERSION = 1
_HINT = "start the trainer with 'holdfast run'"


class ResumePoint(NamedTuple):
    """The location of an image: a file, and the range in it."""

    level: str
    step: int
    path: str
    offset: int
    length: int
    weights_only: bool = False


class Change(NamedTuple):
    """A changed hyperparameter.

    Attributes:
        name: of the hyperparameter.
        old: value before.
        new: value now.
        step: of the state that the job continued from; later states were made with the new value.
    """

    name: str
    old: Any
    new: Any
    step: int


class ResumeFile(NamedTuple):
    """The parts of `resume.json` that a trainer needs."""

    job: str
    job_id: bytes
    attempt: int
    generation: int
    world_size: int
    point: ResumePoint | None
    last_recorded_step: int
    skip: frozenset[tuple[int, int]]
    hyperparameters: dict[str, Any]
    changes: tuple[Change, ...]
    arena_disk: str | None


def read_resume_file(directory: Path, global_rank: int = 0) -> ResumeFile:
    """Read `resume.json` of a run directory.

    Raises:
        HoldfastError: it does not exist, is damaged, or has a newer format.
    """
    path = directory / "resume.json"
    try:
        document = json.loads(read_file(path, _LARGEST_BYTES))
    except OSError as error:
        raise HoldfastError(f"cannot read resume.json: {error.strerror}", path=path, hint=_HINT) from error
    except ValueError as error:
        raise HoldfastError(f"resume.json is damaged: {error}", path=path, hint=_HINT) from error
    version = document.get("format_version") if isinstance(document, dict) else None
    if isinstance(version, int) and version > _VERSION:
        raise HoldfastError(
            f"resume.json has format {version}; this version supports up to {_VERSION}",
            path=path,
            hint="use the same version of holdfast for supervisor and trainer",
        )
    try:
        ranks = {rank["rank"]: rank.get("point") for rank in document["ranks"]}
        point = ranks.get(global_rank)
        return ResumeFile(
            job=document["job"],
            job_id=bytes.fromhex(document["job_id"]),
            attempt=document["attempt"],
            generation=document["generation"],
            world_size=document.get("world_size", 1),
            point=None
            if point is None
            else ResumePoint(
                point["level"],
                point["step"],
                point["path"],
                point["offset_bytes"],
                point["length_bytes"],
                bool(point.get("weights_only")),
            ),
            last_recorded_step=document.get("last_recorded_step") or 0,
            skip=frozenset((one["epoch"], one["batch"]) for one in document.get("skip", [])),
            hyperparameters=dict(document.get("hyperparameters", {})),
            changes=_changes(document.get("hyperparameter_changes")),
            arena_disk=document.get("arena_disk"),
        )
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise HoldfastError(f"resume.json is damaged: {error!r}", path=path, hint=_HINT) from error


def _changes(document: Any) -> tuple[Change, ...]:
    return tuple(Change(one["name"], one["from"], one["to"], one["step"]) for one in document or ())


def clean(text: str) -> str:
    """Escape what is not valid Unicode, such as an undecodable file name: JSON cannot represent it."""
    return text if text.isascii() else text.encode("utf-8", "backslashreplace").decode("utf-8")
