"""Layers that wrap something: an activation, a function, a torch module; and Identity, Masking, InputLayer.

Ref: Keras 3 semantics.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any, Self, Unpack

import torch
from torch import Tensor, nn

from dougong.core import device
from dougong.core.config import custom_objects, find_custom
from dougong.core.errors import ConfigError, UnknownNameError
from dougong.core.symbol import Shape, Symbol
from dougong.core.torch_functions import TORCH_FUNCTIONS
from dougong.layers.layer import Layer, LayerOptions
from dougong.ops import activations

__all__ = ["Activation", "Identity", "InputLayer", "Lambda", "Masking", "TorchModuleWrapper"]


class Activation(Layer):
    """An activation function, by name or itself.   Keras: equals ``keras.layers.Activation``.

    >>> Activation("relu")(torch.tensor([-1.0, 2.0]))
    tensor([0., 2.])
    """

    supports_masking = True

    def __init__(self, activation: Any, **options: Unpack[LayerOptions]) -> None:
        super().__init__(**options)
        self.activation = activations.get(activation)

    def call(self, inputs: Tensor) -> Tensor:
        return self.activation(inputs)


class Identity(Layer):
    """What comes in goes out, nested structures too.   Keras: equals ``keras.layers.Identity``."""

    supports_masking = True

    def call(self, inputs: Any) -> Any:
        return inputs

    def compute_output_shape(self, input_shape: Any) -> Any:
        return input_shape


class InputLayer(Layer):
    """The place of an input in configs and in old scripts: a shape, nothing else.   New code: ``Input(shape)``.

    >>> InputLayer((3,), batch_size=2).declared_input
    (2, 3)
    """

    supports_masking = True

    def __init__(
        self,
        shape: Sequence[int | None] | None = None,
        batch_size: int | None = None,
        dtype: Any = None,
        sparse: bool | None = None,
        ragged: bool | None = None,
        batch_shape: Sequence[int | None] | None = None,
        *,
        optional: bool = False,
        name: str | None = None,
        input_shape: Sequence[int | None] | None = None,
        batch_input_shape: Sequence[int | None] | None = None,
        **options: Any,
    ) -> None:
        if sparse or ragged:
            raise ConfigError("sparse and ragged inputs are not offered; give dense tensors, padded and masked")
        shape = input_shape if shape is None else shape
        batch_shape = batch_input_shape if batch_shape is None else batch_shape
        if batch_shape is None:
            if shape is None:
                raise ConfigError("InputLayer needs shape=(…) without the batch axis, or batch_shape=(…) with it")
            batch_shape = (batch_size, *((shape,) if isinstance(shape, int) else shape))
        super().__init__(name=name, batch_input_shape=batch_shape, **options)
        self._given_dtype = "float32" if dtype is None else str(dtype).removeprefix("torch.")
        self.batch_shape = tuple(batch_shape)
        self.optional = optional

    @property
    def dtype(self) -> str:
        """The dtype of the data."""
        return self._given_dtype

    def call(self, inputs: Any) -> Any:
        return inputs

    def compute_output_shape(self, input_shape: Any) -> Any:
        return input_shape

    def get_config(self) -> dict[str, Any]:
        return {
            "batch_shape": list(self.batch_shape),
            "dtype": self._given_dtype,
            "sparse": False,
            "ragged": False,
            "optional": self.optional,
            "name": self.name,
        }


class Lambda(Layer):
    """A function as a layer.  ``mask`` is None (none goes out), a tensor, or a function of inputs and mask.

    A functional model needs no Lambda: any torch function works on its symbols.  Saving one needs a registered
    function, since files hold no code.
    Keras: equals ``keras.layers.Lambda``; a function with parameters ``training`` or ``mask`` is given them.

    >>> Lambda(lambda x, power: x**power, arguments={"power": 2})(torch.tensor([3.0]))
    tensor([9.])
    """

    _direct = True

    def __init__(
        self,
        function: Callable[..., Any],
        output_shape: Any = None,
        mask: Any = None,
        arguments: Mapping[str, Any] | None = None,
        **options: Unpack[LayerOptions],
    ) -> None:
        super().__init__(**options)
        if not callable(function):
            raise ConfigError(f"Lambda needs a function of the inputs; got {function!r}")
        self.function = function
        self.output_shape = output_shape
        self.mask = mask
        self.arguments = dict(arguments or {})
        self.supports_masking = mask is not None
        self._plain = self._plain and mask is None
        names = _parameters(function)
        self._takes_training, self._takes_mask = "training" in names, "mask" in names

    def call(self, inputs: Any, mask: Any = None) -> Any:
        extra = dict(self.arguments)
        if self._takes_training:
            extra["training"] = self.training
        if self._takes_mask:
            extra["mask"] = mask
        return self.function(inputs, **extra)

    def compute_mask(self, inputs: Any, mask: Any = None) -> Any:
        return self.mask(inputs, mask) if callable(self.mask) else self.mask

    def get_config(self) -> dict[str, Any]:
        return super().get_config() | {"arguments": dict(self.arguments)}

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> Self:
        """Rebuild around registered functions, or torch's.   Raises: ConfigError for code, UnknownNameError."""
        found = {key: _function(config[key]) for key in ("function", "mask", "output_shape") if key in config}
        return super().from_config({**config, **found})


