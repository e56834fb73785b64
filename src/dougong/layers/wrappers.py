"""Layers around a layer: Bidirectional runs a recurrent layer both ways, TimeDistributed a layer on every time step.

Shapes: N batch, T steps.   Ref: Keras 3 semantics.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Self, Unpack

import torch
from torch import Tensor

from dougong.core.config import serialize
from dougong.core.errors import ConfigError, ShapeError
from dougong.core.symbol import Shape
from dougong.layers.layer import Layer, LayerOptions
from dougong.layers.normalization import BatchNormalization
from dougong.layers.serialization import layer_of

__all__ = ["Bidirectional", "TimeDistributed", "Wrapper"]


class Wrapper(Layer):
    """A layer that holds another one in ``layer``.   Keras: equals ``keras.layers.Wrapper``."""

    def __init__(self, layer: Any, **options: Unpack[LayerOptions]) -> None:
        super().__init__(**options)
        if not isinstance(layer, torch.nn.Module):
            raise ConfigError(f"{type(self).__name__} wraps a layer or a torch module; got {layer!r}")
        self.layer: Any = layer

    def build(self, input_shape: Any) -> None:
        if isinstance(self.layer, Layer) and not self.layer.built:
            self.layer.build(input_shape)

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> Self:
        return cls(**(dict(config) | {"layer": layer_of(config["layer"])}))


class TimeDistributed(Wrapper):
    """One layer on every step of ``[N, T, ...]``, with the same weights.

    The steps are folded into the batch, so it costs one call.  A mask goes to the layer, folded too; over steps alone,
    ``[N, T]``, it goes to layers on vectors only.  Around batch normalization, in training, steps run one by one, since
    each is normalized by itself.
    Keras: equals ``keras.layers.TimeDistributed``.

    >>> from dougong.layers.recurrent import LSTM
    >>> TimeDistributed(LSTM(4))(torch.zeros(2, 5, 6, 3)).shape
    torch.Size([2, 5, 4])
    """

    supports_masking = True
    _direct = True

    def build(self, input_shape: Any) -> None:
        if len(input_shape) < 3:
            raise ShapeError(f"TimeDistributed {self.name!r} {self.input_problem(input_shape)}")
        super().build((input_shape[0], *input_shape[2:]))
        self._by_step = any(isinstance(module, BatchNormalization) for module in self.layer.modules())

    def call(self, inputs: Tensor, mask: Tensor | None = None) -> Any:
        batch, steps = inputs.shape[:2]
        if mask is not None and mask.shape[:2] != inputs.shape[:2]:
            raise ShapeError(
                f"TimeDistributed {self.name!r} needs a mask of {batch} samples of {steps} steps but received shape"
                f" {tuple(mask.shape)}."
            )
        mask = mask if mask is not None and (mask.ndim > 2 or inputs.ndim == 3) else None
        if self.training and self._by_step:
            masks = [None] * steps if mask is None else mask.unbind(1)
            return torch.stack([self._run(one, its) for one, its in zip(inputs.unbind(1), masks)], 1)
        folded = inputs.reshape(batch * steps, *inputs.shape[2:])
        outputs = self._run(folded, None if mask is None else mask.flatten(0, 1))
        return outputs.reshape(batch, steps, *outputs.shape[1:])

    def _run(self, inputs: Tensor, mask: Tensor | None) -> Any:
        if mask is not None:
            inputs._keras_mask = mask  # type: ignore[attr-defined]
        return self.layer(inputs)

    def compute_output_shape(self, input_shape: Shape) -> Any:
        inner = self.layer.compute_output_shape((input_shape[0], *input_shape[2:]))
        return inner[0], input_shape[1], *inner[1:]

    def input_problem(self, shape: Shape) -> str | None:
        if len(shape) >= 3:
            inner = self.layer.input_problem((shape[0], *shape[2:])) if isinstance(self.layer, Layer) else None
            return inner and f"received shape {tuple(shape)}, but on each step its layer {self.layer.name!r} {inner}"
        return f"needs a time axis, (batch, steps, …), but received shape {tuple(shape)}; use the layer itself."


def _twin(layer: Any, name: str, **changes: Any) -> Any:
    """A layer from another one's config, with no weights yet."""
    return type(layer).from_config(layer.get_config() | {"name": name} | changes)


def _concatenated(a: Tensor, b: Tensor) -> Tensor:
    return torch.cat([a, b], -1)


def _mean(a: Tensor, b: Tensor) -> Tensor:
    return (a + b) / 2


def _pair(a: Tensor, b: Tensor) -> tuple[Tensor, Tensor]:
    return a, b


_MERGES: Mapping[str | None, Callable[[Tensor, Tensor], Any]] = {
    "concat": _concatenated,
    "sum": torch.add,
    "ave": _mean,
    "mul": torch.mul,
    None: _pair,
}


