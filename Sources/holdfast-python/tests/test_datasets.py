"""Hugging Face datasets: map-style ones, and iterable ones, whose state is incomplete."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import pytest
import torch

datasets = pytest.importorskip("datasets")

from conftest import RunDirectory
from loading import check, train
from supervised import OPTIONS, PACKAGE, Job, finish_after_kills, kill_at_random_steps, uninterrupted_digest

PROGRAM = PACKAGE / "tests/programs/digits_datasets.py"


def table(length: int = 23) -> Any:
    rows = {"a": [float(number) for number in range(length)], "b": [[number, 1] for number in range(length)]}
    return datasets.Dataset.from_dict(rows)


def stream(length: int = 23) -> Any:
    return table(length).to_iterable_dataset(num_shards=4)


def noisy(row: dict[str, Any]) -> dict[str, Any]:
    return {"a": row["a"] + random.random() + float(torch.rand(1))}


def collate(rows: list[Any]) -> torch.Tensor:
    return torch.tensor([float(row["a"]) for row in rows], dtype=torch.float64)


SOURCES: dict[str, Any] = {
    "map-style": lambda: table().with_format("torch"),
    "map-style, transformed": lambda: table().with_transform(
        lambda rows: {"a": [value + random.random() for value in rows["a"]]}
    ),
    "iterable": stream,
    "iterable, torch": lambda: stream().with_format("torch"),
    "mapped": lambda: stream().map(noisy),
    "mapped in batches": lambda: stream().map(
        lambda rows: {"a": [-value for value in rows["a"]]}, batched=True, batch_size=3
    ),
    "mapped in batches, arrow": lambda: stream()
    .with_format("numpy")
    .map(lambda rows: {"a": -rows["a"]}, batched=True, batch_size=3),
    "filtered, shards shuffled": lambda: stream(40)
    .shuffle(seed=3, buffer_size=1)
    .filter(lambda row: row["a"] % 2 < 1),
    "shuffled through a buffer": lambda: stream().shuffle(seed=3, buffer_size=7),
    "shuffled, then mapped": lambda: stream().shuffle(seed=3, buffer_size=7).map(noisy).with_format("torch"),
    "interleaved": lambda: datasets.interleave_datasets(
        [stream(11), stream(17)], probabilities=[0.4, 0.6], seed=5, stopping_strategy="all_exhausted"
    ),
    "concatenated": lambda: datasets.concatenate_datasets(
        [stream(9), stream(13).shuffle(seed=3, buffer_size=4)]
    ),
    "taken": lambda: stream().skip(2).take(19),
}


@pytest.mark.parametrize("source", SOURCES)
@pytest.mark.parametrize("workers", [0, 2])
def test_resumed_batches(run_directory: RunDirectory, source: str, workers: int) -> None:
    check(
        run_directory,
        lambda: {
            "dataset": SOURCES[source](),
            "batch_size": 3,
            "num_workers": workers,
            "collate_fn": collate,
        },
    )


def test_data_that_is_read_again_is_reported(
    run_directory: RunDirectory, capfd: pytest.CaptureFixture[str]
) -> None:
    check(run_directory, lambda: {"dataset": stream().shuffle(seed=3, buffer_size=7), "collate_fn": collate})
    assert (
        "a state that leaves out the samples in its shuffle buffer: 1 batches were read again"
        in capfd.readouterr().err
    )


def test_states_of_older_versions_are_not_used(
    run_directory: RunDirectory, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(datasets, "__version__", "4.8.5")
    check(run_directory, lambda: {"dataset": stream(), "collate_fn": collate})
    assert "a state that leaves out whole shards (datasets 4.8.5; fixed in 5.1)" in capfd.readouterr().err


def test_shards_of_workers_are_read_again(
    run_directory: RunDirectory, capfd: pytest.CaptureFixture[str]
) -> None:
    check(run_directory, lambda: {"dataset": stream(), "num_workers": 2, "collate_fn": collate})
    assert "a state that leaves out the shards of each worker" in capfd.readouterr().err


def test_a_shuffle_without_a_seed_is_reported(
    run_directory: RunDirectory, capfd: pytest.CaptureFixture[str]
) -> None:
    make: Any = lambda: {"dataset": stream().shuffle(buffer_size=20), "collate_fn": collate}  # noqa: E731
    train(make, stop_at=9)
    run_directory.next_attempt()
    train(make)
    assert "did not return the same batches again" in capfd.readouterr().err


@pytest.mark.parametrize(
    ("source", "workers"), [("map-style", 2), ("shards", 0), ("buffer", 0), ("buffer", 2)]
)
def test_killed_repeatedly(tmp_path: Path, source: str, workers: int) -> None:
    expected = uninterrupted_digest(PROGRAM, source, "--workers", workers)
    with Job(tmp_path, PROGRAM, source, "--workers", workers, options=OPTIONS) as job:
        done = kill_at_random_steps(job, 3, 118, seed=workers)
        attempts = finish_after_kills(job, done, expected, fewest=0)
        assert sum(attempt["resumed_from"] is not None for attempt in attempts) > 0
