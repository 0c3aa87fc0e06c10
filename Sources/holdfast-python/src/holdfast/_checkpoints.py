"""Checkpoints on disk: published atomically, and verified before use."""

from __future__ import annotations

import json
import os
import shlex
import shutil
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from ._digests import SUMS_NAMES, digest_of, digest_of_file, new_algorithm
from ._documents import ResumeFile
from ._errors import HoldfastError, PathLike
from ._hyperparameters import overridden
from ._image import ImageReader, ImageWriter, LoopState
from ._local import local_path
from ._mapping import map_private
from ._opening import read_file

STATE_NAME = "state.safetensors"
_LARGEST_TEXT = 64 << 20


@dataclass(frozen=True)
class Checkpoint:
    """A checkpoint that was loaded for use without a run.

    Attributes:
        step: the step after which it was saved.
        epoch: the epoch of that step, from 0.
        components: states by component name, as `load_state_dict` accepts them.
        hyperparameters: of the run, with those of `overriding` instead of the saved ones.
        metrics: of that step.
    """

    step: int
    epoch: int
    components: dict[str, Any]
    hyperparameters: dict[str, Any]
    metrics: dict[str, float]

    def __getitem__(self, name: str) -> Any:
        """Return one component's state."""
        return self.components[name]

    def __iter__(self) -> Iterator[str]:
        """Iterate over the names of components; `in` works too."""
        return iter(self.components)

    @staticmethod
    def load(
        path: PathLike,
        *,
        weights_only: bool = False,
        device: Any = None,
        overriding: Mapping[str, Any] | None = None,
    ) -> Checkpoint:
        """Load a checkpoint; the same as `holdfast.load`."""
        return load(path, weights_only=weights_only, device=device, overriding=overriding)


def load(
    path: PathLike,
    *,
    weights_only: bool = False,
    device: Any = None,
    overriding: Mapping[str, Any] | None = None,
) -> Checkpoint:
    """Load a checkpoint, for example for inference. It needs no supervisor and runs no code from the file.

    Args:
        path: the directory of a checkpoint, which is verified first, or a `.safetensors` file of one.
        weights_only: leave out components that are more than tensors by name, such as an optimizer.
        device: device for the tensors; None: the one they were saved from if it exists, else the CPU.
        overriding: hyperparameters that replace saved ones, with their types. Members of nested ones are
            named with dots, as for `--set`. Unknown names are added, as Lightning's `load_from_checkpoint`
            does.

    Raises:
        HoldfastError: it does not exist, is damaged, or contains a type that is not registered.
    """
    named = local_path(path)
    image = image_of(named)
    # Files in a checkpoint's directory are never links; a file that the user names may be one.
    reader = ImageReader(map_private(image, follow_link=image == named))
    manifest = manifest_of(image.parent) if image.name == STATE_NAME else {}
    loop = reader.loop or LoopState()
    names = [name for name, node in (reader.nodes or {}).items() if not weights_only or is_weights(node)]
    decoder = reader.decoder(device=device)
    components = {name: decoder.value((reader.nodes or {})[name]) for name in names}
    hyperparameters = overridden(manifest.get("hyperparameters", {}), overriding or {})
    return Checkpoint(loop.step, loop.epoch, components, hyperparameters, manifest.get("metrics", {}))


def is_weights(node: Any) -> bool:
    """Return whether a component contains only tensors by name, nested or not."""
    if isinstance(node, dict) and node.get("$$python") == "ordered":
        node = node["value"]
    if not isinstance(node, dict) or "$$python" in node or not node:
        return False
    return all(isinstance(one, dict) and (_is_tensor(one) or is_weights(one)) for one in node.values())


def _is_tensor(node: dict[str, Any]) -> bool:
    return "$tensor" in node or node.get("$$python") in ("tensor", "array")


def image_of(path: Path) -> Path:
    """Return the path of a checkpoint's image, verified if there are digests.

    Raises:
        HoldfastError: it does not exist or is damaged.
    """
    if path.is_dir():
        verify(path)
        return path / STATE_NAME
    if not path.is_file():
        raise HoldfastError("no such checkpoint", path=path, hint=f"ls {shlex.quote(str(path.parent))}")
    return path


def manifest_of(directory: Path) -> dict[str, Any]:
    """Return the manifest of a checkpoint; {} if there is none.

    Raises:
        HoldfastError: it is damaged, or of a newer format.
    """
    path = directory / "manifest.json"
    if not path.is_file():
        return {}
    try:
        document = json.loads(read_file(path, _LARGEST_TEXT))
    except (OSError, ValueError) as error:
        raise HoldfastError("the manifest is damaged", path=path, hint="use an older checkpoint") from error
    if document.get("format_version", 1) > 1:
        raise HoldfastError("the manifest has a newer format", path=path, hint="update holdfast")
    return document  # type: ignore[no-any-return]


