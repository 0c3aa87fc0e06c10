"""Lightning programs that are killed at each point in turn, and must end with identical results.

Each attempt is a fork of this process, which has imported torch and Lightning once, and dies by SIGKILL. The
next one resumes from ring, arena and `resume.json`. Run all: `python tests/lightning_sweep.py [CASE ...]`.
"""

from __future__ import annotations

import argparse
import csv
import importlib.util
import json
import os
import pickle
import random
import shutil
import signal
import sys
import tempfile
import time
import traceback
import warnings
from pathlib import Path
from typing import Any, Callable

import numpy as np
import torch

# Debian 12's torch 1.13 cannot import its sharded tensors under Python 3.11.
torch.distributed.is_available = lambda: False
torch.set_num_threads(1)

import pytorch_lightning as pl
from pytorch_lightning import callbacks as shipped
from pytorch_lightning.loggers import CSVLogger
from torch.utils.data import DataLoader, Dataset

import holdfast
import holdfast.lightning
from conftest import RunDirectory, without_functions
from internals import at, forget_run

BATCHES = 5


class Data(Dataset):
    def __len__(self) -> int:
        return BATCHES * 4

    def __getitem__(self, index: int) -> Any:
        return torch.full((6,), index / 30.0) + torch.randn(6) * 0.1, torch.tensor(index % 3)


class Network(pl.LightningModule):
    """Collects a list over each epoch, like programs for Lightning 2; its learning rate can be searched."""

    def __init__(self, learning_rate: float = 0.05, schedule: str = "step") -> None:
        super().__init__()
        self.save_hyperparameters()
        self.backbone = torch.nn.Sequential(
            torch.nn.Linear(6, 8), torch.nn.BatchNorm1d(8), torch.nn.ReLU(), torch.nn.Dropout(0.3)
        )
        self.head = torch.nn.Linear(8, 3)
        self.batch_size = 4
        self.learning_rate = learning_rate
        self.losses: list[Any] = []
        self.seen = 0

    def forward(self, batch: Any) -> Any:
        return self.head(self.backbone(batch))

    def training_step(self, batch: Any, batch_index: int) -> Any:
        loss = torch.nn.functional.cross_entropy(self(batch[0]), batch[1])
        self.losses.append(loss.detach())
        self.seen += len(batch[1])
        self.log("loss", loss, on_step=True, on_epoch=True)
        return loss

    def on_train_epoch_end(self) -> None:
        self.log("mean", torch.stack(self.losses).mean())
        self.log("seen", float(self.seen))
        self.losses.clear()

    def validation_step(self, batch: Any, batch_index: int) -> None:
        self.log("validation_loss", torch.nn.functional.cross_entropy(self(batch[0]), batch[1]))

    def test_step(self, batch: Any, batch_index: int) -> None:
        self.log("test_loss", torch.nn.functional.cross_entropy(self(batch[0]), batch[1]) + torch.rand(()))

    def predict_step(self, batch: Any, batch_index: int, *_: Any) -> Any:
        return self(batch[0])

    def train_dataloader(self) -> Any:
        return DataLoader(Data(), batch_size=self.batch_size, shuffle=True)

    def val_dataloader(self) -> Any:
        return DataLoader(Data(), batch_size=9)

    test_dataloader = predict_dataloader = val_dataloader

    def configure_optimizers(self) -> Any:
        optimizer = torch.optim.Adam(
            [one for one in self.parameters() if one.requires_grad], lr=self.learning_rate
        )
        if self.hparams["schedule"] == "none":
            return optimizer
        scheduler = torch.optim.lr_scheduler.StepLR(optimizer, 1, 0.8)
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": scheduler, "interval": "epoch"}}


class Clock:
    """Counts the points of one attempt, requests its state at some of them, and ends it at one."""

    def __init__(self, directory: RunDirectory | None, moment: int, every: int) -> None:
        self.directory = directory
        self.moment = moment
        self.every = every
        self.count = 0
        self.requests = 0
        self.names: list[str] = []

    def at(self, name: str, *, requests: bool = False) -> None:
        self.count += 1
        self.names.append(name)
        if self.directory is not None:
            self.directory.offer_slot()
            if requests and self.count % self.every == 0:
                self.requests += 1
                self.directory.request(self.requests, slot=self.requests % 2)
        if self.count == self.moment:
            os.kill(os.getpid(), signal.SIGKILL)


