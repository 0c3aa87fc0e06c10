"""A data loader whose position is part of the run: batches consumed, not batches drawn ahead."""

from __future__ import annotations

import gc
import threading
import weakref
import zlib
from collections.abc import Generator, Iterator
from contextlib import nullcontext
from itertools import cycle
from typing import TYPE_CHECKING, Any

import torch
from torch.utils import data as torch_data

from . import _position as at
from ._components import has_state
from ._continued import ContinuedSamples, discard, what_state_lacks
from ._dataloader import choice_of, is_tensors, iterates_itself, options_of, stateful_kind
from ._errors import HoldfastError
from ._fingerprint import fingerprint
from ._own_iteration import OwnIteration
from ._position import Position
from ._samples import mix, undisturbed
from ._sampling import (
    BatchDataset,
    BatchPlan,
    Drawn,
    IterableSamples,
    OrderError,
    Place,
    SampleDataset,
    WorkerStart,
)
from ._witness import NAME as WITNESS

if TYPE_CHECKING:
    from ._run import Run


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
        run: Run,
        dataset: Any,
        *,
        name: str | None = None,
        seed: int | None = None,
        seed_samples: bool = True,
        **options: Any,
    ) -> None:
        self._run = run
        self.name = name or f"loader-{len(run._loaders)}"
        if self.name == WITNESS:
            raise HoldfastError(f"the name '{self.name}' is taken", hint="give the loader another name")
        self.outstanding = False
        self.position = 0
        # Of the class that an iterable dataset's loader is made of.
        self._kind: Any = torch_data.DataLoader
        # A loader whose class has an `__iter__` of its own, which is used.
        self._own_iter: OwnIteration | None = None
        if isinstance(dataset, torch_data.DataLoader):
            kind = stateful_kind(dataset)
            if kind is None and iterates_itself(dataset):
                self._own_iter = OwnIteration(dataset, self.name)
            if kind is not None or not has_state(dataset):
                self._kind = kind or torch_data.DataLoader
                dataset, options = options_of(dataset, options)
        if options.pop("in_order", True) is not True:
            raise HoldfastError("in_order=False has no position to resume at", hint="leave it out")
        generator = options.pop("generator", None)
        if seed is None:
            seed = generator.initial_seed() if generator is not None else torch.initial_seed()
            # Or two loaders of one dataset would give the same samples in the same order.
            seed = mix(seed, zlib.crc32(self.name.encode()))
        self._seed = seed & (1 << 64) - 1
        self._generator = torch.Generator()
        self.dataset = dataset
        self.batch_size: int | None = options.get("batch_size", 1)
        self.num_workers: int = options.get("num_workers", 0)
        # The program's own, for its `loader.sampler.set_epoch(epoch)`; each pass does that too.
        self.sampler: Any = options.get("sampler")
        self.drop_last = bool(options.get("drop_last", False))
        if self.num_workers:
            options["worker_init_fn"] = WorkerStart(options.get("worker_init_fn"))
        self._plan: BatchPlan | None = None
        self._stateful: Any = None
        # What a loader of another program takes to begin a pass anew after a resumed one.
        self._initial: Any = None
        self._samples: IterableSamples | None = None
        self._isolates = False
        self._lacks = "has no state"
        self._inner = self._make_inner(dataset, options, seed_samples)
        self._saved: Position | None = None
        self._flags = at.ITERABLE
        if self._plan is not None:
            self._flags = at.SHUFFLED * self._plan.shuffle | at.SAMPLER * (not self._plan.is_own)
        self._epoch = 0
        self._begin_step = 0
        # Epoch and first step of the pass that `_consumed` is of: passes without steps leave no trace, so
        # that a replay's snapshots are the same.
        self._counted_pass = (0, 0)
        self._was_resumed = False
        # The iterator that goes on; one that a program keeps goes on in the next epoch too.
        self._open: object | None = None
        # The loop has asked for a pass, though it may have taken nothing from it.
        self._is_asked = False
        self.total = self._known_length()
        self._consumed = Drawn(0, 0, 0)
        self._given = self._consumed
        self._resumed = False
        self._iterator: weakref.ref[Any] | None = None
        self._is_checked = False

    # Making the loader inside

    def _make_inner(self, dataset: Any, options: dict[str, Any], seed_samples: bool) -> Any:
        if hasattr(dataset, "load_state_dict") and not isinstance(dataset, torch_data.Dataset):
            self._stateful = dataset
            # torchdata's begins anew by itself, and would start its workers to tell a state.
            is_torchdata = type(dataset).__module__.startswith("torchdata.")
            self._initial = None if is_torchdata else dataset.state_dict()
            self.num_workers = getattr(dataset, "num_workers", 0)
            self.sampler = getattr(dataset, "sampler", None)
            return dataset
        if isinstance(dataset, torch_data.IterableDataset):
            return self._make_iterable(dataset, options, seed_samples)
        sampler, batch_sampler = options.pop("sampler", None), options.pop("batch_sampler", None)
        batch_size = options.pop("batch_size", 1)
        shuffle, drop_last = bool(options.pop("shuffle", False)), bool(options.pop("drop_last", False))
        if sampler is not None and shuffle:
            raise ValueError("sampler and shuffle exclude each other")
        if batch_sampler is not None and (batch_size != 1 or shuffle or sampler is not None or drop_last):
            raise ValueError("batch_sampler excludes batch_size, shuffle, sampler and drop_last")
        if batch_sampler is not None:
            batch_size = self.batch_size = None
        needs_no_seeds = options.get("collate_fn") is None and is_tensors(dataset)
        self._plan = BatchPlan(
            len(dataset),
            batch_size,
            shuffle=shuffle,
            drop_last=drop_last,
            sampler=sampler if batch_sampler is None else batch_sampler,
            gives_batches=batch_sampler is not None,
            keyed=not needs_no_seeds,
        )
        resume = self._run._resume
        self._plan.skip = frozenset() if resume is None else resume.skip
        self._isolates = seed_samples and not needs_no_seeds and self.num_workers == 0
        gives_samples = batch_size is None and batch_sampler is None
        if needs_no_seeds and not gives_samples:
            options.update(batch_sampler=self._plan)
            return torch_data.DataLoader(dataset, generator=self._generator, **options)
        if not needs_no_seeds:
            dataset = (SampleDataset if gives_samples else BatchDataset)(dataset, seed_samples)
        if not gives_samples and options.get("collate_fn") is None:
            options["collate_fn"] = torch_data.default_collate
        # To torch's own loader a batch of a BatchDataset is one sample.
        options.update(batch_size=None, sampler=self._plan)
        return torch_data.DataLoader(dataset, generator=self._generator, **options)

    def _make_iterable(self, dataset: Any, options: dict[str, Any], seed_samples: bool) -> Any:
        self._isolates = seed_samples and self.num_workers == 0
        lacks = what_state_lacks(dataset, self.num_workers)
        if lacks is not None:
            self._lacks = f"has a state without {lacks}"
        elif self._kind is not torch_data.DataLoader:
            self._samples = ContinuedSamples(dataset, seed_samples)
            self._stateful = self._kind(self._samples, generator=self._generator, **options)
            return self._stateful
        elif has_state(dataset) and self.num_workers:
            self._lacks = "has a state that workers do not give; torchdata's StatefulDataLoader takes it"
        elif has_state(dataset):
            self._stateful = self._samples = ContinuedSamples(dataset, seed_samples)
            return torch_data.DataLoader(self._samples, generator=self._generator, **options)
        options.pop("snapshot_every_n_steps", None)
        self._samples = IterableSamples(dataset, seed_samples)
        return torch_data.DataLoader(self._samples, generator=self._generator, **options)

    def __len__(self) -> int:
        """Return the number of batches in an epoch."""
        return len(self._inner)

    def _batches(self) -> Any:
        """Return what gives the batches of a pass."""
        return self._inner if self._own_iter is None else self._own_iter.batches(self._inner)

    def _known_length(self) -> int | None:
        try:
            return len(self._inner)
        except (TypeError, NotImplementedError):
            return None

    def _measure(self) -> None:
        """Find how long a pass is now: data may grow from one to the next."""
        if self._plan is not None:
            self._plan.length = len(self.dataset)
            self._plan.choice = choice_of(self.dataset)
        self.total = self._known_length()

    # Reading

    def __iter__(self) -> Iterator[Any]:
        """Give the batches of a pass: of an interrupted one, those that were not consumed."""
        self._run.restore()
        self._is_asked = self._run._began
        if threading.get_ident() != self._run._thread:
            # Told at the next step: an error here would leave that one waiting for a batch.
            self._run._reader = threading.current_thread().name
        if self._is_asked and self._epoch < self._run.epoch and self._saved is None:
            # An earlier epoch's pass does not go on, though somebody may still hold its iterator.
            self._open = None
            self._forget_pass()
        if self._resumed and self._run._is_own_loop and not self._is_followed():
            self._run._before_batch()
        batches = self._read()
        self._iterator = weakref.ref(batches)
        return batches

    def _check_cycle(self) -> None:
        """Refuse what keeps the batches of a pass to give them again: a resumed pass would not have all."""
        if self._is_checked or self._run._ring is None:
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
        saved = self._saved
        is_over = self._plan is not None and saved is not None and saved.batch == saved.total
        skip = self._begin_pass()
        this = self._open = object()
        with undisturbed():
            source = iter(() if is_over or self._run._stops_at_once else self._batches())
            if skip:
                for warning in discard(source, self._consumed, f"loader '{self.name}'", self._lacks):
                    self._run._warn(warning)
        try:
            while True:
                if self._is_trained and not self._resumed:
                    self._run._compare_with_staged()
                    if self._run._stops_at_once:
                        break
                if (self.num_workers == 0 or self._own_iter is not None) and self._resumed:
                    self._run._before_batch()
                try:
                    with undisturbed() if self._isolates else nullcontext():
                        batch = next(source)
                except StopIteration:
                    break
                self._give(batch)
                if self._resumed:
                    self._run._before_batch()
                    self._resumed = False
                yield batch
            self._open = None
            self._check_cycle()
            self._end_pass()
        except GeneratorExit:  # First: at the end of the interpreter other names may be gone.
            # Left in the middle: what was given and not counted by a step never was.
            if self._open is this:
                self.outstanding = False
                self._open = None
            raise
        except OrderError:
            raise HoldfastError(
                f"the sampler of loader '{self.name}' does not repeat the order that it had",
                hint="let it draw from the global random streams, from its `generator`, or by set_epoch(); "
                "or let it have state_dict and load_state_dict",
            ) from None

    def _begin_pass(self) -> int:
        """Choose where the pass begins; returns how many batches must be drawn and thrown away."""
        run = self._run
        saved, self._saved = self._saved, None
        if saved is not None and saved.epoch <= run.epoch and saved.batch:
            self._epoch, self._begin_step = saved.epoch, saved.begin_step
            consumed = Drawn(saved.batch, saved.samples, saved.crc)
        else:
            saved = None
            self._epoch, self._begin_step = run.epoch, run._global_step
            consumed = Drawn(0, 0, 0)
        self.outstanding = False
        self._measure()
        self._given = consumed
        if saved is not None:
            self._consumed = consumed
            self.position = consumed.batch
        seed = mix(self._seed, self._epoch, self._begin_step, run.rank if self._plan is None else 0)
        self._generator.manual_seed(seed)
        if self._plan is not None:
            if saved is not None and self._plan.is_own and saved.crc not in (0, self._plan.choice):
                raise HoldfastError(
                    f"loader '{self.name}' has other samples than before, in the middle of epoch "
                    f"{saved.epoch}: the indices of its Subset differ",
                    hint="make the same choice again: seed what draws it, or register it",
                )
            self._plan.begin(Place(seed, self._epoch, consumed.batch, consumed.samples, consumed.crc))
            return 0
        return self._begin_iterable(seed, saved)

    def _begin_iterable(self, seed: int, saved: Position | None) -> int:
        if self._samples is not None:
            self._samples.begin_pass(seed)
        if hasattr(self.dataset, "set_epoch"):
            self.dataset.set_epoch(self._epoch)
        if self._stateful is None:
            return 0 if saved is None else saved.batch
        if saved is not None:
            self._stateful.load_state_dict(at.unpack_state(saved.extra))
            self._was_resumed = True
        elif self._was_resumed:
            # Or it would go on from where the resumed pass began, and be short.
            if self._initial is not None:
                self._stateful.load_state_dict(self._initial)
            self._was_resumed = False
        return 0

    def _give(self, batch: Any) -> None:
        if self._plan is not None:
            self._given = self._plan.drawn.popleft()
        else:
            size = self.batch_size or 1
            crc = fingerprint(batch, self._given.crc)
            self._given = Drawn(self._given.batch + 1, self._given.samples + size, crc)
        self.outstanding = True

    def _end_pass(self) -> None:
        at_end = self._consumed.batch and self._consumed.batch == self.total
        if self._resumed and at_end and self._run._defers_last_batch:
            self._run._warn(
                f"resumed after the last batch of epoch {self._epoch}: loader '{self.name}' has none left "
                "to give, so what the loop's body sets is not set"
            )
        if (self._consumed == self._given and self._flags & at.TRAINED) or self._resumed:
            self._resumed = False
            self.outstanding = False
            if not self._is_followed():
                self._run._after_pass()
        elif self._consumed.batch == 0 or self._begin_step == self._run._global_step:
            # Nobody stepped: a pass of validation.
            self.outstanding = False

    # The run's side

    @property
    def _is_trained(self) -> bool:
        """Whether steps have consumed its batches."""
        return bool(self._flags & at.TRAINED)

    def _is_followed(self) -> bool:
        """Whether this one's pass was over, and another loader's is where the run goes on."""
        saved = self._saved
        if saved is not None and at.is_unfinished(saved):
            return False
        return any(
            other._resumed and other._saved is not None and at.is_unfinished(other._saved)
            for other in self._run._loaders
            if other is not self
        )

    @property
    def _is_between_batches(self) -> bool:
        """Whether a pass is open, and a step was made of the last batch that it gave."""
        return self._open is not None and self._is_trained and not self.outstanding and bool(self.position)

    def _commit(self) -> int:
        """Count what was given as consumed; returns the number of samples since the last step."""
        before = self._consumed.samples if self._consumed.batch < self._given.batch else 0
        self._flags |= at.TRAINED
        self._consumed = self._given
        self.position = self._consumed.batch
        self.outstanding = False
        self._counted_pass = (self._epoch, self._begin_step)
        return self._consumed.samples - before

    def _forget_pass(self) -> None:
        """Begin an epoch: nothing of it is consumed, unless a pass goes on from the one before."""
        is_unfinished = self._saved is not None and at.is_unfinished(self._saved)
        # An iterator that the loop keeps has yet to take what is left, if the loop has not begun another.
        if self._open is not None or (is_unfinished and self._run._began and not self._is_asked):
            return
        self._consumed = Drawn(0, 0, 0)
        self._given = self._consumed
        self.position = 0
        self.outstanding = False
        self._saved = None

    def _part(self) -> bytes:
        return self._now().packed()

    def _now(self) -> Position:
        return Position(
            *self._counted_pass,
            self._consumed.batch,
            self._consumed.samples,
            self._seed,
            self._plan.length if self._plan is not None else at.NO_LENGTH,
            self.total or at.NO_LENGTH,
            self._consumed.crc,
            self.batch_size or 0,
            self.num_workers,
            self._flags,
        )

    def _whole_part(self) -> bytes:
        """Return the part with the data's own state.

        Two states of one position may differ: the parts of steps, which are compared when steps are made
        again, are without it.
        """
        if self._stateful is None or not self._consumed.batch:
            return self._part()
        # Until its pass begins the data has not taken what was saved.
        saved = self._saved
        return self._part() + (at.pack_state(self._stateful.state_dict()) if saved is None else saved.extra)

    def _restore(self, data: bytes | None) -> None:
        if data is None:
            self._run._warn(f"loader '{self.name}' was not saved: it begins anew")
            return
        saved = at.unpacked(data)
        self._measure()
        at.check(self.name, saved, self._now())
        if self._plan is not None and saved.batch == saved.total and self.total:
            # What was over is over, whatever the data are now.
            saved = saved._replace(batch=self.total, total=self.total)
        self._seed = saved.seed
        self._flags |= saved.flags & at.TRAINED
        if self._run._was_finished:
            # What reads it after the loop begins a pass of its own.
            saved = saved._replace(batch=0, samples=0)
        self._saved = saved
        self._resumed = bool(saved.flags & at.TRAINED) and not self._run._was_finished
        self._consumed = Drawn(saved.batch, saved.samples, saved.crc)
        self._given = self._consumed
        self.position = saved.batch
        self._epoch, self._begin_step = saved.epoch, saved.begin_step
        self._counted_pass = (saved.epoch, saved.begin_step)

    def state_dict(self) -> dict[str, Any]:
        """Return the position, for programs that save loaders themselves."""
        return {"position": self._whole_part()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Continue at a saved position."""
        self._restore(state["position"])
