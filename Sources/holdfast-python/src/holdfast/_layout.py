"""The constants of the shared layouts, as in the C header `CTrainerProtocol.h`, and their structs.

A test compares every number here with the header. All values are little-endian.
"""

from __future__ import annotations

import struct
from functools import lru_cache

PROTOCOL_VERSION = 1
RING_MAGIC = 0x474E4952444C4F48
SLOT_MAGIC = 0x544F4C53444C4F48
HEADER_BYTES = 4096

RING_MAGIC_AT = 0
RING_VERSION = 8
RING_HEADER_BYTES = 12
RING_CAPACITY = 16
RING_JOB_ID = 24
RING_ATTEMPT = 40
RING_GENERATION = 48
RING_GLOBAL_RANK = 56
RING_LOCAL_RANK = 60
RING_WORLD_SIZE = 64
RING_LOCAL_WORLD_SIZE = 68
RING_ARENA_SLOTS = 72
RING_IDENTITY_CRC = 76
RING_WRITTEN = 128
RING_SKIPPED = 136
RING_LAST_STEP = 144
RING_ACKNOWLEDGED = 152
RING_OUTCOME = 160
RING_ATTACHED_PID = 164
RING_HEARTBEAT = 168
RING_RESTORING = 176
RING_STATE_BYTES = 184
RING_CONSUMED = 256
RING_SPARE_SLOT = 264
RING_INITIAL_SLOT = 268
RING_CONSUMED_SEQUENCE = 272
RING_VERIFIED = 280
RING_VERDICT = 288
RING_PREPARED_BYTES = 296
RING_REQUEST_LOCK = 384
RING_REQUEST_SEQUENCE = 392
RING_REQUEST_KIND = 400
RING_REQUEST_SLOT = 404
RING_REQUEST_CUT_ID = 408
RING_REQUEST_TARGET_STEP = 424
RING_REQUEST_GENERATION = 432
RING_REQUEST_DEADLINE_NS = 440
RING_REQUEST_EVERY_EPOCHS = 448
RING_REQUEST_EPOCH_END = 452

REQUEST_NONE = 0
REQUEST_SAVE = 1
REQUEST_SAVE_AND_LEAVE = 2
REQUEST_CANCEL = 3

EPOCH_END_TRAINING = 1
EPOCH_END_VALIDATION = 2

OUTCOME_NONE = 0
OUTCOME_STAGED = 1
OUTCOME_MISSED = 2
OUTCOME_FAILED = 3
OUTCOME_CANCELLED = 4

RESTORING_SILENT = 0
RESTORING_WAITS = 1
RESTORING_TAKES = 2
RESTORING_DONE = 3

VERDICT_NONE = 0
VERDICT_PENDING = 1
VERDICT_WHOLE = 2
VERDICT_REPLACED = 3

RECORD_HEADER_BYTES = 24
RECORD_LENGTH = 0
RECORD_KIND = 4
RECORD_FLAGS = 6
RECORD_SEQUENCE = 8
RECORD_CRC = 16

RECORD_PADDING = 0
RECORD_ATTACHED = 1
RECORD_SNAPSHOT = 2
RECORD_STAGED = 3
RECORD_FAILURE = 4
RECORD_FINISHED = 5
RECORD_METRIC_NAMES = 6
RECORD_METRICS = 7

SNAPSHOT_STEP = 0
SNAPSHOT_EPOCH = 8
SNAPSHOT_BATCH = 16
SNAPSHOT_SAMPLES = 24
SNAPSHOT_TIME_NS = 32
SNAPSHOT_PHASE = 40
SNAPSHOT_METRIC_COUNT = 42
SNAPSHOT_PART_COUNT = 44
SNAPSHOT_IMAGE_BYTES = 48
SNAPSHOT_BYTES = 56

PART_RNG = 1
PART_SAMPLER = 2
PART_OTHER = 3

STAGED_REQUEST_SEQUENCE = 0
STAGED_STEP = 8
STAGED_IMAGE_BYTES = 16
STAGED_CUT_ID = 24
STAGED_SLOT = 40
STAGED_OUTCOME = 44
STAGED_ERROR = 48
STAGED_COMPLETED_EPOCHS = 52
STAGED_STALL_NS = 56
STAGED_PREPARATION_NS = 64
STAGED_BYTES = 72
STAGED_REQUIRED_BYTES = 64

SLOT_JOB_ID = 16
SLOT_CUT_ID = 32
SLOT_ATTEMPT = 48
SLOT_GENERATION = 56
SLOT_GLOBAL_RANK = 64
SLOT_WORLD_SIZE = 68
SLOT_STEP = 72
SLOT_IMAGE_BYTES = 80
SLOT_HEADER_CRC = 88
SLOT_COMPLETE = 92
SLOT_PLACEMENTS = 96
SLOT_COMPLETED_EPOCHS = 100
SLOT_BYTES = 104
NO_SLOT = 0xFFFFFFFF

_Field = tuple[int, str]


