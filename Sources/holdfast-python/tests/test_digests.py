"""Digests: every implementation agrees with `xxh128sum`, and checkpoints of older versions still verify."""

from __future__ import annotations

import hashlib
import json
import random
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

import holdfast
from holdfast import _digests
from holdfast._xxh128 import xxh128

SIZES = [*range(0, 260), 383, 512, 1023, 1024, 1025, 1088, 1089, 2048, 2049, 4096, 65_537]


def test_every_length_has_the_digest_of_xxh128sum(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    data = random.Random(0).randbytes(max(SIZES))
    for size in SIZES:
        (tmp_path / f"{size}").write_bytes(data[:size])
    names = [f"{size}" for size in SIZES]
    lines = subprocess.run(["xxh128sum", *names], cwd=tmp_path, check=True, capture_output=True, text=True)
    expected = {name: digest for digest, name in (line.split() for line in lines.stdout.splitlines())}
    assert _digests.new_algorithm() == "xxh128"
    for size in SIZES:
        assert xxh128(memoryview(data[:size])) == expected[f"{size}"], size
        assert _digests.digest_of(data[:size], "xxh128") == expected[f"{size}"], size
        assert _digests.digest_of_file(tmp_path / f"{size}", "xxh128") == expected[f"{size}"], size
    monkeypatch.setitem(sys.modules, "numpy", None)
    for size in SIZES[-20:]:
        assert xxh128(memoryview(data[:size])) == expected[f"{size}"], size


def _saved(path: Path) -> Path:
    run = holdfast.attach()
    run.register(model=nn.Linear(4, 2))
    return Path(run.save(path))


@pytest.mark.parametrize("name", ["state.safetensors", "manifest.json", "XXH128SUMS"])
def test_without_a_library_checkpoints_are_verified_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    path = _saved(tmp_path)
    monkeypatch.setattr(_digests, "_library", lambda: None)
    monkeypatch.setattr(_digests, "_package", lambda: None)
    holdfast.load(path)
    content = bytearray((path / name).read_bytes())
    content[len(content) // 2] ^= 1
    (path / name).write_bytes(content)
    with pytest.raises(holdfast.HoldfastError):
        holdfast.load(path)


def test_without_a_library_checkpoints_are_saved_with_sha256(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_digests, "_library", lambda: None)
    monkeypatch.setattr(_digests, "_package", lambda: None)
    path = _saved(tmp_path)
    subprocess.run(["sha256sum", "--check", "--quiet", "SHA256SUMS"], cwd=path, check=True)
    assert holdfast.load(path).step == 0


def _as_by_an_older_version(path: Path) -> None:
    """Rewrite the manifest and the digests of a checkpoint in the form that had SHA-256 only."""
    manifest: dict[str, Any] = json.loads((path / "manifest.json").read_bytes())
    state = hashlib.sha256((path / "state.safetensors").read_bytes()).hexdigest()
    size = (path / "state.safetensors").stat().st_size
    manifest["files"] = [{"name": "state.safetensors", "bytes": size, "sha256": state}]
    text = json.dumps(manifest).encode()
    (path / "manifest.json").write_bytes(text)
    (path / "XXH128SUMS").unlink()
    sums = f"{state}  state.safetensors\n{hashlib.sha256(text).hexdigest()}  manifest.json\n"
    (path / "SHA256SUMS").write_text(sums)


def test_a_checkpoint_of_an_older_version_is_loaded_and_verified(tmp_path: Path) -> None:
    path = _saved(tmp_path)
    before = holdfast.load(path)["model"]["weight"]
    _as_by_an_older_version(path)
    assert torch.equal(holdfast.load(path)["model"]["weight"], before)
    content = bytearray((path / "state.safetensors").read_bytes())
    content[-1] ^= 1
    (path / "state.safetensors").write_bytes(content)
    with pytest.raises(holdfast.HoldfastError, match="damaged"):
        holdfast.load(path)
