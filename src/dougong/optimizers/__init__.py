"""Optimizers: Keras's names and formulas, on flat tensors.

>>> get("adam").get_config()["learning_rate"]
0.001
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NoReturn

from dougong.core import config as configs
from dougong.core.errors import ConfigError, no_attribute
from dougong.optimizers import schedules
from dougong.optimizers.adagrad import Adadelta, Adagrad
from dougong.optimizers.adam import Adam, Adamax, AdamW, Nadam
from dougong.optimizers.ftrl import Ftrl
from dougong.optimizers.lion import Lion
from dougong.optimizers.optimizer import Optimizer
from dougong.optimizers.rmsprop import RMSprop
from dougong.optimizers.sgd import SGD
from dougong.optimizers.state import OptimizerVariable

__all__ = [
    "SGD",
    "Adadelta",
    "Adagrad",
    "Adam",
    "AdamW",
    "Adamax",
    "Ftrl",
    "Lion",
    "Nadam",
    "Optimizer",
    "OptimizerVariable",
    "RMSprop",
    "deserialize",
    "get",
    "schedules",
    "serialize",
]


def __getattr__(name: str) -> NoReturn:
    raise no_attribute("dg.optimizers", name, __all__)


_CLASSES = (SGD, Adadelta, Adagrad, Adam, AdamW, Adamax, Ftrl, Lion, Nadam, RMSprop)
_BY_NAME: dict[str, type[Optimizer]] = {cls.__name__: cls for cls in _CLASSES}


def _class_name(name: str) -> str:
    """Keras takes its optimizers' names in any case."""
    return next((known for known in _BY_NAME if known.lower() == name.lower()), name)


def get(identifier: Any) -> Optimizer | None:
    """The optimizer that an argument means: a name in any case, a config, an optimizer, or None for none.

    Raises: UnknownNameError listing near names; ConfigError for anything else.   Keras: ``keras.optimizers.get``.

    >>> get("rmsprob")
    Traceback (most recent call last):
    dougong.core.errors.UnknownNameError: unknown optimizer 'rmsprob'; did you mean 'RMSprop'?
    """
    if identifier is None or isinstance(identifier, Optimizer):
        return identifier
    if isinstance(identifier, Mapping):
        return deserialize(identifier)
    if isinstance(identifier, str):
        identifier = configs.resolve(_class_name(identifier), _BY_NAME, "optimizer")
        if isinstance(identifier, Optimizer):
            return identifier
    raise ConfigError(
        f"{identifier!r} is no optimizer: give a name such as 'adam', an object such as Adam(0.01), or a config"
    )


def serialize(optimizer: Optimizer) -> dict[str, Any]:
    """The optimizer's class and arguments as a JSON-able dict, without its state."""
    return configs.serialize(optimizer)


def deserialize(config: Mapping[str, Any], custom_objects: Mapping[str, Any] | None = None) -> Optimizer:
    """An optimizer from what `serialize` or Keras's gave.   Raises: UnknownNameError, ConfigError.

    >>> deserialize(serialize(SGD(0.1, momentum=0.9))).momentum
    0.9
    """
    config = {**config, "class_name": _class_name(str(config.get("class_name")))}
    with configs.custom_object_scope(custom_objects):
        found = configs.deserialize(config, _BY_NAME, "optimizer")
    if not isinstance(found, Optimizer):
        raise ConfigError(f"{config.get('class_name')!r} is no optimizer")
    return found
