"""Everything registered with a run: components, random streams and loaders, and their states."""

from __future__ import annotations

import sys
import unicodedata
from collections.abc import Sequence
from typing import Any, Callable

from . import _parts, _random, _run_part, _state_checksum
from ._components import ENDINGS, Component, component_of, extra_components
from ._errors import HoldfastError
from ._image import ImageWriter, LoopState, Part, flatten

Hook = Callable[[dict[str, Any]], None]


class Registered:
    """Everything whose state is saved.

    Args:
        own_part: returns the run's own part of a snapshot.
        records_rng: whether the global random streams are included.
    """

    def __init__(self, own_part: Callable[[], bytes], *, records_rng: bool) -> None:
        self._own_part = own_part
        self.records_rng = records_rng
        self.components: dict[str, Component] = {}
        self.loaders: list[Any] = []
        self.save_hooks: list[Hook] = []
        self.load_hooks: list[Hook] = []
        self.saves_gradients = False
        # Saved positions of loaders that this attempt has not created yet.
        self.saved_loaders: dict[str, bytes] = {}
        self._own_streams: list[_random.Stream] = []
        self._sources: list[_parts.Source] | None = None

    def add(self, name: str, target: Any, *, strict: bool, save_gradients: bool) -> None:
        """Register an object under a name.

        Raises:
            HoldfastError: the name is in use, or objects of this type have no known state.
        """
        # Names must differ in other languages too, where some characters have several encodings.
        same = unicodedata.normalize("NFC", name)
        names = [*self.components, *(stream.name for stream in self._own_streams)]
        taken = any(unicodedata.normalize("NFC", one) == same for one in names)
        if taken or name in ("python", "numpy", "torch"):
            raise HoldfastError(f"the name '{name}' is already in use", hint="register it under another name")
        stream = _random.stream_of(name, target)
        if stream is not None:
            self._own_streams.append(stream)
            return
        component = component_of(name, target, strict)
        self.components[name] = component
        for ending, more in extra_components(component, save_gradients).items():
            self.components[name + ending] = more

    def add_loader(self, loader: Any) -> None:
        """Add a loader; if its position was saved, it continues there.

        Raises:
            HoldfastError: its name is in use.
        """
        if any(other.name == loader.name for other in self.loaders):
            raise HoldfastError(
                f"a loader named '{loader.name}' already exists", hint='give each loader another name="..."'
            )
        self.loaders.append(loader)
        self.forget_sources()
        if loader.name in self.saved_loaders:
            loader.restore(self.saved_loaders.pop(loader.name))

    def remove_loader(self, name: str) -> None:
        """Remove the loader with a name, if it exists."""
        self.loaders = [loader for loader in self.loaders if loader.name != name]
        self.forget_sources()

    def streams(self) -> Sequence[_random.Stream]:
        """Return the global random streams of all libraries imported so far, and the registered ones."""
        return [*(_random.global_streams() if self.records_rng else ()), *self._own_streams]

    def is_module(self, name: str) -> bool:
        """Return whether the component with a name is a torch module."""
        torch = sys.modules.get("torch")
        target = getattr(self.components.get(name), "target", None)
        return torch is not None and isinstance(target, torch.nn.Module)

    def named(self) -> list[str]:
        """Return the names that the program has registered, without components in addition to a module's."""
        return [name for name in self.components if not name.endswith(ENDINGS)]

    def states(self) -> dict[str, Any]:
        """Return the states by component name, including those added by hooks."""
        states: dict[str, Any] = {name: component.state() for name, component in self.components.items()}
        for hook in self.save_hooks:
            hook(states)
        return states

    def image_size(self) -> int:
        """Return the size of an image of the components, without what hooks add; 0: they cannot be saved."""
        try:
            states = {name: component.state() for name, component in self.components.items()}
            return ImageWriter(flatten(states), LoopState()).size
        except (HoldfastError, RuntimeError, ValueError, TypeError, BufferError):
            return 0  # The first save reports it.

    # The parts of a snapshot

    def sources(self) -> list[_parts.Source]:
        """Return the sources of the parts of a snapshot."""
        if self._sources is None:
            self._sources = self._new_sources()
        return self._sources

    def forget_sources(self) -> None:
        """Collect the sources anew when next needed: loaders or streams may have been added or removed."""
        self._sources = None

    def _new_sources(self) -> list[_parts.Source]:
        sources = [_parts.Source("other", _run_part.NAME, self._own_part)]
        sources += [
            _parts.Source("sampler", loader.name, loader.part, loader.whole_part) for loader in self.loaders
        ]
        sources += [_parts.Source("rng", stream.name, stream.get) for stream in self.streams()]
        # In the records of steps only: an image contains the whole state.
        state_checksum = _state_checksum.StateChecksum(self.components.values())
        if state_checksum.has_any:
            sources.append(
                _parts.Source("sampler", _state_checksum.NAME, state_checksum.checksum, is_in_images=False)
            )
        return sources

    def parts(self) -> tuple[Part, ...]:
        """Return the current parts of an image."""
        return _parts.states_of(self.sources())

    def encoded_parts(self) -> bytes:
        """Return the current parts of a step's record, encoded."""
        return _parts.encode(self.sources())
