"""Model → Bundle → Model: configs of graphs, paths of weights, compile settings."""

from __future__ import annotations

import warnings
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import datetime
from typing import Any

import numpy as np
import torch
from torch import nn

from dougong.core.config import serialize
from dougong.core.dtypes import torch_dtype
from dougong.core.errors import ConfigError, ModelFormatError, ShapeError
from dougong.core.names import snake_case
from dougong.core.tracking import Holder
from dougong.core.weights import KerasWeight, WeightStore, keras_weights
from dougong.formats.bundle import Bundle
from dougong.models.known import model_from_config
from dougong.models.model import Model
from dougong.models.own_state import (
    assets_of,
    keeps_own_variables,
    load_assets,
    load_own_variables,
    own_variables,
)

__all__ = ["build_on_zeros", "from_bundle", "load_arrays", "to_bundle", "weight_paths"]


def to_bundle(model: Model, *, with_optimizer: bool = True) -> Bundle:
    """A model as config and arrays.   Raises: ConfigError for parts that cannot be named, ShapeError when unbuilt."""
    if not model.is_complete():
        raise ShapeError(f"model {model.name!r} has no weights yet: call it on data, or build it, before saving")
    weights = {path: _array(weight) for path, weight in weight_paths(model)} | own_variables(module_paths(model))
    optimizer: Mapping[str, np.ndarray] = {}
    if with_optimizer and model.optimizer is not None and model.optimizer.built:
        optimizer = {f"vars/{i}": value for i, value in enumerate(model.optimizer.state().values())}
    config = serialize(model)
    config["build_config"] = _build_config(model)
    config["compile_config"] = _compile_config(model)
    metadata = {"date_saved": datetime.now().strftime("%Y-%m-%d@%H:%M:%S"), "dougong": {"torch": torch.__version__}}
    return Bundle(config, weights, optimizer, metadata, assets_of(module_paths(model)))


def _array(weight: KerasWeight) -> np.ndarray:
    value = weight.value().detach()
    return (value.float() if value.dtype is torch.bfloat16 else value).cpu().contiguous().numpy()


def _build_config(model: Model) -> dict[str, Any]:
    """The shape, and for models without symbols the dtype, that the model was built for."""
    if model._program is None:
        return dict(model.built_for or {})
    shapes = [list(symbol.shape) for symbol in model._program.flat_inputs]
    return {"input_shape": shapes[0] if len(shapes) == 1 else shapes}


def _compile_config(model: Model) -> dict[str, Any] | None:
    """What `compile` was given; None if the model is not compiled or was given what has no name."""
    if model._compiled is None or not model._compiled.arguments:
        return None
    arguments = dict(model._compiled.arguments)
    arguments["optimizer"] = model._compiled.optimizer
    try:
        return {name: serialize(value) for name, value in arguments.items()}
    except ConfigError:
        return None


def weight_paths(root: nn.Module) -> Iterator[tuple[str, KerasWeight]]:
    """The weights of each module with their paths in a Keras weight file: ``layers/dense_1/vars/0``.

    A weight that two modules hold stands there twice, as in Keras.
    """
    for path, module in module_paths(root):
        if keeps_own_variables(module):
            continue
        own = module.keras_weights() if isinstance(module, WeightStore) else _plain_weights(module)
        for index, weight in enumerate(own):
            yield f"{path}vars/{index}", weight


def module_paths(root: nn.Module) -> Iterator[tuple[str, nn.Module]]:
    """Each module once with its folder in a Keras file, ``layers/dense_1/``; that of ``root`` is empty."""
    visited: set[int] = set()

    def walk(module: nn.Module, path: str) -> Iterator[tuple[str, nn.Module]]:
        if id(module) in visited:
            return
        visited.add(id(module))
        yield path, module
        if isinstance(module, Holder):
            yield from listed(module.children(), path)
            return
        places = getattr(module, "keras_places", {})
        children = {places.get(name, name): child for name, child in module.named_children()}
        for name in _in_order_of_files(module, children):
            if name == "layers" and isinstance(module, Model):
                yield from listed(module.layers, f"{path}layers/")
            else:
                yield from walk(children[name], f"{path}{name}/")

    def listed(modules: Iterable[nn.Module], folder: str) -> Iterator[tuple[str, nn.Module]]:
        keys: Counter[str] = Counter()
        for module in modules:
            name = snake_case(type(module).__name__)
            key = f"{name}_{keys[name]}" if keys[name] else name
            keys[name] += 1
            yield from walk(module, f"{folder}{key}/")

    return walk(root, "")


def _in_order_of_files(module: nn.Module, names: Iterable[str]) -> list[str]:
    """Attributes as Keras visits them: by name, private ones last; the list of a model's layers is one of them.

    A layer is written where it is met first, and a graph's layers stand in the list whatever else holds them.
    """
    ordered = sorted(names, key=lambda name: (name.startswith("_"), name))
    if not isinstance(module, Model):
        return ordered
    if module._program is not None:
        return ["layers", *ordered]
    return sorted([*ordered, "layers"], key=lambda name: (name.startswith("_"), name))


def _plain_weights(module: nn.Module) -> Iterator[KerasWeight]:
    below = {id(weight.tensor) for child in module.children() for weight in keras_weights(child)}
    return (weight for weight in keras_weights(module) if id(weight.tensor) not in below)