class Moments(shipped.Callback):
    """Reports each hook to the clock."""

    def __init__(self, clock: Clock) -> None:
        self.clock = clock


def _moment(name: str, *, requests: bool = False) -> Any:
    def hook(self: Any, trainer: Any, *_: Any, **__: Any) -> None:
        if not trainer.sanity_checking and self in trainer.callbacks:
            self.clock.at(name, requests=requests)

    return hook


for _name, _requests in {
    "on_train_start": False, "on_train_epoch_start": False, "on_train_batch_start": True,
    "on_train_batch_end": False, "on_validation_batch_start": True, "on_validation_batch_end": False,
    "on_validation_end": False, "on_train_epoch_end": False, "on_train_end": False, "on_fit_end": False,
    "on_test_batch_start": True, "on_test_batch_end": False, "on_test_end": False,
}.items():  # fmt: skip
    setattr(Moments, _name, _moment(_name, requests=_requests))


def newest_slot(directory: RunDirectory) -> int | None:
    import struct

    steps = {}
    for slot in (0, 1):
        path = directory.path / f"arena-0-{slot}"
        if path.exists():
            with path.open("rb") as file:
                header = file.read(at.HEADER_BYTES)
            if struct.unpack_from("<I", header, at.SLOT_COMPLETE)[0] == 1:
                steps[struct.unpack_from("<Q", header, at.SLOT_STEP)[0], path.stat().st_mtime_ns] = slot
    return steps[max(steps)] if steps else None


class Context:
    """The argument of a case's program."""

    def __init__(self, files: Path, clock: Clock) -> None:
        self.files = files
        self.clock = clock

    def trainer(self, *callbacks: Any, **options: Any) -> Any:
        return pl.Trainer(
            callbacks=[holdfast.lightning.Holdfast(), *callbacks, Moments(self.clock)],
            **{
                "max_epochs": 3,
                "accelerator": "cpu",
                "logger": CSVLogger(self.files, name="logs", version="one", flush_logs_every_n_steps=3),
                "log_every_n_steps": 1,
                "default_root_dir": self.files,
                "enable_progress_bar": False,
                "enable_model_summary": False,
                **options,
            },
        )

    def at(self, name: str) -> None:
        self.clock.at(name)

    def seen(self, trainer: Any, model: Any, *, files: bool = True) -> dict[str, Any]:
        """Return everything that is compared; without files if a killed attempt may have written more."""
        rows = []
        for path in sorted(self.files.glob("logs/*/metrics.csv")) if files else ():
            with path.open(newline="") as file:
                rows += [
                    tuple(sorted((key, value) for key, value in row.items() if value))
                    for row in csv.DictReader(file)
                ]
        return {
            "model": {name: value.clone() for name, value in model.state_dict().items()},
            "trained": {name: one.requires_grad for name, one in model.named_parameters()},
            "optimizers": [one.state_dict() for one in trainer.optimizers],
            "schedulers": [
                without_functions(config.scheduler.state_dict()) for config in trainer.lr_scheduler_configs
            ],
            "steps": (trainer.global_step, trainer.current_epoch, trainer.should_stop),
            "status": str(trainer.state),
            "metrics": {name: float(value) for name, value in trainer.callback_metrics.items()},
            "callbacks": {
                one.state_key: _state_of(one) for one in trainer.callbacks if not isinstance(one, Moments)
            },
            "best": [Path(getattr(one, "best_model_path", "")).name for one in trainer.checkpoint_callbacks],
            "module": (
                model.seen,
                [float(one) for one in model.losses],
                model.learning_rate,
                model.batch_size,
            ),
            "files": sorted(
                str(path.relative_to(self.files))
                for path in self.files.rglob("*")
                if files and path.is_file()
            ),
            "rows": rows,
            "random": (random.random(), float(np.random.rand()), float(torch.rand(1))),
        }


def _state_of(callback: Any) -> Any:
    state = callback.state_dict()
    return without_functions(
        {
            key: value
            for key, value in state.items()
            # Wall clocks.
            if key not in ("time_elapsed",)
        }
    )


