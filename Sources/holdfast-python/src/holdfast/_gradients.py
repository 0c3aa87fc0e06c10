"""The gradients of a module between optimizer steps: their values, or only which parameters have one.

The values are not needed after an optimizer step, and are saved on request. Which parameters have a gradient
is always saved: one that the next step does not use has a gradient of zeros if it had one before
(`zero_grad(set_to_none=False)`, torch's default until 2.0), and an optimizer with momentum changes it. It
does not change parameters without a gradient.
"""

from __future__ import annotations

import sys
from typing import Any

_NONE, _DENSE, _SPARSE = range(3)


def state_of(module: Any, *, with_values: bool) -> Any:
    """Return the gradients by parameter name; without values, only which parameters have one."""
    if not with_values:
        return _kinds_of(module)
    return {name: one.grad for name, one in module.named_parameters() if one.grad is not None}


def load(module: Any, state: Any, *, with_frozen: bool = False) -> None:
    """Restore gradients.

    Args:
        module: the module.
        state: what `state_of` returned.
        with_frozen: whether the module has the `requires_grad` flags of the saved state, so that frozen
            parameters get their gradients too.
    """
    if isinstance(state, bytes):
        _set_zeros(module, state, with_frozen=with_frozen)
        return
    for name, parameter in module.named_parameters():
        gradient = state.get(name)
        # The shape may differ after a load with strict=False.
        fits = gradient is not None and gradient.shape == parameter.shape
        parameter.grad = gradient.to(parameter.device) if fits else None


def _kinds_of(module: Any) -> bytes:
    """Return for each parameter, in order, whether it has no gradient, a dense or a sparse one."""
    return bytes(_NONE if one.grad is None else _DENSE + one.grad.is_sparse for one in module.parameters())


def _set_zeros(module: Any, kinds: bytes, *, with_frozen: bool) -> None:
    """Set gradients of zeros for the parameters that had one and have none now."""
    torch = sys.modules["torch"]
    parameters = list(module.parameters())
    if len(parameters) != len(kinds):
        return  # Another module, loaded with strict=False.
    for parameter, kind in zip(parameters, kinds):
        if kind != _NONE and parameter.grad is None and (parameter.requires_grad or with_frozen):
            layout = torch.sparse_coo if kind == _SPARSE else torch.strided
            parameter.grad = torch.zeros_like(parameter, layout=layout).detach()
