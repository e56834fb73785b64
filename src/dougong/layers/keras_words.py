"""What Keras's `Layer` offers beyond building and calling: stateless calls, its own part of a file, names of dtypes."""

from __future__ import annotations

from collections.abc import Iterable, MutableMapping, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from dougong.core.dtypes import Policy
from dougong.core.errors import NotOfferedError, ShapeError
from dougong.core.variable import Variable
from dougong.core.weights import KerasWeight, WeightStore, keras_weights
from dougong.layers.input_spec import unfit

__all__ = ["KerasWords"]


class KerasWords(WeightStore):
    """The part of Keras's `Layer` that is made of the rest of it."""

    dtype_policy: Policy
    _input_spec: Any = None
    _plain: bool  # whether a call may go straight to the kernel

    @property
    def variable_dtype(self) -> str:
        """The dtype of the weights, as in ``float32``."""
        return self.dtype_policy.variable_dtype

    @property
    def compute_dtype(self) -> str:
        """The dtype of the arithmetic, as in ``bfloat16``."""
        return self.dtype_policy.compute_dtype

    @property
    def input_dtype(self) -> str:
        """The dtype to which inputs are cast: that of the arithmetic."""
        return self.dtype_policy.compute_dtype

    @property
    def torch_params(self) -> nn.ParameterDict:
        """The parameters by their path, dots written as underscores, as Keras's torch backend has them."""
        return nn.ParameterDict({name.replace(".", "_"): value for name, value in self.named_parameters()})

    @property
    def input_spec(self) -> Any:
        """What the layer says of its inputs in advance: an `InputSpec`, a list of them, or None."""
        return self._input_spec

    @input_spec.setter
    def input_spec(self, spec: Any) -> None:
        self._input_spec = spec
        self._plain = self._plain and spec is None  # then each call is checked

    def _check_spec(self, args: tuple[Any, ...]) -> None:
        problem = unfit(self._input_spec, args[0]) if self._input_spec is not None and args else None
        if problem:
            raise ShapeError(f"{type(self).__name__} {self.name!r} {problem}")

    def __dir__(self) -> list[str]:
        return [*super().__dir__(), *(spec.name for spec in self._specs.values() if spec.name.isidentifier())]

    # ── Metrics ─────────────────────────────────────────────────────────────────────────────────────────────────────

    @property
    def metrics(self) -> list[Any]:
        """The metrics in this layer's attributes and in those of the layers below."""
        return [module for module in self.modules() if hasattr(module, "update_state") and hasattr(module, "result")]

    @property
    def metrics_variables(self) -> list[Any]:
        """The states of `metrics`."""
        return [variable for metric in self.metrics for variable in metric.variables]

    def add_metric(self, *args: Any, **kwargs: Any) -> None:
        """Gone from Keras 3, too: raises NotOfferedError with what to write instead."""
        raise NotOfferedError(
            "add_metric is not part of Keras 3: assign a metric to an attribute and update it in call"
        )

    # ── Calls without effects ───────────────────────────────────────────────────────────────────────────────────────

    def stateless_call(
        self,
        trainable_variables: Sequence[Any],
        non_trainable_variables: Sequence[Any],
        *args: Any,
        return_losses: bool = False,
        **kwargs: Any,
    ) -> Any:
        """The outputs for given weights, and the other variables as the call leaves them; the layer stays as it is.

        Values are in Keras's layout and order.   Raises: ShapeError if there are more or fewer than weights.
        Keras: equals ``Layer.stateless_call``, apart from random states, which are torch's.
        """
        own = list(keras_weights(self))
        trained = [weight for weight in own if weight.tensor.requires_grad]
        others = [weight for weight in own if not weight.tensor.requires_grad]
        values = {
            **self._given("trainable_variables", trained, trainable_variables),
            **self._given("non_trainable_variables", others, non_trainable_variables),
        }
        names = {id(tensor): name for name, tensor in (*self.named_parameters(), *self.named_buffers())}
        outputs = torch.func.functional_call(self, {names[key]: v for key, v in values.items()}, args, kwargs)
        after = [weight.layout.to_keras(values[id(weight.tensor)]) for weight in others]
        return (outputs, after, self.losses) if return_losses else (outputs, after)  # type: ignore[attr-defined]

    def _given(self, what: str, weights: Sequence[KerasWeight], values: Sequence[Any]) -> dict[int, Tensor]:
        if len(weights) != len(values):
            raise ShapeError(f"{self.name!r} has {len(weights)} {what} but received {len(values)}")
        found = {}
        for weight, value in zip(weights, values):
            tensor = torch.as_tensor(value, dtype=weight.tensor.dtype, device=weight.tensor.device)
            stored = weight.layout.from_keras(tensor)
            if not weight.tensor.requires_grad:  # the call may write to it
                stored = stored.detach().clone()
                stored = weight.tensor.like(stored) if type(weight.tensor) is Variable else stored
            found[id(weight.tensor)] = stored
        return found

    def symbolic_call(self, *args: Any, **kwargs: Any) -> Any:
        """Symbols like the outputs."""
        return self.compute_output_spec(*args, **kwargs)  # type: ignore[attr-defined]

    # ── Files ───────────────────────────────────────────────────────────────────────────────────────────────────────

    def get_build_config(self) -> dict[str, Any] | None:
        """What `build` was given, so that the weights can be made before they are read."""
        shapes = getattr(self, "_built_for", None)
        return None if shapes is None else {"input_shape": shapes}

    def build_from_config(self, config: dict[str, Any]) -> None:
        """`build` for what `get_build_config` gave."""
        shape = config.get("input_shape")
        if shape is not None and not self.built:
            self.build(map_shapes_to_tuples(shape))  # type: ignore[attr-defined]

    def save_own_variables(self, store: MutableMapping[str, Any]) -> None:
        """Write this layer's own weights, as arrays in Keras's layout, under the keys ``0``, ``1`` …"""
        for index, weight in enumerate(self.keras_weights()):
            store[str(index)] = weight.variable().numpy()

    def load_own_variables(self, store: MutableMapping[str, Any]) -> None:
        """Take over what `save_own_variables` wrote.   Raises: ShapeError before anything is changed."""
        own = list(self.keras_weights())
        if len(own) != len(store):
            raise ShapeError(f"{self.name!r} has {len(own)} weights of its own, the store {len(store)}")
        values = [np.asarray(store[str(index)]) for index in range(len(own))]
        for weight, value in zip(own, values):
            if tuple(weight.value().shape) != value.shape:
                raise ShapeError(f"weight {weight.name!r} of {self.name!r} cannot hold an array of shape {value.shape}")
        for weight, value in zip(own, values):
            weight.assign(torch.as_tensor(value))

    # ── Refused ─────────────────────────────────────────────────────────────────────────────────────────────────────

    supports_jit = True  # steps are captured whatever it says
    quantization_mode = None
    quantization_config = None
    lora_enabled = False
    lora_rank = lora_alpha = None

    def quantize(self, *args: Any, **kwargs: Any) -> None:
        """Refused: raises NotOfferedError."""
        raise NotOfferedError(
            f"{self.name!r} is not quantized in place; quantize the trained model when it is exported"
        )

    quantized_build = quantized_call = quantize

    def enable_lora(self, *args: Any, **kwargs: Any) -> None:
        """Refused: raises NotOfferedError."""
        raise NotOfferedError("LoRA is not part of Dougong; freeze the layer and add a small one beside it")


def map_shapes_to_tuples(shape: Any) -> Any:
    """Shapes as a file holds them, lists, as tuples.

    >>> map_shapes_to_tuples({"a": [None, 3], "b": [[1], [2]]})
    {'a': (None, 3), 'b': [(1,), (2,)]}
    """
    if isinstance(shape, dict):
        return {key: map_shapes_to_tuples(one) for key, one in shape.items()}
    if isinstance(shape, Iterable) and all(size is None or isinstance(size, int) for size in shape):
        return tuple(shape)
    return [map_shapes_to_tuples(one) for one in shape]
