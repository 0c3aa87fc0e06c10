"""Where the loop of a run stands, and what of it may be saved: what run, loaders and frameworks share.

Invariants:

- A resume is complete right before the first batch is used, and not earlier: `before_batch`.
- `save_point` alone decides what a request for the state gets; `captured` is set only where it is `CAPTURED`.
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
        restore: continues where the run stood, if that is not done yet.
        warn: shows a warning, once.
        records_rng: whether the global random streams are saved.
        is_recorded: whether a supervisor records the run.
        rank: of this process.
        world_size: number of ranks.
        skip: (epoch, batch) that are left out.
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
        # What the loop is: the program's own and no framework's; within `epochs()`.
        self.is_own = True
        self.is_in_epochs = False
        # The program's calls of epochs(), in its order: the one that the run is in, how many this process has
        # begun, and how many epochs there are in those.
        self.number = 0
        self._begun = 0
        self._epochs_begun = 0
        self.thread = threading.get_ident()
        # Another thread that reads a loader.
        self.reader: str | None = None
        # How it ends.
        self.is_stopped = False
        self.stops_at_once = False
        self.is_complete = False
        # Resumed from the state that finish() saved.
        self.was_finished = False
        # How it was resumed: streams to be set before the first batch.
        self.is_restored = False
        self.resumed_from: int | None = None
        self.pending: dict[str, bytes] = {}
        # Until the first step: reading where the run stands means that the loop begins.
        self._begins = False
        # What may be saved.
        self.save_point = SavePoint.STEP
        self.captured: Captured | HoldfastError | None = None
        # Random streams as they were when the loop had ended.
        self._ending: LoopState | None = None
        # Where in its epoch the loop stands, as far as it shows: by a loader, by batches(), or by run.batch.
        self._has_place = False
        self._has_batch = False
        self._last_batch = -1
        self._steps_of_batch = 0
        self._most_steps_of_batch = 1

    def _own_part(self) -> bytes:
        return RunPart(
            self.optimizer_steps, self.world_size, self.is_stopped, self.stops_at_once, self.is_complete
        ).packed()

    def state(self) -> LoopState:
        """Return the loop state of an image as it is now."""
        parts = self.registered.parts()
        if self.is_in_epochs:
            parts += self._head.parts(parts)
            parts += self._ends.parts(self.number)
        return LoopState(self.step, self.epoch, self.batch, self.samples, parts)

    # Where the loop begins

    def begin(self) -> None:
        """Begin the loop after restore(), and remember how everything is."""
        self._begins = True
        self.checks.forget_staged(again=True)
        if self.is_recorded:
            self.checks.begin(self.step)

    def note_step_read(self) -> None:
        """Begin `while run.global_step < n`, with the streams as restore() has set them."""
        if self._begins and not self.is_in_epochs and self.is_own:
            self._end_beginning()
            self.pending = {}

    def note_batch_read(self) -> None:
        """Begin `range(run.batch, n)`: the loop knows where it stands."""
        if self.is_in_epochs and self.is_own and self._last_batch < 0:
            self._has_place = True
            self.before_batch()

    def _end_beginning(self) -> None:
        self._begins = False
        if not self.is_in_epochs and self.resumed_from is not None and self.is_own:
            self.checks.check_drawn()

    def use_image(self, image: Any, state: LoopState) -> None:
        """Remember the image that the run was restored from: loops that are over, the head of its epoch."""
        self.number = self._ends.use_parts(state.parts)
        self._head.use_image(image, state)

    # Loops over epochs

    def enter(self, total: int) -> bool:
        """Come to an `epochs()` of the program; returns whether the run is in it now, and not behind it.

        Raises:
            HoldfastError: the loops before have had `total` epochs.
        """
        number, self._begun = self._begun, self._begun + 1
        before, self._epochs_begun = self._epochs_begun, max(self._epochs_begun, total)
        if number < self.number:
            # What follows it is made again, and draws what it drew.
            self._ends.set_streams(number)
            return False
        if number > self.number:
            self._begin_another(number, before, total)
        elif number and (not self.batch or self.was_finished):
            # The state has behind it what the program does before this loop.
            self._head.end()
        self.is_in_epochs = True
        return True

    def _begin_another(self, number: int, epoch: int, total: int) -> None:
        """Begin another loop, where the one before would have ended if nothing had stopped it.

        What was complete, or was to stop, is the one before.
        """
        if total <= epoch:
            raise HoldfastError(
                f"epochs({total}) counts the epochs of the whole run, and the loops before it had {epoch}",
                hint=f"run.epochs({epoch + total}) for {total} more",
            )
        self.number = number
        self.is_complete = self.was_finished = False
        self.is_stopped = self.stops_at_once = False
        self._ending = None
        self.checks.forget_staged()
        self.begin_epoch(epoch)

    def record_end(self, number: int) -> None:
        """Record how the random streams are at the end of a loop, for what follows it to be made again."""
        self._ends.record(number)

    # Epochs

    def begin_head(self, *, is_restored_here: bool) -> None:
        """Begin what comes before the first batch of an epoch.

        Args:
            is_restored_here: whether the state was restored right now, and nobody can have changed it since.
        """
        self._has_place = False
        if self.pending and self.batch:
            # What a program changes before a loop after the first is behind the state.
            self._head.resume(self.pending, is_restored_here=is_restored_here or self.number > 0)
            self.save_point = SavePoint.RESUMED_HEAD
            return
        self.set_pending()
        self._head.forget()
        self._head.begin()
        if self.save_point is not SavePoint.MICRO_BATCH:
            self.save_point = SavePoint.STEP
        # The epoch before is over and nothing of this one is done: everything agrees here, and is what a
        # request during the head gets.
        self.capture()

    def begin_epoch(self, epoch: int) -> None:
        """Begin an epoch, of which nothing is done."""
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
        """End the loop: what follows it draws the same numbers if it is made again."""
        self._ending = self.state()

    # Batches

    def before_batch(self) -> None:
        """Begin the loop's body: right before the first batch after a resume is used.

        This is the one moment at which a resume is complete: streams, and what the epoch's head has changed,
        are as the resume point has them.
        """
        if self._begins:
            self._end_beginning()
        if self.pending:
            if self.save_point is SavePoint.RESUMED_HEAD:
                self._head.end()
                self.save_point = SavePoint.STEP
            self.set_pending()

    def set_pending(self) -> None:
        """Set the random streams as the resume point has them, if that is not done yet."""
        if self.pending:
            _random.set_streams(self.registered.streams(), self.pending)
            self.pending = {}

    def compare_with_saved(self) -> None:
        """Warn of what changed after a step whose state was saved, when the next batch is asked for."""
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
        """Capture the state after the last step of a pass, before what follows changes it."""
        self.before_batch()
        self.capture()

    def is_between_steps(self) -> bool:
        """Whether the state is that of the last step still, as far as is known."""
        if self._has_batch or any(loader.outstanding for loader in self.registered.loaders):
            return False
        return not self.is_recorded or not self.checks.has_drawn()

    # Steps

    def end_step(self, *, optimizer_stepped: bool, samples: int | None) -> None:
        """Count a step, and find what may be saved after it."""
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
        for loader in self.registered.loaders:
            if loader.outstanding:
                counted = loader.count_given()
                if batch < 0:
                    batch = loader.position
                    # A framework's loop goes on rightly after the last batch of a pass.
                    ends_pass = self.is_own and batch == loader.total
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
            # With the counter of the step before: the first step of an epoch shows nothing yet.
            if self.batch == 1:
                self.warn(
                    "steps are made within epochs() without run.loader(), run.batches() or run.batch. A "
                    "resume would not know where in its epoch the loop stands, so the state is saved at the "
                    "end of each epoch only"
                )
            return SavePoint.NO_PLACE
        if lacks_gradients:
            return SavePoint.MICRO_BATCH
        if 0 < self._steps_of_batch < self._most_steps_of_batch:
            return SavePoint.BATCH_PART
        return SavePoint.PASS_END if ends_pass else SavePoint.STEP

    def _note_place(self, *, has_new_batch: bool) -> None:
        """Learn from a step whether a resume would find the loop where it stands now."""
        self.checks.forget_staged()
        if has_new_batch:
            self._has_place = True
            self._steps_of_batch = 1
        elif any(loader.is_between_batches for loader in self.registered.loaders):
            self._steps_of_batch += 1
            self._most_steps_of_batch = max(self._most_steps_of_batch, self._steps_of_batch)
            self.warn(
                "a step took no new batch of the loader that is being read, and after each step a resume "
                "goes on with the next batch. Make one step of each batch, and read none ahead of its step"
            )
        else:
            self._steps_of_batch = 0
        self.checks.warn_unchanged(self.step)

    def complete(self) -> None:
        """Let the state that is saved next be the final one."""
        self.release_captured()
        if self.save_point in (SavePoint.NO_PLACE, SavePoint.MICRO_BATCH):
            self.save_point = SavePoint.STEP
        self.is_complete = True

    # What may be saved

    def capture(self) -> None:
        """Capture the state as it is now, for requests that come while it changes."""
        if not self.is_recorded or not self.is_restored:
            return
        if self.save_point not in (SavePoint.STEP, SavePoint.CAPTURED, SavePoint.BATCH_PART):
            return
        try:
            self.captured = capture(flatten(self.registered.states()), self.state())
        except HoldfastError as error:
            # Reported when the state is asked for; it does not end a healthy training.
            self.captured = error
        self.save_point = SavePoint.CAPTURED

    def release_captured(self) -> None:
        """Save the state as it is from now on."""
        self.captured = None
        if self.save_point is SavePoint.CAPTURED:
            self.save_point = SavePoint.STEP

    def image(self) -> ImageWriter | None:
        """Return the image to save; None where the captured state was changed."""
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
            self.warn(f"'{changed}' changed after the last step: the next step's state is saved instead")
            return None
        return ImageWriter(captured.state, captured.loop)

    def _final(self, now: LoopState) -> LoopState:
        """Return the final loop state: what follows the loop draws the same numbers if it is made again."""
        before = self._ending.parts if self._ending is not None else decode(self.checks.last_parts)
        streams = {part.name: part for part in before if part.kind == "rng"}
        parts = tuple(
            streams.get(part.name, part) if part.kind == "rng" else part
            for part in now.parts
            if not part.name.startswith(EPOCH_PREFIX)
        )
        return now._replace(parts=parts)
