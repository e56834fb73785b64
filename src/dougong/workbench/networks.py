"""From what a user calls a network (a built-in's name, or a file) to a compiled model for a data set."""

from __future__ import annotations

import json
import runpy
import traceback
from pathlib import Path
from typing import Any

import numpy as np

from dougong import models, optimizers
from dougong.core.errors import ConfigError, DougongError, ModelFormatError, ShapeError, UnknownNameError, near_names
from dougong.data import Dataset
from dougong.layers import Softmax
from dougong.losses import BinaryCrossentropy, CategoricalCrossentropy, SparseCategoricalCrossentropy
from dougong.optimizers.schedules import CosineDecay
from dougong.workbench import builtin
from dougong.workbench.scores import as_probabilities

__all__ = ["choose_loss", "choose_optimizer", "gives_logits", "judged", "num_outputs", "open_network", "read_model"]


def open_network(name: str, train: Dataset) -> Any:
    """The network called ``name``, for data like ``train``.

    A built-in's name; a ``.keras`` file (architecture and weights); a ``.json`` file (architecture); or a ``.py`` file
    that defines ``model``, or ``build(input_shape, outputs)``.  A ``.py`` file is executed, as the user's own program:
    do not run one you do not trust.  The other files are only read.
    Raises: UnknownNameError, ModelFormatError, or what the user's program raises.
    """
    outputs = num_outputs(train)
    if name == "lenet5":
        if train.task != "classification":
            raise ConfigError(f"lenet5 tells classes apart, but {train.source} has numbers as targets; use mlp.")
        brightest = train.input_range[1] if train.input_range else float(np.abs(train.inputs).max())
        return builtin.lenet5(train.input_shape, outputs, brightest=brightest or 1.0)
    if name == "mlp":
        return builtin.mlp(train.input_shape, outputs, train.task, inputs=train.inputs, targets=train.targets)
    path = Path(name)
    if path.suffix == ".py" and path.is_file():
        return _run_program(path, train.input_shape, outputs)
    return read_model(path, known=builtin.BUILT_IN)


def read_model(path: Path, known: Any = ()) -> Any:
    """The model in a ``.keras`` or ``.json`` file.   Raises: UnknownNameError, ModelFormatError."""
    if not path.is_file():
        if known and not path.suffix and path.parent == Path():
            raise UnknownNameError("model", str(path), known, "Or give the path of a .keras, .json or .py file.")
        raise ModelFormatError(_no_file(path))
    if path.suffix == ".json":
        try:
            text = path.read_text(encoding="utf-8")
            json.loads(text)
        except (UnicodeDecodeError, json.JSONDecodeError) as error:
            raise ModelFormatError(f"{path} is no JSON text: {error}") from error
        try:
            return models.model_from_json(text)
        except DougongError as error:
            error.add_note(f"in {path}")
            raise
    if path.suffix == ".py":
        raise ConfigError(f"{path} is a program, not a trained model; give the model.keras that `dougong train` wrote.")
    return models.load_model(str(path))


def _no_file(path: Path) -> str:
    beside = [entry.name for entry in path.parent.iterdir()] if path.parent.is_dir() else []
    near = [str(path.parent / name) for name in near_names(path.name, beside)]
    hint = f"; did you mean {' or '.join(map(repr, near))}?" if near else "."
    return f"there is no model file {str(path)!r}{hint} Give the path of a .keras or .json file."


def num_outputs(data: Dataset) -> int:
    """How many outputs a network for this data needs: classes, or targets."""
    return data.num_classes if data.task == "classification" else int(data.targets.shape[1])


def _run_program(path: Path, input_shape: tuple[int, ...], outputs: int) -> Any:
    try:
        names = runpy.run_path(str(path), run_name="__dougong__")
        build, model = names.get("build"), names.get("model")
        if callable(build):
            model = build(input_shape, outputs)
    except DougongError as error:
        lines = [frame.lineno for frame in traceback.extract_tb(error.__traceback__) if frame.filename == str(path)]
        error.add_note(f"in {path}, line {lines[-1] if lines else 1}")
        raise
    if model is None or not hasattr(model, "fit"):
        raise ConfigError(
            f"{path} defines no network: give it `model = dg.Sequential([...])`, "
            "or `def build(input_shape, outputs): ... return model`."
        )
    return model


def choose_loss(model: Any, train: Dataset, label_smoothing: float = 0.0) -> tuple[str | Any, list[str]]:
    """Loss and metrics that fit the task and what the model gives out.  With label smoothing, targets must be one-hot.

    Raises: ShapeError if the model's output does not have one unit per class or target.
    """
    width, wanted = int(np.prod(model.predict(train.inputs[:2], verbose=0).shape[1:])), num_outputs(train)
    if train.task == "regression":
        if width != wanted:
            raise ShapeError(f"the network gives {width} numbers, but {train.source} has {wanted} targets.")
        return "mse", ["mae"]
    logits = gives_logits(model)
    if width == 1 and wanted == 2:
        return BinaryCrossentropy(from_logits=logits), ["binary_accuracy"]
    if width != wanted:
        raise ShapeError(
            f"the network gives {width} outputs, but {train.source} has {wanted} classes; "
            f"give its last layer {wanted} units."
        )
    if label_smoothing:
        loss = CategoricalCrossentropy(from_logits=logits, label_smoothing=label_smoothing)
        return loss, ["accuracy"]
    return SparseCategoricalCrossentropy(from_logits=logits), ["accuracy"]


def judged(model: Any, outputs: Any, task: str) -> np.ndarray:
    """The model's outputs as they are judged: probabilities ``[N, K]``, or values ``[N, T]``."""
    outputs = np.asarray(outputs)
    if task == "classification":
        return as_probabilities(outputs, logits=gives_logits(model))
    return outputs.reshape(len(outputs), -1)


def gives_logits(model: Any) -> bool:
    """Whether a classifier's last layer ends in neither softmax nor sigmoid."""
    last = model.layers[-1]
    if hasattr(last, "layers"):
        return gives_logits(last)
    return not isinstance(last, Softmax) and last.get_config().get("activation") not in ("softmax", "sigmoid")


def choose_optimizer(name: str | None, learning_rate: float | None, steps: int) -> Any:
    """The optimizer; its rate falls to 0 along a cosine over ``steps``, from ``learning_rate`` or its own default.

    Raises: UnknownNameError, ConfigError.
    """
    if learning_rate is not None and not learning_rate > 0:
        raise ConfigError(f"the learning rate must be above 0, got {learning_rate:g}.")
    optimizer: Any = optimizers.get(name or "adam")
    start = float(optimizer.learning_rate) if learning_rate is None else learning_rate
    optimizer.learning_rate = CosineDecay(start, decay_steps=max(1, steps))
    return optimizer
