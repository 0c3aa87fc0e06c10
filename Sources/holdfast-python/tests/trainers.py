"""Small trainers of the forms that programs have in practice.

`sweep.py` kills them everywhere. A trainer returns the result of its run. `warns` marks those that cannot be
resumed identically: they must be refused, or a message must report it.
"""

from __future__ import annotations

import copy
import itertools
import math
import random
import threading
from collections import Counter, OrderedDict, defaultdict, deque
from collections.abc import Iterator
from dataclasses import dataclass, field
from queue import Queue
from typing import Any, Callable, NamedTuple

import numpy as np
import torch
from torch import nn
from torch.nn import functional
from torch.utils.data import DataLoader, Dataset, IterableDataset, Subset, TensorDataset

import holdfast

try:
    from sklearn import linear_model, neural_network
except ImportError:
    linear_model = None

IS_NEW = int(torch.__version__.partition(".")[0]) >= 2


class Trainer(NamedTuple):
    """A program, and the expected result of its sweep."""

    train: Callable[[], Any]
    warns: bool
    # Text of the error that ends every attempt.
    refused: str | None


TRAINERS: dict[str, Trainer] = {}


def trainer(function: Any = None, *, warns: bool = False, refused: str | None = None) -> Any:
    """Add a trainer."""
    if function is None:
        return lambda function: trainer(function, warns=warns, refused=refused)
    TRAINERS[function.__name__] = Trainer(function, warns, refused)
    return function


def seed() -> None:
    """Seed the random streams, as every program does first."""
    holdfast.seed_everything(1)


def numbers(count: int = 20, seed: int = 5) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(seed)
    inputs = torch.randn(count, 6, generator=generator)
    return inputs, (inputs.sum(1) > 0).long()


def samples(count: int = 20, seed: int = 5) -> TensorDataset:
    return TensorDataset(*numbers(count, seed))


class Augmented(Dataset):
    """Samples with noise from every global stream."""

    def __init__(self, count: int = 20) -> None:
        self.inputs, self.labels = numbers(count)

    def __len__(self) -> int:
        return len(self.labels)

    def __getitem__(self, index: int) -> tuple[torch.Tensor, torch.Tensor]:
        noise = random.random() * 0.1 + np.random.normal() * 0.1
        return self.inputs[index] + torch.randn(6) * 0.1 + noise, self.labels[index]


def network() -> nn.Module:
    return nn.Sequential(nn.Linear(6, 8), nn.ReLU(), nn.Dropout(0.2), nn.Linear(8, 2))


def model_and_optimizer() -> tuple[nn.Module, torch.optim.Optimizer]:
    model = network()
    return model, torch.optim.Adam(model.parameters(), lr=0.01)


def learn(model: nn.Module, optimizer: torch.optim.Optimizer, inputs: Any, labels: Any) -> torch.Tensor:
    loss = functional.cross_entropy(model(inputs), labels)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    return loss.detach()


def outcome(model: nn.Module, optimizer: Any = None, *more: Any) -> list[Any]:
    return [model.state_dict(), None if optimizer is None else optimizer.state_dict()["state"], *more]


def batch_source(data: torch.Tensor) -> Callable[[], tuple[Any, Any]]:
    """Return a function that draws a batch from torch's global stream."""

    def batch() -> tuple[Any, Any]:
        chosen = torch.randint(20, (4,))
        return data[chosen], (data[chosen].sum(1) > 0).long()

    return batch


def start_run(**more: Any) -> tuple[holdfast.Run, nn.Module, torch.optim.Optimizer]:
    """Return a run with a registered model, optimizer and other objects."""
    run = holdfast.attach()
    model, optimizer = model_and_optimizer()
    run.register(model=model, optimizer=optimizer, **more)
    return run, model, optimizer


def train_epochs(
    run: holdfast.Run, model: nn.Module, optimizer: torch.optim.Optimizer, loader: Any, *, epochs: int
) -> list[Any]:
    """Run the plain loop; return its result."""
    for _ in run.epochs(epochs):
        for inputs, labels in loader:
            run.step(loss=learn(model, optimizer, inputs, labels))
    return outcome(model, optimizer)


# Epochs and loaders


@trainer
def epochs_and_loader() -> Any:
    run, model, optimizer = start_run()
    loader = run.loader(samples(), batch_size=4, shuffle=True)
    return train_epochs(run, model, optimizer, loader, epochs=3)


@trainer
def without_metrics() -> Any:
    run, model, optimizer = start_run()
    loader = run.loader(Augmented(), batch_size=4, shuffle=True)
    for _ in run.epochs(3):
        for inputs, labels in loader:
            learn(model, optimizer, inputs, labels)
            run.step()
    return outcome(model, optimizer)


@trainer
def last_partial_batch() -> Any:
    run, model, optimizer = start_run()
    loader = run.loader(Augmented(18), batch_size=5, shuffle=True)
    return train_epochs(run, model, optimizer, loader, epochs=3)


@trainer
def workers_persistent() -> Any:
    run, model, optimizer = start_run()
    loader = run.loader(Augmented(16), batch_size=4, shuffle=True, num_workers=2, persistent_workers=True)
    return train_epochs(run, model, optimizer, loader, epochs=2)


@trainer
def validation_that_draws() -> Any:
    """Validation draws from the streams of training; the best weights are stored."""
    run = holdfast.attach()
    model, optimizer = model_and_optimizer()
    best: dict[str, Any] = {"loss": math.inf, "weights": None}
    run.register(model=model, optimizer=optimizer, best=best)
    loader = run.loader(samples(), batch_size=4, shuffle=True)
    for _ in run.epochs(3):
        model.train()
        for inputs, labels in loader:
            run.step(loss=learn(model, optimizer, inputs, labels))
        with run.phase("validation"), torch.no_grad():
            inputs, labels = numbers(8, 9)
            score = 0.0
            for _ in range(3):
                noisy = inputs + torch.randn_like(inputs) * 0.3 + np.random.normal() * random.random()
                score += float(functional.cross_entropy(model(noisy), labels))
                run.safepoint()
        if score < best["loss"]:
            best.update(loss=score, weights=copy.deepcopy(model.state_dict()))
    return outcome(model, optimizer, best)


@trainer
def validation_every_two_steps() -> Any:
    run = holdfast.attach()
    model, optimizer = model_and_optimizer()
    history: list[float] = []
    run.register(model=model, optimizer=optimizer, history=history)
    loader = run.loader(samples(), batch_size=4, shuffle=True)
    for _ in run.epochs(3):
        for inputs, labels in loader:
            loss = learn(model, optimizer, inputs, labels)
            if (run.global_step + 1) % 2 == 0:
                with run.phase("validation"), torch.no_grad():
                    others, wanted = numbers(8, 9)
                    score = functional.cross_entropy(model(others + torch.randn_like(others)), wanted)
                    history.append(float(score))
                    run.safepoint()
            run.step(loss=loss)
    return outcome(model, optimizer, history)


