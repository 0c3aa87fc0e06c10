"""Hyperparameters that `holdfast run --set` changed: they replace the program's own values."""

from __future__ import annotations

from argparse import Namespace
from collections.abc import Iterable, Iterator, Mapping, MutableMapping
from types import SimpleNamespace
from typing import Any, Callable

from ._documents import Change, clean
from ._hyperparameters import Recorded

# How optimizers name the learning rate. With a scheduler its first value is kept too.
_RATE = "lr"
_RATE_NAMES = ("lr", "learning_rate")
_BASES = ("initial_lr", "max_lr")
_SCALED = ("lr", "initial_lr", "max_lr", "min_lr")


def newest(changes: Iterable[Change]) -> dict[str, Any]:
    """Return the newest value of each changed hyperparameter."""
    return {change.name: change.new for change in changes}


def replace(values: Mapping[str, Any], changed: Mapping[str, Any]) -> dict[str, tuple[Any, Any]]:
    """Replace values in place, so that a program that reads its own options gets the new ones.

    Returns:
        The old and the new value of each that differed.
    """
    replaced = {}
    for name, new in changed.items():
        if name not in values:
            continue
        before = _recorded(values[name])
        if before == new:
            continue
        replaced[name] = (before, new)
        if isinstance(values, MutableMapping):
            values[name] = _replaced(values[name], new)
    return replaced


def _replaced(before: Any, new: Any) -> Any:
    """Return a new value; members of a nested one change in place, as the program may have read it."""
    members = vars(before) if isinstance(before, (Namespace, SimpleNamespace)) else before
    if not isinstance(members, MutableMapping) or not isinstance(new, Mapping):
        return _of_type(before, new)
    names = {clean(str(name)): name for name in members}
    for name in set(names) - set(new):
        del members[names[name]]
    for name, one in new.items():
        known = names.get(name, name)
        if known not in members:
            members[known] = one
        elif _recorded(members[known]) != one:
            members[known] = _replaced(members[known], one)
    return before


def _recorded(value: Any) -> Any:
    return Recorded({"value": value}).values["value"]


def _of_type(before: Any, new: Any) -> Any:
    """Return a JSON value as the type that the program used, if that can be made from it."""
    if type(before) is float and type(new) is int:
        return float(new)
    if before is None or type(before) in (bool, int, float, str, list, dict) or isinstance(before, Mapping):
        return new
    try:
        return type(before)(new)
    except Exception:  # The program's own type.
        return new


def adapt(changes: Iterable[Change], targets: Iterable[Any], report: Callable[[str], None]) -> None:
    """Change options of optimizers, and first values of schedulers, that a restored state set back.

    An option changes if it has the hyperparameter's name and its old value. The learning rate of an optimizer
    with a scheduler is scaled.

    Args:
        changes: those that are newer than the restored state.
        targets: registered objects.
        report: prints a line.
    """
    found = list(_leaves(targets))
    for change in (one for whole in changes for one in _members(whole)):
        option = change.name.rpartition(".")[2]
        option = _RATE if option in _RATE_NAMES else option
        groups = [group for one in found for group in getattr(one, "param_groups", ())]
        for group in groups:
            words = _adapt_group(group, option, change)
            if words:
                report(f"restored optimizer, because of --set: {words}")
            elif option == _RATE and _keeps_other_rate(group, change):
                report(
                    f"restored optimizer keeps lr {float(group[_RATE])!r} despite --set, because it did not "
                    f"begin with {change.old!r}, unless the program sets it"
                )
        if option == _RATE:
            for one in found:
                _adapt_scheduler(one, change)


def _members(change: Change) -> Iterator[Change]:
    """Yield the changes of the members of a nested hyperparameter, which is recorded as a whole."""
    old, new = change.old, change.new
    if not isinstance(old, Mapping) or not isinstance(new, Mapping):
        yield change
        return
    for name in old:
        if name in new and old[name] != new[name]:
            yield from _members(Change(f"{change.name}.{name}", old[name], new[name], change.step))


def _adapt_group(group: dict[str, Any], option: str, change: Change) -> str | None:
    if option == _RATE:
        # A scheduler may have set the rate to any value, also to the old one.
        bases = [base for base in _BASES if base in group] or [_RATE]
        if not any(_is_same(group.get(base), change.old) for base in bases) or not change.old:
            return None
        factor = change.new / change.old
        before = float(group[_RATE])
        for name in _SCALED:
            if name in group:
                is_base = _is_same(group[name], change.old)
                _assign(group, name, change.new if is_base else float(group[name]) * factor)
        return f"lr is {float(group[_RATE])!r}, was {before!r}"
    if option not in group or not _is_same(group[option], change.old):
        return None
    before = group[option]
    _assign(group, option, _of_type(before, change.new))
    return f"{option} is {change.new!r}, was {change.old!r}"


def _keeps_other_rate(group: dict[str, Any], change: Change) -> bool:
    """Return whether a group has a rate that is neither the old nor the new one, such as a multiple."""
    values = [group[name] for name in (*_BASES, _RATE) if name in group]
    return bool(values) and not any(_is_same(one, of) for one in values for of in (change.old, change.new))


def _assign(group: dict[str, Any], option: str, value: Any) -> None:
    """Set an option; a tensor, as `capturable` and compiled optimizers have it, keeps its identity."""
    if hasattr(group[option], "fill_"):
        group[option].fill_(value)
    else:
        group[option] = value


def _adapt_scheduler(scheduler: Any, change: Change) -> None:
    bases = getattr(scheduler, "base_lrs", None)
    if isinstance(bases, list):
        scheduler.base_lrs = [change.new if _is_same(base, change.old) else base for base in bases]
    optimizer: Any = getattr(scheduler, "optimizer", None)
    if hasattr(scheduler, "_last_lr") and hasattr(optimizer, "param_groups"):
        scheduler._last_lr = [float(group[_RATE]) for group in optimizer.param_groups]
    for inner in getattr(scheduler, "_schedulers", ()):
        _adapt_scheduler(inner, change)


def _is_same(option: Any, value: Any) -> bool:
    if isinstance(option, tuple):
        option = list(option)
    try:
        return option is not None and type(option) is not bool and bool(option == value)
    except Exception:  # A tensor of several elements, or the program's own type.
        return False


def _leaves(targets: Iterable[Any]) -> Iterator[Any]:
    for target in targets:
        if isinstance(target, Mapping):
            yield from _leaves(target.values())
        elif isinstance(target, (list, tuple)):
            yield from _leaves(target)
        else:
            yield target
