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
from dougong.optimizers.adafactor import Adafactor
from dougong.optimizers.adagrad import Adadelta, Adagrad
from dougong.optimizers.adam import Adam, Adamax, AdamW, Nadam
from dougong.optimizers.ftrl import Ftrl
from dougong.optimizers.lamb import Lamb
from dougong.optimizers.legacy import LEGACY
from dougong.optimizers.lion import Lion
from dougong.optimizers.loss_scaling import LossScaleOptimizer
from dougong.optimizers.multiple import MultiOptimizer, OptimizerMap
from dougong.optimizers.muon import Muon
from dougong.optimizers.optimizer import Optimizer
from dougong.optimizers.rmsprop import RMSprop
from dougong.optimizers.schedule_free import ScheduleFreeAdamW
from dougong.optimizers.sgd import SGD
from dougong.optimizers.table import PLAIN, class_name, from_table

__all__ = [
    "LEGACY",
    "SGD",
    "Adadelta",
    "Adafactor",
    "Adagrad",
    "Adam",
    "AdamW",
    "Adamax",
    "Ftrl",
    "Lamb",
    "Lion",
    "LossScaleOptimizer",
    "MultiOptimizer",
    "Muon",
    "Nadam",
    "Optimizer",
    "OptimizerMap",
    "RMSprop",
    "ScheduleFreeAdamW",
    "deserialize",
    "get",
    "schedules",
    "serialize",
]


def __getattr__(name: str) -> NoReturn:
    raise no_attribute("dg.optimizers", name, __all__)


_BY_NAME: dict[str, type[Optimizer]] = {
    **PLAIN,
    "LossScaleOptimizer": LossScaleOptimizer,
    "MultiOptimizer": MultiOptimizer,
}


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
        identifier = configs.resolve(class_name(identifier, _BY_NAME), _BY_NAME, "optimizer")
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
    return from_table(config, _BY_NAME, custom_objects)
