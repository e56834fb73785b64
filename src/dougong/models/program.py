"""A recorded graph as straight-line code: what a functional model runs and `model.source()` prints."""

from __future__ import annotations

import operator
from collections.abc import Sequence
from keyword import iskeyword
from typing import Any

from torch import Tensor, fx, nn

from dougong.core.errors import BuildError
from dougong.core.nested import leaves, map_leaves
from dougong.core.symbol import Node, Symbol, in_order
from dougong.layers.layer import Layer

__all__ = ["Program", "module_key"]


# What `Model` has beyond `Layer`, which no layer may be stored as; a test compares.
_OWN = frozenset(
    """
_adopt _compiled _flat_inputs _graph_or_refuse _input_layers _one_batch _predicting _program _step_on
_variables_by_kind built_for check_inputs compile_from_config compiled compute_loss compute_metrics data_dtype
device evaluate export files fit front get_compile_config get_layer get_metrics_result
get_quantization_layer_structure get_state_tree has_own_step history input_names input_shape inputs is_complete
jit_compile known_inputs known_output_names layers load_weights loss loss_for_step made_from_symbols
make_predict_function make_test_function make_train_function metrics_names operations optimizer output_names
output_shape outputs own_metrics predict predict_function predict_on_batch predict_step reset_metrics run_eagerly
save save_weights set_state_tree source stateless_compute_loss steps_per_execution stop_evaluating stop_training
summary test_function test_on_batch test_step to_json train_function train_on_batch train_step
""".split()
)


def module_key(name: str) -> str:
    """A layer's name as the attribute that holds it: no dot, no keyword, no attribute of a model's own (``output``).

    >>> module_key("block.1"), module_key("output"), module_key("lambda")
    ('block_1', 'output_', 'lambda_')
    """
    key = name.replace(".", "_")
    return f"{key}_" if key in _OWN or iskeyword(key) or hasattr(Layer, key) else key


class Program:
    """The nodes between ``inputs`` and ``outputs``, the layers they use, and the code made of them.

    ``inputs`` and ``outputs`` are structures of symbols.   Raises: BuildError for an output not from them.
    """

    def __init__(self, inputs: Any, outputs: Any) -> None:
        self.inputs, self.outputs = inputs, outputs
        self.flat_inputs: list[Symbol] = [_symbol(leaf, "inputs") for leaf in leaves(inputs)]
        self.flat_outputs: list[Symbol] = [_symbol(leaf, "outputs") for leaf in leaves(outputs)]
        self.nodes: list[Node] = [
            node for node in in_order(self.flat_outputs, self.flat_inputs) if not self._is_given(node)
        ]
        self.layers: list[Layer] = _unique(map(_owner, self.nodes))
        self.constants: dict[str, Tensor] = {}
        self._check_names()
        self._graph: fx.Graph | None = None
        self._run: Any = None

    def note_calls(self) -> None:
        """Tell the layers which nodes apply them, as after a copy."""
        for node in self.nodes:
            if isinstance(node.target, Layer):
                node.target.note_call(node)

    def _is_given(self, node: Node) -> bool:
        if node.target is not None:
            return False
        if not any(symbol.node is node for symbol in self.flat_inputs):
            raise BuildError(
                f"the outputs depend on input {node.outputs.name!r}, which is not among the model's inputs"
                f" {[symbol.name for symbol in self.flat_inputs]}; add it to inputs=[…]"
            )
        return True

    def _check_names(self) -> None:
        seen: dict[str, Layer] = {}
        for layer in self.layers:
            if seen.setdefault(module_key(layer.name), layer) is not layer:
                raise BuildError(f"two layers are called {layer.name!r}; give each its own name=")

    @property
    def graph(self) -> fx.Graph:
        """The program as a `torch.fx.Graph` over a module that holds `layers` and `constants` by name."""
        if self._graph is None:
            self._graph = self._translate()
        return self._graph

    def source(self) -> str:
        """The Python that `run` executes."""
        return self.graph.python_code("self").src.strip() + "\n"

    def run(self, module: nn.Module, inputs: Sequence[Any]) -> Any:
        """Execute on the flat ``inputs``; ``module`` holds the layers."""
        if self._run is None:
            code = self.graph.python_code("self")
            namespace = dict(code.globals)
            exec(compile(code.src, "<dougong model>", "exec"), namespace)
            self._run = namespace["forward"]
        return self._run(module, *inputs)

    def _translate(self) -> fx.Graph:
        graph = fx.Graph()
        known: dict[int, Any] = {}
        for symbol in self.flat_inputs:
            known[id(symbol)] = graph.placeholder(symbol.name)

        def argument(leaf: Any) -> Any:
            if isinstance(leaf, Symbol):
                return known[id(leaf)]
            if isinstance(leaf, Tensor):
                return graph.get_attr(self._constant(leaf))
            if isinstance(leaf, Layer):
                return graph.get_attr(module_key(leaf.name))
            return leaf

        for node in self.nodes:
            args, kwargs = map_leaves(argument, node.args), map_leaves(argument, node.kwargs)
            made = self._emit(graph, node, args, kwargs)
            for symbol, value in _bindings(graph, node.outputs, made):
                known[id(symbol)] = value
        graph.output(map_leaves(lambda symbol: known[id(symbol)], self.outputs))
        return graph

    def _emit(self, graph: fx.Graph, node: Node, args: Any, kwargs: Any) -> fx.Node:
        target = node.target
        if isinstance(target, Layer):
            return graph.call_module(module_key(target.name), args, kwargs)
        owner = getattr(target, "__self__", None)
        if isinstance(owner, Layer):  # a layer's compute_mask
            held = graph.get_attr(module_key(owner.name))
            return graph.call_method(target.__name__, (held, *args), kwargs)
        if getattr(target, "__objclass__", None) is not None and hasattr(Tensor, target.__name__):
            return graph.call_method(target.__name__, args, kwargs)
        return graph.call_function(target, args, kwargs)

    def _constant(self, tensor: Tensor) -> str:
        for name, known in self.constants.items():
            if known is tensor:
                return name
        name = f"constant_{len(self.constants)}"
        self.constants[name] = tensor
        return name

    def __getstate__(self) -> dict[str, Any]:
        return self.__dict__ | {"_run": None}


def _owner(node: Node) -> Any:
    owner = node.target if isinstance(node.target, Layer) else getattr(node.target, "__self__", None)
    return owner if isinstance(owner, Layer) else None


def _unique(items: Any) -> list[Any]:
    found = {id(item): item for item in items if item is not None}
    return list(found.values())


def _symbol(leaf: Any, where: str) -> Symbol:
    if not isinstance(leaf, Symbol):
        raise BuildError(
            f"a functional model's {where} must be symbols, from dg.Input(...) or a layer applied to one; got {leaf!r}"
        )
    return leaf


def _bindings(graph: fx.Graph, outputs: Any, made: fx.Node) -> list[tuple[Symbol, fx.Node]]:
    """Each output symbol with the graph value that holds it."""
    if isinstance(outputs, Symbol):
        return [(outputs, made)]
    if isinstance(outputs, dict):
        items: Any = outputs.items()
    elif isinstance(outputs, list | tuple):
        items = enumerate(outputs)
    else:
        return []
    pairs = []
    for key, item in items:
        pairs += _bindings(graph, item, graph.call_function(operator.getitem, (made, key)))
    return pairs
