"""Several optimizers for one model, each for the variables that a map or function gives it."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, MutableMapping, Sequence
from typing import Any, ClassVar, Self

from torch import Tensor

from dougong.core.config import Configurable, resolve, serialize
from dougong.core.errors import ConfigError
from dougong.core.variable import stored
from dougong.optimizers.optimizer import Optimizer
from dougong.optimizers.table import PLAIN, from_table
from dougong.optimizers.weight import Weight
from dougong.optimizers.wrapping import Wrapping

__all__ = ["MultiOptimizer", "OptimizerMap"]


class OptimizerMap(Configurable, MutableMapping[str, Optimizer]):
    """Optimizers by the variables' paths: a key is a path, or an expression that matches the whole path.

    Raises: ConfigError for values that are no plain optimizers, and where two expressions match one path.
    Keras: equals ``OptimizerMap``.

    >>> from dougong.optimizers import SGD, Adam
    >>> chosen = OptimizerMap(Adam(), {"encoder/.*": SGD()})
    >>> type(chosen["encoder/dense/kernel"]).__name__, type(chosen["head/kernel"]).__name__
    ('SGD', 'Adam')
    """

    keras_module: ClassVar[str] = "keras.optimizers"

    def __init__(self, default_optimizer: Optimizer, optimizer_map: dict[str, Optimizer] | None = None) -> None:
        if optimizer_map is not None and not isinstance(optimizer_map, dict):
            raise ConfigError(f"optimizer_map must be a dict of optimizers by path, got {optimizer_map!r}")
        self._default_optimizer = _plain(default_optimizer)
        self._optimizer_map = {} if optimizer_map is None else optimizer_map

    @property
    def default_optimizer(self) -> Optimizer:
        """The one for paths that no key matches."""
        return self._default_optimizer

    def __getitem__(self, key: str) -> Optimizer:
        if key in self._optimizer_map:
            return self._optimizer_map[key]
        matching = [pattern for pattern in self._optimizer_map if re.fullmatch(pattern, key)]
        if len(matching) > 1:
            raise ConfigError(f"several keys match the variable {key!r}: {matching}; let only one of them match")
        return self._optimizer_map[matching[0]] if matching else self._default_optimizer

    def __setitem__(self, key: str, optimizer: Optimizer) -> None:
        if not isinstance(key, str):
            raise ConfigError(f"a key must be a path or an expression for paths, got {key!r}")
        if key in self._optimizer_map:
            raise ConfigError(f"the map has {key!r} already, for {self._optimizer_map[key]!r}; delete it first")
        self._optimizer_map[key] = _plain(optimizer)

    def __delitem__(self, key: str) -> None:
        del self._optimizer_map[key]

    def __len__(self) -> int:
        return len(self._optimizer_map)

    def __iter__(self) -> Iterator[str]:
        return iter(self._optimizer_map)

    def __call__(self, variable: Any) -> Optimizer:
        """The optimizer for a variable."""
        return self[variable.path]

    def get_config(self) -> dict[str, Any]:
        """Both arguments, as they are now."""
        return {
            "default_optimizer": serialize(self._default_optimizer),
            "optimizer_map": serialize(self._optimizer_map),
        }

    @classmethod
    def from_config(cls, config: Mapping[str, Any], custom_objects: Mapping[str, Any] | None = None) -> Self:
        chosen = {key: from_table(one, PLAIN, custom_objects) for key, one in config["optimizer_map"].items()}
        return cls(from_table(config["default_optimizer"], PLAIN, custom_objects), chosen)


class MultiOptimizer(Wrapping):
    """Leaves each variable to the optimizer that ``optimizer_map`` gives: an `OptimizerMap`, or a function of one.

    ``optimizers`` have a learning rate each; ``loss_scale_factor`` counts instead of theirs.
    Raises: ConfigError if an optimizer within holds others itself; AttributeError when asked for its learning rate.
    Keras: equals ``MultiOptimizer``.

    >>> from dougong.core.variable import Variable
    >>> from dougong.optimizers import SGD
    >>> slow, fast = Variable([1.0], name="slow"), Variable([1.0], name="fast")
    >>> optimizer = MultiOptimizer(OptimizerMap(SGD(0.25), {"fast": SGD(0.5)}))
    >>> optimizer.apply([slow * 0 + 1, fast * 0 + 1], [slow, fast])
    >>> slow.numpy(), fast.numpy()
    (array([0.75], dtype=float32), array([0.5], dtype=float32))
    """

    def __init__(
        self,
        optimizer_map: OptimizerMap | Callable[[Any], Optimizer],
        loss_scale_factor: float | None = None,
        name: str | None = None,
    ) -> None:
        self.optimizer_map = optimizer_map
        known: list[Optimizer] = []
        if isinstance(optimizer_map, OptimizerMap):
            for one in (*optimizer_map.values(), optimizer_map.default_optimizer):
                _add(known, _plain(one))
        super().__init__(known, name)
        self.loss_scale_factor = loss_scale_factor
        self._chosen: dict[int, Optimizer] = {}

    def _rate(self) -> float:
        raise AttributeError(f"{self.name!r} has no learning rate of its own; use that of each of its .optimizers")

    def _set_rate(self, value: Any) -> None:
        raise AttributeError(f"{self.name!r} has no learning rate of its own; set that of each of its .optimizers")

    @property
    def loss_scale_factor(self) -> float | None:
        """What losses are multiplied by; setting it sets that of every optimizer within."""
        return self._loss_scale_factor

    @loss_scale_factor.setter
    def loss_scale_factor(self, value: float | None) -> None:
        self._loss_scale_factor = value
        for one in self.optimizers:
            one.loss_scale_factor = value

    @classmethod
    def from_config(cls, config: Mapping[str, Any], custom_objects: Mapping[str, Any] | None = None) -> Self:
        chosen = config["optimizer_map"]
        if isinstance(chosen, Mapping) and chosen.get("class_name") == "OptimizerMap":
            chosen = OptimizerMap.from_config(chosen["config"], custom_objects)
        else:
            chosen = resolve(chosen, custom_objects or {}, "optimizer map")
        return cls(**{**config, "optimizer_map": chosen})

    def distribute(self, weights: Sequence[Weight]) -> None:
        shares: dict[int, list[Weight]] = {}
        for weight in weights:
            if id(weight.tensor) not in self._chosen:
                self._chosen[id(weight.tensor)] = _plain(self.optimizer_map(weight.variable()))
            chosen = self._chosen[id(weight.tensor)]
            if _add(self.optimizers, chosen):
                chosen.loss_scale_factor = self.loss_scale_factor
            shares.setdefault(id(chosen), []).append(weight)
        for one in self.optimizers:
            if id(one) in shares:
                one.build_on(shares[id(one)])

    def __setstate__(self, state: dict[str, Any]) -> None:
        super().__setstate__(state)
        owners = {id(parameter): one for one in self._working for parameter in one.parameters}
        self._chosen = {id(weight.tensor): owners[id(weight.tensor)] for weight in self._weights}

    def step(self) -> None:
        for one in self._working if self._known else ():
            one.step()
        self._steps_done += 1

    def apply(self, grads: Iterable[Tensor | None], trainable_variables: Iterable[Tensor] | None = None) -> None:
        """Give each optimizer within its gradients; see `Optimizer.apply`."""
        grads = list(grads)
        if not grads:
            return
        if not self.built:
            listed = list(trainable_variables or self.parameters)
            self.build(listed)
        else:
            listed = [*(self.parameters if trainable_variables is None else trainable_variables)]
        if len(grads) != len(listed):
            raise ConfigError(f"{self.name!r} received {len(grads)} gradients for {len(listed)} variables")
        shares: dict[int, list[tuple[Tensor | None, Tensor]]] = {}
        for gradient, variable in zip(grads, listed):
            owner = self._chosen.get(id(stored(variable)[0]))
            if owner is None:
                raise ConfigError(f"{self.name!r} was not built on one of the variables; call build with all of them")
            shares.setdefault(id(owner), []).append((gradient, variable))
        for one in self.optimizers:
            if id(one) in shares:
                one.apply_gradients(shares[id(one)])
        self._steps_done += 1


def _add(optimizers: Any, one: Optimizer) -> bool:
    """Append unless it is there; optimizers are told apart by identity."""
    new = not any(known is one for known in optimizers)
    if new:
        optimizers.append(one)
    return new


def _plain(optimizer: Any) -> Optimizer:
    """The argument, if it is an optimizer that holds no others.   Raises: ConfigError."""
    if not isinstance(optimizer, Optimizer) or isinstance(optimizer, Wrapping):
        raise ConfigError(f"an optimizer such as Adam() is needed, which holds no others; got {optimizer!r}")
    return optimizer
