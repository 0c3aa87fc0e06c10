"""A simulation with a restart file: `-cpi FILE` continues, `-cpo FILE` is replaced by a rename."""

from __future__ import annotations

import argparse
import struct
import time
from pathlib import Path

parser = argparse.ArgumentParser()
parser.add_argument("-cpi", help="continue from this file")
parser.add_argument("-cpo", default="state.cpt")
parser.add_argument("-nsteps", type=int, default=3000)
arguments = parser.parse_args()

MAGIC = b"restart1"
step, position, velocity = 0, 1.0, 0.0
if arguments.cpi:
    content = Path(arguments.cpi).read_bytes()
    assert content[:8] == MAGIC and len(content) == 32, f"{arguments.cpi} is not a restart file"
    step, position, velocity = struct.unpack("<Qdd", content[8:])
print(f"start at step {step} from {arguments.cpi}", flush=True)
while step < arguments.nsteps:
    velocity -= 0.001 * position
    position += 0.001 * velocity
    step += 1
    if step % 100 == 0:
        time.sleep(0.05)
        part = Path("step.cpt.part")
        part.write_bytes(MAGIC + struct.pack("<Qdd", step, position, velocity))
        part.replace(arguments.cpo)
print(f"digest {position.hex()} {velocity.hex()}")