def _function(value: Any) -> Any:
    """The function that a config's value refers to; anything else as it is."""
    if not isinstance(value, str | Mapping):
        return value
    kind, name = ("function", value) if isinstance(value, str) else (value.get("class_name"), value.get("config"))
    if kind == "__lambda__":
        raise ConfigError(
            "this Lambda's function is kept as Python bytecode, which is never run; register the function with"
            " @dg.saving.register_keras_serializable() and save the model again"
        )
    found = find_custom(str(name)) or TORCH_FUNCTIONS.get(str(name))
    if found is None:
        raise UnknownNameError("function", name, [*custom_objects(), *TORCH_FUNCTIONS])
    return found


def _parameters(function: Callable[..., Any]) -> Collection[str]:
    try:
        return inspect.signature(function).parameters
    except ValueError:  # a built-in function, torch's for instance, tells nothing
        return ()


class Masking(Layer):
    """Hides the time steps in which every feature equals ``mask_value``: they become 0 and the mask says False there.

    Shapes: ``[N, T, ...] -> [N, T, ...]``, mask ``[N, T]`` for rank 3.   Keras: equals ``keras.layers.Masking``.

    >>> masked = Masking()(torch.tensor([[[1.0, 0.0], [0.0, 0.0]]])); masked._keras_mask
    tensor([[ True, False]])
    """

    supports_masking = True

    def __init__(self, mask_value: float = 0.0, **options: Unpack[LayerOptions]) -> None:
        super().__init__(**options)
        self.mask_value = mask_value
        self._plain = False

    def call(self, inputs: Tensor) -> Tensor:
        return torch.where((inputs != self.mask_value).any(-1, keepdim=True), inputs, 0.0)

    def compute_mask(self, inputs: Tensor, mask: Any = None) -> Tensor:
        return (inputs != self.mask_value).any(-1)

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        return input_shape


class TorchModuleWrapper(Layer):
    """Any torch module as a layer: its parameters are the layer's, in torch's layout.

    Models take torch modules as they are; the wrapper is for symbols and a name.  ``output_shape``, batch included, is
    believed; left out, it is found by a trial.
    Raises: ConfigError for anything but a module, or one whose weights are not made yet.
    Keras: equals ``keras.layers.TorchModuleWrapper``, but a file holds no module, so reading one back needs the code.

    >>> TorchModuleWrapper(nn.Linear(3, 2))(torch.zeros(1, 3)).shape
    torch.Size([1, 2])
    """

    def __init__(
        self,
        module: nn.Module,
        name: str | None = None,
        output_shape: Sequence[int | None] | None = None,
        **options: Any,
    ) -> None:
        super().__init__(name=name, **options)
        if not isinstance(module, nn.Module):
            raise ConfigError(f"TorchModuleWrapper needs a torch.nn.Module; got {module!r}")
        if any(nn.parameter.is_lazy(parameter) for parameter in module.parameters()):
            raise ConfigError(f"{type(module).__name__} has no weights yet: call it once before it is wrapped")
        self.module = module.to(device.default())
        self.output_shape = output_shape
        module.train(self.training)

    def call(self, *args: Any, **kwargs: Any) -> Any:
        return self.module(*args, **kwargs)

    def compute_output_spec(self, *args: Any, **kwargs: Any) -> Any:
        if self.output_shape is None:
            return super().compute_output_spec(*args, **kwargs)
        return Symbol(self.output_shape, self.dtype_policy.weights, name="value")

    def get_config(self) -> dict[str, Any]:
        raise ConfigError(
            f"{self.name!r} wraps {type(self.module).__name__}, and files hold no code: save its state_dict(), or write"
            " a Layer with get_config() around it"
        )
