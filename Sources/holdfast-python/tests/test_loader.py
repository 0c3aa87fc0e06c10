"""The pitfalls of resuming in mid-epoch, one test each."""

from __future__ import annotations

import random
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch.utils.data import (
    BatchSampler,
    DataLoader,
    Dataset,
    DistributedSampler,
    IterableDataset,
    RandomSampler,
    Sampler,
    Subset,
    TensorDataset,
    WeightedRandomSampler,
)

import holdfast
from conftest import RunDirectory
from holdfast import _layout as at


class Noisy(Dataset):
    """Samples with random numbers from every source."""

    def __init__(self, length: int = 23) -> None:
        self.length = length

    def __len__(self) -> int:
        return self.length

    def __getitem__(self, index: int) -> torch.Tensor:
        own = torch.rand(1, generator=holdfast.sample_generator(), dtype=torch.float64)
        values = [float(index), random.random(), np.random.random(), float(torch.rand(1)), float(own)]
        values.append(float(holdfast.sample_generator("numpy").random()))
        values.append(holdfast.sample_generator("python").random())
        return torch.tensor(values, dtype=torch.float64)


class Shuffled(Sampler):
    """Another program's sampler: draws its order from a global stream."""

    def __init__(self, source: str = "random") -> None:
        self.source = source

    def __len__(self) -> int:
        return 23

    def __iter__(self) -> Iterator[int]:
        if self.source == "random":
            return iter(random.sample(range(23), 23))
        if self.source == "numpy":
            return iter(np.random.permutation(23).tolist())
        return (int(torch.randint(23, ())) for _ in range(23))


class Pairs(Sampler):
    """Another program's batch sampler."""

    def __init__(self) -> None:
        pass

    def __len__(self) -> int:
        return 11

    def __iter__(self) -> Iterator[list[int]]:
        for _ in range(11):
            first = random.randrange(22)
            yield [first, first + 1]


Step = tuple[int, int, list[Any], float]


def train(make: Any, epochs: int = 3, *, stop_at: int | None = None, uses_rng: bool = True) -> list[Step]:
    """Train until a step, saving there; returns what each step saw."""
    random.seed(1)
    np.random.seed(1)
    torch.manual_seed(1)
    run = holdfast.attach()
    loader = run.loader(**make()) if isinstance(make(), dict) else run.loader(make())
    seen: list[Step] = []
    for epoch in run.epochs(epochs, finish=False):
        for batch in loader:
            drawn = float(torch.rand(1)) + random.random() + float(np.random.random()) if uses_rng else 0
            values = batch[0] if isinstance(batch, list) else batch
            seen.append((epoch, run.global_step, values.tolist(), drawn))
            if run.is_supervised and run.global_step + 1 == stop_at:
                directory = run._directory
                assert directory is not None
                _request(directory)
            run.step()
            if run.global_step == stop_at:
                if run._ring is not None:
                    run._ring.close()
                return seen
    if run._ring is not None:
        run._ring.close()
    return seen


def _request(path: Any) -> None:
    directory = RunDirectory.__new__(RunDirectory)
    directory.path = path
    directory.attempt = directory.word(at.RING_ATTEMPT)
    directory.request(1)


def check(directory: RunDirectory, make: Any, *, remake: Any = None) -> None:
    """Interrupt in each epoch, one attempt after the other, and compare with the undisturbed run."""
    whole = train(make)
    length = len(whole) // 3
    stops = (1, length + 1, 2 * length + length - 1)
    directory.__init__(directory.path)  # type: ignore[misc]
    seen: list[Step] = []
    for number, stop in enumerate(stops):
        seen += train((remake or make) if number % 2 else make, stop_at=stop)
        assert seen == whole[:stop]
        directory.next_attempt()
    seen += train(make)
    assert seen == whole


