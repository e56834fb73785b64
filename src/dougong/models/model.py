"""`Model`: a layer that can be compiled, fitted, evaluated and saved; made from symbols or by a subclass."""

from __future__ import annotations

import inspect
import math
import os
from collections.abc import Callable, Mapping
from typing import Any, ClassVar, Self

import torch
from torch import Tensor, nn

from dougong.core import device as devices
from dougong.core.config import custom_object_scope
from dougong.core.errors import BuildError, ShapeError, UnknownNameError
from dougong.core.names import unique_name
from dougong.core.nested import leaves, map_leaves
from dougong.core.symbol import Symbol
from dougong.core.text import STRING, as_text, is_text
from dougong.layers.basic import InputLayer
from dougong.layers.layer import FORWARD_PASS, Layer
from dougong.models.fitting import Fitting
from dougong.models.front import Encoded, Front, declared_text, text_arrays
from dougong.models.graph_config import graph_config
from dougong.models.keras_words import ModelWords
from dougong.models.program import Program, module_key
from dougong.models.summary import summarize

__all__ = ["Model"]


class Model(Fitting, ModelWords):
    """A network.  ``Model(inputs, outputs)`` makes one from symbols; a subclass with ``call`` makes its own.

    >>> from dougong.core.symbol import Input
    >>> from dougong.layers.dense import Dense
    >>> x = Input((4,))
    >>> model = Model(x, Dense(3)(x))
    >>> model.output_shape, model.count_params()
    ((None, 3), 15)
    """

    files: ClassVar[Any]  # the functions that save and load, handed over by `dougong.models`
    _program: Program | None = None
    built_for: dict[str, Any] | None = None  # the first input's shape and dtype, where no symbols say them

    def __init__(self, inputs: Any = None, outputs: Any = None, *, name: str | None = None, **options: Any) -> None:
        if (inputs is None) is not (outputs is None):
            raise BuildError("a functional model needs both inputs= and outputs=")
        if name is None and inputs is not None and type(self) is Model:
            name = unique_name("functional")
        super().__init__(name=name, **options)
        if inputs is not None:
            self._adopt(Program(inputs, outputs))

    def _adopt(self, program: Program) -> None:
        """Hold the layers and constants of ``program`` and run it from now on."""
        for layer in program.layers:
            self._modules[module_key(layer.name)] = layer
        program.graph  # noqa: B018  translating finds the constants
        for name, constant in program.constants.items():
            if isinstance(constant, nn.Parameter):
                self.register_parameter(name, constant)
            else:
                self.register_buffer(name, constant)
        self._program = program
        self.built = True

    def build(self, input_shape: Any = None) -> None:
        """Make a subclassed model's weights for inputs of ``input_shape``, batch axis included, by a run on zeros.

        Raises: BuildError without a shape, or if the model does not run on zeros.   Keras: the same call.
        """
        if self.built or type(self).build is not Model.build:  # a subclass's own build may call this one
            return
        if input_shape is None:
            raise BuildError(f"model {self.name!r} does not know its input: call build((None, …)), or it on data")
        try:
            with torch.no_grad():
                self(_zeros(input_shape, self.data_dtype))
        except RuntimeError as error:
            self.built = False
            raise BuildError(
                f"model {self.name!r} does not run on zeros ({error}); call it on a batch of data"
            ) from error

    def _build_for(self, args: tuple[Any, ...], kwargs: Any) -> None:
        if type(self).build is Model.build:
            self._complete()  # the layers within build themselves as call reaches them
        else:
            super()._build_for(args, kwargs)
        if args:
            given = as_text(args[0]) if is_text(args[0]) else args[0]
            kind = "string" if is_text(first := next(leaves(given))) else str(first.dtype).removeprefix("torch.")
            shape = map_leaves(lambda leaf: [None, *leaf.shape[1:]], given)
            self.built_for = {"input_shape": shape, "input_dtype": kind}

    # ── Running ─────────────────────────────────────────────────────────────────────────────────────────────────────

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        if FORWARD_PASS.root is not None:
            return super().forward(*args, **kwargs)
        FORWARD_PASS.root = self
        try:
            for layer in self._lossy:
                layer._losses.clear()
            self._lossy.clear()
            return super().forward(*args, **kwargs)
        finally:
            FORWARD_PASS.root = None

    def call(self, inputs: Any) -> Any:
        if self._program is None:
            raise BuildError(f"{type(self).__name__} has neither call(self, inputs) nor inputs= and outputs=")
        if type(inputs) is Encoded:
            return self.front.run(self, inputs)
        return self._program.run(self, self._flat_inputs(self._program, inputs))

    @property
    def front(self) -> Front:
        """The layers that work on text, and how they run apart from the rest."""
        kept = self.__dict__.get("_front")
        if kept is None or kept.program is not self._program or self._program is None:
            kept = self.__dict__["_front"] = Front(self, self._program)
        return kept

    def _flat_inputs(self, program: Program, inputs: Any) -> list[Any]:
        """The inputs as the program wants them: by position, or by name when they come as a dict."""
        wanted = program.flat_inputs
        inputs = text_arrays(inputs, wanted)
        if len(wanted) == 1 and isinstance(inputs, Tensor):
            return [_as_declared(inputs, wanted[0])]
        if isinstance(inputs, dict) and not isinstance(program.inputs, dict):
            missing = [symbol.name for symbol in wanted if symbol.name not in inputs]
            if missing:
                raise ShapeError(f"model {self.name!r} needs inputs {missing}; received {sorted(inputs)}")
            return [_as_declared(inputs[symbol.name], symbol) for symbol in wanted]
        if isinstance(program.inputs, dict) and isinstance(inputs, dict):
            inputs = {key: inputs[key] for key in program.inputs if key in inputs}
        flat = list(leaves(inputs))
        if len(flat) != len(wanted):
            names = [symbol.name for symbol in wanted]
            raise ShapeError(f"model {self.name!r} takes {len(wanted)} inputs {names}; received {len(flat)}")
        return [_as_declared(leaf, symbol) for leaf, symbol in zip(flat, wanted)]

    def _check_input(self, inputs: Any, cause: Exception | None = None) -> None:
        if self._program is None or type(inputs) is Encoded:
            return
        for symbol, given in zip(self._program.flat_inputs, self._flat_inputs(self._program, inputs)):
            have = tuple(given.shape)
            fits = len(have) == len(symbol.shape) and all(
                None in (wanted, size) or wanted == size for wanted, size in zip(symbol.shape, have)
            )
            if not fits:
                raise ShapeError(
                    f"model {self.name!r} expects input {symbol.name!r} of shape {symbol.shape} but received {have}"
                    f"{_reshape_advice(symbol.shape, have)}"
                ) from cause

    def compute_output_spec(self, *args: Any, **kwargs: Any) -> Any:
        if self._program is not None and args:
            flat = self._flat_inputs(self._program, args[0])
            if [s.shape for s in flat] == [s.shape for s in self._program.flat_inputs]:
                return map_leaves(lambda s: Symbol(s.shape, s.dtype, name=s.name), self._program.outputs)
        return super().compute_output_spec(*args, **kwargs)

    def source(self) -> str:
        """The straight-line Python that a functional model runs."""
        if self._program is None:
            raise BuildError(
                f"model {self.name!r} runs its own call(); only a model made from symbols has generated code"
            )
        return self._program.source()

    # ── Looking ─────────────────────────────────────────────────────────────────────────────────────────────────────

    @property
    def layers(self) -> list[Layer]:
        """The layers one level down; a functional model's begin with its input layers."""
        below: list[Layer] = []
        pending = list(self.children())
        while pending:
            module = pending.pop(0)
            if isinstance(module, Layer):
                below.append(module)
            else:
                pending = [*module.children(), *pending]
        return [*self._input_layers(), *below]

    def _input_layers(self) -> list[Layer]:
        if self._program is None:
            return []
        if "_inputs_shown" not in self.__dict__:
            symbols = self._program.flat_inputs
            shown = tuple(InputLayer(batch_shape=s.shape, dtype=s.dtype, name=s.name) for s in symbols)
            self.__dict__["_inputs_shown"] = shown
        return list(self.__dict__["_inputs_shown"])

    def get_layer(self, name: str | None = None, index: int | None = None) -> Layer:
        """A layer by name or position.   Raises: UnknownNameError listing near names."""
        layers = self.layers
        if index is not None:
            if not -len(layers) <= index < len(layers):
                raise BuildError(f"model {self.name!r} has {len(layers)} layers; there is no layer {index}")
            return layers[index]
        for layer in layers:
            if layer.name == name:
                return layer
        raise UnknownNameError(f"layer of {self.name!r}", name, [layer.name for layer in layers])

    def _graph_or_refuse(self, what: str) -> Program:
        if self._program is None:
            raise BuildError(f"model {self.name!r} has no {what} yet: give it an Input, or call it on data first")
        return self._program

    @property
    def inputs(self) -> list[Symbol]:
        return self._graph_or_refuse("inputs").flat_inputs

    @property
    def outputs(self) -> list[Symbol]:
        return self._graph_or_refuse("outputs").flat_outputs

    @property
    def input(self) -> Any:
        return self._graph_or_refuse("input").inputs

    @property
    def output(self) -> Any:
        return self._graph_or_refuse("output").outputs

    @property
    def input_shape(self) -> Any:
        return map_leaves(lambda symbol: symbol.shape, self.input)

    @property
    def output_shape(self) -> Any:
        return map_leaves(lambda symbol: symbol.shape, self.output)

    @property
    def input_names(self) -> list[str]:
        return [symbol.name for symbol in self.inputs]

    @property
    def output_names(self) -> list[str]:
        """The names by which losses and metrics are given: dict keys, or the layers that make the outputs."""
        program = self._graph_or_refuse("outputs")
        if isinstance(program.outputs, dict):
            return list(program.outputs)
        return [getattr(symbol.node.target, "name", symbol.name) for symbol in program.flat_outputs]

    def summary(
        self,
        line_length: int | None = None,
        positions: Any = None,
        print_fn: Callable[..., Any] | None = None,
        expand_nested: bool = False,
        show_trainable: bool = False,
        layer_range: Any = None,
    ) -> None:
        """Print the layers, their output shapes and parameter counts, as Keras does."""
        summarize(
            self,
            width=line_length,
            print_fn=print_fn,
            expand_nested=expand_nested,
            show_trainable=show_trainable,
            layer_range=layer_range,
        )

    # ── Files ───────────────────────────────────────────────────────────────────────────────────────────────────────

    @property
    def keras_class_name(self) -> str | None:  # type: ignore[override]
        return "Functional" if type(self) is Model else None

    @property
    def keras_module(self) -> str:  # type: ignore[override]
        return "keras.src.models.functional" if type(self) is Model else "keras"  # Keras has no shorter name for it

    def get_config(self) -> dict[str, Any]:
        if self._program is not None and type(self).made_from_symbols():
            return {"name": self.name, "trainable": self.trainable, **graph_config(self._program)}
        config = super().get_config()
        config.pop("inputs", None)
        config.pop("outputs", None)
        return config

    @classmethod
    def made_from_symbols(cls) -> bool:
        """Whether the constructor takes inputs and outputs as `Model`'s does, so that a graph makes one of this class.

        >>> Model.made_from_symbols()
        True
        """
        taken = inspect.getfullargspec(cls.__init__)
        return taken.args[1:] in (["inputs", "outputs"], ["inputs", "outputs", "name"]) or bool(
            taken.varargs and taken.varkw
        )

    @classmethod
    def from_config(cls, config: Mapping[str, Any], custom_objects: Mapping[str, Any] | None = None) -> Any:
        """A model with fresh weights from what `get_config` gave: a graph, or the constructor's arguments."""
        if config.keys() >= {"layers", "input_layers", "output_layers"} and cls.made_from_symbols():
            return cls.files.model_of_class(cls, config, custom_objects)
        with custom_object_scope(custom_objects):
            return super().from_config(config)

    def save(self, filepath: str | os.PathLike[str], overwrite: bool = True, **options: Any) -> None:
        """Write everything to a ``.keras`` file, atomically, with a checksum for each array.   Keras: the same call."""
        type(self).files.save_model(self, filepath, overwrite, **options)

    def save_weights(
        self, filepath: str | os.PathLike[str], overwrite: bool = True, max_shard_size: float | None = None
    ) -> None:
        """Write the weights to a ``.weights.h5`` file."""
        type(self).files.save_weights(self, filepath, overwrite, max_shard_size)

    def load_weights(self, filepath: str | os.PathLike[str], skip_mismatch: bool = False) -> None:
        """Fill the weights from a ``.weights.h5`` or ``.keras`` file; layers that do not fit are left if told so."""
        type(self).files.load_weights(self, filepath, skip_mismatch)

    def to_json(self, **options: Any) -> str:
        """The structure as JSON; `dg.models.model_from_json` makes a model of it."""
        return type(self).files.to_json(self, **options)

    def __deepcopy__(self, memo: dict[int, Any]) -> Self:
        copy = type(self).__new__(type(self))
        memo[id(self)] = copy
        from copy import deepcopy  # lazy: only copies need it

        for key, value in self.__dict__.items():
            copy.__dict__[key] = [] if key in ("_calls", "_lossy", "_losses") else deepcopy(value, memo)
        if copy._program is not None:
            copy._program.note_calls()
        return copy


