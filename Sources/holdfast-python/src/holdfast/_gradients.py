"""Which parameters have a gradient, between optimizer steps.

Their values are of no use then, and are not saved; whether they are there is. A parameter that the next step
does not touch has a gradient of zeros if it had one before (`zero_grad(set_to_none=False)`, torch's default
until 2.0), and an optimizer with momentum moves it; one without a gradient it leaves alone.
"""

from __future__ import annotations

import sys
from typing import Any

_NONE, _DENSE, _SPARSE = range(3)


def kinds_of(module: Any) -> bytes:
    """Return of each parameter of a module, in order, whether it has a gradient, and a sparse one."""
    return bytes(_NONE if one.grad is None else _DENSE + one.grad.is_sparse for one in module.parameters())


def give_zeros(module: Any, kinds: bytes) -> None:
    """Give gradients of zeros to the parameters that had one and have none yet."""
    torch = sys.modules["torch"]
    parameters = list(module.parameters())
    if len(parameters) != len(kinds):
        return  # Loaded without being strict: another module.
    for parameter, kind in zip(parameters, kinds):
        if kind != _NONE and parameter.grad is None and parameter.requires_grad:
            layout = torch.sparse_coo if kind == _SPARSE else torch.strided
            parameter.grad = torch.zeros_like(parameter, layout=layout).detach()