SOURCES = {
    "in order": lambda: {"dataset": Noisy(), "batch_size": 4},
    "shuffled": lambda: {"dataset": Noisy(), "batch_size": 4, "shuffle": True},
    "drop last": lambda: {"dataset": Noisy(), "batch_size": 4, "shuffle": True, "drop_last": True},
    "single": lambda: {"dataset": Noisy(), "batch_size": None, "shuffle": True},
    "own collate": lambda: {
        "dataset": Noisy(), "batch_size": 3, "collate_fn": lambda samples: torch.stack(samples[::-1])
    },
    "tensors": lambda: {
        "dataset": Subset(TensorDataset(torch.arange(23)), range(20)), "batch_size": 4, "shuffle": True
    },
    "seeded generator": lambda: {
        "dataset": Noisy(), "batch_size": 4, "shuffle": True, "generator": torch.Generator().manual_seed(5)
    },
    "random sampler": lambda: {
        "dataset": Noisy(), "batch_size": 4, "sampler": RandomSampler(Noisy(), replacement=True)
    },
    "weighted": lambda: {
        "dataset": Noisy(), "batch_size": 4, "sampler": WeightedRandomSampler(range(1, 24), 25)
    },
    "distributed": lambda: {
        "dataset": Noisy(), "batch_size": 4,
        "sampler": DistributedSampler(Noisy(), num_replicas=2, rank=1, shuffle=True),
    },
    "own sampler, random": lambda: {"dataset": Noisy(), "batch_size": 4, "sampler": Shuffled("random")},
    "own sampler, numpy": lambda: {"dataset": Noisy(), "batch_size": 4, "sampler": Shuffled("numpy")},
    "own sampler, lazily": lambda: {"dataset": Noisy(), "batch_size": 4, "sampler": Shuffled("torch")},
    "own batch sampler": lambda: {"dataset": Noisy(), "batch_sampler": Pairs()},
    "torch's batch sampler": lambda: {
        "dataset": Noisy(), "batch_sampler": BatchSampler(RandomSampler(Noisy()), 5, drop_last=True)
    },
    "a DataLoader": lambda: DataLoader(Noisy(), batch_size=4, shuffle=True),
}  # fmt: skip


@pytest.mark.parametrize("source", SOURCES)
def test_resumed_batches_order_and_random_numbers(run_directory: RunDirectory, source: str) -> None:
    check(run_directory, SOURCES[source])


@pytest.mark.parametrize("persistent", [False, True], ids=["workers", "persistent workers"])
@pytest.mark.parametrize("source", ["shuffled", "own sampler, lazily", "own batch sampler"])
def test_prefetching_workers_and_another_number_of_them(
    run_directory: RunDirectory, source: str, persistent: bool
) -> None:
    make = SOURCES[source]
    more = {"num_workers": 2, "persistent_workers": persistent, "prefetch_factor": 3}
    check(run_directory, lambda: {**make(), **more}, remake=make)


def test_the_number_of_workers_changes_nothing() -> None:
    alone = train(SOURCES["shuffled"], epochs=2)
    assert alone == train(lambda: {**SOURCES["shuffled"](), "num_workers": 1}, epochs=2)
    assert alone == train(lambda: {**SOURCES["shuffled"](), "num_workers": 3}, epochs=2)


def test_two_loaders_of_one_dataset_are_not_the_same() -> None:
    run = holdfast.attach()
    one, other = (run.loader(Noisy(), batch_size=23, shuffle=True) for _ in range(2))
    (first,), (second,) = list(one), list(other)
    assert first[:, 0].tolist() != second[:, 0].tolist()
    by_index = [batch[batch[:, 0].argsort(), 1:] for batch in (first, second)]
    assert not torch.isclose(*by_index).any()


def test_epochs_have_different_orders_and_samples() -> None:
    steps = train(lambda: {"dataset": Noisy(), "batch_size": 23, "shuffle": True}, epochs=3)
    orders = [[sample[0] for sample in batch] for _, _, batch, _ in steps]
    assert all(sorted(order) == list(range(23)) for order in orders)
    assert len({tuple(order) for order in orders}) == 3
    by_index = [dict(zip(order, batch)) for order, (_, _, batch, _) in zip(orders, steps)]
    assert by_index[0][7.0] != by_index[1][7.0]


def test_resume_at_the_end_of_an_epoch_is_not_the_start_of_the_next(run_directory: RunDirectory) -> None:
    # Asked at the last step of an epoch, the trainer answers after the next one's first.
    whole = train(SOURCES["shuffled"])
    run_directory.__init__(run_directory.path)  # type: ignore[misc]
    seen = train(SOURCES["shuffled"], stop_at=6)
    assert not (run_directory.path / "arena-0-0").exists()
    run_directory.next_attempt(None)
    seen = train(SOURCES["shuffled"], stop_at=7)
    assert seen == whole[:7]


