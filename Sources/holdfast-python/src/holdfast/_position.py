"""Where a loader stands: its part of a snapshot, and whether another loader can go on from there."""

from __future__ import annotations

import struct
from typing import Any, NamedTuple

from ._errors import HoldfastError
from ._image import ImageReader, ImageWriter, LoopState, flatten

_LAYOUT = struct.Struct("<QQQQQQQIIIB")
NO_LENGTH = (1 << 64) - 1
# Flags: steps consumed the data; of what kind it is, and where its order comes from.
TRAINED = 1
ITERABLE = 2
SHUFFLED = 4
SAMPLER = 8


class Position(NamedTuple):
    """A loader's part of a snapshot.

    Attributes:
        epoch: of the pass.
        begin_step: global step at which the pass began.
        batch: batches consumed in it.
        samples: likewise.
        seed: of the loader.
        length: samples of the data; `NO_LENGTH` where that is not known.
        total: batches of a pass; likewise.
        crc: CRC-32 of the order, or of the batches, so far.
        batch_size: 0 where batches are another's.
        workers: number of them.
        flags: see above.
        extra: state of the data itself, packed.
    """

    epoch: int
    begin_step: int
    batch: int
    samples: int
    seed: int
    length: int
    total: int
    crc: int
    batch_size: int
    workers: int
    flags: int
    extra: bytes = b""

    def packed(self) -> bytes:
        """Return the bytes of it."""
        return _LAYOUT.pack(*self[:-1]) + self.extra


def unpacked(data: bytes) -> Position:
    """Return a position of its bytes."""
    return Position._make((*_LAYOUT.unpack_from(data), data[_LAYOUT.size :]))


def is_unfinished(saved: Position) -> bool:
    """Whether it is in the middle of a pass; batches are consumed by steps alone."""
    return bool(saved.batch) and saved.batch != saved.total


def check_claimed(positions: dict[str, bytes]) -> None:
    """Refuse a step while a loader that was training in the middle of a pass is not there.

    Not as soon as a batch is read: one of validation may be before the training loader is made.

    Args:
        positions: by the names of the loaders that have not been made again.

    Raises:
        HoldfastError: samples would be trained again that the interrupted pass has consumed.
    """
    for name, data in positions.items():
        saved = unpacked(data)
        if is_unfinished(saved):
            raise HoldfastError(
                f"loader '{name}' was in the middle of epoch {saved.epoch}, after {saved.batch} batches, "
                "and this program has no loader of that name",
                hint=f'make it under its name again: run.loader(..., name="{name}"); rename between epochs',
            )


def check(name: str, saved: Position, now: Position) -> None:
    """Refuse to go on with other data in the middle of a pass; between passes it is the user's right.

    Args:
        name: of the loader.
        saved: where the run stood.
        now: of the loader as it was made this time.

    Raises:
        HoldfastError: it would give other batches.
    """
    if not is_unfinished(saved):
        return
    changed = []
    if (saved.flags ^ now.flags) & ITERABLE:
        changed.append("an iterable dataset became a map-style one, or the reverse")
    if (saved.flags ^ now.flags) & (SHUFFLED | SAMPLER):
        changed.append(f"the order was {_order(saved.flags)}, now {_order(now.flags)}")
    if saved.length != now.length:
        changed.append(f"the dataset had {saved.length} samples, now {now.length}")
    if saved.batch_size != now.batch_size:
        changed.append(f"the batch size was {saved.batch_size}, now {now.batch_size}")
    # Map-style data is the same for any number of workers.
    if now.flags & ITERABLE and saved.workers != now.workers:
        changed.append(f"{saved.workers} workers shared the data, now {now.workers}")
    if changed:
        raise HoldfastError(
            f"loader '{name}' cannot continue in the middle of epoch {saved.epoch}: " + "; ".join(changed),
            hint="resume with the same data and batch size; change them between epochs",
        )


def _order(flags: int) -> str:
    return "a sampler's" if flags & SAMPLER else "shuffled" if flags & SHUFFLED else "that of the dataset"


def pack_state(state: Any) -> bytes:
    """Return the bytes of the data's own state."""
    return bytes(ImageWriter(flatten({"state": state}), LoopState()).to_bytes())


def unpack_state(data: bytes) -> Any:
    """Return the data's own state of its bytes."""
    return ImageReader(memoryview(bytearray(data))).component("state")
