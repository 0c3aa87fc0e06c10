"""The uses of checkpoints that Lightning's documentation shows, each as a program that may be killed.

lightning_snippets.py DIRECTORY NAME…: without a supervisor, or under `holdfast run`. For each name the last
lines are the files that Lightning has written, and a digest of everything that was trained.
"""

from __future__ import annotations

import datetime
import hashlib
import os
import sys
import time
from pathlib import Path
from typing import Any, Callable

import torch
from torch.utils.data import DataLoader, TensorDataset

if torch.__version__.startswith("1.13"):
    # See examples/digits_lightning.py.
    torch.distributed.is_available = lambda: False
torch.set_num_threads(1)

import pytorch_lightning as pl
from pytorch_lightning.callbacks import Callback, Checkpoint, ModelCheckpoint
from pytorch_lightning.plugins.io import AsyncCheckpointIO, CheckpointIO
from pytorch_lightning.strategies import SingleDeviceStrategy

from holdfast.lightning import Holdfast, HoldfastCheckpointIO

DELAY = float(os.environ.get("STEP_DELAY", "0"))
# Named files that differ from run to run, as they depend on the clock.
BY_CLOCK: list[Path] = []


class LitModel(pl.LightningModule):
    def __init__(self, in_dim: int = 8, hidden: int = 6, rate: float = 0.1) -> None:
        super().__init__()
        self.save_hyperparameters()
        self.encoder = torch.nn.Sequential(torch.nn.Linear(in_dim, hidden), torch.nn.Dropout(0.2))
        self.decoder = torch.nn.Linear(hidden, 1)
        self.extra: list[Any] = []

    def training_step(self, batch: Any, batch_index: int) -> Any:
        loss = self.decoder(self.encoder(batch[0])).square().mean()
        self.log("train_loss", loss)
        self.log("global_step", float(self.global_step))
        time.sleep(DELAY)
        return loss

    def validation_step(self, batch: Any, batch_index: int) -> None:
        self.log("val_loss", self.decoder(self.encoder(batch[0])).square().mean())

    def test_step(self, batch: Any, batch_index: int) -> None:
        self.log("test_loss", self.decoder(self.encoder(batch[0])).square().mean())

    def configure_optimizers(self) -> Any:
        return torch.optim.Adam(self.parameters(), lr=self.hparams.rate)


class Hooked(LitModel):
    """Reads, adds and changes entries of the whole checkpoint."""

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        checkpoint["something_cool_i_want_to_save"] = {"steps": self.global_step, "list": self.extra}

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        self.extra = checkpoint["something_cool_i_want_to_save"]["list"]

    def on_train_batch_end(self, *_: Any) -> None:
        self.extra.append(self.global_step)


class Counting(Callback):
    def __init__(self) -> None:
        self.state = {"batches": 0, "saved": 0}

    def on_train_batch_end(self, *_: Any) -> None:
        self.state["batches"] += 1

    def state_dict(self) -> dict[str, Any]:
        return dict(self.state)

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.state.update(state)

    def on_save_checkpoint(self, trainer: Any, module: Any, checkpoint: dict[str, Any]) -> None:
        checkpoint["counted"] = self.state["batches"]

    def on_load_checkpoint(self, trainer: Any, module: Any, checkpoint: dict[str, Any]) -> None:
        assert checkpoint["counted"] <= 1000


class Numbers(pl.LightningDataModule):
    def __init__(self, batch_size: int = 8) -> None:
        super().__init__()
        self.save_hyperparameters()
        self.passes = 0

    def _loader(self, first: int, count: int, **options: Any) -> Any:
        data = torch.arange(first, first + count * 8, dtype=torch.float32).reshape(count, 8) / 300
        return DataLoader(TensorDataset(data), batch_size=self.hparams.batch_size, **options)

    def train_dataloader(self) -> Any:
        self.passes += 1
        return self._loader(0, 64, shuffle=True)

    def val_dataloader(self) -> Any:
        return self._loader(7, 16)

    def test_dataloader(self) -> Any:
        return self._loader(9, 16)

    def state_dict(self) -> dict[str, Any]:
        return {"passes": self.passes}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.passes = state["passes"]


