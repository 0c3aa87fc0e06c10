"""The constants of the package match those of the C header."""

from __future__ import annotations

import re

from internals import at
from supervised import PACKAGE

HEADER = PACKAGE.parent / "CTrainerProtocol/include/CTrainerProtocol.h"


def header_constants() -> dict[str, int]:
    text = HEADER.read_text()
    found = {
        name: int(value, 0)
        for name, value in re.findall(r"^#define HF_(\w+) (0x[0-9a-f]+|\d+)u?l*\b", text, re.MULTILINE)
    }
    for body in re.findall(r"enum hf_\w+ \{(.*?)\};", re.sub(r"//.*", "", text), re.DOTALL):
        found.update({name: int(value) for name, value in re.findall(r"HF_(\w+) = (\d+)", body)})
    return found


def test_constants_match_the_c_header() -> None:
    package = {name: value for name, value in vars(at).items() if name.isupper() and type(value) is int}
    header = header_constants()
    assert len(header) > 60
    assert package == header
