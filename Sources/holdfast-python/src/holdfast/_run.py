"""A training run that can be killed at any moment and goes on with the same bits."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Any, Callable

from . import _checkpoints, _torch_compatibility
from . import _layout as at
from ._components import Values
from ._connection import Connection, ForkedConnection
from ._documents import ResumeFile, Scalar
from ._errors import HoldfastError, PathLike
from ._failure_record import encode_failure
from ._image import ImageWriter, flatten
from ._local import local_path
from ._loop import Loop
from ._metrics import Metrics
from ._position import check_claimed
from ._restore import Restorer
from ._ring import Request, RingWriter
from ._samples import undisturbed
from ._save_point import SavePoint

_PHASES = {"training": 0, "validation": 1}
# The exit status of a trainer that was asked to save and to leave.
_STOPPED = 75
# Room for what a record has beside image and parts.
_RECORD_RESERVE_BYTES = 8192


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
        """Made by `holdfast.attach`, which has the arguments' meaning."""
        ranks: dict[str, int] = {}
        if ring is not None:
            ranks = {"rank": ring.identity.global_rank, "world_size": ring.identity.world_size}
        self._loop = Loop(
            self.restore,
            self._warn,
            records_rng=rng,
            is_recorded=ring is not None,
            skip=frozenset() if resume is None else resume.skip,
            **ranks,
        )
        self._registered = self._loop.registered
        self._connection: Connection | None = None
        if directory is not None and ring is not None and resume is not None:
            self._connection = Connection(directory, ring, resume, self._loop.image)
        self._last_recorded_step = 0 if resume is None else resume.last_recorded_step
        self._metrics = Metrics(lambda names: self._append(at.RECORD_METRIC_NAMES, names))
        self.hyperparameters: dict[str, Scalar] = {}
        self.state: dict[str, Any] | None = None
        self.is_finished = False
        # Streams as they were before the first step, where the run goes on from there.
        self._at_beginning: dict[str, bytes] = {}
        # False where training begins later than restore().
        self._stages_at_restore = True
        # Until the first step after a resume: whether all that were in mid-pass are there again.
        self._must_claim = False
        # The request that waits for the step after the end of a pass.
        self._deferred = 0
        self._phase = 0
        self._is_leaving = False
        self._warned: set[str] = set()

    def __reduce__(self) -> Any:
        raise HoldfastError(
            "a run cannot be sent to another process",
            hint="keep it out of datasets, collate functions and whatever workers get",
        )

    # Where the run stands

    @property
    def global_step(self) -> int:
        """Steps made, in all attempts."""
        self._loop.note_step_read()
        return self._loop.step

    @global_step.setter
    def global_step(self, step: int) -> None:
        self._loop.step = step

    @property
    def epoch(self) -> int:
        """The epoch that is being worked on, from 0."""
        return self._loop.epoch

    @epoch.setter
    def epoch(self, epoch: int) -> None:
        self._loop.epoch = epoch

    @property
    def batch(self) -> int:
        """Batches consumed in this epoch."""
        self._loop.note_batch_read()
        return self._loop.batch

    @batch.setter
    def batch(self, batch: int) -> None:
        self._loop.batch = batch

    @property
    def samples(self) -> int:
        """Samples consumed in the whole run, by all ranks."""
        return self._loop.samples

    @samples.setter
    def samples(self, samples: int) -> None:
        self._loop.samples = samples

    @property
    def optimizer_steps(self) -> int:
        """Steps after which the optimizer had stepped."""
        return self._loop.optimizer_steps

    @optimizer_steps.setter
    def optimizer_steps(self, steps: int) -> None:
        self._loop.optimizer_steps = steps

    @property
    def resumed_from(self) -> int | None:
        """The step where this attempt continued; None at the beginning."""
        return self._loop.resumed_from

    @property
    def is_supervised(self) -> bool:
        """Whether a supervisor records this run."""
        return self._loop.is_recorded

    @property
    def is_replaying(self) -> bool:
        """Whether the next step was made before, by an attempt that ended."""
        return self._loop.step < self._last_recorded_step

    @property
    def world_size(self) -> int:
        """Number of ranks."""
        return self._loop.world_size

    @property
    def rank(self) -> int:
        """Rank among all, from 0."""
        return self._loop.rank

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
        registered = self._registered
        registered.saves_gradients = registered.saves_gradients or save_gradients
        for name, target in components.items():
            if target is None:
                continue
            if self._loop.is_restored:
                raise HoldfastError(
                    f"'{name}' is registered after the run was restored",
                    hint="register before restore(), before epochs() and before the first loader is read",
                )
            registered.add(name, target, strict=strict, save_gradients=save_gradients)

    def on_save_checkpoint(self, hook: Callable[[dict[str, Any]], None]) -> None:
        """Call `hook(states)` with the states by component before each save; it may add more of them."""
        self._registered.save_hooks.append(hook)

    def on_load_checkpoint(self, hook: Callable[[dict[str, Any]], None]) -> None:
        """Call `hook(states)` with the saved states by component before they are loaded."""
        self._registered.load_hooks.append(hook)

    def loader(self, dataset: Any, **options: Any) -> Any:
        """Return a loader whose position is saved and restored with the run; see `holdfast.Loader`.

        Raises:
            HoldfastError: it is made within `epochs()` and has no name, or its name is taken. One made there
                takes the place of an earlier one of its name.
        """
        from ._loader import Loader

        if self._loop.is_in_epochs:
            name = options.get("name")
            if name is None:
                raise HoldfastError(
                    "a loader that is made within the loop needs a name, for a resume to find it",
                    hint='run.loader(..., name="..."), or make it before the loop',
                )
            self._registered.remove_loader(name)
        loader = Loader(self, dataset, **options)
        self._registered.add_loader(loader)
        return loader

    @property
    def values(self) -> Values:
        """What is registered and cannot be changed in place, as attributes: flax's `TrainState`, say.

        `run.values.state = update(run.values.state, batch)`; after a resume it is the saved one.
        """
        return Values(self._value)

    def _value(self, name: str) -> Any:
        target = getattr(self._registered.components.get(name), "target", None)
        if type(target).__module__ != "holdfast.jax" or not hasattr(target, "value"):
            raise AttributeError(f"no value '{name}' is registered; what is changed in place is not one")
        self.restore()
        return target

    # The loop

    def restore(self) -> bool:
        """Continue where the run stood; returns whether there were steps to continue from.

        Called by `epochs()` and by the first loader that is read; afterwards nothing can be registered.

        A run that begins stages its state here, before its first step. An attempt that goes on from that
        state has it again, random streams included, and does everything as the first one did: it is told
        that it begins.

        Raises:
            HoldfastError: the saved state does not fit what is registered, or is damaged.
        """
        loop = self._loop
        if loop.is_restored:
            return loop.resumed_from is not None
        _torch_compatibility.check()
        flatten(self._registered.states())  # What cannot be saved is better known now than at the first save.
        loop.is_restored = True
        point = None
        if self._connection is not None:
            point = self._connection.await_point()
            resume = self._connection.resume
            self._last_recorded_step, loop.skip = resume.last_recorded_step, resume.skip
        resumes = False
        if self._connection is not None and point is not None:
            self._connection.ring.publish_restoring(at.RESTORING_TAKES)
            restorer = Restorer(loop)
            restorer.resume(point)
            self.state = restorer.state
            self._connection.ring.publish_restoring(at.RESTORING_DONE)
            resumes = loop.step > 0
        elif self._stages_at_restore:
            self._stage_initially()
        if resumes:
            loop.resumed_from = loop.step
            self._must_claim = True
        elif point is not None:
            # What the first attempt did from here on is done again, with the same state and the same streams:
            # nothing is put back later.
            self._at_beginning, loop.pending = loop.pending, {}
        loop.begin()
        return resumes

    def epochs(self, total: int, *, finish: bool = True) -> Iterator[int]:
        """Give the epochs from where the run stands up to `total`, then finish the run.

        A program may have several such loops, one after the other: pretraining, then finetuning. Epochs are
        counted on from one to the next. A resumed program goes through those before the one where it stood
        without an epoch.

        Args:
            total: number of epochs of the whole run, those of the loops before included.
            finish: whether the run is complete when all epochs are; else call `finish()` later.

        Raises:
            HoldfastError: the loops before have had as many epochs.
        """
        loop = self._loop
        is_restored_here = not loop.is_restored
        self.restore()
        if not loop.enter(total):
            return
        self.is_finished, number = loop.is_complete, loop.number
        self._announce(total)
        try:
            while loop.epoch < total and not (loop.is_stopped and loop.was_finished):
                loop.begin_head(is_restored_here=is_restored_here)
                if loop.save_point is SavePoint.CAPTURED and self._connection is not None:
                    self._answer_pending(self._connection)
                yield loop.epoch
                if loop.is_stopped:
                    break
                loop.begin_epoch(loop.epoch + 1)
            # Resumed where the loop was over.
            loop.set_pending()
        finally:
            # After a `break` too.
            loop.record_end(number)
        loop.end()
        if finish:
            self.finish()
        else:
            # What follows may change the state, and is made again after a resume from here.
            loop.capture()

    def batches(self, count: int) -> Iterator[int]:
        """Give the numbers of this epoch's batches that are still to be made, for loops without a loader."""
        loop = self._loop
        self.restore()
        for number in range(loop.batch, count):
            if (loop.epoch, number) in loop.skip:
                continue
            if loop.stops_at_once:
                break
            loop.begin_batch(number, count)
            yield number
        loop.end_batches()

    @property
    def is_stopping(self) -> bool:
        """Whether `stop` was called, by this attempt or by one before."""
        return self._loop.is_stopped

    def stop(self, *, at_once: bool = False) -> None:
        """Let `epochs()` end after this epoch, as if it were the last: early stopping.

        Call it before the `step()` that it belongs to, so that a resume knows of it.

        Args:
            at_once: whether the epoch ends after the next step: loaders and `batches()` give no more.
        """
        loop = self._loop
        loop.is_stopped = True
        loop.stops_at_once = loop.stops_at_once or at_once
        trained = [loader for loader in self._registered.loaders if loader.is_trained]
        if trained and all(loader.is_between_batches for loader in trained):
            self._warn(
                "run.stop() comes after run.step(): a resume from this step would go on without it; call it "
                "before the step, and stop(at_once=True) to leave the epoch there"
            )

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
            optimizer_stepped: False between the micro-batches of an accumulation. The state of such a step is
                saved only where gradients are too (`register(save_gradients=True)`); else the supervisor's
                requests wait for the optimizer's step.
            **metrics: numbers, or tensors of one element (which waits for the device).

        Raises:
            HoldfastError: this process was forked from the one that attached; `state` is too large; or a
                loader that was in the middle of its pass was not made again.
        """
        loop, connection = self._loop, self._connection
        self._check_loop()
        self.is_finished = False
        loop.end_step(optimizer_stepped=optimizer_stepped, samples=samples)
        if connection is None:
            return
        stager, ring = connection.stager, connection.ring
        if stager.unsent:
            stager.send_unsent()
        if values is not None:
            metrics = {**values, **metrics}
        numbers = self._metrics.numbers(metrics)
        sources = self._registered.sources()
        parts = self._registered.encoded_parts()
        loop.checks.last_parts = parts
        image = b""
        if state and loop.save_point is not SavePoint.NO_PLACE:
            image = self._full_image(ring, state, len(parts))
        ring.append_snapshot(
            self._metrics.layout,
            loop.step,
            (
                loop.step,
                loop.epoch,
                loop.batch,
                loop.samples,
                time.time_ns(),
                self._phase,
                len(numbers),
                len(sources),
                len(image),
                *numbers,
            ),
            parts,
            image,
        )
        ring.beat()
        request = ring.pending_request()
        if request is not None:
            self._answer(connection, request)

    def _check_loop(self) -> None:
        """Refuse a step that a resume could not continue from, and warn of one after the end."""
        loop = self._loop
        if self._must_claim:
            check_claimed(self._registered.saved_loaders)
            self._must_claim = False
        if loop.reader is not None:
            raise HoldfastError(
                f"a loader is read by the thread '{loop.reader}', ahead of the steps: it has no position",
                hint="read it in the thread that calls step(); num_workers and prefetch_factor read ahead",
            )
        if loop.was_finished:
            loop.was_finished = False
            self._warn(
                f"the run was finished at step {loop.step}, and now goes on. A loop that is over "
                "must not begin another step: test `run.global_step` before a batch is used"
            )

    def _full_image(self, ring: RingWriter, state: bool | dict[str, Any], parts_bytes: int) -> bytes:
        if self._loop.save_point is SavePoint.MICRO_BATCH:
            raise HoldfastError(
                "a step between micro-batches cannot save the state: the gradients are not in it",
                hint="register(model=model, save_gradients=True), or leave out state=",
            )
        states = self._registered.states()
        if isinstance(state, dict):
            states["state"] = state
        image = ImageWriter(flatten(states), self._loop.state())
        if image.size + parts_bytes + _RECORD_RESERVE_BYTES > ring.largest_payload:
            raise HoldfastError(
                f"a full snapshot of {image.size} bytes does not fit the ring",
                hint="call step() without state=: checkpoints are staged in the arena",
            )
        return bytes(image.to_bytes())

    def safepoint(self) -> None:
        """Show that the trainer lives, in long loops without steps, and let the supervisor's requests in.

        A state that is saved here is the one after the last step: what came since is made again.
        """
        loop, connection = self._loop, self._connection
        if connection is None:
            return
        stager, ring = connection.stager, connection.ring
        if stager.unsent:
            stager.send_unsent()
        ring.beat()
        request = ring.pending_request()
        if request is None:
            return
        # After the last batch of a pass the next step answers.
        if loop.save_point is SavePoint.PASS_END and request.kind != at.REQUEST_CANCEL:
            return
        # With a batch half used nothing agrees. A captured state does, whatever validation's own loaders have
        # given since.
        if loop.save_point is SavePoint.CAPTURED or loop.is_between_steps():
            self._answer(connection, request)
            loop.checks.forget_staged()

    @contextmanager
    def phase(self, name: str) -> Iterator[None]:
        """Name what the loop does inside: `with run.phase("validation"): ...`; any other name counts too.

        Validation leaves the global random streams as they were: whatever it draws, and however often it is
        made, training goes on with the same numbers. Begin a phase between two steps.
        """
        before = self._phase
        loop = self._loop
        if loop.save_point is not SavePoint.CAPTURED and loop.is_between_steps():
            loop.capture()
        self._phase = _PHASES.get(name, 2)
        streams = undisturbed() if self._phase == _PHASES["validation"] else nullcontext()
        try:
            with streams:
                self.safepoint()
                yield
        finally:
            self._phase = before

    def finish(self) -> None:
        """Mark the run as complete: its final state becomes the last checkpoint.

        Exit with status 0 afterwards. Without this an exit is not success, whatever its status.
        """
        if self.is_finished:
            return
        if self.is_supervised and self._connection is not None:
            self._connection.ring.beat()  # Refused in a forked process.
            self._loop.complete()
            self._connection.stager.finish(self._loop.step)
            self._warn_unsaved(self._connection)
        self.is_finished = True

    def fail(self, error: BaseException) -> None:
        """Report to the supervisor an error that this program handles itself before it ends."""
        self._report_failure(encode_failure(type(error), error, error.__traceback__))

    # The supervisor

    def _append(self, kind: int, payload: bytes) -> None:
        if self.is_supervised and self._connection is not None:
            self._connection.stager.append(kind, payload)

    def _report_failure(self, payload: bytes) -> None:
        self._append(at.RECORD_FAILURE, payload)
        if self.is_supervised and self._connection is not None:
            self._connection.stager.flush()

    def _publish_attached(self, record: dict[str, Any]) -> None:
        if self._connection is not None:
            self._connection.attach(record)

    def _announce(self, total_epochs: int, batches: int | None = None) -> None:
        """Publish how long the run will be, now that it is known."""
        if self._connection is None:
            return
        loaders = self._registered.loaders
        if batches is None and loaders:
            batches = loaders[0].known_length()
        self._connection.announce(total_epochs, batches)

    def _answer_pending(self, connection: Connection) -> None:
        request = connection.ring.pending_request()
        if request is not None:
            self._answer(connection, request)
            self._loop.checks.forget_staged()

    def _answer(self, connection: Connection, request: Request) -> None:
        """Answer a request of the supervisor as far as there is something to save now."""
        save_point = self._loop.save_point
        if request.kind != at.REQUEST_CANCEL:
            if not save_point.is_savable:
                return
            if save_point is SavePoint.PASS_END and self._deferred != request.sequence:
                self._deferred = request.sequence
                return
        leaves = connection.stager.answer(request, self._loop.step)
        self._warn_unsaved(connection)
        if leaves:
            self._is_leaving = True
            connection.stager.flush()
            raise SystemExit(_STOPPED)

    def _stage_initially(self) -> None:
        """Stage the state before the first step, which an attempt that dies early leaves to the next one."""
        if self._connection is not None:
            self._connection.stager.stage_initially()
            self._warn_unsaved(self._connection)
            self._loop.checks.forget_staged()
            # Loaders and streams may still come.
            self._registered.forget_sources()

    def _become_forked(self) -> None:
        forked: Any = ForkedConnection()
        if self._connection is not None:
            self._connection.stager.forbid(forked)
        self._connection = forked

    def _warn_unsaved(self, connection: Connection) -> None:
        if connection.stager.last_error is not None:
            self._warn(f"the state could not be saved: {connection.stager.last_error}")

    def _warn(self, what: str) -> None:
        if what not in self._warned:
            self._warned.add(what)
            print(f"holdfast: {what}", file=sys.stderr, flush=True)

    # Without a supervisor

    def save(self, directory: PathLike, *, weights_only: bool = False) -> Path:
        """Save a checkpoint into `directory`, published as the supervisor publishes them.

        Args:
            directory: gets `step-N`.
            weights_only: only the modules, not the optimizer and the rest.

        Returns:
            The checkpoint's own directory, for `load`.

        Raises:
            HoldfastError: `directory` is a URL, or the checkpoint cannot be written.
        """
        directory = local_path(directory)
        states = self._registered.states()
        if weights_only:
            states = {name: state for name, state in states.items() if self._registered.is_module(name)}
        now = self._loop.state()
        return _checkpoints.publish(directory, ImageWriter(flatten(states), now), now, self.hyperparameters)

    def load(self, path: PathLike, *, weights_only: bool = False, strict: bool = True) -> None:
        """Load a checkpoint, after verifying it; a run that the supervisor resumes ignores this.

        Args:
            path: a checkpoint's directory, or a `.safetensors` file of one.
            weights_only: only the modules; the run begins at step 0, with today's random numbers.
            strict: whether the checkpoint must have exactly the components that are registered.
        """
        path = local_path(path)
        # After a restore() that begins it is not ignored: the first attempt loaded it there too.
        begins = self._loop.is_restored and self.resumed_from is None
        if self._connection is not None and self._connection.resume.point is not None and not begins:
            return
        self._loop.is_restored = True
        restorer = Restorer(self._loop)
        restorer.load(path, weights_only=weights_only, strict=strict)
        if not weights_only:
            self.state = restorer.state
        if self._loop.step == 0:
            self._stage_initially()