class CustomCheckpointIO(CheckpointIO):
    """Writes a directory."""

    def save_checkpoint(
        self, checkpoint: dict[str, Any], path: Any, storage_options: Any | None = None
    ) -> None:
        Path(path).mkdir(parents=True, exist_ok=True)
        torch.save(checkpoint, Path(path) / "data.pt")

    def load_checkpoint(
        self, path: Any, map_location: Any = None, weights_only: Any = None
    ) -> dict[str, Any]:
        options = {} if torch.__version__.startswith("1.13") else {"weights_only": False}
        return dict(torch.load(Path(path) / "data.pt", map_location=map_location, **options))

    def remove_checkpoint(self, path: Any) -> None:
        (Path(path) / "data.pt").unlink(missing_ok=True)
        if Path(path).is_dir():
            Path(path).rmdir()


class EverySecondEpoch(Checkpoint):
    """A checkpoint callback of the program's own."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory

    def on_train_epoch_end(self, trainer: Any, module: Any) -> None:
        if trainer.current_epoch % 2:
            trainer.save_checkpoint(self.directory / f"own-{trainer.current_epoch}.ckpt")


def load_file(path: Any) -> Any:
    options = {} if torch.__version__.startswith("1.13") else {"weights_only": False}
    return torch.load(path, **options)


class Program:
    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.states: list[Any] = []

    def trainer(self, *callbacks: Any, **options: Any) -> Any:
        defaults: dict[str, Any] = {"max_epochs": 4, "accelerator": "cpu", "logger": False}
        defaults |= {"enable_progress_bar": False, "enable_model_summary": False}
        if "strategy" in options:
            del defaults["accelerator"]
        return pl.Trainer(callbacks=[Holdfast(), *callbacks], **{**defaults, **options})

    def fit(self, trainer: Any, create: Callable[[], Any] = LitModel, **options: Any) -> Any:
        pl.seed_everything(3)
        module = create()
        trainer.fit(module, datamodule=Numbers(), **options)
        self.states += [module.state_dict(), trainer.global_step, trainer.optimizers[0].state_dict()]
        return module


def automatic(program: Program) -> None:
    """Checkpoints without configuration, below default_root_dir, and their use in plain PyTorch."""
    trainer = program.trainer(default_root_dir=str(program.directory))
    program.fit(trainer)
    checkpoint = load_file(trainer.checkpoint_callback.best_model_path)
    assert checkpoint["hyper_parameters"] == {"in_dim": 8, "hidden": 6, "rate": 0.1}
    encoder = torch.nn.Sequential(torch.nn.Linear(8, 6), torch.nn.Dropout(0.2))
    weights = checkpoint["state_dict"]
    encoder.load_state_dict({k[8:]: v for k, v in weights.items() if k.startswith("encoder.")})
    program.states += [encoder.state_dict(), checkpoint["epoch"]]


def load(program: Program) -> None:
    """load_from_checkpoint, with saved and with other hyperparameters."""
    trainer = program.trainer(ModelCheckpoint(program.directory))
    program.fit(trainer, lambda: LitModel(hidden=5, rate=0.05))
    path = trainer.checkpoint_callback.best_model_path
    model = LitModel.load_from_checkpoint(path)
    assert (model.hparams.hidden, model.hparams.rate) == (5, 0.05)
    model = LitModel.load_from_checkpoint(path, rate=0.5)
    assert (model.hparams.hidden, model.hparams.rate) == (5, 0.5)
    model.eval()
    with torch.no_grad():
        program.states.append(model.decoder(model.encoder(torch.ones(2, 8))))


def disabled(program: Program) -> None:
    program.fit(program.trainer(enable_checkpointing=False))


def resumed(program: Program) -> None:
    """fit(ckpt_path=...) from a file of another run."""
    first = program.directory / "first.ckpt"
    if not first.exists():
        pl.seed_everything(5)
        plain = pl.Trainer(
            max_epochs=1, accelerator="cpu", logger=False, enable_checkpointing=False,
            enable_progress_bar=False, enable_model_summary=False,
        )  # fmt: skip
        plain.fit(LitModel(), datamodule=Numbers())
        plain.save_checkpoint(first)
    program.fit(program.trainer(enable_checkpointing=False), ckpt_path=str(first))


def best(program: Program) -> None:
    """Monitored metrics, top k, names with metrics, and the best one in validate and test."""
    saving = ModelCheckpoint(
        program.directory, save_top_k=2, monitor="val_loss", mode="min",
        filename="sample-mnist-{epoch:02d}-{val_loss:.2f}",
    )  # fmt: skip
    trainer = program.trainer(saving)
    module = program.fit(trainer)
    program.states += [Path(saving.best_model_path).name, saving.best_model_score]
    program.states += sorted(Path(path).name for path in saving.best_k_models)
    trainer.validate(module, datamodule=Numbers(), ckpt_path="best", verbose=False)
    trainer.test(module, datamodule=Numbers(), ckpt_path=saving.best_model_path, verbose=False)
    program.states.append(float(trainer.callback_metrics["test_loss"]))


def several(program: Program) -> None:
    """Several callbacks: when, which, what and where."""
    directory = program.directory
    clock = ModelCheckpoint(directory / "clock", train_time_interval=datetime.timedelta(seconds=0.1))
    BY_CLOCK.append(directory / "clock")
    program.fit(
        program.trainer(
            ModelCheckpoint(directory / "steps", every_n_train_steps=5, save_top_k=-1),
            ModelCheckpoint(directory / "epochs", every_n_epochs=2, save_top_k=-1),
            ModelCheckpoint(
                directory / "train", monitor="train_loss", save_on_train_epoch_end=True, save_top_k=1
            ),
            ModelCheckpoint(
                directory / "latest", monitor="global_step", mode="max", every_n_train_steps=3, save_top_k=3
            ),
            ModelCheckpoint(directory / "weights", save_weights_only=True),
            ModelCheckpoint(
                directory / "names", filename="epoch{epoch:02d}-loss{val_loss:.1f}", save_top_k=-1,
                auto_insert_metric_name=False, monitor="val_loss",
            ),
            clock,
        )
    )  # fmt: skip
    assert "optimizer_states" not in load_file(next((directory / "weights").iterdir()))


def last(program: Program) -> None:
    """save_last, and a fit that continues with ckpt_path="last"."""
    saving = ModelCheckpoint(program.directory, save_last=True)
    program.fit(program.trainer(saving, max_epochs=2))
    continued = ModelCheckpoint(program.directory, save_last=True)
    program.fit(program.trainer(continued, max_epochs=4), ckpt_path=saving.last_model_path)
    assert Path(continued.last_model_path).name.startswith("last")


def manual(program: Program) -> None:
    """trainer.save_checkpoint, with weights only, and in the middle of the training."""

    class Saves(Callback):
        def on_train_batch_end(self, trainer: Any, *_: Any) -> None:
            if trainer.global_step == 13:
                trainer.save_checkpoint(program.directory / "middle.ckpt")

    trainer = program.trainer(Saves(), enable_checkpointing=False)
    program.fit(trainer)
    trainer.save_checkpoint(program.directory / "example.ckpt")
    trainer.save_checkpoint(program.directory / "weights.ckpt", weights_only=True)
    assert "optimizer_states" not in load_file(program.directory / "weights.ckpt")
    model = LitModel.load_from_checkpoint(program.directory / "example.ckpt")
    assert load_file(program.directory / "middle.ckpt")["global_step"] == 13
    program.states.append(model.state_dict())


def hooks(program: Program) -> None:
    """Entries of the module, a callback and the data module, global hooks included."""
    counting = Counting()
    saving = ModelCheckpoint(program.directory, save_last=True)
    module = program.fit(program.trainer(counting, saving), Hooked)
    assert module.extra == list(range(1, 33))
    assert counting.state["batches"] == 32
    checkpoint = load_file(saving.last_model_path)
    assert checkpoint["something_cool_i_want_to_save"]["steps"] == 32
    assert checkpoint["counted"] == 32
    assert [one for one in checkpoint["callbacks"] if "Counting" in one]
    assert checkpoint["Numbers"]["passes"] >= 1


def plugin(program: Program) -> None:
    """A CheckpointIO of the program's own, in the trainer."""
    saving = ModelCheckpoint(program.directory, save_last=True)
    trainer = program.trainer(saving, plugins=[CustomCheckpointIO()])
    module = program.fit(trainer)
    trainer.validate(module, datamodule=Numbers(), ckpt_path=saving.best_model_path, verbose=False)
    assert (Path(saving.last_model_path) / "data.pt").is_file()