def test_a_pass_of_one_batch_is_saved_after_one_more(
    run_directory: RunDirectory, capfd: pytest.CaptureFixture[str]
) -> None:
    make: Any = lambda: {"dataset": Noisy(4), "batch_size": 4}  # noqa: E731
    whole = train(make, epochs=5)
    run_directory.__init__(run_directory.path)  # type: ignore[misc]
    run = holdfast.attach()
    torch.manual_seed(1)
    loader = run.loader(**make())
    for epoch in run.epochs(5, finish=False):
        for _ in loader:
            if epoch == 1:
                run_directory.request(1)
            run.step()
        if epoch == 2:
            break
    run._ring.close()
    run_directory.next_attempt()
    rest = train(make, epochs=5, uses_rng=False)
    assert [step[:2] for step in rest] == [step[:2] for step in whole[3:]]
    assert "has none left to give" in capfd.readouterr().err


ORDERS: dict[str, Any] = {
    "in order": lambda: {},
    "shuffled": lambda: {"shuffle": True},
    "sampler": lambda: {"sampler": Shuffled()},
    "weighted": lambda: {"sampler": WeightedRandomSampler([1.0] * 23, 23)},
    "otherwise weighted": lambda: {"sampler": WeightedRandomSampler(range(1, 24), 23)},
    "one of two": lambda: {"sampler": DistributedSampler(Noisy(), num_replicas=2, rank=1)},
    "one of three": lambda: {"sampler": DistributedSampler(Noisy(), num_replicas=3, rank=1)},
}


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("in order", "shuffled"),
        ("shuffled", "in order"),
        ("sampler", "shuffled"),
        ("shuffled", "weighted"),
        ("weighted", "otherwise weighted"),
        ("one of two", "one of three"),
    ],
)
def test_another_order_in_the_middle_of_an_epoch_is_refused(
    run_directory: RunDirectory, before: str, after: str
) -> None:
    train(lambda: {"dataset": Noisy(), "batch_size": 4, **ORDERS[before]()}, stop_at=2)
    run_directory.next_attempt()
    with pytest.raises(holdfast.HoldfastError, match=r"the order was|does not repeat the order"):
        train(lambda: {"dataset": Noisy(), "batch_size": 4, **ORDERS[after]()})


@pytest.mark.parametrize("stop_at", [2, 4, 7, 10, 11])
def test_a_pass_that_goes_on_over_epochs(run_directory: RunDirectory, stop_at: int) -> None:
    def forever(loader: Any) -> Iterator[Any]:
        while True:
            yield from loader

    def train(stop_at: int = 0) -> list[Any]:
        torch.manual_seed(1)
        run = holdfast.attach()
        loader = run.loader(Noisy(12), batch_size=4, shuffle=True, seed=1)
        others = forever(run.loader(Noisy(20), batch_size=4, shuffle=True, seed=2))
        seen = []
        for _ in run.epochs(4, finish=False):
            for batch in loader:
                seen.append((batch.tolist(), next(others).tolist()))
                if run.global_step + 1 == stop_at:
                    run_directory.request(1)
                run.step()
                if run.global_step == stop_at:
                    run._ring.close()
                    return seen
        run._ring.close()
        return seen

    whole = train()
    run_directory.next_attempt(None)
    first = train(stop_at)
    run_directory.next_attempt()
    assert first + train() == whole


@pytest.mark.parametrize("stop_at", [2, 3, 6, 9])
def test_a_pass_that_goes_on_from_the_end_of_an_epoch(tmp_path: Path, stop_at: int) -> None:
    def forever(loader: Any) -> Iterator[Any]:
        while True:
            yield from loader

    def train(stop_at: int = 0, path: Path | None = None) -> list[Any]:
        torch.manual_seed(1)
        run = holdfast.attach()
        loader = run.loader(Noisy(12), batch_size=4, shuffle=True, seed=1)
        others = forever(run.loader(Noisy(20), batch_size=4, shuffle=True, seed=2))
        if path is not None:
            run.load(path)
        seen = []
        for _ in run.epochs(4):
            for batch in loader:
                seen.append((batch.tolist(), next(others).tolist()))
                run.step()
                if run.global_step == stop_at:
                    run.save(tmp_path)
                    return seen
        return seen

    whole = train()
    assert train(stop_at) + train(path=tmp_path / f"step-{stop_at}") == whole