def from_bundle(
    bundle: Bundle, custom_objects: Mapping[str, Any] | None = None, *, compiled: bool = True, source: str = "the file"
) -> Model:
    """The model of a bundle, with weights, compile settings and optimizer state.

    Raises: ModelFormatError, UnknownNameError, ConfigError; never a half-loaded model.
    """
    model = model_from_config(bundle.config, custom_objects, compiled=compiled)
    if not model.is_complete():
        build_on_zeros(model, bundle.config.get("build_config") or {}, source)
    load_arrays(model, bundle.weights, source)
    load_assets(module_paths(model), bundle.assets, source)
    if compiled and model._compiled is not None and bundle.optimizer:
        _load_optimizer(model, bundle.optimizer)
    return model


def build_on_zeros(model: Model, build: Mapping[str, Any], source: str) -> None:
    """Make a subclassed model's weights by running it on zeros of the shape it was built for."""
    shape, dtype = build.get("input_shape"), build.get("input_dtype", "float32")
    if shape is None:
        raise ModelFormatError(f"{source}: it does not say what shape {type(model).__name__} was built for")

    def blank(one: Any) -> Any:
        sizes = [size or 1 for size in one]
        return np.full(sizes, "", object) if dtype == "string" else torch.zeros(sizes, dtype=torch_dtype(dtype))

    with torch.no_grad():
        model(map_shapes(blank, shape))


def map_shapes(function: Callable[[Any], Any], shape: Any) -> Any:
    """``function`` of a shape, or of each in a list or dict of shapes."""
    if isinstance(shape, Mapping):
        return {key: map_shapes(function, item) for key, item in shape.items()}
    if shape and isinstance(shape[0], list | tuple | Mapping):
        return [map_shapes(function, item) for item in shape]
    return function(shape)


def load_arrays(
    model: nn.Module, arrays: Mapping[str, np.ndarray], source: str, *, skip_mismatch: bool = False
) -> None:
    """Fill the weights from arrays by path.   Raises: ModelFormatError before the model is touched.

    With ``skip_mismatch`` layers whose arrays are missing or of other shapes stay as they are, and a warning names one.
    """
    wanted = list(weight_paths(model))
    own = {f"{path}vars" for path, module in module_paths(model) if keeps_own_variables(module)}
    if skip_mismatch:
        wanted, arrays = _fitting(wanted, arrays, own, source)
    missing = [path for path, _ in wanted if path not in arrays]
    if missing:
        raise ModelFormatError(
            f"{source}: it has no array {missing[0]!r} ({len(missing)} of {len(wanted)} are missing)"
        )
    extra = {name for name in arrays if _folder(name) not in own} - {path for path, _ in wanted}
    if extra:
        raise ModelFormatError(f"{source}: the model has no place for {sorted(extra)[0]!r} ({len(extra)} such arrays)")
    for path, weight in wanted:
        want, got = tuple(weight.value().shape), tuple(arrays[path].shape)
        if want != got:
            raise ModelFormatError(f"{source}: {path} ({weight.name}) has shape {got}, the model needs {want}")
    for path, weight in wanted:
        weight.assign(torch.from_numpy(np.array(arrays[path])))
    load_own_variables(module_paths(model), arrays)


def _fitting(
    wanted: list[tuple[str, KerasWeight]], arrays: Mapping[str, np.ndarray], own: set[str], source: str
) -> tuple[list[tuple[str, KerasWeight]], dict[str, np.ndarray]]:
    """The weights of layers whose arrays are all there and fit, with these arrays and those in the folders ``own``."""
    needed: defaultdict[str, dict[str, tuple[int, ...]]] = defaultdict(dict)
    for path, weight in wanted:
        needed[_folder(path)][path] = tuple(weight.value().shape)
    held: defaultdict[str, dict[str, tuple[int, ...]]] = defaultdict(dict)
    for path, array in arrays.items():
        held[_folder(path)][path] = tuple(array.shape)
    left = {folder: None for folder, shapes in needed.items() if held[folder] != shapes}
    if left:
        name = next(iter(left)).removesuffix("/vars")
        told = f"{source}: {len(left)} layers do not fit and stay as they are; the first is {name!r}"
        warnings.warn(told, stacklevel=5)
    kept = {path: array for path, array in arrays.items() if _folder(path) in own | (needed.keys() - left.keys())}
    return [(path, weight) for path, weight in wanted if _folder(path) not in left], kept


def _folder(path: str) -> str:
    return path.rpartition("/")[0]


def _load_optimizer(model: Model, arrays: Mapping[str, np.ndarray]) -> None:
    """State by position: the names of layers differ from process to process, their order does not."""
    # Keras writes the state of optimizers within another one a second time, under their own names.
    own = [name for name in arrays if name.startswith("vars/")]
    ordered = sorted(own, key=lambda name: int(name.removeprefix("vars/").partition("_")[0]))
    model.compiled.standard_step("train", model)  # builds the optimizer for this model's weights
    names = list(model.optimizer.state())
    if len(names) != len(ordered):
        raise ModelFormatError(
            f"the optimizer has {len(names)} state arrays, the file {len(ordered)}; load with compile=False"
        )
    model.optimizer.load_state({name: arrays[key] for name, key in zip(names, ordered)})
