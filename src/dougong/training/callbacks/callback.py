"""`Callback`, Keras's interface to a running fit, and the two that nearly every run has."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, ClassVar

from dougong.core.errors import UnknownNameError

__all__ = ["Callback", "History", "LambdaCallback"]


class Callback:
    """Override the methods you need; ``self.model`` is the model in training, ``self.params`` the plan.

    ``params`` holds ``verbose``, ``epochs`` and ``steps`` (None where unknown).  To end the run after the step at hand
    set ``self.model.stop_training = True``; the epoch is still closed, and validated.
    `state_dict` gives what `BackupAndRestore` is to save of a callback, numbers and arrays; `load_state_dict` takes it.
    Keras: ``keras.callbacks.Callback``: the same methods in the same order; it knows no state of callbacks.
    """

    model: Any = None
    hears_last: ClassVar[bool] = False  # called after the others, wherever it stands among them

    def __init__(self) -> None:
        self.params: dict[str, Any] = {}

    def set_params(self, params: dict[str, Any]) -> None:
        self.params = params

    def set_model(self, model: Any) -> None:
        self.model = model

    def state_dict(self) -> dict[str, Any]:
        """What changes during a run and decides how it goes on."""
        return {}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Take over what `state_dict` gave; called after ``on_train_begin``."""

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
