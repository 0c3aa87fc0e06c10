"""Benchmarks of the package and its peers. Usage: bench.py WORK MEMORY [step|stall|resume|digits].

WORK is a directory on disk, MEMORY one on tmpfs.
"""

from __future__ import annotations

import json
import os
import sqlite3
import statistics
import struct
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

PACKAGE = Path(__file__).parent.parent
sys.path.insert(0, str(PACKAGE / "tests"))


def report(what: str, value: float, unit: str, limit: str = "") -> None:
    print(f"  {what:<58} {value:10.2f} {unit:<3} {limit}", flush=True)


def microseconds(call: Callable[[], object], count: int = 2000, rounds: int = 9) -> float:
    """Return the best time of several rounds: the cost of the call without interference."""
    best = float("inf")
    for _ in range(rounds):
        began = time.perf_counter_ns()
        for _ in range(count):
            call()
        best = min(best, (time.perf_counter_ns() - began) / count / 1000)
    return best


def consume(path: Path) -> threading.Event:
    """Free the ring's space like the supervisor's reader; costs the trainer only the access to that word."""
    from internals import at

    stop = threading.Event()

    def loop() -> None:
        with (path / "ring-0").open("r+b") as file:
            while not stop.wait(0.05):
                file.seek(at.RING_WRITTEN)
                written = file.read(8)
                file.seek(at.RING_CONSUMED)
                file.write(written)
                file.flush()

    threading.Thread(target=loop, daemon=True).start()
    return stop


def attach(memory: Path, **options: Any) -> Any:
    import holdfast
    from conftest import RunDirectory

    directory = RunDirectory(memory / f"run-{time.monotonic_ns()}", capacity=1 << 26)
    os.environ["HOLDFAST_RUN_DIR"] = str(directory.path)
    run = holdfast.attach(**options)
    consume(directory.path)
    return run, directory


def step(work: Path, memory: Path) -> None:
    print("step: one record of a step, with a metric")
    run, _ = attach(memory, rng=False)
    run.step(loss=0.5)
    report(
        "run.step(loss=...) without random streams", microseconds(lambda: run.step(loss=0.5)), "us", "<= 5"
    )
    import random

    import numpy as np
    import torch

    run, _ = attach(memory)
    run.step(loss=0.5)
    whole = microseconds(lambda: run.step(loss=0.5))
    getters = microseconds(
        lambda: (random.getstate(), np.random.get_state(legacy=False), torch.get_rng_state())
    )
    report("with random, numpy and torch CPU (10 KB)", whole, "us", "<= 40")
    report("  of which the three libraries' own getters", getters, "us")
    with (work / "log").open("w") as log:
        record = {"step": 1, "loss": 0.5}

        def write() -> None:
            log.write(json.dumps(record) + "\n")
            log.flush()

        report("peer: json and write", microseconds(write), "us")
    database = sqlite3.connect(work / "peer.sqlite")
    database.execute("create table steps (step integer, loss real)")

    def insert() -> None:
        database.execute("insert into steps values (1, 0.5)")
        database.commit()

    report("peer: sqlite3 insert and commit", microseconds(insert, 20, 3), "us")
    try:
        import lmdb
    except ImportError:
        print("  peer: py-lmdb is not installed")
        return
    environment = lmdb.open(str(work / "peer.lmdb"), map_size=1 << 30)

    def put() -> None:
        with environment.begin(write=True) as transaction:
            transaction.put(b"1", struct.pack("<Qd", 1, 0.5))

    report("peer: py-lmdb put and commit", microseconds(put, 20, 3), "us")