class Bidirectional(Layer):
    """A recurrent layer forwards and its twin backwards, their outputs merged step by step.

    ``layer`` is a pattern: both directions are made from its config, with weights of their own.  ``backward_layer`` may
    be given; it must go the other way.  ``merge_mode``: concat, sum, ave, mul, or None for both outputs.
    Of ``initial_state`` the first half is the forward layer's.
    Keras: equals ``keras.layers.Bidirectional``.   Ref: Schuster & Paliwal 1997, doi:10.1109/78.650093.

    >>> from dougong.layers.recurrent import LSTM
    >>> Bidirectional(LSTM(4, return_sequences=True))(torch.zeros(2, 5, 3)).shape
    torch.Size([2, 5, 8])
    """

    supports_masking = True
    _direct = True

    def __init__(
        self,
        layer: Any,
        merge_mode: str | None = "concat",
        weights: Any = None,
        backward_layer: Any = None,
        **options: Unpack[LayerOptions],
    ) -> None:
        if not isinstance(layer, Layer) or not hasattr(layer, "go_backwards"):
            raise ConfigError(f"Bidirectional wraps a recurrent layer such as LSTM(4); got {layer!r}")
        if merge_mode not in _MERGES:
            raise ConfigError(f"merge_mode must be 'concat', 'sum', 'ave', 'mul' or None; got {merge_mode!r}")
        super().__init__(**options)
        self.merge_mode = merge_mode
        pattern: Any = layer
        self.forward_layer = _twin(pattern, f"forward_{pattern.name.removeprefix('forward_')}")
        if backward_layer is None:
            name = f"backward_{pattern.name.removeprefix('backward_')}"
            backward_layer = _twin(pattern, name, go_backwards=True)
        self.backward_layer = backward_layer
        self._check_twins()
        self.stateful = pattern.stateful
        self.return_sequences = pattern.return_sequences
        self.return_state = pattern.return_state
        for direction in (self.forward_layer, self.backward_layer):
            # Outputs repeated at masked steps would stand at different steps in the two directions.
            direction.zero_output_for_mask = direction.return_sequences
        self._first_weights = weights

    def _check_twins(self) -> None:
        ahead, back = self.forward_layer, self.backward_layer
        if ahead.go_backwards == back.go_backwards:
            raise ConfigError("one direction must go backwards: give backward_layer the other go_backwards")
        for word in ("stateful", "return_sequences", "return_state"):
            if getattr(ahead, word) != getattr(back, word):
                raise ConfigError(f"layer and backward_layer must have the same {word}")

    def build(self, input_shape: Shape) -> None:
        for layer in (self.forward_layer, self.backward_layer):
            if not layer.built:
                layer.build(input_shape)
        if self._first_weights is not None:
            self.set_weights(self._first_weights)

    def call(self, sequences: Tensor, initial_state: Sequence[Tensor] | None = None, mask: Tensor | None = None) -> Any:
        ahead_state, back_state = None, None
        if initial_state is not None:
            half = len(initial_state) // 2
            ahead_state, back_state = initial_state[:half], initial_state[half:]
        ahead = self.forward_layer.call(sequences, ahead_state, mask)
        back = self.backward_layer.call(sequences, back_state, mask)
        states: tuple[Any, ...] = ()
        if self.return_state:
            states = (*ahead[1:], *back[1:])
            ahead, back = ahead[0], back[0]
        if self.return_sequences:
            # Keras turns the second output whichever direction it has.
            back = back.flip(1)
        output = _MERGES[self.merge_mode](ahead, back)
        if not self.return_state:
            return output
        return (*output, *states) if self.merge_mode is None else (output, *states)

    def compute_output_shape(self, input_shape: Shape) -> Any:
        output = self.forward_layer.compute_output_shape(input_shape)
        states: tuple[Any, ...] = ()
        if self.return_state:
            output, states = output[0], tuple(output[1:]) * 2
        if self.merge_mode == "concat":
            output = (*output[:-1], None if output[-1] is None else 2 * output[-1])
        if self.merge_mode is None:
            return (output, output, *states)
        return (output, *states) if self.return_state else output

    def compute_output_spec(self, *args: Any, **kwargs: Any) -> Any:
        return super().compute_output_spec(args[0])

    def compute_mask(self, inputs: Any, mask: Any = None) -> Any:
        outgoing = mask if self.return_sequences else None
        return [outgoing, outgoing] if self.merge_mode is None else [outgoing]

    def reset_state(self) -> None:
        """Set the kept states of both directions to zero."""
        self.forward_layer.reset_state()
        self.backward_layer.reset_state()

    reset_states = reset_state

    @property
    def states(self) -> list[Tensor] | None:
        """The kept states of both directions, if the layer is stateful."""
        return [*self.forward_layer.states, *self.backward_layer.states] if self.stateful and self.built else None

    def input_problem(self, shape: Any) -> str | None:
        return self.forward_layer.input_problem(shape)

    def get_config(self) -> dict[str, Any]:
        config = super().get_config()
        config.pop("weights", None)
        return config | {"layer": serialize(self.forward_layer), "backward_layer": serialize(self.backward_layer)}

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> Self:
        names = ("layer", "backward_layer")
        return cls(**{name: layer_of(value) if name in names else value for name, value in config.items()})
