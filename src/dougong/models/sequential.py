"""`Sequential`: a plain stack of layers, built when its input's shape becomes known."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from dougong.core.config import serialize
from dougong.core.errors import BuildError, ConfigError
from dougong.core.nested import leaves
from dougong.core.symbol import Input, Symbol
from dougong.core.text import STRING, as_text, is_text
from dougong.layers.basic import InputLayer, TorchModuleWrapper
from dougong.layers.layer import Layer
from dougong.models.model import Model
from dougong.models.program import Program, module_key

__all__ = ["Sequential"]


class Sequential(Model):
    """Layers one after the other.  Any `torch.nn.Module` may stand among them and is trained with the rest.

    >>> from dougong.layers.dense import Dense
    >>> model = Sequential([Input((2,)), Dense(10, activation="tanh"), Dense(1, activation="sigmoid")])
    >>> model.count_params()
    41
    """

    def __init__(self, layers: Iterable[Any] | None = None, trainable: bool = True, name: str | None = None) -> None:
        super().__init__(name=name, trainable=trainable)
        self._stack: tuple[Layer, ...] = ()
        self._start: Symbol | None = None
        for layer in layers or ():
            self._append(layer)
        self._rebuild()

    # ── Composing ───────────────────────────────────────────────────────────────────────────────────────────────────

    def add(self, layer: Any, rebuild: bool = True) -> None:
        """Put a layer on top."""
        self._append(layer)
        if rebuild:
            self._rebuild()

    def pop(self, rebuild: bool = True) -> Layer:
        """Take the last layer off and return it."""
        if not self._stack:
            raise BuildError(f"model {self.name!r} has no layers to pop")
        *rest, last = self._stack
        self._stack = tuple(rest)
        del self._modules[module_key(last.name)]
        if rebuild:
            self._rebuild()
        return last

    def _append(self, layer: Any) -> None:
        if isinstance(layer, Symbol | InputLayer):
            if isinstance(layer, InputLayer):
                layer = Input(batch_shape=layer.batch_shape, dtype=layer.dtype, name=layer.name)
            self._begin(layer)
            return
        if isinstance(layer, nn.Module) and not isinstance(layer, Layer):
            layer = TorchModuleWrapper(layer)
        if not isinstance(layer, Layer):
            raise ConfigError(
                f"Sequential takes layers, torch modules and an Input; got {layer!r}."
                " A function goes into a Lambda layer, a torch function into a functional model."
            )
        if module_key(layer.name) in self._modules:
            raise ConfigError(f"two layers of {self.name!r} are called {layer.name!r}; give each its own name=")
        if not self._stack and self._start is None and layer.declared_input is not None:
            self._start = Input(batch_shape=layer.declared_input)
        self._stack = (*self._stack, layer)
        self._modules[module_key(layer.name)] = layer

    def _begin(self, start: Symbol) -> None:
        if self._stack or self._start is not None:
            raise ConfigError(f"an Input must come first in {self.name!r}")
        self._start = start

    def _rebuild(self) -> None:
        """Apply the layers to the start symbol; each one is built by that."""
        self._program = None
        self.built = False
        if self._start is None or not self._stack:
            return
        value: Any = self._start
        with self.scope():
            for layer in self._stack:
                value = layer(value)
        self._program = Program(self._start, value)
        self.built = True

    # ── Building ────────────────────────────────────────────────────────────────────────────────────────────────────

    def build(self, input_shape: Sequence[int | None] | None = None, dtype: Any = torch.float32) -> None:
        """Make the weights for inputs of ``input_shape``, batch axis included."""
        if self._program is not None or not self._stack:
            return
        if input_shape is None:
            raise BuildError(f"model {self.name!r} does not know its input: call build((None, …)) or begin with Input")
        self._start = Input(batch_shape=(None, *tuple(input_shape)[1:]), dtype=dtype)
        self._rebuild()

    def _build_for(self, args: tuple[Any, ...], kwargs: Any) -> None:
        if is_text(args[0]):
            self.build(as_text(args[0]).shape, dtype=STRING)
            return
        first = next(leaves(args))
        if not isinstance(first, Tensor | Symbol):
            raise BuildError(f"model {self.name!r} is built from a tensor or a symbol, got {first!r}")
        self.build(tuple(first.shape), dtype=first.dtype)

    def call(self, inputs: Any) -> Any:
        if not self._stack:
            return inputs
        return super().call(inputs)

    # ── Looking ─────────────────────────────────────────────────────────────────────────────────────────────────────

    @property
    def layers(self) -> list[Layer]:
        return list(self._stack)

    @classmethod
    def from_config(cls, config: Mapping[str, Any], custom_objects: Mapping[str, Any] | None = None) -> Any:
        """A stack with fresh weights from what `get_config` gave.   Raises: UnknownNameError for unknown layers."""
        if cls is Sequential or "layers" in config:
            return cls.files.model_of_class(cls, config, custom_objects)
        return super().from_config(config, custom_objects)

    def get_config(self) -> dict[str, Any]:
        shape = None if self._start is None else list(self._start.shape)
        entries = [serialize(layer) for layer in self._stack]
        if self._start is not None:
            entry = InputLayer(batch_shape=self._start.shape, dtype=self._start.dtype, name=self._start.name)
            entries.insert(0, serialize(entry))
        return {
            "name": self.name,
            "trainable": self.trainable,
            "dtype": self.dtype_policy.name,
            "layers": entries,
            "build_input_shape": shape,
        }
