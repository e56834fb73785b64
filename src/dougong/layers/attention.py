"""Multi-head attention over torch's fused kernel.

Shapes: N batch, Q queries, K keys, H heads, D width of a head, F features.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import prod
from typing import Any, ClassVar

from torch import Tensor

from dougong.core.symbol import Shape, Symbol
from dougong.layers.attention_heads import HeadedAttention

__all__ = ["MultiHeadAttention"]


class MultiHeadAttention(HeadedAttention):
    r"""Each query takes a mean of the values, weighted by how its projection agrees with each key's, in H ways at once.

    .. math:: \text{head}_h = \operatorname{softmax}\!\left(\frac{Q_h K_h^\top}{\sqrt{D}}\right) V_h,\qquad
              y = \sum_h \text{head}_h W^o_h + b^o

    Called as ``layer(query, value, key=None)``; the key is the value unless given.  ``attention_mask`` ``[N, Q, K]`` is
    True where a query may look; masks of query, value and key and ``use_causal_mask`` are combined with it.
    ``attention_axes`` are the axes attended over, all but batch and features unless given.  ``sliding_window`` lets a
    query see keys less than that many steps away.  ``use_gate`` multiplies the heads by a sigmoid of the query.
    ``flash_attention`` is accepted: torch picks its fastest kernel itself.
    Shapes: ``[N, Q, F], [N, K, F'] -> [N, Q, F]``, or ``[N, Q, *output_shape]``; scores ``[N, H, Q, K]``.
    Keras: equals ``keras.layers.MultiHeadAttention``.   Ref: Vaswani et al. 2017, arXiv:1706.03762.

    >>> import torch
    >>> layer = MultiHeadAttention(num_heads=2, key_dim=4)
    >>> x = torch.zeros(3, 5, 8)
    >>> layer(x, x).shape, layer(x, x, return_attention_scores=True)[1].shape
    (torch.Size([3, 5, 8]), torch.Size([3, 2, 5, 5]))
    """

    head_words = ("num_heads", "key_dim", "value_dim")
    keras_places: ClassVar[Mapping[str, str]] = {"gate_dense": "_gate_dense"}

    def __init__(
        self,
        num_heads: int,
        key_dim: int,
        value_dim: int | None = None,
        dropout: float = 0.0,
        use_bias: bool = True,
        output_shape: int | Sequence[int] | None = None,
        attention_axes: int | Sequence[int] | None = None,
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
        self.num_heads = num_heads
        self.key_dim = key_dim
        self.value_dim = value_dim or key_dim
        self.output_shape = (output_shape,) if isinstance(output_shape, int) else output_shape and tuple(output_shape)
        self.attention_axes = (attention_axes,) if isinstance(attention_axes, int) else attention_axes
        self._check_counts()

    def build(self, query_shape: Shape, value_shape: Shape | None = None, key_shape: Shape | None = None) -> None:
        value_shape = query_shape if value_shape is None else value_shape
        key_shape = value_shape if key_shape is None else key_shape
        self._check_lengths(value_shape, key_shape)
        rank = len(query_shape)
        axes = range(1, rank - 1) if self.attention_axes is None else self.attention_axes
        self._attended = tuple(axis % rank for axis in axes)
        self._batched = tuple(axis for axis in range(rank - 1) if axis not in self._attended)
        heads, width = (self.num_heads, self.key_dim), (self.num_heads, self.value_dim)
        self._widths = query_shape[-1], value_shape[-1]
        self._evenly = rank == 3 and self.dropout == 0
        # In Keras's order, which is that of get_weights() and of files.
        self.query_dense = self._projection("query", query_shape[-1:], heads)
        self.key_dense = self._projection("key", key_shape[-1:], heads)
        self.gate_dense = self._projection("gate", query_shape[-1:], width, "sigmoid") if self.use_gate else None
        self.value_dense = self._projection("value", value_shape[-1:], width)
        if self.dropout > 0:
            self.reserve_seed()
        self.output_dense = self._projection("attention_output", width, self.output_shape or query_shape[-1:])

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
        queries = self._project(self.query_dense, query)
        keys = self._project(self.key_dense, value if key is None else key)
        values = self._project(self.value_dense, value)
        attended, scores = self._attend(queries, keys, values, mask, return_attention_scores, use_causal_mask)
        output = self._output(attended, query)
        return (output, scores) if return_attention_scores else output

    def _attend(
        self, q: Tensor, k: Tensor, v: Tensor, mask: Tensor | None, with_scores: bool, causal: bool
    ) -> tuple[Tensor, Tensor | None]:
        """Heads' outputs in the queries' axes, and the scores where asked for."""
        batch = tuple(q.shape[axis] for axis in self._batched)
        asked = tuple(q.shape[axis] for axis in self._attended)
        found = tuple(k.shape[axis] for axis in self._attended)
        q, k, v = (self._heads_first(x) for x in (q, k, v))
        if mask is not None:
            mask = self._spread_mask(mask, batch, asked, found)
        output, scores = self._kernel(q, k, v, mask, with_scores, causal)
        if scores is not None:
            scores = scores.reshape(*batch, self.num_heads, *asked, *found)
        # [B, H, Q, D] to the axes that came in, heads before their width.
        output = output.reshape(*batch, self.num_heads, *asked, v.shape[-1])
        order = (*self._batched, -1, *self._attended)
        places = [order.index(axis) for axis in (*range(len(order) - 1), -1)]
        return output.permute(*places, len(order)), scores

    def _heads_first(self, x: Tensor) -> Tensor:
        """``[..., H, D]`` to ``[B, H, steps, D]``: other axes in one batch, attended ones in one row."""
        x = x.permute(*self._batched, -2, *self._attended, -1)
        outer, steps = len(self._batched), x.shape[len(self._batched) + 1 : -1]
        return x if outer == 1 and len(steps) == 1 else x.reshape(-1, x.shape[outer], prod(steps), x.shape[-1])

    def _spread_mask(self, mask: Tensor, batch: Any, asked: Any, found: Any) -> Tensor:
        """A mask that may lack batch axes and heads, brought to ``[B, H or 1, Q, K]``."""
        inner = len(asked) + len(found)
        while mask.ndim < len(batch) + 1 + inner:
            mask = mask.unsqueeze(-inner - 1)
        if len(batch) == 1 and inner == 2:
            return mask
        heads = mask.shape[len(batch)]
        return mask.expand(*batch, heads, *asked, *found).reshape(-1, heads, prod(asked), prod(found))

    def compute_output_shape(self, query_shape: Shape, value_shape: Any = None, key_shape: Any = None) -> Shape:
        return (*query_shape[:-1], *self.output_shape) if self.output_shape else tuple(query_shape)

    def compute_output_spec(self, *args: Any, **kwargs: Any) -> Any:
        query = args[0] if args else kwargs["query"]
        output = Symbol(self.compute_output_shape(query.shape), query.dtype, name="value")
        if not kwargs.get("return_attention_scores"):
            return output
        value = args[1] if len(args) > 1 else kwargs["value"]
        batch = [query.shape[axis] for axis in self._batched]
        steps = [one.shape[axis] for one in (query, value) for axis in self._attended]
        return output, Symbol([*batch, self.num_heads, *steps], query.dtype, name="value")
