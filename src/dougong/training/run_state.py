"""All that a run needs to go on where it was: taken as named arrays and plain notes, and put back in place.

Tensors are known by their position: the names of layers differ from process to process, their order does not.
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from dougong.core.errors import ConfigError

__all__ = ["put_back", "random_states", "set_random_states", "taken"]

Arrays = dict[str, np.ndarray]


def taken(model: Any, step: Any, callbacks: Sequence[Any]) -> tuple[Arrays, dict[str, Any]]:
    """The state of a run: weights, optimizer, metrics, means of the epoch, callbacks, random streams.

    Arrays are copies by name; the notes are JSON-able.
    """
    arrays = {f"model/{i}": _array(tensor) for i, tensor in enumerate(_tensors(model).values())}
    arrays |= {f"slots/{i}": np.asarray(value) for i, value in enumerate(model.optimizer.state().values())}
    arrays |= {f"metrics/{i}": _array(tensor) for i, tensor in enumerate(_metric_states(model))}
    notes: dict[str, Any] = {"stop_training": model.stop_training, "tally": list(getattr(step, "tally", ()))}
    notes["callbacks"] = {
        name: _noted(callback.state_dict(), f"callbacks/{name}", arrays) for name, callback in _named(callbacks)
    }
    notes["random"] = _noted(random_states(model), "random", arrays)
    return arrays, notes


def put_back(
    model: Any, step: Any, callbacks: Sequence[Any], arrays: Mapping[str, np.ndarray], notes: Mapping[str, Any]
) -> None:
    """Put back what `taken` gave, in place.

    Raises: ConfigError, before anything is changed, for the state of another model or optimizer.
    """
    weights, optimizer_state, metrics = _tensors(model), model.optimizer.state(), _metric_states(model)
    _check("weights", {name: tuple(tensor.shape) for name, tensor in weights.items()}, arrays, "model")
    _check("optimizer state", {name: np.shape(value) for name, value in optimizer_state.items()}, arrays, "slots")
    _check("metrics", {str(i): tuple(tensor.shape) for i, tensor in enumerate(metrics)}, arrays, "metrics")
    with torch.no_grad():
        for part, tensors in (("model", weights.values()), ("metrics", metrics)):
            for i, tensor in enumerate(tensors):
                tensor.copy_(torch.from_numpy(np.array(arrays[f"{part}/{i}"])))
    model.optimizer.load_state({name: arrays[f"slots/{i}"] for i, name in enumerate(optimizer_state)})
    if notes["tally"] and hasattr(step, "tally"):
        step.tally = tuple(notes["tally"])
    model.stop_training = notes["stop_training"]
    for name, callback in _named(callbacks):
        state = _read(notes["callbacks"].get(name), arrays)
        if state:
            callback.load_state_dict(state)
    set_random_states(model, _read(notes["random"], arrays))


def _check(what: str, shapes: Mapping[str, tuple[int, ...]], arrays: Mapping[str, np.ndarray], part: str) -> None:
    given = sum(name.startswith(f"{part}/") for name in arrays)
    if given != len(shapes):
        raise ConfigError(f"it holds {given} arrays of {what}, this run {len(shapes)}")
    for i, (name, shape) in enumerate(shapes.items()):
        if arrays[f"{part}/{i}"].shape != shape:
            raise ConfigError(f"in the {what} {name!r} has shape {arrays[f'{part}/{i}'].shape}, in this run {shape}")


def _tensors(model: nn.Module) -> dict[str, Tensor]:
    return {**dict(model.named_parameters()), **dict(model.named_buffers())}


def _metric_states(model: Any) -> list[Tensor]:
    return [state for metric in model.compiled.metrics(model) for state in metric.states]


def _array(tensor: Tensor) -> np.ndarray:
    value = tensor.detach().as_subclass(Tensor)
    return (value.float() if value.dtype is torch.bfloat16 else value).cpu().numpy().copy()


# ── Random streams ──────────────────────────────────────────────────────────────────────────────────────────────────


def random_states(model: nn.Module) -> dict[str, Any]:
    """Where torch's, NumPy's and Python's generators stand, and those that layers hold."""
    python, numpy = random.getstate(), tuple(np.random.get_state(legacy=True))
    return {
        "torch": torch.get_rng_state().numpy(),
        "cuda": [state.numpy() for state in torch.cuda.get_rng_state_all()] if torch.cuda.is_available() else [],
        "numpy": [np.asarray(numpy[1]), *numpy[2:]],
        "python": [np.asarray(python[1], dtype=np.uint32), python[0], python[2]],
        "layers": {name: generator.get_state().numpy() for name, generator in _generators(model)},
    }


def set_random_states(model: nn.Module, states: Mapping[str, Any]) -> None:
    """Put back what `random_states` gave."""
    torch.set_rng_state(torch.from_numpy(states["torch"].copy()))
    if torch.cuda.is_available():
        torch.cuda.set_rng_state_all([torch.from_numpy(state.copy()) for state in states["cuda"]])
    keys, *rest = states["numpy"]
    np.random.set_state(("MT19937", keys, *rest))
    keys, version, gauss = states["python"]
    random.setstate((version, tuple(int(key) for key in keys), gauss))
    modules: list[Any] = list(model.modules())
    for place, state in states["layers"].items():
        position, _, device = place.partition(" ")
        modules[int(position)].generator(torch.device(device)).set_state(torch.from_numpy(state.copy()))


def _generators(model: nn.Module) -> Iterator[tuple[str, torch.Generator]]:
    """The streams of layers with a seed, by the layer's position and device; they are made at the first draw."""
    for position, module in enumerate(model.modules()):
        for device, generator in (vars(module).get("_generators") or {}).items():
            yield f"{position} {torch.device(device)}", generator


# ── Plain notes with arrays in them ─────────────────────────────────────────────────────────────────────────────────


def _named(callbacks: Sequence[Any]) -> Iterator[tuple[str, Any]]:
    """Callbacks that have a state, by position and class."""
    for index, callback in enumerate(callbacks):
        if hasattr(callback, "state_dict"):
            yield f"{index} {type(callback).__name__}", callback


def _noted(value: Any, name: str, arrays: Arrays) -> Any:
    """``value`` with each array put into ``arrays``, and its name there left in its place."""
    if isinstance(value, Tensor):
        value = _array(value)
    if isinstance(value, np.generic):
        return value.item()
    if isinstance(value, np.ndarray):
        arrays[name] = value
        return {"__array__": name}
    if isinstance(value, Mapping):
        return {str(key): _noted(item, f"{name}/{key}", arrays) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_noted(item, f"{name}/{index}", arrays) for index, item in enumerate(value)]
    return value


def _read(value: Any, arrays: Mapping[str, np.ndarray]) -> Any:
    if isinstance(value, Mapping):
        if set(value) == {"__array__"}:
            return arrays[value["__array__"]]
        return {key: _read(item, arrays) for key, item in value.items()}
    return [_read(item, arrays) for item in value] if isinstance(value, list) else value
