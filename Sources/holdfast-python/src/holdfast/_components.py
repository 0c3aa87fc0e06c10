"""The kinds of objects that can be registered with a run, and how the state of each is read and loaded."""

from __future__ import annotations

import dataclasses
import sys
from array import array
from collections import Counter, OrderedDict, defaultdict, deque
from typing import Any, Callable, Protocol

from . import _gradients, _module_flags, _sklearn, _torchmetrics
from ._errors import HoldfastError
from ._torch_compatibility import scheduler_class, set_state_metadata, state_metadata


class Component(Protocol):
    """A registered object."""

    strict: bool

    def state(self) -> Any:
        """Return the state: plain values and tensors. Tensors may be references."""

    def load(self, state: Any) -> None:
        """Load a state that `state()` returned."""

    @property
    def needs_copies(self) -> bool:
        """Whether `load` needs tensors with memory of their own, not views of the image."""


def has_state(thing: Any) -> bool:
    """Return whether an object has `state_dict` and `load_state_dict`."""
    return callable(getattr(thing, "state_dict", None)) and callable(getattr(thing, "load_state_dict", None))


class _Stateful:
    """An object with `state_dict` and `load_state_dict`."""

    needs_copies = True

    def __init__(self, target: Any, strict: bool) -> None:
        self.target = target
        self.strict = strict

    def state(self) -> Any:
        return self.target.state_dict()

    def load(self, state: Any) -> None:
        self.target.load_state_dict(state)


class _Module(_Stateful):
    """A torch module. Its `load_state_dict` copies into its tensors.

    Attributes:
        left_out: what the last load left out, each with the reason, if the load was not strict.
    """

    def __init__(self, target: Any, strict: bool) -> None:
        super().__init__(target, strict)
        self.left_out: list[str] = []

    @property
    def needs_copies(self) -> bool:  # type: ignore[override]
        torch = sys.modules["torch"]
        own = type(self.target)
        return (
            any(
                getattr(module, "set_extra_state", None) is not None
                and type(module).set_extra_state is not torch.nn.Module.set_extra_state
                for module in self.target.modules()
            )
            or own.load_state_dict is not torch.nn.Module.load_state_dict
        )

    def load(self, state: Any) -> None:
        if self.strict:
            self.target.load_state_dict(state)
            return
        # torch rejects tensors of another shape, strict or not.
        own = self.target.state_dict()
        others = {name: shapes for name in state if (shapes := _shape_mismatch(state[name], own.get(name)))}
        fitting = type(state)((name, value) for name, value in state.items() if name not in others)
        metadata = state_metadata(state)
        if metadata is not None:
            set_state_metadata(fitting, metadata)
        keys = self.target.load_state_dict(fitting, strict=False)
        self.left_out = [f"{name} ({shapes})" for name, shapes in others.items()]
        # A custom `load_state_dict` may return anything.
        self.left_out += [f"{name} (not in the model)" for name in getattr(keys, "unexpected_keys", ())]
        missing = getattr(keys, "missing_keys", ())
        self.left_out += [f"{name} (not saved)" for name in missing if name not in others]


def _shape_mismatch(saved: Any, own: Any) -> str | None:
    torch = sys.modules["torch"]
    lazy = torch.nn.parameter.UninitializedTensorMixin
    if not isinstance(saved, torch.Tensor) or not isinstance(own, torch.Tensor) or isinstance(own, lazy):
        return None
    return None if saved.shape == own.shape else f"shape was {tuple(saved.shape)}, is {tuple(own.shape)}"


