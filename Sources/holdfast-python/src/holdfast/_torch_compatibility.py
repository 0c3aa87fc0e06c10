"""All private names of torch that are used, and the check that the installed version has them.

This module does not import torch, which is optional.
"""

from __future__ import annotations

import sys
from typing import Any

from ._private_names import Private, View, require

SUPPORTED = "1.13 to 2.13"


# The method that creates the iterator of a pass, and the iterator of persistent workers.
_GET_ITERATOR, _ITERATOR = "_get_iterator", "_iterator"


class Tensor(View):
    """A tensor."""

    version = Private("_version")


class Module(View):
    """A module."""

    parameters = Private("_parameters")
    buffers = Private("_buffers")
    # Names of buffers that are not in its state.
    transient_buffers = Private("_non_persistent_buffers_set")


class RandomSampler(View):
    """A random sampler, and the number of samples that it draws."""

    count = Private("_num_samples")


class _DataLoader(View):
    get_iterator = Private(_GET_ITERATOR)
    iterator = Private(_ITERATOR)


# The versions of a module's submodules, with which `load_state_dict` reads older states.
_METADATA = "_metadata"


def state_metadata(state: Any) -> Any:
    """Return the metadata that torch has attached to the state of a module, or None."""
    return getattr(state, _METADATA, None)


def set_state_metadata(state: Any, metadata: Any) -> None:
    """Attach metadata of torch to the state of a module."""
    setattr(state, _METADATA, metadata)


def version_of(tensor: Any) -> int | None:
    """Return a tensor's version counter; None for numpy arrays and inference tensors, which have none."""
    try:
        version = Tensor(tensor).version
        return None if version is None else int(version)
    except RuntimeError:
        return None


def iterate_through(loader: Any, iterate: Any) -> None:
    """Make a loader's own `__iter__` read the batches of each pass from `iterate()`."""
    # Not by assignment: torch's class refuses to change its constructor arguments.
    vars(loader).update({"persistent_workers": False, _ITERATOR: None, _GET_ITERATOR: iterate})


def scheduler_class(torch: Any) -> type:
    """Return the class of learning rate schedulers."""
    schedulers = torch.optim.lr_scheduler
    # Public since torch 2, where the older name is an empty subclass.
    found: type = getattr(schedulers, "LRScheduler", None) or schedulers._LRScheduler
    return found


def check() -> None:
    """Check torch, if it is imported.

    Raises:
        HoldfastError: it lacks a private name.
    """
    torch = sys.modules.get("torch")
    if torch is None or not hasattr(torch, "nn"):
        return
    version = str(torch.__version__)
    module = torch.nn.Module()
    data = torch.utils.data
    views = (
        Tensor(torch.empty(0)),
        Module(module),
        RandomSampler(data.RandomSampler([0])),
        _DataLoader(data.DataLoader([0])),
    )
    missing = [name for view in views for name in view.missing(version)]
    if state_metadata(module.state_dict()) is None:
        missing.append(f"state_dict().{_METADATA}")
    schedulers = torch.optim.lr_scheduler
    if not hasattr(schedulers, "LRScheduler") and not hasattr(schedulers, "_LRScheduler"):
        missing.append("lr_scheduler._LRScheduler")
    require("torch", version, SUPPORTED, missing)
