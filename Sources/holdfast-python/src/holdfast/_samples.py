"""Randomness of each sample, derived only from the run's seed and the position of the sample.

So it does not depend on the number of workers or on where a run resumed. Worker processes import this module,
so it must not refer to a run.
"""

from __future__ import annotations

import hashlib
import random
import struct
import sys
from collections.abc import Iterable
from typing import Any

from ._random import global_streams

_current: int | None = None
_MASK = (1 << 64) - 1
# 2^64 divided by the golden ratio: its multiples are evenly distributed.
_STRIDE = 0x9E3779B97F4A7C15


def mix(*numbers: int) -> int:
    """Return 64 bits that depend on all numbers."""
    data = b"".join(struct.pack("<Q", number & (1 << 64) - 1) for number in numbers)
    return int.from_bytes(hashlib.blake2b(data, digest_size=8).digest(), "little")


def seed_everything(seed: int) -> None:
    """Seed the global streams of `random`, and of numpy and torch if they are imported.

    Call it before `attach`, so that each new job starts with the same random numbers.

    Args:
        seed: up to 64 bits; numpy gets the lower 32.
    """
    random.seed(seed)
    numpy = sys.modules.get("numpy")
    if numpy is not None:
        numpy.random.seed(seed & 0xFFFFFFFF)
    torch = sys.modules.get("torch")
    if torch is not None:
        torch.default_generator.manual_seed(seed)
        if torch.cuda.is_initialized():
            torch.cuda.manual_seed_all(seed)


def seed_of(base: int, number: int) -> int:
    """Return the seed of a sample, of 64 bits.

    Args:
        base: seed of the pass.
        number: of the sample in the pass, from 1.
    """
    return (base + number * _STRIDE) & _MASK


def begin_sample(seed: int, *, seeds_globals: bool) -> None:
    """Set the seed of the sample that is created next."""
    global _current
    _current = seed
    if seeds_globals:
        seed_everything(seed)


def create_samples(dataset: Any, indices: Iterable[Any], seed: int, *, seeds_globals: bool) -> list[Any]:
    """Create the samples of one batch; `seed` is that of the first sample.

    The global streams are seeded once: one worker always creates a whole batch, so its samples draw the same
    numbers, in order, everywhere.
    """
    global _current
    if seeds_globals:
        seed_everything(seed)
    samples = []
    for index in indices:
        _current = seed
        samples.append(dataset[index])
        seed = (seed + _STRIDE) & _MASK
    return samples


def sample_seed() -> int:
    """Return the seed, of 64 bits, of the sample that is being created.

    Raises:
        RuntimeError: no loader of `Run.loader` is creating a sample.
    """
    if _current is None:
        raise RuntimeError("no sample is being created; call this in a dataset that Run.loader reads")
    return _current


def sample_generator(kind: str = "torch") -> Any:
    """Return a random generator for the sample that is being created. Call it in `Dataset.__getitem__`.

    Args:
        kind: `torch`, `numpy` or `python`.

    Returns:
        A new `torch.Generator`, `numpy.random.Generator` or `random.Random`, seeded with `sample_seed()`.

    Raises:
        RuntimeError: no loader of `Run.loader` is creating a sample.
        ValueError: unknown kind.
    """
    seed = sample_seed()
    if kind == "torch":
        import torch

        return torch.Generator().manual_seed(seed)
    if kind == "numpy":
        import numpy

        return numpy.random.default_rng(seed)
    if kind == "python":
        return random.Random(seed)
    raise ValueError(f"unknown kind {kind!r}; use 'torch', 'numpy' or 'python'")


class preserve_streams:  # noqa: N801
    """A context that restores the global streams at its end."""

    __slots__ = ("_captured",)

    def __enter__(self) -> None:
        self._captured = [(stream, stream.capture()) for stream in global_streams()]

    def __exit__(self, *_: object) -> None:
        for stream, state in self._captured:
            stream.restore(state)