@pytest.mark.parametrize("by_sampler", [False, True])
@pytest.mark.parametrize(("length", "batch_size"), [(20, 2), (20, 8), (40, 4)])
def test_a_pass_that_is_over_stays_over_with_other_data(
    tmp_path: Path, by_sampler: bool, length: int, batch_size: int
) -> None:
    def train(length: int, batch_size: int, path: Path | None = None) -> list[int]:
        run = holdfast.attach()
        order = {"sampler": RandomSampler(range(length))} if by_sampler else {"shuffle": True}
        loader = run.loader(Noisy(length), batch_size=batch_size, **order)
        if path is not None:
            run.load(path)
        counts = []
        for _ in run.epochs(2):
            counts.append(0)
            for _ in loader:
                counts[-1] += 1
                run.step()
            if path is None:
                run.save(tmp_path)
                break
        return counts

    assert train(20, 4) == [5]
    assert train(length, batch_size, tmp_path / "step-5") == [0, length // batch_size + (batch_size == 8)]


def test_a_loader_made_within_the_loop_of_a_run_that_was_loaded(tmp_path: Path) -> None:
    def train(save_at: int = 0, path: Path | None = None) -> list[Any]:
        torch.manual_seed(1)
        run = holdfast.attach()
        if path is not None:
            run.load(path)
        seen = []
        for _ in run.epochs(2):
            for batch in run.loader(Noisy(20), batch_size=4, shuffle=True, name="train"):
                seen.append(batch.tolist())
                run.step()
                if run.global_step == save_at:
                    run.save(tmp_path)
                    return seen
        return seen

    whole = train()
    assert train(3) + train(path=tmp_path / "step-3") == whole


@pytest.mark.parametrize("stop_at", [3, 8])
def test_loaders_made_within_the_loop(run_directory: RunDirectory, stop_at: int) -> None:
    def train(stop_at: int = 0) -> list[Any]:
        torch.manual_seed(1)
        run = holdfast.attach()
        seen = []
        for epoch in run.epochs(3, finish=False):
            loader = run.loader(Noisy(20 + 4 * epoch), batch_size=4, shuffle=True, name="train")
            for batch in loader:
                seen.append(batch.tolist())
                if run.global_step + 1 == stop_at:
                    run_directory.request(1)
                run.step()
                if run.global_step == stop_at:
                    run._ring.close()
                    return seen
        with pytest.raises(holdfast.HoldfastError, match="needs a name"):
            run.loader(Noisy())
        run._ring.close()
        return seen

    whole = train()
    run_directory.next_attempt(None)
    first = train(stop_at)
    run_directory.next_attempt()
    assert first + train() == whole


@pytest.mark.parametrize(
    ("changed", "what"),
    [
        ({"dataset": Noisy(29)}, "23 samples, now 29"),
        ({"batch_size": 5}, "batch size was 4, now 5"),
    ],
)
def test_other_data_in_the_middle_of_an_epoch_is_refused(
    run_directory: RunDirectory, changed: dict[str, Any], what: str
) -> None:
    make = SOURCES["shuffled"]
    train(make, stop_at=4)
    run_directory.next_attempt()
    with pytest.raises(holdfast.HoldfastError, match=what):
        train(lambda: {**make(), **changed})


def test_another_batch_size_and_order_between_epochs_are_taken(run_directory: RunDirectory) -> None:
    run = holdfast.attach()
    loader = run.loader(Noisy(), batch_size=4)
    for epoch in run.epochs(2, finish=False):
        if epoch == 1:
            run_directory.request(1)
            run.safepoint()
            break
        for _ in loader:
            run.step()
    run._ring.close()
    run_directory.next_attempt()
    steps = train(lambda: {"dataset": Noisy(), "batch_size": 23, "shuffle": True}, epochs=2)
    assert [(epoch, step) for epoch, step, _, _ in steps] == [(1, 6)]


class Unrepeatable(Shuffled):
    """Draws from a generator that nobody knows of."""

    source_of_all = np.random.default_rng()

    def __iter__(self) -> Iterator[int]:
        return iter(self.source_of_all.permutation(23).tolist())


def test_a_sampler_that_does_not_repeat_its_order_is_refused(run_directory: RunDirectory) -> None:
    make: Any = lambda: {"dataset": Noisy(), "batch_size": 4, "sampler": Unrepeatable()}  # noqa: E731
    train(make, stop_at=4)
    run_directory.next_attempt()
    with pytest.raises(holdfast.HoldfastError, match="does not repeat the order"):
        train(make)


def test_batches_of_the_skip_list_are_left_out(run_directory: RunDirectory) -> None:
    run_directory.resume(skip=[{"epoch": 0, "batch": 1}, {"epoch": 1, "batch": 0}])
    steps = train(lambda: {"dataset": Noisy(12), "batch_size": 4}, epochs=2)
    first = [(epoch, batch[0][0]) for epoch, _, batch, _ in steps]
    assert first == [(0, 0), (0, 8), (1, 4), (1, 8)]


class Numbers(IterableDataset):
    """An iterable dataset, with or without a state."""

    def __init__(self, stateful: bool) -> None:
        self.at = 0
        if stateful:
            self.state_dict = lambda: {"at": self.at}
            self.load_state_dict = self._load

    def _load(self, state: dict[str, int]) -> None:
        self.at = state["at"]

    def __iter__(self) -> Iterator[torch.Tensor]:
        first, self.at = (self.at, self.at) if hasattr(self, "state_dict") else (0, 0)
        for number in range(first, 20):
            self.at = number + 1
            yield torch.tensor([float(number), random.random()], dtype=torch.float64)
        self.at = 0


@pytest.mark.parametrize("workers", [0, 2])
def test_iterable_datasets_skip_and_say_so(
    run_directory: RunDirectory, workers: int, capfd: pytest.CaptureFixture[str]
) -> None:
    make: Any = lambda: {"dataset": Numbers(False), "batch_size": 3, "num_workers": workers}  # noqa: E731
    check(run_directory, make)
    assert "were drawn and thrown away" in capfd.readouterr().err


def test_iterable_datasets_with_a_state_continue(
    run_directory: RunDirectory, capfd: pytest.CaptureFixture[str]
) -> None:
    make: Any = lambda: {"dataset": Numbers(True), "batch_size": 3, "seed_samples": False}  # noqa: E731
    whole = train(make, uses_rng=False)
    run_directory.__init__(run_directory.path)  # type: ignore[misc]
    seen = train(make, stop_at=3, uses_rng=False)
    run_directory.next_attempt()
    seen += train(make, uses_rng=False)
    assert [[sample[0] for sample in step[2]] for step in seen] == [
        [sample[0] for sample in step[2]] for step in whole
    ]
    assert "thrown away" not in capfd.readouterr().err


def test_other_workers_of_an_iterable_dataset_are_refused(run_directory: RunDirectory) -> None:
    train(lambda: {"dataset": Numbers(False), "batch_size": 3, "num_workers": 2}, stop_at=3)
    run_directory.next_attempt()
    with pytest.raises(holdfast.HoldfastError, match="2 workers shared the data, now 0"):
        train(lambda: {"dataset": Numbers(False), "batch_size": 3})


def test_validation_passes_leave_no_trace(run_directory: RunDirectory) -> None:
    def loop(stop_at: int | None) -> list[Any]:
        torch.manual_seed(1)
        run = holdfast.attach()
        training = run.loader(Noisy(), batch_size=4, shuffle=True)
        validation = run.loader(Noisy(9), batch_size=2, shuffle=True)
        seen: list[Any] = []
        for _ in run.epochs(2, finish=False):
            for batch in training:
                # Before the step, and of the step before: made again after a resume.
                checked = [sample.tolist() for sample in validation] if run.global_step % 3 == 2 else []
                seen.append((run.global_step, batch.tolist(), checked))
                if run.global_step + 1 == stop_at:
                    run_directory.request(1)
                run.step()
                if run.global_step == stop_at:
                    run._ring.close()
                    return seen
        return seen

    whole = loop(None)
    run_directory.next_attempt(None)
    seen = loop(5)
    run_directory.next_attempt()
    assert seen + loop(None) == whole


def test_two_passes_in_one_epoch(run_directory: RunDirectory) -> None:
    def loop(stop_at: int | None) -> list[Any]:
        run = holdfast.attach()
        torch.manual_seed(1)
        loader = run.loader(Noisy(6), batch_size=2, shuffle=True)
        run.restore()
        seen: list[Any] = []
        source = iter(loader)
        while run.global_step < 10:
            try:
                batch = next(source)
            except StopIteration:
                source = iter(loader)
                batch = next(source)
            seen.append(batch.tolist())
            if run.global_step + 1 == stop_at:
                run_directory.request(1)
            run.step()
            if run.global_step == stop_at:
                run._ring.close()
                return seen
        return seen

    whole = loop(None)
    assert whole[0] != whole[3]
    for stop in (4, 5):
        run_directory.next_attempt(None)
        seen = loop(stop)
        run_directory.next_attempt()
        assert seen + loop(None) == whole


class Range(IterableDataset):
    """Numbers that workers share as torch's documentation shows it: by what `worker_init_fn` sets."""

    def __init__(self) -> None:
        self.first, self.last = 0, 12

    def __iter__(self) -> Iterator[int]:
        return iter(range(self.first, self.last))


def take_a_share(worker: int) -> None:
    info = torch.utils.data.get_worker_info()
    dataset = info.dataset
    size = (dataset.last - dataset.first) // info.num_workers
    dataset.first += worker * size
    dataset.last = dataset.first + size


@pytest.mark.parametrize("start", ["fork", "spawn"])
def test_workers_find_the_dataset_of_the_program(start: str) -> None:
    run = holdfast.attach()
    options = {"num_workers": 2, "worker_init_fn": take_a_share, "multiprocessing_context": start}
    loader = run.loader(Range(), batch_size=3, **options)
    assert sorted(torch.cat(list(loader)).tolist()) == list(range(12))


@pytest.mark.parametrize("save_at", [1, 2, 3, 5, 8])
def test_a_dataset_that_grows(tmp_path: Path, save_at: int) -> None:
    def train(save_at: int = 0, path: Path | None = None) -> list[Any]:
        torch.manual_seed(1)
        run = holdfast.attach()
        seen, found = [0] * 4, []
        run.register(seen=seen)
        loader = run.loader(seen, batch_size=3, shuffle=True)
        if path is not None:
            run.load(path)
        for epoch in run.epochs(4):
            for batch in loader:
                found.append(batch.tolist())
                if loader.position + 1 == len(loader):
                    seen += [epoch + 1] * 3
                run.step()
                if run.global_step == save_at:
                    run.save(tmp_path)
                    return found
        return found

    whole = train()
    assert [len(batches) for batches in whole[-5:]] == [3, 3, 3, 3, 1]
    assert train(save_at) + train(path=tmp_path / f"step-{save_at}") == whole


def test_a_kept_iterator_says_nothing_at_the_end_of_the_program() -> None:
    program = "import holdfast; batches = iter(holdfast.attach().loader(range(4))); print(next(batches))"
    ended = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert ended.stderr == ""


@pytest.mark.parametrize("save_at", [2, 3, 4, 6])
def test_a_pass_that_is_left_and_kept_by_name(tmp_path: Path, save_at: int) -> None:
    def train(save_at: int = 0, path: Path | None = None) -> list[Any]:
        torch.manual_seed(1)
        run = holdfast.attach()
        loader = run.loader(Noisy(20), batch_size=4, shuffle=True)
        if path is not None:
            run.load(path)
        seen = []
        for _ in run.epochs(3):
            batches = iter(loader)
            for _ in range(3 - loader.position):
                seen.append(next(batches).tolist())
                run.step()
                if run.global_step == save_at:
                    run.save(tmp_path)
                    return seen
        return seen

    whole = train()
    assert len(whole) == 9
    assert train(save_at) + train(path=tmp_path / f"step-{save_at}") == whole
