"""Where a run continues: components, loaders, random streams and counters, from one image."""

from __future__ import annotations

import importlib
import mmap
import os
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from . import _checkpoints, _random
from . import _layout as at
from ._base import FINISHED, LOOP, LOOP_END_PREFIX, LOOP_PART, STOPS, STOPS_AT_ONCE
from ._components import MODES
from ._documents import ResumePoint, read_resume_file
from ._errors import HoldfastError
from ._image import ImageReader, LoopState
from ._opening import open_file

if TYPE_CHECKING:
    from ._base import RunBase

# Without any progress of the supervisor's.
_VERDICT_SECONDS = 60.0
_LIST = "holdfast checkpoints list shows what there is"


def map_private(
    path: Path, offset: int = 0, length: int | None = None, *, follow_link: bool = False
) -> memoryview:
    """Map a part of a file: writable for the frameworks' sake, and never written back.

    Args:
        path: of the file.
        offset: of the part.
        length: of the part; None: to the end.
        follow_link: for a file that the user names.

    Raises:
        HoldfastError: it is not there, or is shorter.
    """
    try:
        descriptor = open_file(path, os.O_RDONLY, follow_link=follow_link)
        try:
            size = os.fstat(descriptor).st_size
            end = size if length is None else offset + length
            if not offset < end <= size:
                raise HoldfastError("the image is cut off", path=path, hint=_LIST)
            mapping = mmap.mmap(descriptor, end, mmap.MAP_PRIVATE, mmap.PROT_READ | mmap.PROT_WRITE)
        finally:
            os.close(descriptor)
    except OSError as error:
        raise HoldfastError(f"cannot read the image: {error.strerror}", path=path, hint=_LIST) from error
    return memoryview(mapping)[offset:end]


def await_point(run: RunBase) -> ResumePoint | None:
    """Wait for the supervisor's verdict on the resume point, which it reads while this process starts.

    Returns:
        Where to continue; None: at the beginning.

    Raises:
        HoldfastError: there is no verdict, and no progress towards one.
    """
    ring, directory = run._ring, run._directory
    if run._resume is None or directory is None:
        return None
    seen, pause = ring.verified, 0.0001
    patience_ends = time.monotonic() + _VERDICT_SECONDS
    while ring.verdict == at.VERDICT_PENDING:
        time.sleep(pause)
        pause = min(pause * 2, 0.01)
        ring.beat()
        if ring.verified != seen:
            seen = ring.verified
            patience_ends = time.monotonic() + _VERDICT_SECONDS
        if time.monotonic() > patience_ends:
            raise HoldfastError(
                "the supervisor does not say whether the resume point is whole",
                path=directory,
                hint="is it stopped, or its disk stalled? holdfast status shows how it is",
            )
    if ring.verdict == at.VERDICT_REPLACED:
        run._resume = read_resume_file(directory, ring.identity.global_rank)
    return run._resume.point