@trainer
def validation_after_the_step() -> Any:
    """A resume repeats neither the code after `step()` nor its random numbers."""
    run, model, optimizer = start_run()
    loader = run.loader(samples(), batch_size=4, shuffle=True)
    for _ in run.epochs(2):
        for inputs, labels in loader:
            run.step(loss=learn(model, optimizer, inputs, labels))
            model.eval()
            with torch.no_grad():
                model(inputs)
            model.train()
    return outcome(model, optimizer)


@trainer
def scheduler_at_the_head_of_the_epoch() -> Any:
    """As written before torch 1.1: a resumed state already includes what the head changes."""
    run = holdfast.attach()
    model, optimizer = model_and_optimizer()
    scheduler = torch.optim.lr_scheduler.StepLR(optimizer, 1, gamma=0.5)
    seen: list[int] = []
    run.register(model=model, optimizer=optimizer, scheduler=scheduler, seen=seen)
    loader = run.loader(samples(), batch_size=4, shuffle=True)
    for epoch in run.epochs(3):
        if epoch:
            scheduler.step()
        seen.append(epoch)
        for inputs, labels in loader:
            learn(model, optimizer, inputs, labels)
            run.step()
    return outcome(model, optimizer, scheduler.state_dict()["last_epoch"], seen)


@trainer
def noise_is_added_at_the_head_of_the_epoch() -> Any:
    """Noise is added to the weights once per epoch."""
    run, model, optimizer = start_run()
    loader = run.loader(samples(), batch_size=4, shuffle=True)
    for _ in run.epochs(3):
        with torch.no_grad():
            for parameter in model.parameters():
                parameter.add_(torch.randn_like(parameter) * 0.01)
        for inputs, labels in loader:
            learn(model, optimizer, inputs, labels)
            run.step()
    return outcome(model, optimizer)


@trainer
def scheduler_after_each_epoch() -> Any:
    run = holdfast.attach()
    model, optimizer = model_and_optimizer()
    scheduler = torch.optim.lr_scheduler.ReduceLROnPlateau(optimizer, patience=0)
    run.register(model=model, optimizer=optimizer, scheduler=scheduler)
    loader = run.loader(samples(), batch_size=4, shuffle=True)
    for _ in run.epochs(3):
        for inputs, labels in loader:
            loss = learn(model, optimizer, inputs, labels)
            run.step(loss=loss)
        scheduler.step(1.0)
    return outcome(model, optimizer, optimizer.param_groups[0]["lr"])


@trainer
def accumulation_with_a_leftover() -> Any:
    run, model, optimizer = start_run()
    loader = run.loader(Augmented(20), batch_size=2, shuffle=True)
    for _ in run.epochs(3):
        for number, (inputs, labels) in enumerate(loader, loader.position + 1):
            (functional.cross_entropy(model(inputs), labels) / 4).backward()
            if number % 4 == 0 or number == len(loader):
                optimizer.step()
                optimizer.zero_grad()
                run.step()
    return outcome(model, optimizer)


@trainer
def accumulation_by_steps() -> Any:
    run, model, optimizer = start_run(save_gradients=True)
    loader = run.loader(samples(), batch_size=4, shuffle=True)
    for _ in run.epochs(3):
        for number, (inputs, labels) in enumerate(loader, loader.position + 1):
            functional.cross_entropy(model(inputs), labels).backward()
            is_full = number % 2 == 0 or number == len(loader)
            if is_full:
                optimizer.step()
                optimizer.zero_grad()
            run.step(optimizer_stepped=is_full)
    return outcome(model, optimizer)


@trainer(warns=True)
def two_steps_of_each_batch() -> Any:
    run, model, optimizer = start_run()
    loader = run.loader(samples(), batch_size=4, shuffle=True)
    for _ in run.epochs(2):
        for inputs, labels in loader:
            # No resume may begin after the first step, which has consumed the batch.
            run.step(loss=learn(model, optimizer, inputs, labels))
            run.step(loss=learn(model, optimizer, inputs, labels))
    return outcome(model, optimizer)


@trainer
def batches_are_skipped() -> Any:
    run, model, optimizer = start_run()
    loader = run.loader(Augmented(), batch_size=4, shuffle=True)
    for _ in run.epochs(3):
        for inputs, labels in loader:
            if float(inputs[0, 0]) < -0.4:
                continue
            run.step(loss=learn(model, optimizer, inputs, labels))
    return outcome(model, optimizer)


@trainer
def a_skipped_batch_draws() -> Any:
    run, model, optimizer = start_run()
    loader = run.loader(samples(), batch_size=4, shuffle=True)
    for _ in run.epochs(3):
        for inputs, labels in loader:
            if random.random() < 0.4:
                continue
            run.step(loss=learn(model, optimizer, inputs, labels))
    return outcome(model, optimizer)


@trainer
def break_in_mid_epoch() -> Any:
    run, model, optimizer = start_run()
    loader = run.loader(samples(), batch_size=4, shuffle=True)
    for _ in run.epochs(3):
        for inputs, labels in loader:
            if loader.position >= 3:
                break
            run.step(loss=learn(model, optimizer, inputs, labels))
    return outcome(model, optimizer)


@trainer
def stopped_in_mid_epoch() -> Any:
    """Early stopping within an epoch: the loop leaves the pass, and the run is finished."""
    run, model, optimizer = start_run()
    loader = run.loader(samples(), batch_size=4, shuffle=True)
    for _ in run.epochs(3):
        for inputs, labels in loader:
            loss = learn(model, optimizer, inputs, labels)
            if run.global_step == 7:
                run.stop(at_once=True)
            run.step(loss=loss)
    return outcome(model, optimizer, run.global_step)


@trainer
def stopped_after_an_epoch() -> Any:
    run = holdfast.attach()
    model, optimizer = model_and_optimizer()
    progress = {"best": math.inf, "bad": 0}
    run.register(model=model, optimizer=optimizer, progress=progress)
    loader = run.loader(samples(), batch_size=4, shuffle=True)
    for epoch in run.epochs(9):
        for inputs, labels in loader:
            run.step(loss=learn(model, optimizer, inputs, labels))
        with run.phase("validation"), torch.no_grad():
            run.safepoint()
            score = 1.0 if epoch >= 1 else 2.0
        progress["bad"] = progress["bad"] + 1 if score >= progress["best"] else 0
        progress["best"] = min(score, progress["best"])
        if progress["bad"] >= 1:
            run.stop()
    return outcome(model, optimizer, progress, run.global_step)


