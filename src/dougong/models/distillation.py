"""`Distiller`: a student trained on its targets and on what a trained teacher makes of the same inputs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Self

import torch
from torch import Tensor

from dougong.core import tree
from dougong.core.config import serialize
from dougong.core.errors import ConfigError, DataError, ShapeError
from dougong.core.nested import leaves
from dougong.metrics import Mean
from dougong.models.distillation_losses import (
    DistillationLoss,
    FeatureDistillation,
    LogitsDistillation,
    deserialize,
    found_losses,
    losses_from_config,
)
from dougong.models.model import Model
from dougong.models.program import Program
from dougong.ops.op import tensor

__all__ = ["DistillationLoss", "Distiller", "FeatureDistillation", "LogitsDistillation"]

_FINAL = "final_output"


class Distiller(Model):
    r"""Trains ``student`` on targets and on ``teacher``, which is frozen and always in inference mode.

    .. math:: a \, L(y, s(x)) + (1 - a) \sum_i w_i \, D_i(t(x), s(x))

    with :math:`a` = ``student_loss_weight``, L the loss of `compile` and D the ``distillation_losses``, one or several,
    weighted by ``distillation_loss_weights``.  Sample weights and the student's regularizers do not count.
    Logs show ``student_loss``, ``distillation_loss`` and ``total_loss``.
    Raises: ShapeError, ConfigError for models that do not fit each other.
    Keras: equals its namesake, but evaluation runs the student in inference mode for its features, too; a file holds
    what `compile` was given; and several outputs may have a loss each, which Keras on torch cannot do: L is then the
    sum of their means.   Ref: Hinton 2015, arXiv:1503.02531.

    >>> from dougong.core.symbol import Input
    >>> from dougong.layers.dense import Dense
    >>> x = Input((4,))
    >>> distiller = Distiller(Model(x, Dense(3)(x)), Model(x, Dense(3)(x)), LogitsDistillation(loss="mse"))
    >>> len(distiller.weights), len(distiller.trainable_weights)
    (4, 2)
    """

    keras_module = "keras.distillation"  # type: ignore[assignment]

    def __init__(
        self,
        teacher: Model,
        student: Model,
        distillation_losses: Any,
        distillation_loss_weights: Sequence[float] | None = None,
        student_loss_weight: float = 0.5,
        name: str | None = "distiller",
        **options: Any,
    ) -> None:
        super().__init__(name=name, **options)
        _check_models(teacher, student)
        if not isinstance(student_loss_weight, int | float) or not 0.0 <= student_loss_weight <= 1.0:
            raise ConfigError(f"student_loss_weight must be a number from 0 to 1, got {student_loss_weight!r}")
        self.teacher, self.student = teacher, student
        self.student_loss_weight = student_loss_weight
        self.distillation_losses, self.distillation_loss_weights = _weighted(
            distillation_losses, distillation_loss_weights
        )
        for loss in self.distillation_losses:
            loss.validate_model_compatibility(teacher, student)
        self._teacher_feature_extractor = self._extractor(teacher, "teacher_layer_name")
        self._student_feature_extractor = self._extractor(student, "student_layer_name")
        self.teacher.trainable = False
        self.student_loss_tracker = Mean(name="student_loss")
        self.distillation_loss_tracker = Mean(name="distillation_loss")
        self.total_loss_tracker = Mean(name="total_loss")
        self._student_loss: Any = None
        self.built = bool(teacher.known_inputs() and student.known_inputs())

    def _extractor(self, model: Model, which: str) -> Model | None:
        """A model of the same layers that also gives the outputs of the layers that the losses name."""
        named = [getattr(loss, which, None) for loss in self.distillation_losses]
        wanted = {name: model.get_layer(name) for name in named if name}
        if not wanted:
            return None
        program = model._graph_or_refuse("features")
        outputs = {name: _outputs_in(program, layer) for name, layer in wanted.items()}
        return Model(program.inputs, {_FINAL: program.outputs, **outputs}, name=f"{model.name}_multi_feature_extractor")

    # ── Training ────────────────────────────────────────────────────────────────────────────────────────────────────

    def compile(self, optimizer: Any = "adam", loss: Any = None, metrics: Any = None, **options: Any) -> None:  # type: ignore[override]
        """Say how to train the student: ``loss`` compares it with the targets; see `Model.compile`."""
        if loss is None:
            raise ConfigError("a Distiller is compiled with the loss of its student: loss=…")
        if metrics is not None and not isinstance(metrics, list | tuple):
            raise ConfigError(f"metrics must be a list, got {metrics!r}")
        self._student_loss = found_losses(loss)
        super().compile(optimizer=optimizer, loss=None, metrics=metrics, **options)
        self.compiled.arguments["loss"] = loss  # what files hold

    def compile_from_config(self, config: Mapping[str, Any]) -> None:
        """`compile` with what a file holds; Keras's files say nothing of the loss, and leave it to be done again."""
        if config.get("loss") is not None:
            super().compile_from_config({**config, "loss": losses_from_config(config["loss"])})

    def call(self, inputs: Any) -> Any:
        """The student's outputs."""
        return self.student(inputs)

    def compute_loss(
        self, x: Any = None, y: Any = None, y_pred: Any = None, sample_weight: Any = None, training: bool = True
    ) -> Tensor:
        """The scalar that training minimises; see the class."""
        y_pred = self(x, training=training) if y_pred is None else y_pred
        share = self.student_loss_weight
        if y is None and share == 1.0:
            raise DataError("there is nothing to learn from: y is missing, and student_loss_weight=1 asks no teacher")
        zero = next(leaves(y_pred)).new_zeros(())
        student_loss = self._against_targets(y, y_pred) if share > 0.0 and y is not None else zero
        distilled = self._against_teacher(x, y_pred) if share < 1.0 else zero
        total = share * student_loss + (1.0 - share) * distilled
        self.student_loss_tracker.update_state(student_loss)
        self.distillation_loss_tracker.update_state(distilled)
        self.total_loss_tracker.update_state(total)
        return total

    def _against_targets(self, y: Any, y_pred: Any) -> Tensor:
        if self._student_loss is None:
            raise ConfigError(f"{self.name!r} is not compiled: call compile(optimizer=…, loss=…) first")
        targets, outputs, given = (tree.flatten(one) for one in (y, y_pred, self._student_loss))
        given = given * len(outputs) if len(given) == 1 else given
        if not len(targets) == len(outputs) == len(given):
            raise DataError(
                f"the student has {len(outputs)} outputs, y {len(targets)} parts, loss {len(given)}; give one for each"
            )
        parts = [(loss, *pair) for loss, *pair in zip(given, targets, outputs) if loss is not None]
        return torch.stack([tensor(loss(*pair)).mean() for loss, *pair in parts]).sum()

    def _against_teacher(self, x: Any, y_pred: Any) -> Tensor:
        teacher = self._teacher_feature_extractor
        of_teacher = {_FINAL: self.teacher(x, training=False)} if teacher is None else teacher(x, training=False)
        student = self._student_feature_extractor
        of_student = {} if student is None else student(x)
        total = next(leaves(y_pred)).new_zeros(())
        for loss, weight in zip(self.distillation_losses, self.distillation_loss_weights):
            theirs = of_teacher[getattr(loss, "teacher_layer_name", None) or _FINAL]
            name = getattr(loss, "student_layer_name", None)
            ours = of_student[name] if name else y_pred
            loss.validate_outputs(theirs, ours)
            value = tensor(loss.compute_loss(theirs, ours))
            if value.ndim:
                raise ShapeError(
                    f"{type(loss).__name__}.compute_loss gave shape {tuple(value.shape)}; a distillation loss is a"
                    " scalar: take the mean"
                )
            total = total + weight * value
        return total

    # ── Config ──────────────────────────────────────────────────────────────────────────────────────────────────────

    def get_config(self) -> dict[str, Any]:
        return super().get_config() | {
            "distillation_losses": [serialize(loss) for loss in self.distillation_losses],
            "distillation_loss_weights": list(self.distillation_loss_weights),
        }

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> Self:
        made = {
            role: cls.files.model_from_config(config[role]) if isinstance(config[role], Mapping) else config[role]
            for role in ("teacher", "student")
        }
        found = [deserialize(one) for one in config["distillation_losses"]]
        return super().from_config({**config, **made, "distillation_losses": found})


