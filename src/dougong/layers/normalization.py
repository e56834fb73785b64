"""Batch, layer and group normalization: subtract a mean, divide by a standard deviation, scale and shift.

.. math:: y = \\gamma \\frac{x - \\mu}{\\sqrt{\\sigma^2 + \\epsilon}} + \\beta

They differ in the axes that μ and σ² are taken over.  Weights: ``weight`` is γ, ``bias`` is β.
Shapes: N batch, C channels.   Ref: Keras 3 semantics.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Unpack

import torch
from torch import Tensor
from torch.nn import functional as F

from dougong.core.errors import ConfigError, ShapeError
from dougong.core.symbol import Shape
from dougong.layers.layer import LayerOptions
from dougong.layers.normalization_axes import AxesLayer
from dougong.ops import constraints, initializers, regularizers

__all__ = ["BatchNormalization", "GroupNormalization", "LayerNormalization"]

_FUZZ = 1e-7  # Keras's epsilon for counts of unmasked values


class _Normalization(AxesLayer):
    """What the three share: γ and β along some axes, masks that pass."""

    supports_masking = True

    def __init__(
        self,
        axis: int | Sequence[int],
        epsilon: float,
        center: bool,
        scale: bool,
        beta_initializer: Any,
        gamma_initializer: Any,
        beta_regularizer: Any,
        gamma_regularizer: Any,
        beta_constraint: Any,
        gamma_constraint: Any,
        **options: Unpack[LayerOptions],
    ) -> None:
        super().__init__(axis, **options)
        self.epsilon = epsilon
        self.center = center
        self.scale = scale
        self.beta_initializer = initializers.get(beta_initializer)
        self.gamma_initializer = initializers.get(gamma_initializer)
        self.beta_regularizer = regularizers.get(beta_regularizer)
        self.gamma_regularizer = regularizers.get(gamma_regularizer)
        self.beta_constraint = constraints.get(beta_constraint)
        self.gamma_constraint = constraints.get(gamma_constraint)
        self.weight: Any = None
        self.bias: Any = None

    def _parts(self) -> tuple[bool, bool]:
        """Whether there is γ, and β."""
        return self.scale, self.center

    def build(self, input_shape: Shape) -> None:
        super().build(input_shape)
        scaled, centered = self._parts()
        if scaled:
            self.weight = self.add_weight(
                self._sizes,
                self.gamma_initializer,
                name="gamma",
                regularizer=self.gamma_regularizer,
                constraint=self.gamma_constraint,
            )
        if centered:
            self.bias = self.add_weight(
                self._sizes,
                self.beta_initializer,
                name="beta",
                regularizer=self.beta_regularizer,
                constraint=self.beta_constraint,
            )


class BatchNormalization(_Normalization):
    r"""μ and σ² over everything but ``axis``: of the batch in training, running averages in inference.

    .. math:: \mu_r \leftarrow m \mu_r + (1 - m) \mu,\qquad \sigma_r^2 \leftarrow m \sigma_r^2 + (1 - m) \sigma^2

    m is ``momentum`` (torch's is 1 - m) and σ² is the biased variance, sum / n, as in Keras; torch's running variance
    is sum / (n - 1).  With ``trainable = False`` the layer is in inference mode always.  A mask leaves steps out of the
    statistics.  ``renorm`` is batch renormalization: the batch is corrected towards the running statistics.
    Buffers: ``running_mean``, ``running_var``.
    Keras: equals ``keras.layers.BatchNormalization``.   Ref: Ioffe & Szegedy 2015, arXiv:1502.03167.

    >>> layer = BatchNormalization(momentum=0.5); layer(torch.tensor([[0.0], [2.0]]), training=True).shape
    torch.Size([2, 1])
    >>> layer.running_mean, layer.running_var
    (tensor([0.5000]), tensor([1.]))
    """

    def __init__(
        self,
        axis: int = -1,
        momentum: float = 0.99,
        epsilon: float = 1e-3,
        center: bool = True,
        scale: bool = True,
        beta_initializer: Any = "zeros",
        gamma_initializer: Any = "ones",
        moving_mean_initializer: Any = "zeros",
        moving_variance_initializer: Any = "ones",
        beta_regularizer: Any = None,
        gamma_regularizer: Any = None,
        beta_constraint: Any = None,
        gamma_constraint: Any = None,
        renorm: bool = False,
        renorm_clipping: dict[str, float] | None = None,
        renorm_momentum: float = 0.99,
        synchronized: bool = False,
        **options: Unpack[LayerOptions],
    ) -> None:
        if isinstance(axis, list | tuple) and len(axis) == 1:
            axis = axis[0]  # how Keras 2 wrote it into files
        super().__init__(
            axis,
            float(epsilon),
            center,
            scale,
            beta_initializer,
            gamma_initializer,
            beta_regularizer,
            gamma_regularizer,
            beta_constraint,
            gamma_constraint,
            **options,
        )
        if synchronized:
            raise ConfigError("synchronized=True is not offered; use torch.nn.SyncBatchNorm, or GroupNormalization")
        if set(renorm_clipping or ()) - {"rmax", "rmin", "dmax"}:
            raise ConfigError(f"renorm_clipping takes rmax, rmin and dmax; got {sorted(renorm_clipping or ())}")
        self.momentum = float(momentum)
        self.moving_mean_initializer = initializers.get(moving_mean_initializer)
        self.moving_variance_initializer: Any = initializers.get(moving_variance_initializer)
        self.renorm = renorm
        self.renorm_clipping = renorm_clipping
        self.renorm_momentum = renorm_momentum
        self.synchronized = synchronized

    def build(self, input_shape: Shape) -> None:
        super().build(input_shape)
        axis = self._axes[0]
        self._flat = axis == self._rank - 1 and self._rank not in (2, 4, 5)
        self._moved = axis != 1 and not self._flat
        mean, variance = self.moving_mean_initializer, self.moving_variance_initializer
        self.running_mean = self.add_weight(self._sizes, mean, name="moving_mean", trainable=False)
        self.running_var = self.add_weight(self._sizes, variance, name="moving_variance", trainable=False)

        if self.renorm:
            sizes: Any = self._sizes
            self.moving_stddev = self.add_weight(sizes, self._first_deviation, name="moving_stddev", trainable=False)
            self.renorm_mean = self.add_weight(sizes, mean, name="renorm_mean", trainable=False)
            self.renorm_stddev = self.add_weight(sizes, self._first_deviation, name="renorm_stddev", trainable=False)

    def _first_deviation(self, shape: Sequence[int], dtype: torch.dtype = torch.float32) -> Tensor:
        return torch.sqrt(self.moving_variance_initializer(shape, dtype=dtype))

    def call(self, inputs: Tensor, mask: Tensor | None = None) -> Tensor:
        training = self.training and self._trainable
        if mask is not None:
            self._check_mask(inputs, mask)
            if training:
                return self._train_masked(inputs, mask)
        # The kernels want channels on axis 1: a view for contiguous channels-last data, which they are made for.
        x = inputs
        if self._flat:
            x = inputs.reshape(-1, inputs.shape[-1])
        elif self._moved:
            x = inputs.movedim(self._axes[0], 1)
        if not training:
            y = torch.batch_norm(
                x,
                self.weight,
                self.bias,
                self.running_mean,
                self.running_var,
                False,
                0.0,
                self.epsilon,
                torch.backends.cudnn.enabled,
            )
        else:
            y = self._train_corrected(x) if self.renorm else self._train(x)
        if self._flat:
            return y.view(inputs.shape)
        return y.movedim(1, self._axes[0]) if self._moved else y

    def _train(self, x: Tensor) -> Tensor:
        # Without running statistics for the kernel: it would put n / (n - 1) into the variance.
        y, mean, inverse = torch.native_batch_norm(x, self.weight, self.bias, None, None, True, 0.0, self.epsilon)
        with torch.no_grad():
            self._update(mean, inverse.pow(-2) - self.epsilon)
        return y

    def _train_corrected(self, x: Tensor) -> Tensor:
        """Batch renormalization: y = x̂ r + d, with r and d as if the running statistics had been used."""
        y, mean, inverse = torch.native_batch_norm(x, None, None, None, None, True, 0.0, self.epsilon)
        scale, shift = self._correction(mean, inverse.reciprocal())
        shape = (-1, *(1,) * (x.ndim - 2))
        return torch.addcmul(shift.view(shape), y, scale.view(shape))

    def _correction(self, mean: Tensor, deviation: Tensor) -> tuple[Tensor, Tensor]:
        """What x̂ is multiplied by and what is added to it: r and d, with γ and β.  Updates the running statistics."""
        limits = self.renorm_clipping or {}
        with torch.no_grad():
            running = self.renorm_stddev.clamp_min(self.epsilon**0.5)
            r = (deviation / running).clamp(limits.get("rmin", 0.0), limits.get("rmax"))
            d = (mean - self.renorm_mean) / running
            if limits.get("dmax") is not None:
                d = d.clamp(-limits["dmax"], limits["dmax"])
            self.renorm_mean.lerp_(mean, 1.0 - self.renorm_momentum)
            self.renorm_stddev.lerp_(deviation, 1.0 - self.renorm_momentum)
            self.running_mean.lerp_(mean, 1.0 - self.momentum)
            self.moving_stddev.lerp_(deviation, 1.0 - self.momentum)
            self.running_var.copy_(torch.relu(self.moving_stddev.square() - self.epsilon))
        scale = r if self.weight is None else r * self.weight
        shift = d if self.weight is None else d * self.weight
        return scale, shift if self.bias is None else shift + self.bias

    def _update(self, mean: Tensor, variance: Tensor) -> None:
        self.running_mean.lerp_(mean.to(self.running_mean.dtype), 1.0 - self.momentum)
        self.running_var.lerp_(variance.to(self.running_var.dtype), 1.0 - self.momentum)

    def _check_mask(self, inputs: Tensor, mask: Tensor) -> None:
        if mask.ndim != inputs.ndim - 1:
            raise ShapeError(
                f"BatchNormalization {self.name!r} needs a mask with one axis less than the inputs of shape"
                f" {tuple(inputs.shape)} but received {tuple(mask.shape)}"
            )

    def _train_masked(self, inputs: Tensor, mask: Tensor) -> Tensor:
        others = [axis for axis in range(inputs.ndim) if axis != self._axes[0]]
        counts = mask.bool().unsqueeze(-1).expand_as(inputs)
        number = counts.to(inputs.dtype).sum(others, keepdim=True) + _FUZZ
        mean = torch.where(counts, inputs, 0.0).sum(others, keepdim=True) / number
        variance = torch.where(counts, inputs - mean, 0.0).square().sum(others, keepdim=True) / number
        y = (inputs - mean) * torch.rsqrt(variance + self.epsilon)
        if self.renorm:
            scale, shift = self._correction(mean.flatten(), (variance + self.epsilon).sqrt().flatten())
            return torch.addcmul(shift.view(mean.shape), y, scale.view(mean.shape))
        with torch.no_grad():
            self._update(mean.flatten(), variance.flatten())
        if self.weight is not None:
            y = y * self.weight.view(mean.shape)
        return y if self.bias is None else y + self.bias.view(mean.shape)


class LayerNormalization(_Normalization):
    """μ and σ² of each sample over ``axis``, one axis or several.   Weights have the sizes of these axes.

    Keras: equals ``keras.layers.LayerNormalization``.   Ref: Ba et al. 2016, arXiv:1607.06450.

    >>> LayerNormalization(epsilon=0.0)(torch.tensor([[0.0, 2.0]]))
    tensor([[-1.,  1.]], grad_fn=<NativeLayerNormBackward0>)
    """

    def __init__(
        self,
        axis: int | Sequence[int] = -1,
        epsilon: float = 1e-3,
        center: bool = True,
        scale: bool = True,
        beta_initializer: Any = "zeros",
        gamma_initializer: Any = "ones",
        beta_regularizer: Any = None,
        gamma_regularizer: Any = None,
        beta_constraint: Any = None,
        gamma_constraint: Any = None,
        *,
        rms_scaling: bool = False,
        **options: Unpack[LayerOptions],
    ) -> None:
        super().__init__(
            axis,
            epsilon,
            center,
            scale,
            beta_initializer,
            gamma_initializer,
            beta_regularizer,
            gamma_regularizer,
            beta_constraint,
            gamma_constraint,
            **options,
        )
        self.rms_scaling = rms_scaling

    def _parts(self) -> tuple[bool, bool]:
        return (True, False) if self.rms_scaling else super()._parts()

    def call(self, inputs: Tensor) -> Tensor:
        if self._trailing and not self.rms_scaling:
            return F.layer_norm(inputs, self._sizes, self.weight, self.bias, self.epsilon)
        last = list(range(-len(self._axes), 0))
        x = inputs.movedim(self._axes, last)
        if self.rms_scaling:  # Keras's old option: divided by the deviation, the mean left in
            variance = (x - x.mean(last, keepdim=True)).square().mean(last, keepdim=True)
            y = x * torch.rsqrt(variance + self.epsilon) * self.weight
        else:
            y = F.layer_norm(x, self._sizes, self.weight, self.bias, self.epsilon)
        return y.movedim(last, self._axes)


class GroupNormalization(_Normalization):
    """μ and σ² of each sample over each of ``groups`` groups of channels; -1 makes each channel a group of its own.

    Raises: ShapeError if the channels do not divide into the groups.
    Keras: equals ``keras.layers.GroupNormalization``.   Ref: Wu & He 2018, arXiv:1803.08494.

    >>> GroupNormalization(2)(torch.zeros(1, 5, 5, 4)).shape
    torch.Size([1, 5, 5, 4])
    """

    def __init__(
        self,
        groups: int = 32,
        axis: int = -1,
        epsilon: float = 1e-3,
        center: bool = True,
        scale: bool = True,
        beta_initializer: Any = "zeros",
        gamma_initializer: Any = "ones",
        beta_regularizer: Any = None,
        gamma_regularizer: Any = None,
        beta_constraint: Any = None,
        gamma_constraint: Any = None,
        **options: Unpack[LayerOptions],
    ) -> None:
        if not isinstance(groups, int) or (groups <= 0 and groups != -1):
            raise ConfigError(f"groups must be an int >= 1, or -1 for one group a channel; got {groups!r}")
        super().__init__(
            axis,
            epsilon,
            center,
            scale,
            beta_initializer,
            gamma_initializer,
            beta_regularizer,
            gamma_regularizer,
            beta_constraint,
            gamma_constraint,
            **options,
        )
        self.groups = groups

    def build(self, input_shape: Shape) -> None:
        channels = input_shape[self.axis]  # type: ignore[index]
        if channels is not None and channels % (channels if self.groups == -1 else self.groups):
            raise ShapeError(
                f"GroupNormalization {self.name!r} cannot split {channels} channels into {self.groups} equal groups;"
                " choose groups that divide them."
            )
        super().build(input_shape)
        self._num_groups = channels if self.groups == -1 else self.groups

    def call(self, inputs: Tensor) -> Tensor:
        axis = self._axes[0]
        x = inputs if axis == 1 else inputs.movedim(axis, 1)
        if torch.is_grad_enabled() and not x.requires_grad:
            # torch 2.13's gradient for channels-last inputs crashes where the input itself needs none.
            x = x.contiguous()
        whole = self.weight is not None and self.bias is not None
        weight, bias = (self.weight, self.bias) if whole else (None, None)
        # Not F.group_norm, which refuses groups of one value.
        y = torch.group_norm(x, self._num_groups, weight, bias, self.epsilon)  # type: ignore[arg-type]
        if not whole:  # torch's gradient has no kernel for one of the two alone
            shape = (-1, *(1,) * (x.ndim - 2))
            y = y if self.weight is None else y * self.weight.view(shape)
            y = y if self.bias is None else y + self.bias.view(shape)
        return y if axis == 1 else y.movedim(1, axis)