@trainer
def pretrained_and_finetuned() -> Any:
    """Two loops with typical code between them: another head, frozen layers, another learning rate."""
    run = holdfast.attach()
    model, optimizer = model_and_optimizer()
    head = nn.Linear(2, 3)
    second = torch.optim.SGD([*model.parameters(), *head.parameters()], lr=0.1, momentum=0.9)
    run.register(model=model, optimizer=optimizer, head=head, second=second)
    broad = run.loader(samples(), batch_size=4, shuffle=True)
    fine = run.loader(samples(12, 7), batch_size=4, shuffle=True)
    epochs = []
    for _ in run.epochs(2):
        for inputs, labels in broad:
            run.step(loss=learn(model, optimizer, inputs, labels))
    nn.init.normal_(head.weight)
    second.param_groups[0]["lr"] = 0.05
    drawn = [random.random(), float(np.random.normal())]
    for epoch in run.epochs(5):
        epochs.append(epoch)
        noise = torch.randn(6)
        for inputs, labels in fine:
            run.step(loss=learn(nn.Sequential(model, head), second, inputs + noise, labels))
        second.param_groups[0]["lr"] *= 0.5
    assert epochs in ([2, 3, 4], [3, 4], [4], [])
    run.finish()
    return outcome(model, second, head.state_dict(), drawn, run.global_step, float(torch.randn(1)))


@trainer
def three_loops_of_batches() -> Any:
    """The first two loops end early, by `stop` and by a break; only the last one finishes the run."""
    run = holdfast.attach()
    weights = np.zeros(3)
    run.register(weights=weights)
    for epoch in run.epochs(4, finish=False):
        for _ in run.batches(2):
            weights += np.random.normal(size=3)
            if epoch == 1:
                run.stop(at_once=True)
            run.step()
    weights *= 2
    run.safepoint()
    for epoch in run.epochs(7, finish=False):
        if epoch == 5:
            break
        for batch in run.batches(3):
            weights += batch + np.random.normal(size=3)
            run.step()
    weights *= 3
    for _ in run.epochs(9):
        for _ in run.batches(3):
            weights += np.random.normal(size=3)
            run.step()
    return [weights, run.global_step, run.epoch]


@trainer
def a_first_loop_without_epochs() -> Any:
    """The first loop of two has no epoch; each creates its own loader."""
    run = holdfast.attach()
    model, optimizer = model_and_optimizer()
    run.register(model=model, optimizer=optimizer)
    for total in (0, 3):
        for _ in run.epochs(total):
            for inputs, labels in run.loader(samples(), batch_size=4, shuffle=True, name=f"until {total}"):
                run.step(loss=learn(model, optimizer, inputs, labels))
    return outcome(model, optimizer)


@trainer(refused="counts the epochs of the whole run")
def a_second_loop_that_counts_from_0() -> Any:
    run = holdfast.attach()
    weights = np.zeros(3)
    run.register(weights=weights)
    for _ in run.epochs(3):
        for _ in run.batches(2):
            weights += 1
            run.step()
    for _ in run.epochs(2):
        for _ in run.batches(2):
            weights += 2
            run.step()
    return weights


@trainer
def unfrozen_in_training() -> Any:
    run = holdfast.attach()
    model, optimizer = model_and_optimizer()
    model[0].requires_grad_(False)
    run.register(model=model, optimizer=optimizer)
    loader = run.loader(samples(), batch_size=4, shuffle=True)
    for epoch in run.epochs(4):
        if epoch == 1:
            model[0].requires_grad_(True)
        for inputs, labels in loader:
            run.step(loss=learn(model, optimizer, inputs, labels))
        if epoch == 2:
            model[3].weight.requires_grad_(False)
    return outcome(model, optimizer)


class Centred(nn.Module):
    """Stores a mean, a growing history and a constant in buffers that are in no `state_dict`."""

    def __init__(self) -> None:
        super().__init__()
        self.inner = network()
        self.register_buffer("mean", torch.zeros(6), persistent=False)
        self.register_buffer("history", None, persistent=False)
        self.register_buffer("ones", torch.ones(1).expand(6), persistent=False)

    def forward(self, inputs: torch.Tensor) -> torch.Tensor:
        self.mean.mul_(0.9).add_(inputs.mean(0), alpha=0.1)
        old = self.mean[None] if self.history is None else self.history
        self.history = torch.cat([old, self.mean[None]])
        return self.inner(inputs - self.history.mean(0) * self.ones)


@trainer
def buffers_that_are_not_persistent() -> Any:
    run = holdfast.attach()
    model = Centred()
    optimizer = torch.optim.Adam(model.parameters(), lr=0.01)
    run.register(model=model, optimizer=optimizer)
    loader = run.loader(samples(), batch_size=4, shuffle=True)
    for _ in run.epochs(3):
        for inputs, labels in loader:
            run.step(loss=learn(model, optimizer, inputs, labels))
    return outcome(model, optimizer, model.mean, model.history)


@trainer
def a_layer_that_is_set_to_eval() -> Any:
    """The layer stays in evaluation mode from a step on."""
    run = holdfast.attach()
    model, optimizer = model_and_optimizer()
    run.register(model=model, optimizer=optimizer)
    run.restore()
    while run.global_step < 9:
        learn(model, optimizer, *numbers(4, run.global_step))
        if run.global_step == 3:
            model[2].eval()
        run.step()
    return outcome(model, optimizer)


@trainer
def evaluated_after_the_step() -> Any:
    """The next step sets the mode again, so a resume loses no change."""
    run = holdfast.attach()
    model, optimizer = model_and_optimizer()
    run.register(model=model, optimizer=optimizer)
    for _ in run.epochs(3):
        for batch in run.batches(4):
            model.train()
            learn(model, optimizer, *numbers(4, batch))
            run.step()
            model.eval()
    return outcome(model, optimizer)


@trainer
def export_after_the_loop() -> Any:
    """Evaluation with random numbers after the loop, in `finally`."""
    run, model, optimizer = start_run()
    loader = run.loader(samples(), batch_size=4, shuffle=True)
    scores = []
    try:
        for _ in run.epochs(2, finish=False):
            for inputs, labels in loader:
                run.step(loss=learn(model, optimizer, inputs, labels))
    finally:
        with run.phase("evaluation"), torch.no_grad():
            for _ in range(3):
                inputs, labels = numbers(8, 9)
                scores.append(
                    float(functional.cross_entropy(model(inputs + torch.randn_like(inputs)), labels))
                )
                run.safepoint()
    run.finish()
    return outcome(model, optimizer, scores)


