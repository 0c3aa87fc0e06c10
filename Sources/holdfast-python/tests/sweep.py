"""Small trainers, resumed from every state that they can save, with a simulated supervisor.

    python tests/sweep.py [TRAINER ...]

Each attempt is a separate process, forked from one that has imported everything, with a real ring and arena.
The state of an uninterrupted attempt is requested at each step and each safepoint; from every saved state
another attempt continues to the end. Then a chain of attempts dies after each saved state, so that every
resume continues from a resume.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import shutil
import signal
import struct
import sys
import tempfile
import time
import traceback
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy
import torch

import holdfast
import trainers
from conftest import RunDirectory
from internals import at

_CAPACITY = 8 << 20
# Nothing here is slow, but the machine may be loaded.
_SECONDS = 400.0
_SLOT = 0
_COUNTS = ("steps", "resumes", "identical", "refused", "reported", "replay_differs", "seconds")


class Attempt(NamedTuple):
    """The result of one attempt."""

    digest: str | None
    images: list[Path]
    errors: str
    steps: dict[int, Any]

    @property
    def is_refused(self) -> bool:
        return self.digest is None and "HoldfastError" in self.errors

    @property
    def is_reported(self) -> bool:
        return "holdfast: " in self.errors


class Result(NamedTuple):
    """The results of all attempts of one trainer."""

    name: str
    steps: int
    resumes: int
    identical: int
    refused: int
    reported: int
    replay_differs: int
    wrong: list[str]
    messages: list[str]
    seconds: float


def digest(value: Any) -> str:
    """Return the SHA-256 of tensors, arrays and plain values."""
    hashed = hashlib.sha256()

    def add(one: Any) -> None:
        if isinstance(one, dict):
            for key in one:
                hashed.update(repr(key).encode())
                add(one[key])
        elif isinstance(one, (list, tuple)):
            for element in one:
                add(element)
        elif isinstance(one, torch.Tensor):
            hashed.update(one.detach().contiguous().numpy().tobytes())
        elif isinstance(one, numpy.ndarray):
            hashed.update(numpy.ascontiguousarray(one).tobytes())
        else:
            hashed.update(repr(one).encode())

    add(value)
    return hashed.hexdigest()


class _Requester:
    """In a trainer's process: requests the state wherever possible, and stores what is saved."""

    def __init__(self, directory: RunDirectory, images: Path, *, dies: bool) -> None:
        self.directory = directory
        self.images = images
        self.dies = dies
        self.requested = 0
        self.count = 0

    def install(self) -> None:
        for name in ("step", "safepoint"):
            original = getattr(holdfast.Run, name)

            def around(run: Any, *arguments: Any, _original: Any = original, **named: Any) -> None:
                self.before()
                _original(run, *arguments, **named)
                self.after()

            setattr(holdfast.Run, name, around)
        finish = holdfast.Run.finish

        def finished(run: Any) -> None:
            finish(run)
            self.finished()

        holdfast.Run.finish = finished  # type: ignore[method-assign]

    def before(self) -> None:
        if self.directory.word(at.RING_ACKNOWLEDGED) == self.requested:
            self.requested += 1
            self.directory.request(self.requested, slot=_SLOT)

    def after(self) -> None:
        if self.directory.word(at.RING_ACKNOWLEDGED) != self.requested:
            return
        if self.directory.word(at.RING_OUTCOME, "<I") != at.OUTCOME_STAGED:
            return
        shutil.copy(self.directory.path / f"arena-0-{_SLOT}", self.images / f"{self.count:04}")
        self.count += 1
        if self.dies:
            os.kill(os.getpid(), signal.SIGKILL)

    def finished(self) -> None:
        """Store the state that finish() saved; another loop may follow."""
        saved = self.directory.path / "arena-0-1"
        if saved.exists() and not self.dies:
            shutil.copy(saved, self.images / f"{self.count:04}-finished")
            self.count += 1


def _point(image: Path) -> dict[str, Any]:
    with image.open("rb") as file:
        header = file.read(at.HEADER_BYTES)
    step, size = struct.unpack_from("<QQ", header, at.SLOT_STEP)
    return {
        "level": "staged", "step": step, "path": str(image),
        "offset_bytes": at.HEADER_BYTES, "length_bytes": size,
    }  # fmt: skip


def _steps(directory: RunDirectory) -> dict[int, Any]:
    """Return what is compared when steps are replayed: metrics, streams and positions by step."""
    steps = {}
    for kind, payload in directory.drain():
        if kind == at.RECORD_SNAPSHOT:
            head = bytearray(payload)
            (step,) = struct.unpack_from("<Q", payload)
            head[32:40] = bytes(8)  # The time.
            steps[step] = bytes(head)
    return steps


