"""A functional model's graph as Keras writes it (layers, inbound nodes, tensor histories), and back.

Torch functions, which Keras's format has no entry for, are entries of class ``Recorded`` that name a function.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping
from typing import Any

import torch

from dougong.core.config import serialize
from dougong.core.dtypes import torch_dtype
from dougong.core.errors import ModelFormatError
from dougong.core.nested import leaves, map_leaves
from dougong.core.symbol import Input, Node, Symbol, record
from dougong.layers.basic import InputLayer
from dougong.layers.layer import Layer
from dougong.models.program import Program
from dougong.ops.recorded import function_called, name_of

__all__ = ["comes_by_itself", "graph_config", "graph_from_config", "makes_a_mask"]

_RECORDED = "Recorded"


def graph_config(program: Program) -> dict[str, Any]:
    """``layers``, ``input_layers`` and ``output_layers`` of a program."""
    writer = _Writer(program)
    return {
        "layers": writer.entries(),
        "input_layers": map_leaves(lambda symbol: [symbol.name, 0, 0], program.inputs),
        "output_layers": map_leaves(writer.history, program.outputs),
    }


class _Writer:
    def __init__(self, program: Program) -> None:
        self.program = program
        self._histories: dict[int, list[Any]] = {id(s): [s.name, 0, 0] for s in program.flat_inputs}
        self._names: set[str] = {s.name for s in program.flat_inputs} | {layer.name for layer in program.layers}

    def history(self, symbol: Symbol) -> list[Any]:
        return self._histories[id(symbol)]

    def entries(self) -> list[dict[str, Any]]:
        found: dict[str, dict[str, Any]] = {}
        for symbol in self.program.flat_inputs:
            layer = InputLayer(batch_shape=symbol.shape, dtype=symbol.dtype, name=symbol.name)
            found[symbol.name] = serialize(layer) | {"name": symbol.name, "inbound_nodes": []}
        for node in self.program.nodes:
            if makes_a_mask(node):
                continue  # made again when the layers are called
            if isinstance(node.target, Layer):
                name = node.target.name
                entry = found.setdefault(name, serialize(node.target) | {"name": name, "inbound_nodes": []})
            else:
                name = self._free_name(next(leaves(node.outputs)).name)
                config = {"name": name, "function": name_of(node.target)}
                entry = {"module": "dougong.ops", "class_name": _RECORDED, "config": config, "registered_name": None}
                found[name] = entry = entry | {"name": name, "inbound_nodes": []}
            for position, symbol in enumerate(leaves(node.outputs)):
                self._histories[id(symbol)] = [name, len(entry["inbound_nodes"]), position]
            kwargs = {key: v for key, v in node.kwargs.items() if not comes_by_itself(node, key, v)}
            entry["inbound_nodes"].append({"args": self._write(list(node.args)), "kwargs": self._write(kwargs)})
        return list(found.values())

    def _free_name(self, wanted: str) -> str:
        name, count = wanted, 0
        while name in self._names:
            count += 1
            name = f"{wanted}_{count}"
        self._names.add(name)
        return name

    def _write(self, value: Any) -> Any:
        if isinstance(value, Symbol):
            config = {"shape": list(value.shape), "dtype": str(value.dtype).removeprefix("torch.")}
            return {
                "class_name": "__keras_tensor__",
                "config": config | {"keras_history": self.history(value)},
            }
        if isinstance(value, tuple):
            return {"class_name": "__tuple__", "config": {"items": [self._write(item) for item in value]}}
        if isinstance(value, list):
            return [self._write(item) for item in value]
        if isinstance(value, dict):
            return {key: self._write(item) for key, item in value.items()}
        if isinstance(value, slice):
            return {"class_name": "__slice__", "config": {"items": [value.start, value.stop, value.step]}}
        if value is Ellipsis:
            return {"class_name": "__ellipsis__", "config": {}}
        if isinstance(value, torch.dtype):
            return {"class_name": "__dtype__", "config": {"name": serialize(value)}}
        return serialize(value)


def makes_a_mask(node: Node) -> bool:
    """Whether a node computes a mask; it is made anew when the layers are called."""
    return getattr(node.target, "__name__", "") == "compute_mask"


def comes_by_itself(node: Node, name: str, given: Any) -> bool:
    """Whether an argument of a call is a mask that came with its inputs."""
    own = [leaf.mask for leaf in leaves(node.args) if isinstance(leaf, Symbol)]
    return name.endswith("mask") and all(any(leaf is mask for mask in own) for leaf in leaves(given))


def graph_from_config(config: Mapping[str, Any], layer_of: Callable[[Mapping[str, Any]], Any]) -> tuple[Any, Any]:
    """Input and output symbols of a saved graph; ``layer_of`` builds a layer from its entry.

    Raises: ModelFormatError for histories that lead nowhere.
    """
    reader = _Reader(config, layer_of)
    return reader.structure(config.get("input_layers")), reader.structure(config.get("output_layers"))


class _Reader:
    def __init__(self, config: Mapping[str, Any], layer_of: Callable[[Mapping[str, Any]], Any]) -> None:
        self._made: dict[tuple[str, int], list[Any]] = {}
        targets: dict[str, Any] = {}
        waiting: list[tuple[str, int, Mapping[str, Any]]] = []
        for entry in config.get("layers", ()):
            name = entry.get("name") or entry.get("config", {}).get("name")
            if entry.get("class_name") == "InputLayer":
                self._made[name, 0] = [_input(entry, name)]
                continue
            recorded = entry.get("class_name") == _RECORDED
            targets[name] = function_called(entry["config"]["function"]) if recorded else layer_of(entry)
            waiting += [(name, index, node) for index, node in enumerate(entry.get("inbound_nodes", ()))]
        self._run(targets, waiting)

    def _run(self, targets: Mapping[str, Any], waiting: list[tuple[str, int, Mapping[str, Any]]]) -> None:
        """Apply the nodes, each layer's in order, until none is left."""
        next_node: defaultdict[str, int] = defaultdict(int)
        while waiting:
            left = []
            for name, index, node in waiting:
                if index != next_node[name] or not all(map(self._made.__contains__, _needed(node))):
                    left.append((name, index, node))
                    continue
                args, kwargs = self._read(node.get("args", [])), self._read(node.get("kwargs", {}))
                target = targets[name]
                outputs = target(*args, **kwargs) if isinstance(target, Layer) else record(target, tuple(args), kwargs)
                self._made[name, index] = list(leaves(outputs))
                next_node[name] += 1
            if len(left) == len(waiting):
                names = ", ".join(sorted({name for name, *_ in left})[:5])
                raise ModelFormatError(f"the graph's nodes of {names} need tensors that nothing makes")
            waiting = left

    def structure(self, value: Any) -> Any:
        """Symbols in the nesting of ``value``, whose leaves are histories ``[name, node, tensor]``."""
        if isinstance(value, Mapping):
            return {key: self.structure(item) for key, item in value.items()}
        if _is_history(value):
            return self._symbol(value)
        if isinstance(value, list | tuple):
            return [self.structure(item) for item in value]
        raise ModelFormatError(f"the graph's inputs or outputs hold {value!r}, which names no tensor")

    def _symbol(self, history: Any) -> Symbol:
        name, node, tensor = history
        made = self._made.get((name, node), [])
        if not 0 <= tensor < len(made):
            raise ModelFormatError(f"the graph has no tensor {history}")
        return made[tensor]

    def _read(self, value: Any) -> Any:
        if isinstance(value, list):
            return [self._read(item) for item in value]
        if not isinstance(value, Mapping):
            return value
        config = value.get("config", {})
        match value.get("class_name"):
            case "__keras_tensor__":
                return self._symbol(config["keras_history"])
            case "__tuple__":
                return tuple(self._read(item) for item in config["items"])
            case "__slice__":
                return slice(*config["items"])
            case "__ellipsis__":
                return Ellipsis
            case "__dtype__":
                return torch_dtype(config["name"])
            case "__numpy__":
                return torch.tensor(config["value"], dtype=torch_dtype(config["dtype"]))
        return {key: self._read(item) for key, item in value.items()}


def _is_history(value: Any) -> bool:
    return isinstance(value, list | tuple) and len(value) == 3 and isinstance(value[0], str)


def _needed(node: Mapping[str, Any]) -> list[tuple[str, int]]:
    found: list[tuple[str, int]] = []

    def walk(value: Any) -> None:
        if isinstance(value, Mapping):
            if value.get("class_name") == "__keras_tensor__":
                name, index, _ = value["config"]["keras_history"]
                found.append((name, index))
            else:
                for item in value.values():
                    walk(item)
        elif isinstance(value, list):
            for item in value:
                walk(item)

    walk([node.get("args", []), node.get("kwargs", {})])
    return found


def _input(entry: Mapping[str, Any], name: str) -> Symbol:
    config = entry.get("config", {})
    return Input(batch_shape=config.get("batch_shape"), dtype=config.get("dtype"), name=name)
