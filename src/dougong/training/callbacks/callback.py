"""`Callback`, Keras's interface to a running fit, and the list that passes events on."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any

from dougong.core.errors import ConfigError, UnknownNameError
from dougong.core.events import EpochBegan, EpochEnded, Event, StepBegan, StepEnded, TrainBegan, TrainEnded

__all__ = ["Callback", "CallbackList", "History", "LambdaCallback"]


class Callback:
    """Override the methods you need; ``self.model`` is the model in training, ``self.params`` the plan.

    ``params`` holds ``verbose``, ``epochs`` and ``steps`` (None where unknown).  To end the run after the step at hand
    set ``self.model.stop_training = True``; the epoch is still closed, and validated.
    Keras: ``keras.callbacks.Callback``: the same methods in the same order.
    """

    model: Any = None

    def __init__(self) -> None:
        self.params: dict[str, Any] = {}

    def set_params(self, params: dict[str, Any]) -> None:
        self.params = params

    def set_model(self, model: Any) -> None:
        self.model = model

    def on_train_begin(self, logs: dict[str, Any] | None = None) -> None: ...
    def on_train_end(self, logs: dict[str, Any] | None = None) -> None: ...
    def on_epoch_begin(self, epoch: int, logs: dict[str, Any] | None = None) -> None: ...
    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None: ...
    def on_test_begin(self, logs: dict[str, Any] | None = None) -> None: ...
    def on_test_end(self, logs: dict[str, Any] | None = None) -> None: ...
    def on_test_batch_begin(self, batch: int, logs: dict[str, Any] | None = None) -> None: ...
    def on_test_batch_end(self, batch: int, logs: dict[str, Any] | None = None) -> None: ...
    def on_predict_begin(self, logs: dict[str, Any] | None = None) -> None: ...
    def on_predict_end(self, logs: dict[str, Any] | None = None) -> None: ...
    def on_predict_batch_begin(self, batch: int, logs: dict[str, Any] | None = None) -> None: ...
    def on_predict_batch_end(self, batch: int, logs: dict[str, Any] | None = None) -> None: ...
    def on_batch_begin(self, batch: int, logs: dict[str, Any] | None = None) -> None: ...
    def on_batch_end(self, batch: int, logs: dict[str, Any] | None = None) -> None: ...

    def on_train_batch_begin(self, batch: int, logs: dict[str, Any] | None = None) -> None:
        self.on_batch_begin(batch, logs)

    def on_train_batch_end(self, batch: int, logs: dict[str, Any] | None = None) -> None:
        self.on_batch_end(batch, logs)


class History(Callback):
    """What `fit` returns: ``history`` maps each logged name to its values, ``epoch`` lists the epochs.

    ``plan`` says how the steps ran, ``stopped`` why training ended early (empty if it did not), ``seconds`` how long it
    took.  Keras: equals ``keras.callbacks.History``, which knows none of these three.
    """

    def __init__(self) -> None:
        super().__init__()
        self.history: dict[str, list[Any]] = {}
        self.epoch: list[int] = []
        self.plan = ""
        self.stopped = ""
        self.seconds = 0.0

    def on_train_begin(self, logs: dict[str, Any] | None = None) -> None:
        self.epoch = []

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        self.epoch.append(epoch)
        for name, value in (logs or {}).items():
            self.history.setdefault(name, []).append(value)


class LambdaCallback(Callback):
    """A callback made of functions, which take the arguments of the methods that they stand for.

    Raises: UnknownNameError for a method that there is not.   Keras: equals ``keras.callbacks.LambdaCallback``.

    >>> LambdaCallback(on_epoch_end=lambda epoch, logs: print(epoch, logs)).on_epoch_end(3, {"loss": 0.5})
    3 {'loss': 0.5}
    """

    def __init__(
        self,
        on_epoch_begin: Callable[..., Any] | None = None,
        on_epoch_end: Callable[..., Any] | None = None,
        on_train_begin: Callable[..., Any] | None = None,
        on_train_end: Callable[..., Any] | None = None,
        on_train_batch_begin: Callable[..., Any] | None = None,
        on_train_batch_end: Callable[..., Any] | None = None,
        **others: Callable[..., Any] | None,
    ) -> None:
        super().__init__()
        given = {
            "on_epoch_begin": on_epoch_begin,
            "on_epoch_end": on_epoch_end,
            "on_train_begin": on_train_begin,
            "on_train_end": on_train_end,
            "on_train_batch_begin": on_train_batch_begin,
            "on_train_batch_end": on_train_batch_end,
        } | others
        known = [name for name in vars(Callback) if name.startswith("on_")]
        for name, function in given.items():
            if name not in known:
                raise UnknownNameError("callback method", name, known)
            if function is not None:
                setattr(self, name, function)


_SHORT_NAMES = {"on_train_batch_begin": "on_batch_begin", "on_train_batch_end": "on_batch_end"}


class CallbackList:
    """Passes each event to the callbacks that have a method for it; the others cost nothing.

    Callbacks may come in nested lists, None among them.   Raises: ConfigError for what is no callback.
    """

    def __init__(self, callbacks: Any, model: Any, params: dict[str, Any]) -> None:
        self.callbacks: list[Any] = list(_flat(callbacks))
        for callback in self.callbacks:
            callback.set_params(params)
            callback.set_model(model)
        self._listening: dict[str, list[Callable[..., Any]]] = {}

    def methods(self, name: str) -> list[Callable[..., Any]]:
        """The methods of this name that do something."""
        found = self._listening.get(name)
        if found is None:
            found = [method for callback in self.callbacks if (method := _overriding(callback, name)) is not None]
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
