"""The table that `model.summary()` prints, as Keras prints it: layers, output shapes, parameters, connections."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from torch import Tensor, nn

from dougong.core.errors import ConfigError
from dougong.core.nested import leaves, map_leaves
from dougong.core.symbol import Symbol
from dougong.core.weights import keras_weights
from dougong.layers.layer import Layer

__all__ = ["Row", "rows", "summarize"]

# Widths of the cells, in characters, as Keras's default line length gives them.
_WIDTHS = {
    (False, False): (31, 22, 13),
    (True, False): (19, 17, 10, 17),
    (False, True): (27, 21, 10, 5),
    (True, True): (17, 15, 9, 14, 5),
}


@dataclass(frozen=True)
class Row:
    """One line of the table; ``depth`` counts the models around it."""

    depth: int
    name: str
    kind: str
    shape: str
    count: str
    sources: str
    trainable: str


def summarize(
    model: Any,
    *,
    width: int | None,
    print_fn: Callable[..., Any] | None,
    expand_nested: bool,
    show_trainable: bool,
    layer_range: Sequence[str] | None,
) -> None:
    """Print the summary, or hand it to ``print_fn`` as one string.   Keras: the same text."""
    from rich.console import Console  # lazy: only a summary needs it
    from rich.markup import escape  # lazy: as above
    from rich.table import Table  # lazy: as above

    table_rows = list(rows(model, expand_nested=expand_nested))
    if layer_range is not None:
        table_rows = _between(table_rows, layer_range)
    branched = _is_branched(model)
    table = Table(show_lines=True)
    headings = [
        "Layer (type)",
        "Output Shape",
        "Param #",
        *["Connected to"] * branched,
        *["Trainable"] * show_trainable,
    ]
    widths = _scaled(_WIDTHS[branched, show_trainable], width)
    for heading, cell in zip(headings, widths):
        side = {"Param #": "right", "Trainable": "center"}.get(heading, "left")
        table.add_column(heading, justify=side, width=cell)  # type: ignore[arg-type]
    for row in table_rows:
        indent = " " * (3 * row.depth) + "└ " * bool(row.depth)
        cells = [f"{indent}[bold]{escape(row.name)}[/bold] ({row.kind})", escape(row.shape), row.count]
        cells += [escape(row.sources)] * branched + [row.trainable] * show_trainable
        table.add_row(*cells)
    console = Console(width=max(sum(widths) + 3 * len(widths) + 1, 80), highlight=False)
    if print_fn is not None:
        console = Console(width=console.width, highlight=False, color_system=None, force_terminal=False)
    with console.capture() as captured:
        console.print(f'[bold]Model: "{escape(model.name)}"[/bold]')
        console.print(table)
        for line in _totals(model):
            console.print(f" {line}")
    if print_fn is not None:
        print_fn(captured.get())
    else:
        console.file.write(captured.get())


def rows(model: Any, *, expand_nested: bool = False, depth: int = 0) -> Iterator[Row]:
    """The layers of ``model``, and the torch functions in its graph, in order."""
    program = getattr(model, "_program", None)
    if program is None:
        for layer in model.layers:
            yield from _layer_rows(layer, "?", "-", expand_nested, depth)
        return
    histories = _histories(program)
    by_name = {layer.name: layer for layer in model.layers}
    for symbol in program.flat_inputs:
        if symbol.name in by_name:
            yield Row(depth, symbol.name, "InputLayer", str(symbol.shape), "0", "-", "-")
    nodes: dict[Any, list[Any]] = {}
    for node in program.nodes:
        if getattr(node.target, "__name__", "") != "compute_mask":
            nodes.setdefault(node.target if isinstance(node.target, Layer) else node, []).append(node)
    for target, calls in nodes.items():
        shape = str(map_leaves(lambda leaf: getattr(leaf, "shape", leaf), calls[0].outputs))
        sources = ", ".join(histories[id(symbol)] for call in calls for symbol in _arguments(call)) or "-"
        if isinstance(target, Layer):
            yield from _layer_rows(target, shape, "-" if depth else sources, expand_nested, depth)
        else:
            name = next(leaves(target.outputs)).name
            yield Row(depth, name, getattr(target.target, "__name__", "function"), shape, "0", sources, "-")


def _layer_rows(layer: Layer, shape: str, sources: str, expand_nested: bool, depth: int) -> Iterator[Row]:
    weights = list(keras_weights(layer))
    unbuilt = any(isinstance(m, Layer) and not m.built for m in layer.modules())
    count = "0 (unbuilt)" if unbuilt and not weights else f"{layer.count_params():,}"
    trainable = ("Y" if layer.trainable else "N") if weights else "-"
    yield Row(depth, layer.name, type(layer).__name__, shape, count, sources, trainable)
    if expand_nested and hasattr(layer, "layers"):
        yield from (row for row in rows(layer, expand_nested=True, depth=depth + 1) if row.kind != "InputLayer")


def _histories(program: Any) -> dict[int, str]:
    """Keras's name of every tensor: ``layer[call][output]``."""
    named = {id(symbol): f"{symbol.name}[0][0]" for symbol in program.flat_inputs}
    calls: Counter[str] = Counter()
    for node in program.nodes:
        outputs = [leaf for leaf in leaves(node.outputs) if isinstance(leaf, Symbol)]
        for position, symbol in enumerate(outputs):
            named[id(symbol)] = f"{symbol.name}[{calls[symbol.name]}][{position}]"
        calls.update({symbol.name for symbol in outputs})
    return named


