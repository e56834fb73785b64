"""What a student is compared with its teacher by: outputs, or the features of a layer.   Shapes: N batch, C classes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Self

import torch
from torch import Tensor

from dougong import losses
from dougong.core import tree
from dougong.core.config import Configurable, serialize
from dougong.core.config import deserialize as deserialize_from
from dougong.core.errors import BuildError, ConfigError, ShapeError
from dougong.ops.op import tensor

__all__ = [
    "DistillationLoss",
    "FeatureDistillation",
    "LogitsDistillation",
    "deserialize",
    "found_losses",
    "losses_from_config",
]


class DistillationLoss(Configurable):
    """What teacher and student give, to one number.  Subclasses write `compute_loss`.   Keras: equals its namesake."""

    keras_module = "keras.distillation"
    teacher_layer_name: str | None = None
    student_layer_name: str | None = None

    def compute_loss(self, teacher_outputs: Any, student_outputs: Any, **kwargs: Any) -> Tensor:
        """A scalar for the outputs of one batch, each a tensor or a structure of them."""
        raise NotImplementedError(f"{type(self).__name__} must define compute_loss(teacher_outputs, student_outputs)")

    def validate_outputs(self, teacher_outputs: Any, student_outputs: Any) -> None:
        """Raises: ShapeError unless both nest alike."""
        _require_alike(teacher_outputs, student_outputs, "the teacher's outputs", "the student's")

    def validate_model_compatibility(self, teacher: Any, student: Any) -> None:
        """Raise for models that this loss cannot be used with; here, none."""


class _ComparedByLosses(DistillationLoss):
    """A loss for each output, in the nesting of the outputs; None leaves an output out."""

    loss: Any

    def _take(self, loss: Any) -> None:
        self.loss = found_losses(loss)
        if all(one is None for one in tree.flatten(self.loss)):
            raise ConfigError(f"{type(self).__name__} needs a loss for one output at least; got loss={loss!r}")

    def _sum(self, teacher_outputs: Any, student_outputs: Any) -> Tensor:
        values = tree.map_structure(self._one, self.loss, teacher_outputs, student_outputs)
        return torch.stack([value for value in tree.flatten(values) if value is not None]).sum()

    def _one(self, loss: Any, teacher_output: Any, student_output: Any) -> Tensor | None:
        return None if loss is None else tensor(loss(teacher_output, student_output)).mean()

    def get_config(self) -> dict[str, Any]:
        return super().get_config() | {"loss": tree.map_structure(_written, self.loss)}

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> Self:
        return super().from_config({**config, "loss": losses_from_config(config.get("loss"))})


class LogitsDistillation(_ComparedByLosses):
    r"""Compares logits divided by a temperature :math:`T`, which shows what the teacher holds of the other classes.

    .. math:: \text{loss}(z_t / T, z_s / T), \qquad
        T^2 \, \mathrm{KL}(\mathrm{softmax}(z_t / T) \,\|\, \mathrm{softmax}(z_s / T)) \text{ for a KLDivergence object}

    ``loss`` is a name, a loss, a function, or a structure of them like the outputs.  Keras: equals its namesake, and in
    this, too: the name ``"kl_divergence"``, the default, means the function, which is given the scaled logits, no
    probabilities.  ``losses.KLDivergence()`` means the second formula, which is Hinton's and most likely what you want.
    Shapes: ``[N, C], [N, C] -> []``.   Raises: ConfigError for a temperature that is not positive.
    Ref: Hinton 2015, arXiv:1503.02531.

    >>> logits = torch.tensor([[2.0, -1.0, 0.0]])
    >>> LogitsDistillation(temperature=2.0, loss=losses.KLDivergence()).compute_loss(logits, logits.flip(1))
    tensor(1.5892)
    """

    def __init__(self, temperature: float = 3.0, loss: Any = "kl_divergence") -> None:
        if not isinstance(temperature, int | float) or not temperature > 0:
            raise ConfigError(f"temperature must be a positive number, got {temperature!r}")
        self.temperature = temperature
        self._take(loss)

    def compute_loss(self, teacher_outputs: Any, student_outputs: Any, **kwargs: Any) -> Tensor:
        """The sum of the losses of all outputs, logits, divided by the temperature."""
        scaled = [
            tree.map_structure(lambda logits: tensor(logits) / self.temperature, outputs)
            for outputs in (teacher_outputs, student_outputs)
        ]
        return self._sum(*scaled)

    def _one(self, loss: Any, teacher_output: Any, student_output: Any) -> Tensor | None:
        if not isinstance(loss, losses.KLDivergence):
            return super()._one(loss, teacher_output, student_output)
        return tensor(loss(teacher_output.softmax(-1), student_output.softmax(-1))).mean() * self.temperature**2


class FeatureDistillation(_ComparedByLosses):
    """Compares the outputs of a layer of the teacher with those of one of the student; without names, the models'.

    ``loss`` is a name, a loss, a function, or a structure of them like the layers' outputs.
    Keras: equals its namesake, but ``student_layer_name`` alone compares that layer with the teacher's outputs, where
    Keras takes no notice of it.   Ref: Romero 2015, arXiv:1412.6550.

    >>> FeatureDistillation(loss="mse").compute_loss(torch.ones(2, 3), torch.zeros(2, 3))
    tensor(1.)
    """

    def __init__(
        self, loss: Any = "mse", teacher_layer_name: str | None = None, student_layer_name: str | None = None
    ) -> None:
        self.teacher_layer_name, self.student_layer_name = teacher_layer_name, student_layer_name
        self._take(loss)

    def validate_model_compatibility(self, teacher: Any, student: Any) -> None:
        """Raises: BuildError for models of their own `call`, which have no features to name; UnknownNameError."""
        named = {"teacher": (teacher, self.teacher_layer_name), "student": (student, self.student_layer_name)}
        if all(layer is None for _, layer in named.values()):
            return
        for role, (model, layer) in named.items():
            if not model.known_inputs():
                raise BuildError(
                    f"the {role} {model.name!r} has no graph, so its layers' outputs cannot be had by name: make it"
                    " Sequential or functional with an Input, or give FeatureDistillation no layer names"
                )
            if layer is not None:
                model.get_layer(layer)

    def validate_outputs(self, teacher_outputs: Any, student_outputs: Any) -> None:
        super().validate_outputs(teacher_outputs, student_outputs)
        _require_alike(self.loss, teacher_outputs, "loss", "the features")

    def compute_loss(self, teacher_outputs: Any, student_outputs: Any, **kwargs: Any) -> Tensor:
        """The sum of the losses of all features."""
        return self._sum(teacher_outputs, student_outputs)


def deserialize(config: Any) -> Any:
    """A distillation loss from its serialized form; one that is made already stays as it is.

    >>> deserialize({"class_name": "LogitsDistillation", "config": {"temperature": 4.0, "loss": "mse"}}).temperature
    4.0
    """
    if not isinstance(config, Mapping):
        return config
    table = {cls.__name__: cls for cls in (LogitsDistillation, FeatureDistillation)}
    return deserialize_from(config, table, "distillation loss")


def _require_alike(one: Any, other: Any, what: str, against: str) -> None:
    try:
        tree.assert_same_structure(one, other)
    except ValueError as error:
        raise ShapeError(f"{what} and {against} nest differently: {error}") from error


def _written(loss: Any) -> Any:
    """A loss as Keras's configs have it, where a function is an entry of its own."""
    found = serialize(loss)
    if not isinstance(found, str):
        return found
    return {"module": "builtins", "class_name": "function", "config": found, "registered_name": "function"}


def found_losses(given: Any) -> Any:
    """The same structure with losses in place of their names.   Raises: UnknownNameError.

    >>> found_losses(["mse", None])[0].__name__
    'mean_squared_error'
    """
    return tree.map_structure(lambda one: losses.get(one) if isinstance(one, str) else one, given)


def losses_from_config(value: Any) -> Any:
    """The losses of a config, in their nesting; names stay names."""
    if isinstance(value, Mapping) and "class_name" not in value:
        return {key: losses_from_config(one) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return [losses_from_config(one) for one in value]
    return losses.deserialize(value) if isinstance(value, Mapping) else value