def _check_models(teacher: Any, student: Any) -> None:
    """Raises: ConfigError for what is no model, ShapeError for graphs whose inputs or outputs differ."""
    for role, model in (("teacher", teacher), ("student", student)):
        if not isinstance(model, Model):
            raise ConfigError(f"the {role} must be a dg.Model, got {model!r}")
    one, other = teacher._program, student._program
    if one is None or other is None:
        return
    for what in ("inputs", "outputs"):
        pairs = getattr(one, f"flat_{what}"), getattr(other, f"flat_{what}")
        if len(pairs[0]) != len(pairs[1]):
            raise ShapeError(f"the teacher has {len(pairs[0])} {what}, the student {len(pairs[1])}")
        for theirs, ours in zip(*pairs):
            alike = len(theirs.shape) == len(ours.shape) and all(
                None in sizes or sizes[0] == sizes[1] for sizes in zip(theirs.shape, ours.shape)
            )
            if not alike or theirs.dtype != ours.dtype:
                raise ShapeError(
                    f"{what} differ: the teacher's {theirs.name!r} has shape {theirs.shape} of {theirs.dtype}, the"
                    f" student's {ours.name!r} {ours.shape} of {ours.dtype}"
                )


def _weighted(given: Any, weights: Sequence[float] | None) -> tuple[list[Any], list[float]]:
    """Distillation losses and their weights; one alone has weight 1."""
    if given is None:
        raise ConfigError("distillation_losses is None; give LogitsDistillation(), FeatureDistillation(…) or a list")
    if not isinstance(given, list | tuple):
        return [given], [1.0]
    weights = [1.0] * len(given) if weights is None else list(weights)
    if len(weights) != len(given):
        raise ConfigError(f"there are {len(given)} distillation_losses but {len(weights)} distillation_loss_weights")
    return list(given), weights


def _outputs_in(program: Program, layer: Any) -> Any:
    """What a layer gives where the program first applies it; an input layer, what is put in."""
    for node in program.nodes:
        if node.target is layer:
            return node.outputs
    return next(symbol for symbol in program.flat_inputs if symbol.name == layer.name)