Case = Callable[[Context], Any]
CASES: dict[str, Case] = {}


def case(name: str) -> Callable[[Case], Case]:
    def add(program: Case) -> Case:
        CASES[name] = program
        return program

    return add


def fitted(name: str, make: Callable[[Context], list[Any]], schedule: str = "step", **options: Any) -> None:
    """Add a case with one fit and some callbacks."""

    def program(context: Context) -> Any:
        model = Network(schedule=schedule)
        trainer = context.trainer(*make(context), **options)
        trainer.fit(model)
        context.at("after fit")
        return context.seen(trainer, model)

    CASES[name] = program


def has(name: str) -> bool:
    return hasattr(shipped, name)


def checkpoint(context: Context, **options: Any) -> Any:
    return shipped.ModelCheckpoint(context.files / options.pop("directory", "saved"), **options)


fitted("plain", lambda context: [])
fitted(
    "checkpoint, best",
    lambda context: [checkpoint(context, monitor="validation_loss", save_top_k=2, save_last=True)],
)
fitted(
    "checkpoint, all",
    lambda context: [checkpoint(context, save_top_k=-1, every_n_train_steps=2)],
)
fitted(
    "checkpoint, at epoch ends",
    lambda context: [
        checkpoint(context, save_on_train_epoch_end=True, every_n_epochs=1, monitor="loss_epoch", mode="max"),
        checkpoint(context, directory="more", every_n_train_steps=3, save_last=True),
    ],
    val_check_interval=2,
)
fitted(
    "checkpoint, weights only",
    lambda context: [checkpoint(context, save_weights_only=True, monitor="loss_step", every_n_train_steps=2)],
)
fitted(
    "early stopping",
    lambda context: [shipped.EarlyStopping("validation_loss", patience=1, mode="max")],
    max_epochs=6,
)
fitted(
    "early stopping in mid-epoch",
    lambda context: [shipped.EarlyStopping("validation_loss", patience=2, mode="max")],
    max_epochs=6,
    val_check_interval=2,
)
fitted(
    "early stopping on training",
    lambda context: [
        shipped.EarlyStopping("loss_epoch", patience=1, mode="max", check_on_train_epoch_end=True)
    ],
    max_epochs=6,
)
fitted(
    "weight averaging, stochastic",
    lambda context: [shipped.StochasticWeightAveraging(swa_lrs=0.02, swa_epoch_start=2)],
    max_epochs=5,
)
if has("WeightAveraging"):
    fitted("weight averaging", lambda context: [shipped.WeightAveraging()])
    fitted("weight averaging, exponential", lambda context: [shipped.EMAWeightAveraging(decay=0.9)])
fitted("learning rate monitor", lambda context: [shipped.LearningRateMonitor(log_momentum=True)])
fitted("learning rate monitor, epochs", lambda context: [shipped.LearningRateMonitor("epoch")])
fitted("accumulation", lambda context: [shipped.GradientAccumulationScheduler({0: 1, 1: 2, 2: 3})])
fitted(
    "backbone",
    lambda context: [shipped.BackboneFinetuning(unfreeze_backbone_at_epoch=1, backbone_initial_ratio_lr=0.1)],
    schedule="none",
    max_epochs=4,
)
for _fn in ("l1_unstructured", "random_unstructured"):
    fitted(
        f"pruning, {_fn}",
        lambda context, fn=_fn: [shipped.ModelPruning(fn, amount=0.2, parameter_names=["weight"])],
    )
fitted(
    "pruning, not permanent",
    lambda context: [
        shipped.ModelPruning(
            "l1_unstructured", parameter_names=["weight"], make_pruning_permanent=False, amount=0.2,
            use_lottery_ticket_hypothesis=False,
        )
    ],
)  # fmt: skip
fitted(
    "bars",
    lambda context: [shipped.TQDMProgressBar(), shipped.ModelSummary()],
    enable_progress_bar=True,
    enable_model_summary=True,
)
if importlib.util.find_spec("rich"):
    fitted(
        "rich",
        lambda context: [shipped.RichProgressBar(), shipped.RichModelSummary()],
        enable_progress_bar=True,
        enable_model_summary=True,
    )
