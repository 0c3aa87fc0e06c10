"""The kinds of objects that can be registered directly."""

from __future__ import annotations

import random
from collections import Counter, OrderedDict, defaultdict, deque
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch.utils.data import DataLoader, IterableDataset, TensorDataset

import holdfast
from loading import Noisy


def reload(tmp_path: Path, saved: Any, made: Any) -> Any:
    """Save one object, and load its state into another one."""
    run = holdfast.attach()
    run.register(it=saved)
    path = run.save(tmp_path)
    run = holdfast.attach()
    run.register(it=made)
    run.load(path)
    return made


class Table(dict):  # type: ignore[type-arg]
    """A custom dict."""


@pytest.mark.parametrize(
    ("saved", "made"),
    [
        (deque([1, (2, "x")], 3), deque([], 3)),
        (OrderedDict([(3, 1), ("a", 2)]), OrderedDict()),
        (defaultdict(lambda: 7, a=1), defaultdict(lambda: 7)),
        (Counter("abca"), Counter("z")),
        ({1, "a", (2, 3)}, {9}),
        (bytearray(b"abc"), bytearray()),
        (Table(a=[1]), Table(b=2)),
        ({"rng": random.Random(3)}, {}),
    ],
    ids=lambda value: type(value).__name__,
)
def test_containers_are_changed_in_place(tmp_path: Path, saved: Any, made: Any) -> None:
    if isinstance(saved, dict) and "rng" in saved:
        expected = random.Random(3).random()
        assert reload(tmp_path, saved, made)["rng"].random() == expected
        return
    loaded = reload(tmp_path, saved, made)
    assert loaded == saved
    assert list(loaded) == list(saved)
    if isinstance(loaded, defaultdict):
        assert loaded["new"] == 7


def test_generators_within_containers(tmp_path: Path) -> None:
    saved = {"new": np.random.default_rng(1), "old": np.random.RandomState(2)}
    saved["old"].normal()
    loaded = reload(tmp_path, saved, {})
    assert loaded["new"].random() == np.random.default_rng(1).random()
    assert loaded["old"].normal() == saved["old"].normal()


def test_a_deque_with_a_smaller_maxlen_is_refused(tmp_path: Path) -> None:
    with pytest.raises(holdfast.HoldfastError, match="3 elements were saved, maxlen is 2 now"):
        reload(tmp_path, deque([1, 2, 3], 4), deque([], 2))


def test_an_estimator_is_restored_by_its_attributes(tmp_path: Path) -> None:
    linear_model = pytest.importorskip("sklearn.linear_model")
    pipeline = pytest.importorskip("sklearn.pipeline")
    preprocessing = pytest.importorskip("sklearn.preprocessing")
    inputs = np.random.default_rng(1).normal(size=(20, 3))
    labels = inputs[:, 0] > 0

    def make() -> Any:
        return pipeline.make_pipeline(
            preprocessing.StandardScaler(), linear_model.SGDClassifier(random_state=np.random.RandomState(1))
        )

    saved = make().fit(inputs, labels)
    loaded = reload(tmp_path, saved, make())
    assert np.array_equal(loaded.decision_function(inputs), saved.decision_function(inputs))


class Lines(IterableDataset):
    def __iter__(self) -> Iterator[int]:
        return iter(range(10))

    def __len__(self) -> int:
        return 10


def test_the_length_of_an_iterable_dataset() -> None:
    run = holdfast.attach()
    loader = run.loader(Lines(), batch_size=4)
    assert len(loader) == loader.total == 3
    assert len(run.loader(DataLoader(Lines(), batch_size=4, num_workers=2))) == 3


class Ahead(DataLoader):
    """Reads one batch ahead, like loaders of accelerate."""

    def __iter__(self) -> Iterator[Any]:
        batches = super().__iter__()
        current = next(batches)
        for following in batches:
            yield current * 2
            current = following
        yield current * 2


class EverySecond(DataLoader):
    def __iter__(self) -> Iterator[Any]:
        for number, batch in enumerate(super().__iter__()):
            if number % 2:
                yield batch


class Own(DataLoader):
    def __iter__(self) -> Iterator[Any]:
        yield from (self.dataset[index] for index in range(4))


@pytest.mark.parametrize("save_at", [1, 3, 5, 6, 8])
@pytest.mark.parametrize("workers", [0, 2])
def test_a_loader_that_reads_ahead(tmp_path: Path, save_at: int, workers: int) -> None:
    if workers and save_at not in (3, 8):
        pytest.skip("some are enough with workers")

    def train(path: Path | None = None) -> list[Any]:
        torch.manual_seed(1)
        run = holdfast.attach()
        loader = run.loader(Ahead(Noisy(20), batch_size=4, shuffle=True, num_workers=workers))
        if path is not None:
            run.load(path)
        seen = []
        for _ in run.epochs(2):
            for batch in loader:
                seen.append(batch.tolist())
                run.step()
                if path is None and run.global_step == save_at:
                    run.save(tmp_path)
        return seen

    whole = train()
    assert len(whole) == 10
    assert whole[0][0][0] % 2 == 0
    assert train(tmp_path / f"step-{save_at}") == whole[save_at:]


@pytest.mark.parametrize("kind", [EverySecond, Own])
def test_a_loader_whose_batches_have_no_position_is_refused(kind: Any) -> None:
    loader = holdfast.attach().loader(kind(TensorDataset(torch.arange(8)), batch_size=2))
    with pytest.raises(holdfast.HoldfastError, match="has no position in the data"):
        list(loader)
