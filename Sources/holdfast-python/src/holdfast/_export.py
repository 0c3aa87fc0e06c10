"""`holdfast checkpoints export --format torch`: a checkpoint as a file of torch.

The command runs this module, and reads one JSON document from its standard output.
"""

from __future__ import annotations

import argparse
import errno
import io
import json
import os
from contextlib import suppress
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, NamedTuple

from . import _checkpoints
from ._errors import HoldfastError
from ._image import ImageReader, LoopState
from ._mapping import map_private

# Of sysexits.h, as in the command line.
_DAMAGED, _MISSING, _EXISTS, _IO, _UNSUPPORTED = 65, 66, 73, 74, 70


class _FailedError(Exception):
    """What the command prints as its error."""

    def __init__(self, what: str, status: int, *, path: Path | None = None, hint: str = "") -> None:
        super().__init__(what)
        self.document = {
            "error": what,
            "exit_code": status,
            "where": None if path is None else str(path),
            "hint": hint,
        }


class Exported(NamedTuple):
    """What a file of torch contains.

    Attributes:
        content: for `torch.save`.
        kind: `lightning`, `weights` or `states`.
        as_text: paths of values that are text now, since a file of plain values cannot contain them.
    """

    content: Any
    kind: str
    as_text: list[str]


def contents(image: ImageReader, manifest: dict[str, Any], *, weights_only: bool) -> Exported:
    """Return what is written for a checkpoint.

    Raises:
        HoldfastError: the image is damaged, or contains nothing to export.
    """
    from ._plain_torch import Plain

    kind, content = _contents(image, manifest, image.decoder(copy=False, device="cpu"), weights_only)
    plain = Plain()
    return Exported(plain.value(content), kind, plain.as_text)


def lightning_checkpoint(directory: Path, device: Any = "cpu") -> dict[str, Any]:
    """Return a checkpoint's directory as the content of a `.ckpt`, with the types of the program.

    Raises:
        HoldfastError: it is damaged, or not of a Lightning job.
    """
    image = ImageReader(map_private(_checkpoints.image_of(directory)))
    decoder = image.decoder(device=device)
    _, content = _contents(image, _checkpoints.manifest_of(directory), decoder, weights_only=False)
    if "state_dict" not in content:
        raise HoldfastError(
            "not a checkpoint of a Lightning job", path=directory, hint="load it with holdfast.load"
        )
    return content


def _contents(
    image: ImageReader, manifest: dict[str, Any], decoder: Any, weights_only: bool
) -> tuple[str, dict[str, Any]]:
    nodes = image.nodes or {}
    hyperparameters = manifest.get("hyperparameters", {})
    trainer: Any = decoder.value(nodes["trainer"]) if "trainer" in nodes else None
    content: Any
    if _is_lightning(trainer):
        kind, content = "lightning", _lightning(decoder.value(nodes["model"]), trainer, weights_only)
        content.setdefault("hyper_parameters", hyperparameters)
    elif weights_only:
        weights = {name: decoder.value(node) for name, node in nodes.items() if _checkpoints.is_weights(node)}
        if not weights:
            raise HoldfastError(
                "the checkpoint has no component that contains only tensors",
                hint="export it without --weights-only",
            )
        kind, content = "weights", next(iter(weights.values())) if len(weights) == 1 else weights
    elif manifest.get("weights_only") and len(nodes) == 1:
        # Also for a Lightning job, whose trainer's state is not in such a checkpoint.
        loop = image.loop or LoopState()
        kind, content = "weights", _checkpoint_of_weights(decoder.value(next(iter(nodes.values()))), loop)
        content["hyper_parameters"] = hyperparameters
    else:
        loop = image.loop or LoopState()
        kind = "states"
        content = {
            "epoch": loop.epoch,
            "global_step": loop.step,
            "metrics": manifest.get("metrics", {}),
            "hyper_parameters": hyperparameters,
            "loop_state": {
                "batch": loop.batch,
                "samples": loop.samples,
                "parts": {f"{part.kind}/{part.name}": part.data for part in loop.parts},
            },
            **{name: decoder.value(node) for name, node in nodes.items()},
        }
    return kind, content


def _is_lightning(trainer: Any) -> bool:
    return isinstance(trainer, dict) and "pytorch-lightning_version" in trainer.get("checkpoint", {})


