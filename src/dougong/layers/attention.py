"""Multi-head attention over torch's fused kernel.

Shapes: N batch, Q queries, K keys, H heads, D width of a head, F features.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from math import prod
from typing import Any, Unpack

import torch
from torch import Tensor
from torch.nn import functional as F

from dougong.core.errors import ConfigError, ShapeError
from dougong.core.layout import Layout
from dougong.core.symbol import Shape, Symbol
from dougong.layers.layer import Layer, LayerOptions
from dougong.layers.regularization import RandomLayer
from dougong.ops import constraints, initializers, regularizers

__all__ = ["MultiHeadAttention", "Projection"]


class Projection(Layer):
    """A linear map from or to heads: the weights of `MultiHeadAttention`, used by it directly.

    torch's ``weight`` is a matrix, (all outputs) x (all inputs); Keras's kernel keeps ``inputs`` and ``outputs`` apart.
    """

    def __init__(self, inputs: Sequence[int], outputs: Sequence[int], **options: Unpack[LayerOptions]) -> None:
        super().__init__(**options)
        self.inputs = tuple(inputs)
        self.outputs = tuple(outputs)
        self.bias: Tensor | None = None

    def make(self, kernel: Mapping[str, Any], bias: Mapping[str, Any] | None) -> None:
        """Make the weights: initializer, regularizer and constraint of kernel and bias."""
        joined = partial(torch.Tensor.reshape, shape=(prod(self.inputs), prod(self.outputs)))
        layout = Layout(partial(_kernel_view, shape=self.inputs + self.outputs), partial(_matrix, joined=joined))
        self.weight = self.add_weight(self.inputs + self.outputs, name="kernel", layout=layout, **kernel)
        if bias is not None:
            flat = Layout(partial(torch.Tensor.reshape, shape=self.outputs), torch.flatten)
            self.bias = self.add_weight(self.outputs, name="bias", layout=flat, **bias)
        self._complete()

    def call(self, inputs: Tensor) -> Tensor:
        flat = inputs.flatten(-len(self.inputs))
        return F.linear(flat, self.weight, self.bias).unflatten(-1, self.outputs)


def _kernel_view(weight: Tensor, shape: Sequence[int]) -> Tensor:
    return weight.t().reshape(shape)


def _matrix(kernel: Tensor, joined: Callable[[Tensor], Tensor]) -> Tensor:
    return joined(kernel).t()


class MultiHeadAttention(RandomLayer):
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

    >>> layer = MultiHeadAttention(num_heads=2, key_dim=4)
    >>> x = torch.zeros(3, 5, 8)
    >>> layer(x, x).shape, layer(x, x, return_attention_scores=True)[1].shape
    (torch.Size([3, 5, 8]), torch.Size([3, 2, 5, 5]))
    """

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
        super().__init__(seed, activity_regularizer=activity_regularizer, **options)
        for word, size in (("num_heads", num_heads), ("key_dim", key_dim), ("value_dim", value_dim or key_dim)):
            if not isinstance(size, int) or size <= 0:
                raise ConfigError(f"{word} must be an int >= 1; got {size!r}")
        if sliding_window is not None and sliding_window <= 0:
            raise ConfigError(f"sliding_window must be None or an int >= 1; got {sliding_window!r}")
        self.num_heads = num_heads
        self.key_dim = key_dim
        self.value_dim = value_dim or key_dim
        self.dropout = dropout
        self.use_bias = use_bias
        self.output_shape = (output_shape,) if isinstance(output_shape, int) else output_shape and tuple(output_shape)
        self.attention_axes = (attention_axes,) if isinstance(attention_axes, int) else attention_axes
        self.sliding_window = sliding_window
        self.flash_attention = flash_attention
        self.kernel_initializer = initializers.get(kernel_initializer)
        self.bias_initializer = initializers.get(bias_initializer)
        self.kernel_regularizer = regularizers.get(kernel_regularizer)
        self.bias_regularizer = regularizers.get(bias_regularizer)
        self.kernel_constraint = constraints.get(kernel_constraint)
        self.bias_constraint = constraints.get(bias_constraint)
        self.use_gate = use_gate

    # ── Building ────────────────────────────────────────────────────────────────────────────────────────────────────

    def build(self, query_shape: Shape, value_shape: Shape | None = None, key_shape: Shape | None = None) -> None:
        value_shape = query_shape if value_shape is None else value_shape
        key_shape = value_shape if key_shape is None else key_shape
        rank = len(query_shape)
        axes = range(1, rank - 1) if self.attention_axes is None else self.attention_axes
        self._attended = tuple(axis % rank for axis in axes)
        self._batched = tuple(axis for axis in range(rank - 1) if axis not in self._attended)
        heads, width = (self.num_heads, self.key_dim), (self.num_heads, self.value_dim)
        self._widths = query_shape[-1], value_shape[-1]
        # What a query that may see nothing gives: as in Keras, the mean of all values here and zeros otherwise.
        self._evenly = rank == 3 and self.dropout == 0
        # In Keras's order, which is that of get_weights() and of files.
        self.query_dense = self._projection("query", query_shape[-1:], heads)
        self.key_dense = self._projection("key", key_shape[-1:], heads)
        self.gate_dense = self._projection("gate", query_shape[-1:], width) if self.use_gate else None
        self.value_dense = self._projection("value", value_shape[-1:], width)
        self.output_dense = self._projection("attention_output", width, self.output_shape or query_shape[-1:])

    def _projection(self, name: str, inputs: Any, outputs: Any) -> Projection:
        layer = Projection(inputs, outputs, name=name, trainable=self.trainable, dtype=self.dtype_policy)
        kernel = {
            "initializer": self.kernel_initializer,
            "regularizer": self.kernel_regularizer,
            "constraint": self.kernel_constraint,
        }
        bias = {
            "initializer": self.bias_initializer,
            "regularizer": self.bias_regularizer,
            "constraint": self.bias_constraint,
        }
        layer.make(kernel, bias if self.use_bias else None)
        return layer

    def _build_for(self, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> None:
        given = dict(zip(("query", "value", "key"), args)) | dict(kwargs)
        if given.get("query") is None or given.get("value") is None:
            raise ShapeError(
                f"MultiHeadAttention {self.name!r} is called with a query and a value: layer(query, value)"
            )
        shapes = [None if given.get(word) is None else tuple(given[word].shape) for word in ("query", "value", "key")]
        self.build(*shapes)  # type: ignore[arg-type]

    # ── Calling ─────────────────────────────────────────────────────────────────────────────────────────────────────

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        """As `Layer.forward`, with the masks of query, value and key as arguments of their own."""
        tensors = dict(zip(("query", "value", "key"), args)) | kwargs
        for word in ("query", "value", "key"):
            one = tensors.get(word)
            mask = one.mask if isinstance(one, Symbol) else getattr(one, "_keras_mask", None)
            if mask is not None and kwargs.get(f"{word}_mask") is None:
                kwargs[f"{word}_mask"] = mask
        if self.built and self._plain and not kwargs and all(type(one) is Tensor for one in args):
            try:
                return self.call(*args)
            except (RuntimeError, IndexError) as error:
                self._check_input(args, error)
                raise
        return super().forward(*args, **kwargs)

    def _check_input(self, inputs: Any, cause: Exception | None = None) -> None:
        arrays = inputs if isinstance(inputs, tuple) else (inputs,)
        for word, one, width in zip(("queries", "values"), arrays, self._widths):
            if one.shape[-1] not in (None, width):
                raise ShapeError(
                    f"MultiHeadAttention {self.name!r} was built for {word} of {width} features but received shape"
                    f" {tuple(one.shape)}; build with {one.shape[-1]}."
                ) from cause

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
        heads = self.num_heads
        q, k, v = self.query_dense, self.key_dense, self.value_dense
        queries = F.linear(query, q.weight, q.bias).unflatten(-1, (heads, self.key_dim))
        keys = F.linear(value if key is None else key, k.weight, k.bias).unflatten(-1, (heads, self.key_dim))
        values = F.linear(value, v.weight, v.bias).unflatten(-1, (heads, self.value_dim))
        attended, scores = self._attend(queries, keys, values, mask, return_attention_scores, use_causal_mask)
        attended = attended.flatten(-2)
        if self.gate_dense is not None:
            gate = self.gate_dense
            attended = attended * torch.sigmoid(F.linear(query, gate.weight, gate.bias))
        out = self.output_dense
        output = F.linear(attended, out.weight, out.bias)
        if len(out.outputs) > 1:
            output = output.unflatten(-1, out.outputs)
        return (output, scores) if return_attention_scores else output

    def _mask(self, query: Tensor, value: Tensor, query_mask: Any, value_mask: Any, key_mask: Any, own: Any) -> Any:
        """All masks as one, True where a query may look at a key; None where there is none."""
        parts = [own.bool()] if own is not None else []
        if query_mask is not None:
            parts.append(query_mask.bool().unsqueeze(-1))
        parts += [one.bool().unsqueeze(-2) for one in (value_mask, key_mask) if one is not None]
        if self.sliding_window is not None:
            rows = torch.arange(query.shape[1], device=query.device).unsqueeze(1)
            columns = torch.arange(value.shape[1], device=query.device)
            parts.append(((rows - columns).abs() < self.sliding_window).unsqueeze(0))
        if not parts:
            return None
        mask = parts[0]
        for part in parts[1:]:
            mask = mask & part
        return mask

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
        if causal and mask is not None:
            mask = mask & torch.ones(q.shape[-2], k.shape[-2], dtype=torch.bool, device=q.device).tril()
            causal = False
        rate = self.dropout if self.training else 0.0
        if with_scores or (rate and self.seed is not None):
            output, scores = self._explicit(q, k, v, mask, causal, rate)
            scores = scores.reshape(*batch, self.num_heads, *asked, *found)
        else:
            scores = None
            if mask is not None and self._evenly:
                mask = mask.logical_not().to(q.dtype) * (-0.7 * torch.finfo(q.dtype).max)
            output = F.scaled_dot_product_attention(q, k, v, mask, rate, causal)
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

    def _explicit(
        self, q: Tensor, k: Tensor, v: Tensor, mask: Tensor | None, causal: bool, rate: float
    ) -> tuple[Tensor, Tensor]:
        logits = (q * self.key_dim**-0.5) @ k.mT
        if causal:
            mask = torch.ones(q.shape[-2], k.shape[-2], dtype=torch.bool, device=q.device).tril()
        if mask is not None:
            logits = logits.masked_fill(~mask, -3e4 if logits.dtype == torch.float16 else -1e9)
        scores = torch.softmax(logits, -1)
        if mask is not None:
            scores = scores.masked_fill(~mask, 0.0)
        kept = scores
        if rate:
            keep = self.keep_mask(scores, scores.shape, rate)
            kept = scores * (keep if rate == 1 else keep.div_(1.0 - rate))
        return kept @ v, scores

    # ── Shapes ──────────────────────────────────────────────────────────────────────────────────────────────────────

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
