"""All private names of Lightning that are used, and the check that the installed version has them.

Undocumented names may change in any release. Each view below lists the names of one class, and the versions
that have them if not all supported versions do.
"""

from __future__ import annotations

import importlib
import sys
from typing import Any, Callable

from .._private_names import Private, View, require

SUPPORTED = "1.9 and 2.0 to 2.6"

_LAST_STEP, _LAST_PATH = "_last_global_step_saved", "_last_checkpoint_saved"
_LAST_TIME = "_last_time_checked"
# Methods of the epoch loop at points where callbacks have no hook.
EPOCH_LOOP_METHODS = ("on_run_start", "on_advance_end")
_RESTARTING, _RESUMED_IN_EPOCH = "_restarting", "restarted_mid_epoch"
# In 2.5 and later a resumed epoch skips its first hooks; these call them.
_HOOK_CALLS = ("_call_callback_hooks", "_call_lightning_module_hook")
_LOADER_EPOCH = "_last_train_dl_reload_epoch"
_PREPARE, _RESUME_START = "_prepare_dataloader", "resume_start"
_EXPERIMENT, _VERSION = "_experiment", "_version"
_RATE_ATTRIBUTE = "_attr_name"


class _Trainer(View):
    checkpoints = Private("_checkpoint_connector")
    data = Private("_data_connector")
    logging = Private("_logger_connector")
    # In the fit loop since 2.0.
    loader_epoch = Private(_LOADER_EPOCH, until=(2, 0))


class _CheckpointConnector(View):
    loaded = Private("_loaded_checkpoint")
    resume_start = Private(_RESUME_START)
    dump_checkpoint = Private("dump_checkpoint")


class _DataConnector(View):
    prepare = Private(_PREPARE)


_METRICS = ("_callback_metrics", "_logged_metrics", "_progress_bar_metrics")


class _LoggerConnector(View):
    callback_metrics, logged_metrics, progress_bar_metrics = map(Private, _METRICS)


class Loop(View):
    """Any of the loops."""

    is_restarting = Private(_RESTARTING)
    # Whether it was loaded; in some releases of 2.5 too.
    is_loaded = Private("_loaded_from_state_dict", since=(2, 6))
    is_resuming = Private("_resuming_from_checkpoint", since=(2, 6))


class FitLoop(Loop):
    """The loop over epochs."""

    run = Private("run")
    combined_loader = Private("_combined_loader", since=(2, 0))
    loader_epoch = Private(_LOADER_EPOCH, since=(2, 0))
    # Whether on_train_epoch_start is skipped; in some releases of 2.5 too.
    is_resumed_in_epoch = Private(_RESUMED_IN_EPOCH, since=(2, 6))
    is_resumed_at_end = Private("restarted_on_epoch_end", since=(2, 6))
    on_advance_start = Private("on_advance_start")
    epoch_progress = Private("epoch_progress")


class EpochLoop(Loop):
    """The loop over the batches of an epoch."""

    results = Private("_results")
    is_validation_due = Private("_should_check_val_fx")
    accumulates = Private("_should_accumulate")
    batches_that_stepped = Private("_batches_that_stepped")
    # A state in which all counters agree is treated as one after validation; in some releases of 2.5 too.
    skips_validation = Private("_skip_next_val", since=(2, 6))
    on_run_start, on_advance_end = map(Private, EPOCH_LOOP_METHODS)
    batch_progress = Private("batch_progress")


class Result(View):
    """The value that `self.log` has accumulated under one name."""

    forward = Private("_forward_cache")


class ModelCheckpoint(View):
    """A callback that saves files."""

    last_step = Private(_LAST_STEP)
    last_time = Private(_LAST_TIME)
    last_path = Private(_LAST_PATH, since=(2, 0))


class StochasticWeightAveraging(View):
    """A callback that averages weights."""

    scheduler = Private("_swa_scheduler")
    rates = Private("_swa_lrs")
    epochs = Private("_annealing_epochs")
    strategy = Private("_annealing_strategy")


class Tuner(View):
    """A tuner callback; used by `Tuner` it ends its fit early."""

    ends_early = Private("_early_exit")


class LearningRateFinder(Tuner):
    """A callback that searches for a learning rate."""

    mode = Private("_mode")
    lowest = Private("_min_lr")
    highest = Private("_max_lr")
    steps = Private("_num_training_steps")
    updates = Private("_update_attr")
    # 1.9 determines it from the trainer.
    attribute = Private(_RATE_ATTRIBUTE, since=(2, 0))


