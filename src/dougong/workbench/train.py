"""The use case `dougong train`: open, split, train, test, save, read back, report.

The data come apart in three: the test part is looked at once, at the end; the validation part chooses the epoch whose
weights are kept; the rest trains.   Shapes: N samples.
"""

from __future__ import annotations

import math
import shutil
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field, replace
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
import torch

from dougong import models
from dougong.core import device as devices
from dougong.core.errors import ConfigError
from dougong.core.seeds import set_random_seed
from dougong.core.symbol import Input
from dougong.data import Dataset, open_data
from dougong.data.dataset import Task
from dougong.layers.basic import InputLayer
from dougong.models import Sequential
from dougong.training.callbacks import Callback
from dougong.workbench import builtin, networks
from dougong.workbench.builtin import BUILT_IN, Recipe
from dougong.workbench.runs import Record, describe_data, environment, history_csv
from dougong.workbench.scores import Verdict, best_epoch, headline, score
from dougong.workbench.storage import new_folder, write_text

__all__ = ["TrainRequest", "TrainResult", "train"]

_FOR_OWN_MODELS = Recipe("", epochs=50, batch_size=32, learning_rate=None)
Say = Callable[[str], None]


@dataclass(frozen=True)
class TrainRequest:
    """What to train, on what, and how.  None: what suits the model.

    ``model`` and ``data`` are as the user writes them: see `networks.open_network` and `dougong.data.open_data`.
    ``test`` and ``validation`` are shares of all samples; data with a test part of their own keep it.
    """

    model: str
    data: str
    target: str | None = None
    ignore: tuple[str, ...] = ()
    task: Task | None = None
    epochs: int | None = None
    batch_size: int | None = None
    optimizer: str | None = None
    learning_rate: float | None = None
    seed: int = 0
    device: str | None = None
    out: str | None = None
    test: float = 0.2
    validation: float = 0.1
    skip_bad: bool = False
    image_size: tuple[int, int] | None = None
    command: str = ""
    verbose: int = 0

    def keeps_optimizer(self) -> bool:
        """Whether a program's own optimizer stands."""
        return self.optimizer is None and self.learning_rate is None


@dataclass(frozen=True)
class TrainResult:
    """``interrupted``: Ctrl-C ended training; everything was still written, from the best weights so far."""

    folder: Path
    model: Any
    record: Record
    verdict: Verdict
    headline: str
    interrupted: bool


@dataclass
class _Parts:
    """The three parts, and where the test samples stand in the data."""

    train: Dataset
    validation: Dataset
    test: Dataset
    test_rows: np.ndarray = field(default_factory=lambda: np.zeros(0, dtype=np.int64))

    def both(self) -> tuple[Dataset, Dataset]:
        """The two parts that training sees."""
        return self.train, self.validation

    def sizes(self) -> dict[str, int]:
        return {"train": len(self.train), "validation": len(self.validation), "test": len(self.test)}


def _silence(line: str) -> None:
    """Tell nobody."""


def train(request: TrainRequest, say: Say = _silence) -> TrainResult:
    """Train and leave a run folder.  ``say`` is told, line by line, what a user wants to see.

    Raises: DougongError for whatever cannot be used as given; nothing is written then.
    """
    if not 0.0 < request.test < 1.0 or not 0.0 < request.validation < 1.0 - request.test:
        raise ConfigError(
            f"test {request.test:g} and validation {request.validation:g} must be above 0 and together below 1."
        )
    if (request.epochs is not None and request.epochs < 1) or (
        request.batch_size is not None and request.batch_size < 1
    ):
        raise ConfigError("epochs and batch size must be at least 1.")
    started, clock = datetime.now().astimezone(), time.perf_counter()
    device = devices.parse(request.device)
    data = open_data(
        request.data,
        target=_target(request.target),
        ignore=request.ignore,
        task=request.task,
        size=request.image_size,
        skip_bad=request.skip_bad,
    )
    parts = _split(data, request)
    say(_describe(data, parts))
    for note in data.notes:
        say(f"note: {note}")
    set_random_seed(request.seed)
    model = networks.open_network(request.model, parts.train).to(device)
    recipe = BUILT_IN.get(request.model, _FOR_OWN_MODELS)
    say(f"{model.name}: {model.count_params():,} parameters, on {device.type}")
    seconds = {"opening": time.perf_counter() - clock}

    clock = time.perf_counter()
    history, batch_size = _fit(model, request, recipe, parts)
    seconds["training"] = time.perf_counter() - clock

    folder = new_folder(Path(request.out or f"runs/{Path(request.model).stem}-{Path(request.data).stem}"))
    model.save(str(folder / "model.keras"))
    verdict = _read_back(folder / "model.keras", model, parts.test)
    kept = best_epoch(history.history)
    record = Record(
        command=request.command,
        arguments={**asdict(request), "epochs": request.epochs or recipe.epochs, "batch_size": batch_size},
        task=data.task,
        seed=request.seed,
        started=started.isoformat(timespec="seconds"),
        environment=environment(str(device), torch.get_num_threads()),
        data=describe_data(data, parts.sizes()),
        model={"name": model.name, "from": request.model, "parameters": int(model.count_params())},
        columns=[asdict(column) for column in data.columns],
        ranges=_ranges(parts.train),
        class_names=data.class_names,
        target_names=data.target_names,
        metrics=verdict.scores,
        seconds=seconds,
        epochs_done=len(history.epoch),
        best_epoch=None if kept is None else kept + 1,
        stopped=history.stopped,
    )
    write_text(folder / "history.csv", history_csv(history.history))
    record.write(folder)
    if Path(request.model).suffix == ".py":
        shutil.copy2(request.model, folder / "model.py")
    _report(folder, record, model, history.history, parts, verdict)
    line = headline(data.task, dict(verdict.scores))
    return TrainResult(folder, model, record, verdict, line, interrupted="Ctrl-C" in history.stopped)


