"""Properties of torch's own loaders and datasets."""

from __future__ import annotations

import zlib
from typing import Any

from torch.utils import data as torch_data

from ._torch_compatibility import RandomSampler


def is_tensors(dataset: Any) -> bool:
    """Return whether samples are slices of tensors, so that nothing in them is random."""
    while type(dataset) is torch_data.Subset:
        dataset = dataset.dataset
    return type(dataset) is torch_data.TensorDataset


def choice_of(dataset: Any) -> int:
    """Return a checksum of the indices of a subset; 0 for any other dataset."""
    crc = 0
    while isinstance(dataset, torch_data.Subset):
        indices = dataset.indices
        data = indices.tobytes() if hasattr(indices, "tobytes") else repr(list(indices)).encode()
        crc = zlib.crc32(data, crc)
        dataset = dataset.dataset
    return crc


def iterates_itself(loader: torch_data.DataLoader[Any]) -> bool:
    """Return whether the class of a loader has an `__iter__` of its own."""
    return type(loader).__iter__ is not torch_data.DataLoader.__iter__


def stateful_kind(loader: torch_data.DataLoader[Any]) -> type | None:
    """Return the class of a torchdata loader; None if its position includes state that the run lacks.

    That is the case with custom samplers and map-style datasets that have a state of their own.
    """
    kind = type(loader)
    if not kind.__module__.startswith("torchdata."):
        return None
    own = isinstance(loader.dataset, torch_data.IterableDataset)
    parts = [] if own else [loader.dataset, loader.sampler, loader.batch_sampler]
    foreign = [part for part in parts if not type(part).__module__.startswith(("torchdata.", "torch."))]
    return None if any(hasattr(part, "state_dict") for part in foreign) else kind


def options_of(loader: Any, more: dict[str, Any]) -> tuple[Any, dict[str, Any]]:
    """Return the dataset and the options of a DataLoader."""
    names = ("num_workers", "collate_fn", "pin_memory", "timeout", "worker_init_fn", "persistent_workers")
    options = {name: getattr(loader, name) for name in names}
    options["multiprocessing_context"] = loader.multiprocessing_context
    options["generator"] = loader.generator
    if loader.num_workers:
        options["prefetch_factor"] = loader.prefetch_factor
    defaults = (torch_data.default_collate, torch_data.default_convert)
    if options["collate_fn"] in defaults:
        options["collate_fn"] = None
    own = _is(loader.batch_sampler, "BatchSampler")
    if isinstance(loader.dataset, torch_data.IterableDataset):
        options.update(batch_size=loader.batch_size, drop_last=loader.drop_last)
        if hasattr(loader, "snapshot_every_n_steps"):
            options["snapshot_every_n_steps"] = loader.snapshot_every_n_steps
    elif loader.batch_sampler is not None and not own:
        options["batch_sampler"] = loader.batch_sampler
    else:
        options.update(batch_size=loader.batch_size, drop_last=loader.drop_last)
        sampler = loader.sampler
        if _is(sampler, "RandomSampler") and not sampler.replacement and RandomSampler(sampler).count is None:
            options["shuffle"] = True
        elif type(sampler) is not torch_data.SequentialSampler:
            options["sampler"] = sampler
    options.update(more)
    return loader.dataset, options


def _is(sampler: Any, name: str) -> bool:
    """Return whether a sampler is torch's class of that name, or torchdata's replacement."""
    return type(sampler).__name__ == name and type(sampler).__module__.startswith(("torch.", "torchdata."))