def _arguments(node: Any) -> Iterator[Symbol]:
    """The symbols that a call was given, without the masks that came with them."""
    return (
        leaf
        for leaf in leaves((node.args, {k: v for k, v in node.kwargs.items() if k != "mask"}))
        if isinstance(leaf, Symbol)
    )


def _is_branched(model: nn.Module) -> bool:
    """Whether the connections are worth a column: a graph that is no plain stack."""
    program = getattr(model, "_program", None)
    if program is None or type(model).__name__ == "Sequential":
        return False
    calls = Counter(id(node.target) for node in program.nodes)
    straight = all(len(list(_arguments(node))) == 1 for node in program.nodes) and max(calls.values(), default=1) == 1
    readers = Counter(id(symbol) for node in program.nodes for symbol in _arguments(node))
    return not (straight and len(program.flat_outputs) == 1 and max(readers.values(), default=1) == 1)


def _totals(model: Any) -> list[str]:
    """The lines below the table: parameters in all, trained, fixed, of the optimizer."""
    weights = [weight.tensor for weight in keras_weights(model)]
    optimizer = model.optimizer
    own = [one.value for one in optimizer.variables] if optimizer is not None and optimizer.built else []
    lines = [
        f"Total params: {_amount([*weights, *own])}",
        f"Trainable params: {_amount([weight for weight in weights if weight.requires_grad])}",
        f"Non-trainable params: {_amount([weight for weight in weights if not weight.requires_grad])}",
    ]
    return [*lines, f"Optimizer params: {_amount(own)}"] if own else lines


def _amount(tensors: Sequence[Tensor]) -> str:
    size = float(sum(tensor.numel() * min(tensor.element_size(), 4) for tensor in tensors))
    unit = "B"
    for larger in ("KB", "MB", "GB"):
        if size < 1024:
            break
        size, unit = size / 1024, larger
    return f"{sum(tensor.numel() for tensor in tensors):,} ({size:.2f} {unit})"


def _scaled(widths: Sequence[int], width: int | None) -> list[int]:
    """Cell widths for a table of ``width`` characters."""
    if width is None:
        return list(widths)
    spare = width - 3 * len(widths) - 1
    return [max(5, cell * spare // sum(widths)) for cell in widths]


def _between(table_rows: list[Row], layer_range: Sequence[str]) -> list[Row]:
    names = [row.name for row in table_rows]
    try:
        first, last = names.index(layer_range[0]), names.index(layer_range[1])
    except (ValueError, IndexError) as error:
        raise ConfigError(f"layer_range needs the names of two layers, got {layer_range!r}") from error
    return table_rows[first : last + 1]
