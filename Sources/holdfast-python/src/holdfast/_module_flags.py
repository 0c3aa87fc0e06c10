"""What training changes in a module beside its `state_dict`: what is trained, modes, buffers of its own.

Flags are saved once they are no longer what they were when the module was registered: until then a program
may be changed, and begin with others.
"""

from __future__ import annotations

import sys
from typing import Any


def trained(module: Any) -> str:
    """Return of each parameter of a module, in order, whether it is trained."""
    return "".join("01"[one.requires_grad] for one in module.parameters())


def set_trained(module: Any, flags: str | None) -> None:
    """Let those parameters be trained that were."""
    parameters = list(module.parameters())
    if flags is None or len(flags) != len(parameters):
        return  # As registered; or loaded without being strict: another module.
    for parameter, flag in zip(parameters, flags):
        if parameter.requires_grad != (flag == "1"):
            parameter.requires_grad_(flag == "1")


def modes(module: Any) -> str:
    """Return of each part of a module, in order, whether it is in training mode."""
    return "".join("01"[bool(one.training)] for one in module.modules())


def set_modes(module: Any, flags: str | None) -> None:
    """Put each part into the mode that it was in."""
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
    """Put back the buffers that are not persistent.

    Args:
        module: whose buffers.
        saved: what `buffers` returned.
        strict: whether one of another shape takes the place of the one that is there.
    """
    torch = sys.modules["torch"]
    for prefix, part in module.named_modules():
        for name, present in _own_buffers(part).items():
            if f"{prefix}.{name}" not in saved:
                continue
            value = saved[f"{prefix}.{name}"]
            if value is None or present is None:
                part._buffers[name] = value if value is None else value.to(_device_of(module))
            elif present.shape != value.shape or present.dtype != value.dtype:
                # Caches that grow, and what is carried on from batch to batch.
                if strict:
                    part._buffers[name] = value.to(present.device)
            elif not torch.equal(present, value.to(present.device)):
                # A constant that is expanded is the same, and could not be written to.
                with torch.no_grad():
                    present.copy_(value)


def _own_buffers(part: Any) -> dict[str, Any]:
    names = getattr(part, "_non_persistent_buffers_set", ())
    return {name: value for name, value in part._buffers.items() if name in names} if names else {}


def _device_of(module: Any) -> Any:
    first = next(module.parameters(), None)
    return "cpu" if first is None else first.device
