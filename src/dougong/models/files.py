"""Models to and from files and JSON."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from dougong.core.config import custom_object_scope, serialize
from dougong.core.errors import ConfigError, ModelFormatError, NotOfferedError
from dougong.formats import keras_v3
from dougong.models.bundles import from_bundle, load_arrays, to_bundle
from dougong.models.known import model_from_config, model_of_class
from dougong.models.model import Model
from dougong.models.run_files import load_run, save_run

__all__ = [
    "load_model",
    "load_run",
    "load_weights",
    "model_from_config",
    "model_from_json",
    "model_of_class",
    "save_model",
    "save_run",
    "save_weights",
    "to_json",
]


def save_model(model: Model, filepath: str | os.PathLike[str], overwrite: bool = True, **options: Any) -> None:
    """Write the whole model (graph, weights, compile settings, optimizer state) to a ``.keras`` file, atomically.

    Raises: ConfigError for another ending or a part without a name; SaveError, with the previous file kept.
    """
    path = _path(filepath, ".keras", "save")
    include_optimizer = options.pop("include_optimizer", True)
    if not options.pop("zipped", True):
        raise NotOfferedError("models as folders (zipped=False) are not part of Dougong; write a .keras file")
    if options:
        raise ConfigError(f"save takes no argument {next(iter(options))!r}")
    if not overwrite and path.exists():
        raise ConfigError(f"{path} exists; use overwrite=True or another name")
    keras_v3.write(path, to_bundle(model, with_optimizer=include_optimizer))


def load_model(
    filepath: str | os.PathLike[str],
    custom_objects: Mapping[str, Any] | None = None,
    compile: bool = True,
    safe_mode: bool = True,
) -> Model:
    """Read a ``.keras`` file.   Raises: ModelFormatError naming file, place and reason.

    Nothing in a file is ever executed, so ``safe_mode=False`` is refused.
    """
    if not safe_mode:
        raise ConfigError("safe_mode=False would run code from the file; pass your functions in custom_objects={…}")
    path = _path(filepath, ".keras", "load")
    bundle = keras_v3.read(path)
    with custom_object_scope(custom_objects):
        return from_bundle(bundle, compiled=compile, source=str(path))


def save_weights(
    model: Model, filepath: str | os.PathLike[str], overwrite: bool = True, max_shard_size: float | None = None
) -> None:
    """Write the weights alone to a ``.weights.h5`` file, atomically."""
    if max_shard_size is not None:
        raise NotOfferedError("weights in several files (max_shard_size) are not part of Dougong; write one file")
    path = _path(filepath, ".weights.h5", "save_weights")
    if not overwrite and path.exists():
        raise ConfigError(f"{path} exists; use overwrite=True or another name")
    keras_v3.write_weights(path, to_bundle(model, with_optimizer=False))


def load_weights(model: Model, filepath: str | os.PathLike[str], skip_mismatch: bool = False) -> None:
    """Fill the weights from a ``.weights.h5`` or ``.keras`` file.   Raises: ModelFormatError, the model untouched.

    With ``skip_mismatch`` layers that do not fit stay as they are, with a warning.   Keras: equals it.
    """
    path = Path(filepath)
    bundle = (
        keras_v3.read(path) if path.suffix == ".keras" else keras_v3.read_weights(_path(path, ".weights.h5", "load"))
    )
    load_arrays(model, bundle.weights, str(path), skip_mismatch=skip_mismatch)


def _path(filepath: str | os.PathLike[str], ending: str, what: str) -> Path:
    path = Path(filepath)
    if not path.name.endswith(ending):
        raise ConfigError(f"{what} wants a file name ending in {ending!r}, got {str(path)!r}")
    return path


def to_json(model: Model, **options: Any) -> str:
    """The structure, without weights, as JSON.   Keras: ``model.to_json``."""
    return json.dumps(serialize(model), **options)


def model_from_json(json_string: str, custom_objects: Mapping[str, Any] | None = None) -> Model:
    """A model with fresh weights from `to_json`'s text.   Raises: ModelFormatError for what is no JSON."""
    try:
        config = json.loads(json_string)
    except (ValueError, RecursionError) as error:
        raise ModelFormatError(f"the model's text is no JSON: {error}") from error
    return model_from_config(config, custom_objects)
