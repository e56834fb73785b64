"""Copies of models: the same graph of new layers, with fresh weights."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from torch import Tensor, nn

from dougong.core import tree
from dougong.core.config import Configurable, custom_object_scope
from dougong.core.errors import ConfigError
from dougong.core.nested import leaves, map_leaves
from dougong.core.symbol import Input, Node, Symbol, record
from dougong.layers.layer import Layer
from dougong.models.bundles import build_on_zeros
from dougong.models.graph_config import comes_by_itself, makes_a_mask
from dougong.models.model import Model
from dougong.models.program import Program
from dougong.models.sequential import Sequential

__all__ = ["clone_model"]

CloneFunction = Callable[[Any], Any]
CallFunction = Callable[..., Any]


def clone_model(
    model: Model,
    input_tensors: Any = None,
    clone_function: CloneFunction | None = None,
    call_function: CallFunction | None = None,
    recursive: bool = False,
    *,
    custom_objects: Mapping[str, Any] | None = None,
) -> Model:
    """A model of the same structure with fresh weights, compiled as ``model`` is.

    ``clone_function(layer)`` gives the copy of a layer, by default ``type(layer).from_config(layer.get_config())``;
    one that is used twice is copied once.  ``call_function(layer, *args, **kwargs)`` applies a copy in a graph, and may
    put other layers before or after it; functions of tensors are applied as they were.  ``recursive`` copies the
    layers of inner models in the same way.  ``input_tensors`` are symbols to build upon, nested as ``model.input``.
    A model with a `call` of its own is made from its config, and takes none of these.
    Raises: ConfigError for arguments that the kind of model does not take.   Keras: equals its namesake, but functions
    on tensors, layers there, are not handed to ``clone_function``.

    >>> from dougong.layers.dense import Dense
    >>> model = Sequential([Input((2,)), Dense(3)])
    >>> clone = clone_model(model, input_tensors=Input((2,), batch_size=5))
    >>> clone.output_shape, bool((clone.layers[0].weight == model.layers[0].weight).any())
    ((5, 3), False)
    """
    if not isinstance(model, Model):
        raise ConfigError(f"clone_model copies models, got {model!r}; copy a layer by its from_config(get_config())")
    with custom_object_scope(custom_objects):
        copying = _Copying(clone_function, call_function, recursive)
        if isinstance(model, Sequential):
            if call_function is not None:
                raise ConfigError(f"call_function is for graphs; {model.name!r} is Sequential, whose layers are listed")
            return copying.stack(model, input_tensors)
        if model._program is not None:
            return copying.graph(model, model._program, input_tensors)
        given = {"clone_function": clone_function, "input_tensors": input_tensors, "call_function": call_function}
        for name, value in given.items():
            if value is not None:
                raise ConfigError(
                    f"{name} is for Sequential and functional models; {model.name!r} is a {type(model).__name__} with a"
                    " call of its own, which is copied from its config"
                )
        return _from_config(model)


class _Copying:
    """The copies made so far, so that what is shared stays shared."""

    def __init__(
        self, clone_function: CloneFunction | None, call_function: CallFunction | None, recursive: bool
    ) -> None:
        self.clone_function = clone_function or _fresh
        self.call_function = call_function
        self.recursive = recursive
        self._copies: dict[int, Any] = {}

    def of(self, layer: Any) -> Any:
        """The copy of a layer or of a constant of the graph."""
        if id(layer) not in self._copies:
            self._copies[id(layer)] = self._copied(layer)
        return self._copies[id(layer)]

    def _copied(self, original: Any) -> Any:
        if isinstance(original, Tensor):
            value = original.detach().clone()
            return nn.Parameter(value, original.requires_grad) if isinstance(original, nn.Parameter) else value
        if self.recursive and isinstance(original, Sequential):
            return self.stack(original, None)
        if self.recursive and isinstance(original, Model) and original._program is not None:
            return self.graph(original, original._program, None)
        return self.clone_function(original)

    def stack(self, model: Sequential, given: Any) -> Sequential:
        """The copy of a sequential model."""
        layers: list[Any] = [self.of(layer) for layer in model.layers]
        start = model._start
        if given is not None:
            symbols = list(leaves(given))
            if len(symbols) != 1 or not isinstance(symbols[0], Symbol):
                raise ConfigError(f"a Sequential is built upon one symbol, such as Input((3,)); got {given!r}")
            layers.insert(0, symbols[0])
        elif start is not None:
            layers.insert(0, _input_like(start))
        return _compiled_as(model, Sequential(layers, name=model.name, trainable=model.trainable))

    def graph(self, model: Model, program: Program, given: Any) -> Model:
        """The copy of a functional model, of its class where that is made from inputs and outputs."""
        inputs = map_leaves(_input_like, program.inputs) if given is None else _checked(given, program.inputs)
        known = {id(old): new for old, new in zip(program.flat_inputs, leaves(inputs))}
        for node in program.nodes:
            if not makes_a_mask(node):
                for old, new in zip(leaves(node.outputs), leaves(self._applied(node, known))):
                    _note(known, old, new)
        outputs = map_leaves(lambda symbol: known[id(symbol)], program.outputs)
        cls = type(model) if type(model).made_from_symbols() else Model
        return _compiled_as(model, cls(inputs, outputs, name=model.name))

    def _applied(self, node: Node, known: Mapping[int, Any]) -> Any:
        """What a node's layer or function gives for the copies of what it was given."""

        def copied(leaf: Any) -> Any:
            if isinstance(leaf, Symbol):
                return known[id(leaf)]
            return self.of(leaf) if isinstance(leaf, Tensor | Layer) else leaf

        kept = {name: value for name, value in node.kwargs.items() if not comes_by_itself(node, name, value)}
        args, kwargs = map_leaves(copied, node.args), map_leaves(copied, kept)
        if not isinstance(node.target, Layer):
            return record(node.target, args, kwargs)
        layer = self.of(node.target)
        return layer(*args, **kwargs) if self.call_function is None else self.call_function(layer, *args, **kwargs)


