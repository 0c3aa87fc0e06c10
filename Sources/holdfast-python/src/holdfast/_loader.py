"""A data loader whose position is part of the run: batches consumed, not batches prefetched."""

from __future__ import annotations

import gc
import threading
import weakref
import zlib
from collections.abc import Generator, Iterator
from contextlib import nullcontext
from itertools import cycle
from typing import Any, NamedTuple, Protocol

import torch
from torch.utils import data as torch_data

from . import _position as at
from ._components import has_state
from ._dataloader import iterates_itself, options_of, stateful_kind
from ._errors import HoldfastError
from ._loop import Loop
from ._own_iteration import OwnIteration
from ._pass import BEGINNING, Pass
from ._position import Position
from ._samples import mix, preserve_streams
from ._sampling import Drawn, OrderError, Place, WorkerStart
from ._source import is_loader, source_of
from ._state_checksum import NAME as STATE_CHECKSUM


class HasLoop(Protocol):
    """A run."""

    _loop: Loop


class Counted(NamedTuple):
    """The data consumed by steps: the pass, and the batches of it.

    Passes without steps do not change it, so that the snapshots of a replay are the same.
    """

    epoch: int = 0
    begin_step: int = 0
    drawn: Drawn = BEGINNING


class Loader:
    """A loader created by `Run.loader`, from the arguments of `torch.utils.data.DataLoader` or a DataLoader.

    Batches, their order and the random numbers in each sample do not depend on the number of workers or on
    where the run resumed. The order is seeded for each pass, samplers included. A custom sampler must draw
    from the global random streams, from its `generator`, or depend on `set_epoch`.

    Args:
        run: the run that the position belongs to.
        dataset: map-style or iterable, or a DataLoader, or a loader with `state_dict`/`load_state_dict`.
        name: in snapshots; by default `loader-N`, N being the number of loaders before it.
        seed: of order and samples; by default derived from the name and the seed of `generator`, or torch's.
        seed_samples: seed `random`, numpy and torch for each batch, and for each sample of iterable and
            unbatched datasets; takes up to 0.1 ms. If False, `sample_generator()` still works.
        **options: of `DataLoader`.

    Raises:
        HoldfastError: the name is reserved, or `in_order=False` was given.
    """

    def __init__(
        self,
        run: HasLoop,
        dataset: Any,
        *,
        name: str | None = None,
        seed: int | None = None,
        seed_samples: bool = True,
        **options: Any,
    ) -> None:
        loop = self._loop = run._loop
        self.name = name or f"loader-{len(loop.registered.loaders)}"
        if self.name == STATE_CHECKSUM:
            raise HoldfastError(f"the name '{self.name}' is reserved", hint="give the loader another name")
        # The class for the loader of an iterable dataset.
        kind: type[Any] = torch_data.DataLoader
        # For a loader whose class has an `__iter__` of its own.
        self._own_iteration: OwnIteration | None = None
        if isinstance(dataset, torch_data.DataLoader):
            stateful = stateful_kind(dataset)
            if stateful is None and iterates_itself(dataset):
                self._own_iteration = OwnIteration(dataset, self.name)
            if stateful is not None or not has_state(dataset):
                kind = stateful or torch_data.DataLoader
                dataset, options = options_of(dataset, options)
        if options.pop("in_order", True) is not True:
            raise HoldfastError(
                "in_order=False is not supported: the loader would have no position to resume from",
                hint="leave it out",
            )
        generator = options.pop("generator", None)
        if seed is None:
            seed = generator.initial_seed() if generator is not None else torch.initial_seed()
            # Otherwise two loaders of one dataset would return the same samples in the same order.
            seed = mix(seed, zlib.crc32(self.name.encode()))
        self._seed = seed & (1 << 64) - 1
        self.dataset = dataset
        self.drop_last = bool(options.get("drop_last", False))
        # A custom loader has its own. The sampler is that of the program, which may call
        # `loader.sampler.set_epoch(epoch)`; each pass does that too.
        self.num_workers: int = options.get("num_workers", 0)
        self.sampler: Any = options.get("sampler")
        if self.num_workers:
            options["worker_init_fn"] = WorkerStart(options.get("worker_init_fn"))
        if is_loader(dataset):
            self.num_workers = getattr(dataset, "num_workers", 0)
            self.sampler = getattr(dataset, "sampler", None)
        self._source = source_of(
            dataset, options, kind=kind, name=self.name, seed_samples=seed_samples, skip=loop.skip
        )
        self.batch_size = self._source.batch_size
        self.total = self.known_length()
        # Whether steps have consumed batches of it.
        self.is_trained = False
        self._counted = Counted()
        self._pass = Pass(0, 0, BEGINNING)
        # The position to continue from, until a pass begins there.
        self._saved: Position | None = None
        # Whether the loop has requested an iterator, even if it has read nothing from it.
        self._is_requested = False
        self._iterator: weakref.ref[Any] | None = None
        self._is_checked = False

    def __len__(self) -> int:
        """Return the number of batches in an epoch."""
        return len(self._source.batches)

    def known_length(self) -> int | None:
        """Return the number of batches in an epoch; None if it is unknown."""
        try:
            return len(self)
        except (TypeError, NotImplementedError):
            return None

    @property
    def _is_map_style(self) -> bool:
        return not self._source.flags & at.ITERABLE

    def _batches(self) -> Any:
        """Return an iterable over the batches of a pass."""
        batches = self._source.batches
        return batches if self._own_iteration is None else self._own_iteration.batches(batches)

    def _measure(self) -> None:
        """Update the length of a pass: data may grow between passes."""
        self._source.measure()
        self.total = self.known_length()

    # Reading

    def __iter__(self) -> Iterator[Any]:
        """Iterate over the batches of a pass; after a resume, over those that were not consumed yet."""
        loop = self._loop
        loop.restore()
        self._is_requested = loop.is_in_epochs
        if threading.get_ident() != loop.thread:
            # Reported at the next step: with an error here, the stepping thread would wait for a batch.
            loop.reader = threading.current_thread().name
        if self._is_requested and self._pass.epoch < loop.epoch and self._saved is None:
            # The pass of an earlier epoch is over, even if its iterator still exists.
            self._pass.is_open = False
            self.begin_epoch()
        if self._pass.is_resumed and loop.is_own and not self._another_is_resumed():
            loop.before_batch()
        batches = self._read()
        self._iterator = weakref.ref(batches)
        return batches

    def _check_cycle(self) -> None:
        """Refuse `itertools.cycle`: it repeats stored batches, some of which a resume would lack."""
        if self._is_checked or not self._loop.is_recorded:
            return
        self._is_checked = True
        iterator = None if self._iterator is None else self._iterator()
        if any(type(one) is cycle for one in gc.get_referrers(iterator)):
            raise HoldfastError(
                f"itertools.cycle repeats the stored batches of the first pass of loader '{self.name}', "
                "which a resumed process does not have",
                hint="write `while True: yield from loader`, which also shuffles and augments each pass anew",
            )

    def _read(self) -> Generator[Any, None, None]:
        loop, saved = self._loop, self._saved
        is_over = self._is_map_style and saved is not None and saved.batch == saved.total
        this = self._begin_pass()
        with preserve_streams():
            source = iter(() if is_over or loop.stops_at_once else self._batches())
            for warning in self._source.discard(source, this.given):
                loop.warn(warning)
        # If workers create the batches, this process draws no random numbers.
        is_drawn_here = self.num_workers == 0 or self._own_iteration is not None
        try:
            while True:
                if self.is_trained and not self._pass.is_resumed:
                    loop.compare_with_saved()
                    if loop.stops_at_once:
                        break
                if is_drawn_here and self._pass.is_resumed:
                    loop.before_batch()
                try:
                    with preserve_streams() if self._source.isolates else nullcontext():
                        batch = next(source)
                except StopIteration:
                    break
                self._pass.given = self._source.count(batch, self._pass.given)
                self._pass.outstanding = True
                if self._pass.is_resumed:
                    loop.before_batch()
                    self._pass.is_resumed = False
                yield batch
            self._pass.is_open = False
            self._check_cycle()
            self._end_pass()
        except GeneratorExit:  # First: at interpreter exit other names may be gone.
            # The loop left the pass: a batch that no step has counted is dropped.
            if self._pass is this and this.is_open:
                this.outstanding = False
                this.is_open = False
            raise
        except OrderError:
            raise HoldfastError(
                f"the sampler of loader '{self.name}' does not reproduce its order",
                hint="draw from the global random streams or from its `generator`, or implement set_epoch(), "
                "or state_dict and load_state_dict",
            ) from None

    def _begin_pass(self) -> Pass:
        """Begin a pass: a saved one at its position, or a new one."""
        loop = self._loop
        saved, self._saved = self._saved, None
        if saved is not None and saved.epoch <= loop.epoch and saved.batch:
            begun = Drawn(saved.batch, saved.samples, saved.crc)
            self._counted = self._counted._replace(drawn=begun)
            epoch, begin_step = saved.epoch, saved.begin_step
        else:
            saved, begun = None, BEGINNING
            epoch, begin_step = loop.epoch, loop.step
        self._pass = Pass(epoch, begin_step, begun, is_resumed=self._pass.is_resumed)
        self._measure()
        seed = mix(self._seed, epoch, begin_step, 0 if self._is_map_style else loop.rank)
        self._source.begin(Place(seed, epoch, begun.batch, begun.samples, begun.crc), saved)
        self._pass.is_open = True
        return self._pass

    def _end_pass(self) -> None:
        loop, this, consumed = self._loop, self._pass, self._counted.drawn
        at_end = consumed.batch and consumed.batch == self.total
        if this.is_resumed and at_end and loop.is_own:
            loop.warn(
                f"resumed after the last batch of epoch {this.epoch}: loader '{self.name}' has no batches "
                "left, so the loop's body does not run and sets no variables"
            )
        if (consumed == this.given and self.is_trained) or this.is_resumed:
            this.is_resumed = False
            this.outstanding = False
            if not self._another_is_resumed():
                loop.after_pass()
        elif consumed.batch == 0 or this.begin_step == loop.step:
            # Without a step this was a validation pass.
            this.outstanding = False

    # The loop's side

    @property
    def outstanding(self) -> bool:
        """Whether a batch was returned that no step has counted."""
        return self._pass.outstanding

    @property
    def position(self) -> int:
        """Number of batches of the pass that steps have consumed."""
        return self._counted.drawn.batch

    @property
    def is_between_batches(self) -> bool:
        """Whether a pass is open, and a step has consumed its last batch."""
        return self._pass.is_open and self.is_trained and not self.outstanding and bool(self.position)

    @property
    def is_resumed_in_middle(self) -> bool:
        """Whether the run resumed in the middle of its pass, and no batch was returned yet."""
        return self._pass.is_resumed and self._saved is not None and at.is_unfinished(self._saved)

    def _another_is_resumed(self) -> bool:
        """Whether this loader's pass is over and the run continues in the pass of another loader."""
        saved = self._saved
        if saved is not None and at.is_unfinished(saved):
            return False
        others = (other for other in self._loop.registered.loaders if other is not self)
        return any(other.is_resumed_in_middle for other in others)

    def count_given(self) -> int:
        """Count the returned batches as consumed; return the number of samples since the last step."""
        this, consumed = self._pass, self._counted.drawn
        before = consumed.samples if consumed.batch < this.given.batch else 0
        self.is_trained = True
        self._counted = Counted(this.epoch, this.begin_step, this.given)
        this.outstanding = False
        return this.given.samples - before

    def begin_epoch(self) -> None:
        """Begin an epoch, of which nothing is consumed, unless a pass continues from the previous epoch."""
        is_unfinished = self._saved is not None and at.is_unfinished(self._saved)
        # An iterator kept by the loop has yet to return the rest, unless the loop has requested another one.
        if self._pass.is_open or (is_unfinished and self._loop.is_in_epochs and not self._is_requested):
            return
        self._counted = self._counted._replace(drawn=BEGINNING)
        self._pass.reset()
        self._saved = None

    def part(self) -> bytes:
        """Return the encoded position, for the record of a step."""
        return self._now().packed()

    def _now(self) -> Position:
        drawn = self._counted.drawn
        return Position(
            self._counted.epoch,
            self._counted.begin_step,
            drawn.batch,
            drawn.samples,
            self._seed,
            self._source.length,
            self.total or at.NO_LENGTH,
            drawn.crc,
            self.batch_size or 0,
            self.num_workers,
            self._source.flags | at.TRAINED * self.is_trained,
        )

    def whole_part(self) -> bytes:
        """Return the encoded position with the state of the data, for an image.

        Two states at one position may differ, so the records of steps, which replays compare, leave it out.
        """
        if not self._source.keeps_state or not self.position:
            return self.part()
        # Before its pass begins, the data are not in the saved state.
        saved = self._saved
        return self.part() + (self._source.state() if saved is None else saved.extra)

    def restore(self, data: bytes | None) -> None:
        """Continue the next pass at a saved position; None: this loader was not saved.

        Raises:
            HoldfastError: it would return different batches.
        """
        if data is None:
            self._loop.warn(f"loader '{self.name}' has no saved position; it starts from the beginning")
            return
        saved = at.unpacked(data)
        self._measure()
        at.check(self.name, saved, self._now())
        if self._is_map_style and saved.batch == saved.total and self.total:
            # A complete pass stays complete, even if the amount of data has changed.
            saved = saved._replace(batch=self.total, total=self.total)
        self._seed = saved.seed
        was_trained = bool(saved.flags & at.TRAINED)
        self.is_trained = self.is_trained or was_trained
        was_finished = self._loop.was_finished
        if was_finished:
            # Code that reads it after the loop begins a new pass.
            saved = saved._replace(batch=0, samples=0)
        self._saved = saved
        drawn = Drawn(saved.batch, saved.samples, saved.crc)
        self._counted = Counted(saved.epoch, saved.begin_step, drawn)
        self._pass.resume(saved.epoch, saved.begin_step, drawn, is_resumed=was_trained and not was_finished)

    def state_dict(self) -> dict[str, Any]:
        """Return the position, for programs that save loaders themselves."""
        return {"position": self.whole_part()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Continue at a saved position."""
        self.restore(state["position"])
