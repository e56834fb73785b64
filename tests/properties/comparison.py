"""One case, made by Dougong and by Keras: refusals, weights, numbers, gradients, shapes, masks and configs compared."""

from __future__ import annotations

import re
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import keras
import numpy as np
import torch

import dougong as dg
from closeness import close
from dougong.core.errors import DougongError, ShapeError
from dougong.core.nested import leaves, map_leaves
from dougong.core.symbol import Input, Symbol
from dougong.core.weights import keras_weights
from properties.case import Block, Case, Draw, array_of

__all__ = ["check", "inputs_of", "layer_of", "quiet", "refusal_of"]

torch.set_num_threads(1)

# (numbers, gradients): what |got - want| / (1 + |want|) may be.  Keras on torch computes much of float64 in float32.
TOLERANCES = {"float64": (5e-5, 1e-3), "float32": (5e-5, 1e-3), "float16": (2e-2, 0.0), "bfloat16": (1e-1, 0.0)}


@contextmanager
def quiet() -> Iterator[None]:
    """Keras's warnings are its own affair; ours count as failures."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def check(case: Case, *limits: str, gradients: bool = True) -> None:
    """Raise unless Dougong does with ``case`` what Keras does, a refusal included.

    ``limits`` are words from messages by which Keras refuses what only its torch backend cannot do.  Where Keras's
    output is empty, we may refuse: "nothing would be left".
    """
    try:
        with quiet():
            theirs = _made(case, keras.layers)
            _, want = _run(theirs, case)
    except Exception as error:  # noqa: BLE001  Keras refuses in many ways
        if not any(words in str(error) for words in limits):
            refusal_of(lambda: _run(_made(case, dg.layers), case)[1], error)
        return
    try:
        ours = _made(case, dg.layers)
        _run(ours, case)
    except ShapeError:
        if all(one.numel() for one in _tensors(want)):
            raise
        return
    _same_weights(ours, theirs)
    _randomize(ours, theirs, case)
    state = [w.value.clone() for w in theirs.weights]
    for layer in (ours, theirs):
        if getattr(layer, "stateful", False):
            layer.reset_state()
    with quiet():
        their_run = _run(theirs, case)
    our_run = _run(ours, case)
    _same_outputs(case, our_run[1], their_run[1])
    _same_state(case, ours, theirs)
    _same_losses(ours, theirs, case)
    if gradients and case.dtype in ("float32", "float64"):
        _same_gradients(case, ours, theirs, our_run, their_run, limits)
    with torch.no_grad():
        for weight, own, value in zip(theirs.weights, keras_weights(ours), state, strict=True):
            weight.value.copy_(value)
            own.assign(value)
    _same_shapes(case, ours, theirs, our_run[1])
    assert not any(loss.is_meta for loss in ours.losses), "a trial run on symbols left a loss"
    with quiet():
        _same_config(ours, _made(case, keras.layers))


# ── Making and running ──────────────────────────────────────────────────────────────────────────────────────────────


def _build(value: Any, package: Any, dtype: str, name: str) -> Any:
    """A layer for a `Block`, named after the argument it is."""
    if isinstance(value, Block):
        return layer_of(package, value.kind, value.config, dtype, name=name)
    if isinstance(value, list):
        return [_build(item, package, dtype, f"{name}_{index}") for index, item in enumerate(value)]
    return value


def layer_of(package: Any, kind: str, config: dict[str, Any], dtype: str, **options: Any) -> Any:
    """The layer of this class from Keras's or our layers."""
    arguments = {name: _build(value, package, dtype, name) for name, value in config.items()}
    return getattr(package, kind)(**arguments, dtype=dtype, **options)


def _made(case: Case, package: Any) -> Any:
    return layer_of(package, case.kind, case.config, case.dtype, name="layer")


def inputs_of(case: Case) -> tuple[Any, Any]:
    """The positional arguments and the keyword arguments: the same numbers in each call, in new tensors."""
    rng = np.random.default_rng(case.seed)

    def value(leaf: Any) -> Any:
        if not isinstance(leaf, Draw):
            return leaf
        made = array_of(leaf, rng, case.dtype)
        return made.requires_grad_() if made.is_floating_point() else made

    args, call = map_leaves(value, case.on), map_leaves(value, case.call)
    return args, call if case.training is None else {**call, "training": case.training}


def _run(layer: Any, case: Case) -> tuple[Any, Any]:
    """The inputs and what comes of them; Keras takes masks away from its inputs, so each call has its own."""
    if case.twice:
        args, call = inputs_of(case)
        layer(*args, **call)
    args, call = inputs_of(case)
    return (args, call), layer(*args, **call)


def refusal_of(run: Callable[[], Any], why: Exception) -> None:
    """Raise unless ``run`` is refused by Dougong's own error; ``why`` is how Keras refuses it."""
    try:
        got = run()
    except DougongError:
        return
    except Exception as error:
        raise AssertionError(f"refused, but with {error!r}; Keras: {why!r}") from error
    shapes = [tuple(one.shape) for one in leaves(got)]
    raise AssertionError(f"accepted, with outputs {shapes}; Keras refuses: {type(why).__name__}: {why}") from why


