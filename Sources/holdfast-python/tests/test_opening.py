"""Anything but a regular file in the place of a file: it neither blocks nor is written to."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
from pathlib import Path
from typing import Callable

import pytest

import holdfast
from conftest import RunDirectory
from internals import at, close


def _socket(path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as listener:
        os.chdir(path.parent)  # The path of a socket is limited to about 100 bytes.
        listener.bind(path.name)


def _linked(path: Path) -> None:
    path.symlink_to(path.parent.parent / "canary")


def _linked_hard(path: Path) -> None:
    os.link(path.parent.parent / "canary", path)


def _full_directory(path: Path) -> None:
    path.mkdir()
    (path / "link").symlink_to(path.parent.parent)


PLACES: dict[str, Callable[[Path], None]] = {
    "a named pipe": os.mkfifo,
    "a socket": _socket,
    "a directory": _full_directory,
    "a symbolic link": _linked,
    "a dangling link": lambda path: path.symlink_to(path.parent.parent / "nowhere"),
    "a hard link": _linked_hard,
}


@pytest.fixture
def canary(run_directory: RunDirectory, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A file outside the run directory that links in it refer to."""
    path = run_directory.path.parent / "canary"
    path.write_text("precious")
    monkeypatch.chdir(path.parent)
    return path


def put_in_place(path: Path, kind: str) -> None:
    path.unlink(missing_ok=True)
    PLACES[kind](path)


def check_untouched(canary: Path) -> None:
    assert canary.read_text() == "precious"
    assert not (canary.parent / "nowhere").exists()
    assert sorted(path.name for path in canary.parent.iterdir()) == ["canary", "run"]


@pytest.mark.parametrize("kind", PLACES)
@pytest.mark.parametrize("name", ["ring-0", "resume.json"])
def test_anything_but_a_regular_file_is_refused(
    run_directory: RunDirectory, canary: Path, name: str, kind: str
) -> None:
    put_in_place(run_directory.path / name, kind)
    # A hard link may be read, but not written.
    is_read = (name, kind) == ("resume.json", "a hard link")
    with pytest.raises(holdfast.HoldfastError, match="is damaged" if is_read else "it is a ") as refused:
        holdfast.attach()
    assert name in str(refused.value)
    check_untouched(canary)


@pytest.mark.parametrize("kind", PLACES)
def test_a_file_for_stacks_is_created_in_its_place(
    run_directory: RunDirectory, canary: Path, kind: str
) -> None:
    path = run_directory.path / "stacks-0"
    put_in_place(path, kind)
    program = (
        "import signal, holdfast\n"
        "run = holdfast.attach()\n"
        "def waiting():\n"
        f"    signal.raise_signal({signal.SIGUSR2:d})\n"
        "waiting()\n"
        "run.finish()\n"
    )
    run_directory.put(at.RING_SPARE_SLOT, "<I", 0)
    subprocess.run([sys.executable, "-c", program], check=True)
    attached = next(payload for number, payload in run_directory.drain() if number == at.RECORD_ATTACHED)
    assert json.loads(attached)["stacks_signal"] == signal.SIGUSR2
    assert path.is_file() and not path.is_symlink()
    assert "in waiting" in path.read_text()
    check_untouched(canary)


@pytest.mark.parametrize("kind", PLACES)
def test_an_arena_slot_is_created_in_its_place(run_directory: RunDirectory, canary: Path, kind: str) -> None:
    path = run_directory.path / "arena-0-0"
    put_in_place(path, kind)
    value = {"number": 3}
    run = holdfast.attach()
    run.register(value=value)
    run_directory.request(1)
    run.step()
    assert run_directory.word(at.RING_OUTCOME, "<I") == at.OUTCOME_STAGED
    assert path.is_file() and not path.is_symlink()
    check_untouched(canary)
    close(run)
    run_directory.next_attempt()
    value.clear()
    run = holdfast.attach()
    run.register(value=value)
    assert run.restore()
    assert value == {"number": 3}


def test_a_checkpoint_named_by_the_user_may_be_a_link(tmp_path: Path) -> None:
    run = holdfast.attach()
    run.register(value={"number": 3})
    link = tmp_path / "newest"
    link.symlink_to(run.save(tmp_path / "checkpoints"))
    assert holdfast.load(link).components["value"] == {"number": 3}
    image = tmp_path / "image"
    image.symlink_to(link / "state.safetensors")
    assert holdfast.load(image).components["value"] == {"number": 3}