def _fresh(layer: Any) -> Any:
    return type(layer).from_config(layer.get_config())


def _input_like(symbol: Symbol) -> Symbol:
    return Input(batch_shape=symbol.shape, dtype=symbol.dtype, name=symbol.name)


def _note(known: dict[int, Any], old: Any, new: Any) -> None:
    """Remember which symbol stands for which, and so for their masks."""
    known[id(old)] = new
    if isinstance(old, Symbol) and isinstance(new, Symbol) and old.mask is not None and new.mask is not None:
        known[id(old.mask)] = new.mask


def _checked(given: Any, wanted: Any) -> Any:
    if not all(isinstance(leaf, Symbol) for leaf in leaves(given)):
        raise ConfigError(f"input_tensors must be symbols, such as dg.Input((3,)); got {given!r}")
    try:
        tree.assert_same_structure(given, wanted)
    except ValueError as error:
        raise ConfigError(f"input_tensors must be nested as model.input is: {error}") from error
    return given


def _compiled_as(model: Any, made: Any) -> Any:
    """``made``, compiled with objects like those that ``model`` was compiled with."""
    if model._compiled is not None:
        arguments = model._compiled.arguments | {"optimizer": model.optimizer}
        made.compile_from_config({name: _again(value) for name, value in arguments.items()})
    return made


def _again(value: Any) -> Any:
    """New objects of the same configs, in the same nesting; functions and names are as they were."""
    return map_leaves(lambda leaf: _fresh(leaf) if isinstance(leaf, Configurable) else leaf, value)


def _from_config(model: Model) -> Model:
    made = type(model).from_config(model.get_config())
    if not made.is_complete() and model.built_for:
        build_on_zeros(made, model.built_for, f"the copy of {model.name!r}")
    return _compiled_as(model, made)
