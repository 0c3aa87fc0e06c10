"""A training run that can be killed at any moment and goes on with the same bits."""

from __future__ import annotations

import json
import os
import struct
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Callable

from . import _checkpoints, _failures, _parts, _random
from . import _layout as at
from ._capture import Captured, capture
from ._components import Component, component_of
from ._documents import ResumeFile, Scalar, read_resume_file, scalars
from ._errors import HoldfastError, PathLike
from ._image import FlatState, ImageWriter, LoopState, flatten
from ._restore import Restorer
from ._ring import Request, RingWriter
from ._stager import Stager

_PHASES = {"training": 0, "validation": 1}
_LOOP = struct.Struct("<QQ")
LOOP_PART = "holdfast"
LARGEST_METRIC_COUNT = 256
STOPPED = 75


class _Forked:
    """Stands for the ring in a process that was forked after the run was attached."""

    def __getattr__(self, name: str) -> Any:
        raise HoldfastError(
            "this process was forked after the run was attached, and may not use it",
            hint="call step(), safepoint() and finish() only in the process that called attach()",
        )


class Run:
    """A run: attach, register everything that has state, then call `step()` last in the loop's body.

    Under a supervisor each step is recorded, and the state is staged when it is asked for. Without one the
    same program runs to its end. A run belongs to one thread of one process.

    Attributes:
        global_step: steps made, in all attempts.
        epoch: that is being worked on, from 0.
        batch: batches consumed in this epoch.
        samples: consumed in the whole run, by all ranks.
        optimizer_steps: steps after which the optimizer had stepped.
        resumed_from: the step where this attempt continued; None at the beginning.
        hyperparameters: in force; see `attach`.
        state: what `step(state={...})` had saved, after a resume; else None.
    """

    def __init__(
        self,
        directory: Path | None = None,
        ring: RingWriter | None = None,
        resume: ResumeFile | None = None,
        *,
        rng: bool = True,
    ) -> None:
        self.global_step = 0
        self.epoch = 0
        self.batch = 0
        self.samples = 0
        self.optimizer_steps = 0
        self.resumed_from: int | None = None
        self.hyperparameters: dict[str, Scalar] = {}
        self.state: dict[str, Any] | None = None
        self.is_finished = False
        self._directory = directory
        self._ring: Any = ring
        self._resume = resume
        self._stager = None if ring is None or directory is None else Stager(directory, ring, self._image)
        self._components: dict[str, Component] = {}
        self._streams: list[_random.Stream] = []
        self._loaders: list[Any] = []
        self._records_rng = rng
        self._save_hooks: list[Callable[[dict[str, Any]], None]] = []
        self._load_hooks: list[Callable[[dict[str, Any]], None]] = []
        self._pending: dict[str, bytes] = {}
        self._saved_loaders: dict[str, bytes] = {}
        self._restored = False
        self._leaving = False
        self._stopped = False
        self._phase = 0
        self._captured: Captured | None = None
        self._last_batch = -1
        self._ends_pass = False
        self._deferred = 0
        self._sources: list[_parts.Source] | None = None
        self._names: tuple[str, ...] = ()
        self._layout = _snapshot_layout(0)
        self._attached_record: dict[str, Any] = {}
        self._warned: set[str] = set()

    # What a run is

    @property
    def is_supervised(self) -> bool:
        """Whether a supervisor records this run."""
        return self._directory is not None

    @property
    def is_replaying(self) -> bool:
        """Whether the next step was made before, by an attempt that ended."""
        return self._resume is not None and self.global_step < self._resume.last_recorded_step

    @property
    def world_size(self) -> int:
        """Number of ranks."""
        return 1 if self._resume is None else int(self._ring.identity.world_size)

    @property
    def rank(self) -> int:
        """Rank among all, from 0."""
        return 0 if self._resume is None else int(self._ring.identity.global_rank)

    def __reduce__(self) -> Any:
        raise HoldfastError(
            "a run cannot be sent to another process",
            hint="keep it out of datasets, collate functions and whatever workers get",
        )

    # Registering

    def register(self, *, strict: bool = True, save_gradients: bool = False, **components: Any) -> None:
        """Register what has state, each under a name that stays the same in every attempt.

        Args:
            strict: whether a saved state must have exactly the parts that a component has now.
            save_gradients: save the gradients of modules too, so that a resume may happen between the
                micro-batches of an accumulation.
            **components: objects with `state_dict` and `load_state_dict`; random generators; dicts, lists
                and arrays, which are changed in place; dataclass instances; `Attributes`. None is ignored.

        Raises:
            HoldfastError: a name is taken, the run is restored already, or an object has no known state.
        """
        for name, target in components.items():
            if target is None:
                continue
            if self._restored:
                raise HoldfastError(
                    f"'{name}' is registered after the run was restored",
                    hint="register before restore(), before epochs() and before the first loader is read",
                )
            taken = name in self._components or any(stream.name == name for stream in self._streams)
            if taken or name in ("python", "numpy", "torch"):
                raise HoldfastError(f"the name '{name}' is taken", hint="register it under another name")
            stream = _random.stream_of(name, target)
            if stream is not None:
                self._streams.append(stream)
            else:
                self._components[name] = component_of(name, target, strict, save_gradients)

    def on_save_checkpoint(self, hook: Callable[[dict[str, Any]], None]) -> None:
        """Call `hook(states)` with the states by component before each save; it may add more of them."""
        self._save_hooks.append(hook)

    def on_load_checkpoint(self, hook: Callable[[dict[str, Any]], None]) -> None:
        """Call `hook(states)` with the saved states by component before they are loaded."""
        self._load_hooks.append(hook)

    def loader(self, dataset: Any, **options: Any) -> Any:
        """Return a loader whose position is saved and restored with the run; see `holdfast.Loader`."""
        from ._loader import Loader

        loader = Loader(self, dataset, **options)
        self._add_loader(loader)
        return loader

    def _add_loader(self, loader: Any) -> None:
        if any(other.name == loader.name for other in self._loaders):
            raise HoldfastError(
                f"there is a loader '{loader.name}' already", hint='give each one its name="..."'
            )
        self._loaders.append(loader)
        self._sources = None

    # The loop

    def restore(self) -> bool:
        """Continue where the run stood; returns whether there was something to continue from.

        Called by `epochs()` and by the first loader that is read; afterwards nothing can be registered.

        Raises:
            HoldfastError: the saved state does not fit what is registered, or is damaged.
        """
        if self._restored:
            return self.resumed_from is not None
        flatten(self._states())  # What cannot be saved is better known now than at the first save.
        self._restored = True
        if self._resume is None or self._resume.point is None:
            return False
        Restorer(self).resume(self._resume.point)
        self.resumed_from = self.global_step
        return True

    def epochs(self, total: int, *, finish: bool = True) -> Iterator[int]:
        """Give the epochs from where the run stands up to `total`, then finish the run.

        Args:
            total: number of epochs of the whole run.
            finish: whether the run is complete when all epochs are; else call `finish()` later.
        """
        self.restore()
        self._announce(total)
        while self.epoch < total:
            yield self.epoch
            if self._stopped:
                break
            self.epoch += 1
            self.batch = 0
            self._captured = None
            self._ends_pass = False
            self._sources = None
            for loader in self._loaders:
                loader._forget_pass()
        if finish:
            self.finish()

    def batches(self, count: int) -> Iterator[int]:
        """Give the numbers of this epoch's batches that are still to be made, for loops without a loader."""
        self.restore()
        for number in range(self.batch, count):
            if self._resume is not None and (self.epoch, number) in self._resume.skip:
                continue
            self._before_batch()
            self.batch = number
            self._last_batch = count - 1
            yield number
        self._last_batch = -1
        self._after_pass()

    def stop(self) -> None:
        """Let `epochs()` end after this epoch, as if it were the last: early stopping."""
        self._stopped = True

    def step(
        self,
        values: Mapping[str, Any] | None = None,
        *,
        samples: int | None = None,
        state: bool | dict[str, Any] | None = None,
        optimizer_stepped: bool = True,
        **metrics: Any,
    ) -> None:
        """Mark the end of a step: all that is registered agrees now. Call it last in the loop's body.

        Records the step, and stages the state if the supervisor asks for it.

        Args:
            values: metrics, for names that are no Python names.
            samples: consumed in this step by all ranks; by default what the loaders gave.
            state: save the whole state in this step's record, for state of some kilobytes: no step is lost
                then. True: what is registered; a dict: that too, found in `run.state` after a resume.
            optimizer_stepped: False between the micro-batches of an accumulation; for such steps gradients
                must be saved too (`register(save_gradients=True)`).
            **metrics: numbers, or tensors of one element (which waits for the device).

        Raises:
            HoldfastError: this process was forked from the one that attached; or `state` is too large.
        """
        self.global_step += 1
        if optimizer_stepped:
            self.optimizer_steps += 1
        self._captured = None
        batch = -1
        self._ends_pass = self._last_batch == self.batch
        for loader in self._loaders:
            if loader.outstanding:
                counted = loader._commit()
                if batch < 0:
                    batch = loader.position
                    self._ends_pass = batch == loader.total
                    self.samples += (counted if samples is None else samples) * self.world_size
        if batch < 0:
            batch = self.batch + 1
            self.samples += samples or 0
        self.batch = batch
        ring = self._ring
        if ring is None:
            return
        if values is not None:
            metrics = {**values, **metrics}
        if tuple(metrics) == self._names:
            numbers = [float(value) for value in metrics.values()]
        else:
            numbers = self._name(metrics)
        sources = self._sources
        if sources is None:
            sources = self._make_sources()
        parts = _parts.encode(sources)
        image = b"" if not state else self._full_image(state, len(parts))
        ring.append_snapshot(
            self._layout,
            self.global_step,
            (
                self.global_step,
                self.epoch,
                batch,
                self.samples,
                time.time_ns(),
                self._phase,
                0,
                len(numbers),
                len(sources),
                0,
                len(image),
                *numbers,
            ),
            parts,
            image,
        )
        ring.beat()
        request = ring.pending_request()
        if request is not None:
            self._answer(request)

    def safepoint(self) -> None:
        """Show that the trainer lives, in long loops without steps, and let the supervisor's requests in.

        A state that is saved here is the one after the last step: what came since is made again.
        """
        ring = self._ring
        if ring is None:
            return
        ring.beat()
        request = ring.pending_request()
        # With a batch half used nothing agrees; after the last one a resume would find none: the next step
        # answers.
        if request is None or (self._ends_pass and request.kind != at.REQUEST_CANCEL):
            return
        if not any(loader.outstanding for loader in self._loaders):
            self._answer(request)

    @contextmanager
    def phase(self, name: str) -> Iterator[None]:
        """Say what the loop does inside: `with run.phase("validation"): ...`; any other name counts too."""
        before = self._phase
        if self._captured is None and not any(loader.outstanding for loader in self._loaders):
            self._after_pass()
        self._phase = _PHASES.get(name, 2)
        try:
            self.safepoint()
            yield
        finally:
            self._phase = before

    def finish(self) -> None:
        """Say that the run is complete: its final state becomes the last checkpoint.

        Exit with status 0 afterwards. Without this an exit is not success, whatever its status.
        """
        if self.is_finished:
            return
        if self._ring is not None and self._stager is not None:
            self._ring.beat()  # Refused in a forked process.
            self._captured = None
            self._stager.finish(self.global_step)
            self._warn_unsaved()
        self.is_finished = True

    def fail(self, error: BaseException) -> None:
        """Tell the supervisor of an error that this program handles itself before it ends."""
        self._tell(at.RECORD_FAILURE, _failures.encode(type(error), error, error.__traceback__))

    # Without a supervisor

    def save(self, directory: PathLike, *, weights_only: bool = False) -> Path:
        """Save a checkpoint into `directory`, published as the supervisor publishes them.

        Args:
            directory: gets `step-N`.
            weights_only: only the modules, not the optimizer and the rest.

        Returns:
            The checkpoint's own directory, for `load`.
        """
        states = self._states()
        if weights_only:
            torch = sys.modules.get("torch")
            states = {
                name: state
                for name, state in states.items()
                if torch is not None
                and isinstance(getattr(self._components.get(name), "target", None), torch.nn.Module)
            }
        image = ImageWriter(flatten(states), self._loop_state())
        return _checkpoints.publish(Path(directory), image, self._loop_state(), self.hyperparameters)

    def load(self, path: PathLike, *, weights_only: bool = False, strict: bool = True) -> None:
        """Load a checkpoint, after verifying it; a run that the supervisor resumes ignores this.

        Args:
            path: a checkpoint's directory, or a `.safetensors` file of one.
            weights_only: only the modules; the run begins at step 0, with today's random numbers.
            strict: whether the checkpoint must have exactly the components that are registered.
        """
        if self._resume is not None and self._resume.point is not None:
            return
        self._restored = True
        Restorer(self).load(Path(path), weights_only=weights_only, strict=strict)

    # Inside

    def _states(self) -> dict[str, Any]:
        states: dict[str, Any] = {name: component.state() for name, component in self._components.items()}
        for hook in self._save_hooks:
            hook(states)
        return states

    def _loop_state(self) -> LoopState:
        sources = self._sources if self._sources is not None else self._make_sources()
        return LoopState(self.global_step, self.epoch, self.batch, self.samples, _parts.take(sources))

    def _make_sources(self) -> list[_parts.Source]:
        sources = [_parts.Source("other", LOOP_PART, self._own_part)]
        sources += [_parts.Source("sampler", loader.name, loader._part) for loader in self._loaders]
        sources += [_parts.Source("rng", stream.name, stream.get) for stream in self._all_streams()]
        self._sources = sources
        return sources

    def _all_streams(self) -> list[_random.Stream]:
        return (_random.global_streams() if self._records_rng else []) + self._streams

    def _own_part(self) -> bytes:
        return _LOOP.pack(self.optimizer_steps, self.world_size)

    def _name(self, metrics: Mapping[str, Any]) -> list[float]:
        new = [name for name in metrics if name not in self._names]
        if new:
            if len(self._names) + len(new) > LARGEST_METRIC_COUNT:
                raise HoldfastError(
                    f"more than {LARGEST_METRIC_COUNT} metrics", hint="record fewer, under fixed names"
                )
            self._names += tuple(new)
            self._layout = _snapshot_layout(len(self._names))
            self._tell(at.RECORD_METRIC_NAMES, json.dumps(self._names).encode())
        # What this step does not have is not a number.
        return [float(metrics[name]) if name in metrics else float("nan") for name in self._names]

    def _full_image(self, state: bool | dict[str, Any], parts_bytes: int) -> bytes:
        states = self._states()
        if isinstance(state, dict):
            states["state"] = state
        image = ImageWriter(flatten(states), self._loop_state())
        if image.size + parts_bytes + 8192 > self._ring.largest_payload:
            raise HoldfastError(
                f"a full snapshot of {image.size} bytes does not fit the ring",
                hint="call step() without state=: checkpoints are staged in the arena",
            )
        return bytes(image.to_bytes())

    def _image(self) -> ImageWriter | None:
        captured = self._captured
        if captured is None:
            return ImageWriter(flatten(self._states()), self._loop_state())
        changed = captured.changed()
        if changed is not None:
            self._warn(f"'{changed}' changed after the last step: the next step's state is saved instead")
            return None
        return ImageWriter(captured.state, captured.loop)

    def _answer(self, request: Request) -> None:
        assert self._stager is not None
        # A pass that is resumed after its last batch gives none, and many a program uses after its loop
        # what the loop's body has set. So a request waits for the next step; once, as a pass may have but
        # one batch.
        waits = self._ends_pass and request.kind != at.REQUEST_CANCEL
        if waits and self._deferred != request.sequence:
            self._deferred = request.sequence
            return
        leave = self._stager.answer(request, self.global_step)
        self._warn_unsaved()
        if leave:
            self._leaving = True
            raise SystemExit(STOPPED)

    def _warn_unsaved(self) -> None:
        if self._stager is not None and self._stager.last_error is not None:
            self._warn(f"the state could not be saved: {self._stager.last_error}")

    def _warn(self, what: str) -> None:
        if what not in self._warned:
            self._warned.add(what)
            print(f"holdfast: {what}", file=sys.stderr, flush=True)

    def _tell(self, kind: int, payload: bytes) -> None:
        if self._stager is not None:
            self._stager.append_surely(kind, payload)

    def _announce(self, total_epochs: int) -> None:
        """Tell how long the run will be, now that it is known."""
        lengths = [loader._known_length() for loader in self._loaders]
        batches = lengths[0] if lengths else None
        record = {**self._attached_record, "total_epochs": total_epochs}
        if batches is not None:
            record.update(batches_per_epoch=batches, total_steps=batches * total_epochs)
        if self._attached_record and record != self._attached_record:
            self._attached_record = record
            self._tell(at.RECORD_ATTACHED, json.dumps(record).encode())

    def _before_batch(self) -> None:
        """Set the random streams as they were, right before the first batch after a resume is used."""
        if self._pending:
            _random.set_streams(self._all_streams(), self._pending)
            self._pending = {}

    def _after_pass(self) -> None:
        """Hold on to the state after the last step of a pass, before what follows changes it."""
        self._before_batch()
        if self._ring is not None and self._restored:
            self._captured = capture(self._flat(), self._loop_state())

    def _flat(self) -> FlatState:
        return flatten(self._states())

    def _become_forked(self) -> None:
        self._ring = _Forked()


