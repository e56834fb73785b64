"""What layers of several attention heads share: projections, masks, and the kernel itself.

Shapes: N batch, Q queries, K keys, H heads, D width of a head, F features.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import torch
from torch import Tensor
from torch.nn import functional as F

from dougong.core.errors import ConfigError, ShapeError
from dougong.core.symbol import Shape, Symbol
from dougong.layers.einsum_dense import EinsumDense
from dougong.layers.regularization import RandomLayer
from dougong.ops import constraints, initializers, regularizers

__all__ = ["HeadedAttention"]

_INPUTS = ("query", "value", "key")


class HeadedAttention(RandomLayer):
    """Attention over projected queries, keys and values.  Called as ``layer(query, value, key=None)``.

    Each projection is an `EinsumDense` whose weights are used directly; it is called as a layer only where
    ``activity_regularizer`` wants its output, as in Keras.  ``flash_attention`` is accepted: torch picks its fastest
    kernel itself.
    """

    query_dense: EinsumDense
    key_dense: EinsumDense
    value_dense: EinsumDense
    gate_dense: EinsumDense | None
    output_dense: EinsumDense
    head_words: ClassVar[tuple[str, ...]]  # the arguments that count heads and their widths
    keras_places: ClassVar[Mapping[str, str]]  # what Keras's files call the projections, where it is another name
    _evenly: bool
    _widths: tuple[Any, Any]

    def __init__(
        self,
        seed: int | None,
        dropout: float,
        use_bias: bool,
        sliding_window: int | None,
        flash_attention: bool | None,
        kernel_initializer: Any,
        bias_initializer: Any,
        kernel_regularizer: Any,
        bias_regularizer: Any,
        activity_regularizer: Any,
        kernel_constraint: Any,
        bias_constraint: Any,
        use_gate: bool,
        **options: Any,
    ) -> None:
        super().__init__(seed, **options)
        if sliding_window is not None and (not isinstance(sliding_window, int) or sliding_window <= 0):
            raise ConfigError(f"sliding_window must be None or an int >= 1; got {sliding_window!r}")
        if flash_attention and dropout > 0:
            raise ConfigError("flash_attention has no dropout; set dropout to 0 or leave flash_attention out")
        self.dropout = dropout
        self.use_bias = use_bias
        self.sliding_window = sliding_window
        self.flash_attention = flash_attention
        self.kernel_initializer = initializers.get(kernel_initializer)
        self.bias_initializer = initializers.get(bias_initializer)
        self.kernel_regularizer = regularizers.get(kernel_regularizer)
        self.bias_regularizer = regularizers.get(bias_regularizer)
        self.projection_regularizer = regularizers.get(activity_regularizer)
        self.kernel_constraint = constraints.get(kernel_constraint)
        self.bias_constraint = constraints.get(bias_constraint)
        self.use_gate = use_gate

    def _check_counts(self) -> None:
        for word in self.head_words:
            size = getattr(self, word)
            if not isinstance(size, int) or size <= 0:
                raise ConfigError(f"{word} must be an int >= 1; got {size!r}")

    # ── Building ────────────────────────────────────────────────────────────────────────────────────────────────────

    def _projection(
        self, name: str, inputs: Sequence[int | None], outputs: Sequence[int | None], activation: Any = None
    ) -> EinsumDense:
        """A linear map from the last axes of ``inputs`` to ``outputs``."""
        letters = "abcdefghijklmnopqrstuvwxyz"
        summed, made = letters[: len(inputs)], letters[len(inputs) : len(inputs) + len(outputs)]
        layer = EinsumDense(
            f"...{summed},{summed}{made}->...{made}",
            outputs,
            activation,
            bias_axes=made if self.use_bias else None,
            kernel_initializer=initializers.fresh(self.kernel_initializer),
            bias_initializer=initializers.fresh(self.bias_initializer),
            kernel_regularizer=self.kernel_regularizer,
            bias_regularizer=self.bias_regularizer,
            activity_regularizer=self.projection_regularizer,
            kernel_constraint=self.kernel_constraint,
            bias_constraint=self.bias_constraint,
            name=name,
            trainable=self.trainable,
            dtype=self.dtype_policy,
        )
        layer.build((None, *inputs))
        return layer

    def _project(self, layer: EinsumDense, inputs: Tensor) -> Tensor:
        return layer.call(inputs) if self.projection_regularizer is None else layer(inputs)

    def _build_for(self, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> None:
        given = dict(zip(_INPUTS, args)) | dict(kwargs)
        if given.get("query") is None or given.get("value") is None:
            kind = type(self).__name__
            raise ShapeError(f"{kind} {self.name!r} is called with a query and a value: layer(query, value)")
        shapes = [None if given.get(word) is None else tuple(given[word].shape) for word in _INPUTS]
        self.build(*shapes)  # type: ignore[arg-type]

    def _check_lengths(self, value_shape: Shape, key_shape: Shape) -> None:
        if tuple(value_shape[1:-1]) != tuple(key_shape[1:-1]):
            raise ShapeError(
                f"{type(self).__name__} {self.name!r} needs a value for each key, but received values of shape"
                f" {tuple(value_shape)} and keys of shape {tuple(key_shape)}."
            )

    # ── Calling ─────────────────────────────────────────────────────────────────────────────────────────────────────

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        """As `Layer.forward`, with the masks of query, value and key as arguments of their own."""
        tensors = dict(zip(_INPUTS, args)) | kwargs
        for word in _INPUTS:
            one = tensors.get(word)
            mask = one.mask if isinstance(one, Symbol) else getattr(one, "_keras_mask", None)
            if mask is not None and kwargs.get(f"{word}_mask") is None:
                kwargs[f"{word}_mask"] = mask
        if self.built and self._plain and not kwargs and all(type(one) is Tensor for one in args):
            try:
                return self.call(*args)
            except (RuntimeError, IndexError) as error:
                self._check_input(args, error)
                if not self._may_cast(args[0]):
                    raise
        return super().forward(*args, **kwargs)

    def _check_input(self, inputs: Any, cause: Exception | None = None) -> None:
        arrays = inputs if isinstance(inputs, tuple) else (inputs,)
        for word, one, width in zip(("queries", "values"), arrays, self._widths):
            if one.shape[-1] not in (None, width):
                raise ShapeError(
                    f"{type(self).__name__} {self.name!r} was built for {word} of {width} features but received shape"
                    f" {tuple(one.shape)}; build with {one.shape[-1]}."
                ) from cause

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

    def _kernel(
        self, q: Tensor, k: Tensor, v: Tensor, mask: Tensor | None, with_scores: bool, causal: bool
    ) -> tuple[Tensor, Tensor | None]:
        """Means of the values, and the scores where asked for.

        Shapes: ``[N, H, Q, D], [N, G, K, D], [N, G, K, V]`` and a mask ``[N, 1 or H, Q, K] -> [N, H, Q, V]``; each of
        the G heads of keys serves H / G heads of queries.
        """
        if causal and mask is not None:
            mask = mask & _earlier(q, k)
            causal = False
        rate = self.dropout if self.training else 0.0
        grouped = q.shape[1] != k.shape[1]
        if with_scores or (rate and self.seed is not None):
            if grouped:
                k, v = (one.repeat_interleave(q.shape[1] // one.shape[1], 1) for one in (k, v))
            return self._explicit(q, k, v, _earlier(q, k) if causal else mask, rate)
        if mask is not None and self._evenly:
            # What a query that may see nothing gives: as in Keras, the mean of all values here and zeros otherwise.
            mask = mask.logical_not().to(q.dtype) * (-0.7 * torch.finfo(q.dtype).max)
        return F.scaled_dot_product_attention(q, k, v, mask, rate, causal, enable_gqa=grouped), None

    def _explicit(self, q: Tensor, k: Tensor, v: Tensor, mask: Tensor | None, rate: float) -> tuple[Tensor, Tensor]:
        logits = (q * q.shape[-1] ** -0.5) @ k.mT
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

    def _output(self, attended: Tensor, query: Tensor) -> Tensor:
        """The heads, ``[..., H, D]``, joined."""
        if self.gate_dense is not None:
            attended = attended * self._project(self.gate_dense, query)
        return self._project(self.output_dense, attended)

    def get_config(self) -> dict[str, Any]:
        """The constructor's arguments; torch's choice of a kernel is none of them, as in Keras."""
        config = super().get_config()
        del config["flash_attention"]
        if self.projection_regularizer is not None:
            config["activity_regularizer"] = regularizers.serialize(self.projection_regularizer)
        return config


def _earlier(q: Tensor, k: Tensor) -> Tensor:
    """True where a key does not come after the query."""
    return torch.ones(q.shape[-2], k.shape[-2], dtype=torch.bool, device=q.device).tril()
