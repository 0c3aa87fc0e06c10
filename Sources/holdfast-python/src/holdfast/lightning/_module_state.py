"""The tensors of the module itself, in case callbacks replace them in a checkpoint.

`WeightAveraging` stores its average there, `ModelPruning` the weights without masks. Changes by hooks to
weights, `requires_grad` and masks before the first batch of a resumed epoch are reverted too.
"""

from __future__ import annotations

from typing import Any

import torch
from torch.nn.utils import prune

from .. import _module_flags
from .._torch_compatibility import Module


def state_of(module: Any, dumped: Any) -> dict[str, Any]:
    """Return the module's tensors, including non-persistent buffers, and which parameters are trained.

    Args:
        module: the module.
        dumped: its state in the trainer's checkpoint. Tensors that the program has left out there and that
            are not trained are left out here too: the program loads them from elsewhere.
    """
    trained = {name for name, one in module.named_parameters() if one.requires_grad}
    tensors = {
        name: value
        for name, value in module.state_dict().items()
        if isinstance(value, torch.Tensor) and (name in dumped or name in trained or name.endswith("_mask"))
    }
    return {"tensors": tensors, "trained": sorted(trained), "buffers": _module_flags.buffers(module)}


def load(module: Any, state: dict[str, Any]) -> None:
    """Restore a state that `state_of` returned."""
    tensors, trained = state["tensors"], set(state["trained"])
    for name in _pruned(tensors):
        parent, _, own = name.rpartition(".")
        part = module.get_submodule(parent)
        if own in Module(part).parameters:
            # The parameter remains the one in the optimizer.
            prune.custom_from_mask(part, own, tensors[name + "_mask"])
    present = {**dict(module.named_parameters()), **dict(module.named_buffers())}
    with torch.no_grad():
        for name, value in tensors.items():
            target = present.get(name)
            if target is not None and target.shape == value.shape:
                target.data.copy_(value)
    # States of older versions have no buffers.
    _module_flags.set_buffers(module, state.get("buffers", {}))
    for name, parameter in module.named_parameters():
        parameter.requires_grad_(name in trained or not parameter.dtype.is_floating_point)


def without_masks(module: Any, state: Any) -> Any:
    """Return a state that `load_state_dict` accepts for a module whose weights are not masked yet."""
    present = set(module.state_dict())
    state = type(state)(state)
    for name in _pruned(state):
        if name + "_mask" not in present and name in present:
            state[name] = state.pop(name + "_orig") * state.pop(name + "_mask")
    return state


def _pruned(tensors: Any) -> list[str]:
    return [name[:-5] for name in tensors if name.endswith("_orig") and name[:-5] + "_mask" in tensors]
