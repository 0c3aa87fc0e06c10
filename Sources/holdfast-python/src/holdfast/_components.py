"""What can be registered with a run, and how each kind gives and takes its state."""

from __future__ import annotations

import dataclasses
import sys
from array import array
from collections import Counter, OrderedDict, defaultdict, deque
from typing import Any, Callable, Protocol

from . import _gradients, _module_flags, _torchmetrics
from ._errors import HoldfastError


class Component(Protocol):
    """Something with a state."""

    strict: bool

    def state(self) -> Any:
        """Return the state: plain values and tensors. Tensors may be referred to."""

    def load(self, state: Any) -> None:
        """Take over a state that `state()` gave."""

    @property
    def wants_copies(self) -> bool:
        """Whether tensors of a state to load must be memory of their own."""


def has_state(thing: Any) -> bool:
    """Whether something gives its state, and takes it."""
    return callable(getattr(thing, "state_dict", None)) and callable(getattr(thing, "load_state_dict", None))


class _Stateful:
    """Anything with `state_dict` and `load_state_dict`."""

    wants_copies = True

    def __init__(self, target: Any, strict: bool) -> None:
        self.target = target
        self.strict = strict

    def state(self) -> Any:
        return self.target.state_dict()

    def load(self, state: Any) -> None:
        self.target.load_state_dict(state)


class _Module(_Stateful):
    """A torch module. Its `load_state_dict` copies into what it has.

    Attributes:
        left_out: what of the last state that was loaded it did not take, where it need not be strict.
    """

    def __init__(self, target: Any, strict: bool) -> None:
        super().__init__(target, strict)
        self.left_out: list[str] = []

    @property
    def wants_copies(self) -> bool:  # type: ignore[override]
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
        # Torch itself takes no tensor of another shape, strict or not.
        own = self.target.state_dict()
        others = {name: shapes for name in state if (shapes := _other_shapes(state[name], own.get(name)))}
        fitting = type(state)((name, value) for name, value in state.items() if name not in others)
        if hasattr(state, "_metadata"):
            fitting._metadata = state._metadata
        keys = self.target.load_state_dict(fitting, strict=False)
        self.left_out = [f"{name} {shapes}" for name, shapes in others.items()]
        # A `load_state_dict` of its own may return anything.
        self.left_out += [f"{name} is not here" for name in getattr(keys, "unexpected_keys", ())]
        missing = getattr(keys, "missing_keys", ())
        self.left_out += [f"{name} was not saved" for name in missing if name not in others]


def _other_shapes(saved: Any, own: Any) -> str | None:
    torch = sys.modules["torch"]
    lazy = torch.nn.parameter.UninitializedTensorMixin
    if not isinstance(saved, torch.Tensor) or not isinstance(own, torch.Tensor) or isinstance(own, lazy):
        return None
    return None if saved.shape == own.shape else f"was {tuple(saved.shape)}, now {tuple(own.shape)}"


class _Beside:
    """What a module's `state_dict` leaves out of its state: a component beside that of the module."""

    wants_copies = True

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
        # Those of an older version have neither of them. First: gradients are of what is trained.
        flags = state.get("trained")
        _module_flags.set_trained(self.module, flags)
        _module_flags.set_buffers(self.module, state.get("buffers", {}), strict=self.strict)
        _gradients.load(self.module, state["gradients"], with_frozen=flags is not None)
        _torchmetrics.load_metrics_state(self.module, state["metrics"], strict=self.strict)


class _Modes:
    """Which parts of a module are in training mode: a component of its own, which no step must leave alone.

    A program may set it anew wherever its loop's body begins.
    """

    wants_copies = False
    # Images of an older version have none.
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
    """A learning rate scheduler of torch's kind, whose state is all it holds but the optimizer."""

    def state(self) -> Any:
        return without_functions(self.target.state_dict())


def without_functions(state: Any) -> Any:
    """Leave functions out of a scheduler's state: the program has given them, and gives them again.

    Some keep their annealing function there, as a bound method: `OneCycleLR` and `SWALR` before torch 2,
    `CyclicLR` in all.
    """
    if type(state) is dict:
        return {key: without_functions(value) for key, value in state.items() if not callable(value)}
    return [without_functions(value) for value in state] if type(state) is list else state


class _Container:
    """A dict, list, deque, set, array or bytearray, changed in place."""

    wants_copies = True

    def __init__(self, target: Any, strict: bool) -> None:
        self.target = target
        self.strict = strict

    def state(self) -> Any:
        target = self.target
        # Of a program's own subclass, or one that makes its values by the program's own function.
        if isinstance(target, defaultdict) or type(target) not in _EXACT:
            kind = next(kind for kind in _EXACT if isinstance(target, kind))
            return deque(target, target.maxlen) if kind is deque else kind(target)
        return target

    def load(self, state: Any) -> None:
        target = self.target
        if isinstance(target, deque):
            if target.maxlen is not None and len(state) > target.maxlen:
                raise ValueError(f"it had {len(state)} elements, and has room for {target.maxlen} now")
            target.clear()
            target.extend(state)
        elif isinstance(target, (list, bytearray, array)):
            target[:] = state
        else:
            target.clear()
            target.update(state)


