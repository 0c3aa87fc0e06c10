"""The batches of data with a state of its own: a dataset, torchdata's loader, or a custom loader."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch
from torch.utils import data as torch_data

from . import _position
from ._continued import ContinuedSamples
from ._fingerprint import fingerprint
from ._position import Position
from ._sampling import Drawn, Place


class StatefulSource:
    """Batches that continue from a state.

    Args:
        batches: iterable over the batches of a pass.
        stateful: object with `state_dict` and `load_state_dict`.
        begins: object whose `set_epoch`, if it has one, is called at the beginning of a pass.
        samples: the samples of a dataset, which are seeded for each pass.
        initial: the state for the beginning of a pass after a resumed one; None if it is not needed.
        generator: of the batches; seeded for each pass.
        batch_size: samples of a batch.
        isolates: whether samples are created in this process, where global streams must not change.
    """

    flags = _position.ITERABLE
    length = _position.NO_LENGTH
    keeps_state = True

    def __init__(
        self,
        batches: Any,
        stateful: Any,
        begins: Any,
        *,
        samples: ContinuedSamples | None = None,
        initial: Any = None,
        generator: torch.Generator | None = None,
        batch_size: int | None = 1,
        isolates: bool = False,
    ) -> None:
        self.batches = batches
        self._stateful = stateful
        self._begins = begins
        self._samples = samples
        self._initial = initial
        self._generator = generator
        self.batch_size = batch_size
        self.isolates = isolates
        self._was_resumed = False

    @staticmethod
    def of_loader(loader: Any) -> StatefulSource:
        """Return the source of a custom loader."""
        # torchdata's loader returns to the beginning by itself, and would start workers to return a state.
        is_torchdata = type(loader).__module__.startswith("torchdata.")
        return StatefulSource(loader, loader, loader, initial=None if is_torchdata else loader.state_dict())

    @staticmethod
    def of_dataset(
        dataset: Any, options: dict[str, Any], *, kind: type[Any], seed_samples: bool
    ) -> StatefulSource:
        """Return the source of an iterable dataset; `kind` is the class of its loader."""
        generator = torch.Generator()
        samples = ContinuedSamples(dataset, seed_samples)
        batches = kind(samples, generator=generator, **options)
        return StatefulSource(
            batches,
            samples if kind is torch_data.DataLoader else batches,
            dataset,
            samples=samples,
            generator=generator,
            batch_size=options.get("batch_size", 1),
            isolates=seed_samples and not options.get("num_workers", 0),
        )

    def measure(self) -> None:
        """Do nothing: the amount of data is unknown."""

    def begin(self, place: Place, saved: Position | None) -> None:
        """Begin a pass, at a saved position if there is one."""
        if self._generator is not None:
            self._generator.manual_seed(place.seed)
        if self._samples is not None:
            self._samples.begin_pass(place.seed)
        if hasattr(self._begins, "set_epoch"):
            self._begins.set_epoch(place.epoch)
        if saved is not None:
            self._stateful.load_state_dict(_position.unpack_state(saved.extra))
        elif self._was_resumed and self._initial is not None:
            # Otherwise it would begin where the resumed pass began, and lack batches.
            self._stateful.load_state_dict(self._initial)
        self._was_resumed = saved is not None

    def discard(self, batches: Iterator[Any], until: Drawn) -> Iterator[str]:
        """Do nothing: the state includes the position."""
        return iter(())

    def count(self, batch: Any, before: Drawn) -> Drawn:
        """Return the position of the pass after a batch that was returned."""
        crc = fingerprint(batch, before.crc)
        return Drawn(before.batch + 1, before.samples + (self.batch_size or 1), crc)

    def state(self) -> bytes:
        """Return the encoded state of the data."""
        return _position.pack_state(self._stateful.state_dict())