def _snapshot_layout(metric_count: int) -> struct.Struct:
    """Return the struct of a record's header, a snapshot and its metrics."""
    return struct.Struct(f"<IHHQIIQQQQQBBHHHQ{metric_count}d")


_attached: Run | None = None


def attached() -> Run | None:
    """Return the run that this process attached last, or None."""
    return _attached


def attach(
    hyperparameters: Mapping[str, Any] | None = None,
    *,
    overrides: Mapping[str, Any] | None = None,
    total_epochs: int | None = None,
    batches_per_epoch: int | None = None,
    rng: bool = True,
) -> Run:
    """Attach to the supervisor that started this process; standalone when there is none.

    Args:
        hyperparameters: kept with the job and in every checkpoint; `vars(args)`, say. Those that differ
            from what the job began with are in force, and are told on standard error.
        overrides: when given, a resumed job keeps what it began with, but for these.
        total_epochs: where known; `Run.epochs` tells it too.
        batches_per_epoch: likewise.
        rng: whether each snapshot has the global random streams of `random`, numpy and torch.

    Raises:
        HoldfastError: the run directory cannot be used, or another process is attached.
    """
    global _attached
    given = scalars(dict(hyperparameters or {}))
    path = os.environ.get("HOLDFAST_RUN_DIR")
    if path is None:
        run = Run(rng=rng)
        run.hyperparameters = {**given, **scalars(dict(overrides or {}))}
        os.register_at_fork(after_in_child=run._become_forked)
        _attached = run
        return run
    directory = Path(path)
    resume = read_resume_file(directory)
    ring = RingWriter(directory)
    if resume.job_id != ring.identity.job_id or resume.attempt != ring.identity.attempt:
        raise HoldfastError(
            "resume.json is of another job or attempt",
            path=directory,
            hint="start the trainer through holdfast run, once for each attempt",
        )
    run = Run(directory, ring, resume, rng=rng)
    run.hyperparameters = _in_force(run, given, overrides, resume.hyperparameters)
    run._attached_record = {
        "pid": os.getpid(),
        "library": "python",
        "hyperparameters": run.hyperparameters,
    }
    stacks = _failures.stacks_signal(directory, ring.identity.local_rank)
    if stacks is not None:
        run._attached_record["stacks_signal"] = stacks
    if total_epochs is not None:
        run._attached_record["total_epochs"] = total_epochs
    if batches_per_epoch is not None:
        run._attached_record["batches_per_epoch"] = batches_per_epoch
        if total_epochs is not None:
            run._attached_record["total_steps"] = batches_per_epoch * total_epochs
    ring.set_attached(os.getpid())
    run._tell(at.RECORD_ATTACHED, json.dumps(run._attached_record).encode())
    _failures.watch(run)
    _attached = run
    return run


def _in_force(
    run: Run, given: dict[str, Scalar], overrides: Mapping[str, Any] | None, saved: dict[str, Scalar]
) -> dict[str, Scalar]:
    if overrides is not None:
        return {**given, **saved, **scalars(dict(overrides))}
    for name in sorted(set(given) & set(saved)):
        if given[name] != saved[name]:
            run._warn(f"hyperparameter {name} was {saved[name]!r}, and is {given[name]!r} now")
    return {**saved, **given}
