"""`Config`: named values that can be frozen.   Keras: ``keras.utils.Config``."""

from __future__ import annotations

import json
from collections.abc import Iterator, MutableMapping
from typing import Any

from dougong.core.errors import ConfigError, no_attribute

__all__ = ["Config"]


class Config(MutableMapping[str, Any]):
    """Named values, as attributes and as a dict's items; once frozen they cannot be changed.

    Raises: ConfigError for a change of a frozen one; AttributeError naming near names.
    Keras: equals ``keras.utils.Config``.

    >>> config = Config(rate=0.1)
    >>> config.steps = 3; config["seed"] = 1
    >>> config.to_json(), list(config)
    ('{"rate": 0.1, "steps": 3, "seed": 1}', ['rate', 'seed', 'steps'])
    """

    _config: dict[str, Any]
    _frozen: bool

    def __init__(self, **kwargs: Any) -> None:
        object.__setattr__(self, "_config", kwargs)
        object.__setattr__(self, "_frozen", False)

    @property
    def frozen(self) -> bool:
        return self._frozen

    def freeze(self) -> None:
        object.__setattr__(self, "_frozen", True)

    def unfreeze(self) -> None:
        object.__setattr__(self, "_frozen", False)

    def as_dict(self) -> dict[str, Any]:
        return dict(self._config)

    def to_json(self) -> str:
        return json.dumps(self._config)

    def _changing(self) -> dict[str, Any]:
        if self._frozen:
            raise ConfigError("this Config is frozen; call unfreeze() before you change it")
        return self._config

    def __setitem__(self, key: str, value: Any) -> None:
        self._changing()[key] = value

    def __delitem__(self, key: str) -> None:
        del self._changing()[key]

    def __getitem__(self, key: str) -> Any:
        return self._config[key]

    def __iter__(self) -> Iterator[str]:
        return iter(sorted(self._config))

    def __len__(self) -> int:
        return len(self._config)

    def __setattr__(self, name: str, value: Any) -> None:
        if hasattr(type(self), name):
            object.__setattr__(self, name, value)
        else:
            self[name] = value

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__") or name not in self._config:
            raise no_attribute("the Config", name, () if name.startswith("_") else self._config)
        return self._config[name]

    def __repr__(self) -> str:
        return f"<Config {self._config}>"
