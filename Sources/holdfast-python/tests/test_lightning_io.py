"""Atomic writes of Lightning's own files."""

from __future__ import annotations

import os
import random
import resource
import signal
import time
from pathlib import Path

import pytest

pytest.importorskip("lightning_program")

import torch

import lightning_program
from holdfast import HoldfastError
from holdfast.lightning import HoldfastCheckpointIO
from lightning_program import Program


def contents(directory: Path) -> list[str]:
    return sorted(path.name for path in directory.iterdir())


def test_saved_loaded_and_removed(tmp_path: Path) -> None:
    plugin = HoldfastCheckpointIO()
    assert isinstance(plugin, lightning_program.pl.plugins.CheckpointIO)
    path = tmp_path / "a" / "b" / "one.ckpt"
    plugin.save_checkpoint({"x": torch.arange(3)}, path)
    plugin.save_checkpoint({"x": torch.arange(4)}, path)
    assert contents(path.parent) == ["one.ckpt"]
    assert torch.equal(plugin.load_checkpoint(path)["x"], torch.arange(4))
    assert torch.equal(HoldfastCheckpointIO(weights_only=True).load_checkpoint(path)["x"], torch.arange(4))
    plugin.remove_checkpoint(path)
    plugin.remove_checkpoint(path)
    (path / "shard").mkdir(parents=True)
    plugin.remove_checkpoint(path)
    assert contents(path.parent) == []
    with pytest.raises(HoldfastError, match="no such checkpoint"):
        plugin.load_checkpoint(path)
    with pytest.raises(HoldfastError, match="cannot save the checkpoint"):
        plugin.save_checkpoint({}, "s3://bucket/one.ckpt")


def test_data_is_synced_before_the_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    happened: list[str] = []
    sync, replace = os.fsync, Path.replace

    def noted_sync(descriptor: int) -> None:
        happened.append("sync " + Path(f"/proc/self/fd/{descriptor}").resolve().name.split(".")[-1][:3])
        sync(descriptor)

    def noted_replace(self: Path, target: Path) -> Path:
        happened.append("rename")
        return replace(self, target)

    monkeypatch.setattr(os, "fsync", noted_sync)
    monkeypatch.setattr(Path, "replace", noted_replace)
    (tmp_path / "dir").mkdir()
    HoldfastCheckpointIO().save_checkpoint({}, tmp_path / "dir" / "x.ckpt")
    assert len(happened) == 3
    assert happened[1:] == ["rename", "sync dir"]


def test_a_full_disk_does_not_change_the_older_file(tmp_path: Path) -> None:
    plugin = HoldfastCheckpointIO()
    path = tmp_path / "one.ckpt"
    plugin.save_checkpoint({"x": torch.zeros(3)}, path)
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    ignored = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, limits[1]))
    try:
        with pytest.raises(HoldfastError, match="cannot save the checkpoint"):
            plugin.save_checkpoint({"x": torch.ones(100_000)}, path)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
        signal.signal(signal.SIGXFSZ, ignored)
    assert contents(tmp_path) == ["one.ckpt"]
    assert torch.equal(plugin.load_checkpoint(path)["x"], torch.zeros(3))


def test_killed_while_saving(tmp_path: Path) -> None:
    plugin = HoldfastCheckpointIO()
    path = tmp_path / "one.ckpt"
    chance = random.Random(4)
    value = {"x": torch.zeros(300_000)}
    plugin.save_checkpoint(value, path)
    for _ in range(25):
        child = os.fork()
        if child == 0:
            try:
                while True:
                    plugin.save_checkpoint(value, path)
            finally:
                os._exit(1)
        time.sleep(chance.uniform(0.001, 0.03))
        os.kill(child, signal.SIGKILL)
        assert os.WIFSIGNALED(os.waitpid(child, 0)[1])
        assert plugin.load_checkpoint(path)["x"].shape == (300_000,)
    # Temporary files left by a kill begin with a dot.
    assert [name for name in contents(tmp_path) if not name.startswith(".")] == ["one.ckpt"]
    # The next save removes them. The kills above may have left none, so create some.
    (tmp_path / ".one.ckpt.0123456789abcdef").touch()
    (tmp_path / ".one.ckpt.0123456789abcde0").mkdir()
    plugin.save_checkpoint(value, path)
    assert contents(tmp_path) == ["one.ckpt"]


def test_in_a_trainer(tmp_path: Path) -> None:
    program = Program(tmp_path / "files", plugins=[HoldfastCheckpointIO()])
    assert program.fit(with_holdfast=False)
    names = contents(tmp_path / "files")
    assert len(names) == 2  # save_top_k: the others were removed.
    checkpoint = HoldfastCheckpointIO().load_checkpoint(program.saving.best_model_path)
    assert checkpoint["global_step"] > 0
