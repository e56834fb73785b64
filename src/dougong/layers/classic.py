"""Layers of classic networks that Keras has not: LocalResponseNormalization, Maxout, RBF, HardLim, Sign.

Shapes: N batch, C channels, F features, U units.
"""

from __future__ import annotations

from functools import partial
from typing import Any, Unpack

import torch
from torch import Tensor
from torch.nn import functional as F

from dougong.core.arithmetic import data_format_of
from dougong.core.errors import ConfigError
from dougong.core.layout import Layout
from dougong.core.symbol import Shape
from dougong.layers.layer import Layer, LayerOptions
from dougong.ops import constraints, initializers, regularizers

__all__ = ["RBF", "HardLim", "LocalResponseNormalization", "Maxout", "Sign"]


class LocalResponseNormalization(Layer):
    r"""Divides by a power of the squares summed over neighbouring channels, AlexNet's normalization.

    .. math:: y_c = x_c \Big/ \Big(k + \alpha \sum_{j = c - r}^{c + r} x_j^2\Big)^{\beta}

    k = ``bias``, r = ``depth_radius``; channels outside count as 0.  Two conventions are in use for α and the window:
    the paper and TensorFlow (``tf.nn.lrn``) name the radius and take α as it is; Caffe, torch and MATLAB name the
    window ``size`` = 2r + 1 and divide α by it.  Give ``size`` instead of ``depth_radius`` for the second.
    Defaults are AlexNet's: radius 2, k = 2, α = 1e-4, β = 0.75.   Ref: Krizhevsky et al. 2012, section 3.3.

    >>> x = torch.ones(1, 1, 1, 4)
    >>> LocalResponseNormalization(1, bias=1.0, alpha=1.0, beta=1.0)(x).flatten().tolist()
    [0.3333333432674408, 0.25, 0.25, 0.3333333432674408]
    >>> LocalResponseNormalization(size=3, bias=1.0, alpha=3.0, beta=1.0)(x).flatten().tolist()
    [0.3333333432674408, 0.25, 0.25, 0.3333333432674408]
    """

    keras_module = "dougong.layers"
    supports_masking = True

    def __init__(
        self,
        depth_radius: int | None = None,
        bias: float = 2.0,
        alpha: float = 1e-4,
        beta: float = 0.75,
        *,
        size: int | None = None,
        data_format: str | None = None,
        **options: Unpack[LayerOptions],
    ) -> None:
        super().__init__(**options)
        if depth_radius is not None and size is not None:
            raise ConfigError("give depth_radius (alpha as it is) or size (alpha divided by size), not both")
        if (size if size is not None else 1) < 1 or (depth_radius or 0) < 0:
            raise ConfigError(f"depth_radius must be >= 0 and size >= 1; got {depth_radius}, {size}")
        self.depth_radius = depth_radius
        self.size = size
        self.bias = bias
        self.alpha = alpha
        self.beta = beta
        self.data_format = data_format_of(data_format)
        radius = 2 if depth_radius is None else depth_radius
        self._window = size or 2 * radius + 1
        self._alpha = alpha if size is None else alpha / size

    def call(self, inputs: Tensor) -> Tensor:
        last = self.data_format == "channels_last"
        squares = inputs.square() if last else inputs.square().movedim(1, -1)
        padded = F.pad(squares, (self._window // 2, (self._window - 1) // 2))
        sums = padded.unfold(-1, self._window, 1).sum(-1)
        sums = sums if last else sums.movedim(-1, 1)
        return inputs * (self.bias + self._alpha * sums).pow(-self.beta)

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        return input_shape


class Maxout(Layer):
    r"""The largest of ``pieces`` linear functions for each unit: a learned convex activation.

    .. math:: y_u = \max_p\ (x^\top W_{u p} + b_{u p})

    Shapes: ``[N, ..., F] -> [N, ..., U]``; weight ``[U * pieces, F]``, kernel ``[F, U, pieces]``.
    Ref: Goodfellow et al. 2013, arXiv:1302.4389.

    >>> Maxout(4, pieces=3)(torch.zeros(2, 5)).shape
    torch.Size([2, 4])
    """

    keras_module = "dougong.layers"
    supports_masking = True

    def __init__(
        self,
        units: int,
        pieces: int = 2,
        use_bias: bool = True,
        kernel_initializer: Any = "glorot_uniform",
        bias_initializer: Any = "zeros",
        kernel_regularizer: Any = None,
        bias_regularizer: Any = None,
        kernel_constraint: Any = None,
        bias_constraint: Any = None,
        **options: Unpack[LayerOptions],
    ) -> None:
        super().__init__(**options)
        if units < 1 or pieces < 1:
            raise ConfigError(f"units and pieces must be >= 1; got {units}, {pieces}")
        self.units = units
        self.pieces = pieces
        self.use_bias = use_bias
        self.kernel_initializer = initializers.get(kernel_initializer)
        self.bias_initializer = initializers.get(bias_initializer)
        self.kernel_regularizer = regularizers.get(kernel_regularizer)
        self.bias_regularizer = regularizers.get(bias_regularizer)
        self.kernel_constraint = constraints.get(kernel_constraint)
        self.bias_constraint = constraints.get(bias_constraint)

    def build(self, input_shape: Shape) -> None:
        self._features = features = input_shape[-1]
        units, pieces = self.units, self.pieces
        kernel = Layout(partial(_kernel_to_keras, pieces=pieces), _kernel_from_keras)
        self.weight = self.add_weight(
            (features, units, pieces),  # type: ignore[arg-type]
            self.kernel_initializer,
            name="kernel",
            regularizer=self.kernel_regularizer,
            constraint=self.kernel_constraint,
            layout=kernel,
        )
        self.bias = None
        if self.use_bias:
            self.bias = self.add_weight(
                (units, pieces),
                self.bias_initializer,
                name="bias",
                regularizer=self.bias_regularizer,
                constraint=self.bias_constraint,
                layout=Layout(partial(_bias_to_keras, pieces=pieces), torch.flatten),
            )

    def call(self, inputs: Tensor) -> Tensor:
        return F.linear(inputs, self.weight, self.bias).unflatten(-1, (self.units, self.pieces)).amax(-1)

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        return *input_shape[:-1], self.units

    def input_problem(self, shape: Shape) -> str | None:
        return _features_problem(shape, self._features)


def _kernel_to_keras(weight: Tensor, pieces: int) -> Tensor:
    return weight.unflatten(0, (-1, pieces)).permute(2, 0, 1)


def _kernel_from_keras(kernel: Tensor) -> Tensor:
    return kernel.permute(1, 2, 0).flatten(0, 1)


def _bias_to_keras(bias: Tensor, pieces: int) -> Tensor:
    return bias.unflatten(0, (-1, pieces))


def _features_problem(shape: Shape, features: int | None) -> str | None:
    size = shape[-1] if shape else None
    if len(shape) >= 2 and size in (None, features):
        return None
    advice = "" if len(shape) == 2 else "add Flatten() before it or "
    return f"was built for {features} features but received shape {tuple(shape)}; {advice}build with {size}."


class RBF(Layer):
    r"""Gaussian units: each has a centre c and a width σ of its own, both trained.

    .. math:: y_u = \exp\!\left(-\frac{\lVert x - c_u \rVert^2}{2 \sigma_u^2}\right)

    Shapes: ``[N, ..., F] -> [N, ..., U]``; centres ``[U, F]``, widths ``[U]``.   Units: σ has x's.
    MATLAB: ``radbas(dist(c, x) * b)`` with b = 1 / (σ √2).   Ref: Broomhead & Lowe 1988.

    >>> layer = RBF(1, centers_initializer="zeros")
    >>> layer(torch.tensor([[0.0, 0.0], [1.0, 1.0]])).tolist()
    [[1.0], [0.3678794503211975]]
    """

    keras_module = "dougong.layers"

    def __init__(
        self,
        units: int,
        centers_initializer: Any = "random_normal",
        widths_initializer: Any = "ones",
        **options: Unpack[LayerOptions],
    ) -> None:
        super().__init__(**options)
        if units < 1:
            raise ConfigError(f"units must be >= 1; got {units}")
        self.units = units
        self.centers_initializer = initializers.get(centers_initializer)
        self.widths_initializer = initializers.get(widths_initializer)

    def build(self, input_shape: Shape) -> None:
        self._features = features = input_shape[-1]
        self.centers = self.add_weight((self.units, features), self.centers_initializer, name="centers")  # type: ignore[arg-type]
        self.widths = self.add_weight((self.units,), self.widths_initializer, name="widths")

    def call(self, inputs: Tensor) -> Tensor:
        # Differences first: expanding the square would lose small distances to rounding.
        squared = (inputs.unsqueeze(-2) - self.centers).square().sum(-1)
        return torch.exp(-0.5 * squared / self.widths.square())

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        return *input_shape[:-1], self.units

    def input_problem(self, shape: Shape) -> str | None:
        return _features_problem(shape, self._features)


class HardLim(Layer):
    """1 from 0 on, else 0.   Its gradient is 0: for perceptrons and trained networks.   MATLAB: ``hardlim``.

    >>> HardLim()(torch.tensor([-0.5, 0.0, 2.0]))
    tensor([0., 1., 1.])
    """

    keras_module = "dougong.layers"
    supports_masking = True

    def call(self, inputs: Tensor) -> Tensor:
        return (inputs >= 0).to(inputs.dtype)

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        return input_shape


class Sign(Layer):
    """-1, 0 or 1, by the sign.   Its gradient is 0.   MATLAB: ``hardlims`` differs at 0, where it gives 1.

    >>> Sign()(torch.tensor([-0.5, 0.0, 2.0]))
    tensor([-1.,  0.,  1.])
    """

    keras_module = "dougong.layers"
    supports_masking = True

    def call(self, inputs: Tensor) -> Tensor:
        return torch.sign(inputs)

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        return input_shape
