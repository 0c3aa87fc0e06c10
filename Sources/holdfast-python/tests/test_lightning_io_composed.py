"""HoldfastCheckpointIO together with other plugins, storages and arrays of XLA."""

from __future__ import annotations

import os
import random
import signal
import time
from pathlib import Path
from typing import Any, NamedTuple

import pytest

pytest.importorskip("lightning_program")

import numpy as np
import torch

import lightning_program
from holdfast import HoldfastError
from holdfast._host import on_host
from holdfast.lightning import HoldfastCheckpointIO
from lightning_program import Program

pl = lightning_program.pl


class Pair(NamedTuple):
    one: Any
    two: Any


class Directories(pl.plugins.CheckpointIO):
    """Another plugin: a directory of two files, one of which depends on an option."""

    def __init__(self) -> None:
        self.is_torn_down = False

    def save_checkpoint(self, checkpoint: Any, path: Any, storage_options: Any = None) -> None:
        directory = Path(path)
        (directory / "deep").mkdir(parents=True)
        torch.save(checkpoint, directory / "deep" / "data")
        (directory / "note").write_text(str((storage_options or {}).get("note")))

    def load_checkpoint(self, path: Any, map_location: Any = None) -> Any:
        return torch.load(Path(path) / "deep" / "data", map_location=map_location)

    def remove_checkpoint(self, path: Any) -> None:
        raise AssertionError("the outer plugin removes local files")

    def teardown(self) -> None:
        self.is_torn_down = True


def names(directory: Path) -> list[str]:
    return sorted(path.name for path in directory.iterdir())


def test_another_plugin_determines_what_is_written(tmp_path: Path) -> None:
    inner = Directories()
    plugin = HoldfastCheckpointIO(inner)
    path = tmp_path / "one.ckpt"
    for number in range(2):
        plugin.save_checkpoint({"x": torch.arange(number)}, path, {"note": number})
        assert (path / "note").read_text() == str(number)
        assert len(plugin.load_checkpoint(path, weights_only=False)["x"]) == number
        assert names(tmp_path) == ["one.ckpt"]
    plugin.remove_checkpoint(path)
    plugin.teardown()
    assert names(tmp_path) == []
    assert inner.is_torn_down


def test_another_plugin_that_fails_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    plugin = HoldfastCheckpointIO(Directories())
    path = tmp_path / "one.ckpt"
    plugin.save_checkpoint({"x": 1}, path)
    monkeypatch.setattr(torch, "save", lambda *_: (_ for _ in ()).throw(OSError(28, "no space")))
    with pytest.raises(HoldfastError, match="no space"):
        plugin.save_checkpoint({"x": 2}, path)
    assert names(tmp_path) == ["one.ckpt"]
    assert plugin.load_checkpoint(path)["x"] == 1


def test_killed_while_another_plugin_writes(tmp_path: Path) -> None:
    plugin = HoldfastCheckpointIO(Directories())
    chance = random.Random(4)
    path = tmp_path / "one.ckpt"
    plugin.save_checkpoint({"x": torch.zeros(1_000_000)}, path)
    for _ in range(20):
        child = os.fork()
        if child == 0:
            try:
                while True:
                    plugin.save_checkpoint({"x": torch.zeros(1_000_000)}, path)
            finally:
                os._exit(1)
        time.sleep(chance.uniform(0.001, 0.05))
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
        assert plugin.load_checkpoint(path)["x"].shape == (1_000_000,)
        assert (path / "note").read_text() == "None"
    assert [name for name in names(tmp_path) if not name.startswith(".")] == ["one.ckpt"]


def test_storage_options_of_local_files(tmp_path: Path) -> None:
    plugin = HoldfastCheckpointIO()
    plugin.save_checkpoint({}, tmp_path / "x", {})
    with pytest.raises(TypeError, match="got key; they are for URLs") as caught:
        plugin.save_checkpoint({}, tmp_path / "y", {"key": "secret"})
    assert "secret" not in str(caught.value)
    assert names(tmp_path) == ["x"]


def test_urls(tmp_path: Path) -> None:
    plugin = HoldfastCheckpointIO()
    plugin.save_checkpoint(
        {"x": torch.arange(3)}, "memory://bucket/a/one.ckpt", {"skip_instance_cache": True}
    )
    assert torch.equal(plugin.load_checkpoint("memory://bucket/a/one.ckpt")["x"], torch.arange(3))
    plugin.remove_checkpoint("memory://bucket/a/one.ckpt")
    plugin.remove_checkpoint("memory://bucket/a/one.ckpt")
    with pytest.raises(HoldfastError, match="cannot read the checkpoint"):
        plugin.load_checkpoint("memory://bucket/a/one.ckpt")
    plugin.save_checkpoint({"x": 1}, f"file://{tmp_path}/deep/one.ckpt")
    assert plugin.load_checkpoint(tmp_path / "deep" / "one.ckpt")["x"] == 1
    with pytest.raises(HoldfastError, match=r"cannot save the checkpoint.*fsspec has the package"):
        plugin.save_checkpoint({}, "nothing://bucket/one.ckpt")
    seen = []

    class Own(Directories):
        def save_checkpoint(self, checkpoint: Any, path: Any, storage_options: Any = None) -> None:
            seen.append((path, storage_options))

    HoldfastCheckpointIO(Own()).save_checkpoint({}, "own://x", {"a": 1})
    assert seen == [("own://x", {"a": 1})]


def test_in_the_background(tmp_path: Path) -> None:
    plugin = pl.plugins.io.AsyncCheckpointIO(HoldfastCheckpointIO())
    program = Program(tmp_path / "files", plugins=[plugin])
    assert program.fit(with_holdfast=False)
    # It may remove a file before it is written, which then stays.
    files = sorted((tmp_path / "files").iterdir())
    assert len(files) >= 2
    assert all(HoldfastCheckpointIO().load_checkpoint(path)["global_step"] > 0 for path in files)
    assert Path(program.saving.best_model_path) in files
    with pytest.raises(HoldfastError, match="put it inside"):
        HoldfastCheckpointIO(pl.plugins.io.AsyncCheckpointIO())


def test_arrays_of_jax(tmp_path: Path) -> None:
    jax = pytest.importorskip("jax", reason="jax is not installed")
    key = jax.random.key(3)
    tree = {
        "w": jax.numpy.arange(3.0),
        "nested": [Pair(jax.numpy.ones((2, 2), "int8"), 5), ("a", None)],
        "key": key,
    }
    path = tmp_path / "one.ckpt"
    plugin = HoldfastCheckpointIO()
    plugin.save_checkpoint({"params": tree, "state_dict": {"x": torch.ones(2)}}, path)
    loaded = plugin.load_checkpoint(path)
    params = loaded["params"]
    assert type(params["w"]) is np.ndarray
    assert params["w"].tolist() == [0.0, 1.0, 2.0]
    assert params["nested"][0] == ((params["nested"][0][0]), 5)
    assert params["nested"][0][0].dtype == np.int8
    assert params["nested"][1] == ("a", None)
    assert (params["key"]["random_key"] == np.asarray(jax.random.key_data(key))).all()
    # Nothing else is copied.
    plain = {"x": [torch.ones(2), (1, 2)]}
    assert on_host(plain) is plain


def test_tensors_of_xla_are_copied() -> None:
    """torch-xla is not installed here: only the type of the device is looked at."""

    class Device:
        type = "xla"

    class Tensor:
        device = Device()

        def cpu(self) -> str:
            return "on the host"

    assert on_host({"a": [Tensor()], "b": 1}) == {"a": ["on the host"], "b": 1}
