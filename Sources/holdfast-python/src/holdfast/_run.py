"""A training run that can be killed at any moment and continues with bit-identical results."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Any, Callable

from . import _best, _checkpoints, _torch_compatibility
from . import _changes as changes
from . import _layout as at
from ._best import BestCheckpoint
from ._components import Values
from ._connection import Connection, ForkedConnection
from ._documents import Change, ResumeFile
from ._errors import HoldfastError, PathLike
from ._failure_record import encode_failure
from ._hyperparameters import Recorded
from ._image import ImageWriter, flatten
from ._local import local_path
from ._loop import Loop
from ._metrics import Metrics, encode_metrics
from ._position import check_loaders_exist
from ._restore import Restorer
from ._ring import Request, RingWriter
from ._samples import preserve_streams
from ._save_point import SavePoint
from ._weights import are_weights

_PHASES = {"training": 0, "validation": 1}
# The exit status of a trainer that was requested to save and exit.
_STOPPED = 75
# Space for the fields of a record besides image and parts.
_RECORD_RESERVE_BYTES = 8192


class Run:
    """A run: attach, register everything that has state, then call `step()` last in the loop's body.

    Under a supervisor each step is recorded, and the state is staged on request. Without a supervisor the
    same program runs to its end. A run belongs to one thread of one process.

    Attributes:
        global_step: number of steps, over all attempts.
        epoch: the current epoch, from 0.
        batch: number of batches consumed in this epoch.
        samples: number of samples consumed in the whole run, by all ranks.
        optimizer_steps: number of steps with a step of the optimizer.
        resumed_from: the step from which this attempt continued; None if it started from the beginning.
        hyperparameters: the effective hyperparameters; see `attach`.
        state: after a resume, the state that `step(state={...})` has saved; else None.
        is_finished: whether `finish` was called and no step followed.
        not_loaded: what the last load has left out, as the component or the load was not strict, each with
            the reason.
    """

    def __init__(
        self,
        directory: Path | None = None,
        ring: RingWriter | None = None,
        resume: ResumeFile | None = None,
        *,
        rng: bool = True,
    ) -> None:
        """Use `holdfast.attach` to create a run."""
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
        self.hyperparameters: dict[str, Any] = {}
        self.state: dict[str, Any] | None = None
        self.is_finished = False
        self.not_loaded: list[str] = []
        # Streams before the first step, if the run continues from there.
        self._initial_streams: dict[str, bytes] = {}
        # False if training begins later than restore().
        self._stages_at_restore = True
        # True until the first step after a resume, which checks that all saved loaders exist again.
        self._must_check_loaders = False
        # The request that waits for the step after the end of a pass.
        self._deferred = 0
        # The request whose moment was reached when no state could be saved.
        self._reached = 0
        self._phase = 0
        # The published length of the run.
        self._total_epochs = 0
        self._length: int | None = None
        # Number of records of metrics after a step.
        self._logged = 0
        # Whether `epochs()`, or a framework's loop, has ended.
        self._is_loop_over = False
        self._is_exiting = False
        self._warned: set[str] = set()

    def __reduce__(self) -> Any:
        raise HoldfastError(
            "a run cannot be sent to another process",
            hint="do not reference it in datasets, collate functions or anything else passed to workers",
        )

    # The position of the run

    @property
    def global_step(self) -> int:
        """Number of steps, over all attempts."""
        self._loop.note_step_read()
        return self._loop.step

    @global_step.setter
    def global_step(self, step: int) -> None:
        self._loop.step = step

    @property
    def epoch(self) -> int:
        """The current epoch, from 0."""
        return self._loop.epoch

    @epoch.setter
    def epoch(self, epoch: int) -> None:
        self._loop.epoch = epoch

    @property
    def batch(self) -> int:
        """Number of batches consumed in this epoch."""
        self._loop.note_batch_read()
        return self._loop.batch

    @batch.setter
    def batch(self, batch: int) -> None:
        self._loop.batch = batch

    @property
    def samples(self) -> int:
        """Number of samples consumed in the whole run, by all ranks."""
        return self._loop.samples

    @samples.setter
    def samples(self, samples: int) -> None:
        self._loop.samples = samples

    @property
    def optimizer_steps(self) -> int:
        """Number of steps with a step of the optimizer."""
        return self._loop.optimizer_steps

    @optimizer_steps.setter
    def optimizer_steps(self, steps: int) -> None:
        self._loop.optimizer_steps = steps

    @property
    def resumed_from(self) -> int | None:
        """The step from which this attempt continued; None if it started from the beginning."""
        return self._loop.resumed_from

    @property
    def is_supervised(self) -> bool:
        """Whether a supervisor records this run."""
        return self._loop.is_recorded

    @property
    def is_replaying(self) -> bool:
        """Whether the next step repeats one that an earlier attempt has recorded."""
        return self._loop.step < self._last_recorded_step

    @property
    def world_size(self) -> int:
        """Number of ranks."""
        return self._loop.world_size

    @property
    def rank(self) -> int:
        """Rank of this process, from 0."""
        return self._loop.rank

    # Registering

    def register(self, *, strict: bool = True, save_gradients: bool = False, **components: Any) -> None:
        """Register objects with state, each under a name that stays the same in every attempt.

        Args:
            strict: whether a saved state must match the component exactly.
            save_gradients: save the gradients of modules too, so that a resume may happen between the
                micro-batches of an accumulation.
            **components: objects with `state_dict` and `load_state_dict`; random generators; dicts, lists
                and arrays, which are changed in place; dataclass instances; `Attributes`. None is ignored.

        Raises:
            HoldfastError: a name is in use, the run is already restored, or objects of a type have no known
                state.
        """
        registered = self._registered
        registered.saves_gradients = registered.saves_gradients or save_gradients
        for name, target in components.items():
            if target is None:
                continue
            if self._loop.is_restored:
                raise HoldfastError(
                    f"cannot register '{name}' after the run was restored",
                    hint="register before restore(), before epochs() and before the first loader is read",
                )
            registered.add(name, target, strict=strict, save_gradients=save_gradients)

    def on_save_checkpoint(self, hook: Callable[[dict[str, Any]], None]) -> None:
        """Call `hook(states)` with the states by component name before each save; it may add states."""
        self._registered.save_hooks.append(hook)

    def on_load_checkpoint(self, hook: Callable[[dict[str, Any]], None]) -> None:
        """Call `hook(states)` with the saved states by component name before they are loaded.

        It may change the states, and remove those that a hook has added.
        """
        self._registered.load_hooks.append(hook)

    def loader(self, dataset: Any, **options: Any) -> Any:
        """Return a loader whose position is saved and restored with the run; see `holdfast.Loader`.

        A loader that is created within `epochs()` needs a name, and replaces an earlier one of that name.

        Raises:
            HoldfastError: it is created within `epochs()` without a name, or its name is in use.
        """
        from ._loader import Loader

        if self._loop.is_in_epochs:
            name = options.get("name")
            if name is None:
                raise HoldfastError(
                    "a loader that is created within the loop needs a name, so that a resume can find it",
                    hint='use run.loader(..., name="..."), or create it before the loop',
                )
            self._registered.remove_loader(name)
        loader = Loader(self, dataset, **options)
        self._registered.add_loader(loader)
        return loader

    @property
    def values(self) -> Values:
        """Registered values that cannot be changed in place, such as flax's `TrainState`, as attributes.

        `run.values.state = update(run.values.state, batch)`. After a resume it is the saved value.
        """
        return Values(self._value)

    def _value(self, name: str) -> Any:
        target = getattr(self._registered.components.get(name), "target", None)
        if type(target).__module__ != "holdfast.jax" or not hasattr(target, "value"):
            raise AttributeError(f"no value '{name}' is registered; objects changed in place are not values")
        self.restore()
        return target

    # The loop

    def restore(self) -> bool:
        """Restore the saved state of the run; return whether there were steps to continue from.

        `epochs()` and the first loader that is read call it; afterwards nothing can be registered.

        A new run stages its state here, before its first step. An attempt that resumes from that state gets
        it again, including random streams, repeats everything, and also gets False.

        Raises:
            HoldfastError: the saved state does not fit the registered objects, or is damaged.
        """
        loop = self._loop
        if loop.is_restored:
            return loop.resumed_from is not None
        _torch_compatibility.check()
        flatten(self._registered.states())  # Report what cannot be saved now, not at the first save.
        loop.is_restored = True
        point = None
        if self._connection is not None:
            point = self._connection.await_point()
            resume = self._connection.resume
            self._last_recorded_step, loop.skip = resume.last_recorded_step, resume.skip
        resumes = False
        if self._connection is not None and point is not None and point.weights_only:
            self._connection.ring.publish_restoring(at.RESTORING_TAKES)
            restorer = Restorer(loop)
            restorer.load_weights(point)
            self.not_loaded = restorer.not_loaded
            self._connection.ring.publish_restoring(at.RESTORING_DONE)
            if self._stages_at_restore:
                self._stage_initially()
        elif self._connection is not None and point is not None:
            self._connection.ring.publish_restoring(at.RESTORING_TAKES)
            restorer = Restorer(loop)
            image, self._connection.image = self._connection.image, None
            restorer.resume(point, image)
            self.state, self.not_loaded = restorer.state, restorer.not_loaded
            self._adapt_registered()
            self._connection.ring.publish_restoring(at.RESTORING_DONE)
            resumes = loop.step > 0
        elif self._stages_at_restore:
            self._stage_initially()
        if resumes:
            loop.resumed_from = loop.step
            self._must_check_loaders = True
        elif point is not None and not point.weights_only:
            # Everything after this is repeated with the same state and the same streams, so nothing must be
            # restored later.
            self._initial_streams, loop.pending = loop.pending, {}
        loop.begin()
        return resumes

    def epochs(self, total: int, *, finish: bool = True) -> Iterator[int]:
        """Yield the epochs from the current one up to `total`, then finish the run.

        A program may have several such loops in sequence, such as pretraining and finetuning. Epoch numbers
        continue from one loop to the next. In a resumed program, loops that were already complete yield no
        epoch.

        Args:
            total: number of epochs of the whole run, including those of earlier loops.
            finish: whether the run is complete after the last epoch; if False, call `finish()` later.

        Raises:
            HoldfastError: earlier loops have already had `total` epochs.
        """
        loop = self._loop
        is_restored_here = not loop.is_restored
        self.restore()
        if not loop.enter(total):
            self._is_loop_over = True
            return
        self._is_loop_over = False
        self.is_finished, number = loop.is_complete, loop.number
        self._announce(total)
        try:
            while loop.epoch < total and not (loop.is_stopped and loop.was_finished):
                loop.begin_head(is_restored_here=is_restored_here)
                if loop.save_point is SavePoint.CAPTURED and self._connection is not None:
                    self._answer_pending(self._connection, at.EPOCH_END_VALIDATION)
                yield loop.epoch
                if loop.is_stopped:
                    break
                loop.begin_epoch(loop.epoch + 1)
            # For a resume at the end of the loop.
            loop.set_pending()
        finally:
            # Also after a `break`.
            loop.record_end(number)
        loop.end()
        if finish:
            self.finish()
        else:
            # Code after the loop may change the state; a resume from here repeats it.
            loop.capture()
            if self._connection is not None and not loop.is_stopped and loop.save_point.is_savable:
                self._answer_pending(self._connection, at.EPOCH_END_VALIDATION)
        self._is_loop_over = True

    def batches(self, count: int) -> Iterator[int]:
        """Yield the numbers of this epoch's remaining batches, below `count`; for loops without a loader."""
        loop = self._loop
        self.restore()
        if self._length is None and loop.is_in_epochs and not self._registered.loaders:
            self._announce(self._total_epochs, count)
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
        """Whether `stop` was called, in this or an earlier attempt."""
        return self._loop.is_stopped

    def stop(self, *, at_once: bool = False) -> None:
        """End `epochs()` after this epoch, as if it were the last: early stopping.

        Call it before the corresponding `step()`, so that it is saved with that step.

        Args:
            at_once: whether the epoch ends after the next step: loaders and `batches()` yield nothing more.
        """
        loop = self._loop
        loop.is_stopped = True
        loop.stops_at_once = loop.stops_at_once or at_once
        trained = [loader for loader in self._registered.loaders if loader.is_trained]
        if trained and all(loader.is_between_batches for loader in trained):
            self._warn(
                "run.stop() was called after run.step(), so a resume from this step would not stop; call it "
                "before the step, with at_once=True to end the epoch there"
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
        """Mark the end of a step, when the state is consistent. Call it last in the loop's body.

        Records the step, and stages the state if the supervisor has requested it.

        Args:
            values: metrics whose names are not valid Python identifiers.
            samples: number of samples consumed in this step by all ranks; by default as counted by loaders.
            state: save the whole state in this step's record, so that no step is lost; for states of a few
                kilobytes. True: the registered objects; a dict: this state too, which is in `run.state` after
                a resume.
            optimizer_stepped: False between the micro-batches of an accumulation. The state of such a step is
                saved only with gradients (`register(save_gradients=True)`); otherwise the supervisor's
                requests wait for the optimizer's step.
            **metrics: numbers, or tensors of one element (reading them waits for the device).

        Raises:
            HoldfastError: this process was forked from the one that attached; `state` is too large; or a
                loader that was in the middle of its pass was not created again.
        """
        loop, connection = self._loop, self._connection
        self._check_loop()
        self.is_finished = False
        loop.end_step(optimizer_stepped=optimizer_stepped, samples=samples)
        if values is not None:
            metrics = {**values, **metrics}
        if connection is None:
            self._metrics.remember(metrics)
            return
        stager, ring = connection.stager, connection.ring
        if stager.unsent:
            stager.send_unsent()
        numbers = self._metrics.numbers(metrics)
        sources = self._registered.sources()
        parts = self._registered.encoded_parts()
        loop.checks.last_parts = parts
        image = b""
        if state and loop.save_point is not SavePoint.NO_PLACE:
            image = self._full_image(ring, state, len(parts))
        if loop.step == 1:
            # Optimizers have their moments from now on.
            ring.publish_state_size(self._registered.image_size())
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
        stager.map_ahead()
        request = ring.pending_request()
        if request is not None:
            self._answer(connection, request, at.EPOCH_END_TRAINING if loop.ends_epoch else 0)

    def _check_loop(self) -> None:
        """Refuse a step that a resume could not continue from, and warn about a step after the end."""
        loop = self._loop
        if self._must_check_loaders:
            check_loaders_exist(self._registered.saved_loaders)
            self._must_check_loaders = False
        if loop.reader is not None:
            raise HoldfastError(
                f"a loader is read by the thread '{loop.reader}' ahead of the steps, so it has no position",
                hint="read it in the thread that calls step(); num_workers and prefetch_factor prefetch",
            )
        if loop.was_finished:
            loop.was_finished = False
            self._warn(
                f"the run was finished at step {loop.step}, but continues now; a loop that is over must not "
                "begin another step: check `run.global_step` before using a batch"
            )

    def _full_image(self, ring: RingWriter, state: bool | dict[str, Any], parts_bytes: int) -> bytes:
        if self._loop.save_point is SavePoint.MICRO_BATCH:
            raise HoldfastError(
                "a step between micro-batches cannot save the state, which does not include gradients",
                hint="use register(model=model, save_gradients=True), or leave out state=",
            )
        states = self._registered.states()
        if isinstance(state, dict):
            states["state"] = state
        image = ImageWriter(flatten(states), self._loop.state())
        if image.size + parts_bytes + _RECORD_RESERVE_BYTES > ring.largest_payload:
            raise HoldfastError(
                f"a full snapshot of {image.size} bytes does not fit into the ring",
                hint="call step() without state=; checkpoints are staged in the arena",
            )
        return bytes(image.to_bytes())

    def log(self, values: Mapping[str, Any] | None = None, **metrics: Any) -> None:
        """Report metrics that were computed after the last step, such as by a validation.

        They belong to the state after that step, and so to its checkpoint: `run.log(val_loss=loss)`.

        Args:
            values: metrics whose names are not valid Python identifiers.
            **metrics: numbers, or tensors of one element.
        """
        logged = {**(values or {}), **metrics}
        self._metrics.add(logged)
        if logged and self.is_supervised:
            self._append(at.RECORD_METRICS, encode_metrics(self._loop.step, logged))
            self._logged += 1

    def safepoint(self) -> None:
        """Show that the trainer is alive, and answer the supervisor's requests; for long loops without steps.

        The state that is saved here is that after the last step: a resume repeats everything since.
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
        # In the middle of a batch the state is inconsistent. A captured state stays valid while validation
        # reads its own loaders.
        if loop.save_point is SavePoint.CAPTURED or loop.is_between_steps():
            self._answer(connection, request)
            loop.checks.forget_staged()

    @contextmanager
    def phase(self, name: str) -> Iterator[None]:
        """Mark a phase of the loop: `with run.phase("validation"): ...`. Other names are allowed.

        At the end of a validation the global random streams are restored, so that training continues with the
        same numbers however often it validates. Begin a phase between two steps.
        """
        before = self._phase
        loop = self._loop
        if loop.save_point is not SavePoint.CAPTURED and loop.is_between_steps():
            loop.capture()
        self._phase = _PHASES.get(name, 2)
        streams = preserve_streams() if self._phase == _PHASES["validation"] else nullcontext()
        try:
            with streams:
                self.safepoint()
                yield
        finally:
            self._phase = before

    def finish(self) -> None:
        """Mark the run as complete: its final state becomes the last checkpoint.

        Exit with status 0 afterwards. Without this call an exit is not a success, whatever its status.
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
        """Report an error to the supervisor that the program handles itself before it exits."""
        self._report_failure(encode_failure(type(error), error, error.__traceback__))

    # The best checkpoints

    def best_checkpoints(
        self, monitor: str | None = None, *, wait: float | None = None
    ) -> list[BestCheckpoint]:
        """Return the checkpoints that a policy with `--keep-best` keeps, best first.

        The supervisor writes checkpoints while the loop runs, and then this returns what is known now. Once
        the loop is over it waits for what is still being written. Without a supervisor there are none.

        Args:
            monitor: name of the policy's metric; None: of the first policy.
            wait: longest time to wait, in seconds; None: 60 s once the loop is over, else 0.

        Raises:
            HoldfastError: policies rank by other metrics.
        """
        if self._connection is None:
            return []
        if wait is None:
            wait = _best.PATIENCE_SECONDS if self.is_finished or self._is_loop_over else 0.0
        return _best.read(
            self._connection,
            monitor=monitor,
            logged=self._logged,
            finished_step=self._loop.step if self.is_finished else None,
            wait=wait,
        )

    @property
    def best_model_path(self) -> Path | None:
        """The best checkpoint by the first policy with `--keep-best`, for `holdfast.load`; None: none yet.

        See `best_checkpoints` for other policies, and for when it waits.
        """
        best = self.best_checkpoints()
        return best[0].path if best else None

    @property
    def best_model_score(self) -> float | None:
        """The metric of `best_model_path`."""
        best = self.best_checkpoints()
        return best[0].score if best else None

    @property
    def best_k_models(self) -> dict[Path, float]:
        """The metrics of all checkpoints that this policy keeps, by path, best first."""
        return {one.path: one.score for one in self.best_checkpoints()}

    # The supervisor

    def _warn_about_text(self, *recorded: Recorded) -> None:
        names = [name for one in recorded for name in one.as_text]
        if names:
            self._warn(
                f"hyperparameters that JSON cannot hold are recorded as text: {', '.join(sorted(names))}"
            )

    @property
    def _changes(self) -> tuple[Change, ...]:
        return self._connection.resume.changes if self._connection is not None else ()

    def _use_changes(self, values: Mapping[str, Any]) -> None:
        """Replace values by those of `--set`."""
        for name, (before, now) in changes.replace(values, changes.newest(self._changes)).items():
            self._warn(f"hyperparameter '{name}' is {now!r}, not {before!r} (holdfast run --set)")

    def _adapt(self, targets: Sequence[Any]) -> None:
        """Change options of restored optimizers whose state is older than the `--set` that changes them."""
        if self._connection is not None and self._connection.resume.point is not None:
            step = self._connection.resume.point.step
            changes.adapt([one for one in self._changes if one.step >= step], targets, self._warn)

    def _adapt_registered(self) -> None:
        """Adapt registered optimizers, so that the beginning of the loop keeps it too."""
        if self._changes:
            self._adapt([getattr(one, "target", None) for one in self._registered.components.values()])
            self._loop.use_adapted()

    def _add_hyperparameters(self, more: Mapping[str, Any]) -> None:
        """Record hyperparameters that the run does not have yet."""
        new = Recorded({name: value for name, value in more.items() if name not in self.hyperparameters})
        if not new.values:
            return
        self.hyperparameters = {**self.hyperparameters, **new.values}
        self._warn_about_text(new)
        if self._connection is not None:
            self._connection.add({"hyperparameters": self.hyperparameters})

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
        """Publish the length of the run."""
        self._total_epochs, self._length = total_epochs, batches
        if self._connection is None:
            return
        loaders = self._registered.loaders
        if batches is None and loaders:
            batches = loaders[0].known_length()
        self._connection.announce(total_epochs, batches)

    def _answer_pending(self, connection: Connection, end: int = 0) -> None:
        request = connection.ring.pending_request()
        if request is not None:
            self._answer(connection, request, end)
            self._loop.checks.forget_staged()
        if end:
            connection.stager.end_epoch(self._ended_epoch(end), end, self._loop.step)

    def _ended_epoch(self, end: int) -> int:
        # After validation the next epoch has begun.
        return self._loop.epoch - (end == at.EPOCH_END_VALIDATION and self._loop.is_own)

    def _answer(self, connection: Connection, request: Request, end: int = 0) -> None:
        """Answer a request of the supervisor, if it is due and a state can be saved now.

        Args:
            connection: to the supervisor.
            request: its request.
            end: which end of an epoch this moment is; 0: another moment.
        """
        loop = self._loop
        epochs, is_reached = 0, request.sequence == self._reached
        if request.kind != at.REQUEST_CANCEL:
            epoch = self._ended_epoch(end)
            if end and request.is_due_at_end(epoch, end):
                epochs = epoch + 1
            is_missed = request.is_missed(loop.step) and not epochs and not is_reached
            if not (epochs or is_reached or is_missed or request.is_due(loop.step)):
                return
            if not is_missed and not loop.save_point.is_savable:
                # The next state that can be saved is the closest one.
                self._reached = request.sequence
                return
            waits = request.is_immediate and self._deferred != request.sequence
            if loop.save_point is SavePoint.PASS_END and waits:
                self._deferred = request.sequence
                return
        leaves = connection.stager.answer(request, loop.step, completed_epochs=epochs, is_reached=is_reached)
        self._warn_unsaved(connection)
        if leaves:
            self._is_exiting = True
            connection.stager.flush()
            raise SystemExit(_STOPPED)

    def _save_after_epoch(self) -> None:
        """Save at the end of a framework's epoch, after validation, if that is requested."""
        connection = self._connection
        if connection is not None and self._loop.save_point.is_savable:
            self._answer_pending(connection, at.EPOCH_END_VALIDATION)

    def _stage_initially(self) -> None:
        """Stage the state before the first step, for the next attempt if this one dies early."""
        if self._connection is not None:
            self._connection.stager.stage_initially()
            self._warn_unsaved(self._connection)
            self._loop.checks.forget_staged()
            # Loaders and streams may still be added.
            self._registered.forget_sources()

    def _disconnect_in_child(self) -> None:
        forked: Any = ForkedConnection()
        if self._connection is not None:
            self._connection.stager.refuse_writes(forked)
        self._connection = forked

    def _warn_unsaved(self, connection: Connection) -> None:
        if connection.stager.last_error is not None:
            self._warn(f"cannot save the state: {connection.stager.last_error}")

    def _warn(self, what: str) -> None:
        if what not in self._warned:
            self._warned.add(what)
            print(f"holdfast: {what}", file=sys.stderr, flush=True)

    # Saving and loading by hand, with and without a supervisor

    def save(self, directory: PathLike, *, weights_only: bool = False) -> Path:
        """Save a checkpoint into `directory`, atomically and in the format of the supervisor.

        Args:
            directory: parent of the checkpoint's directory `step-N`; created if it does not exist.
            weights_only: save only components that are tensors alone, such as modules, not the optimizer.

        Returns:
            The checkpoint's directory, for `load`.

        Raises:
            HoldfastError: `directory` is a URL, or the checkpoint cannot be written.
        """
        directory = local_path(directory)
        states = self._registered.states()
        if weights_only:
            states = {
                name: state
                for name, state in states.items()
                if self._registered.is_module(name) or are_weights(state)
            }
        now = self._loop.state()
        resume = None if self._connection is None else self._connection.resume
        return _checkpoints.publish(
            directory,
            ImageWriter(flatten(states), now),
            now,
            hyperparameters=self.hyperparameters,
            metrics=self._metrics.last(),
            resume=resume,
            weights_only=weights_only,
        )

    def load(self, path: PathLike, *, weights_only: bool = False, strict: bool = True) -> None:
        """Verify and load a checkpoint. A run that the supervisor has resumed ignores this call.

        Args:
            path: a checkpoint's directory, or a `.safetensors` file of one.
            weights_only: load only components that are tensors alone, such as modules; the run starts at
                step 0 and keeps its random streams. What is not loaded is reported, and in `not_loaded`.
            strict: whether the checkpoint must contain exactly the registered components.

        Raises:
            HoldfastError: `path` is a URL, the checkpoint does not exist or is damaged, or it does not fit
                the registered components.
        """
        path = local_path(path)
        # Not ignored after a restore() that returned False: the first attempt loaded it there too.
        begins = self._loop.is_restored and self.resumed_from is None
        if self._connection is not None and self._connection.resume.point is not None and not begins:
            return
        self._loop.is_restored = True
        restorer = Restorer(self._loop)
        restorer.load(path, weights_only=weights_only, strict=strict)
        self.not_loaded = restorer.not_loaded
        if not weights_only:
            self.state = restorer.state
        if self._loop.step == 0:
            self._stage_initially()
