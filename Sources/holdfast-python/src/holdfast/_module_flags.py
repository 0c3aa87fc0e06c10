"""What training changes in a module besides its `state_dict`: `requires_grad`, modes, non-persistent buffers.

Flags are saved once they differ from those at registration: until then the program itself may set other ones
in a later attempt.
"""

from __future__ import annotations

import sys
from typing import Any

from ._torch_compatibility import Module


def trained(module: Any) -> str:
    """Return for each parameter of a module, in order, whether it requires a gradient."""
    return "".join("01"[one.requires_grad] for one in module.parameters())


def set_trained(module: Any, flags: str | None) -> None:
    """Set `requires_grad` of each parameter."""
    parameters = list(module.parameters())
    if flags is None or len(flags) != len(parameters):
        return  # As registered, or another module that was loaded with strict=False.
    for parameter, flag in zip(parameters, flags):
        if parameter.requires_grad != (flag == "1"):
            parameter.requires_grad_(flag == "1")


def modes(module: Any) -> str:
    """Return for each submodule, in order, whether it is in training mode."""
    return "".join("01"[bool(one.training)] for one in module.modules())


def set_modes(module: Any, flags: str | None) -> None:
    """Set the training mode of each submodule."""
    parts = list(module.modules())
    if flags is None or len(flags) != len(parts):
        return
    for part, flag in zip(parts, flags):
        if part.training != (flag == "1"):
            part.training = flag == "1"


def buffers(module: Any) -> dict[str, Any]:
    """Return the buffers that are not persistent, by name."""
    torch = sys.modules["torch"]
    kinds = (torch.Tensor, getattr(torch.nn, "Buffer", torch.Tensor))
    return {
        f"{prefix}.{name}": value
        for prefix, part in module.named_modules()
        for name, value in _own_buffers(part).items()
        if value is None
        or (
            (type(value) in kinds and value.layout == torch.strided and not value.is_meta)
            and not value.is_quantized
        )
    }


def set_buffers(module: Any, saved: dict[str, Any], *, strict: bool = True) -> None:
    """Restore the buffers that are not persistent.

    Args:
        module: the module.
        saved: what `buffers` returned.
        strict: whether a buffer of another shape replaces the present one.
    """
    torch = sys.modules["torch"]
    for prefix, part in module.named_modules():
        for name, present in _own_buffers(part).items():
            if f"{prefix}.{name}" not in saved:
                continue
            value = saved[f"{prefix}.{name}"]
            if value is None or present is None:
                Module(part).buffers[name] = value if value is None else value.to(_device_of(module))
            elif present.shape != value.shape or present.dtype != value.dtype:
                # Caches that grow, and state that is passed from batch to batch.
                if strict:
                    Module(part).buffers[name] = value.to(present.device)
            elif not torch.equal(present, value.to(present.device)):
                # Not if they are equal: an expanded constant cannot be written to.
                with torch.no_grad():
                    present.copy_(value)


def _own_buffers(part: Any) -> dict[str, Any]:
    module = Module(part)
    names = module.transient_buffers
    return {name: value for name, value in module.buffers.items() if name in names} if names else {}


def _device_of(module: Any) -> Any:
    first = next(module.parameters(), None)
    return "cpu" if first is None else first.device
