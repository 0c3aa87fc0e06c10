"""Torchmetrics over resumes: their accumulated state is in no `state_dict`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
import torchmetrics
from torch import nn
from torchmetrics.classification import MulticlassAccuracy, MulticlassAUROC, MulticlassPrecision

import holdfast
from conftest import RunDirectory, step
from internals import close

STEPS = 9


class Judged(nn.Module):
    """A module with metrics, some of which accumulate the same state."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(4, 3)
        self.metrics = torchmetrics.MetricCollection(
            [
                MulticlassAccuracy(3),
                MulticlassPrecision(3),
                torchmetrics.MetricCollection([MulticlassAUROC(3)]),
            ]
        )


def train(stop_at: int | None, directory: RunDirectory | None) -> dict[str, Any] | None:
    """Train until a step and save there, or train to the end and return the metrics."""
    torch.manual_seed(5)
    run = holdfast.attach()
    model, mean = Judged(), torchmetrics.MeanMetric()
    # These replace their tensors, so the second one has outdated ones until it is read.
    related = torchmetrics.MetricCollection(
        [torchmetrics.PearsonCorrCoef(), torchmetrics.ConcordanceCorrCoef()]
    )
    run.register(model=model, mean=mean, related=related)
    for _ in run.epochs(1, finish=False):
        for _ in run.batches(STEPS):
            output = model.layer(torch.randn(5, 4)).softmax(1)
            labels = torch.randint(3, (5,))
            model.metrics.update(output, labels)
            mean.update(output.max())
            related.update(output[:, 0], output[:, 1])
            if step(run, directory, stop_at):
                return None
    close(run)
    computed = {**model.metrics.compute(), **related.compute()}
    return {**computed, "mean": mean.compute(), "updates": mean.update_count}


def test_accumulated_metrics_continue(run_directory: RunDirectory) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("HOLDFAST_RUN_DIR")
        whole = train(None, None)
    assert whole is not None and whole["updates"] == STEPS
    # The second attempt resumes a collection before it has determined its compute groups.
    for stop in (3, 4, 7):
        assert train(stop, run_directory) is None
        run_directory.next_attempt()
    assert train(None, run_directory) == whole


def test_a_different_metric_is_refused_or_starts_fresh(tmp_path: Path) -> None:
    run = holdfast.attach()
    run.register(metric=torchmetrics.MeanMetric())
    path = run.save(tmp_path)
    run = holdfast.attach()
    run.register(metric=torchmetrics.MaxMetric())
    with pytest.raises(holdfast.HoldfastError, match="mean_value"):
        run.load(path)
    run = holdfast.attach()
    other = torchmetrics.MaxMetric()
    run.register(strict=False, metric=other)
    run.load(path)
    assert other.update_count == 0


def test_weights_only_checkpoints_contain_no_metrics(tmp_path: Path) -> None:
    run = holdfast.attach()
    run.register(model=Judged())
    path = run.save(tmp_path, weights_only=True)
    assert sorted(holdfast.load(path).components) == ["model"]
