"""The record of the exception that ended a trainer."""

from __future__ import annotations

import json
import traceback
from types import TracebackType

from ._documents import clean

# In characters.
_LONGEST_MESSAGE = 4_000
_LONGEST_TRACEBACK = 40_000


def encode_failure(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> bytes:
    """Return a failure record's payload."""
    text = "".join(traceback.format_exception(kind, error, trace))
    name = kind.__qualname__ if kind.__module__ in ("builtins", "__main__") else _full_name(kind)
    document = {
        "type": name,
        "message": _message(error),
        # The end contains the location of the error.
        "traceback": clean(text[-_LONGEST_TRACEBACK:]),
    }
    return json.dumps(document).encode()


def _message(error: BaseException) -> str:
    try:
        return clean(str(error)[:_LONGEST_MESSAGE])
    except Exception:  # Its __str__ failed; the rest is still reported.
        return "<no message>"


def _full_name(kind: type[BaseException]) -> str:
    return f"{kind.__module__}.{kind.__qualname__}"