# ── Weights ─────────────────────────────────────────────────────────────────────────────────────────────────────────


def _same_weights(ours: Any, theirs: Any) -> None:
    found, wanted = (
        [(re.sub(r"cells_\d+/", "cells/", w.path), tuple(w.shape), _name(w.dtype), w.trainable) for w in layer.weights]
        for layer in (ours, theirs)
    )
    assert found == wanted, f"weights {found}, want {wanted}"


def _name(dtype: Any) -> str:
    return str(dtype).removeprefix("torch.")


def _randomize(ours: Any, theirs: Any, case: Case) -> None:
    """The same random weights for both; a variance is positive."""
    rng = np.random.default_rng(case.seed + 1)
    values = []
    for weight in theirs.weights:
        value = rng.normal(size=tuple(weight.shape)) / 2
        values.append(np.abs(value) + 0.3 if "variance" in weight.name else value)
    with torch.no_grad():
        for weight, value in zip(theirs.weights, values):  # past Keras's assign, which rounds to float32
            weight.value.copy_(torch.tensor(value))
    ours.set_weights(values)


# ── Numbers ─────────────────────────────────────────────────────────────────────────────────────────────────────────


def _tensors(structure: Any) -> list[torch.Tensor]:
    return [leaf for leaf in leaves(structure) if leaf is not None]


def _numbers(value: torch.Tensor) -> torch.Tensor:
    return value.detach().double() if value.is_floating_point() else value.detach()


def _same_outputs(case: Case, got: Any, want: Any) -> None:
    found, wanted = _tensors(got), _tensors(want)
    assert len(found) == len(wanted), f"{len(found)} outputs, want {len(wanted)}"
    tolerance, _ = TOLERANCES[case.dtype]
    for index, (a, b) in enumerate(zip(found, wanted)):
        close(_numbers(a), _numbers(b), because=f"output {index}", tolerance=tolerance)
        kept = _name(a.dtype) in (case.dtype, "float64") and b.dtype is torch.float32  # where Keras fell to float32
        assert a.dtype is b.dtype or kept, f"output {index} has dtype {a.dtype}, want {b.dtype}"
        if index > 0 and case.call.get("return_attention_scores"):
            continue  # on which Keras leaves the mask of the softmax within
        mask, mask_wanted = getattr(a, "_keras_mask", None), getattr(b, "_keras_mask", None)
        assert (mask is None) == (mask_wanted is None), f"mask of output {index}: {mask}, want {mask_wanted}"
        if mask is not None:
            close(mask, mask_wanted, because=f"mask of output {index}", tolerance=0)


def _same_state(case: Case, ours: Any, theirs: Any) -> None:
    for weight, reference in zip(keras_weights(ours), theirs.weights, strict=True):
        because = f"{reference.path} after the call"
        close(_numbers(weight.value()), _numbers(reference.value), because=because, tolerance=TOLERANCES[case.dtype][0])


def _same_gradients(case: Case, ours: Any, theirs: Any, our_run: Any, their_run: Any, limits: tuple[str, ...]) -> None:
    """Of a random weighing of all outputs, with respect to every input and every trainable weight."""
    trained = [weight for weight in keras_weights(ours) if weight.trainable]
    inputs, their_inputs = _places(our_run[0]), _places(their_run[0])
    goal, their_goal = _weighed(our_run[1], case.seed), _weighed(their_run[1], case.seed)
    assert (goal is None) == (their_goal is None), f"a gradient: {goal is not None}, want {their_goal is not None}"
    if goal is None or their_goal is None:
        return
    try:
        wanted = _gradients(their_goal, [*their_inputs, *(weight.value for weight in theirs.trainable_weights)])
    except RuntimeError as error:
        if any(words in str(error) for words in limits):
            return
        raise
    found = _gradients(goal, [*inputs, *(weight.tensor for weight in trained)])
    names = [f"input {i}" for i, _ in enumerate(inputs)] + [weight.name for weight in trained]
    layouts = [None] * len(inputs) + [weight.layout for weight in trained]
    for name, layout, a, b in zip(names, layouts, found, wanted, strict=True):
        a = a if layout is None else layout.to_keras(a)
        close(_numbers(a), _numbers(b), because=f"gradient of {name}", tolerance=TOLERANCES[case.dtype][1])


def _weighed(outputs: Any, seed: int) -> torch.Tensor | None:
    rng = np.random.default_rng(seed + 2)
    terms = [(one * torch.tensor(rng.normal(size=one.shape))).sum() for one in _tensors(outputs) if one.requires_grad]
    return sum(terms[1:], terms[0]) if terms else None


def _gradients(goal: torch.Tensor, places: list[torch.Tensor]) -> list[torch.Tensor]:
    found = torch.autograd.grad(goal, places, allow_unused=True)
    return [torch.zeros_like(place) if one is None else one for one, place in zip(found, places)]