def _struct(begin: int, fields: tuple[_Field, ...], size: int = 0) -> struct.Struct:
    """Return the struct of fields at their offsets; the bytes between them are written as zeros.

    Args:
        begin: offset of the struct's first byte.
        fields: offsets and format characters, in the order of offsets.
        size: of the struct in bytes, with reserved bytes at its end.
    """
    layout = "<"
    for offset, code in fields:
        gap = begin + struct.calcsize(layout) - offset
        assert gap <= 0, f"the field at {offset} overlaps the one before it"
        layout += f"{-gap}x{code}"
    missing = size - struct.calcsize(layout)
    return struct.Struct(f"{layout}{missing}x" if missing > 0 else layout)


RING_IDENTITY = _struct(
    RING_MAGIC_AT,
    (
        (RING_MAGIC_AT, "Q"),
        (RING_VERSION, "I"),
        (RING_HEADER_BYTES, "I"),
        (RING_CAPACITY, "Q"),
        (RING_JOB_ID, "16s"),
        (RING_ATTEMPT, "Q"),
        (RING_GENERATION, "Q"),
        (RING_GLOBAL_RANK, "I"),
        (RING_LOCAL_RANK, "I"),
        (RING_WORLD_SIZE, "I"),
        (RING_LOCAL_WORLD_SIZE, "I"),
        (RING_ARENA_SLOTS, "I"),
        (RING_IDENTITY_CRC, "I"),
    ),
)
RING_REQUEST = _struct(
    RING_REQUEST_SEQUENCE,
    (
        (RING_REQUEST_SEQUENCE, "Q"),
        (RING_REQUEST_KIND, "I"),
        (RING_REQUEST_SLOT, "I"),
        (RING_REQUEST_CUT_ID, "16s"),
        (RING_REQUEST_TARGET_STEP, "Q"),
        (RING_REQUEST_GENERATION, "Q"),
        (RING_REQUEST_DEADLINE_NS, "Q"),
        (RING_REQUEST_EVERY_EPOCHS, "I"),
        (RING_REQUEST_EPOCH_END, "I"),
    ),
)
_RECORD_FIELDS = (
    (RECORD_LENGTH, "I"),
    (RECORD_KIND, "H"),
    (RECORD_FLAGS, "H"),
    (RECORD_SEQUENCE, "Q"),
    (RECORD_CRC, "I"),
)
RECORD_HEADER = _struct(RECORD_LENGTH, _RECORD_FIELDS, RECORD_HEADER_BYTES)
_SNAPSHOT_FIELDS = (
    (SNAPSHOT_STEP, "Q"),
    (SNAPSHOT_EPOCH, "Q"),
    (SNAPSHOT_BATCH, "Q"),
    (SNAPSHOT_SAMPLES, "Q"),
    (SNAPSHOT_TIME_NS, "Q"),
    (SNAPSHOT_PHASE, "B"),
    (SNAPSHOT_METRIC_COUNT, "H"),
    (SNAPSHOT_PART_COUNT, "H"),
    (SNAPSHOT_IMAGE_BYTES, "Q"),
)
STAGED = _struct(
    STAGED_REQUEST_SEQUENCE,
    (
        (STAGED_REQUEST_SEQUENCE, "Q"),
        (STAGED_STEP, "Q"),
        (STAGED_IMAGE_BYTES, "Q"),
        (STAGED_CUT_ID, "16s"),
        (STAGED_SLOT, "I"),
        (STAGED_OUTCOME, "I"),
        (STAGED_ERROR, "I"),
        (STAGED_COMPLETED_EPOCHS, "I"),
        (STAGED_STALL_NS, "Q"),
        (STAGED_PREPARATION_NS, "Q"),
    ),
    STAGED_BYTES,
)
# A slot's header begins like a ring's. What follows these fields is written after the image.
SLOT_IDENTITY = _struct(
    RING_MAGIC_AT,
    (
        (RING_MAGIC_AT, "Q"),
        (RING_VERSION, "I"),
        (RING_HEADER_BYTES, "I"),
        (SLOT_JOB_ID, "16s"),
        (SLOT_CUT_ID, "16s"),
        (SLOT_ATTEMPT, "Q"),
        (SLOT_GENERATION, "Q"),
        (SLOT_GLOBAL_RANK, "I"),
        (SLOT_WORLD_SIZE, "I"),
        (SLOT_STEP, "Q"),
        (SLOT_IMAGE_BYTES, "Q"),
    ),
)
# The header of one part of a snapshot, unnamed in the C header: kind, length of the name, length of the data.
PART_HEADER = struct.Struct("<BBxxI")


@lru_cache(maxsize=8)
def snapshot_record(metrics: int) -> struct.Struct:
    """Return the struct of a snapshot's record before its parts: header, snapshot, that many metrics."""
    fields = tuple((RECORD_HEADER_BYTES + offset, code) for offset, code in _SNAPSHOT_FIELDS)
    values = (RECORD_HEADER_BYTES + SNAPSHOT_BYTES, f"{metrics}d")
    return _struct(RECORD_LENGTH, (*_RECORD_FIELDS, *fields, values))
