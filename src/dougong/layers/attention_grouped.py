"""Grouped query attention: several heads of queries share one head of keys and values.

Shapes: N batch, Q queries, K keys, H heads of queries, G heads of keys, D width of a head, F features.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from torch import Tensor

from dougong.core.errors import ConfigError, ShapeError
from dougong.core.symbol import Shape, Symbol
from dougong.layers.attention_heads import HeadedAttention

__all__ = ["GroupQueryAttention", "GroupedQueryAttention"]


class GroupedQueryAttention(HeadedAttention):
    r"""As `MultiHeadAttention`, with fewer heads of keys and values: each serves H / G heads of queries.

    .. math:: \text{head}_h = \operatorname{softmax}\!\left(\frac{Q_h K_g^\top}{\sqrt{D}}\right) V_g,\qquad
              g = \lfloor h G / H \rfloor,\qquad y = \sum_h \text{head}_h W^o_h + b^o

    G = 1 is multi-query attention, G = H is multi-head attention.  Masks, ``sliding_window``, ``use_gate`` and the
    call's arguments are `MultiHeadAttention`'s.
    Shapes: ``[N, Q, F], [N, K, F] -> [N, Q, F]``; scores ``[N, H, Q, K]``.
    Raises: ConfigError unless G divides H, ShapeError for inputs that do not fit.
    Keras: equals ``keras.layers.GroupQueryAttention``.   Ref: Ainslie et al. 2023, arXiv:2305.13245.

    >>> import torch
    >>> layer = GroupedQueryAttention(head_dim=4, num_query_heads=6, num_key_value_heads=2)
    >>> x = torch.zeros(3, 5, 8)
    >>> layer(x, x).shape, layer.key_dense.kernel.shape
    (torch.Size([3, 5, 8]), torch.Size([8, 2, 4]))
    """

    keras_class_name = "GroupQueryAttention"  # Keras: the class's name counts for names and places of weights only
    keras_places: ClassVar[Mapping[str, str]] = {
        f"{word}_dense": f"_{word}_dense" for word in ("query", "key", "value", "gate", "output")
    }
    head_words = ("head_dim", "num_query_heads", "num_key_value_heads")

    def __init__(
        self,
        head_dim: int,
        num_query_heads: int,
        num_key_value_heads: int,
        dropout: float = 0.0,
        use_bias: bool = True,
        sliding_window: int | None = None,
        flash_attention: bool | None = None,
        kernel_initializer: Any = "glorot_uniform",
        bias_initializer: Any = "zeros",
        kernel_regularizer: Any = None,
        bias_regularizer: Any = None,
        activity_regularizer: Any = None,
        kernel_constraint: Any = None,
        bias_constraint: Any = None,
        use_gate: bool = False,
        seed: int | None = None,
        **options: Any,
    ) -> None:
        super().__init__(
            seed,
            dropout,
            use_bias,
            sliding_window,
            flash_attention,
            kernel_initializer,
            bias_initializer,
            kernel_regularizer,
            bias_regularizer,
            activity_regularizer,
            kernel_constraint,
            bias_constraint,
            use_gate,
            **options,
        )
        self.activity_regularizer = self.projection_regularizer  # Keras: counts the output here and in its projection
        self._plain = self.activity_regularizer is None
        self.head_dim = head_dim
        self.num_query_heads = num_query_heads
        self.num_key_value_heads = num_key_value_heads
        self._check_counts()
        if num_query_heads % num_key_value_heads:
            raise ConfigError(
                f"num_key_value_heads must divide num_query_heads; got {num_key_value_heads} and {num_query_heads}"
            )

    def build(self, query_shape: Shape, value_shape: Shape | None = None, key_shape: Shape | None = None) -> None:
        value_shape = query_shape if value_shape is None else value_shape
        key_shape = value_shape if key_shape is None else key_shape
        if len(query_shape) != 3:
            raise ShapeError(
                f"GroupedQueryAttention {self.name!r} takes queries (batch, steps, features) but received shape"
                f" {tuple(query_shape)}; Reshape them, or use MultiHeadAttention with attention_axes."
            )
        self._check_lengths(value_shape, key_shape)
        queries, keys = (self.num_query_heads, self.head_dim), (self.num_key_value_heads, self.head_dim)
        self._widths = query_shape[-1], value_shape[-1]
        self._evenly = self.dropout == 0
        # In Keras's order, which is that of get_weights() and of files.
        self.query_dense = self._projection("query", query_shape[-1:], queries)
        self.key_dense = self._projection("key", key_shape[-1:], keys)
        self.gate_dense = self._projection("gate", query_shape[-1:], queries, "sigmoid") if self.use_gate else None
        self.value_dense = self._projection("value", value_shape[-1:], keys)
        if self.dropout > 0:
            self.reserve_seed()
        self.output_dense = self._projection("attention_output", queries, query_shape[-1:])

    def call(
        self,
        query: Tensor,
        value: Tensor,
        key: Tensor | None = None,
        query_mask: Tensor | None = None,
        value_mask: Tensor | None = None,
        key_mask: Tensor | None = None,
        attention_mask: Tensor | None = None,
        return_attention_scores: bool = False,
        use_causal_mask: bool = False,
    ) -> Any:
        mask = self._mask(query, value, query_mask, value_mask, key_mask, attention_mask)
        while mask is not None and mask.ndim < 4:
            mask = mask.unsqueeze(-3)
        queries = self._project(self.query_dense, query).transpose(1, 2)
        keys = self._project(self.key_dense, value if key is None else key).transpose(1, 2)
        values = self._project(self.value_dense, value).transpose(1, 2)
        attended, scores = self._kernel(queries, keys, values, mask, return_attention_scores, use_causal_mask)
        output = self._output(attended.transpose(1, 2), query)
        return (output, scores) if return_attention_scores else output

    def compute_output_shape(self, query_shape: Shape, value_shape: Any = None, key_shape: Any = None) -> Shape:
        return tuple(query_shape)

    def compute_output_spec(self, *args: Any, **kwargs: Any) -> Any:
        query = args[0] if args else kwargs["query"]
        output = Symbol(query.shape, query.dtype, name="value")
        if not kwargs.get("return_attention_scores"):
            return output
        value = args[1] if len(args) > 1 else kwargs["value"]
        shape = (query.shape[0], self.num_query_heads, query.shape[1], value.shape[1])
        return output, Symbol(shape, query.dtype, name="value")


GroupQueryAttention = GroupedQueryAttention