class FoundRates(View):
    """The result of a search for a learning rate."""

    batches = Private("_total_batch_idx")


class BatchSizeFinder(Tuner):
    """A callback that searches for a batch size."""

    attribute = Private("_batch_arg_name")


class Logger(View):
    """A logger with files: the object that writes them, and their version."""

    experiment = Private(_EXPERIMENT)
    version = Private(_VERSION)


class TensorBoardLogger(Logger):
    """A logger that passes options to TensorBoard."""

    options = Private("_kwargs")


# Callbacks and loggers by class name, which is the same in both Lightning packages.
_OF_CLASS: dict[str, type[View]] = {
    "ModelCheckpoint": ModelCheckpoint,
    "StochasticWeightAveraging": StochasticWeightAveraging,
    "LearningRateFinder": LearningRateFinder,
    "BatchSizeFinder": BatchSizeFinder,
    "CSVLogger": Logger,
    "TensorBoardLogger": TensorBoardLogger,
}
# Modules of the package, and the names used from them.
_CALL, _MIGRATION, _RESULT = (
    "trainer.call",
    "utilities.migration.utils",
    "trainer.connectors.logger_connector.result",
)
_FINDER, _EXCEPTIONS, _PARSING = "tuner.lr_finder", "utilities.exceptions", "utilities.parsing"
_OF_MODULE = {
    _MIGRATION: ("_pl_migrate_checkpoint",),
    _RESULT: ("_Metadata", "_Sync", "_ResultMetric"),
    _FINDER: ("_LRFinder", "_determine_lr_attr_name"),
    _EXCEPTIONS: ("_TunerExitException",),
    _PARSING: ("lightning_setattr",),
}
# The position of logging, which determines what is reset; the last three names are those of 1.9.
_LOGGING_POSITION = ("_current_fx", "_first_loop_iter", "_epoch_end_reached", "_batch_idx", "_split_idx")
# Attributes with values of a clock that restarts at each boot.
CLOCKS = frozenset((_LAST_TIME,))


def check(trainer: Any) -> None:
    """Check the Lightning package of a trainer.

    Raises:
        HoldfastError: it lacks a private name.
    """
    version = str(_package(trainer).__version__)
    outer = _Trainer(trainer)
    missing = outer.missing(version)
    if not missing:
        views = (
            _CheckpointConnector(outer.checkpoints),
            _DataConnector(outer.data),
            _LoggerConnector(outer.logging),
            FitLoop(trainer.fit_loop),
            EpochLoop(trainer.fit_loop.epoch_loop),
        )
        missing = [name for view in views for name in view.missing(version)]
    for one in (*trainer.callbacks, *trainer.loggers):
        for name, view in _OF_CLASS.items():
            if is_a(one, name):
                missing += view(one).missing(version)
    for module, names in _OF_MODULE.items():
        missing += [f"{module}.{name}" for name in names if not hasattr(_module(trainer, module), name)]
    if not missing:
        library = _module(trainer, _RESULT)
        result = library._ResultMetric(library._Metadata("training_step", "check"), False)
        missing += Result(result).missing(version)
    if hasattr(trainer.fit_loop, _RESUMED_IN_EPOCH):
        missing += [f"{_CALL}.{name}" for name in _HOOK_CALLS if not hasattr(_module(trainer, _CALL), name)]
    require("Lightning", version, SUPPORTED, missing)


def is_a(thing: Any, name: str) -> bool:
    """Return whether an object's class, or a base class, has that name, in either Lightning package."""
    return any(cls.__name__ == name for cls in type(thing).__mro__)


# Checkpoints


def dump_checkpoint(trainer: Any) -> dict[str, Any]:
    """Return the trainer's own checkpoint."""
    checkpoint: dict[str, Any] = _CheckpointConnector(_Trainer(trainer).checkpoints).dump_checkpoint(
        weights_only=False
    )
    return checkpoint


def load_when_resuming(trainer: Any, checkpoint: dict[str, Any]) -> None:
    """Make the trainer's connector load a checkpoint, instead of any `ckpt_path`."""
    connector = _CheckpointConnector(_Trainer(trainer).checkpoints)

    def resume_start(*_: Any, **__: Any) -> None:
        connector.loaded = checkpoint
        stop_loading(trainer)

    connector.resume_start = resume_start


def stop_loading(trainer: Any) -> None:
    """Make the trainer's connector load its own `ckpt_path` again."""
    vars(_Trainer(trainer).checkpoints).pop(_RESUME_START, None)


