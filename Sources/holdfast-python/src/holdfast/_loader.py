"""A data loader whose position is part of the run: batches consumed, not batches drawn ahead."""

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
from ._samples import mix, undisturbed
from ._sampling import Drawn, OrderError, Place, WorkerStart
from ._source import is_loader, source_of
from ._witness import NAME as WITNESS


class HasLoop(Protocol):
    """A run."""

    _loop: Loop


class Counted(NamedTuple):
    """How far the steps have come in a loader's data: the pass in which they counted, and its batches.

    Passes without steps leave no trace here, so that a replay's snapshots are the same.
    """

    epoch: int = 0
    begin_step: int = 0
    drawn: Drawn = BEGINNING


class Loader:
    """Made by `Run.loader`; takes what `torch.utils.data.DataLoader` takes, or a DataLoader itself.

    Batches, their order and what is random in each sample are the same whatever the number of workers and
    wherever the run resumed. The order is seeded for each pass, samplers included; a sampler of another
    program must draw from the global random streams, from its `generator`, or by `set_epoch`.

    Args:
        run: whose position this is.
        dataset: map-style or iterable, or a DataLoader, or a loader with `state_dict`/`load_state_dict`.
        name: in snapshots; by default that of its place among the run's loaders.
        seed: of order and samples; by default made of the name and the seed of `generator`, or torch's.
        seed_samples: seed `random`, numpy and torch for each batch that is made, and for each sample of
            iterable datasets and of those that are not batched: up to 0.1 ms. When False,
            `sample_generator()` still gives a generator of the sample.
        **options: of `DataLoader`.
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
        if self.name == WITNESS:
            raise HoldfastError(f"the name '{self.name}' is taken", hint="give the loader another name")
        # Of the class that an iterable dataset's loader is made of.
        kind: type[Any] = torch_data.DataLoader
        # A loader whose class has an `__iter__` of its own, which is used.
        self._own_iteration: OwnIteration | None = None
        if isinstance(dataset, torch_data.DataLoader):
            stateful = stateful_kind(dataset)
            if stateful is None and iterates_itself(dataset):
                self._own_iteration = OwnIteration(dataset, self.name)
            if stateful is not None or not has_state(dataset):
                kind = stateful or torch_data.DataLoader
                dataset, options = options_of(dataset, options)
        if options.pop("in_order", True) is not True:
            raise HoldfastError("in_order=False has no position to resume at", hint="leave it out")
        generator = options.pop("generator", None)
        if seed is None:
            seed = generator.initial_seed() if generator is not None else torch.initial_seed()
            # Or two loaders of one dataset would give the same samples in the same order.
            seed = mix(seed, zlib.crc32(self.name.encode()))
        self._seed = seed & (1 << 64) - 1
        self.dataset = dataset
        self.drop_last = bool(options.get("drop_last", False))
        # Of another program's loader they are its own. The sampler is the program's, for its
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
        # Whether steps have consumed its batches.
        self.is_trained = False
        self._counted = Counted()
        self._pass = Pass(0, 0, BEGINNING)
        # Where to continue, until a pass begins there.
        self._saved: Position | None = None
        # The loop has asked for a pass, though it may have read nothing from it.
        self._is_asked = False
        self._iterator: weakref.ref[Any] | None = None
        self._is_checked = False

    def __len__(self) -> int:
        """Return the number of batches in an epoch."""
        return len(self._source.batches)

    def known_length(self) -> int | None:
        """Return the number of batches in an epoch; None where it is not known."""
        try:
            return len(self)
        except (TypeError, NotImplementedError):
            return None

    @property
    def _is_map_style(self) -> bool:
        return not self._source.flags & at.ITERABLE

    def _batches(self) -> Any:
        """Return what gives the batches of a pass."""
        batches = self._source.batches
        return batches if self._own_iteration is None else self._own_iteration.batches(batches)

    def _measure(self) -> None:
        """Find how long a pass is now: data may grow from one to the next."""
        self._source.measure()
        self.total = self.known_length()

    # Reading

    def __iter__(self) -> Iterator[Any]:
        """Give the batches of a pass: of an interrupted one, those that were not consumed."""
        loop = self._loop
        loop.restore()
        self._is_asked = loop.is_in_epochs
        if threading.get_ident() != loop.thread:
            # Reported at the next step: an error here would leave that one waiting for a batch.
            loop.reader = threading.current_thread().name
        if self._is_asked and self._pass.epoch < loop.epoch and self._saved is None:
            # An earlier epoch's pass does not go on, though somebody may still hold its iterator.
            self._pass.is_open = False
            self.begin_epoch()
        if self._pass.is_resumed and loop.is_own and not self._is_followed():
            loop.before_batch()
        batches = self._read()
        self._iterator = weakref.ref(batches)
        return batches

    def _check_cycle(self) -> None:
        """Refuse what stores the batches of a pass to give them again: a resumed pass would not have all."""
        if self._is_checked or not self._loop.is_recorded:
            return
        self._is_checked = True
        iterator = None if self._iterator is None else self._iterator()
        if any(type(one) is cycle for one in gc.get_referrers(iterator)):
            raise HoldfastError(
                f"itertools.cycle repeats the batches of the first pass of loader '{self.name}', which a "
                "resume does not have",
                hint="write `while True: yield from loader`, which shuffles and augments each pass anew",
            )

    def _read(self) -> Generator[Any, None, None]:
        loop, saved = self._loop, self._saved
        is_over = self._is_map_style and saved is not None and saved.batch == saved.total
        this = self._begin_pass()
        with undisturbed():
            source = iter(() if is_over or loop.stops_at_once else self._batches())
            for warning in self._source.discard(source, this.given):
                loop.warn(warning)
        # Where workers make the batches nothing is drawn here.
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
                    with undisturbed() if self._source.isolates else nullcontext():
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
        except GeneratorExit:  # First: at the end of the interpreter other names may be gone.
            # Left in the middle: what was given and not counted by a step never was.
            if self._pass is this and this.is_open:
                this.outstanding = False
                this.is_open = False
            raise
        except OrderError:
            raise HoldfastError(
                f"the sampler of loader '{self.name}' does not repeat the order that it had",
                hint="let it draw from the global random streams, from its `generator`, or by set_epoch(); "
                "or let it have state_dict and load_state_dict",
            ) from None

    def _begin_pass(self) -> Pass:
        """Begin a pass: a saved one where it stood, or a new one."""
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
                f"resumed after the last batch of epoch {this.epoch}: loader '{self.name}' has none left "
                "to give, so what the loop's body sets is not set"
            )
        if (consumed == this.given and self.is_trained) or this.is_resumed:
            this.is_resumed = False
            this.outstanding = False
            if not self._is_followed():
                loop.after_pass()
        elif consumed.batch == 0 or this.begin_step == loop.step:
            # Nobody stepped: a pass of validation.
            this.outstanding = False

    # The loop's side

    @property
    def outstanding(self) -> bool:
        """Whether a batch was given that no step has counted."""
        return self._pass.outstanding

    @property
    def position(self) -> int:
        """Batches that steps have consumed of the pass."""
        return self._counted.drawn.batch

    @property
    def is_between_batches(self) -> bool:
        """Whether a pass is open, and a step was made of the last batch that it gave."""
        return self._pass.is_open and self.is_trained and not self.outstanding and bool(self.position)

    @property
    def is_resumed_in_middle(self) -> bool:
        """Whether the run goes on in the middle of its pass, of which it has given nothing yet."""
        return self._pass.is_resumed and self._saved is not None and at.is_unfinished(self._saved)

    def _is_followed(self) -> bool:
        """Whether this one's pass was over, and another loader's is where the run goes on."""
        saved = self._saved
        if saved is not None and at.is_unfinished(saved):
            return False
        others = (other for other in self._loop.registered.loaders if other is not self)
        return any(other.is_resumed_in_middle for other in others)

    def count_given(self) -> int:
        """Count what was given as consumed; returns the number of samples since the last step."""
        this, consumed = self._pass, self._counted.drawn
        before = consumed.samples if consumed.batch < this.given.batch else 0
        self.is_trained = True
        self._counted = Counted(this.epoch, this.begin_step, this.given)
        this.outstanding = False
        return this.given.samples - before

    def begin_epoch(self) -> None:
        """Begin an epoch: nothing of it is consumed, unless a pass goes on from the one before."""
        is_unfinished = self._saved is not None and at.is_unfinished(self._saved)
        # An iterator that the loop holds has yet to give what is left, if the loop has not begun another.
        if self._pass.is_open or (is_unfinished and self._loop.is_in_epochs and not self._is_asked):
            return
        self._counted = self._counted._replace(drawn=BEGINNING)
        self._pass.forget()
        self._saved = None

    def part(self) -> bytes:
        """Return the position, for the record of a step."""
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
        """Return the position with the data's own state, for an image.

        Two states of one position may differ: the parts of steps, which are compared when steps are made
        again, are without it.
        """
        if not self._source.keeps_state or not self.position:
            return self.part()
        # Until its pass begins the data do not have what was saved.
        saved = self._saved
        return self.part() + (self._source.state() if saved is None else saved.extra)

    def restore(self, data: bytes | None) -> None:
        """Let the next pass continue at a saved position; None: nothing was saved of this loader.

        Raises:
            HoldfastError: it would give other batches.
        """
        if data is None:
            self._loop.warn(f"loader '{self.name}' was not saved: it begins anew")
            return
        saved = at.unpacked(data)
        self._measure()
        at.check(self.name, saved, self._now())
        if self._is_map_style and saved.batch == saved.total and self.total:
            # What was over is over, whatever the data are now.
            saved = saved._replace(batch=self.total, total=self.total)
        self._seed = saved.seed
        was_trained = bool(saved.flags & at.TRAINED)
        self.is_trained = self.is_trained or was_trained
        was_finished = self._loop.was_finished
        if was_finished:
            # What reads it after the loop begins a pass of its own.
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