class Restorer:
    """Puts a run where an image says."""

    def __init__(self, run: RunBase) -> None:
        self._run = run

    def resume(self, point: ResumePoint) -> None:
        """Continue from the supervisor's resume point."""
        path = Path(point.path)
        reader = ImageReader(map_private(path, point.offset, point.length))
        loop = self._loop(reader, path)
        if loop.step != point.step:
            raise HoldfastError(f"the image is of step {loop.step}, not {point.step}", path=path, hint=_LIST)
        self._components(reader, path, strict=True)
        self._loop_state(loop, path, strict=True)
        self._run._head.take(reader, loop)

    def load(self, path: Path, *, weights_only: bool, strict: bool) -> None:
        """Load a checkpoint that a person names."""
        image = _checkpoints.image_of(path)
        # Of a checkpoint's directory no file is a link; a single file that somebody names may be one.
        reader = ImageReader(map_private(image, follow_link=image == path))
        self._components(reader, path, strict=strict, weights_only=weights_only)
        if weights_only:
            return
        loop = self._loop(reader, path)
        self._loop_state(loop, path, strict=strict)
        self._run._was_finished = False
        self._run._head.take(reader, loop)

    def _loop(self, reader: ImageReader, path: Path) -> LoopState:
        if reader.loop is None or reader.nodes is None:
            raise HoldfastError(
                "the file has no loop state: another program's",
                path=path,
                hint="load it with weights_only=True, or with safetensors",
            )
        return reader.loop

    def _components(
        self, reader: ImageReader, path: Path, *, strict: bool, weights_only: bool = False
    ) -> None:
        run = self._run
        states: dict[str, Any] = {}
        for name in reader.nodes or {}:
            component = run._components.get(name)
            # A module copies into what it has: views of the mapping will do, and nothing keeps them.
            states[name] = reader.component(name, copy=component is None or component.wants_copies)
        for hook in run._load_hooks:
            hook(states)
        if weights_only:
            states = {name: state for name, state in states.items() if _is_module(run, name)}
        else:
            run.state = states.pop("state", None) if "state" not in run._components else None
        unknown = sorted(set(states) - set(run._components))
        if unknown and strict and not run._load_hooks:
            raise HoldfastError(
                f"the checkpoint has state of {', '.join(unknown)}, not registered here",
                path=path,
                hint="register the same components as the run that saved it",
            )
        for name, component in run._components.items():
            if name in states:
                self._load(name, component, states[name], path)
            elif strict and component.strict and not weights_only:
                raise HoldfastError(
                    f"the checkpoint has no state of '{name}'",
                    path=path,
                    hint=f"register the components that it has ({', '.join(states) or 'none'}), "
                    f"or '{name.partition('.')[0]}' with strict=False",
                )
            elif not weights_only and not name.endswith(MODES):  # Which an older version has not saved.
                run._warn(f"there is no saved state of '{name}': it begins anew")

    def _load(self, name: str, component: Any, state: Any, path: Path) -> None:
        try:
            component.load(state)
        except HoldfastError:
            raise
        except Exception as error:
            raise HoldfastError(
                f"'{name}' does not take its saved state: {error}",
                path=path,
                hint=_hint(component),
            ) from error
        left_out = getattr(component, "left_out", ())
        if left_out:
            self._run._warn(f"'{name}' took what fits of its saved state, and not: {'; '.join(left_out)}")

    def _loop_state(self, loop: LoopState, path: Path, *, strict: bool) -> None:
        run = self._run
        run._global_step, run.epoch = loop.step, loop.epoch
        run._batch, run.samples = loop.batch, loop.samples
        run.optimizer_steps = loop.step
        saved: dict[str, bytes] = {}
        loaders: dict[str, bytes] = {}
        ends: dict[int, dict[str, bytes]] = {}
        for part in loop.parts:
            if part.kind == "rng":
                saved[part.name] = part.data
            elif part.kind == "sampler":
                loaders[part.name] = part.data
            elif part.name == LOOP_PART and len(part.data) == LOOP.size:
                run.optimizer_steps, world, flags = LOOP.unpack(part.data)
                run._stopped, run._stops_at_once = bool(flags & STOPS), bool(flags & STOPS_AT_ONCE)
                run._was_finished = bool(flags & FINISHED)
                if world != run.world_size and strict:
                    raise HoldfastError(
                        f"the run had {world} ranks, now {run.world_size}",
                        path=path,
                        hint="resume with the same number of ranks",
                    )
            elif part.name.startswith(LOOP_END_PREFIX):
                number, _, name = part.name[len(LOOP_END_PREFIX) :].partition(".")
                ends.setdefault(int(number), {})[name] = part.data
        run._loop_ends, run._loop_number = ends, len(ends)
        run._saved_loaders = loaders
        for loader in run._loaders:
            loader._restore(loaders.pop(loader.name, None))
        self._streams(saved, path, strict)

    def _streams(self, saved: dict[str, bytes], path: Path, strict: bool) -> None:
        run = self._run
        if run._records_rng:
            for name in ("numpy", "torch"):
                if name in saved:
                    importlib.import_module(name)
            if any(name.startswith("cuda.") for name in saved):
                import torch

                if torch.cuda.is_available():
                    torch.cuda.init()
        streams = run._all_streams()
        lost = sorted(set(saved) - {stream.name for stream in streams}) if run._records_rng else []
        missing = _random.set_streams(streams, saved, path=str(path))
        if strict and lost:
            raise HoldfastError(
                f"the random streams {', '.join(lost)} were saved, and are not here",
                path=path,
                hint="register the same generators, and use as many devices as the run that saved it",
            )
        for name in missing:
            run._warn(f"the random stream '{name}' was not saved: it goes on as it is")
        # Set once more right before the first batch: making loaders and iterators may draw from them.
        run._pending = {name: data for name, data in saved.items() if name not in lost}


def _hint(component: Any) -> str:
    target = getattr(component, "target", None)
    if hasattr(target, "param_groups"):
        return (
            "add the parameter groups that training adds where the optimizer is made, or in "
            "run.on_load_checkpoint(hook), before the state is loaded"
        )
    torch = sys.modules.get("torch")
    if component.strict and torch is not None and isinstance(target, torch.nn.Module):
        return "the model changed? register(strict=False) takes what fits"
    return "change the saved state to what it takes, in run.on_load_checkpoint(hook)"


def _is_module(run: RunBase, name: str) -> bool:
    import torch

    return isinstance(getattr(run._components.get(name), "target", None), torch.nn.Module)
