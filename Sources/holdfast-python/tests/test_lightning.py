"""The Lightning callback: kills at every point of an epoch."""

from __future__ import annotations

import json
import shutil
import signal
import struct
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch

pytest.importorskip("lightning_program")

from conftest import RunDirectory
from holdfast import HoldfastError
from internals import at, forget_run
from lightning_program import BATCHES, Data, Program, same


@pytest.fixture(autouse=True)
def _no_run() -> None:
    forget_run()


def newest_slot(directory: RunDirectory) -> int | None:
    steps = {}
    for slot in (0, 1):
        path = directory.path / f"arena-0-{slot}"
        if path.exists():
            header = path.read_bytes()[: at.HEADER_BYTES]
            if struct.unpack_from("<I", header, at.SLOT_COMPLETE)[0] == 1:
                steps[struct.unpack_from("<Q", header, at.SLOT_STEP)[0]] = slot
    return steps[max(steps)] if steps else None


def interrupted(
    program: Program, directory: RunDirectory, moments: list[Any], monkeypatch: pytest.MonkeyPatch
) -> tuple[Any, int]:
    """Kill a program at each point in turn; return its result, and the number of kills."""
    for number, moment in enumerate(moments):
        forget_run()
        result = program.fit(directory, moment)
        if result is not None:
            return result, number
        directory.drain()
        recorded = directory.word(at.RING_LAST_STEP)
        directory.next_attempt(newest_slot(directory))
        document = json.loads((directory.path / "resume.json").read_text())
        document["last_recorded_step"] = recorded
        (directory.path / "resume.json").write_text(json.dumps(document))
    forget_run()
    return program.fit(directory), len(moments)


MOMENTS = [
    *(("batch start", count) for count in range(2, 2 * BATCHES + 2)),
    *(("batch end", count) for count in range(2, BATCHES + 2)),
    *(("validation batch", count) for count in range(1, 9)),
    *(("validation end", count) for count in (1, 2, 3, 4)),
    *(("epoch end", count) for count in (1, 2)),
]
KINDS: dict[str, dict[str, Any]] = {
    "plain": {},
    "validation after the epoch": {"val_check_interval": 1.0},
    "validation every other epoch": {
        "val_check_interval": 1.0,
        "check_val_every_n_epoch": 2,
        "max_epochs": 4,
    },
    "accumulation": {"accumulate_grad_batches": 3, "val_check_interval": 1.0},
    "steps": {"max_epochs": -1, "max_steps": 17},
    "early stopping": {"max_epochs": 8},
    "manual": {"manual": True},
    "one cycle of the learning rate": {"one_cycle": True},
    "stopped before it may": {"min_steps": 12},
    "loaders recreated": {"reload_dataloaders_every_n_epochs": 1},
}