@trainer
def the_last_loss_is_used_after_the_epoch() -> Any:
    run = holdfast.attach()
    model, optimizer = model_and_optimizer()
    losses: list[float] = []
    run.register(model=model, optimizer=optimizer, losses=losses)
    loader = run.loader(samples(), batch_size=4, shuffle=True)
    for _ in run.epochs(3):
        for inputs, labels in loader:
            loss = learn(model, optimizer, inputs, labels)
            run.step(loss=loss)
        losses.append(float(loss))
    return outcome(model, optimizer, losses)


@trainer
def a_mean_of_the_epoch() -> Any:
    run = holdfast.attach()
    model, optimizer = model_and_optimizer()
    sums = {"loss": 0.0, "count": 0}
    means: list[float] = []
    run.register(model=model, optimizer=optimizer, sums=sums, means=means)
    loader = run.loader(samples(), batch_size=4, shuffle=True)
    for _ in run.epochs(3):
        for inputs, labels in loader:
            loss = learn(model, optimizer, inputs, labels)
            sums["loss"] += float(loss)
            sums["count"] += 1
            run.step(loss=loss)
        means.append(sums["loss"] / sums["count"])
        sums.update(loss=0.0, count=0)
    return outcome(model, optimizer, means)


@trainer
def a_mean_that_is_reset_at_the_head() -> Any:
    """The head of the epoch resets sums that a resume in mid-epoch must preserve."""
    run = holdfast.attach()
    model, optimizer = model_and_optimizer()
    sums = {"loss": 0.0, "count": 0}
    means: list[float] = []
    run.register(model=model, optimizer=optimizer, sums=sums, means=means)
    loader = run.loader(samples(), batch_size=4, shuffle=True)
    for _ in run.epochs(3):
        sums.update(loss=0.0, count=0)
        for inputs, labels in loader:
            loss = learn(model, optimizer, inputs, labels)
            sums["loss"] += float(loss)
            sums["count"] += 1
            run.step(loss=loss)
        means.append(sums["loss"] / sums["count"])
    return outcome(model, optimizer, means)


@trainer
def two_loaders_zipped() -> Any:
    run, model, optimizer = start_run()
    first = run.loader(samples(16), batch_size=4, shuffle=True)
    second = run.loader(samples(20, seed=6), batch_size=5, shuffle=True)
    for _ in run.epochs(3):
        for (inputs, labels), (others, _) in zip(first, second):
            run.step(loss=learn(model, optimizer, inputs + others[:4] * 0.1, labels))
    return outcome(model, optimizer)


@trainer
def a_loader_that_is_cycled() -> Any:
    run, model, optimizer = start_run()
    loader = run.loader(samples(16), batch_size=4, shuffle=True)

    def forever(loader: Any) -> Iterator[Any]:
        while True:
            yield from loader

    source = forever(loader)
    run.restore()
    while run.global_step < 13:
        inputs, labels = next(source)
        run.step(loss=learn(model, optimizer, inputs, labels))
    run.finish()
    return outcome(model, optimizer)


@trainer(refused="itertools.cycle")
def itertools_cycle() -> Any:
    """`cycle` stores the batches of the first pass; in a resumed process it would store others."""
    run, model, optimizer = start_run()
    loader = run.loader(Augmented(16), batch_size=4, shuffle=True)
    source = itertools.cycle(loader)
    run.restore()
    while run.global_step < 11:
        inputs, labels = next(source)
        run.step(loss=learn(model, optimizer, inputs, labels))
    run.finish()
    return outcome(model, optimizer)


@trainer
def curriculum() -> Any:
    """Each epoch creates a new loader, with more and harder samples."""
    run, model, optimizer = start_run()
    data = samples(24)
    for epoch in run.epochs(3):
        easy = Subset(data, list(range(8 + 8 * epoch)))
        for inputs, labels in run.loader(easy, batch_size=4, shuffle=True, name="train"):
            run.step(loss=learn(model, optimizer, inputs, labels))
    return outcome(model, optimizer)


@trainer(warns=True)
def curriculum_by_losses() -> Any:
    """The head of the epoch selects samples by values that steps change: a resume selects others."""
    run = holdfast.attach()
    model, optimizer = model_and_optimizer()
    weights = [0.0] * 24
    run.register(model=model, optimizer=optimizer, weights=weights)
    data = samples(24)
    for _ in run.epochs(3):
        hardest = sorted(range(24), key=lambda index: (weights[index], index))[:12]
        for inputs, labels in run.loader(Subset(data, hardest), batch_size=4, name="train"):
            loss = learn(model, optimizer, inputs, labels)
            for index in range(24):
                weights[index] += float(loss) * ((index * 7 + run.global_step) % 5)
            run.step()
    return outcome(model, optimizer)


@trainer
def curriculum_by_registered_choice() -> Any:
    run = holdfast.attach()
    model, optimizer = model_and_optimizer()
    weights = [0.0] * 24
    chosen: list[int] = []
    run.register(model=model, optimizer=optimizer, weights=weights, chosen=chosen)
    data = samples(24)
    for _ in run.epochs(3):
        if run.batch == 0:
            chosen[:] = sorted(range(24), key=lambda index: (weights[index], index))[:12]
        for inputs, labels in run.loader(Subset(data, list(chosen)), batch_size=4, name="train"):
            loss = learn(model, optimizer, inputs, labels)
            for index in range(24):
                weights[index] += float(loss) * ((index * 7 + run.global_step) % 5)
            run.step()
    return outcome(model, optimizer)


@trainer
def a_step_in_a_function() -> Any:
    """The function is called in two places."""
    run, model, optimizer = start_run()
    warm = run.loader(samples(8, seed=8), batch_size=4, shuffle=True)
    loader = run.loader(samples(), batch_size=4, shuffle=True)

    def make_step(inputs: Any, labels: Any) -> None:
        run.step(loss=learn(model, optimizer, inputs, labels))

    for epoch in run.epochs(3):
        if epoch == 0:
            for inputs, labels in warm:
                make_step(inputs, labels)
        else:
            for inputs, labels in loader:
                make_step(inputs, labels)
    return outcome(model, optimizer)


@trainer
def two_loaders_one_after_the_other() -> Any:
    run, model, optimizer = start_run()
    first = run.loader(samples(12), batch_size=4, shuffle=True)
    second = run.loader(samples(8, seed=6), batch_size=4, shuffle=True)
    for _ in run.epochs(3):
        for inputs, labels in first:
            run.step(loss=learn(model, optimizer, inputs, labels))
        for inputs, labels in second:
            run.step(loss=learn(model, optimizer, inputs + torch.randn_like(inputs), labels))
    return outcome(model, optimizer)


