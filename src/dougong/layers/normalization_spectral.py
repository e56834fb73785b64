"""Spectral normalization: a wrapper that keeps the largest singular value of a layer's kernel at 1.

Shapes: K outputs, R all other sizes of the kernel in one.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor

from dougong.core.errors import ConfigError
from dougong.core.symbol import Shape
from dougong.core.weights import KerasWeight
from dougong.layers.wrappers import Wrapper
from dougong.ops.initializers import TruncatedNormal

__all__ = ["SpectralNormalization"]

_SMALL = 1e-7  # Keras's epsilon: below it a vector counts as zero


class SpectralNormalization(Wrapper):
    r"""Divides the wrapped layer's kernel by its spectral norm at each call in training, in place.

    .. math:: W \leftarrow W / \sigma,\qquad \sigma = v W u^\top,\qquad v = \frac{u W^\top}{\|u W^\top\|},\quad
              u \leftarrow \frac{v W}{\|v W\|}

    W is the kernel as a matrix ``[R, K]``; ``vector_u`` ``[1, K]`` is kept, so that one of ``power_iterations`` a call
    is enough.  A kernel of zeros is left alone.  The layer wrapped has a ``kernel``, or ``embeddings``.
    Raises: ConfigError for a layer with neither.
    Keras: equals ``keras.layers.SpectralNormalization``, but outputs keep their dtype where inputs are whole numbers.
    Ref: Miyato et al. 2018, arXiv:1802.05957.

    >>> from dougong.layers.dense import Dense
    >>> layer = SpectralNormalization(Dense(3), power_iterations=30)
    >>> layer(torch.ones(1, 4), training=True).shape
    torch.Size([1, 3])
    >>> round(torch.linalg.matrix_norm(layer.layer.kernel, 2).item(), 3)
    1.0
    """

    def __init__(self, layer: Any, power_iterations: int = 1, **options: Any) -> None:
        super().__init__(layer, **options)
        if power_iterations <= 0:
            raise ConfigError(f"power_iterations must be an int >= 1; got {power_iterations!r}")
        self.power_iterations = power_iterations

    def build(self, input_shape: Shape) -> None:
        super().build(input_shape)
        kernel = self._kernel()
        shape = (1, kernel.value().shape[-1])
        self.vector_u = self.add_weight(
            shape, TruncatedNormal(stddev=0.02), kernel.tensor.dtype, trainable=False, name="vector_u"
        )

    def _kernel(self) -> KerasWeight:
        """What is normalized, as Keras sees it."""
        own = self.layer.keras_weights() if hasattr(self.layer, "keras_weights") else ()
        found = next((weight for weight in own if weight.name in ("kernel", "embeddings")), None)
        if found is None:
            raise ConfigError(f"SpectralNormalization needs a layer with a kernel or embeddings; got {self.layer!r}")
        return found

    def keras_weights(self) -> Iterator[KerasWeight]:
        """The kernel, which Keras counts as this layer's, then ``vector_u``."""
        if self.built:
            yield self._kernel()
        yield from super().keras_weights()

    def call(self, inputs: Tensor) -> Tensor:
        if self.training:
            with torch.no_grad():
                self._normalize(self._kernel())
        return self.layer(inputs)

    def _normalize(self, kernel: KerasWeight) -> None:
        value = kernel.value()
        matrix = value.reshape(-1, value.shape[-1])
        u = v = self.vector_u
        for _ in range(self.power_iterations):
            v = _to_unit(u @ matrix.t())
            u = _to_unit(v @ matrix)
        norm = v @ matrix @ u.t()
        empty = (matrix == 0).all()
        self.vector_u.copy_(torch.where(empty, self.vector_u, u))
        kernel.assign(value / torch.where(empty, 1.0, norm).squeeze())

    def compute_output_shape(self, input_shape: Any) -> Any:
        return self.layer.compute_output_shape(input_shape)

    def input_problem(self, shape: Any) -> str | None:
        problem = self.layer.input_problem(shape)
        return problem and f"received shape {tuple(shape)}, but its layer {self.layer.name!r} {problem}"


def _to_unit(x: Tensor) -> Tensor:
    return x * torch.rsqrt(x.square().sum()).clamp_max(1 / _SMALL)