def _target(text: str | None) -> str | list[str] | None:
    """Several targets are divided by commas."""
    return text.split(",") if text and "," in text else text


def _split(data: Dataset, request: TrainRequest) -> _Parts:
    train, validation, test = data.parts(val=request.validation, test=request.test, seed=request.seed)
    rows = np.zeros(0, dtype=np.int64)
    if data.test is None:
        # The split is a function of targets and seed alone, so it also tells which rows went where.
        numbers = replace(data, inputs=np.arange(len(data))[:, None])
        rows = numbers.parts(val=request.validation, test=request.test, seed=request.seed).test.inputs[:, 0]
    return _Parts(train, validation, test, rows)


def _describe(data: Dataset, parts: _Parts) -> str:
    shape = "×".join(map(str, data.input_shape))
    if data.task == "classification":
        what = f"{data.num_classes} classes"
    else:
        what = "targets " + ", ".join(data.target_names[:5]) + (" …" if len(data.target_names) > 5 else "")
    sizes = ", ".join(f"{size:,} {name}" for name, size in parts.sizes().items())
    return f"{data.source}: inputs of {shape}, {what}; samples: {sizes}"


def _ranges(train: Dataset) -> list[list[float]]:
    """The least and the largest value of each input of a table in training; beyond them a model guesses."""
    if train.inputs.ndim != 2:
        return []
    return np.stack([train.inputs.min(axis=0), train.inputs.max(axis=0)], axis=1).astype(float).tolist()


class _KeepBest(Callback):
    """Ends training with the weights of the epoch of lowest validation loss; an epoch cut short does not count."""

    def __init__(self) -> None:
        super().__init__()
        self.lowest = math.inf
        self.weights: list[np.ndarray] | None = None

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        loss = (logs or {}).get("val_loss", math.inf)
        if loss < self.lowest:
            self.lowest, self.weights = loss, self.model.get_weights()

    def on_train_end(self, logs: dict[str, Any] | None = None) -> None:
        if self.weights is not None:
            self.model.set_weights(self.weights)


def _fit(model: Any, request: TrainRequest, recipe: Recipe, parts: _Parts) -> tuple[Any, int]:
    """Train; the model ends with the weights of its best epoch, also after Ctrl-C."""
    epochs, batch_size = request.epochs or recipe.epochs, request.batch_size or recipe.batch_size
    trainee, train, validation = _prepared(model, request, recipe, parts)
    # A program may compile its network as it likes; a network read from a file starts with a fresh optimizer.
    if not (Path(request.model).suffix == ".py" and model.optimizer is not None and request.keeps_optimizer()):
        steps = epochs * -(-len(train) // batch_size)
        loss, metrics = networks.choose_loss(model, parts.train, recipe.label_smoothing)
        rate = recipe.learning_rate if request.learning_rate is None else request.learning_rate
        optimizer = networks.choose_optimizer(request.optimizer, rate, steps)
        for one in (model, trainee):
            one.compile(optimizer=optimizer, loss=loss, metrics=metrics)
    history = trainee.fit(
        train.inputs,
        train.targets,
        batch_size=batch_size,
        epochs=epochs,
        validation_data=(validation.inputs, validation.targets),
        callbacks=[_KeepBest()],
        verbose=request.verbose,
    )
    return history, batch_size


def _prepared(model: Any, request: TrainRequest, recipe: Recipe, parts: _Parts) -> tuple[Any, Dataset, Dataset]:
    """The network to fit, and the training and validation parts as it takes them."""
    if request.model == "mlp" and parts.train.task == "regression":
        return _standardised(model, parts)
    if recipe.label_smoothing:
        one_hot = np.eye(parts.train.num_classes, dtype=np.float32)
        train, validation = (replace(part, targets=one_hot[part.targets]) for part in parts.both())
        return model, train, validation
    return model, *parts.both()


def _standardised(model: Any, parts: _Parts) -> tuple[Any, Dataset, Dataset]:
    """A regressor without its last layer, and targets of deviation 1, so that each target weighs alike.

    The layers are shared: what the one learns, the other knows.  The loss is then the share of variance not explained.
    """
    *inner, _ = [layer for layer in model.layers if not isinstance(layer, InputLayer)]
    trainee = Sequential([Input(parts.train.input_shape), *inner], name=model.name)
    mean, deviation = builtin.moments(parts.train.targets, parts.train.targets.shape[1])
    scaled = [replace(p, targets=((p.targets - mean) / deviation).astype(np.float32)) for p in parts.both()]
    return trainee, scaled[0], scaled[1]


def _read_back(path: Path, model: Any, test: Dataset) -> Verdict:
    """Read the file as a user would, and judge what comes back."""
    before = np.asarray(model.predict(test.inputs, verbose=0))
    outputs = np.asarray(models.load_model(str(path)).predict(test.inputs, verbose=0))
    line = f'dg.models.load_model("{path.as_posix()}").predict(x)'
    difference = float(np.abs(outputs - before).max())
    y_pred = networks.judged(model, outputs, test.task)
    return Verdict(y_pred, score(test.task, test.targets, y_pred), line, difference)


def _report(
    folder: Path, record: Record, model: Any, history: Mapping[str, list[float]], parts: _Parts, verdict: Verdict
) -> None:
    from dougong.workbench.describe import describe_run  # lazy: matplotlib takes half a second
    from dougong.workbench.report import write_report  # lazy: as above

    page = describe_run(record, model, history, parts.test, parts.test_rows, verdict)
    write_report(folder / "report.html", page)