@trainer
def adversaries() -> Any:
    """A GAN: two networks, two optimizers, two loaders."""
    run = holdfast.attach()
    generator, discriminator = nn.Linear(3, 6), network()
    first = torch.optim.Adam(generator.parameters(), lr=0.01)
    second = torch.optim.RMSprop(discriminator.parameters(), lr=0.01)
    run.register(generator=generator, discriminator=discriminator, first=first, second=second)
    real = run.loader(samples(16), batch_size=4, shuffle=True)
    more = run.loader(samples(16, seed=7), batch_size=4, shuffle=True)
    for _ in run.epochs(3):
        for (inputs, _), (others, _) in zip(real, more):
            fake = generator(torch.randn(4, 3))
            scores = discriminator(torch.cat([inputs, others, fake.detach()]))
            learned = functional.cross_entropy(scores, torch.tensor([1] * 8 + [0] * 4))
            second.zero_grad()
            learned.backward()
            second.step()
            fooled = functional.cross_entropy(discriminator(fake), torch.ones(4, dtype=torch.long))
            first.zero_grad()
            fooled.backward()
            first.step()
            run.step(discriminator=learned, generator=fooled)
    return [generator.state_dict(), discriminator.state_dict()]


@trainer
def averaged_weights() -> Any:
    """Moving averages, and stochastic weight averaging from the second epoch on."""
    run = holdfast.attach()
    model, optimizer = model_and_optimizer()
    averaged = torch.optim.swa_utils.AveragedModel(model)
    moving = copy.deepcopy(model)
    scheduler = torch.optim.swa_utils.SWALR(optimizer, swa_lr=0.005, anneal_epochs=2)
    run.register(model=model, optimizer=optimizer, averaged=averaged, moving=moving, scheduler=scheduler)
    loader = run.loader(samples(), batch_size=4, shuffle=True)
    for epoch in run.epochs(3):
        for inputs, labels in loader:
            loss = learn(model, optimizer, inputs, labels)
            with torch.no_grad():
                for own, other in zip(moving.parameters(), model.parameters()):
                    own.mul_(0.9).add_(other, alpha=0.1)
            run.step(loss=loss)
        if epoch >= 1:
            averaged.update_parameters(model)
            scheduler.step()
    return outcome(model, optimizer, averaged.state_dict(), moving.state_dict())


@trainer
def range_test_before_training() -> Any:
    """A search for a learning rate with a copy draws random numbers in every attempt."""
    run = holdfast.attach()
    model, optimizer = model_and_optimizer()
    trial = copy.deepcopy(model)
    losses = []
    for exponent in range(5):
        probe = torch.optim.SGD(trial.parameters(), lr=10.0**-exponent)
        losses.append(float(learn(trial, probe, *numbers(8))))
    run.register(model=model, optimizer=optimizer)
    loader = run.loader(Augmented(), batch_size=4, shuffle=True)
    for _ in run.epochs(2):
        for inputs, labels in loader:
            run.step(loss=learn(model, optimizer, inputs, labels))
    return outcome(model, optimizer, losses)


@trainer
def range_test_after_restoring() -> Any:
    """A probe between `restore()` and the loop runs in every attempt, without effect."""
    run, model, optimizer = start_run()
    loader = run.loader(Augmented(), batch_size=4, shuffle=True)
    run.restore()
    with torch.no_grad():
        model(torch.randn(4, 6))
    return train_epochs(run, model, optimizer, loader, epochs=2)


# Custom orders


@trainer
def permutation_of_torch() -> Any:
    run, model, optimizer = start_run()
    inputs, labels = numbers()
    for _ in run.epochs(3):
        order = torch.randperm(len(labels))
        for batch in run.batches(5):
            chosen = order[batch * 4 : batch * 4 + 4]
            learn(model, optimizer, inputs[chosen], labels[chosen])
            run.step()
    return outcome(model, optimizer)


@trainer
def permutation_of_numpy() -> Any:
    run = holdfast.attach()
    model, optimizer = model_and_optimizer()
    rng = np.random.default_rng(3)
    run.register(model=model, optimizer=optimizer, rng=rng)
    inputs, labels = numbers()
    for _ in run.epochs(3):
        order = rng.permutation(len(labels))
        for batch in run.batches(5):
            chosen = torch.from_numpy(order[batch * 4 : batch * 4 + 4])
            learn(model, optimizer, inputs[chosen] + rng.normal() * 0.1, labels[chosen])
            run.step()
    return outcome(model, optimizer)


@trainer
def shuffled_in_place() -> Any:
    """`random.shuffle` of a registered list: each epoch's order depends on the one before."""
    run = holdfast.attach()
    model, optimizer = model_and_optimizer()
    order = list(range(20))
    run.register(model=model, optimizer=optimizer, order=order)
    inputs, labels = numbers()
    for _ in run.epochs(3):
        random.shuffle(order)
        for batch in run.batches(5):
            chosen = order[batch * 4 : batch * 4 + 4]
            learn(model, optimizer, inputs[chosen], labels[chosen])
            run.step()
        with run.phase("validation"):
            run.safepoint()
    return outcome(model, optimizer, order)


@trainer
def counted_by_hand() -> Any:
    """Epochs, and batches counted from `run.batch`."""
    run, model, optimizer = start_run()
    inputs, labels = numbers()
    for _ in run.epochs(3):
        order = torch.randperm(len(labels))
        for batch in range(run.batch, 5):
            chosen = order[batch * 4 : batch * 4 + 4]
            learn(model, optimizer, inputs[chosen], labels[chosen])
            run.step()
    return outcome(model, optimizer)


@trainer
def counted_by_hand_with_validation() -> Any:
    run, model, optimizer = start_run()
    inputs, labels = numbers()
    for _ in run.epochs(3):
        order = torch.randperm(len(labels))
        for batch in range(run.batch, 5):
            chosen = order[batch * 4 : batch * 4 + 4]
            learn(model, optimizer, inputs[chosen], labels[chosen])
            run.step()
        with run.phase("validation"), torch.no_grad():
            model(torch.randn(4, 6))
            run.safepoint()
    return outcome(model, optimizer)


@trainer
def noise_of_the_epoch() -> Any:
    """Numbers are drawn for the whole epoch, in addition to the loader."""
    run = holdfast.attach()
    model, optimizer = model_and_optimizer()
    generator = torch.Generator().manual_seed(4)
    run.register(model=model, optimizer=optimizer, generator=generator)
    loader = run.loader(samples(), batch_size=4, shuffle=True)
    for _ in run.epochs(3):
        shift = torch.randn(6) * np.random.normal() + random.random() + torch.randn(6, generator=generator)
        for inputs, labels in loader:
            learn(model, optimizer, inputs + shift, labels)
            run.step()
    return outcome(model, optimizer)


# While loops


@trainer
def while_loop() -> Any:
    run, model, optimizer = start_run()
    data, _ = numbers()
    run.restore()
    while run.global_step < 12:
        chosen = torch.randint(20, (4,))
        learn(model, optimizer, data[chosen], (data[chosen].sum(1) > 0).long())
        run.step()
    run.finish()
    return outcome(model, optimizer)


