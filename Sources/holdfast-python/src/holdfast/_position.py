"""The position of a loader: its part of a snapshot, and whether another loader can continue from it."""

from __future__ import annotations

import struct
from typing import Any, NamedTuple

from ._errors import HoldfastError
from ._image import ImageReader, ImageWriter, LoopState, flatten

_LAYOUT = struct.Struct("<QQQQQQQIIIB")
NO_LENGTH = (1 << 64) - 1
# Flags: whether steps consumed the data, the kind of data, and the source of its order.
TRAINED = 1
ITERABLE = 2
SHUFFLED = 4
SAMPLER = 8


class Position(NamedTuple):
    """A loader's part of a snapshot.

    Attributes:
        epoch: of the pass.
        begin_step: global step at which the pass began.
        batch: number of batches consumed in the pass.
        samples: number of samples consumed in the pass.
        seed: of the loader.
        length: number of samples of the data; `NO_LENGTH` if it is unknown.
        total: number of batches of a pass; `NO_LENGTH` if it is unknown.
        crc: CRC-32 of the order, or of the batches, so far.
        batch_size: in samples; 0 if a batch sampler or custom loader creates the batches.
        workers: number of workers.
        flags: see above.
        extra: packed state of the data.
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
        """Return the encoded position."""
        return _LAYOUT.pack(*self[:-1]) + self.extra


def unpacked(data: bytes) -> Position:
    """Decode a position."""
    return Position._make((*_LAYOUT.unpack_from(data), data[_LAYOUT.size :]))


def is_unfinished(saved: Position) -> bool:
    """Return whether a position is in the middle of a pass. Only steps consume batches."""
    return bool(saved.batch) and saved.batch != saved.total


def check_loaders_exist(positions: dict[str, bytes]) -> None:
    """Refuse a step while a loader that was in the middle of a pass has not been created.

    This is not checked when a batch is read: validation may come before the training loader is created.

    Args:
        positions: by name, of the saved loaders that have not been created yet.

    Raises:
        HoldfastError: training would repeat samples that the interrupted pass has consumed.
    """
    for name, data in positions.items():
        saved = unpacked(data)
        if is_unfinished(saved):
            raise HoldfastError(
                f"loader '{name}' was in the middle of epoch {saved.epoch}, after {saved.batch} batches, "
                "and this program has no loader of that name",
                hint=f'create it with the same name: run.loader(..., name="{name}"); rename between epochs',
            )


def check(name: str, saved: Position, now: Position) -> None:
    """Refuse to continue with different data in the middle of a pass. Between passes data may change.

    Args:
        name: of the loader.
        saved: the position to continue from.
        now: the position of the loader in this process.

    Raises:
        HoldfastError: it would return different batches.
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
    """Return the encoded state of the data."""
    return bytes(ImageWriter(flatten({"state": state}), LoopState()).to_bytes())


def unpack_state(data: bytes) -> Any:
    """Decode the state of the data."""
    return ImageReader(memoryview(bytearray(data))).component("state")