fitted("timer", lambda context: [shipped.Timer(duration="00:01:00:00")])
fitted(
    "lambda",
    lambda context: [shipped.LambdaCallback(on_train_epoch_start=lambda *_: torch.rand(3))],
)
if has("OnExceptionCheckpoint"):
    fitted("on exception", lambda context: [shipped.OnExceptionCheckpoint(context.files)])
if hasattr(shipped, "SpikeDetection") or "spike" in sys.modules.get("pytorch_lightning.callbacks").__dict__:
    from pytorch_lightning.callbacks.spike import SpikeDetection

    fitted(
        "spikes",
        lambda context: [SpikeDetection(rtol=50.0, exclude_batches_path=str(context.files / "s.json"))],
    )
fitted("device statistics", lambda context: [shipped.DeviceStatsMonitor(cpu_stats=False)])
fitted(
    "steps",
    lambda context: [checkpoint(context, save_on_train_epoch_end=True)],
    max_steps=8,
    max_epochs=-1,
)
fitted(
    "learning rate search",
    lambda context: [shipped.LearningRateFinder(num_training_steps=16, **_UPDATE)],
    schedule="none",
)
fitted(
    "batch size search",
    lambda context: [shipped.BatchSizeFinder(max_trials=1, steps_per_trial=2, init_val=2)],
)

# 1.9 changes the attribute only on request.
_UPDATE = {"update_attr": True} if pl.__version__ < "2" else {}


class Once(shipped.Callback):
    """Initializes itself in one hook, and counts in another; has no state_dict."""

    def __init__(self) -> None:
        self.epoch = -1
        self.average: Any = None
        self.norms: list[float] = []

    def on_fit_start(self, trainer: Any, module: Any) -> None:
        self.average = torch.optim.swa_utils.AveragedModel(module.head)

    def on_train_epoch_start(self, trainer: Any, module: Any) -> None:
        self.epoch = trainer.current_epoch
        with torch.no_grad():
            module.head.bias.add_(0.01)

    def on_train_batch_end(self, trainer: Any, module: Any, *_: Any) -> None:
        self.average.update_parameters(module.head)
        self.norms.append(float(module.head.weight.norm()) + self.epoch)

    def on_train_epoch_end(self, trainer: Any, module: Any) -> None:
        module.log("norms", sum(self.norms))
        with torch.no_grad():
            module.head.bias.add_(self.average.module.bias * 0.1)


fitted("a program's own", lambda context: [Once()], val_check_interval=3)


class Stops(shipped.Callback):
    def on_train_batch_end(self, trainer: Any, *_: Any) -> None:
        if trainer.global_step == 8:
            trainer.should_stop = True


fitted("stopped by a flag", lambda context: [Stops()])
fitted("stopped by a flag before validation", lambda context: [Stops()], val_check_interval=4)


@case("fit, then test")
def _test(context: Context) -> Any:
    model = Network()
    trainer = context.trainer(
        shipped.EarlyStopping("validation_loss", patience=1, mode="max"),
        checkpoint(context, monitor="validation_loss"),
        max_epochs=5,
        val_check_interval=3,
    )
    trainer.fit(model)
    context.at("after fit")
    seen = [context.seen(trainer, model, files=False)]
    tested = trainer.test(model, verbose=False)
    context.at("after test")
    trainer.save_checkpoint(context.files / "final.ckpt")
    trainer.validate(model, ckpt_path="best", verbose=False)
    context.at("before the end")
    return [*seen, tested, trainer.predict(model), context.seen(trainer, model)]


@case("the same trainer twice")
def _twice(context: Context) -> Any:
    model = Network()
    trainer = context.trainer(checkpoint(context, save_last=True), max_epochs=2)
    trainer.fit(model)
    context.at("between fits")
    first = context.seen(trainer, model, files=False)
    tested = trainer.test(model, verbose=False)
    trainer.fit_loop.max_epochs = 4
    trainer.fit(model)
    context.at("after fits")
    return [first, tested, context.seen(trainer, model)]


