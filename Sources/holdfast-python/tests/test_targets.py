"""Saves at exact steps and at the ends of epochs, and metrics that are reported after a step."""

from __future__ import annotations

import json
import threading
import time

import pytest

import holdfast
from conftest import RunDirectory
from holdfast import _layout as at


class _Counter:
    """A component that counts the batches that were used."""

    def __init__(self) -> None:
        self.count = 0

    def state_dict(self) -> dict[str, int]:
        return {"count": self.count}

    def load_state_dict(self, state: dict[str, int]) -> None:
        self.count = state["count"]


def _answers(directory: RunDirectory) -> list[dict[str, int]]:
    """Return step, outcome and completed epochs of the answers since the last call."""
    found = []
    for kind, payload in directory.drain():
        if kind == at.RECORD_STAGED:
            _, step, _, _, _, outcome, _, epochs, *_ = at.STAGED.unpack_from(payload)
            found.append({"step": step, "outcome": outcome, "epochs": epochs})
    return found


def _train(run: holdfast.Run, epochs: int, batches: int, counter: _Counter) -> list[int]:
    """Train; return the steps at which the state was in the arena for the first time."""
    seen = []
    for epoch in run.epochs(epochs, finish=False):
        for _ in run.batches(batches):
            counter.count += 1
            run.step(loss=1.0)
        with run.phase("validation"):
            run.log(val_loss=float(epoch))
        seen.append(run.global_step)
    return seen


def test_the_state_of_exactly_the_requested_step(run_directory: RunDirectory) -> None:
    run = holdfast.attach()
    counter = _Counter()
    run.register(counter=counter)
    run_directory.request(1, target=7)
    _train(run, 2, 5, counter)
    assert _answers(run_directory) == [{"step": 7, "outcome": at.OUTCOME_STAGED, "epochs": 0}]


@pytest.mark.parametrize("target", [5, 10])
def test_the_last_step_of_an_epoch_can_be_requested(run_directory: RunDirectory, target: int) -> None:
    run = holdfast.attach()
    counter = _Counter()
    run.register(counter=counter)
    run_directory.request(1, target=target)
    _train(run, 3, 5, counter)
    assert _answers(run_directory) == [{"step": target, "outcome": at.OUTCOME_STAGED, "epochs": 0}]


@pytest.mark.parametrize("end", [at.EPOCH_END_TRAINING, at.EPOCH_END_VALIDATION])
@pytest.mark.parametrize(("every", "step"), [(1, 5), (2, 10), (3, 15)])
def test_the_end_of_an_epoch(run_directory: RunDirectory, end: int, every: int, step: int) -> None:
    run = holdfast.attach()
    counter = _Counter()
    run.register(counter=counter)
    run_directory.request(1, every_epochs=every, epoch_end=end)
    _train(run, 4, 5, counter)
    assert _answers(run_directory) == [{"step": step, "outcome": at.OUTCOME_STAGED, "epochs": every}]


@pytest.mark.parametrize(("target", "epochs"), [(5, [0, 1]), (10, [0, 2]), (7, [0])])
def test_a_step_that_ends_an_epoch_is_also_its_end(
    run_directory: RunDirectory, target: int, epochs: list[int]
) -> None:
    """Validation follows, with no step between: the answer is repeated with the number of the epoch."""
    run = holdfast.attach()
    counter = _Counter()
    run.register(counter=counter)
    # At the end of each epoch if it comes first: only the step's own one can.
    run_directory.request(1, target=target, every_epochs=target // 5 if target % 5 == 0 else 3)
    _train(run, 3, 5, counter)
    found = _answers(run_directory)
    assert [answer["epochs"] for answer in found] == epochs
    assert {answer["step"] for answer in found} == {target}


@pytest.mark.parametrize("end", [at.EPOCH_END_TRAINING, at.EPOCH_END_VALIDATION])
def test_a_resume_from_the_end_of_an_epoch(run_directory: RunDirectory, end: int) -> None:
    run = holdfast.attach()
    counter = _Counter()
    run.register(counter=counter)
    run_directory.request(1, every_epochs=2, epoch_end=end)
    _train(run, 3, 5, counter)
    run._connection.close()  # type: ignore[union-attr]
    run_directory.next_attempt()
    again = holdfast.attach()
    resumed = _Counter()
    again.register(counter=resumed)
    _train(again, 3, 5, resumed)
    assert (again.resumed_from, again.global_step, resumed.count) == (10, 15, 15)


def test_whichever_comes_first(run_directory: RunDirectory) -> None:
    run = holdfast.attach()
    counter = _Counter()
    run.register(counter=counter)
    run_directory.request(1, target=3, every_epochs=1)
    _train(run, 1, 5, counter)
    assert [answer["step"] for answer in _answers(run_directory)] == [3]


def test_a_step_between_micro_batches_is_saved_as_soon_as_possible(run_directory: RunDirectory) -> None:
    run = holdfast.attach()
    counter = _Counter()
    run.register(counter=counter)
    run_directory.request(1, target=2)
    for _ in run.epochs(1, finish=False):
        for batch in run.batches(8):
            run.step(optimizer_stepped=batch % 4 == 3)
    assert [(one["step"], one["outcome"]) for one in _answers(run_directory)] == [(4, at.OUTCOME_STAGED)]


def test_a_step_that_was_passed_is_missed(run_directory: RunDirectory) -> None:
    run = holdfast.attach()
    run.step()
    run.step()
    run_directory.request(1, target=1)
    run.step()
    assert _answers(run_directory) == [{"step": 3, "outcome": at.OUTCOME_MISSED, "epochs": 0}]


def test_metrics_after_a_step_belong_to_it(run_directory: RunDirectory) -> None:
    run = holdfast.attach()
    run.step(loss=0.5)
    run.log({"val/loss": 0.25}, val_accuracy=float("nan"))
    run.log()
    records = [json.loads(payload) for kind, payload in run_directory.drain() if kind == at.RECORD_METRICS]
    assert records == [{"step": 1, "values": {"val/loss": 0.25, "val_accuracy": "NaN"}}]


def test_finishing_while_a_later_step_is_requested(run_directory: RunDirectory) -> None:
    run = holdfast.attach()
    run_directory.request(1, target=100)
    run_directory.put(at.RING_SPARE_SLOT, "<I", 0)
    run.step()
    run.finish()
    kinds = [kind for kind, _ in run_directory.drain()]
    assert at.RECORD_FINISHED in kinds
    assert run_directory.word(at.RING_ACKNOWLEDGED) == 0


def test_finishing_does_not_overwrite_an_image_that_nobody_has_seen(run_directory: RunDirectory) -> None:
    """The supervisor is slow: it has not seen the answer, and still offers its slot."""
    run = holdfast.attach()
    run_directory.request(1, target=1, slot=1)
    run_directory.put(at.RING_SPARE_SLOT, "<I", 1)
    run.step()
    image = (run_directory.path / "arena-0-1").read_bytes()

    def offer() -> None:
        time.sleep(0.2)
        run_directory.put(at.RING_SPARE_SLOT, "<I", 0)

    thread = threading.Thread(target=offer)
    thread.start()
    run.finish()
    thread.join()
    assert (run_directory.path / "arena-0-1").read_bytes() == image
    assert (run_directory.path / "arena-0-0").exists()
