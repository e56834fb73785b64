"""The optimizers by name, but for those that hold others; and an optimizer from a config."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from dougong.core import config as configs
from dougong.core.errors import ConfigError
from dougong.optimizers.adafactor import Adafactor
from dougong.optimizers.adagrad import Adadelta, Adagrad
from dougong.optimizers.adam import Adam, Adamax, AdamW, Nadam
from dougong.optimizers.ftrl import Ftrl
from dougong.optimizers.lamb import Lamb
from dougong.optimizers.lion import Lion
from dougong.optimizers.muon import Muon
from dougong.optimizers.optimizer import Optimizer
from dougong.optimizers.rmsprop import RMSprop
from dougong.optimizers.schedule_free import ScheduleFreeAdamW
from dougong.optimizers.sgd import SGD

__all__ = ["PLAIN", "class_name", "from_table"]

_CLASSES = (
    SGD,
    Adadelta,
    Adafactor,
    Adagrad,
    Adam,
    AdamW,
    Adamax,
    Ftrl,
    Lamb,
    Lion,
    Muon,
    Nadam,
    RMSprop,
    ScheduleFreeAdamW,
)
PLAIN: dict[str, type[Optimizer]] = {cls.__name__: cls for cls in _CLASSES}


def class_name(name: str, table: Mapping[str, Any]) -> str:
    """The name as the table has it; Keras takes its optimizers' names in any case.

    >>> class_name("rmsprop", PLAIN)
    'RMSprop'
    """
    return next((known for known in table if known.lower() == name.lower()), name)


def from_table(
    config: Mapping[str, Any], table: Mapping[str, Any], custom_objects: Mapping[str, Any] | None = None
) -> Optimizer:
    """An optimizer from its serialized form.   Raises: UnknownNameError, ConfigError."""
    config = {**config, "class_name": class_name(str(config.get("class_name")), table)}
    with configs.custom_object_scope(custom_objects):
        found = configs.deserialize(config, table, "optimizer")
    if not isinstance(found, Optimizer):
        raise ConfigError(f"{config.get('class_name')!r} is no optimizer")
    return found