@case("folds")
def _folds(context: Context) -> Any:
    seen = []
    for fold in range(3):
        model = Network(learning_rate=0.03 + fold * 0.01)
        trainer = context.trainer(
            checkpoint(context, directory=f"fold-{fold}", monitor="validation_loss"),
            max_epochs=2,
            logger=CSVLogger(context.files, name="logs", version=f"fold-{fold}", flush_logs_every_n_steps=3),
        )
        trainer.fit(model)
        context.at("after a fold")
        seen.append(context.seen(trainer, model, files=fold == 2))
        seen.append(trainer.test(model, verbose=False))
    return seen


@case("trained, then finetuned")
def _finetuned(context: Context) -> Any:
    model = Network()
    first = context.trainer(max_epochs=2, logger=False)
    first.fit(model)
    context.at("between fits")
    before = context.seen(first, model, files=False)
    model.learning_rate = 0.01 + before["random"][0] / 100
    second = context.trainer(shipped.EarlyStopping("validation_loss", patience=1, mode="max"), max_epochs=5)
    second.fit(model)
    context.at("after fits")
    return [before, context.seen(second, model)]


@case("tuner")
def _tuner(context: Context) -> Any:
    model = Network(schedule="none")
    trainer = context.trainer(max_epochs=2)
    if pl.__version__ < "2":
        finder = trainer.tuner.lr_find(model, num_training=16, update_attr=True)
        size = trainer.tuner.scale_batch_size(model, max_trials=1, steps_per_trial=2)
    else:
        from pytorch_lightning.tuner import Tuner

        finder = Tuner(trainer).lr_find(model, num_training=16)
        size = Tuner(trainer).scale_batch_size(model, max_trials=1, steps_per_trial=2)
    trainer.fit(model)
    context.at("after fit")
    return [finder.suggestion(), size, context.seen(trainer, model)]


class Centred(Network):
    """Stores a mean in a buffer that is not persistent."""

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("mean", torch.zeros(()), persistent=False)

    def forward(self, batch: Any) -> Any:
        if self.training:
            self.mean.mul_(0.9).add_(batch.mean(), alpha=0.1)
        return super().forward(batch - self.mean)


@case("a buffer that is not persistent")
def _buffer(context: Context) -> Any:
    model = Centred()
    trainer = context.trainer()
    trainer.fit(model)
    context.at("after fit")
    return {**context.seen(trainer, model), "mean": float(model.mean)}


# Running the cases


def warm_up() -> None:
    """Trigger the lazy imports of torch and Lightning before the first fork."""
    if _is_warm:
        return
    _is_warm.append(True)
    # An earlier test may have attached.
    forget_run()
    with tempfile.TemporaryDirectory() as directory, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        CASES["fit, then test"](Context(Path(directory), Clock(None, 0, 1)))
    forget_run()


_is_warm: list[bool] = []


def attempt(
    name: str, files: Path, directory: RunDirectory | None, moment: int, every: int, seed: int
) -> Any:
    """Run a program in a fork; return its result, or None if it was killed."""
    result = Path(tempfile.mkstemp(prefix="sweep.", dir="/dev/shm")[1])
    child = os.fork()
    if child == 0:
        status = 1
        try:
            warnings.simplefilter("ignore")
            import logging

            for one in ("pytorch_lightning", "lightning.pytorch", "lightning", "lightning_fabric"):
                logging.getLogger(one).setLevel(logging.ERROR)
            os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
            random.seed(seed)
            np.random.seed(seed)
            torch.manual_seed(seed)
            # As in a new process; a test may have attached since.
            forget_run()
            if directory is not None:
                os.environ["HOLDFAST_RUN_DIR"] = str(directory.path)
            else:
                os.environ.pop("HOLDFAST_RUN_DIR", None)
            clock = Clock(directory, moment, every)
            returned = CASES[name](Context(files, clock))
            result.write_bytes(pickle.dumps((returned, clock.names)))
            status = 0
        except BaseException:
            traceback.print_exc()
        finally:
            os._exit(status)
    _, ended = os.waitpid(child, 0)
    try:
        if os.WIFSIGNALED(ended) and os.WTERMSIG(ended) == signal.SIGKILL:
            return None
        assert ended == 0, f"{name}: the program failed at {moment}"
        return pickle.loads(result.read_bytes())
    finally:
        result.unlink()