def strategy(program: Program) -> None:
    """The same in a strategy, atomic and durable."""
    device = torch.device("cpu")
    atomic = HoldfastCheckpointIO(CustomCheckpointIO())
    saving = ModelCheckpoint(program.directory, save_last=True)
    trainer = program.trainer(saving, strategy=SingleDeviceStrategy(device, checkpoint_io=atomic))
    program.fit(trainer)
    assert (Path(saving.last_model_path) / "data.pt").is_file()


def background(program: Program) -> None:
    """AsyncCheckpointIO."""
    saving = ModelCheckpoint(program.directory, save_top_k=-1)
    program.fit(program.trainer(saving, plugins=[AsyncCheckpointIO(HoldfastCheckpointIO())]))
    for path in program.directory.glob("[!.]*.ckpt"):
        assert load_file(path)["global_step"] > 0


def own_class(program: Program) -> None:
    """A subclass of Checkpoint, which the trainer takes for a checkpoint callback."""
    program.fit(program.trainer(EverySecondEpoch(program.directory)))


def url(program: Program) -> None:
    """Files at a URL of fsspec, here in this process's memory."""
    atomic = HoldfastCheckpointIO()
    saving = ModelCheckpoint("memory://bucket/jobs", save_last=True, monitor="val_loss")
    trainer = program.trainer(saving, plugins=[atomic])
    module = program.fit(trainer)
    assert atomic.load_checkpoint(saving.last_model_path)["global_step"] == 32
    trainer.validate(module, datamodule=Numbers(), ckpt_path=saving.last_model_path, verbose=False)
    trainer.save_checkpoint("memory://bucket/example.ckpt", storage_options={"skip_instance_cache": True})


