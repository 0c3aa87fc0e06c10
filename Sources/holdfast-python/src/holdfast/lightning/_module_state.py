"""The tensors of the module itself, whatever callbacks put into a checkpoint in their place.

`WeightAveraging` puts its average there, `ModelPruning` the weights without their masks. And what hooks do
before the first batch of a resumed epoch to weights, to `requires_grad` and to masks is put right again.
"""

from __future__ import annotations

from typing import Any

import torch
from torch.nn.utils import prune

from .. import _module_flags


def state_of(module: Any, dumped: Any) -> dict[str, Any]:
    """Return the module's tensors, those that no `state_dict` has too, and which parameters are trained.

    Args:
        module: of which.
        dumped: its state in the trainer's checkpoint. What the program left out of it, and what is not
            trained, is left out here too: it is made from elsewhere.
    """
    trained = {name for name, one in module.named_parameters() if one.requires_grad}
    tensors = {
        name: value
        for name, value in module.state_dict().items()
        if isinstance(value, torch.Tensor) and (name in dumped or name in trained or name.endswith("_mask"))
    }
    return {"tensors": tensors, "trained": sorted(trained), "buffers": _module_flags.buffers(module)}


def load(module: Any, state: dict[str, Any]) -> None:
    """Put back what `state_of` gave."""
    tensors, trained = state["tensors"], set(state["trained"])
    for name in _pruned(tensors):
        parent, _, own = name.rpartition(".")
        part = module.get_submodule(parent)
        if own in part._parameters:
            # The parameter stays the one that the optimizer has.
            prune.custom_from_mask(part, own, tensors[name + "_mask"])
    present = {**dict(module.named_parameters()), **dict(module.named_buffers())}
    with torch.no_grad():
        for name, value in tensors.items():
            target = present.get(name)
            if target is not None and target.shape == value.shape:
                target.data.copy_(value)
    # A state of an older version has none.
    _module_flags.set_buffers(module, state.get("buffers", {}))
    for name, parameter in module.named_parameters():
        parameter.requires_grad_(name in trained or not parameter.dtype.is_floating_point)


def without_masks(module: Any, state: Any) -> Any:
    """Return a state for a module whose weights are not masked yet, as `load_state_dict` takes it."""
    present = set(module.state_dict())
    state = type(state)(state)
    for name in _pruned(state):
        if name + "_mask" not in present and name in present:
            state[name] = state.pop(name + "_orig") * state.pop(name + "_mask")
    return state


def _pruned(tensors: Any) -> list[str]:
    return [name[:-5] for name in tensors if name.endswith("_orig") and name[:-5] + "_mask" in tensors]