def attempt(
    name: str,
    number: int,
    directory: Path,
    image: Path | None,
    *,
    requests_states: bool = False,
    dies: bool = False,
) -> Attempt:
    """Run one attempt of a trainer in a separate process."""
    directory.mkdir()
    images = directory / "images"
    images.mkdir()
    ring = RunDirectory(directory / "run", _CAPACITY, attempt=number)
    ring.put(at.RING_SPARE_SLOT, "<I", 1)
    ring.resume(None if image is None else _point(image), last_recorded_step=0)
    child = os.fork()
    if child == 0:
        status = 1
        try:
            os.setpgid(0, 0)
            errors = os.open(directory / "errors", os.O_WRONLY | os.O_CREAT, 0o600)
            os.dup2(errors, 2)
            os.dup2(errors, 1)
            os.environ["HOLDFAST_RUN_DIR"] = str(ring.path)
            if requests_states:
                _Requester(ring, images, dies=dies).install()
            # As a separate program would.
            trainers.seed()
            (directory / "digest").write_text(digest(trainers.TRAINERS[name].train()))
            status = 0
        except BaseException:
            traceback.print_exc()
        finally:
            sys.stderr.flush()
            sys.stdout.flush()
            os._exit(status)
    deadline = time.monotonic() + _SECONDS
    while os.waitpid(child, os.WNOHANG)[0] == 0:
        if time.monotonic() > deadline:
            os.kill(child, signal.SIGKILL)
        time.sleep(0.002)
    with contextlib.suppress(ProcessLookupError):
        os.killpg(child, signal.SIGKILL)  # Its workers.
    found = sorted(images.iterdir())
    finished = directory / "digest"
    return Attempt(
        finished.read_text() if finished.exists() else None,
        found,
        (directory / "errors").read_text() if (directory / "errors").exists() else "",
        _steps(ring),
    )


def sweep(name: str, *, every: int = 1) -> Result:
    """Resume a trainer from each state that it saves, and along a chain."""
    began = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="sweep.", dir="/dev/shm") as temporary:
        return _sweep(name, Path(temporary), every, began)


def _sweep(name: str, root: Path, every: int, began: float) -> Result:
    # Requests must not change anything: compare with the digest of a run without requests.
    plain = attempt(name, 1, root / "plain", None)
    refused = trainers.TRAINERS[name].refused
    if refused is not None:
        is_refused = refused in plain.errors and plain.is_refused
        return Result(
            name,
            len(plain.steps),
            1,
            0,
            int(is_refused),
            0,
            0,
            [] if is_refused else [plain.errors],
            [refused],
            0,
        )
    if plain.digest is None:
        return Result(name, 0, 0, 0, 0, 0, 0, ["without requests: " + plain.errors], [], 0)
    whole = attempt(name, 1, root / "whole", None, requests_states=True)
    warns = trainers.TRAINERS[name].warns
    wrong: list[str] = []
    counts = dict.fromkeys(("resumes", "identical", "refused", "reported", "replay"), 0)
    messages: set[str] = set()

    def classify(what: str, one: Attempt) -> None:
        counts["resumes"] += 1
        messages.update(
            line for line in one.errors.splitlines() if "holdfast: " in line or "HoldfastError:" in line
        )
        again = sorted(set(one.steps) & set(plain.steps))
        differs = bool(again) and one.steps[again[0]] != plain.steps[again[0]]
        counts["replay"] += differs
        if one.digest == plain.digest:
            counts["identical"] += 1
        elif one.is_refused:
            counts["refused"] += 1
        elif one.digest is None:
            wrong.append(f"{what}: {one.errors[-2000:]}")
        elif warns and (one.is_reported or whole.is_reported):
            # The attempt that saved the state may have reported it too.
            counts["reported"] += 1
        elif warns and differs:
            # The supervisor reports it when it compares the first replayed step.
            counts["reported"] += 1
        else:
            wrong.append(f"{what}: different result, which was not reported")

    classify("with requests", whole)
    if not whole.images:
        wrong.append("no state was saved")
    for number, image in enumerate(whole.images):
        if number % every == 0 or image.name.endswith("finished"):
            classify(f"from state {number} of {len(whole.images)}, step {_point(image)['step']}",
                  attempt(name, 2, root / f"from-{number}", image))  # fmt: skip
    # No steps are replayed between these deaths, so nothing is compared.
    for number, one in enumerate(() if warns else _chain(name, root, len(whole.images))):
        if one.digest is not None or not one.images:
            classify(f"end of the chain, after {number} deaths", one)
    return Result(
        name, len(plain.steps), counts["resumes"], counts["identical"], counts["refused"], counts["reported"],
        counts["replay"], wrong, sorted(messages), round(time.monotonic() - began, 2),
    )  # fmt: skip


def _chain(name: str, root: Path, most: int) -> Iterator[Attempt]:
    image = None
    for number in range(most + 2):
        one = attempt(name, number + 1, root / f"chain-{number}", image, requests_states=True, dies=True)
        yield one
        if one.digest is not None or not one.images:
            return
        image = one.images[-1]


def serve() -> None:
    """Sweep the trainer named by each line on standard input; answer with a line of JSON."""
    answers = os.fdopen(os.dup(1), "w")
    for line in sys.stdin:
        name, every = line.split()
        print(json.dumps(sweep(name, every=int(every))._asdict()), file=answers, flush=True)


if __name__ == "__main__":
    torch.set_num_threads(1)
    if sys.argv[1:] == ["--serve"]:
        serve()
    else:
        for chosen in sys.argv[1:] or trainers.TRAINERS:
            result = sweep(chosen)
            counts = " ".join(f"{key} {value}" for key, value in result._asdict().items() if key in _COUNTS)
            print(
                f"{chosen:40} {counts} WRONG {len(result.wrong)}",
                flush=True,
            )
            for text in [*result.wrong[:3], *result.messages[:4]]:
                print("    " + text[-1500:].replace("\n", "\n    "), flush=True)