def _zeros(shape: Any, dtype: torch.dtype) -> Any:
    """Zeros of a shape, or of each in a list or dict of shapes; unknown axes have length 1."""
    if isinstance(shape, dict):
        return {key: _zeros(item, dtype) for key, item in shape.items()}
    if shape and isinstance(shape[0], list | tuple):
        return [_zeros(item, dtype) for item in shape]
    return torch.zeros([size or 1 for size in shape], dtype=dtype, device=devices.default())


def _reshape_advice(wanted: tuple[int | None, ...], have: tuple[int | None, ...]) -> str:
    """What would make ``have`` fit, where that is plain."""
    if None in have[1:] or None in wanted[1:]:
        return ""
    if math.prod(filter(None, wanted[1:])) == math.prod(filter(None, have[1:])):
        return f"; reshape it to {('batch', *wanted[1:])}".replace("'", "")
    if len(have) + 1 == len(wanted) and have == wanted[1:]:
        return "; one sample needs a batch axis: x[None]"
    return ""


def _as_declared(tensor: Any, wanted: Symbol) -> Any:
    """As Keras does: a vector gets the last axis of one that the model wants, whole numbers become floats."""
    if not isinstance(tensor, Tensor) or wanted.dtype is STRING:
        return declared_text(tensor, wanted)
    if wanted.dtype.is_floating_point and not (tensor.is_floating_point() or tensor.is_complex()):
        tensor = tensor.to(wanted.dtype)
    if tensor.dim() + 1 == len(wanted.shape) and wanted.shape[-1] == 1:
        return tensor.unsqueeze(-1)
    return tensor