@trainer
def while_loop_with_phases() -> Any:
    run, model, optimizer = start_run()
    data, _ = numbers()
    run.restore()
    while run.global_step < 12:
        chosen = torch.randint(20, (4,))
        learn(model, optimizer, data[chosen], (data[chosen].sum(1) > 0).long())
        run.step()
        if run.global_step % 4 == 0:
            with run.phase("validation"), torch.no_grad():
                model(torch.randn(4, 6))
                run.safepoint()
    run.finish()
    return outcome(model, optimizer)


@trainer
def while_loop_with_validation_first() -> Any:
    """As in nanoGPT: at the beginning of the body, before the step."""
    run = holdfast.attach()
    model, optimizer = model_and_optimizer()
    scores: list[float] = []
    run.register(model=model, optimizer=optimizer, scores=scores)
    data, _ = numbers()
    run.restore()
    while run.global_step < 12:
        if run.global_step % 3 == 0:
            with run.phase("validation"), torch.no_grad():
                scores.append(float(model(torch.randn(4, 6)).sum()))
                run.safepoint()
        chosen = torch.randint(20, (4,))
        learn(model, optimizer, data[chosen], (data[chosen].sum(1) > 0).long())
        run.step()
    run.finish()
    return outcome(model, optimizer, scores)


@trainer
def while_loop_with_a_registered_prefetch() -> Any:
    run = holdfast.attach()
    model, optimizer = model_and_optimizer()
    data, _ = numbers()

    def batch() -> dict[str, Any]:
        chosen = torch.randint(20, (4,))
        return {"inputs": data[chosen], "labels": (data[chosen].sum(1) > 0).long()}

    ready: dict[str, Any] = {}
    run.register(model=model, optimizer=optimizer, ready=ready)
    if not run.restore():
        ready.update(batch())
    while run.global_step < 12:
        for _ in range(2):
            loss = functional.cross_entropy(model(ready["inputs"]), ready["labels"])
            ready.update(batch())
            loss.backward()
        optimizer.step()
        optimizer.zero_grad()
        run.step()
    run.finish()
    return outcome(model, optimizer)


@trainer(warns=True)
def while_loop_with_a_prefetch() -> Any:
    """The prefetched batch is not part of the state."""
    run, model, optimizer = start_run()
    data, _ = numbers()

    batch = batch_source(data)

    run.restore()
    inputs, labels = batch()
    while run.global_step < 12:
        loss = functional.cross_entropy(model(inputs), labels)
        inputs, labels = batch()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        run.step()
    run.finish()
    return outcome(model, optimizer)


@trainer(warns=True)
def while_loop_with_a_prefetch_before_restoring() -> Any:
    run, model, optimizer = start_run()
    data, _ = numbers()

    batch = batch_source(data)

    inputs, labels = batch()
    run.restore()
    while run.global_step < 12:
        loss = functional.cross_entropy(model(inputs), labels)
        inputs, labels = batch()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        run.step()
    run.finish()
    return outcome(model, optimizer)


@trainer
def while_loop_over_a_loader() -> Any:
    run, model, optimizer = start_run()
    loader = run.loader(Augmented(), batch_size=4, shuffle=True)
    run.restore()
    batches = iter(loader)
    while run.global_step < 12:
        try:
            inputs, labels = next(batches)
        except StopIteration:
            batches = iter(loader)
            inputs, labels = next(batches)
        run.step(loss=learn(model, optimizer, inputs, labels))
    run.finish()
    return outcome(model, optimizer)


@trainer(warns=True)
def while_loop_over_a_loader_ahead() -> Any:
    """The next batch is read before the step, which counts it."""
    run, model, optimizer = start_run()
    loader = run.loader(samples(40), batch_size=4, shuffle=True)
    run.restore()
    batches = iter(loader)
    inputs, labels = next(batches)
    while run.global_step < 8:
        loss = learn(model, optimizer, inputs, labels)
        inputs, labels = next(batches)
        run.step(loss=loss)
    run.finish()
    return outcome(model, optimizer)


@trainer
def for_loop_over_steps() -> Any:
    run, model, optimizer = start_run()
    data, _ = numbers()
    run.restore()
    for _ in range(run.global_step, 12):
        chosen = torch.randint(20, (4,))
        learn(model, optimizer, data[chosen], (data[chosen].sum(1) > 0).long())
        run.step()
        with run.phase("validation"):
            random.random()
            torch.rand(1)
            run.safepoint()
    run.finish()
    return outcome(model, optimizer)


@trainer
def nested_phases() -> Any:
    run, model, optimizer = start_run()
    run.restore()
    while run.global_step < 8:
        with run.phase("training"):
            with run.phase("collecting"):
                data = torch.randn(4, 6)
                run.safepoint()
            with run.phase("learning"):
                run.safepoint()
                learn(model, optimizer, data, (data.sum(1) > 0).long())
                run.step()
    run.finish()
    return outcome(model, optimizer)


@trainer
def replay_buffer() -> Any:
    """Q-learning in a custom environment, from a buffer of the last transitions."""

    class Walk:
        def __init__(self) -> None:
            self.place = 0

        def state_dict(self) -> dict[str, int]:
            return {"place": self.place}

        def load_state_dict(self, state: dict[str, int]) -> None:
            self.place = state["place"]

        def move(self, action: int) -> tuple[float, bool]:
            self.place += (1 if action else -1) * (2 if random.random() < 0.2 else 1)
            is_over = abs(self.place) > 4
            reward = float(self.place > 4)
            if is_over:
                self.place = 0
            return reward, is_over

    run = holdfast.attach()
    model = nn.Linear(1, 2)
    optimizer = torch.optim.Adam(model.parameters(), lr=0.01)
    environment = Walk()
    buffer: deque[Any] = deque(maxlen=10)
    returns: defaultdict[str, float] = defaultdict(float)
    visits: Counter[int] = Counter()
    run.register(
        model=model,
        optimizer=optimizer,
        environment=environment,
        buffer=buffer,
        returns=returns,
        visits=visits,
    )
    run.restore()
    while run.global_step < 15:
        place = torch.tensor([float(environment.place)])
        greedy = int(model(place).argmax())
        action = random.randrange(2) if np.random.random() < 0.3 else greedy
        reward, is_over = environment.move(action)
        returns["over" if is_over else "on"] += reward
        visits[environment.place] += 1
        buffer.append((place, action, reward, torch.tensor([float(environment.place)])))
        places, actions, rewards, following = zip(*random.choices(buffer, k=4))
        targets = torch.tensor(rewards) + 0.9 * model(torch.stack(following)).max(1).values.detach()
        values = model(torch.stack(places))[torch.arange(4), torch.tensor(actions)]
        loss = functional.mse_loss(values, targets)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        run.step(loss=loss)
    run.finish()
    return outcome(model, optimizer, list(buffer), dict(returns), dict(visits), environment.place)


