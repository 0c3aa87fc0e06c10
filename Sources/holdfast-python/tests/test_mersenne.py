"""States of random generators read from memory equal those of the libraries' own getters."""

from __future__ import annotations

import random
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import holdfast
from internals import mersenne, random_streams

DRAWS: dict[str, Any] = {
    "python.random": lambda python, numpy: python.random(),
    "python.gauss": lambda python, numpy: python.gauss(0, 1),
    "python.many": lambda python, numpy: python.sample(range(2000), 1000),
    "python.seed": lambda python, numpy: python.seed(5),
    "python.setstate": lambda python, numpy: python.setstate(random.Random(9).getstate()),
    "numpy.rand": lambda python, numpy: numpy.rand(),
    "numpy.randn": lambda python, numpy: numpy.randn(),
    "numpy.many": lambda python, numpy: numpy.permutation(1000),
    "numpy.seed": lambda python, numpy: numpy.seed(5),
    "numpy.set_state": lambda python, numpy: numpy.set_state(np.random.RandomState(9).get_state()),
}


def numpy_access(source: Any) -> Any:
    access = mersenne.numpy_access(source)
    assert access is not None, "numpy's layout was not recognised"
    return access


@settings(deadline=None, max_examples=60)
@given(st.lists(st.sampled_from(sorted(DRAWS)), max_size=25))
def test_states_read_from_memory_equal_those_of_the_getters(draws: list[str]) -> None:
    python, numpy = random.Random(1), np.random.RandomState(1)
    read_python = mersenne.python_getter(python)
    assert read_python is not None, "the layout of random.Random was not recognised"
    read_numpy, _ = numpy_access(numpy)
    for draw in ["", *draws]:
        if draw:
            DRAWS[draw](python, numpy)
        assert read_python() == random_streams._python_bytes(python)
        assert read_numpy() == random_streams._numpy_bytes(numpy)


@pytest.mark.parametrize("before", [0, 1, 2])
@pytest.mark.parametrize("between", [0, 1, 2])
def test_captured_streams_are_restored(before: int, between: int) -> None:
    """Also where only one of the two states contains the second number of a Gaussian pair."""
    random.seed(1)
    np.random.seed(1)
    run = holdfast.attach()
    for _ in range(before):
        random.gauss(0, 1), np.random.randn()

    def draw() -> list[Any]:
        return [(random.gauss(0, 1), np.random.randn(), random.random(), np.random.rand()) for _ in range(3)]

    for _ in range(2):
        with run.phase("validation"):
            drawn = draw()
            for _ in range(700 + between):
                random.gauss(0, 1), np.random.randn()
        with run.phase("validation"):
            assert draw() == drawn
    assert draw() == drawn


def test_other_bit_generators_use_numpys_getters() -> None:
    for kind in (np.random.PCG64, np.random.Philox):
        source = np.random.RandomState(kind(1))
        assert mersenne.numpy_access(source) is None
    source = np.random.RandomState(1)
    read, put = numpy_access(source)
    data = read()
    if not hasattr(np.random, "set_bit_generator"):
        pytest.skip("this numpy's bit generators cannot be replaced")
    stream = random_streams.global_streams()[1]
    original = np.random.get_bit_generator()
    try:
        np.random.set_bit_generator(np.random.MT19937(3))
        assert stream.get() == random_streams._numpy_bytes(np.random)
        assert stream.get() != data
        held = stream.get()
        drawn = np.random.rand(3).tolist()
        stream.set(held)
        assert np.random.rand(3).tolist() == drawn
    finally:
        np.random.set_bit_generator(original)


def test_a_damaged_position_is_not_written() -> None:
    source = np.random.RandomState(1)
    read, put = numpy_access(source)
    data = bytearray(read())
    data[2496:2500] = (625).to_bytes(4, "little")
    assert not put(bytes(data))
    with pytest.raises(ValueError, match="position"):
        random_streams._set_numpy(source, bytes(data))
    assert read() != bytes(data)


def test_getters_are_used_if_the_layout_is_unknown(monkeypatch: pytest.MonkeyPatch) -> None:
    python, numpy = random.Random(1), np.random.RandomState(1)
    known = [random_streams.stream_of("a", python), random_streams.stream_of("b", numpy)]
    monkeypatch.setattr(mersenne, "_python_offset", lambda: -1)
    monkeypatch.setattr(mersenne, "_numpy_gauss_offset", lambda: -1)
    assert mersenne.python_getter(python) is None
    assert mersenne.numpy_access(numpy) is None
    unknown = [random_streams.stream_of("a", python), random_streams.stream_of("b", numpy)]
    for one, other in zip(known, unknown):
        assert one is not None
        assert other is not None
        assert one.get() == other.get()