def run_case(
    name: str, stride: int = 1, every: int = 1, first: int = 1, again: int = 0
) -> tuple[int, list[str]]:
    """Kill a case at each of its points; return the number of kills, and the differences.

    Args:
        name: of the case.
        stride: distance between the points at which it is killed.
        every: the state is requested at every n-th point.
        first: the first point.
        again: kill the resumed attempt too, after this number of points.
    """
    warm_up()
    home = Path(tempfile.mkdtemp(prefix="sweep.", dir="/dev/shm"))
    different: list[str] = []
    kills = 0
    try:
        files = home / "files"
        expected, names = attempt(name, files, None, 0, every, seed=1)
        shutil.rmtree(files, ignore_errors=True)
        for moment in range(first, len(names) + 1, stride):
            kills += 1
            directory = RunDirectory(home / f"run-{moment}")
            # For the state before the first step.
            directory.put(at.RING_INITIAL_SLOT, "<I", 1)
            if attempt(name, files, directory, moment, every, seed=1) is not None:
                different.append(f"{name}: not killed at {moment}")
                continue
            recorded = next_attempt(directory, 0)
            # Without a state to resume from, the program starts again with the same seed.
            seed = 1 if newest_slot(directory) is None else 2
            if again:
                done = attempt(name, files, directory, again, every, seed=seed)
                if done is None:
                    kills += 1
                    next_attempt(directory, recorded)
                    seed = 1 if newest_slot(directory) is None else 2
                else:
                    directory = None
            try:
                ended = (
                    done
                    if again and done is not None
                    else attempt(name, files, directory, 0, every, seed=seed)
                )
                different += [
                    f"{name}: {names[moment - 1]} {moment}: {one}" for one in differences(ended[0], expected)
                ]
            except AssertionError as error:
                different.append(f"{names[moment - 1]} {moment}: {error}")
            shutil.rmtree(files, ignore_errors=True)
            shutil.rmtree(home / f"run-{moment}")
    finally:
        shutil.rmtree(home)
    return kills, different


def next_attempt(directory: RunDirectory, recorded: int) -> int:
    directory.position = directory.word(at.RING_WRITTEN)
    recorded = max(recorded, directory.word(at.RING_LAST_STEP))
    directory.next_attempt(newest_slot(directory))
    document = json.loads((directory.path / "resume.json").read_text())
    document["last_recorded_step"] = recorded
    (directory.path / "resume.json").write_text(json.dumps(document))
    return recorded


def differences(one: Any, other: Any, path: str = "") -> list[str]:
    if isinstance(one, dict) and isinstance(other, dict):
        found = [f"{path}/{key}: only one has it" for key in one.keys() ^ other.keys()]
        return found + [
            each for key in one if key in other for each in differences(one[key], other[key], f"{path}/{key}")
        ]
    if isinstance(one, (list, tuple)) and isinstance(other, (list, tuple)) and len(one) == len(other):
        return [
            each
            for number, pair in enumerate(zip(one, other))
            for each in differences(*pair, f"{path}/{number}")
        ]
    if isinstance(one, torch.Tensor) and isinstance(other, torch.Tensor):
        return [] if torch.equal(one, other) else [f"{path}: tensors differ"]
    return [] if one == other else [f"{path}: {str(one)[:300]} and {str(other)[:300]}"]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("cases", nargs="*", default=[])
    parser.add_argument("--stride", type=int, default=1)
    parser.add_argument("--every", type=int, default=1)
    parser.add_argument("--again", type=int, default=0)
    arguments = parser.parse_args()
    failed = 0
    total = 0
    for name in arguments.cases or CASES:
        began = time.monotonic()
        try:
            kills, different = run_case(name, arguments.stride, arguments.every, again=arguments.again)
        except AssertionError as error:
            kills, different = 0, [str(error)]
        total += kills
        failed += bool(different)
        print(
            f"{name}: {kills} kills, {len(different)} differences, {time.monotonic() - began:.0f} s",
            flush=True,
        )
        for one in different[:6]:
            print("   ", one, flush=True)
    print(f"Lightning {pl.__version__}: {total} kills, {failed} cases with differences")
    return bool(failed)


if __name__ == "__main__":
    sys.exit(main())
