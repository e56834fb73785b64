"""The table that `model.summary()` prints: layers, output shapes, parameters, as Keras shows them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

from torch import Tensor

from dougong.core.errors import ConfigError
from dougong.core.graph import map_leaves
from dougong.core.symbol import Symbol
from dougong.core.weights import keras_weights
from dougong.layers.layer import Layer

__all__ = ["rows", "summarize"]


def summarize(
    model: Any,
    *,
    width: int | None,
    print_fn: Callable[..., Any] | None,
    expand_nested: bool,
    show_trainable: bool,
    layer_range: Sequence[str] | None,
) -> None:
    """Print the summary, or hand it to ``print_fn`` as one string."""
    from rich.console import Console  # lazy: only a summary needs it
    from rich.markup import escape  # lazy: as above
    from rich.table import Table  # lazy: as above

    table_rows = list(rows(model, expand_nested=expand_nested))
    if layer_range is not None:
        table_rows = _between(table_rows, layer_range)
    branched = _is_branched(model)
    table = Table(width=width or (100 if branched else 79), show_lines=True)
    table.add_column("Layer (type)", overflow="fold", ratio=3)
    table.add_column("Output Shape", overflow="fold", ratio=2)
    table.add_column("Param #", justify="right", ratio=1)
    if branched:
        table.add_column("Connected to", overflow="fold", ratio=2)
    if show_trainable:
        table.add_column("Trainable", justify="center")
    for depth, layer, shape, count, sources in table_rows:
        indent = "  " * depth
        cells = [f"{indent}[bold]{escape(layer.name)}[/bold] ({type(layer).__name__})", escape(shape), count]
        if branched:
            cells.append(escape(sources))
        if show_trainable:
            cells.append("Y" if layer.trainable else "N")
        table.add_row(*cells)
    console = Console(width=width or 120, highlight=False, soft_wrap=True)
    if print_fn is not None:
        console = Console(width=width or 120, highlight=False, color_system=None, force_terminal=False)
    with console.capture() as captured:
        console.print(f"[bold]Model: {escape(repr(model.name))}[/bold]".replace("'", '"'))
        console.print(table)
        for line in totals(model):
            console.print(f" {line}")
    if print_fn is not None:
        print_fn(captured.get())
    else:
        console.file.write(captured.get())


def rows(model: Any, *, expand_nested: bool = False, depth: int = 0) -> Iterator[tuple[int, Layer, str, str, str]]:
    """For each layer: depth, the layer, its output shape, its parameter count, the layers it is connected to."""
    shapes, sources = _connections(model)
    for layer in model.layers:
        shape = shapes.get(id(layer), "?")
        if not layer.built and not list(layer.parameters()):
            count = "0" if shape != "?" else "? (unbuilt)"
        else:
            count = f"{layer.count_params():,}"
        yield depth, layer, shape, count, sources.get(id(layer), "")
        if expand_nested and hasattr(layer, "layers"):
            yield from rows(layer, expand_nested=True, depth=depth + 1)


def _connections(model: Any) -> tuple[dict[int, str], dict[int, str]]:
    program = getattr(model, "_program", None)
    if program is None:
        return {}, {}
    shapes: dict[int, str] = {}
    sources: dict[int, str] = {}
    by_name = {layer.name: layer for layer in model.layers}
    for symbol in program.flat_inputs:
        if symbol.name in by_name:
            shapes[id(by_name[symbol.name])] = str(symbol.shape)
    for node in program.nodes:
        if isinstance(node.target, Layer):
            given = map_leaves(lambda leaf: leaf.shape if isinstance(leaf, Symbol) else leaf, node.outputs)
            shapes.setdefault(id(node.target), str(given))
            before = sources.get(id(node.target))
            names = [_maker(symbol) for symbol in node.inputs()]
            sources[id(node.target)] = ", ".join(([before] if before else []) + names)
    return shapes, sources


def _maker(symbol: Symbol) -> str:
    return getattr(symbol.node.target, "name", None) or symbol.name


def _is_branched(model: Any) -> bool:
    """Whether the layers do not simply follow one another."""
    program = getattr(model, "_program", None)
    if program is None or type(model).__name__ == "Sequential":
        return False
    return any(len(list(node.inputs())) != 1 for node in program.nodes) or len(program.flat_outputs) > 1


def totals(model: Any) -> list[str]:
    """The lines below the table: parameters in all, trained, fixed, of the optimizer."""
    weights = [weight.tensor for weight in keras_weights(model)]
    trained = [weight for weight in weights if weight.requires_grad]
    fixed = [weight for weight in weights if not weight.requires_grad]
    return [
        f"Total params: {_amount(weights)}",
        f"Trainable params: {_amount(trained)}",
        f"Non-trainable params: {_amount(fixed)}",
    ]


def _amount(tensors: Sequence[Tensor]) -> str:
    size = float(sum(tensor.numel() * tensor.element_size() for tensor in tensors))
    unit = "B"
    for larger in ("KB", "MB", "GB"):
        if size < 1024:
            break
        size, unit = size / 1024, larger
    return f"{sum(tensor.numel() for tensor in tensors):,} ({size:.2f} {unit})"


def _between(table_rows: list[Any], layer_range: Sequence[str]) -> list[Any]:
    names = [layer.name for _, layer, *_ in table_rows]
    try:
        first, last = names.index(layer_range[0]), names.index(layer_range[1])
    except (ValueError, IndexError) as error:
        raise ConfigError(f"layer_range needs the names of two layers, got {layer_range!r}") from error
    return table_rows[first : last + 1]
