r"""Numbers into bins, whose boundaries are given or learned as quantiles.

A summary of data is a pair of rows: values in order, and how many numbers each stands for.  Summaries are merged and
thinned to about :math:`1/\varepsilon` values, so that any amount of data needs little memory.   Ref: Keras 3 semantics.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Self, Unpack

import numpy as np
import torch
from torch import Tensor

from dougong.core.errors import BuildError, ConfigError, DataError
from dougong.core.symbol import Shape, Symbol
from dougong.layers.adapting import batches_of, numbers
from dougong.layers.category_encoding import check_output_mode, encoded, encoded_shape
from dougong.layers.layer import Layer, LayerOptions
from dougong.ops.op import tensor

__all__ = ["Discretization"]


class Discretization(Layer):
    """The number of the bin that each number falls into: boundaries ``b`` make bins ``x < b[0], b[0] <= x < b[1], …``.

    Either ``bin_boundaries`` are given, or ``num_bins`` and `adapt` finds boundaries that part the data evenly, up to
    ``epsilon`` of them.  NaN falls into the last bin.
    Shapes: any; output modes as in `encoded`.   Output: int32, or the layer's dtype where encoded.
    Raises: ConfigError for arguments that cannot be; BuildError when called before the boundaries are known.
    Keras: equals ``keras.layers.Discretization``.

    >>> Discretization([0.0, 1.0, 2.0])(torch.tensor([[-1.5, 1.0, 3.4, 0.5]]))
    tensor([[0, 2, 3, 1]], dtype=torch.int32)
    >>> layer = Discretization(num_bins=2); layer.adapt(np.array([1.0, 2.0, 3.0, 4.0])); layer.bin_boundaries
    [2.0]
    """

    def __init__(
        self,
        bin_boundaries: Sequence[float] | None = None,
        num_bins: int | None = None,
        epsilon: float = 0.01,
        output_mode: str = "int",
        sparse: bool = False,
        **options: Unpack[LayerOptions],
    ) -> None:
        super().__init__(**options)
        if (bin_boundaries is None) == (num_bins is None):
            raise ConfigError(
                f"Discretization {self.name!r} needs either bin_boundaries=[…], or num_bins=… and then adapt(data)"
            )
        if num_bins is not None and num_bins < 0:
            raise ConfigError(f"Discretization {self.name!r}: num_bins must be 0 or more, got {num_bins}")
        modes = ("int", "one_hot", "multi_hot", "count")
        self.output_mode = check_output_mode(type(self).__name__, output_mode, modes, sparse=sparse)
        self.num_bins, self.epsilon, self.sparse = num_bins, epsilon, sparse
        self.summary = np.zeros((2, 0), "float32")
        self._bins: Tensor
        self._set_boundaries(bin_boundaries)

    def _set_boundaries(self, boundaries: Sequence[float] | None) -> None:
        self.bin_boundaries = None if boundaries is None else [float(one) for one in boundaries]
        if self.bin_boundaries != sorted(self.bin_boundaries or []) and boundaries is not None:
            raise ConfigError(f"Discretization {self.name!r} needs bin_boundaries in ascending order; sort them")
        kind = self.dtype_policy.weights
        self.register_buffer("_bins", torch.tensor(self.bin_boundaries or [], dtype=kind), persistent=False)

    def adapt(self, data: Any, steps: int | None = None) -> None:
        """Learn the boundaries from an array, or from an iterable of batches, of which ``steps`` are taken.

        Raises: ConfigError where boundaries were given; DataError for NaN, or no numbers.
        """
        if self.num_bins is None:
            raise ConfigError(f"Discretization {self.name!r} was given bin_boundaries; adapt() needs num_bins instead")
        self.reset_state()
        for batch in batches_of(data, steps):
            self.update_state(batch)
        self.finalize_state()

    def update_state(self, data: Any) -> None:
        """Take a batch into the summary."""
        values = numbers(data, f"Discretization {self.name!r}").astype("float32").reshape(-1)
        if np.isnan(values).any():
            raise DataError(f"Discretization {self.name!r} cannot learn bins from NaN; fill it in or leave it out")
        merged = np.concatenate((_summary(values, self.epsilon), self.summary), axis=1)
        self.summary = _thinned(merged[:, np.argsort(merged[0])], self.epsilon)

    def finalize_state(self) -> None:
        """Set the boundaries from what was taken in."""
        if self.num_bins is not None:
            if not self.summary.shape[1]:
                raise DataError(f"Discretization {self.name!r} received no data; give adapt() at least one number")
            self._set_boundaries(_thinned(self.summary, 1.0 / max(1, self.num_bins))[0, :-1].tolist())

    def reset_state(self) -> None:
        """Forget the data, not the boundaries."""
        if self.num_bins is not None:
            self.summary = np.zeros((2, 0), "float32")

    @property
    def _output_dtype(self) -> torch.dtype:
        return torch.int32 if self.output_mode == "int" else self.dtype_policy.weights

    def call(self, inputs: Any) -> Tensor:
        if self.bin_boundaries is None:
            raise BuildError(f"Discretization {self.name!r} has no boundaries yet: call adapt(data), or give them")
        values = tensor(inputs)
        # Whole numbers are compared in double precision, which holds them.
        kind = self._bins.dtype if values.is_floating_point() else torch.float64
        bins = torch.bucketize(values.to(kind), self._bins.to(kind), right=True, out_int32=True)
        if self.output_mode == "int":
            return bins
        return encoded(bins, self.output_mode, len(self._bins) + 1, self._output_dtype)

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        if self.output_mode == "int":
            return tuple(input_shape)
        depth = self.num_bins if self.bin_boundaries is None else len(self.bin_boundaries) + 1
        return encoded_shape(tuple(input_shape), self.output_mode, depth or 1)

    def compute_output_spec(self, inputs: Any) -> Symbol:
        return Symbol(self.compute_output_shape(inputs.shape), self._output_dtype)

    def get_config(self) -> dict[str, Any]:
        config = super().get_config()
        del config["trainable"]  # Keras's constructor takes none
        boundaries = self.bin_boundaries
        return config | {"bin_boundaries": None if boundaries is None else list(boundaries)}

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> Self:
        """Rebuild; after `adapt` a config has both boundaries and their number."""
        learned = config.get("bin_boundaries")
        if learned is None or config.get("num_bins") is None:
            return super().from_config(config)
        layer = super().from_config({key: value for key, value in config.items() if key != "bin_boundaries"})
        layer._set_boundaries(learned)
        return layer


def _summary(values: np.ndarray, epsilon: float) -> np.ndarray:
    """Every so many-th of the sorted values, so that about ``1 / epsilon`` are left."""
    step = max(values.size / (1.0 / epsilon), 1)  # as Keras rounds it
    kept = np.sort(values)[int(step - 1) :: int(step)]
    return np.stack([kept, np.full_like(kept, step)])


def _thinned(summary: np.ndarray, epsilon: float) -> np.ndarray:
    """The summary interpolated at shares ``epsilon, 2 epsilon, …, 1`` of all numbers, if it has more values."""
    if summary.shape[1] * epsilon < 1:
        return summary
    shares = epsilon + np.arange(0.0, 1.0, epsilon)
    total = summary[1].cumsum()
    reached = total / total[-1]
    values, counts = np.interp(shares, reached, summary[0]), np.interp(shares, reached, total)
    return np.stack([values, np.diff(counts, prepend=0)]).astype("float32")