class _ModuleExtras:
    """What a module's `state_dict` leaves out: a component in addition to that of the module."""

    needs_copies = True

    def __init__(self, module: Any, strict: bool, saves_gradients: bool) -> None:
        self.module = module
        self.strict = strict
        self.saves_gradients = saves_gradients
        self._trained = _module_flags.trained(module)

    def state(self) -> Any:
        trained = _module_flags.trained(self.module)
        return {
            "trained": None if trained == self._trained else trained,
            "buffers": _module_flags.buffers(self.module),
            "gradients": _gradients.state_of(self.module, with_values=self.saves_gradients),
            "metrics": _torchmetrics.metrics_state(self.module),
        }

    def load(self, state: Any) -> None:
        # States of older versions have neither flags nor buffers. Flags come first: gradients depend on them.
        flags = state.get("trained")
        _module_flags.set_trained(self.module, flags)
        _module_flags.set_buffers(self.module, state.get("buffers", {}), strict=self.strict)
        _gradients.load(self.module, state["gradients"], with_frozen=flags is not None)
        _torchmetrics.load_metrics_state(self.module, state["metrics"], strict=self.strict)


class _Modes:
    """Which submodules are in training mode: a separate component, which may change after a step.

    A program may set the mode wherever its loop's body begins.
    """

    needs_copies = False
    # Images of older versions lack this component.
    strict = False

    def __init__(self, module: Any) -> None:
        self.module = module
        self._registered = _module_flags.modes(module)

    def state(self) -> Any:
        modes = _module_flags.modes(self.module)
        return {"modes": None if modes == self._registered else modes}

    def load(self, state: Any) -> None:
        _module_flags.set_modes(self.module, state["modes"])


class _Scheduler(_Stateful):
    """A learning rate scheduler of torch, whose state is every attribute but the optimizer."""

    def state(self) -> Any:
        return without_functions(self.target.state_dict())


def without_functions(state: Any) -> Any:
    """Leave functions out of a scheduler's state: the program passes them in each attempt.

    Some schedulers store their annealing function there, as a bound method: `OneCycleLR` and `SWALR` before
    torch 2, `CyclicLR` in all versions.
    """
    if type(state) is dict:
        return {key: without_functions(value) for key, value in state.items() if not callable(value)}
    return [without_functions(value) for value in state] if type(state) is list else state


class _Container:
    """A dict, list, deque, set, array or bytearray, changed in place."""

    needs_copies = True

    def __init__(self, target: Any, strict: bool) -> None:
        self.target = target
        self.strict = strict

    def state(self) -> Any:
        target = self.target
        # A subclass defined by the program, or a defaultdict whose factory is the program's function.
        if isinstance(target, defaultdict) or type(target) not in _EXACT:
            kind = next(kind for kind in _EXACT if isinstance(target, kind))
            return deque(target, target.maxlen) if kind is deque else kind(target)
        return target

    def load(self, state: Any) -> None:
        target = self.target
        if isinstance(target, deque):
            if target.maxlen is not None and len(state) > target.maxlen:
                raise ValueError(f"{len(state)} elements were saved, maxlen is {target.maxlen} now")
            target.clear()
            target.extend(state)
        elif isinstance(target, (list, bytearray, array)):
            target[:] = state
        else:
            target.clear()
            target.update(state)


# The types as which containers are encoded; the first that matches is used.
_EXACT: tuple[Any, ...] = (OrderedDict, Counter, dict, list, deque, set, bytearray, array)


class _Estimator(_Stateful):
    """A scikit-learn estimator trained by `partial_fit`: its state is its attributes."""

    def state(self) -> Any:
        return _sklearn.state_of(self.target)

    def load(self, state: Any) -> None:
        _sklearn.load(self.target, state)


class _Array:
    """A numpy array or a tensor, filled in place."""

    needs_copies = False

    def __init__(self, target: Any, strict: bool) -> None:
        self.target = target
        self.strict = strict

    def state(self) -> Any:
        return self.target.detach() if hasattr(self.target, "detach") else self.target

    def load(self, state: Any) -> None:
        if tuple(state.shape) != tuple(self.target.shape):
            raise ValueError(f"shape was {tuple(state.shape)}, is {tuple(self.target.shape)} now")
        if hasattr(self.target, "detach"):
            self.target.detach().copy_(state)
        else:
            self.target[...] = state