def _same_losses(ours: Any, theirs: Any, case: Case) -> None:
    found, wanted = (sum(float(loss.detach()) for loss in layer.losses) for layer in (ours, theirs))
    close(found, wanted, because="losses", tolerance=TOLERANCES[case.dtype][1] or 0.1)


def _places(structure: Any) -> list[torch.Tensor]:
    return [leaf for leaf in leaves(structure) if isinstance(leaf, torch.Tensor) and leaf.requires_grad]


# ── Shapes ──────────────────────────────────────────────────────────────────────────────────────────────────────────


def _same_shapes(case: Case, ours: Any, theirs: Any, got: Any) -> None:
    actual = [(tuple(one.shape), _name(one.dtype)) for one in _tensors(got)]
    if not case.call and len(case.on) == 1 and case.training is None:
        shapes = map_leaves(lambda draw: draw.shape, case.on[0])
        stated = _flat_shapes(ours.compute_output_shape(shapes))
        assert stated == [shape for shape, _ in actual], f"compute_output_shape says {stated}, outputs are {actual}"
    if case.twice:
        return
    found = _symbolic(case, ours, ())
    _fits(found, actual, None)
    with quiet():
        wanted = _refusable(lambda: _symbolic(case, theirs, (), keras.Input))
    if wanted is not None:
        _fits(found, actual, wanted)
    if case.free:
        found = _symbolic(case, ours, case.free)
        with quiet():
            wanted = _refusable(lambda: _symbolic(case, theirs, case.free, keras.Input))
        _fits(found, actual, wanted)


def _refusable(function: Callable[[], Any]) -> Any:
    try:
        return function()
    except Exception:  # noqa: BLE001  Keras may refuse unknown sizes
        return None


def _symbolic(case: Case, layer: Any, free: tuple[int, ...], make: Any = Input) -> list[tuple[tuple[Any, ...], str]]:
    """The shapes and dtypes that come of symbols with an unknown batch, and ``free`` axes unknown."""

    def symbol(leaf: Any) -> Any:
        if not isinstance(leaf, Draw):
            return leaf
        shape = [None if axis == 0 or axis in free else size for axis, size in enumerate(leaf.shape)]
        dtype = {"whole": "int64", "bool": "bool"}.get(leaf.kind, case.dtype)
        return make(batch_shape=tuple(shape), dtype=leaf.dtype or dtype)

    options = {} if case.training is None else {"training": case.training}
    outputs = layer(*map_leaves(symbol, case.on), **map_leaves(symbol, case.call), **options)
    return [
        (tuple(one.shape), _name(one.dtype)) for one in leaves(outputs) if isinstance(one, Symbol | keras.KerasTensor)
    ]


def _flat_shapes(shape: Any) -> list[tuple[Any, ...]]:
    if isinstance(shape, list | tuple) and not any(isinstance(item, list | tuple) for item in shape):
        return [tuple(shape)]
    items = shape.values() if isinstance(shape, dict) else shape
    return [flat for item in items for flat in _flat_shapes(item)]


def _fits(found: Any, actual: Any, wanted: Any) -> None:
    """Symbols say of outputs what is true, and know at least the sizes that Keras knows, where these are true."""
    assert len(found) == len(actual), f"{len(found)} symbols, {len(actual)} outputs"
    for index, ((shape, dtype), (size, kind)) in enumerate(zip(found, actual)):
        fits = len(shape) == len(size) and all(a in (None, b) for a, b in zip(shape, size)) and dtype == kind
        assert fits, f"symbol {shape} {dtype}, output {size} {kind}"
        if wanted is not None:
            known = [b if b == n else None for b, n in zip(wanted[index][0], size)]
            assert all(b in (None, a) for a, b in zip(shape, known)), f"symbol {shape}, want {known}"


# ── Config ──────────────────────────────────────────────────────────────────────────────────────────────────────────


def _same_config(ours: Any, theirs: Any) -> None:
    """Each reads the other's config and writes it again in its own words.  ``theirs`` is new: `build` changes some."""
    config, reference = ours.get_config(), theirs.get_config()
    again = type(ours).from_config(config).get_config()
    assert again == config, f"config {config} came back as {again}"
    ours_read = type(ours).from_config(reference)
    theirs_read, back = type(theirs).from_config(config), type(theirs).from_config(ours_read.get_config())
    for name, found in (("ours, read by Keras", theirs_read), ("Keras's, read by us, read by Keras", back)):
        found = found.get_config()
        pairs = {key: (_plain(found.get(key)), _plain(value)) for key, value in reference.items()}
        different = {key: pair for key, pair in pairs.items() if pair[0] != pair[1]}
        assert not different, f"config: {name}: (found, want): {different}"


def _plain(value: Any) -> Any:
    """A config without what counts instances or says how far a layer is: numbers in names, shapes it was built for."""
    if isinstance(value, dict):
        kept = {key: _plain(item) for key, item in value.items() if key != "build_config"}
        return kept | {"name": re.sub(r"_\d+$", "", kept["name"])} if isinstance(kept.get("name"), str) else kept
    return [_plain(item) for item in value] if isinstance(value, list | tuple) else value
