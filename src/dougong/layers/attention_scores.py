"""Attention without projections: values averaged by how queries and keys agree, or by how their sum does.

Shapes: N batch, Q queries, K keys, D width of queries and keys, V width of values.
"""

from __future__ import annotations

from typing import Any, Unpack

import torch
from torch import Tensor
from torch.nn import functional as F

from dougong.core.errors import ConfigError, ShapeError
from dougong.core.symbol import Shape, Symbol
from dougong.layers.layer import REFUSALS, LayerOptions
from dougong.layers.merging import unmasked
from dougong.layers.regularization import RandomLayer

__all__ = ["AdditiveAttention", "Attention"]


class Attention(RandomLayer):
    r"""Each query takes a mean of the values, weighted by how it agrees with each key.   Also known as Luong's.

    .. math:: y = \operatorname{softmax}(s)\, v,\qquad s = a\, q k^\top \quad\text{or}\quad
              s = w \sum_D \tanh(a (q + k)) \ \text{(score_mode "concat")}

    Called as ``layer([query, value])`` or ``layer([query, value, key])``; the key is the value unless given.
    ``use_scale`` learns a, 1 otherwise; w is learnt.  Masked values do not count, masked queries give 0;
    ``use_causal_mask`` hides later values from a query.  ``return_attention_scores`` adds the weights of the mean.
    Shapes: ``[N, Q, D], [N, K, V], [N, K, D] -> [N, Q, V]``; scores ``[N, Q, K]``.
    Raises: ShapeError unless given two or three tensors.
    Keras: equals ``keras.layers.Attention``, random stream apart.   Ref: Luong et al. 2015, arXiv:1508.04025.

    >>> query, value = torch.zeros(1, 2, 3), torch.tensor([[[1.0], [3.0]]]).expand(1, 2, 3)
    >>> Attention()([query, value]).tolist()
    [[[2.0, 2.0, 2.0], [2.0, 2.0, 2.0]]]
    """

    def __init__(
        self,
        use_scale: bool = False,
        score_mode: str = "dot",
        dropout: float = 0.0,
        seed: int | None = None,
        **options: Unpack[LayerOptions],
    ) -> None:
        super().__init__(seed, **options)
        if score_mode not in ("dot", "concat"):
            raise ConfigError(f"score_mode must be 'dot' or 'concat'; got {score_mode!r}")
        self.use_scale = use_scale
        self.score_mode = score_mode
        self.dropout = dropout
        if dropout > 0:
            self.reserve_seed()
        self.scale: Any = None
        self.concat_score_weight: Any = None

    def build(self, input_shape: Any) -> None:
        self._require(input_shape)
        if self.use_scale:
            self.scale = self.add_weight((), "ones", name="scale")
        if self.score_mode == "concat":
            self.concat_score_weight = self.add_weight((), "ones", name="concat_score_weight")

    def _require(self, shapes: Any) -> None:
        problem = self.input_problem(shapes)
        if problem is not None:
            raise ShapeError(f"{type(self).__name__} {self.name!r} {problem}")

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        if self.built and self._plain and not kwargs and len(args) == 1 and unmasked(args[0]):
            try:
                return self.call(args[0])
            except REFUSALS as error:
                self._check_input(args[0], error)
                raise
        return super().forward(*args, **kwargs)

    def call(
        self,
        inputs: Any,
        mask: Any = None,
        return_attention_scores: bool = False,
        use_causal_mask: bool = False,
    ) -> Any:
        query, value, key = inputs if len(inputs) == 3 else (*inputs, inputs[1])
        rate = self.dropout if self.training else 0.0
        bias = self._bias(query, value, mask, use_causal_mask)
        if query.is_cuda and self.score_mode == "dot" and not return_attention_scores and not rate:
            # There one kernel saves the memory of the scores; on the CPU it is no faster and its gradient slower.
            outputs, scores = self._fused(query, value, key, bias), None
        else:
            scores = self.agreement(query, key)
            scores = torch.softmax(scores if bias is None else scores + bias, -1)
            kept = scores
            if rate:
                kept = scores * self.keep_mask(scores, scores.shape, rate) / (1.0 - rate if rate < 1 else 1.0)
            outputs = kept @ value
        if mask is not None and mask[0] is not None:
            outputs = torch.where(mask[0].bool().unsqueeze(-1), outputs, 0.0)
        return (outputs, scores) if return_attention_scores else outputs

    def _fused(self, query: Tensor, value: Tensor, key: Tensor, bias: Tensor | None) -> Tensor:
        query = query if self.scale is None else query * self.scale
        q, k, v = (one.unsqueeze(-3) for one in (query, key, value))  # one head: the kernels want four axes
        hidden = None if bias is None else bias.unsqueeze(-3)
        return F.scaled_dot_product_attention(q, k, v, hidden, scale=1.0).squeeze(-3)

    def agreement(self, query: Tensor, key: Tensor) -> Tensor:
        """The scores before masks and softmax.   Shapes: ``[N, Q, D], [N, K, D] -> [N, Q, K]``."""
        if self.score_mode == "dot":
            scores = query @ key.mT
            return scores if self.scale is None else scores * self.scale
        both = query.unsqueeze(-2) + key.unsqueeze(-3)
        both = both if self.scale is None else both * self.scale
        return both.tanh_().sum(-1) * self.concat_score_weight

    def _bias(self, query: Tensor, value: Tensor, mask: Any, causal: bool) -> Tensor | None:
        """What is added to scores: far below 0 where a query may not look; None where there is nothing to hide."""
        seen = None if mask is None or mask[1] is None else mask[1].bool().unsqueeze(-2)
        if causal:
            earlier = torch.ones(query.shape[-2], value.shape[-2], dtype=torch.bool, device=query.device).tril()
            seen = earlier if seen is None else seen & earlier
        if seen is None:
            return None
        lowest = -65504.0 if query.dtype == torch.float16 else -1e9  # Keras's: where all is hidden, all counts alike
        return torch.zeros(seen.shape, dtype=query.dtype, device=query.device).masked_fill_(~seen, lowest)

    def compute_mask(self, inputs: Any, mask: Any = None) -> Any:
        return None if mask is None else mask[0]

    def compute_output_shape(self, input_shape: Any) -> Shape:
        return (*input_shape[0][:-1], input_shape[1][-1])

    def compute_output_spec(self, *args: Any, **kwargs: Any) -> Any:
        inputs = args[0]
        output = Symbol(self.compute_output_shape([one.shape for one in inputs]), inputs[0].dtype, name="value")
        if not kwargs.get("return_attention_scores"):
            return output
        return output, Symbol((*inputs[0].shape[:-1], inputs[-1].shape[-2]), inputs[0].dtype, name="value")

    def input_problem(self, shape: Any) -> str | None:
        whole = isinstance(shape, list | tuple) and all(isinstance(one, list | tuple) for one in shape)
        if not whole or len(shape) not in (2, 3):
            return f"is called with [query, value] or [query, value, key] but received shape {shape}."
        query, value, key = map(tuple, shape if len(shape) == 3 else (*shape, shape[1]))
        if query[-1] != key[-1] and None not in (query[-1], key[-1]):
            return f"compares queries with keys of equal width, but received shapes {query} and {key}."
        if value[-2] != key[-2] and None not in (value[-2], key[-2]):
            return f"needs a value for each key, but received shapes {value} and {key}."
        return None