class Attributes:
    """Named attributes of an object as its state: `run.register(model=holdfast.Attributes(model, "coef_"))`.

    For objects without `state_dict`, such as scikit-learn's estimators. Attributes that do not exist are
    left out of the state. Loading a state without an attribute deletes it.

    Args:
        target: the object.
        *names: of its attributes.
    """

    def __init__(self, target: Any, *names: str) -> None:
        if not names:
            raise ValueError("name at least one attribute")
        self._target = target
        self._names = names

    def state_dict(self) -> dict[str, Any]:
        """Return the attributes that exist, by name."""
        return {name: getattr(self._target, name) for name in self._names if hasattr(self._target, name)}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Set the attributes, and delete those that the state lacks.

        Raises:
            ValueError: the state has an attribute that is not listed in `names`.
        """
        unknown = sorted(set(state) - set(self._names))
        if unknown:
            raise ValueError(f"the state has attributes that are not listed: {', '.join(unknown)}")
        for name in self._names:
            if name in state:
                setattr(self._target, name, state[name])
            elif hasattr(self._target, name):
                delattr(self._target, name)


class Values:
    """Registered values that cannot be changed in place, as attributes: `run.values.state = update(...)`."""

    def __init__(self, find: Callable[[str], Any]) -> None:
        object.__setattr__(self, "_find", find)

    def __getattr__(self, name: str) -> Any:
        """Return the current value; after a resume, the saved one."""
        return self._find(name).value

    def __setattr__(self, name: str, value: Any) -> None:
        """Replace a value."""
        self._find(name).value = value


def is_replaced_each_step(component: Component) -> bool:
    """Return whether every step should change a component: arrays, and containers of JAX arrays."""
    if isinstance(component, _Array):
        return True
    target = getattr(component, "target", None)
    jax = sys.modules.get("jax")
    if jax is None or not hasattr(jax, "tree_util"):
        return False
    if type(target).__module__ == "holdfast.jax":
        return True
    return isinstance(target, (dict, list)) and any(
        isinstance(leaf, jax.Array) for leaf in jax.tree_util.tree_leaves(target)
    )


MODES = ".modes"
_BESIDE = ".beside"
ENDINGS = (MODES, _BESIDE)


def extra_components(component: Component, saves_gradients: bool) -> dict[str, Component]:
    """Return the additional components of a module, by the suffixes of their names; {} for other objects."""
    if not isinstance(component, _Module):
        return {}
    module = component.target
    return {_BESIDE: _ModuleExtras(module, component.strict, saves_gradients), MODES: _Modes(module)}


def _is_jax_value(target: Any) -> bool:
    """Return whether an object is a tree with JAX arrays that cannot be changed in place."""
    jax = sys.modules.get("jax")
    if jax is None or not hasattr(jax, "tree_util") or isinstance(target, _EXACT):
        return False
    return any(isinstance(leaf, jax.Array) for leaf in jax.tree_util.tree_leaves(target))


def component_of(name: str, target: Any, strict: bool) -> Component:
    """Return the component for an object.

    Raises:
        HoldfastError: objects of this type have no known state.
    """
    torch = sys.modules.get("torch")
    if torch is not None and isinstance(target, torch.nn.Module):
        return _Module(target, strict)
    if has_state(target):
        if torch is not None and isinstance(target, scheduler_class(torch)):
            return _Scheduler(target, strict)
        return _Stateful(target, strict)
    if _is_jax_value(target):
        from . import jax

        return _Stateful(jax.Value(name, target), strict)
    if isinstance(target, _EXACT):
        return _Container(target, strict)
    if _sklearn.is_estimator(target):
        return _Estimator(target, strict)
    numpy = sys.modules.get("numpy")
    is_array = numpy is not None and isinstance(target, numpy.ndarray)
    if is_array or (torch is not None and isinstance(target, torch.Tensor)):
        return _Array(target, strict)
    if dataclasses.is_dataclass(target) and not isinstance(target, type):
        return _Stateful(Attributes(target, *(field.name for field in dataclasses.fields(target))), strict)
    raise HoldfastError(
        f"'{name}' is a {type(target).__module__}.{type(target).__qualname__}, which has no state_dict",
        hint="register an object with state_dict and load_state_dict, or holdfast.Attributes(object, names), "
        "or put it into a registered dict",
    )
