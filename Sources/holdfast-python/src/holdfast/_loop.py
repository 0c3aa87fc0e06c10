"""The position of a run's loop, and which state can be saved: shared by run, loaders and frameworks.

Invariants:

- A resume is complete right before the first batch is used, not earlier: `before_batch`.
- `save_point` alone decides what a request for the state gets; `captured` is set only while it is `CAPTURED`.
"""

from __future__ import annotations

import threading
from typing import Any, Callable

from . import _random
from ._capture import Captured, capture
from ._errors import HoldfastError
from ._head import EPOCH_PREFIX, Head
from ._image import ImageWriter, LoopState, flatten
from ._loop_checks import LoopChecks
from ._loop_ends import LoopEnds
from ._parts import decode
from ._registered import Registered
from ._run_part import RunPart
from ._save_point import SavePoint


class Loop:
    """The loop of one run.

    Args:
        restore: restores the run, if that has not been done yet.
        warn: prints a warning, once.
        records_rng: whether the global random streams are saved.
        is_recorded: whether a supervisor records the run.
        rank: of this process.
        world_size: number of ranks.
        skip: (epoch, batch) pairs to skip.
    """

    def __init__(
        self,
        restore: Callable[[], bool],
        warn: Callable[[str], None],
        *,
        records_rng: bool,
        is_recorded: bool,
        rank: int = 0,
        world_size: int = 1,
        skip: frozenset[tuple[int, int]] = frozenset(),
    ) -> None:
        self.restore = restore
        self.warn = warn
        self.is_recorded = is_recorded
        self.rank = rank
        self.world_size = world_size
        self.skip = skip
        self.registered = Registered(self._own_part, records_rng=records_rng)
        self.checks = LoopChecks(self.registered, warn)
        self._head = Head(self.registered)
        self._ends = LoopEnds(self.registered)
        # Counters.
        self.step = 0
        self.epoch = 0
        self.batch = 0
        self.samples = 0
        self.optimizer_steps = 0
        # Whether the loop is the program's own, not a framework's, and whether it is within `epochs()`.
        self.is_own = True
        self.is_in_epochs = False
        # The program's calls of epochs(), in order: the current one, the number that this process has begun,
        # and the number of epochs in those.
        self.number = 0
        self._begun = 0
        self._epochs_begun = 0
        self.thread = threading.get_ident()
        # Name of another thread that reads a loader.
        self.reader: str | None = None
        # The end of the loop.
        self.is_stopped = False
        self.stops_at_once = False
        self.is_complete = False
        # Whether it resumed from the state that finish() saved.
        self.was_finished = False
        # The resume, and the streams to be set before the first batch.
        self.is_restored = False
        self.resumed_from: int | None = None
        self.pending: dict[str, bytes] = {}
        # True until the first step: the loop begins when it reads the position of the run.
        self._begins = False
        # The state that can be saved.
        self.save_point = SavePoint.STEP
        self.captured: Captured | HoldfastError | None = None
        # Random streams at the end of the loop.
        self._ending: LoopState | None = None
        # The position in the epoch, if it is known from a loader, batches() or run.batch.
        self._has_place = False
        self._has_batch = False
        self._last_batch = -1
        self._steps_of_batch = 0
        self._most_steps_of_batch = 1
        # Whether the last step used the last batch of its epoch; a framework's loop sets `is_last_batch`.
        self.ends_epoch = False
        self.is_last_batch = False

    def _own_part(self) -> bytes:
        return RunPart(
            self.optimizer_steps, self.world_size, self.is_stopped, self.stops_at_once, self.is_complete
        ).packed()

    def state(self) -> LoopState:
        """Return the current loop state, for an image."""
        parts = self.registered.parts()
        if self.is_in_epochs:
            parts += self._head.parts(parts)
            parts += self._ends.parts(self.number)
        return LoopState(self.step, self.epoch, self.batch, self.samples, parts)

    # The beginning of the loop

    def begin(self) -> None:
        """Begin the loop after restore(), and record the state for later checks."""
        self._begins = True
        self.checks.forget_staged(again=True)
        if self.is_recorded:
            self.checks.begin(self.step)

    def note_step_read(self) -> None:
        """Begin a loop such as `while run.global_step < n`, with the streams that restore() has set."""
        if self._begins and not self.is_in_epochs and self.is_own:
            self._end_beginning()
            self.pending = {}

    def note_batch_read(self) -> None:
        """Begin a loop such as `range(run.batch, n)`, which knows its position."""
        if self.is_in_epochs and self.is_own and self._last_batch < 0:
            self._has_place = True
            self.before_batch()

    def _end_beginning(self) -> None:
        self._begins = False
        if not self.is_in_epochs and self.resumed_from is not None and self.is_own:
            self.checks.check_drawn()

    def use_image(self, image: Any, state: LoopState) -> None:
        """Use the image that the run was restored from: completed loops, and the head of its epoch."""
        self.number = self._ends.use_parts(state.parts)
        self._head.use_image(image, state)

    def use_adapted(self) -> None:
        """Keep what was changed on purpose right after the image was loaded."""
        self._head.use_adapted()

    # Loops over epochs

    def enter(self, total: int) -> bool:
        """Enter an `epochs()` loop of the program; return False if the run has already completed it.

        Raises:
            HoldfastError: earlier loops have already had `total` epochs.
        """
        number, self._begun = self._begun, self._begun + 1
        before, self._epochs_begun = self._epochs_begun, max(self._epochs_begun, total)
        if number < self.number:
            # The code after that loop runs again, and must draw the same numbers.
            self._ends.set_streams(number)
            return False
        if number > self.number:
            self._begin_another(number, before, total)
        elif number and (not self.batch or self.was_finished):
            # The state already includes what the program does before this loop.
            self._head.end()
        self.is_in_epochs = True
        return True

    def _begin_another(self, number: int, epoch: int, total: int) -> None:
        """Begin another loop, at the epoch where the previous one would have ended if nothing had stopped it.

        Completion and stop requests belong to the previous loop.
        """
        if total <= epoch:
            raise HoldfastError(
                f"epochs({total}) counts the epochs of the whole run, and earlier loops had {epoch}",
                hint=f"use run.epochs({epoch + total}) for {total} more",
            )
        self.number = number
        self.is_complete = self.was_finished = False
        self.is_stopped = self.stops_at_once = False
        self._ending = None
        self.checks.forget_staged()
        self.begin_epoch(epoch)

    def record_end(self, number: int) -> None:
        """Record the random streams at the end of a loop, because a resume repeats the code after it."""
        self._ends.record(number)

    # Epochs

    def begin_head(self, *, is_restored_here: bool) -> None:
        """Begin the part of an epoch before its first batch.

        Args:
            is_restored_here: whether the state was restored just now, so that nothing can have changed it.
        """
        self._has_place = False
        if self.pending and self.batch:
            # The state already includes what a program changes before its second or a later loop.
            self._head.resume(self.pending, is_restored_here=is_restored_here or self.number > 0)
            self.save_point = SavePoint.RESUMED_HEAD
            return
        self.set_pending()
        self._head.forget()
        self._head.begin()
        if self.save_point is not SavePoint.MICRO_BATCH:
            self.save_point = SavePoint.STEP
        # Between two epochs the state is consistent; requests during the head get this state.
        self.capture()

    def begin_epoch(self, epoch: int) -> None:
        """Begin an epoch."""
        self.epoch = epoch
        self.batch = 0
        self._steps_of_batch = 0
        self.release_captured()
        if self.save_point in (SavePoint.PASS_END, SavePoint.BATCH_PART):
            self.save_point = SavePoint.STEP
        self.registered.forget_sources()
        for loader in self.registered.loaders:
            loader.begin_epoch()

    def end(self) -> None:
        """End the loop; record the random streams, with which a resume repeats the code after it."""
        self._ending = self.state()

    # Batches

    def before_batch(self) -> None:
        """Complete a resume, right before its first batch is used.

        At this moment streams, and everything that the epoch's head has changed, are as in the resume point.
        """
        if self._begins:
            self._end_beginning()
        if self.pending:
            if self.save_point is SavePoint.RESUMED_HEAD:
                self._head.end()
                self.save_point = SavePoint.STEP
            self.set_pending()

    def set_pending(self) -> None:
        """Set the random streams to those of the resume point, if that has not been done yet."""
        if self.pending:
            _random.set_streams(self.registered.streams(), self.pending)
            self.pending = {}

    def compare_with_saved(self) -> None:
        """Warn about changes after a step whose state was saved; called when the next batch is requested."""
        self.checks.compare_with_staged(self.step)

    def begin_batch(self, number: int, count: int) -> None:
        """Begin a batch of a loop without a loader."""
        self.before_batch()
        self.compare_with_saved()
        self.batch = number
        self._last_batch = count - 1
        self._has_place = self._has_batch = True

    def end_batches(self) -> None:
        """End a loop over batches without a loader."""
        self._last_batch = -1
        self._has_batch = False
        self.compare_with_saved()
        self.after_pass()

    def after_pass(self) -> None:
        """Capture the state after the last step of a pass, before later code changes it."""
        self.before_batch()
        self.capture()

    def is_between_steps(self) -> bool:
        """Return whether the state is still that of the last step, as far as is known."""
        if self._has_batch or any(loader.outstanding for loader in self.registered.loaders):
            return False
        return not self.is_recorded or not self.checks.has_drawn()

    # Steps

    def end_step(self, *, optimizer_stepped: bool, samples: int | None) -> None:
        """Count a step, and determine which state can be saved after it."""
        self._begins = self.is_complete = False
        self._ending = None
        self.pending = {}
        self._head.forget()
        self.step += 1
        if optimizer_stepped:
            self.optimizer_steps += 1
        self.captured = None
        batch = -1
        ends_pass = self._last_batch == self.batch
        self.ends_epoch = ends_pass if self.is_own else self.is_last_batch
        for loader in self.registered.loaders:
            if loader.outstanding:
                counted = loader.count_given()
                if batch < 0:
                    batch = loader.position
                    # The loop of a framework continues correctly after the last batch of a pass.
                    ends_pass = self.is_own and batch == loader.total
                    self.ends_epoch = self.ends_epoch or ends_pass
                    self.samples += (counted if samples is None else samples) * self.world_size
        self._note_place(has_new_batch=batch >= 0 or self._has_batch)
        self._has_batch = False
        if batch < 0:
            batch = self.batch + 1
            self.samples += samples or 0
        lacks_gradients = not (optimizer_stepped or self.registered.saves_gradients)
        self.save_point = self._after_step(lacks_gradients=lacks_gradients, ends_pass=ends_pass)
        self.batch = batch

    def _after_step(self, *, lacks_gradients: bool, ends_pass: bool) -> SavePoint:
        if self.is_in_epochs and not self._has_place and self.is_own:
            # Not at the first step of an epoch, where nothing is known yet.
            if self.batch == 1:
                self.warn(
                    "the loop within epochs() uses none of run.loader(), run.batches() and run.batch, so a "
                    "resume cannot find its position in the epoch: the state is saved at the end of each "
                    "epoch only"
                )
            return SavePoint.NO_PLACE
        if lacks_gradients:
            return SavePoint.MICRO_BATCH
        if 0 < self._steps_of_batch < self._most_steps_of_batch:
            return SavePoint.BATCH_PART
        return SavePoint.PASS_END if ends_pass else SavePoint.STEP

    def _note_place(self, *, has_new_batch: bool) -> None:
        """Find out at a step whether a resume could continue from the current position."""
        self.checks.forget_staged()
        if has_new_batch:
            self._has_place = True
            self._steps_of_batch = 1
        elif any(loader.is_between_batches for loader in self.registered.loaders):
            self._steps_of_batch += 1
            self._most_steps_of_batch = max(self._most_steps_of_batch, self._steps_of_batch)
            self.warn(
                "a step used no new batch of the loader that is being read, but after each step a resume "
                "continues with the next batch; make one step per batch, and read no batch ahead of its step"
            )
        else:
            self._steps_of_batch = 0
        self.checks.warn_unchanged(self.step)

    def complete(self) -> None:
        """Make the state that is saved next the final one."""
        self.release_captured()
        if self.save_point in (SavePoint.NO_PLACE, SavePoint.MICRO_BATCH):
            self.save_point = SavePoint.STEP
        self.is_complete = True

    # The state that can be saved

    def capture(self) -> None:
        """Capture the current state, for requests that arrive while it changes."""
        if not self.is_recorded or not self.is_restored:
            return
        if self.save_point not in (SavePoint.STEP, SavePoint.CAPTURED, SavePoint.BATCH_PART):
            return
        try:
            self.captured = capture(flatten(self.registered.states()), self.state())
        except HoldfastError as error:
            # Reported when the state is requested; it must not end the training.
            self.captured = error
        self.save_point = SavePoint.CAPTURED

    def release_captured(self) -> None:
        """Discard the captured state; from now on, requests get the current state."""
        self.captured = None
        if self.save_point is SavePoint.CAPTURED:
            self.save_point = SavePoint.STEP

    def image(self) -> ImageWriter | None:
        """Return the image to save; None if the captured state has changed."""
        captured = self.captured
        if captured is None:
            state, now = flatten(self.registered.states()), self.state()
            if self.is_complete:
                now = self._final(now)
            elif self.is_own:
                self.checks.remember_staged(state, now)
            return ImageWriter(state, now)
        if isinstance(captured, HoldfastError):
            raise captured
        changed = captured.changed()
        if changed is not None:
            self.warn(f"'{changed}' changed after the last step; the state of the next step is saved instead")
            return None
        return ImageWriter(captured.state, captured.loop)

    def _final(self, now: LoopState) -> LoopState:
        """Return the final loop state, with the streams for a resume that repeats the code after the loop."""
        before = self._ending.parts if self._ending is not None else decode(self.checks.last_parts)
        streams = {part.name: part for part in before if part.kind == "rng"}
        parts = tuple(
            streams.get(part.name, part) if part.kind == "rng" else part
            for part in now.parts
            if not part.name.startswith(EPOCH_PREFIX)
        )
        return now._replace(parts=parts)