@pytest.mark.parametrize("kind", KINDS, ids=str)
def test_identical_results_after_a_kill_at_every_point(
    kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("HOLDFAST_RUN_DIR", raising=False)
    program = Program(tmp_path / "files", **KINDS[kind])
    expected = program.fit()
    assert expected is not None
    moments = MOMENTS if kind == "plain" else MOMENTS[::3]
    killed = 0
    for number, moment in enumerate(moments):
        shutil.rmtree(tmp_path / "files", ignore_errors=True)
        directory = RunDirectory(tmp_path / f"run-{number}")
        monkeypatch.setenv("HOLDFAST_RUN_DIR", str(directory.path))
        result, kills = interrupted(program, directory, [moment], monkeypatch)
        killed += kills
        different = [name for name in expected if not same(result[name], expected[name])]
        assert not different, (moment, [(result[name], expected[name]) for name in different])
        monkeypatch.delenv("HOLDFAST_RUN_DIR")
        shutil.rmtree(directory.path)
    # Some kinds do not reach all points.
    assert killed > len(moments) * 0.7


def test_killed_repeatedly(
    run_directory: RunDirectory, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    program = Program(tmp_path / "files")
    monkeypatch.delenv("HOLDFAST_RUN_DIR")
    expected = program.fit()
    shutil.rmtree(tmp_path / "files")
    monkeypatch.setenv("HOLDFAST_RUN_DIR", str(run_directory.path))
    moments = [("batch end", 3), ("validation batch", 1), ("batch start", 4), ("epoch end", 1)] * 2
    result, killed = interrupted(program, run_directory, moments[:6], monkeypatch)
    assert same(result, expected)
    assert killed == 6


def test_a_request_during_validation_gets_the_last_step(
    run_directory: RunDirectory, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    program = Program(tmp_path, val_check_interval=1.0)
    interrupted(program, run_directory, [("validation batch", 2)], monkeypatch)
    assert program.callback.run.resumed_from == BATCHES


def test_a_fit_after_a_failed_fit_is_refused(run_directory: RunDirectory, tmp_path: Path) -> None:
    program = Program(tmp_path, max_epochs=1)
    run_directory.put(at.RING_SPARE_SLOT, "<I", 0)
    assert program.fit(run_directory, ("batch end", 2)) is None
    with pytest.raises(HoldfastError, match="did not end"):
        program.fit()


def test_the_trainer_is_restored_after_fit(
    monkeypatch: pytest.MonkeyPatch, run_directory: RunDirectory, tmp_path: Path
) -> None:
    forget_run()
    program = Program(tmp_path, max_epochs=1)
    run_directory.put(at.RING_SPARE_SLOT, "<I", 0)
    assert program.fit()
    trainer = program.trainer
    for touched in (trainer.fit_loop.epoch_loop, trainer._data_connector, trainer._checkpoint_connector):
        assert not any("holdfast" in getattr(value, "__module__", "") for value in vars(touched).values())
    assert "file_exists" not in vars(program.saving)
    kinds = [kind for kind, _ in run_directory.drain()]
    assert kinds[-1] == at.RECORD_FINISHED
    assert kinds.count(at.RECORD_SNAPSHOT) == BATCHES


def test_a_plain_checkpoint_starts_a_job(
    monkeypatch: pytest.MonkeyPatch, run_directory: RunDirectory, tmp_path: Path
) -> None:
    monkeypatch.delenv("HOLDFAST_RUN_DIR")
    plain = Program(tmp_path / "plain", max_epochs=1)
    assert plain.fit(with_holdfast=False)
    plain.trainer.save_checkpoint(tmp_path / "plain.ckpt")
    expected = Program(tmp_path / "alone").fit(ckpt_path=tmp_path / "plain.ckpt")
    assert expected is not None
    assert expected["steps"] > 2 * BATCHES

    monkeypatch.setenv("HOLDFAST_RUN_DIR", str(run_directory.path))
    forget_run()
    program = Program(tmp_path / "held")
    assert program.fit(run_directory, ("batch end", 4), ckpt_path=tmp_path / "plain.ckpt") is None
    run_directory.drain()
    run_directory.next_attempt(newest_slot(run_directory))
    forget_run()
    # With the same command, the saved state takes precedence over the given file.
    result = program.fit(run_directory, ckpt_path=tmp_path / "plain.ckpt")
    assert result is not None
    assert not [name for name in expected if name != "best" and not same(result[name], expected[name])]
    assert program.callback.run.resumed_from == BATCHES + 3


class Batches:
    def __iter__(self) -> Iterator[Any]:
        return iter([torch.utils.data.default_collate([Data()[0]])])

    def __len__(self) -> int:
        return 1


def test_a_loader_without_a_position_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program = Program(tmp_path, val_check_interval=1.0)
    monkeypatch.setattr("lightning_program.DataLoader", lambda *_, **__: Batches())
    with pytest.raises(HoldfastError, match="has no position"):
        program.fit()


HANGS_AFTER_FIT = """
import sys, time
import torch
torch.distributed.is_available = lambda: False  # See examples/digits_lightning.py.
import pytorch_lightning as pl
import holdfast.lightning


class Model(pl.LightningModule):
    def __init__(self):
        super().__init__()
        self.layer = torch.nn.Linear(1, 1)

    def training_step(self, batch, index):
        return self.layer(batch).sum()

    def configure_optimizers(self):
        return torch.optim.SGD(self.parameters(), lr=0.1)


def hang_after_fit():
    print("hangs", flush=True)
    time.sleep(1000)


trainer = pl.Trainer(
    max_epochs=1, accelerator="cpu", logger=False, enable_checkpointing=False, enable_progress_bar=False,
    enable_model_summary=False, callbacks=[holdfast.lightning.Holdfast()],
)
trainer.fit(Model(), torch.utils.data.DataLoader(torch.ones(4, 1), batch_size=2))
hang_after_fit()
"""


def test_a_program_that_hangs_after_its_fit_writes_its_stacks(run_directory: RunDirectory) -> None:
    run_directory.offer_slot()
    with subprocess.Popen([sys.executable, "-c", HANGS_AFTER_FIT], stdout=subprocess.PIPE) as process:
        try:
            assert process.stdout is not None
            assert process.stdout.readline() == b"hangs\n"
            process.send_signal(signal.SIGUSR2)
            stacks, deadline = run_directory.path / "stacks-0", time.monotonic() + 60
            while (
                "hang_after_fit" not in stacks.read_text()
                and process.poll() is None
                and time.monotonic() < deadline
            ):
                time.sleep(0.01)
            assert "hang_after_fit" in stacks.read_text()
        finally:
            process.kill()
