"""One layer beside Keras's, with the same weights: outputs, gradients, shapes, config and trace are compared."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
import torch
from torch.fx.experimental.proxy_tensor import make_fx

from closeness import close
from dougong.core.nested import leaves, map_leaves
from dougong.core.symbol import Input
from dougong.layers.layer import Layer

__all__ = ["compare", "numbers", "randomize", "traced_equals_eager"]


def numbers(*shape: int, seed: int = 0) -> np.ndarray:
    """Normal numbers, float32."""
    return np.random.default_rng(seed).normal(size=shape).astype("float32")


def randomize(layer: Layer, reference: Any, seed: int = 1) -> None:
    """Give both layers the same random weights; what must be positive (a variance) is."""
    draw = np.random.default_rng(seed)
    values = [draw.uniform(0.2, 1.2, size=np.shape(w)).astype("float32") - 0.5 for w in layer.get_weights()]
    names = [weight.name for weight in _weights(layer)]
    values = [value + 0.6 if "variance" in name else value for name, value in zip(names, values)]
    layer.set_weights(values)
    reference.set_weights(values)


def _weights(layer: Layer) -> list[Any]:
    from dougong.core.weights import keras_weights

    return list(keras_weights(layer))


def _arrays(outputs: Any) -> list[Any]:
    return [one.detach() for one in leaves(outputs)]


def compare(
    layer: Layer,
    reference: Any,
    inputs: Any,
    *,
    training: bool = False,
    tolerance: float = 1e-5,
    gradients: bool = True,
    symbols: bool = True,
    **call: Any,
) -> Any:
    """Raise unless ``layer`` does what Keras's ``reference`` does; gives the layer's outputs."""
    ours = map_leaves(lambda a: torch.tensor(a).requires_grad_(a.dtype == np.float32), inputs)
    theirs = map_leaves(lambda a: torch.tensor(a).requires_grad_(a.dtype == np.float32), inputs)
    layer(map_leaves(torch.tensor, inputs), **call)
    reference(map_leaves(torch.tensor, inputs), **call)
    shapes = [tuple(np.shape(w)) for w in layer.get_weights()]
    if shapes != [tuple(w.shape) for w in reference.weights]:
        raise AssertionError(f"weights {shapes}, want {[w.path for w in reference.weights]}")
    randomize(layer, reference)
    got, want = layer(ours, training=training, **call), reference(theirs, training=training, **call)
    for a, b in zip(_arrays(got), _arrays(want), strict=True):
        close(a, b, because="output", tolerance=tolerance)
    for a, b in zip(layer.get_weights(), [w.value for w in reference.weights], strict=True):
        close(a, b, because="state after the call", tolerance=tolerance)
    if gradients:
        _compare_gradients(layer, reference, ours, theirs, got, want, tolerance)
    shape = layer.compute_output_shape(map_leaves(lambda a: tuple(a.shape), ours))
    if not _same_shapes(shape, got):
        raise AssertionError(f"compute_output_shape says {shape}, outputs are {map_leaves(lambda t: t.shape, got)}")
    if symbols:
        _compare_symbols(layer, ours, got)
    _compare_config(layer)
    return got


def _same_shapes(shape: Any, outputs: Any) -> bool:
    if isinstance(outputs, torch.Tensor):
        return tuple(shape) == tuple(outputs.shape)
    return len(shape) == len(outputs) and all(_same_shapes(s, o) for s, o in zip(shape, outputs))


def _compare_gradients(
    layer: Any, reference: Any, ours: Any, theirs: Any, got: Any, want: Any, tolerance: float
) -> None:
    weights = [np.asarray(numbers(*one.shape, seed=7)) for one in _arrays(got)]
    loss = sum((torch.tensor(w) * one).sum() for w, one in zip(weights, leaves(got)))
    loss_keras = sum((torch.tensor(w) * one).sum() for w, one in zip(weights, leaves(want)))
    trainable = [weight for weight in _weights(layer) if weight.trainable]
    places = [one for one in leaves(ours) if one.requires_grad] + [weight.tensor for weight in trainable]
    places_keras = [one for one in leaves(theirs) if one.requires_grad]
    places_keras += [weight.value for weight in reference.trainable_weights]
    if not places or not isinstance(loss, torch.Tensor) or not loss.requires_grad:
        return
    found = torch.autograd.grad(loss, places, allow_unused=True)
    found_keras = torch.autograd.grad(loss_keras, places_keras, allow_unused=True)
    split = len(places) - len(trainable)
    for index, (a, b) in enumerate(zip(found, found_keras, strict=True)):
        if a is None or b is None:
            if (a is None or not a.any()) and (b is None or not b.any()):
                continue
            raise AssertionError(f"gradient {index}: one is missing")
        if index >= split:
            a = trainable[index - split].layout.to_keras(a)
        close(a, b, because=f"gradient {index}", tolerance=tolerance)


def _compare_symbols(layer: Layer, ours: Any, got: Any) -> None:
    symbols = map_leaves(
        lambda t: Input(
            batch_shape=(None, *t.shape[1:]) if not getattr(layer, "stateful", False) else t.shape, dtype=t.dtype
        ),
        ours,
    )
    recorded = layer(symbols)
    for symbol, one in zip(leaves(recorded), leaves(got), strict=True):
        if len(symbol.shape) != one.ndim or any(s not in (None, n) for s, n in zip(symbol.shape, one.shape)):
            raise AssertionError(f"symbol of shape {symbol.shape}, output of {tuple(one.shape)}")


def _compare_config(layer: Layer) -> None:
    config = layer.get_config()
    again = type(layer).from_config(config)
    if again.get_config() != config:
        raise AssertionError(f"config changed: {again.get_config()} from {config}")


def traced_equals_eager(layer: Layer, *inputs: Any, training: bool) -> torch.fx.GraphModule:
    """Trace output and gradients as a captured step does, with parameters and buffers as inputs, and run the trace."""
    layer(*inputs)
    layer.train(training)
    names, values = zip(*layer.named_parameters()) if list(layer.parameters()) else ((), ())

    def step(parameters: list[torch.Tensor], data: list[torch.Tensor]) -> Any:
        outputs = torch.func.functional_call(layer, dict(zip(names, parameters)), tuple(data))
        first = next(leaves(outputs))
        if parameters and first.requires_grad:
            return first, *torch.autograd.grad(first.square().sum(), parameters, allow_unused=True)
        return (first,)

    parameters = [value.detach().clone().requires_grad_() for value in values]
    state = {name: value.clone() for name, value in layer.named_buffers()}
    torch.manual_seed(0)
    eager = step(parameters, list(inputs))
    after = {name: value.clone() for name, value in layer.named_buffers()}
    _restore(layer, state)
    graph = make_fx(step)(parameters, list(inputs))
    _restore(layer, state)
    torch.manual_seed(0)
    replayed = graph(parameters, list(inputs))
    for a, b in zip(replayed, eager, strict=True):
        if a is not None:
            close(a, b, because="trace", tolerance=1e-6)
    for name, value in layer.named_buffers():
        close(value, after[name], because=f"buffer {name} after the trace", tolerance=1e-6)
    return graph


def _restore(layer: Layer, state: dict[str, torch.Tensor]) -> None:
    with torch.no_grad():
        for name, value in layer.named_buffers():
            value.copy_(state[name])


keras.utils.set_random_seed(0)