def migrated(trainer: Any, checkpoint: dict[str, Any]) -> dict[str, Any]:
    """Return a checkpoint of an older version in the form of the installed one."""
    return dict(_module(trainer, _MIGRATION)._pl_migrate_checkpoint(checkpoint))


# Loaders


def wrap_loaders(trainer: Any, wrap: Callable[[Any, str], Any]) -> None:
    """Replace each loader that the trainer creates by `wrap(loader, stage)`."""
    connector = _DataConnector(_Trainer(trainer).data)
    original = connector.prepare

    def prepare(dataloader: Any, *args: Any, **kwargs: Any) -> Any:
        mode = kwargs.get("mode")
        return wrap(original(dataloader, *args, **kwargs), str(getattr(mode, "value", mode)))

    connector.prepare = prepare


def unwrap_loaders(trainer: Any) -> None:
    """Stop wrapping the trainer's loaders."""
    vars(_Trainer(trainer).data).pop(_PREPARE, None)


def forget_loaders(trainer: Any) -> None:
    """Make the trainer create its loaders again."""
    for loop in (trainer.fit_loop, trainer.fit_loop.epoch_loop.val_loop):
        FitLoop(loop).combined_loader = None
    for name in ("train_dataloader", "val_dataloaders"):
        # In 1.9 they are attributes of the trainer.
        if name in vars(trainer):
            setattr(trainer, name, None)


def loader_epoch(trainer: Any) -> Any:
    """Return the epoch in which the training loaders were created."""
    return _loader_owner(trainer).loader_epoch


def set_loader_epoch(trainer: Any, epoch: Any) -> None:
    """Set the epoch in which the training loaders were created."""
    _loader_owner(trainer).loader_epoch = epoch


def _loader_owner(trainer: Any) -> Any:
    # The fit loop; in 1.9 the trainer.
    return _Trainer(trainer) if hasattr(trainer, _LOADER_EPOCH) else FitLoop(trainer.fit_loop)


# Loops


def fetcher(loop: Any, arguments: tuple[Any, ...]) -> tuple[Any, ...]:
    """Return the arguments of the epoch loop's methods after a batch: none in 1.9."""
    return arguments if EpochLoop(loop).is_validation_due.__code__.co_argcount > 1 else ()


def progress(trainer: Any) -> dict[str, int]:
    """Return the progress of the trainer's loops."""
    loop = trainer.fit_loop
    return {
        "global step": trainer.global_step,
        "epoch": FitLoop(loop).epoch_progress.current.processed,
        "batch": EpochLoop(loop.epoch_loop).batch_progress.current.completed,
    }


def saved_progress(checkpoint: dict[str, Any]) -> dict[str, int]:
    """Return the progress of the loops in the trainer's own checkpoint."""
    loops = checkpoint["loops"]["fit_loop"]
    return {
        "global step": checkpoint["global_step"],
        "epoch": loops["epoch_progress"]["current"]["processed"],
        "batch": loops["epoch_loop.batch_progress"]["current"]["completed"],
    }


def call_epoch_start_hooks(trainer: Any) -> None:
    """Call `on_train_epoch_start` of all callbacks and of the module."""
    call = _module(trainer, _CALL)
    call._call_callback_hooks(trainer, "on_train_epoch_start")
    call._call_lightning_module_hook(trainer, "on_train_epoch_start")


def end_restarts(loop: Any) -> None:
    """Clear the restart flags of a loop and its inner loops."""
    inner = [value for value in vars(loop).values() if hasattr(value, _RESTARTING)]
    for one in inner:
        end_restarts(one)
    view = Loop(loop)
    view.is_restarting = view.is_loaded = view.is_resuming = False


# Logging


def callback_metrics(trainer: Any) -> dict[str, Any]:
    """Return the metrics for callbacks, as last computed."""
    metrics: dict[str, Any] = _LoggerConnector(_Trainer(trainer).logging).callback_metrics
    return metrics


def logged(trainer: Any) -> dict[str, dict[str, Any]]:
    """Return the metrics for callbacks, loggers and progress bar, by the connector's attribute names."""
    connector = _Trainer(trainer).logging
    return {name: getattr(connector, name) for name in _METRICS}


def logging_position(trainer: Any) -> dict[str, Any]:
    """Return the position of logging, by the connector's attribute names."""
    connector = _Trainer(trainer).logging
    return {name: getattr(connector, name) for name in _LOGGING_POSITION if hasattr(connector, name)}