SNIPPETS: dict[str, Callable[[Program], None]] = {
    one.__name__: one
    for one in (
        automatic, load, disabled, resumed, best, several, last, manual, hooks, plugin, strategy, background,
        own_class, url,
    )
}  # fmt: skip


def digest(states: list[Any]) -> str:
    hashed = hashlib.sha256()

    def add(value: Any) -> None:
        if isinstance(value, dict):
            for key in value:
                hashed.update(str(key).encode())
                add(value[key])
        elif isinstance(value, (list, tuple)):
            for element in value:
                add(element)
        elif isinstance(value, torch.Tensor):
            hashed.update(value.detach().contiguous().numpy().tobytes())
        else:
            hashed.update(repr(value).encode())

    add(states)
    return hashed.hexdigest()


def main() -> None:
    for name in sys.argv[2:]:
        program = Program(Path(sys.argv[1]) / name)
        program.directory.mkdir(parents=True, exist_ok=True)
        SNIPPETS[name](program)
        files = [
            str(path.relative_to(program.directory))
            for path in sorted(program.directory.rglob("*"))
            if path.is_file() and not any(one in path.parents for one in BY_CLOCK) and path.name[0] != "."
        ]
        print("files of", name, *files)
        print("digest of", name, digest(program.states), flush=True)


if __name__ == "__main__":
    main()
