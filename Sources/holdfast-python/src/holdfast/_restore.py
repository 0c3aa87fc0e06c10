"""Restores a run from an image: components, loaders, random streams and counters."""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import Any

from . import _checkpoints, _random, _run_part
from ._components import MODES
from ._documents import ResumePoint
from ._errors import HoldfastError
from ._image import ImageReader, LoopState
from ._loop import Loop
from ._mapping import map_private
from ._weights import are_weights

_MOST_REPORTED = 10
_LIST = "run 'holdfast checkpoints list' to see the available checkpoints"


class Restorer:
    """Restores a loop and everything that is registered from an image."""

    def __init__(self, loop: Loop) -> None:
        self._loop = loop
        self._registered = loop.registered
        self.state: dict[str, Any] | None = None
        """The state that `step(state={...})` has saved."""
        self.not_loaded: list[str] = []
        """What a load that is not strict has left out, each with the reason."""

    def resume(self, point: ResumePoint, image: memoryview | None = None) -> None:
        """Continue from the supervisor's resume point.

        Args:
            point: the resume point.
            image: of it, if it is mapped already.
        """
        path = Path(point.path)
        reader = ImageReader(image or map_private(path, point.offset, point.length))
        saved = self._saved_loop(reader, path)
        if saved.step != point.step:
            raise HoldfastError(
                f"the image has step {saved.step}, expected {point.step}", path=path, hint=_LIST
            )
        self._load_components(reader, path, strict=True)
        self._load_loop(saved, path, strict=True)
        self._loop.use_image(reader, saved)

    def load_weights(self, point: ResumePoint) -> None:
        """Load the weights that the supervisor was asked to begin with."""
        path = Path(point.path)
        reader = ImageReader(map_private(path, point.offset, point.length))
        self._load_components(reader, path, strict=False, weights_only=True)

    def load(self, path: Path, *, weights_only: bool, strict: bool) -> None:
        """Load a checkpoint that the user names."""
        image = _checkpoints.image_of(path)
        # Files in a checkpoint's directory are never links; a file that the user names may be one.
        reader = ImageReader(map_private(image, follow_link=image == path))
        is_part = image.name == _checkpoints.STATE_NAME and _checkpoints.manifest_of(image.parent).get(
            "weights_only"
        )
        if is_part and not weights_only:
            raise HoldfastError(
                "the checkpoint has only weights, so a run cannot be continued from it",
                path=path,
                hint="load it with weights_only=True: the run then starts at step 0",
            )
        self._load_components(reader, path, strict=strict, weights_only=weights_only)
        if weights_only:
            return
        saved = self._saved_loop(reader, path)
        self._load_loop(saved, path, strict=strict)
        self._loop.was_finished = False
        self._loop.use_image(reader, saved)

    def _saved_loop(self, reader: ImageReader, path: Path) -> LoopState:
        if reader.loop is None or reader.nodes is None:
            raise HoldfastError(
                "the file has no loop state; another program wrote it",
                path=path,
                hint="load it with weights_only=True, or with safetensors",
            )
        return reader.loop

    def _load_components(
        self, reader: ImageReader, path: Path, *, strict: bool, weights_only: bool = False
    ) -> None:
        registered = self._registered
        states: dict[str, Any] = {}
        for name in reader.nodes or {}:
            component = registered.components.get(name)
            # A module copies into its own tensors, so views of the mapping are sufficient.
            states[name] = reader.component(name, copy=component is None or component.needs_copies)
        for hook in registered.load_hooks:
            hook(states)
        if weights_only:
            self._load_weights(states, path)
            return
        self.state = states.pop("state", None) if "state" not in registered.components else None
        unknown = sorted(set(states) - set(registered.components))
        if unknown and strict and not registered.load_hooks:
            raise HoldfastError(
                f"the checkpoint contains components that are not registered: {', '.join(unknown)}",
                path=path,
                hint="register the same components as the run that saved it",
            )
        if not registered.load_hooks:
            self.not_loaded += [f"{name} (not registered)" for name in unknown]
        for name, component in registered.components.items():
            if name in states:
                self._load(name, component, states[name], path)
            elif strict and component.strict:
                raise HoldfastError(
                    f"the checkpoint has no state of '{name}'",
                    path=path,
                    hint=f"register the components that it contains ({', '.join(states) or 'none'}), "
                    f"or '{name.partition('.')[0]}' with strict=False",
                )
            elif not name.endswith(MODES):  # Older versions did not save modes.
                self.not_loaded.append(f"{name} (not saved)")
                self._loop.warn(f"'{name}' has no saved state; it starts as registered")

    def _load_weights(self, states: dict[str, Any], path: Path) -> None:
        """Load the components that are weights, and list the others."""
        registered = self._registered
        weights = [name for name, state in states.items() if registered.is_module(name) or are_weights(state)]
        loaded = [name for name in registered.components if name in weights]
        if not loaded:
            raise HoldfastError(
                f"the checkpoint has no weights of {', '.join(registered.named()) or 'anything registered'}; "
                f"it has weights of {', '.join(sorted(weights)) or 'nothing'}",
                path=path,
                hint="register the weights under the same name as in the run that saved it, as a component "
                "that consists of tensors alone",
            )
        for name in loaded:
            self._load(name, registered.components[name], states[name], path)
        if not registered.load_hooks:  # A hook may have used what it has added.
            self.not_loaded += [f"{name} (not registered)" for name in sorted(set(weights) - set(loaded))]
        for name in registered.named():
            if name not in loaded:
                reason = "more than tensors" if name in states else "not saved"
                self.not_loaded.append(f"{name} ({reason})")
        if self.not_loaded:
            further = len(self.not_loaded) - _MOST_REPORTED
            listed = [*self.not_loaded[:_MOST_REPORTED], *([f"and {further} more"] if further > 0 else [])]
            self._loop.warn(f"not loaded from the checkpoint: {'; '.join(listed)}")

    def _load(self, name: str, component: Any, state: Any, path: Path) -> None:
        try:
            component.load(state)
        except HoldfastError:
            raise
        except Exception as error:
            raise HoldfastError(
                f"'{name}' cannot load its saved state: {error}",
                path=path,
                hint=self._hint(name, component),
            ) from error
        left_out = getattr(component, "left_out", ())
        if left_out:
            self.not_loaded += [f"{name}/{one}" for one in left_out]
            self._loop.warn(f"'{name}' was restored partially; left out: {'; '.join(left_out)}")

    def _hint(self, name: str, component: Any) -> str:
        if hasattr(getattr(component, "target", None), "param_groups"):
            return (
                "if training adds parameter groups, add them when the optimizer is created, or in "
                "run.on_load_checkpoint(hook), before the state is loaded"
            )
        if component.strict and self._registered.is_module(name):
            return "if the model has changed, register it with strict=False to load the matching tensors"
        return "convert the saved state in run.on_load_checkpoint(hook)"

    def _load_loop(self, saved: LoopState, path: Path, *, strict: bool) -> None:
        loop, registered = self._loop, self._registered
        loop.step, loop.epoch, loop.batch, loop.samples = saved.step, saved.epoch, saved.batch, saved.samples
        loop.optimizer_steps = saved.step
        streams: dict[str, bytes] = {}
        loaders: dict[str, bytes] = {}
        for part in saved.parts:
            if part.kind == "rng":
                streams[part.name] = part.data
            elif part.kind == "sampler":
                loaders[part.name] = part.data
            elif part.name == _run_part.NAME:
                self._load_own_part(part.data, path, strict=strict)
        registered.saved_loaders = loaders
        for loader in registered.loaders:
            loader.restore(loaders.pop(loader.name, None))
        self._load_streams(streams, path, strict)

    def _load_own_part(self, data: bytes, path: Path, *, strict: bool) -> None:
        loop, part = self._loop, _run_part.RunPart.unpacked(data)
        if part is None:
            return
        loop.optimizer_steps = part.optimizer_steps
        loop.is_stopped, loop.stops_at_once = part.is_stopped, part.stops_at_once
        loop.was_finished = part.is_finished
        if part.world_size != loop.world_size and strict:
            raise HoldfastError(
                f"the run had {part.world_size} ranks, now it has {loop.world_size}",
                path=path,
                hint="resume with the same number of ranks",
            )

    def _load_streams(self, saved: dict[str, bytes], path: Path, strict: bool) -> None:
        registered = self._registered
        if registered.records_rng:
            for name in ("numpy", "torch"):
                if name in saved:
                    importlib.import_module(name)
            if any(name.startswith("cuda.") for name in saved):
                cuda = importlib.import_module("torch").cuda
                if cuda.is_available():
                    cuda.init()
        streams = registered.streams()
        lost = sorted(set(saved) - {stream.name for stream in streams}) if registered.records_rng else []
        missing = _random.set_streams(streams, saved, path=str(path))
        if strict and lost:
            raise HoldfastError(
                f"random streams that were saved do not exist now: {', '.join(lost)}",
                path=path,
                hint="register the same generators, and use as many devices as the run that saved it",
            )
        for name in missing:
            self._loop.warn(f"the random stream '{name}' has no saved state; it continues as it is")
        # Set again right before the first batch: the creation of loaders and iterators may draw from them.
        self._loop.pending = {name: data for name, data in saved.items() if name not in lost}