def set_logging_position(trainer: Any, position: dict[str, Any]) -> None:
    """Restore the position of logging."""
    for name, value in position.items():
        setattr(_Trainer(trainer).logging, name, value)


def new_result(
    trainer: Any, meta: dict[str, Any], *, reduce: str, sync: bool, rank_zero_only: bool, is_tensor: bool
) -> Any:
    """Return a new result object, like that of the first call of `self.log`."""
    library = _module(trainer, _RESULT)
    made = library._Metadata(reduce_fx=reduce, **meta)
    made.sync = library._Sync(_should=sync, fn=trainer.strategy.reduce, rank_zero_only=rank_zero_only)
    return library._ResultMetric(made, is_tensor)


# Callbacks


def remembered_files(callback: Any) -> dict[str, Any]:
    """Return the attributes that a checkpoint callback leaves out of its state, by name."""
    names = (_LAST_STEP, _LAST_PATH)
    return {name: getattr(callback, name) for name in names if hasattr(callback, name)}


def last_saved_path(callback: Any) -> Any:
    """Return the file that a callback has saved last, if it is known."""
    return getattr(callback, _LAST_PATH, "")


def set_remembered_files(callback: Any, saved: dict[str, Any]) -> None:
    """Set the attributes that `remembered_files` returned; other names are ignored."""
    for name in (_LAST_STEP, _LAST_PATH):
        if name in saved:
            setattr(callback, name, saved[name])


def last_save_time(callback: Any) -> float | None:
    """Return the time of a callback's last save, on the clock of this boot; None: never."""
    time: float | None = getattr(callback, _LAST_TIME, None)
    return time


def set_last_save_time(callback: Any, time: float) -> None:
    """Set the time of a callback's last save."""
    setattr(callback, _LAST_TIME, time)


def experiment_of(logger: Any) -> Any:
    """Return the object that writes a logger's files, if it exists; works for custom loggers too."""
    return getattr(logger, _EXPERIMENT, None)


def version_of(logger: Any) -> Any:
    """Return the version of a logger's files, or None."""
    return getattr(logger, _VERSION, None)


def set_version(logger: Any, version: Any) -> None:
    """Set the version of a logger's files, if it has versions."""
    if hasattr(logger, _VERSION):
        setattr(logger, _VERSION, version)


def averaging_library(callback: Any) -> Any:
    """Return the module that defines `StochasticWeightAveraging` and imports the classes that it uses."""
    kinds = (cls for cls in type(callback).__mro__ if cls.__name__ == "StochasticWeightAveraging")
    return sys.modules[next(kinds).__module__]


def new_finder(callback: Any, trainer: Any, results: dict[str, Any], batches: int) -> Any:
    """Return the result object of a search for a learning rate with these results."""
    view = LearningRateFinder(callback)
    finder = _module(trainer, _FINDER)._LRFinder(view.mode, view.lowest, view.highest, view.steps)
    finder.results = results
    FoundRates(finder).batches = batches
    return finder


def learning_rate_name(callback: Any, trainer: Any, module: Any) -> str:
    """Return the name of the attribute with the learning rate."""
    find = _module(trainer, _FINDER)._determine_lr_attr_name
    view = LearningRateFinder(callback)
    # 1.9 determines it from the trainer.
    return str(find(module, view.attribute) if hasattr(callback, _RATE_ATTRIBUTE) else find(trainer, module))


def set_attribute(trainer: Any, module: Any, name: str, value: Any) -> None:
    """Set an attribute of a module or of its hyperparameters."""
    _module(trainer, _PARSING).lightning_setattr(module, name, value)


def tuner_exit(trainer: Any) -> Exception:
    """Return the exception with which a tuner ends its fit."""
    error: Exception = _module(trainer, _EXCEPTIONS)._TunerExitException()
    return error


def _package(trainer: Any) -> Any:
    """Return the package of a trainer's class, `lightning.pytorch` or `pytorch_lightning`."""
    for cls in type(trainer).__mro__:
        package, found, _ = cls.__module__.rpartition(".trainer.")
        if found and cls.__name__ == "Trainer":
            return sys.modules[package]
    raise TypeError(f"{type(trainer).__qualname__} is not a Lightning Trainer")


def _module(trainer: Any, name: str) -> Any:
    try:
        return importlib.import_module(f"{_package(trainer).__name__}.{name}")
    except ImportError:
        return None
