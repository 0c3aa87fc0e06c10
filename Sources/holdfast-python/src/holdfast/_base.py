"""What a run is made of: its components, streams and loaders, and how their state is taken and sent."""

from __future__ import annotations

import json
import struct
import sys
import threading
from pathlib import Path
from typing import Any, Callable

from . import _layout as at
from . import _parts, _random, _witness
from ._capture import Captured, capture
from ._components import MODES, Component
from ._documents import ResumeFile, Scalar
from ._errors import HoldfastError
from ._head import EPOCH_PREFIX, Head
from ._image import ImageWriter, LoopState, Part, flatten
from ._metrics import Metrics
from ._ring import Request, RingWriter
from ._stager import Stager

# The run's own part of a snapshot: optimizer steps, world size, whether the run is to stop.
LOOP = struct.Struct("<QQB")
LOOP_PART = "holdfast"
# In images, from the second `epochs()` of a program on: for each of them that ended, how the random streams
# were then. With its number, from 0, and the stream's name.
LOOP_END_PREFIX = "loop."
STOPPED = 75
# Flags of it: the run is to stop after this epoch; before the next batch; it is finished.
STOPS = 1
STOPS_AT_ONCE = 2
FINISHED = 4
# States that are compared with what the loop has when it comes back for the next batch.
_COMPARED = 3


class _Forked:
    """Stands for the ring in a process that was forked after the run was attached."""

    def __getattr__(self, name: str) -> Any:
        raise HoldfastError(
            "this process was forked after the run was attached, and may not use it",
            hint="call step(), safepoint() and finish() only in the process that called attach()",
        )


