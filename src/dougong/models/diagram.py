"""A model as boxes and arrows: the layers one by one, models within as groups."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

from dougong.core.nested import leaves, map_leaves
from dougong.core.symbol import Symbol
from dougong.layers.layer import Layer

__all__ = ["Box", "Diagram", "Group", "Wishes", "diagram_of"]


@dataclass(frozen=True)
class Wishes:
    """What boxes are to tell, in the words of `plot_model`."""

    show_shapes: bool = False
    show_dtype: bool = False
    show_layer_names: bool = True
    show_layer_activations: bool = False
    show_trainable: bool = False


@dataclass(frozen=True)
class Box:
    """One layer: ``head`` is its name and class, ``activation`` its activation's name, ``cells`` the last row.

    ``trainable`` is None where there is nothing to train, or nobody asked.
    """

    head: str
    activation: str
    cells: tuple[str, ...]
    trainable: bool | None


@dataclass
class Group:
    """Boxes, and groups within; both by key."""

    label: str = ""
    boxes: dict[int, Box] = field(default_factory=dict)
    groups: dict[int, Group] = field(default_factory=dict)

    def all_boxes(self) -> Iterator[tuple[int, Box]]:
        yield from self.boxes.items()
        for group in self.groups.values():
            yield from group.all_boxes()


@dataclass
class Diagram:
    """A group of everything, and the arrows: pairs of keys of boxes, each once."""

    whole: Group = field(default_factory=Group)
    arrows: dict[tuple[int, int], None] = field(default_factory=dict)


def diagram_of(model: Any, wishes: Wishes, *, expand_nested: bool = False) -> Diagram:
    """The boxes and arrows of a model; a model that runs its own ``call`` is one box."""
    diagram = Diagram()
    program = getattr(model, "_program", None)
    if program is None:
        layers = list(getattr(model, "_stack", ())) or [model]  # a Sequential that is not built
        for layer in layers:
            diagram.whole.boxes[id(layer)] = _box(layer, None, None, wishes)
        diagram.arrows |= {(id(one), id(other)): None for one, other in pairwise(layers)}
        return diagram
    _Reader(diagram, wishes, expand_nested).read(model, diagram.whole, [None] * len(program.flat_inputs))
    return diagram


class _Reader:
    def __init__(self, diagram: Diagram, wishes: Wishes, expand_nested: bool) -> None:
        self._arrows, self._wishes, self._expand = diagram.arrows, wishes, expand_nested

    def read(self, model: Any, group: Group, sources: Sequence[int | None]) -> list[int | None]:
        """Put the boxes of ``model`` into ``group``; ``sources`` feed its inputs.  Gives the boxes of its outputs."""
        program = model._program
        makers: dict[int, int | None] = {}
        shown = {layer.name: layer for layer in model.layers if type(layer).__name__ == "InputLayer"}
        for symbol, source in zip(program.flat_inputs, sources):
            if symbol.name in shown:  # a Sequential shows none
                group.boxes[id(symbol)] = _box(shown[symbol.name], None, symbol, self._wishes)
                self._connect([source], id(symbol))
                source = id(symbol)
            makers[id(symbol)] = source
        for node in program.nodes:
            if getattr(node.target, "__name__", "") == "compute_mask":
                continue
            arguments = [leaf for leaf in leaves((node.args, _without_masks(node.kwargs))) if isinstance(leaf, Symbol)]
            made = self._node(node, arguments, group, [makers.get(id(symbol)) for symbol in arguments])
            outputs = [leaf for leaf in leaves(node.outputs) if isinstance(leaf, Symbol)]
            makers |= {id(symbol): maker for symbol, maker in zip(outputs, made * len(outputs))}
        return [makers.get(id(symbol)) for symbol in program.flat_outputs]

    def _node(self, node: Any, arguments: list[Symbol], group: Group, sources: list[int | None]) -> list[int | None]:
        target = node.target
        if self._expand and getattr(target, "_program", None) is not None:
            inner = group.groups.setdefault(id(target), Group(target.name))
            return self.read(target, inner, sources)
        key = id(target) if isinstance(target, Layer) else id(node)
        if key not in group.boxes:
            inputs = arguments[0] if len(arguments) == 1 else arguments
            group.boxes[key] = _box(target, inputs, node.outputs, self._wishes)
        self._connect(sources, key)
        return [key]

    def _connect(self, sources: Sequence[int | None], key: int) -> None:
        self._arrows.update({(source, key): None for source in sources if source is not None and source != key})


def _without_masks(kwargs: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in kwargs.items() if name != "mask"}


def _box(target: Any, inputs: Any, outputs: Any, wishes: Wishes) -> Box:
    layer = target if isinstance(target, Layer) else None
    kind = getattr(target, "__name__", "function")
    if layer is not None:
        kind = layer.keras_class_name or type(layer).__name__
    name = layer.name if layer is not None else next((s.name for s in leaves(outputs) if isinstance(s, Symbol)), kind)
    cells = []
    if wishes.show_shapes:
        if kind != "InputLayer":
            cells.append(f"Input shape: {_shown(inputs, 'shape')}")
        cells.append(f"Output shape: {_shown(outputs, 'shape')}")
    if wishes.show_dtype:
        cells.append(f"Output dtype: {_shown(outputs, 'dtype')}")
    activation = getattr(layer, "activation", None) if wishes.show_layer_activations else None
    if activation is not None and not isinstance(activation, str):
        activation = getattr(activation, "name", None) or getattr(activation, "__name__", type(activation).__name__)
    trains = wishes.show_trainable and layer is not None and bool(layer.weights)
    head = f"{name} ({kind})" if wishes.show_layer_names else kind
    return Box(head, activation or "", tuple(cells), layer.trainable if trains and layer is not None else None)


def _shown(structure: Any, attribute: str) -> str:
    """Shapes or dtypes of symbols, as one would write them."""
    if structure is None:
        return "?"
    found = map_leaves(lambda leaf: str(getattr(leaf, attribute, "?")).removeprefix("torch."), structure)
    if isinstance(found, dict):
        return ", ".join(f"{key}: {value}" for key, value in found.items())
    return ", ".join(map(str, leaves(found)))
