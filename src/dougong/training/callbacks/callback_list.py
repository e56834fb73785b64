"""`CallbackList`: passes events on to callbacks, each to those that listen to it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import partialmethod
from typing import Any

from dougong.core.errors import ConfigError
from dougong.core.events import EpochBegan, EpochEnded, Event, StepBegan, StepEnded, TrainBegan, TrainEnded
from dougong.training.callbacks.callback import Callback, History
from dougong.training.callbacks.progress_bar import ProgbarLogger

__all__ = ["CallbackList"]

_SHORT_NAMES = {"on_train_batch_begin": "on_batch_begin", "on_train_batch_end": "on_batch_end"}


class CallbackList(Callback):
    """Passes each event to the callbacks that have a method for it; the others cost nothing.

    Callbacks may come in nested lists, None among them.  For a training loop of your own: call its ``on_…`` methods,
    and it calls those of the callbacks.  ``params`` are given to every callback, such as ``epochs=…, steps=…``.
    Raises: ConfigError for what is no callback.   Keras: equals ``keras.callbacks.CallbackList``.

    >>> from dougong.training.callbacks.callback import LambdaCallback
    >>> show = LambdaCallback(on_epoch_end=lambda epoch, logs: print(epoch, logs))
    >>> CallbackList([show], epochs=1).on_epoch_end(0, {"loss": 0.5})
    0 {'loss': 0.5}
    """

    def __init__(
        self,
        callbacks: Any = None,
        add_history: bool = False,
        add_progbar: bool = False,
        model: Any = None,
        **params: Any,
    ) -> None:
        super().__init__()
        self.callbacks: list[Any] = list(_flat(callbacks))
        if add_history and not any(isinstance(callback, History) for callback in self.callbacks):
            self.callbacks.append(History())
        if add_progbar and self.progress_bar is None:
            self.callbacks.append(ProgbarLogger())
        self._listening: dict[str, list[Callable[..., Any]]] = {}
        self.set_model(model)
        self.set_params(params)

    def set_params(self, params: dict[str, Any]) -> None:
        self.params = params
        for callback in self.callbacks if params else ():
            callback.set_params(params)

    def set_model(self, model: Any) -> None:
        if model is None:
            return
        self.model = model
        for callback in self.callbacks:
            if isinstance(callback, History):
                model.history = callback
            callback.set_model(model)

    @property
    def progress_bar(self) -> ProgbarLogger | None:
        """The bar that the user put among the callbacks."""
        return next((callback for callback in self.callbacks if isinstance(callback, ProgbarLogger)), None)

    @property
    def backup(self) -> Any:
        """The callback that may take up a run begun before, or None."""
        found = next((callback for callback in self.callbacks if hasattr(callback, "resume")), None)
        if found is not None:
            found.neighbours = self.callbacks
        return found

    def methods(self, name: str) -> list[Callable[..., Any]]:
        """The methods of this name that do something."""
        found = self._listening.get(name)
        if found is None:
            in_order = sorted(self.callbacks, key=lambda callback: getattr(callback, "hears_last", False))
            found = [method for callback in in_order if (method := _overriding(callback, name)) is not None]
            self._listening[name] = found
        return found

    @property
    def wants_steps(self) -> bool:
        """Whether anyone listens to every training step."""
        return bool(self.methods("on_train_batch_begin") or self.methods("on_train_batch_end"))

    def call(self, name: str, *args: Any) -> None:
        """Call method ``name`` wherever it is overridden."""
        for method in self.methods(name):
            method(*args)

    def handle(self, event: Event) -> None:
        """Translate an event of the loop into Keras's method calls."""
        match event:
            case StepEnded():
                if self.methods("on_train_batch_end"):
                    self.call("on_train_batch_end", event.step, event.logs())
            case StepBegan():
                self.call("on_train_batch_begin", event.step, {})
            case EpochBegan():
                self.call("on_epoch_begin", event.epoch, {})
            case EpochEnded():
                self.call("on_epoch_end", event.epoch, event.logs)
            case TrainBegan():
                self.call("on_train_begin", {})
            case TrainEnded():
                self.call("on_train_end", event.logs)

    def _pass_on(self, name: str, *args: Any, logs: Mapping[str, Any] | None = None) -> None:
        """An event from a loop of the user's own: ``args`` are the epoch or batch, if any, and the logs."""
        if args and (args[-1] is None or isinstance(args[-1], Mapping)):
            args, logs = args[:-1], args[-1]
        self.call(name, *args, _plain(logs or {}))


for _name in [name for name in vars(Callback) if name.startswith("on_")]:
    setattr(CallbackList, _name, partialmethod(CallbackList._pass_on, _name))


def _plain(logs: Mapping[str, Any]) -> dict[str, Any]:
    """Logs by sorted name, as Keras hands them on: one level deep, numbers as floats."""
    found: dict[str, Any] = {}
    for name, value in sorted(logs.items()):
        if isinstance(value, Mapping):
            found |= _plain(value)
            continue
        try:
            found[name] = float(value)
        except (TypeError, ValueError, RuntimeError):  # text, arrays of several numbers
            found[name] = value
    return found


def _flat(callbacks: Any) -> Iterator[Any]:
    """The callbacks in nested lists, or in another `CallbackList`."""
    if callbacks is None:
        return
    if isinstance(callbacks, CallbackList):
        yield from callbacks.callbacks
    elif hasattr(callbacks, "set_model") and not isinstance(callbacks, type):
        yield callbacks
    elif isinstance(callbacks, Iterable) and not isinstance(callbacks, str | type):
        for inner in callbacks:
            yield from _flat(inner)
    else:
        wrong = callbacks.__name__ if isinstance(callbacks, type) else repr(callbacks)
        raise ConfigError(f"{wrong} is no callback; give an object derived from dg.callbacks.Callback")


def _overriding(callback: Any, name: str) -> Callable[..., Any] | None:
    """The callback's own method ``name``, or the one of the short name that stands for it, or None."""
    method = getattr(callback, name, None)
    if method is not None and getattr(method, "__func__", method) is not getattr(Callback, name):
        return method
    return _overriding(callback, _SHORT_NAMES[name]) if name in _SHORT_NAMES else None