def verify(directory: Path) -> None:
    """Check every file of a checkpoint against its digest.

    Raises:
        HoldfastError: a file is missing or damaged.
    """
    hint = "use an older checkpoint"
    found = [name for name, sums in SUMS_NAMES.items() if (directory / sums).is_file()]
    if not found:
        names = " or ".join(SUMS_NAMES.values())
        raise HoldfastError(f"incomplete checkpoint: there is no {names}", path=directory, hint=hint)
    algorithm, sums = found[0], directory / SUMS_NAMES[found[0]]
    listed: dict[str, str] = {}
    for line in _text(sums).splitlines():
        digest, _, name = line.partition("  ")
        listed[name] = digest
    named = {"manifest.json": None, **{one["name"]: one for one in manifest_of(directory).get("files", [])}}
    if set(named) != set(listed) or STATE_NAME not in listed:
        raise HoldfastError(f"manifest.json and {sums.name} list different files", path=sums, hint=hint)
    for name, digest in listed.items():
        path = directory / name
        if "/" in name or path.is_symlink() or not path.is_file():
            raise HoldfastError("a checkpoint file is missing", path=path, hint=hint)
        listing = named[name] or {}
        # By older versions, only `sha256`.
        expected = listing.get("digest", listing.get("sha256", digest))
        if expected != digest or _digest(path, algorithm) != digest:
            raise HoldfastError("a checkpoint file is damaged", path=path, hint=hint)


def _text(path: Path) -> str:
    try:
        return read_file(path, _LARGEST_TEXT).decode("utf-8", "replace")
    except OSError as error:
        raise HoldfastError(
            f"cannot read a checkpoint file: {error.strerror}",
            path=path,
            hint="use an older checkpoint",
        ) from error


def _digest(path: Path, algorithm: str) -> str:
    try:
        return digest_of_file(path, algorithm)
    except OSError as error:
        raise HoldfastError(
            f"cannot read a checkpoint file: {error.strerror}", path=path, hint="use an older checkpoint"
        ) from error


def publish(
    directory: Path,
    image: ImageWriter,
    loop: LoopState,
    *,
    hyperparameters: dict[str, Any],
    metrics: dict[str, float],
    resume: ResumeFile | None,
    weights_only: bool = False,
) -> Path:
    """Write a checkpoint into a temporary directory, sync it, and rename it.

    Args:
        directory: parent of the checkpoint's directory.
        image: the state.
        loop: the position, as in the image.
        hyperparameters: as recorded.
        metrics: of the step; finite numbers.
        resume: of the supervisor's job; None without a supervisor.
        weights_only: whether the image lacks components that a run needs to continue.

    Raises:
        HoldfastError: the disk is full or fails; nothing is left behind.
    """
    cut_id = os.urandom(16).hex()
    directory.mkdir(parents=True, exist_ok=True)
    temporary = directory / f".publishing-{cut_id}"
    try:
        temporary.mkdir()
        data = image.to_bytes()
        algorithm = new_algorithm()
        digest = digest_of(data, algorithm)
        manifest = {
            "format_version": 1,
            "job": "standalone" if resume is None else resume.job,
            "job_id": (os.urandom(16) if resume is None else resume.job_id).hex(),
            "attempt": 0 if resume is None else resume.attempt,
            "generation": 0 if resume is None else resume.generation,
            "cut_id": cut_id,
            "step": loop.step,
            "epoch": loop.epoch,
            "batch": loop.batch,
            "samples": loop.samples,
            "created_at": datetime.now(timezone.utc).isoformat(timespec="milliseconds")[:-6] + "Z",
            "metrics": metrics,
            "hyperparameters": hyperparameters,
            "world_size": 1,
            "ranks": [{"rank": 0, "files": [STATE_NAME], "loop_state": loop.to_json()}],
            "files": [
                {
                    "name": STATE_NAME,
                    "bytes": len(data),
                    "digest": digest,
                    "digest_algorithm": algorithm,
                    "sha256": digest if algorithm == "sha256" else None,
                }
            ],
        }
        if weights_only:
            manifest["weights_only"] = True
        text = json.dumps(manifest, indent=2).encode() + b"\n"
        sums = f"{digest}  {STATE_NAME}\n{digest_of(text, algorithm)}  manifest.json\n".encode()
        for name, content in ((STATE_NAME, data), ("manifest.json", text), (SUMS_NAMES[algorithm], sums)):
            _write_durably(temporary / name, content)
        _sync(temporary)
        path = _rename_to_free_name(temporary, directory, loop.step, cut_id)
        _sync(directory)
    except OSError as error:
        shutil.rmtree(temporary, ignore_errors=True)
        raise HoldfastError(
            f"cannot save the checkpoint: {error.strerror}",
            path=directory,
            hint=f"df {shlex.quote(str(directory))}",
        ) from error
    return path


def _rename_to_free_name(temporary: Path, directory: Path, step: int, cut_id: str) -> Path:
    last: OSError | None = None
    for name in (f"step-{step}", f"step-{step}-{cut_id[:8]}", f"step-{step}-{cut_id}"):
        path = directory / name
        if path.exists():
            continue
        try:
            return temporary.rename(path)
        except OSError as error:
            last = error
    raise last or FileExistsError(17, "all names are taken")


def _write_durably(path: Path, content: Any) -> None:
    with path.open("xb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())


def _sync(directory: Path) -> None:
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
