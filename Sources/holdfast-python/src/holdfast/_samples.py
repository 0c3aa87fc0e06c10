"""Randomness of each sample: from the run's seed and the sample's place, and from nothing else.

It is therefore the same whatever the number of workers, and wherever a run resumed. Workers import this
module; it refers to no run.
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
# 2^64 divided by the golden ratio: its multiples are far apart.
_STRIDE = 0x9E3779B97F4A7C15


def mix(*numbers: int) -> int:
    """Return 64 bits that depend on all of some numbers."""
    data = b"".join(struct.pack("<Q", number & (1 << 64) - 1) for number in numbers)
    return int.from_bytes(hashlib.blake2b(data, digest_size=8).digest(), "little")


def seed_everything(seed: int) -> None:
    """Seed the global streams of `random`, and of numpy and torch where they are imported.

    A program that does so before it attaches begins each time with the same random numbers.

    Args:
        seed: of 64 bits; numpy gets its lower 32.
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
    """Return the seed of a pass's sample: 64 bits.

    Args:
        base: seed of the pass.
        number: of the sample in it, from 1.
    """
    return (base + number * _STRIDE) & _MASK


def begin_sample(seed: int, *, seeds_globals: bool) -> None:
    """Set which sample is being made from now on."""
    global _current
    _current = seed
    if seeds_globals:
        seed_everything(seed)


def make_samples(dataset: Any, indices: Iterable[Any], seed: int, *, seeds_globals: bool) -> list[Any]:
    """Make the samples of one batch, of which `seed` is the first one's.

    The global streams are seeded once: a batch is always made whole and by one worker, so what its samples
    draw one after the other is the same everywhere.
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
    """Return the seed of the sample that is being made: 64 bits.

    Raises:
        RuntimeError: no sample is being made by a loader of `Run.loader`.
    """
    if _current is None:
        raise RuntimeError("no sample is being made: call this in a dataset that Run.loader reads")
    return _current


def sample_generator(kind: str = "torch") -> Any:
    """Return a random generator of the sample that is being made; call it in `Dataset.__getitem__`.

    Args:
        kind: `torch`, `numpy` or `python`.
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
    raise ValueError(f"kind is torch, numpy or python, not {kind!r}")


class undisturbed:  # noqa: N801
    """A context that leaves the global streams as they were, whatever is drawn inside."""

    __slots__ = ("_captured",)

    def __enter__(self) -> None:
        self._captured = [(stream, stream.capture()) for stream in global_streams()]

    def __exit__(self, *_: object) -> None:
        for stream, state in self._captured:
            stream.restore(state)