def _lightning(model: Any, trainer: dict[str, Any], weights_only: bool) -> dict[str, Any]:
    """Return the checkpoint as the trainer's own, without what `Holdfast` saves in addition."""
    checkpoint = {**trainer["checkpoint"], "state_dict": model}
    if weights_only:
        for key in ("callbacks", "optimizer_states", "lr_schedulers"):
            checkpoint.pop(key, None)
    return checkpoint


def _checkpoint_of_weights(state: Any, loop: LoopState) -> dict[str, Any]:
    """Return weights in the form that Lightning's `load_from_checkpoint` reads."""
    content = {"state_dict": state, "epoch": loop.epoch, "global_step": loop.step}
    for package in ("lightning", "pytorch-lightning"):
        with suppress(PackageNotFoundError):
            content.setdefault("pytorch-lightning_version", version(package))
    return content


def write(content: Any, target: Path, *, force: bool) -> int:
    """Write a file atomically and durably; return its size.

    Raises:
        FileExistsError: there is one, and it must not be replaced.
        OSError: the disk is full or fails; nothing is left behind.
    """
    import torch

    # Not directly into the file: if writing fails, torch's writer ends the whole process.
    data = io.BytesIO()
    torch.save(content, data)
    if not force and os.path.lexists(target):
        raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), str(target))
    temporary = target.with_name(f".{target.name[:100]}.{os.urandom(8).hex()}")
    try:
        with temporary.open("xb") as file:
            file.write(data.getbuffer())
            file.flush()
            os.fsync(file.fileno())
        if force:
            temporary.replace(target)
        else:
            _rename_to_new(temporary, target)
    finally:
        temporary.unlink(missing_ok=True)
    descriptor = os.open(target.parent, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
    return len(data.getbuffer())


def _rename_to_new(temporary: Path, target: Path) -> None:
    """Rename without replacing a file that has appeared meanwhile."""
    try:
        os.link(temporary, target)
    except OSError as error:
        # Filesystems without hard links.
        if error.errno not in (errno.EPERM, errno.EOPNOTSUPP, errno.ENOSYS, errno.EMLINK):
            raise
        if os.path.lexists(target):
            raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), str(target)) from error
        temporary.rename(target)


def export(checkpoint: Path, target: Path, *, weights_only: bool, force: bool) -> dict[str, Any]:
    """Export a checkpoint; return the document for the command."""
    try:
        import torch  # noqa: F401
    except ImportError:
        return {"missing": "torch"}
    try:
        path = _checkpoints.image_of(checkpoint)
        image = ImageReader(map_private(path))
        exported = contents(image, _checkpoints.manifest_of(path.parent), weights_only=weights_only)
    except ImportError as error:
        # The state contains arrays of another library.
        return {"missing": error.name or "a module", "why": str(error)}
    except HoldfastError as error:
        where = checkpoint if error.path is None else Path(error.path)
        raise _FailedError(error.what, _DAMAGED, path=where, hint=error.hint) from error
    try:
        size = write(exported.content, target, force=force)
    except FileExistsError as error:
        raise _FailedError(
            "the file already exists", _EXISTS, path=target, hint="replace it with --force, or name another"
        ) from error
    except OSError as error:
        raise _FailedError(
            f"cannot write the file: {error.strerror or error}", _IO, path=target, hint=f"df {target.parent}"
        ) from error
    return {"size_bytes": size, "contents": exported.kind, "as_text": exported.as_text}


def main(arguments: list[str] | None = None) -> int:
    """Export a checkpoint as the arguments say, and print a JSON document."""
    parser = argparse.ArgumentParser(prog="python -m holdfast._export")
    parser.add_argument("checkpoint", type=Path)
    parser.add_argument("target", type=Path)
    parser.add_argument("--weights-only", action="store_true")
    parser.add_argument("--force", action="store_true")
    given = parser.parse_args(arguments)
    try:
        document = export(given.checkpoint, given.target, weights_only=given.weights_only, force=given.force)
    except _FailedError as failure:
        document = failure.document
    print(json.dumps(document))
    return int(document.get("exit_code", 0))


if __name__ == "__main__":
    raise SystemExit(main())
