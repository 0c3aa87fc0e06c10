"""A training run that can be killed at any moment and goes on with the same bits."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Any, Callable

from . import _checkpoints, _failures, _parts, _random
from . import _layout as at
from ._base import RunBase
from ._components import Values, beside, component_of, is_replaced_each_step
from ._differences import digest
from ._errors import HoldfastError, PathLike
from ._image import ImageWriter, flatten
from ._local import local_path
from ._position import check_claimed
from ._restore import Restorer, await_point
from ._samples import undisturbed

# After so many steps what is trained must have changed.
_STEPS_THAT_CHANGE = 3
_PHASES = {"training": 0, "validation": 1}


class Run(RunBase):
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

    @property
    def global_step(self) -> int:
        """Steps made, in all attempts."""
        if self._begins and not self._began and self._is_own_loop:
            # `while run.global_step < n`: the loop begins here, with the streams as restore() has set them.
            self._begins = False
            self._check_drawn()
            self._pending = {}
        return self._global_step

    @global_step.setter
    def global_step(self, step: int) -> None:
        self._global_step = step

    @property
    def batch(self) -> int:
        """Batches consumed in this epoch."""
        if self._began and self._is_own_loop and not (self._last_batch >= 0):
            # `range(run.batch, n)`: the loop knows where it stands, and begins here.
            self._has_place = True
            self._before_batch()
        return self._batch

    @batch.setter
    def batch(self, batch: int) -> None:
        self._batch = batch

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
        self._saves_gradients = self._saves_gradients or save_gradients
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
                component = component_of(name, target, strict)
                self._components[name] = component
                for ending, more in beside(component, save_gradients).items():
                    self._components[name + ending] = more

    def on_save_checkpoint(self, hook: Callable[[dict[str, Any]], None]) -> None:
        """Call `hook(states)` with the states by component before each save; it may add more of them."""
        self._save_hooks.append(hook)

    def on_load_checkpoint(self, hook: Callable[[dict[str, Any]], None]) -> None:
        """Call `hook(states)` with the saved states by component before they are loaded."""
        self._load_hooks.append(hook)

    def loader(self, dataset: Any, **options: Any) -> Any:
        """Return a loader whose position is saved and restored with the run; see `holdfast.Loader`.

        Raises:
            HoldfastError: it is made within `epochs()` and has no name, or its name is taken. One made there
                takes the place of an earlier one of its name.
        """
        from ._loader import Loader

        if self._began:
            if options.get("name") is None:
                raise HoldfastError(
                    "a loader that is made within the loop needs a name, for a resume to find it",
                    hint='run.loader(..., name="..."), or make it before the loop',
                )
            self._loaders = [other for other in self._loaders if other.name != options["name"]]
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
        if loader.name in self._saved_loaders:
            # Made late, by a framework that makes its loaders when it needs them.
            loader._restore(self._saved_loaders.pop(loader.name))

    @property
    def values(self) -> Values:
        """What is registered and cannot be changed in place, as attributes: flax's `TrainState`, say.

        `run.values.state = update(run.values.state, batch)`; after a resume it is the saved one.
        """
        return Values(self._value)

    def _value(self, name: str) -> Any:
        target = getattr(self._components.get(name), "target", None)
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
        if self._restored:
            return self.resumed_from is not None
        flatten(self._states())  # What cannot be saved is better known now than at the first save.
        self._restored = True
        point = await_point(self)
        resumes = False
        if point is not None:
            self._ring.say(at.RESTORING_TAKES)
            Restorer(self).resume(point)
            self._ring.say(at.RESTORING_DONE)
            resumes = self._global_step > 0
        elif self._stages_at_restore:
            self._stage_initially()
        if resumes:
            self.resumed_from = self._global_step
            self._must_claim = True
        elif point is not None:
            # What the first attempt did from here on is done again, with the same state and the same streams:
            # nothing is put back later.
            self._at_beginning, self._pending = self._pending, {}
        self._begin_loop()
        return resumes

    def _begin_loop(self) -> None:
        """Remember where the loop begins, to tell of what happens before it, and of what stays as it is."""
        self._begins = True
        self._staged = None
        self._compared = 0
        if self._ring is None:
            return
        self._last_parts = _parts.encode(self._make_sources())
        # Loaders and streams may still come.
        self._sources = None
        self._unchanged = {
            name: digest(component.state())
            for name, component in self._components.items()
            if is_replaced_each_step(component)
        }
        self._compare_at = self._global_step + _STEPS_THAT_CHANGE

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
        is_restored_here = not self._restored
        self.restore()
        number, self._loops = self._loops, self._loops + 1
        before, self._loops_total = self._loops_total, max(self._loops_total, total)
        if number < self._loop_number:
            # What follows it is made again, and draws what it drew.
            _random.set_streams(self._all_streams(), self._loop_ends.get(number, {}))
            return
        if number > self._loop_number:
            self._begin_another_loop(number, before, total)
        elif number:
            self._return_to_loop()
            is_restored_here = True
        self._announce(total)
        self._began = True
        try:
            while self.epoch < total and not (self._stopped and self._was_finished):
                self._begin_head(is_restored_here=is_restored_here)
                yield self.epoch
                if self._stopped:
                    break
                self._begin_epoch(self.epoch + 1)
            if self._pending:
                # Resumed where the loop was over.
                _random.set_streams(self._all_streams(), self._pending)
                self._pending = {}
        finally:
            # Also after a `break`, but not when the whole program ends.
            if not sys.is_finalizing():
                self._loop_ends[number] = {stream.name: stream.get() for stream in self._all_streams()}
        self._ending = self._loop_state()
        if finish:
            self.finish()
        else:
            # What follows may change the state, and is made again after a resume from here.
            self._hold()

    def _begin_another_loop(self, number: int, epoch: int, total: int) -> None:
        """Begin another `epochs()` of the program: what was complete, or was to stop, is the one before.

        It begins where that one would have ended if nothing had stopped it.
        """
        if total <= epoch:
            raise HoldfastError(
                f"epochs({total}) counts the epochs of the whole run, and the loops before it had {epoch}",
                hint=f"run.epochs({epoch + total}) for {total} more",
            )
        self._loop_number = number
        self.is_finished = self._is_finishing = self._was_finished = False
        self._stopped = self._stops_at_once = False
        self._staged = self._ending = None
        self._begin_epoch(epoch)

    def _return_to_loop(self) -> None:
        """Go on in a loop after the first: what the program does before it is behind the state."""
        if not self._batch or self._was_finished:
            self._head.resume(is_restored_here=True)
            self._head.end()

    def _begin_head(self, *, is_restored_here: bool) -> None:
        """Begin what comes before the first batch of an epoch."""
        self._has_place = self._is_placeless = False
        if self._pending and self._batch:
            self._head.resume(is_restored_here=is_restored_here)
            return
        if self._pending:
            _random.set_streams(self._all_streams(), self._pending)
            self._pending = {}
        self._head.forget()
        self._head.begin()
        # The epoch before is over and nothing of this one is done: everything agrees here, and is what a
        # request during the head gets.
        self._hold()
        if self._ring is not None:
            request = self._ring.pending_request()
            if request is not None:
                self._answer(request)
                self._staged = None

    def _begin_epoch(self, epoch: int) -> None:
        self.epoch = epoch
        self._batch = 0
        self._steps_of_batch = 0
        self._captured = None
        self._ends_pass = False
        self._sources = None
        for loader in self._loaders:
            loader._forget_pass()

    def batches(self, count: int) -> Iterator[int]:
        """Give the numbers of this epoch's batches that are still to be made, for loops without a loader."""
        self.restore()
        for number in range(self._batch, count):
            if self._resume is not None and (self.epoch, number) in self._resume.skip:
                continue
            if self._stops_at_once:
                break
            self._before_batch()
            self._compare_with_staged()
            self._batch = number
            self._last_batch = count - 1
            self._has_place = self._has_batch = True
            yield number
        self._last_batch = -1
        self._has_batch = False
        self._compare_with_staged()
        self._after_pass()

    @property
    def is_stopping(self) -> bool:
        """Whether `stop` was called, by this attempt or by one before."""
        return self._stopped

    def stop(self, *, at_once: bool = False) -> None:
        """Let `epochs()` end after this epoch, as if it were the last: early stopping.

        Call it before the `step()` that it belongs to, so that a resume knows of it.

        Args:
            at_once: whether the epoch ends after the next step: loaders and `batches()` give no more.
        """
        self._stopped = True
        self._stops_at_once = self._stops_at_once or at_once
        trained = [loader for loader in self._loaders if loader._is_trained]
        if trained and all(loader._is_between_batches for loader in trained):
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
        if self._must_claim:
            check_claimed(self._saved_loaders)
            self._must_claim = False
        if self._reader is not None:
            raise HoldfastError(
                f"a loader is read by the thread '{self._reader}', ahead of the steps: it has no position",
                hint="read it in the thread that calls step(); num_workers and prefetch_factor read ahead",
            )
        # What was complete, by a loop's end or by finish(), goes on.
        self.is_finished = self._is_finishing = False
        self._ending = None
        if self._was_finished:
            self._was_finished = False
            self._warn(
                f"the run was finished at step {self._global_step}, and now goes on. A loop that is over "
                "must not begin another step: test `run.global_step` before a batch is used"
            )
        self._begins = False
        if self._pending:
            self._pending = {}
        self._head.forget()
        self._global_step += 1
        if optimizer_stepped:
            self.optimizer_steps += 1
        self._lacks_gradients = not (optimizer_stepped or self._saves_gradients)
        self._captured = None
        batch = -1
        self._ends_pass = self._last_batch == self._batch
        for loader in self._loaders:
            if loader.outstanding:
                counted = loader._commit()
                if batch < 0:
                    batch = loader.position
                    self._ends_pass = self._defers_last_batch and batch == loader.total
                    self.samples += (counted if samples is None else samples) * self.world_size
        self._note_place(has_taken=batch >= 0 or self._has_batch)
        if batch < 0:
            batch = self._batch + 1
            self.samples += samples or 0
        self._batch = batch
        ring = self._ring
        if ring is None:
            return
        if self._unsent:
            self._send_unsent()
        if values is not None:
            metrics = {**values, **metrics}
        numbers = self._metrics.numbers(metrics)
        sources = self._sources
        if sources is None:
            sources = self._make_sources()
        parts = _parts.encode(sources)
        self._last_parts = parts
        image = b"" if not state or self._is_placeless else self._full_image(state, len(parts))
        ring.append_snapshot(
            self._metrics.layout,
            self._global_step,
            (
                self._global_step,
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

    def _warn_unchanged(self) -> None:
        """Tell of what was registered and stays as it is, while the loop goes on with something else."""
        before, self._unchanged = self._unchanged, {}
        for name, was in before.items():
            if digest(self._components[name].state()) == was:
                self._warn(
                    f"'{name}' has not changed in {_STEPS_THAT_CHANGE} steps. If the loop assigns a new "
                    f"value to its own variable, that one is not saved: change it in place ('{name}[...] = "
                    f"...'), or set run.values.{name} where it is a tree of JAX"
                )

    def safepoint(self) -> None:
        """Show that the trainer lives, in long loops without steps, and let the supervisor's requests in.

        A state that is saved here is the one after the last step: what came since is made again.
        """
        ring = self._ring
        if ring is None:
            return
        if self._unsent:
            self._send_unsent()
        ring.beat()
        request = ring.pending_request()
        # With a batch half used nothing agrees; after the last one a resume would find none: the next step
        # answers.
        if request is None or (self._ends_pass and request.kind != at.REQUEST_CANCEL):
            return
        # A state that is held on to agrees, whatever validation's own loaders have given since.
        if self._captured is not None or self._is_between_steps():
            self._answer(request)
            self._staged = None

    def _is_between_steps(self) -> bool:
        """Whether the state is that of the last step still, as far as is known."""
        if self._has_batch or any(loader.outstanding for loader in self._loaders):
            return False
        return self._ring is None or not self._last_parts or not self._has_drawn()

    def _note_place(self, *, has_taken: bool) -> None:
        """Learn from a step whether a resume would find the loop where it stands now."""
        self._has_batch = False
        self._staged = None
        if has_taken:
            self._has_place = True
            self._steps_of_batch = 1
        elif any(loader._is_between_batches for loader in self._loaders):
            self._steps_of_batch += 1
            self._most_steps_of_batch = max(self._most_steps_of_batch, self._steps_of_batch)
            self._warn(
                "a step took no new batch of the loader that is being read, and after each step a resume "
                "goes on with the next batch. Make one step of each batch, and read none ahead of its step"
            )
        else:
            self._steps_of_batch = 0
        if self._unchanged and self._global_step == self._compare_at:
            self._warn_unchanged()
        self._is_placeless = self._began and not self._has_place and self._is_own_loop
        if self._is_placeless and self._batch == 1:
            self._warn(
                "steps are made within epochs() without run.loader(), run.batches() or run.batch. A resume "
                "would not know where in its epoch the loop stands, so the state is saved at the end of each "
                "epoch only"
            )

    @contextmanager
    def phase(self, name: str) -> Iterator[None]:
        """Say what the loop does inside: `with run.phase("validation"): ...`; any other name counts too.

        Validation leaves the global random streams as they were: whatever it draws, and however often it is
        made, training goes on with the same numbers. Begin a phase between two steps.
        """
        before = self._phase
        # A state that a resumed head has yet to change back is none.
        if self._captured is None and not self._head.is_resumed and self._is_between_steps():
            self._hold()
        self._phase = _PHASES.get(name, 2)
        streams = undisturbed() if self._phase == _PHASES["validation"] else nullcontext()
        try:
            with streams:
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
            self._is_placeless = self._lacks_gradients = False
            self._is_finishing = True
            self._stager.finish(self._global_step)
            self._warn_unsaved()
        self.is_finished = True

    def fail(self, error: BaseException) -> None:
        """Tell the supervisor of an error that this program handles itself before it ends."""
        self._tell(at.RECORD_FAILURE, _failures.encode(type(error), error, error.__traceback__))
        self._flush()

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
        return _checkpoints.publish(directory, image, self._loop_state(), self.hyperparameters)

    def load(self, path: PathLike, *, weights_only: bool = False, strict: bool = True) -> None:
        """Load a checkpoint, after verifying it; a run that the supervisor resumes ignores this.

        Args:
            path: a checkpoint's directory, or a `.safetensors` file of one.
            weights_only: only the modules; the run begins at step 0, with today's random numbers.
            strict: whether the checkpoint must have exactly the components that are registered.
        """
        path = local_path(path)
        # After a restore() that begins it is not ignored: the first attempt loaded it there too.
        begins = self._restored and self.resumed_from is None
        if self._resume is not None and self._resume.point is not None and not begins:
            return
        self._restored = True
        Restorer(self).load(path, weights_only=weights_only, strict=strict)
        if self._global_step == 0:
            self._stage_initially()
