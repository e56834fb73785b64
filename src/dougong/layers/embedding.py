"""Embedding: a table of vectors, looked up by index.   Shapes: N batch, T steps, V rows, D width of a vector."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from dougong.core.errors import ConfigError, DataError
from dougong.core.symbol import Shape
from dougong.layers.layer import Layer
from dougong.ops import constraints, initializers, regularizers

__all__ = ["Embedding"]


class Embedding(Layer):
    """Row ``i`` of a table for every index ``i``.   Shapes: ``[...] -> [..., D]``, weight ``[V, D]``.

    ``mask_zero`` hides index 0 from the layers that follow.  ``weights`` is a first table.
    Raises: DataError for an index outside ``0 … input_dim - 1``.   Keras: equals ``keras.layers.Embedding``.

    >>> table = Embedding(3, 2, weights=np.array([[0.0, 0.0], [1.0, 2.0], [3.0, 4.0]]))
    >>> table(torch.tensor([2, 1]))
    tensor([[3., 4.],
            [1., 2.]], grad_fn=<EmbeddingBackward0>)
    """

    _direct = True  # mask_zero clears _plain

    def __init__(
        self,
        input_dim: int,
        output_dim: int,
        embeddings_initializer: Any = "uniform",
        embeddings_regularizer: Any = None,
        embeddings_constraint: Any = None,
        mask_zero: bool = False,
        weights: Any = None,
        **options: Any,
    ) -> None:
        super().__init__(**options)
        for word, size in (("input_dim", input_dim), ("output_dim", output_dim)):
            if not isinstance(size, int) or isinstance(size, bool) or size <= 0:
                raise ConfigError(f"{word} must be an int >= 1; got {size!r}")
        self.input_dim = input_dim
        self.output_dim = output_dim
        self.embeddings_initializer = initializers.get(embeddings_initializer)
        self.embeddings_regularizer = regularizers.get(embeddings_regularizer)
        self.embeddings_constraint = constraints.get(embeddings_constraint)
        self.mask_zero = self.supports_masking = mask_zero
        self._plain = self._plain and not mask_zero
        if weights is not None:
            self.build(())
            self.set_weights([np.asarray(weights).reshape(input_dim, output_dim)])

    def build(self, input_shape: Any) -> None:
        if self.built:
            return
        self.weight = self.add_weight(
            (self.input_dim, self.output_dim),
            self.embeddings_initializer,
            name="embeddings",
            regularizer=self.embeddings_regularizer,
            constraint=self.embeddings_constraint,
        )

    def call(self, inputs: Tensor) -> Tensor:
        if inputs.dtype not in (torch.int64, torch.int32):
            inputs = inputs.long()
        try:
            return F.embedding(inputs, self.weight)
        except IndexError as error:
            raise DataError(
                f"Embedding {self.name!r} has rows 0 … {self.input_dim - 1} but received indices from"
                f" {int(inputs.min())} to {int(inputs.max())}; make input_dim larger or check the vocabulary."
            ) from error

    def compute_mask(self, inputs: Tensor, mask: Any = None) -> Tensor | None:
        return inputs != 0 if self.mask_zero else None

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        return *input_shape, self.output_dim

    def get_config(self) -> dict[str, Any]:
        config = super().get_config() | {"input_dim": self.input_dim}
        del config["weights"]
        return config