# How the state of each kind is encoded; the first that fits.
_EXACT: tuple[Any, ...] = (OrderedDict, Counter, dict, list, deque, set, bytearray, array)


class _Estimator(_Stateful):
    """An estimator of scikit-learn's kind, trained by `partial_fit`: its state is its attributes."""

    def state(self) -> Any:
        from . import _sklearn

        return _sklearn.state_of(self.target)

    def load(self, state: Any) -> None:
        from . import _sklearn

        _sklearn.load(self.target, state)


class _Array:
    """A numpy array or a tensor, filled in place."""

    wants_copies = False

    def __init__(self, target: Any, strict: bool) -> None:
        self.target = target
        self.strict = strict

    def state(self) -> Any:
        return self.target.detach() if hasattr(self.target, "detach") else self.target

    def load(self, state: Any) -> None:
        if tuple(state.shape) != tuple(self.target.shape):
            raise ValueError(f"its shape was {tuple(state.shape)}, now {tuple(self.target.shape)}")
        if hasattr(self.target, "detach"):
            self.target.detach().copy_(state)
        else:
            self.target[...] = state


class Attributes:
    """Named attributes of an object as its state: `run.register(model=holdfast.Attributes(model, "coef_"))`.

    For objects without `state_dict`, as scikit-learn's estimators. An attribute that is not there yet is
    left out, and removed when a state without it is loaded.
    """

    def __init__(self, target: Any, *names: str) -> None:
        if not names:
            raise ValueError("name at least one attribute")
        self._target = target
        self._names = names

    def state_dict(self) -> dict[str, Any]:
        """Return the attributes that are there."""
        return {name: getattr(self._target, name) for name in self._names if hasattr(self._target, name)}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Set the attributes."""
        unknown = sorted(set(state) - set(self._names))
        if unknown:
            raise ValueError(f"the state has attributes that are not named here: {', '.join(unknown)}")
        for name in self._names:
            if name in state:
                setattr(self._target, name, state[name])
            elif hasattr(self._target, name):
                delattr(self._target, name)


class Values:
    """What is registered and cannot be changed in place, as attributes: `run.values.state = update(...)`."""

    def __init__(self, find: Callable[[str], Any]) -> None:
        object.__setattr__(self, "_find", find)

    def __getattr__(self, name: str) -> Any:
        """Return a value as it is now: after a resume, the saved one."""
        return self._find(name).value

    def __setattr__(self, name: str, value: Any) -> None:
        """Let another value take its place."""
        self._find(name).value = value


def is_replaced_each_step(component: Component) -> bool:
    """Whether a component is pointless if steps do not change it: arrays, and what holds those of JAX."""
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


def beside(component: Component, saves_gradients: bool) -> dict[str, Component]:
    """Return the components that go with that of a module, by what their names end in; none for others."""
    if not isinstance(component, _Module):
        return {}
    module = component.target
    return {".beside": _Beside(module, component.strict, saves_gradients), MODES: _Modes(module)}


def _scheduler_class(torch: Any) -> type:
    schedulers = torch.optim.lr_scheduler
    # Public since torch 2, where the older name is that of an empty subclass.
    found: type = getattr(schedulers, "LRScheduler", schedulers._LRScheduler)
    return found


def _is_jax_value(target: Any) -> bool:
    """Whether something is a tree with arrays of JAX that cannot be changed in place."""
    jax = sys.modules.get("jax")
    if jax is None or not hasattr(jax, "tree_util") or isinstance(target, _EXACT):
        return False
    return any(isinstance(leaf, jax.Array) for leaf in jax.tree_util.tree_leaves(target))


def component_of(name: str, target: Any, strict: bool) -> Component:
    """Return how an object's state is given and taken.

    Raises:
        HoldfastError: it has none that is known.
    """
    torch = sys.modules.get("torch")
    if torch is not None and isinstance(target, torch.nn.Module):
        return _Module(target, strict)
    if has_state(target):
        if torch is not None and isinstance(target, _scheduler_class(torch)):
            return _Scheduler(target, strict)
        return _Stateful(target, strict)
    if _is_jax_value(target):
        from . import jax

        return _Stateful(jax.Value(name, target), strict)
    if isinstance(target, _EXACT):
        return _Container(target, strict)
    if "sklearn" in sys.modules:
        from . import _sklearn

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
        "or keep it in a dict that is registered",
    )