@trainer(warns=True)
def an_environment_that_is_not_registered() -> Any:
    run, model, optimizer = start_run()
    environment = np.random.default_rng(3)
    run.restore()
    while run.global_step < 8:
        data = torch.from_numpy(environment.normal(size=(4, 6)).astype(np.float32))
        learn(model, optimizer, data, (data.sum(1) > 0).long())
        run.step()
    run.finish()
    return outcome(model, optimizer)


# Data of other kinds


class Stream(IterableDataset):
    def __init__(self, count: int = 20) -> None:
        self.inputs, self.labels = numbers(count)

    def __iter__(self) -> Iterator[Any]:
        for index in range(len(self.labels)):
            yield self.inputs[index] + torch.randn(6) * 0.1, self.labels[index]


class StreamWithLength(Stream):
    def __len__(self) -> int:
        return len(self.labels)


@trainer
def iterable() -> Any:
    run, model, optimizer = start_run()
    loader = run.loader(Stream(), batch_size=4)
    return train_epochs(run, model, optimizer, loader, epochs=3)


@trainer
def iterable_with_length() -> Any:
    run, model, optimizer = start_run()
    loader = run.loader(StreamWithLength(), batch_size=4)
    scheduler = torch.optim.lr_scheduler.OneCycleLR(optimizer, 0.1, total_steps=3 * len(loader))
    run.register(scheduler=scheduler)
    for _ in run.epochs(3):
        for inputs, labels in loader:
            loss = learn(model, optimizer, inputs, labels)
            scheduler.step()
            run.step(loss=loss)
    return outcome(model, optimizer, optimizer.param_groups[0]["lr"])


@trainer
def a_generator_as_data() -> Any:
    """A generator without a position: it draws from the global streams, and has no state."""
    run, model, optimizer = start_run()

    def batches() -> Iterator[torch.Tensor]:
        while True:
            yield torch.randn(4, 6)

    run.restore()
    for data in batches():
        # Not after the step: a run that is resumed at its last step must make no other one.
        if run.global_step >= 9:
            break
        learn(model, optimizer, data, (data.sum(1) > 0).long())
        run.step()
    run.finish()
    return outcome(model, optimizer)


@trainer
def an_iterator_by_chunks() -> Any:
    """A generator over the batches of `batches()`."""
    run, model, optimizer = start_run()
    inputs, labels = numbers()

    def chunks() -> Iterator[Any]:
        order = np.random.permutation(20)
        for batch in run.batches(5):
            chosen = torch.from_numpy(order[batch * 4 : batch * 4 + 4])
            yield inputs[chosen], labels[chosen]

    for _ in run.epochs(3):
        for data, wanted in chunks():
            learn(model, optimizer, data, wanted)
            run.step()
    return outcome(model, optimizer)


@trainer
def prefetched_by_a_thread() -> Any:
    """Batches are prefetched through a queue, and counted when they are used."""
    run, model, optimizer = start_run()
    inputs, labels = numbers()
    for epoch in run.epochs(3):
        order = np.random.default_rng(epoch).permutation(20)
        queue: Queue[Any] = Queue(2)

        def fill(numbers: Any, order: Any = order, queue: Any = queue) -> None:
            for batch in numbers:
                chosen = torch.from_numpy(order[batch * 4 : batch * 4 + 4])
                queue.put((inputs[chosen], labels[chosen]))
            queue.put(None)

        thread = threading.Thread(target=fill, args=(range(run.batch, 5),), daemon=True)
        thread.start()
        while (batch := queue.get()) is not None:
            learn(model, optimizer, *batch)
            run.step()
        thread.join()
    return outcome(model, optimizer)


@trainer(refused="read by the thread")
def a_loader_read_by_a_thread() -> Any:
    run, model, optimizer = start_run()
    loader = run.loader(samples(), batch_size=4, shuffle=True)
    for _ in run.epochs(3):
        queue: Queue[Any] = Queue(2)

        def fill(queue: Any = queue) -> None:
            for batch in loader:
                queue.put(batch)
            queue.put(None)

        thread = threading.Thread(target=fill, daemon=True)
        thread.start()
        while (batch := queue.get()) is not None:
            learn(model, optimizer, *batch)
            run.step()
        thread.join()
    return outcome(model, optimizer)


class Doubling(DataLoader):
    """A loader whose own `__iter__` changes each batch."""

    def __iter__(self) -> Iterator[Any]:
        for inputs, labels in super().__iter__():
            yield inputs * 2 + torch.randn(1), labels


@trainer
def a_loader_with_its_own_iter() -> Any:
    run, model, optimizer = start_run()
    loader = run.loader(Doubling(samples(), batch_size=4, shuffle=True))
    return train_epochs(run, model, optimizer, loader, epochs=3)


# States of other kinds


@dataclass
class Progress:
    best: float = 0.0
    names: list[str] = field(default_factory=list)


class Pair(NamedTuple):
    first: float
    second: Any


@trainer
def containers() -> Any:
    import array
    import datetime
    import decimal
    import fractions

    run = holdfast.attach()
    state: dict[str, Any] = {
        "recent": deque(maxlen=3), "ordered": OrderedDict(a=1), "sums": defaultdict(float),
        "count": Counter(), "seen": set(), "words": array.array("d", [0.0]), "raw": bytearray(b"x"),
        "progress": Progress(),
        "holder": {"pair": Pair(0.0, ()), "exact": decimal.Decimal(1), "part": fractions.Fraction(1, 3),
                   "frozen": frozenset(), "when": datetime.datetime(2000, 1, 1), "range": range(3),
                   "for": datetime.timedelta(1)},
    }  # fmt: skip
    run.register(**state)
    run.restore()
    while run.global_step < 6:
        drawn = random.random()
        state["recent"].append(drawn)
        state["ordered"][f"{run.global_step}"] = drawn
        state["ordered"].move_to_end("a")
        state["sums"][run.global_step % 2] += drawn
        state["count"][int(drawn * 3)] += 1
        state["seen"].add(int(drawn * 100))
        state["words"].append(drawn)
        state["raw"] += b"%d" % int(drawn * 10)
        state["progress"].best += drawn
        state["progress"].names.append(f"{drawn}")
        holder = state["holder"]
        holder["pair"] = Pair(drawn, (holder["pair"].first,))
        holder["exact"] *= decimal.Decimal(drawn)
        holder["part"] /= 2
        holder["frozen"] |= {int(drawn * 100)}
        holder["when"] += datetime.timedelta(seconds=drawn)
        holder["range"] = range(int(drawn * 10))
        holder["for"] *= 1.5
        run.step()
    run.finish()
    state["seen"] = sorted(state["seen"])
    state["holder"]["frozen"] = sorted(state["holder"]["frozen"])
    return {name: list(value) if isinstance(value, array.array) else value for name, value in state.items()}


