"""What else may stand in the place of a file: nobody waits for it, and nothing is written through it."""

from __future__ import annotations

import os
import socket
from pathlib import Path
from typing import Callable

import pytest

import holdfast
from conftest import RunDirectory
from holdfast._arena import ArenaSlot
from holdfast._opening import MisplacedError, open_file, replace_file
from holdfast._ring import Identity


def _socket(path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as listener:
        os.chdir(path.parent)  # A socket's path is short.
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


@pytest.fixture(params=PLACES)
def misplaced(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Something in the place of a file, in a directory of its own; beside that is what must not change."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "canary").write_text("precious")
    (tmp_path / "directory").mkdir()
    path = tmp_path / "directory" / "file"
    PLACES[request.param](path)
    return path


def _untouched(path: Path) -> bool:
    around = path.parent.parent
    return (around / "canary").read_text() == "precious" and not (around / "nowhere").exists()


def test_it_is_refused(misplaced: Path) -> None:
    for flags in (os.O_RDWR, os.O_WRONLY | os.O_CREAT):
        with pytest.raises(MisplacedError) as failure:
            open_file(misplaced, flags)
        assert "it is a" in str(failure.value)
    assert _untouched(misplaced)


def test_a_file_of_the_run_directory_is_made_in_its_place(misplaced: Path) -> None:
    descriptor = replace_file(misplaced, os.O_RDWR)
    os.write(descriptor, b"mine")
    os.close(descriptor)
    assert misplaced.read_bytes() == b"mine"
    assert _untouched(misplaced)


def test_an_arena_slot_is_made_in_its_place(misplaced: Path) -> None:
    place = misplaced.rename(misplaced.with_name("arena-0-0"))
    identity = Identity(bytes(16), 1, 1, 0, 0, 1, 1, 2)
    ArenaSlot(place.parent, 0, 0).stage(
        identity, bytes(16), 7, 4, lambda view: view.__setitem__(slice(4), b"1234")
    )
    assert place.read_bytes()[4096:4100] == b"1234"
    assert _untouched(misplaced)


@pytest.mark.parametrize("name", ["ring-0", "resume.json"])
def test_a_pipe_in_the_run_directory_is_not_waited_for(run_directory: RunDirectory, name: str) -> None:
    (run_directory.path / name).unlink()
    os.mkfifo(run_directory.path / name)
    with pytest.raises(holdfast.HoldfastError, match="it is a named pipe"):
        holdfast.attach()


def test_a_checkpoint_that_a_person_names_may_be_a_link(tmp_path: Path) -> None:
    run = holdfast.attach()
    run.register(value={"number": 3})
    link = tmp_path / "newest"
    link.symlink_to(run.save(tmp_path / "checkpoints"))
    assert holdfast.load(link).components["value"] == {"number": 3}
    image = tmp_path / "image"
    image.symlink_to(link / "state.safetensors")
    assert holdfast.load(image).components["value"] == {"number": 3}