def model(megabytes: int = 512) -> Any:
    """Return a stack of layers like a transformer's, with about a hundred tensors."""
    import torch

    width = 1024
    layer = 12 * width * width + 13 * width
    layers = max(1, megabytes * (1 << 20) // 4 // layer)
    return torch.nn.Sequential(
        *(
            torch.nn.TransformerEncoderLayer(width, 16, 4 * width, batch_first=True, device="cpu")
            for _ in range(layers)
        )
    )


def lightning_trainer(net: Any, work: Path) -> Any:
    """Return a trainer that has fitted a module with this network, to measure saving it."""
    import logging

    import torch

    # torch of Debian 12 cannot import its own sharded tensors under Python 3.11.
    torch.distributed.is_available = lambda: False
    import pytorch_lightning as pl

    class Module(pl.LightningModule):
        def __init__(self) -> None:
            super().__init__()
            self.net = net

        def configure_optimizers(self) -> Any:
            return torch.optim.SGD(self.parameters(), lr=0.1)

    logging.getLogger("pytorch_lightning").setLevel(logging.ERROR)
    trainer = pl.Trainer(
        accelerator="cpu", default_root_dir=work, logger=False, enable_checkpointing=False,
        enable_progress_bar=False, enable_model_summary=False, max_steps=0,
    )  # fmt: skip
    Module.training_step = lambda self, batch, index: None
    trainer.fit(Module(), torch.utils.data.DataLoader([0]))
    return trainer


def stall(work: Path, memory: Path) -> None:
    import safetensors.torch
    import torch

    from internals import at

    net = model()
    state = net.state_dict()
    size = sum(tensor.numel() * tensor.element_size() for tensor in state.values())
    print(f"stall: a state_dict of {size >> 20} MiB in {len(state)} tensors")
    warm = {name: tensor.clone() for name, tensor in state.items()}

    def copy() -> None:
        for name, tensor in state.items():
            warm[name].copy_(tensor)

    copies = [microseconds(copy, 1, 1) / 1000 for _ in range(9)]
    run, directory = attach(memory)
    run.register(model=net)
    run.restore()
    stalls = []
    for number in range(1, 11):
        directory.request(number, slot=number % 2)
        run.step(loss=0.5)
        payload = [payload for kind, payload in directory.drain() if kind == at.RECORD_STAGED][-1]
        assert struct.unpack_from("<I", payload, at.STAGED_OUTCOME)[0] == at.OUTCOME_STAGED
        stalls.append(struct.unpack_from("<Q", payload, at.STAGED_STALL_NS)[0] / 1e6)
    peer = statistics.median(copies)
    report("copying it into warm tensors", peer, "ms")
    report("staging it", statistics.median(stalls[2:]), "ms", f"<= {1.3 * peer:.1f}")
    report("  the first time, into a new slot", stalls[0], "ms")
    report("peer: torch.save", microseconds(lambda: torch.save(state, memory / "peer.pt"), 1, 3) / 1000, "ms")
    trainer = lightning_trainer(net, work)
    save_lightning = lambda: trainer.save_checkpoint(memory / "peer.ckpt")  # noqa: E731
    report("peer: Lightning's Trainer.save_checkpoint", microseconds(save_lightning, 1, 3) / 1000, "ms")
    (memory / "peer.ckpt").unlink()
    save = lambda: safetensors.torch.save_file(state, memory / "peer.safetensors")  # noqa: E731
    report("peer: safetensors.torch.save_file", microseconds(save, 1, 3) / 1000, "ms")


RESUME = """
import time, sys
import torch, numpy
sys.path[:0] = {path!r}
import holdfast, bench
net = bench.model()
began = time.perf_counter()
run = holdfast.attach()
run.register(model=net)
run.restore()
run.step()
print((time.perf_counter() - began) * 1000)
"""


def resume(work: Path, memory: Path) -> None:
    import torch

    print("resume: from attach() to the first step, 512 MiB in the arena")
    net = model()
    run, directory = attach(memory)
    run.register(model=net)
    run.restore()
    directory.request(1)
    run.step()
    run._connection.close()
    times = []
    for _ in range(3):
        directory.next_attempt()
        program = RESUME.format(path=[str(PACKAGE / "bench"), str(PACKAGE / "tests")])
        output = subprocess.run([sys.executable, "-c", program], stdout=subprocess.PIPE, check=True).stdout
        times.append(float(output))
    report("resume", min(times), "ms", "<= 100")
    torch.save(net.state_dict(), memory / "peer.pt")

    def load() -> None:
        net.load_state_dict(torch.load(memory / "peer.pt"))

    report("peer: torch.load and load_state_dict", microseconds(load, 1, 3) / 1000, "ms")


# Whether glibc releases and reallocates an activation's memory in each step depends on the heap's layout, and
# changes a step by 5 %: here it never does.
KEEPS_MEMORY = {
    "MALLOC_MMAP_THRESHOLD_": str(1 << 31),
    "MALLOC_TRIM_THRESHOLD_": str(1 << 33),
    "MALLOC_TOP_PAD_": str(1 << 26),
}


def digits_once(
    work: Path, memory: Path, kind: str, network: str, epochs: int, every: int = 0
) -> tuple[float, float]:
    """Run digits.py once; return microseconds of wall clock and of processor time per step."""
    place = f"{kind}-{time.monotonic_ns()}"
    command = [sys.executable, str(PACKAGE / "bench/digits.py"), kind, network, str(epochs)]
    command += [str(work / place), str(every)] if every else []
    environment = {name: value for name, value in os.environ.items() if name != "HOLDFAST_RUN_DIR"}
    environment.update(KEEPS_MEMORY)
    if kind.endswith("holdfast"):
        binaries = os.environ.get("HOLDFAST_TEST_BIN", PACKAGE.parent.parent / ".build/release")
        directories = ["--state-dir", str(work / place), "--run-dir", str(memory / place)]
        (memory / place).mkdir(mode=0o700)
        command = [
            str(Path(binaries) / "holdfast"), "run", *directories, "--stage-every", "2s", "--", *command
        ]  # fmt: skip
    done = subprocess.run(command, env=environment, capture_output=True, text=True)
    if done.returncode != 0:
        raise SystemExit(f"{' '.join(command)} exited with {done.returncode}:\n{done.stderr}")
    found = json.loads(done.stdout.splitlines()[-1])
    return found["wall"] / found["steps"] * 1e6, found["processor"] / found["steps"] * 1e6


def digits_beside(
    work: Path,
    memory: Path,
    base: tuple[str, str, int],
    others: list[tuple[str, str, int, str]],
    rounds: int,
) -> None:
    """Alternate the runs, so that interference affects all of them; compare them within each round."""
    kind, network, epochs = base
    figures: dict[str, list[tuple[float, float]]] = {"": []}
    for _ in range(rounds):
        figures[""].append(digits_once(work, memory, kind, network, epochs))
        for what, other, every, _ in others:
            figures.setdefault(what, []).append(digits_once(work, memory, other, network, epochs, every))
    report(f"{kind}, {network} network: one step", statistics.median(wall for wall, _ in figures[""]), "us")
    for what, _, _, limit in others:
        pairs = list(zip(figures[what], figures[""]))
        for clock, name in enumerate(("wall clock", "processor")):
            more = statistics.median(mine[clock] / plain[clock] - 1 for mine, plain in pairs) * 100
            report(f"  {what}: more {name}", more, "%", limit)
        more = statistics.median(mine[0] - plain[0] for mine, plain in pairs)
        report(f"  {what}: more in each step", more, "us")
        if limit:
            report(f"  {what}: 1 % of a step of", more / 10, "ms")


def digits(work: Path, memory: Path) -> None:
    print("digits: whole runs, a snapshot every step, staged every 2 s; medians of rounds")
    supervised = [("holdfast", "holdfast", 0, "<= 1")]
    digits_beside(work, memory, ("plain", "convolutional", 60), supervised, 5)
    # Reported in microseconds, not percent: no network that needs a supervisor has steps this short.
    supervised = [("holdfast", "holdfast", 0, "")]
    digits_beside(work, memory, ("plain", "small", 80), supervised, 5)
    others = [
        ("holdfast's callback", "lightning-holdfast", 0, ""),
        ("peer: ModelCheckpoint every step", "lightning-checkpoints", 1, ""),
        ("peer: ModelCheckpoint every 150 (2 s)", "lightning-checkpoints", 150, ""),
    ]
    digits_beside(work, memory, ("lightning", "convolutional", 30), others, 3)


def main() -> None:
    work, memory = Path(sys.argv[1]), Path(sys.argv[2])
    every = {"step": step, "stall": stall, "resume": resume, "digits": digits}
    for name in sys.argv[3:] or every:
        every[name](work, memory)


if __name__ == "__main__":
    main()