@trainer
def numpy_alone() -> Any:
    run = holdfast.attach()
    weights = np.zeros(6)
    momentum = np.zeros(6)
    run.register(weights=weights, momentum=momentum)
    data = numbers()[0].numpy().astype(np.float64)
    for _ in run.epochs(3):
        order = np.random.permutation(len(data))
        for batch in run.batches(5):
            chosen = data[order[batch * 4 : batch * 4 + 4]]
            momentum *= 0.9
            momentum += (chosen * np.random.normal(size=chosen.shape)).mean(0)
            weights -= 0.1 * momentum
            run.step(state=True)
    return [weights, momentum]


@(trainer if linear_model is not None else lambda function: function)
def estimator() -> Any:
    run = holdfast.attach()
    model = linear_model.SGDClassifier(random_state=3)
    run.register(model=model)
    inputs, labels = (one.numpy() for one in numbers())
    for _ in run.epochs(3):
        order = np.random.permutation(20)
        for batch in run.batches(5):
            chosen = order[batch * 4 : batch * 4 + 4]
            model.partial_fit(inputs[chosen], labels[chosen], classes=[0, 1])
            run.step()
    return [model.coef_, model.intercept_, model.t_]


@(trainer if linear_model is not None else lambda function: function)
def estimator_with_an_optimizer() -> Any:
    run = holdfast.attach()
    model = neural_network.MLPClassifier((5,), random_state=3)
    run.register(model=model)
    inputs, labels = (one.numpy() for one in numbers())
    run.restore()
    while run.global_step < 6:
        chosen = np.random.choice(20, 8)
        model.partial_fit(inputs[chosen], labels[chosen], classes=[0, 1])
        run.step()
    run.finish()
    return [*model.coefs_, *model.intercepts_, model.loss_curve_]


@trainer
def draws_before_the_loader() -> Any:
    """The body draws before it reads its batch."""
    run, model, optimizer = start_run()
    loader = run.loader(samples(), batch_size=4, shuffle=True)

    def forever() -> Iterator[Any]:
        while True:
            yield from loader

    batches = forever()
    run.restore()
    while run.global_step < 12:
        noise = torch.randn(4, 6) * 0.1
        inputs, labels = next(batches)
        run.step(loss=learn(model, optimizer, inputs + noise, labels))
    run.finish()
    return outcome(model, optimizer)


@trainer
def draws_before_the_loader_in_epochs() -> Any:
    run, model, optimizer = start_run()
    loader = run.loader(samples(), batch_size=4, shuffle=True)
    for _ in run.epochs(3):
        batches = iter(loader)
        for _ in range(len(loader) - loader.position):
            noise = torch.randn(4, 6) * 0.1
            inputs, labels = next(batches)
            run.step(loss=learn(model, optimizer, inputs + noise, labels))
    return outcome(model, optimizer)


@trainer
def one_step_of_each_epoch() -> Any:
    """Each epoch is one step."""
    run, model, optimizer = start_run()
    for _ in run.epochs(7):
        learn(model, optimizer, *numbers())
        run.step()
    return outcome(model, optimizer, run.global_step)


@trainer
def batches_of_a_plain_loader() -> Any:
    """A plain torch loader within `epochs()`: resumed only at the beginning of an epoch."""
    run, model, optimizer = start_run()
    loader = DataLoader(samples(), batch_size=4, shuffle=True)
    for _ in run.epochs(3):
        for inputs, labels in loader:
            learn(model, optimizer, inputs, labels)
            run.step()
    return outcome(model, optimizer, run.global_step)


@trainer(warns=True)
def a_change_after_the_step() -> Any:
    run = holdfast.attach()
    model, optimizer = model_and_optimizer()
    scheduler = torch.optim.lr_scheduler.ExponentialLR(optimizer, 0.9)
    run.register(model=model, optimizer=optimizer, scheduler=scheduler)
    loader = run.loader(samples(), batch_size=4, shuffle=True)
    for _ in run.epochs(2):
        for inputs, labels in loader:
            loss = learn(model, optimizer, inputs, labels)
            run.step(loss=loss)
            scheduler.step()
    return outcome(model, optimizer)


@trainer(warns=True)
def an_array_that_is_replaced() -> Any:
    run = holdfast.attach()
    weights = np.zeros(6)
    run.register(weights=weights)
    data = numbers()[0].numpy().astype(np.float64)
    for _ in run.epochs(2):
        for batch in run.batches(5):
            weights = weights * 0.9 + data[batch]
            run.step()
    return weights


@trainer
def scaled_gradients() -> Any:
    """A loss scale that grows, shrinks and skips; on the CPU if torch supports it."""
    run = holdfast.attach()
    model, optimizer = model_and_optimizer()
    kinds = {"init_scale": 4.0, "growth_interval": 2}
    scaler = torch.amp.GradScaler("cpu", **kinds) if IS_NEW else torch.cuda.amp.GradScaler(enabled=False)
    run.register(model=model, optimizer=optimizer, scaler=scaler)
    loader = run.loader(samples(), batch_size=4, shuffle=True)
    for _ in run.epochs(3):
        for inputs, labels in loader:
            loss = functional.cross_entropy(model(inputs), labels)
            if loader.position == 2:
                loss = loss * math.inf
            optimizer.zero_grad()
            scaler.scale(loss).backward()
            scaler.step(optimizer)
            scaler.update()
            run.step(scale=scaler.get_scale())
    return outcome(model, optimizer, scaler.state_dict())


if IS_NEW:

    @trainer
    def compiled() -> Any:
        run = holdfast.attach()
        model, optimizer = model_and_optimizer()
        fast = torch.compile(model, backend="eager")
        run.register(model=fast, optimizer=optimizer)
        loader = run.loader(samples(12), batch_size=4, shuffle=True)
        for _ in run.epochs(2):
            for inputs, labels in loader:
                run.step(loss=learn(fast, optimizer, inputs, labels))
        return outcome(model, optimizer)


@trainer
def weights_written_through_data() -> Any:
    """Weights are written through `data`, without a change of version counters, after a pass."""
    run = holdfast.attach()
    model = nn.Linear(200, 200)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.01)
    run.register(model=model, optimizer=optimizer)
    for _ in run.epochs(3):
        for _ in run.batches(3):
            optimizer.zero_grad()
            model(torch.randn(2, 200)).square().mean().backward()
            optimizer.step()
            run.step()
        with run.phase("validation"):
            # One element in 40,000.
            model.weight.data[7, 11] += 1
            run.safepoint()
    return outcome(model, optimizer)
