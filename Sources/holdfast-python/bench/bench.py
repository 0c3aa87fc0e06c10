"""Speed of the package, each figure beside its peers. Usage: bench.py WORK MEMORY [step|stall|resume].

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
    """The best of some rounds: what the call costs when nothing disturbs it."""
    best = float("inf")
    for _ in range(rounds):
        began = time.perf_counter_ns()
        for _ in range(count):
            call()
        best = min(best, (time.perf_counter_ns() - began) / count / 1000)
    return best


def consume(path: Path) -> threading.Event:
    """A supervisor's reader: gives the ring's room back. It costs the trainer nothing but the word."""
    from holdfast import _layout as at

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
    """A stack of layers as a transformer's, some hundred tensors."""
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


def stall(work: Path, memory: Path) -> None:
    import safetensors.torch
    import torch

    from holdfast import _layout as at

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
    run._ring.close()
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


def main() -> None:
    work, memory = Path(sys.argv[1]), Path(sys.argv[2])
    every = {"step": step, "stall": stall, "resume": resume}
    for name in sys.argv[3:] or every:
        every[name](work, memory)


if __name__ == "__main__":
    main()
