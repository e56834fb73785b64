"""Layers one after the other as one layer.   Ref: Keras 3 semantics."""

from __future__ import annotations

import inspect
from collections.abc import Mapping, Sequence
from typing import Any, Self

from dougong.core.errors import ConfigError
from dougong.core.nested import map_leaves
from dougong.core.symbol import Symbol
from dougong.layers.layer import FORWARD_PASS, Layer
from dougong.layers.serialization import layer_of

__all__ = ["Pipeline"]


class Pipeline(Layer):
    """Applies ``layers`` in order: a stack for preparing data, which is no model.

    Called by itself it is in training mode, so that random layers change the data, unless ``training=False`` is given;
    within a model it is in the model's mode.
    Raises: ConfigError for what is no layer.   Keras: equals ``keras.layers.Pipeline``.

    >>> import numpy as np
    >>> from dougong.layers.preprocessing import Rescaling
    >>> Pipeline([Rescaling(2.0), Rescaling(1.0, offset=1.0)])(np.array([3.0]))
    tensor([7.])
    """

    def __init__(self, layers: Sequence[Any], name: str | None = None) -> None:
        super().__init__(name=name)
        for layer in layers:
            if not isinstance(layer, Layer):
                raise ConfigError(
                    f"Pipeline takes layers, got {layer!r}; put a torch module into TorchModuleWrapper, a function into"
                    " Lambda"
                )
        self.layers: Any = list(layers)

    def is_training(self) -> bool:
        if FORWARD_PASS.training is not None:
            return FORWARD_PASS.training
        return self.training if FORWARD_PASS.root is not None else True

    def call(self, inputs: Any, training: bool | None = None, mask: Any = None) -> Any:
        given = {"mask": mask} if mask is not None and self.layers and _takes_mask(self.layers[0]) else {}
        for layer in self.layers:
            inputs = layer(inputs, training=training, **given)
            given = {}  # from now on a mask travels with the tensors
        return inputs

    def compute_output_spec(self, inputs: Any, training: bool | None = None, mask: Any = None) -> Any:
        value = map_leaves(lambda symbol: Symbol(symbol.shape, symbol.dtype, name=symbol.name), inputs)
        for layer in self.layers:
            value = layer(value)
        return map_leaves(lambda symbol: Symbol(symbol.shape, symbol.dtype), value)

    def get_config(self) -> dict[str, Any]:
        config = super().get_config()
        return {"name": config["name"], "layers": config["layers"]}  # Keras's constructor takes no more

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> Self:
        """Rebuild the layers, too.   Raises: ConfigError without a list of them."""
        entries = config.get("layers")
        if not isinstance(entries, list | tuple):
            raise ConfigError(f"a Pipeline's config needs 'layers', a list of serialized layers; got {entries!r}")
        return cls(list(map(layer_of, entries)), name=config.get("name"))


def _takes_mask(layer: Layer) -> bool:
    return "mask" in inspect.signature(layer.call).parameters
