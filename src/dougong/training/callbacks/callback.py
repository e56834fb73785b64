"""`Callback`, Keras's interface to a running fit, and the list that passes events on."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from dougong.core.errors import ConfigError
from dougong.core.events import EpochBegan, EpochEnded, Event, StepBegan, StepEnded, TrainBegan, TrainEnded

__all__ = ["Callback", "CallbackList", "History", "LambdaCallback"]


class Callback:
    """Override the methods you need; ``self.model`` is the model in training, ``self.params`` the plan.

    Set ``self.model.stop_training = True`` to end the run after the step at hand.   Keras: ``keras.callbacks.Callback``.
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
    def on_train_batch_begin(self, batch: int, logs: dict[str, Any] | None = None) -> None: ...
    def on_train_batch_end(self, batch: int, logs: dict[str, Any] | None = None) -> None: ...
    def on_batch_begin(self, batch: int, logs: dict[str, Any] | None = None) -> None: ...
    def on_batch_end(self, batch: int, logs: dict[str, Any] | None = None) -> None: ...
    def on_test_begin(self, logs: dict[str, Any] | None = None) -> None: ...
    def on_test_end(self, logs: dict[str, Any] | None = None) -> None: ...
    def on_test_batch_begin(self, batch: int, logs: dict[str, Any] | None = None) -> None: ...
    def on_test_batch_end(self, batch: int, logs: dict[str, Any] | None = None) -> None: ...
    def on_predict_begin(self, logs: dict[str, Any] | None = None) -> None: ...
    def on_predict_end(self, logs: dict[str, Any] | None = None) -> None: ...
    def on_predict_batch_begin(self, batch: int, logs: dict[str, Any] | None = None) -> None: ...
    def on_predict_batch_end(self, batch: int, logs: dict[str, Any] | None = None) -> None: ...


class History(Callback):
    """What `fit` returns: ``history`` maps each logged name to its values, ``epoch`` lists the epochs.

    ``plan`` says how the steps ran, ``stopped`` why training ended early (empty if it did not).
    """

    def __init__(self) -> None:
        super().__init__()
        self.history: dict[str, list[Any]] = {}
        self.epoch: list[int] = []
        self.plan = ""
        self.stopped = ""

    def on_train_begin(self, logs: dict[str, Any] | None = None) -> None:
        self.epoch = []

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        self.epoch.append(epoch)
        for name, value in (logs or {}).items():
            self.history.setdefault(name, []).append(value)


class LambdaCallback(Callback):
    """A callback made of functions.   Keras: equals ``keras.callbacks.LambdaCallback``.

    >>> LambdaCallback(on_epoch_end=lambda epoch, logs: print(epoch)).on_epoch_end(3)
    3
    """

    def __init__(
        self,
        on_epoch_begin: Any = None,
        on_epoch_end: Any = None,
        on_train_begin: Any = None,
        on_train_end: Any = None,
        on_train_batch_begin: Any = None,
        on_train_batch_end: Any = None,
        **others: Any,
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
        for name, function in given.items():
            if not hasattr(Callback, name):
                raise ConfigError(f"a callback has no method {name!r}; see dg.callbacks.Callback")
            if function is not None:
                setattr(self, name, _with_default_logs(function))


def _with_default_logs(function: Any) -> Any:
    def call(*args: Any) -> Any:
        wanted = getattr(getattr(function, "__code__", None), "co_argcount", len(args))
        return function(*args, None) if len(args) + 1 == wanted else function(*args)

    return call


class CallbackList:
    """Passes each event to the callbacks that have a method for it; the others cost nothing."""

    def __init__(self, callbacks: Iterable[Callback], model: Any, params: dict[str, Any]) -> None:
        self.callbacks: Sequence[Callback] = list(callbacks)
        for callback in self.callbacks:
            if not hasattr(callback, "set_model"):
                raise ConfigError(f"{callback!r} is no callback; derive it from dg.callbacks.Callback")
            callback.set_params(params)
            callback.set_model(model)
        self._listening: dict[str, list[Any]] = {}

    def _methods(self, name: str) -> list[Any]:
        found = self._listening.get(name)
        if found is None:
            found = [getattr(c, name) for c in self.callbacks if _overrides(c, name)]
            self._listening[name] = found
        return found

    @property
    def wants_steps(self) -> bool:
        names = ("on_train_batch_begin", "on_train_batch_end", "on_batch_begin", "on_batch_end")
        return any(self._methods(name) for name in names)

    def call(self, name: str, *args: Any) -> None:
        """Call method ``name`` wherever it is overridden."""
        for method in self._methods(name):
            method(*args)

    def handle(self, event: Event) -> None:
        """Translate an event of the loop into Keras's method calls."""
        match event:
            case StepEnded() if self.wants_steps:
                logs = event.logs()
                self.call("on_train_batch_end", event.step, logs)
                self.call("on_batch_end", event.step, logs)
            case StepBegan():
                self.call("on_train_batch_begin", event.step, {})
                self.call("on_batch_begin", event.step, {})
            case EpochBegan():
                self.call("on_epoch_begin", event.epoch, {})
            case EpochEnded():
                self.call("on_epoch_end", event.epoch, event.logs)
            case TrainBegan():
                self.call("on_train_begin", {})
            case TrainEnded():
                self.call("on_train_end", event.logs)


def _overrides(callback: Any, name: str) -> bool:
    method = getattr(callback, name, None)
    return method is not None and getattr(method, "__func__", method) is not getattr(Callback, name)
