"""The gradients of a module between optimizer steps: their values, or only which parameters have one.

The values are of no use after an optimizer's step, and are saved on request; whether they are there always
is. A parameter that the next step does not touch has a gradient of zeros if it had one before
(`zero_grad(set_to_none=False)`, torch's default until 2.0), and an optimizer with momentum moves it; one
without a gradient it leaves alone.
"""

from __future__ import annotations

import sys
from typing import Any

_NONE, _DENSE, _SPARSE = range(3)


def state_of(module: Any, *, with_values: bool) -> Any:
    """Return the gradients by name of their parameters; without values only who has one."""
    if not with_values:
        return _kinds_of(module)
    return {name: one.grad for name, one in module.named_parameters() if one.grad is not None}


def load(module: Any, state: Any, *, with_frozen: bool = False) -> None:
    """Let a module go on from what `state_of` returned.

    Args:
        module: that goes on.
        state: what was returned.
        with_frozen: whether what is frozen now was frozen then, and is not the program's own change.
    """
    if isinstance(state, bytes):
        _give_zeros(module, state, with_frozen=with_frozen)
        return
    for name, parameter in module.named_parameters():
        gradient = state.get(name)
        # Loaded without being strict it may have another shape.
        fits = gradient is not None and gradient.shape == parameter.shape
        parameter.grad = gradient.to(parameter.device) if fits else None


def _kinds_of(module: Any) -> bytes:
    """Return of each parameter of a module, in order, whether it has a gradient, and a sparse one."""
    return bytes(_NONE if one.grad is None else _DENSE + one.grad.is_sparse for one in module.parameters())


def _give_zeros(module: Any, kinds: bytes, *, with_frozen: bool) -> None:
    """Give gradients of zeros to the parameters that had one and have none yet."""
    torch = sys.modules["torch"]
    parameters = list(module.parameters())
    if len(parameters) != len(kinds):
        return  # Loaded without being strict: another module.
    for parameter, kind in zip(parameters, kinds):
        if kind != _NONE and parameter.grad is None and (parameter.requires_grad or with_frozen):
            layout = torch.sparse_coo if kind == _SPARSE else torch.strided
            parameter.grad = torch.zeros_like(parameter, layout=layout).detach()
