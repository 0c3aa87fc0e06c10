"""Our numbers are the C header's."""

from __future__ import annotations

import re

from internals import at
from supervised import PACKAGE

HEADER = PACKAGE.parent / "CTrainerProtocol/include/CTrainerProtocol.h"


def numbers_of_the_header() -> dict[str, int]:
    text = HEADER.read_text()
    found = {
        name: int(value, 0)
        for name, value in re.findall(r"^#define HF_(\w+) (0x[0-9a-f]+|\d+)u?l*\b", text, re.MULTILINE)
    }
    for body in re.findall(r"enum hf_\w+ \{(.*?)\};", re.sub(r"//.*", "", text), re.DOTALL):
        found.update({name: int(value) for name, value in re.findall(r"HF_(\w+) = (\d+)", body)})
    return found


def test_every_number_is_the_headers() -> None:
    ours = {name: value for name, value in vars(at).items() if name.isupper() and type(value) is int}
    theirs = numbers_of_the_header()
    assert len(theirs) > 60
    assert ours == theirs