class AdditiveAttention(Attention):
    r"""As `Attention`, with scores from the sum of query and key.   Also known as Bahdanau's.

    .. math:: s = \sum_D a_D \tanh(q_D + k_D)

    ``use_scale`` learns a, one number for each feature; 1 otherwise.
    Keras: equals ``keras.layers.AdditiveAttention``, random stream apart.   Ref: Bahdanau et al. 2015, arXiv:1409.0473.

    >>> AdditiveAttention()([torch.zeros(2, 5, 8), torch.zeros(2, 3, 8)]).shape
    torch.Size([2, 5, 8])
    """

    def __init__(self, use_scale: bool = True, dropout: float = 0.0, **options: Any) -> None:
        super().__init__(use_scale, dropout=dropout, **options)
        self.score_mode = "additive"

    def build(self, input_shape: Any) -> None:
        self._require(input_shape)
        if self.use_scale:
            self.scale = self.add_weight((input_shape[0][-1],), "glorot_uniform", name="scale")

    def agreement(self, query: Tensor, key: Tensor) -> Tensor:
        both = (query.unsqueeze(-2) + key.unsqueeze(-3)).tanh_()
        return both.sum(-1) if self.scale is None else both @ self.scale

    def get_config(self) -> dict[str, Any]:
        config = super().get_config()
        del config["score_mode"]
        return config
