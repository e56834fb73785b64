"""What Keras's `Model` offers beyond fitting and files: its state as one tree, its settings as configs."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping
from typing import Any

from dougong.core.config import serialize
from dougong.core.errors import ConfigError, NotOfferedError, ShapeError
from dougong.layers.layer import Layer
from dougong.training.compiled import Compiled

__all__ = ["ModelWords"]

_KINDS = ("trainable_variables", "non_trainable_variables", "optimizer_variables", "metrics_variables")


class ModelWords(Layer):
    """The part of Keras's `Model` that is made of the rest of it."""

    _compiled: Compiled | None
    compile: Callable[..., None]

    @property
    def run_eagerly(self) -> bool:
        """Whether steps run as they are written, uncaptured; may be set."""
        return self._compiled is not None and self._compiled.run_eagerly

    @run_eagerly.setter
    def run_eagerly(self, value: bool) -> None:
        if self._compiled is None:
            raise ConfigError(f"model {self.name!r} is not compiled: say run_eagerly in compile(…)")
        self._compiled.run_eagerly = bool(value)
        self._compiled._steps.clear()

    @property
    def steps_per_execution(self) -> int:
        """What `compile` was told; it changes nothing, since a captured step costs no more alone."""
        return 1 if self._compiled is None else self._compiled.arguments.get("steps_per_execution", 1)

    @property
    def operations(self) -> list[Layer]:
        """The layers; functions on tensors in a graph have no object."""
        return self.layers  # type: ignore[attr-defined]

    @property
    def jit_compile(self) -> bool | str:
        """What `compile` was told; it changes nothing, since steps are captured."""
        return "auto" if self._compiled is None else self._compiled.arguments.get("jit_compile", "auto")

    def get_compile_config(self) -> dict[str, Any] | None:
        """What `compile` was given, as a file holds it; None before that."""
        if self._compiled is None:
            return None
        arguments = self._compiled.arguments | {"optimizer": self._compiled.optimizer}
        return {name: serialize(value) for name, value in arguments.items()}

    def compile_from_config(self, config: Mapping[str, Any]) -> None:
        """`compile` with what `get_compile_config` gave, whose optimizer scales the loss if it is to.

        A model with a `compile` of its own takes other arguments: it warns, and is to be compiled by hand.
        Keras: equals it.
        """
        if not type(self).compile.__module__.startswith("dougong."):
            warnings.warn(
                f"model {self.name!r} is not compiled: {type(self).__name__} has its own compile(); call it, or define"
                " get_compile_config() and compile_from_config(config)",
                stacklevel=2,
            )
            return
        self.compile(**{**config, "auto_scale_loss": False})

    def get_state_tree(self, value_format: str = "backend_tensor") -> dict[str, dict[str, Any]]:
        """All variables by kind, each tree nested by the parts of the variables' paths.

        ``value_format``: ``backend_tensor`` or ``numpy_array``.   Keras: equals ``Model.get_state_tree``.
        """
        if value_format not in ("backend_tensor", "numpy_array"):
            raise ConfigError(f"value_format is 'backend_tensor' or 'numpy_array'; got {value_format!r}")
        trees: dict[str, dict[str, Any]] = {}
        for kind, variables in self._variables_by_kind().items():
            trees[kind] = {}
            for variable in variables:
                *folders, name = variable.path.split("/")
                place = trees[kind]
                for folder in folders:
                    place = place.setdefault(folder, {})
                place[name] = variable.numpy() if value_format == "numpy_array" else variable.value
        return trees

    def set_state_tree(self, state_tree: Mapping[str, Any]) -> None:
        """Assign what `get_state_tree` gave, or part of it.   Raises: ConfigError, ShapeError for what does not fit."""
        own = self._variables_by_kind()
        unknown = set(state_tree) - set(_KINDS)
        if unknown:
            raise ConfigError(f"a state tree has {', '.join(_KINDS)}; got {sorted(unknown)[0]!r}")
        for kind, tree in state_tree.items():
            by_path = {variable.path: variable for variable in own[kind]}
            for path, value in _leaves_by_path(tree):
                if path not in by_path:
                    raise ShapeError(f"model {self.name!r} has no {kind} of path {path!r}")
                by_path[path].assign(value)

    def _variables_by_kind(self) -> dict[str, list[Any]]:
        optimizer = None if self._compiled is None else self._compiled.optimizer
        built = optimizer is not None and optimizer.built
        return {
            "trainable_variables": self.trainable_variables,
            "non_trainable_variables": self.non_trainable_variables,
            "optimizer_variables": optimizer.variables if optimizer is not None and built else [],
            "metrics_variables": self.metrics_variables,
        }

    def stateless_compute_loss(self, *args: Any, **kwargs: Any) -> None:
        """Refused: raises NotOfferedError."""
        raise NotOfferedError("call model.stateless_call for the outputs, then model.compute_loss(y=…, y_pred=…)")

    def export(self, filepath: Any, format: str = "tf_saved_model", **options: Any) -> None:
        """Refused until exports are there: raises NotOfferedError."""
        raise NotOfferedError(
            f"export to {format!r} is not part of Dougong yet; use model.save, or torch.export.export(model, (x,))"
        )

    train_function = test_function = predict_function = None

    def get_quantization_layer_structure(self, *args: Any, **kwargs: Any) -> None:
        """Refused: raises NotOfferedError."""
        self.quantize()

    def make_train_function(self, force: bool = False) -> None:
        """Nothing to make: steps are captured as they are used."""

    make_test_function = make_train_function
    make_predict_function = make_train_function


def _leaves_by_path(tree: Mapping[str, Any], folder: str = "") -> list[tuple[str, Any]]:
    found: list[tuple[str, Any]] = []
    for name, value in tree.items():
        path = f"{folder}/{name}" if folder else name
        found += _leaves_by_path(value, path) if isinstance(value, Mapping) else [(path, value)]
    return found
