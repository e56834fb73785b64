"""A table of vectors, looked up by index, and the same backwards.   Shapes: V rows, D width of a vector."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from dougong.core.dtypes import torch_dtype
from dougong.core.errors import ConfigError, DataError
from dougong.core.layout import TRANSPOSED
from dougong.core.symbol import Shape, Symbol
from dougong.layers.layer import Layer
from dougong.ops import constraints, initializers, regularizers

__all__ = ["Embedding", "ReversibleEmbedding"]


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
            self._start_from(weights)

    def _start_from(self, weights: Any) -> None:
        self.build()
        table = torch.as_tensor(np.asarray(weights)).reshape(self.weight.shape)
        with torch.no_grad():
            self.weight.copy_(table)

    def build(self, input_shape: Any = None) -> None:
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


class ReversibleEmbedding(Embedding):
    r"""`Embedding` that also scores every row: ``layer(hidden, reverse=True)`` projects vectors back to rows.

    .. math:: y = h E^\top,\qquad y = c \tanh(y / c) \ \text{with } c = \text{logit\_soft\_cap}

    With ``tie_weights`` both directions share the table E; else the way back has ``reverse_embeddings`` of its own.
    ``reverse_dtype`` is the dtype of the way back.
    Shapes: ``[...] -> [..., D]``, reverse ``[..., D] -> [..., V]``; ``weight`` and ``reverse_weight`` are ``[V, D]``.
    Keras: equals ``keras.layers.ReversibleEmbedding``, without quantization.
    Ref: Press & Wolf 2016, arXiv:1608.05859.

    >>> layer = ReversibleEmbedding(100, 8)
    >>> hidden = layer(torch.zeros(2, 5, dtype=torch.int64)); hidden.shape, layer(hidden, reverse=True).shape
    (torch.Size([2, 5, 8]), torch.Size([2, 5, 100]))
    """

    _direct = True  # mask_zero clears _plain

    def __init__(
        self,
        input_dim: int,
        output_dim: int,
        tie_weights: bool = True,
        embeddings_initializer: Any = "uniform",
        embeddings_regularizer: Any = None,
        embeddings_constraint: Any = None,
        mask_zero: bool = False,
        reverse_dtype: Any = None,
        logit_soft_cap: float | None = None,
        **options: Any,
    ) -> None:
        weights = options.pop("weights", None)
        super().__init__(
            input_dim,
            output_dim,
            embeddings_initializer,
            embeddings_regularizer,
            embeddings_constraint,
            mask_zero,
            **options,
        )
        self.tie_weights = tie_weights
        self.reverse_dtype = reverse_dtype
        self.logit_soft_cap = logit_soft_cap
        if weights is not None:
            self._start_from(weights)

    def build(self, input_shape: Any = None) -> None:
        if self.built:
            return
        super().build(input_shape)
        if not self.tie_weights:
            self.reverse_weight = self.add_weight(
                (self.output_dim, self.input_dim),
                self.embeddings_initializer,
                name="reverse_embeddings",
                layout=TRANSPOSED,
            )

    def call(self, inputs: Tensor, reverse: bool = False) -> Tensor:
        if not reverse:
            return super().call(inputs)
        weight = self.weight if self.tie_weights else self.reverse_weight
        if self.reverse_dtype is not None:
            kind = torch_dtype(self.reverse_dtype)
            inputs, weight = inputs.to(kind), weight.to(kind)
        logits = F.linear(inputs, weight)
        cap = self.logit_soft_cap
        return logits if cap is None else torch.tanh(logits / cap) * cap

    def compute_mask(self, inputs: Tensor, mask: Any = None) -> Tensor | None:
        hidden = inputs.dtype.is_floating_point and inputs.shape[-1] == self.output_dim  # on the way back
        return None if hidden else super().compute_mask(inputs, mask)

    def compute_output_shape(self, input_shape: Shape, reverse: bool = False) -> Shape:
        return (*input_shape[:-1], self.input_dim) if reverse else super().compute_output_shape(input_shape)

    def compute_output_spec(self, inputs: Symbol, reverse: bool = False) -> Symbol:
        kind = self.dtype_policy.weights
        if reverse and self.reverse_dtype is not None:
            kind = torch_dtype(self.reverse_dtype)
        return Symbol(self.compute_output_shape(inputs.shape, reverse), kind, name="value")