class RunBase:
    """The inside of a `Run`."""

    def __init__(
        self,
        directory: Path | None = None,
        ring: RingWriter | None = None,
        resume: ResumeFile | None = None,
        *,
        rng: bool = True,
    ) -> None:
        self._global_step = 0
        self.epoch = 0
        self._batch = 0
        self.samples = 0
        self.optimizer_steps = 0
        self.resumed_from: int | None = None
        self.hyperparameters: dict[str, Scalar] = {}
        self.state: dict[str, Any] | None = None
        self.is_finished = False
        self._is_finishing = False
        # Random streams as they were when the loop had ended.
        self._ending: LoopState | None = None
        self._directory = directory
        self._ring: Any = ring
        self._resume = resume
        self._stager = None if ring is None or directory is None else Stager(directory, ring, self._image)
        # What a full ring had no room for yet; the stager's own list.
        self._unsent = [] if self._stager is None else self._stager.unsent
        self._components: dict[str, Component] = {}
        self._streams: list[_random.Stream] = []
        self._loaders: list[Any] = []
        self._records_rng = rng
        self._save_hooks: list[Callable[[dict[str, Any]], None]] = []
        self._load_hooks: list[Callable[[dict[str, Any]], None]] = []
        self._pending: dict[str, bytes] = {}
        # Streams as they were before the first step, where the run goes on from there.
        self._at_beginning: dict[str, bytes] = {}
        # False where training begins later than restore().
        self._stages_at_restore = True
        self._saved_loaders: dict[str, bytes] = {}
        # Until the first step after a resume: whether all that were in mid-pass are there again.
        self._must_claim = False
        self._restored = False
        self._began = False
        # The program's calls of epochs(), in its order: the one that the run is in, how many this process has
        # begun, and how many epochs there are in those.
        self._loop_number = 0
        self._loops = 0
        self._loops_total = 0
        # Random streams at the ends of those before.
        self._loop_ends: dict[int, dict[str, bytes]] = {}
        self._leaving = False
        self._stopped = False
        self._stops_at_once = False
        # Resumed from the state that finish() saved.
        self._was_finished = False
        self._thread = threading.get_ident()
        # Another thread that reads a loader.
        self._reader: str | None = None
        self._head = Head(self)
        # Parts of the last step, and whether restore() has just been called by the loop itself.
        self._last_parts = b""
        self._restored_by_loop = False
        # Until the first step: reading where the run stands tells that the loop begins.
        self._begins = False
        # The loop knows where in its epoch it stands: by a loader, by batches(), or by run.batch.
        self._has_place = False
        self._is_placeless = False
        self._has_batch = False
        self._steps_of_batch = 0
        self._most_steps_of_batch = 1
        self._compared = 0
        # Digests, when the run was restored, of what each step must change.
        self._unchanged: dict[str, bytes] = {}
        self._compare_at = 0
        self._staged: Captured | None = None
        self._phase = 0
        self._captured: Captured | HoldfastError | None = None
        self._last_batch = -1
        self._ends_pass = False
        self._deferred = 0
        self._saves_gradients = False
        # Between micro-batches a state without gradients is no place to resume at.
        self._lacks_gradients = False
        # False where the loop itself goes on rightly after the last batch of a pass.
        self._defers_last_batch = True
        self._sources: list[_parts.Source] | None = None
        self._metrics = Metrics(lambda names: self._tell(at.RECORD_METRIC_NAMES, names))
        self._attached_record: dict[str, Any] = {}
        self._warned: set[str] = set()

    @property
    def is_supervised(self) -> bool:
        """Whether a supervisor records this run."""
        return self._directory is not None

    @property
    def is_replaying(self) -> bool:
        """Whether the next step was made before, by an attempt that ended."""
        return self._resume is not None and self._global_step < self._resume.last_recorded_step

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

    def _states(self) -> dict[str, Any]:
        states: dict[str, Any] = {name: component.state() for name, component in self._components.items()}
        for hook in self._save_hooks:
            hook(states)
        return states

    def _loop_state(self) -> LoopState:
        parts = _parts.take(self._sources or self._make_sources())
        if self._began:
            parts += self._head.parts(parts)
            parts += self._loop_end_parts()
        return LoopState(self._global_step, self.epoch, self._batch, self.samples, parts)

    def _loop_end_parts(self) -> tuple[Part, ...]:
        return tuple(
            Part("other", f"{LOOP_END_PREFIX}{number}.{name}", data)
            for number in range(self._loop_number)
            for name, data in {"": b"", **self._loop_ends.get(number, {})}.items()
        )

    def _make_sources(self) -> list[_parts.Source]:
        sources = [_parts.Source("other", LOOP_PART, self._own_part)]
        sources += [
            _parts.Source("sampler", loader.name, loader._part, loader._whole_part)
            for loader in self._loaders
        ]
        sources += [_parts.Source("rng", stream.name, stream.get) for stream in self._all_streams()]
        # Only in the records of steps: an image has the whole state.
        witness = _witness.Witness(self._components.values())
        if witness.has_any:
            sources.append(_parts.Source("sampler", _witness.NAME, witness.checksum, is_in_images=False))
        self._sources = sources
        return sources

    def _all_streams(self) -> list[_random.Stream]:
        return [*(_random.global_streams() if self._records_rng else ()), *self._streams]

    def _own_part(self) -> bytes:
        flags = STOPS * self._stopped | STOPS_AT_ONCE * self._stops_at_once | FINISHED * self._is_finishing
        return LOOP.pack(self.optimizer_steps, self.world_size, flags)

    def _warn(self, what: str) -> None:
        if what not in self._warned:
            self._warned.add(what)
            print(f"holdfast: {what}", file=sys.stderr, flush=True)

    def _tell(self, kind: int, payload: bytes) -> None:
        if self._stager is not None:
            self._stager.append(kind, payload)

    def _announce(self, total_epochs: int, batches: int | None = None) -> None:
        """Tell how long the run will be, now that it is known."""
        if batches is None:
            batches = self._loaders[0]._known_length() if self._loaders else None
        record = {**self._attached_record, "total_epochs": total_epochs}
        if batches is not None:
            record.update(batches_per_epoch=batches, total_steps=batches * total_epochs)
        if self._attached_record and record != self._attached_record:
            self._attached_record = record
            self._tell(at.RECORD_ATTACHED, json.dumps(record).encode())

    @property
    def _is_own_loop(self) -> bool:
        """Whether a program's own loop calls this, and no framework's."""
        return self._defers_last_batch

    def _before_batch(self) -> None:
        """Begin the loop's body: right before the first batch after a resume is used.

        This is the one moment at which a resume is complete: streams, and what the epoch's head has changed,
        are as the resume point has them.
        """
        if self._begins:
            self._begins = False
            self._check_drawn()
        if self._pending:
            self._head.end()
            _random.set_streams(self._all_streams(), self._pending)
            self._pending = {}

    def _check_drawn(self) -> None:
        """Tell of random numbers that were drawn between restore() and a loop without `epochs()`."""
        if self._began or self.resumed_from is None or not self._is_own_loop or not self._last_parts:
            return
        drawn = _moved(self._last_parts, _parts.encode(self._make_sources()))
        if drawn:
            self._warn(
                f"between restore() and the loop numbers were drawn from the random stream '{drawn[0]}', "
                "and a resume draws other ones there. A batch that is drawn ahead of its step must be "
                "registered, and drawn only if restore() returns False; draw anything else before restore(), "
                "or in the loop"
            )

    def _has_drawn(self) -> bool:
        """Whether the loop's body has drawn random numbers since the last step."""
        return bool(_moved(self._last_parts, _parts.encode(self._sources or self._make_sources())))

    def _compare_with_staged(self) -> None:
        """Tell of what the loop's body changed after a step whose state was saved."""
        staged, self._staged = self._staged, None
        if staged is None or staged.loop.step != self._global_step:
            return
        try:
            changed = staged.difference(flatten(self._states()), but=MODES)
        except HoldfastError:
            return  # Told when the state is saved.
        if changed is not None:
            self._warn(
                f"'{changed}' changed after run.step(), in the rest of the loop's body, which a resume does "
                "not make again: call run.step() last in the body"
            )

    def _after_pass(self) -> None:
        """Hold on to the state after the last step of a pass, before what follows changes it."""
        self._before_batch()
        self._hold()

    def _loop_at_end(self, now: LoopState) -> LoopState:
        """Return the final loop state: what follows the loop draws the same numbers if it is made again."""
        before = self._ending.parts if self._ending is not None else _parts.decode(self._last_parts)
        streams = {part.name: part for part in before if part.kind == "rng"}
        parts = tuple(
            streams.get(part.name, part) if part.kind == "rng" else part
            for part in now.parts
            if not part.name.startswith(EPOCH_PREFIX)
        )
        return now._replace(parts=parts)

    def _hold(self) -> None:
        """Hold on to the state as it is now."""
        if self._ring is not None and self._restored:
            try:
                self._captured = capture(flatten(self._states()), self._loop_state())
            except HoldfastError as error:
                # Told when the state is asked for; it does not end a healthy training.
                self._captured = error

    def _stage_initially(self) -> None:
        if self._stager is not None:
            self._stager.stage_initially()
            self._warn_unsaved()
            self._staged = None
            # Loaders and streams may still come.
            self._sources = None

    def _send_unsent(self) -> None:
        if self._stager is not None:
            self._stager.send_unsent()

    def _flush(self) -> None:
        if self._stager is not None:
            self._stager.flush()

    def _become_forked(self) -> None:
        self._ring = _Forked()
        if self._stager is not None:
            self._stager.forbid(self._ring)

    def _full_image(self, state: bool | dict[str, Any], parts_bytes: int) -> bytes:
        if self._lacks_gradients:
            raise HoldfastError(
                "a step between micro-batches cannot save the state: the gradients are not in it",
                hint="register(model=model, save_gradients=True), or leave out state=",
            )
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
            state, loop = flatten(self._states()), self._loop_state()
            if self._is_finishing:
                loop = self._loop_at_end(loop)
            elif self._compared < _COMPARED and self._is_own_loop:
                self._compared += 1
                self._staged = capture(state, loop)
            return ImageWriter(state, loop)
        if isinstance(captured, HoldfastError):
            raise captured
        changed = captured.changed()
        if changed is not None:
            self._warn(f"'{changed}' changed after the last step: the next step's state is saved instead")
            return None
        return ImageWriter(captured.state, captured.loop)

    def _answer(self, request: Request) -> None:
        assert self._stager is not None
        is_cancel = request.kind == at.REQUEST_CANCEL
        if not is_cancel and (self._lacks_gradients or self._is_placeless or self._head.is_resumed):
            return
        if not is_cancel and 0 < self._steps_of_batch < self._most_steps_of_batch and self._captured is None:
            return  # More steps of this batch follow.
        # A pass that is resumed after its last batch gives none, and many a program uses after its loop
        # what the loop's body has set. So a request waits for the next step; once, as a pass may have but
        # one batch.
        waits = self._ends_pass and not is_cancel
        if waits and self._deferred != request.sequence:
            self._deferred = request.sequence
            return
        leave = self._stager.answer(request, self._global_step)
        self._warn_unsaved()
        if leave:
            self._leaving = True
            self._stager.flush()
            raise SystemExit(STOPPED)

    def _warn_unsaved(self) -> None:
        if self._stager is not None and self._stager.last_error is not None:
            self._warn(f"the state could not be saved: {self._stager.last_error}")


def _moved(before: bytes, now: bytes) -> list[str]:
    """Return the names of the random streams whose states differ; the arguments are encoded parts."""
    if before == now:
        return []
    states = {part.name: part.data for part in _parts.decode(before) if part.kind == "rng"}
    return [
        part.name
        for part in _parts.decode(now)
        if part.kind == "rng" and states.get(part.name, part.data) != part.data
    ]
