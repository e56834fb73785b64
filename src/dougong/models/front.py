"""The front of a model: layers that work in Python on text and hashes, run on a batch before the captured step."""

from __future__ import annotations

import math
import operator
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

from dougong.core.errors import DataError
from dougong.core.nested import leaves, map_leaves
from dougong.core.symbol import Node, Symbol
from dougong.core.text import STRING, as_text, is_text
from dougong.data.arrays import to_tensors
from dougong.layers.layer import Layer
from dougong.models.program import Program

__all__ = ["Encoded", "Front", "declared_text", "text_arrays"]

_MOST_BYTES = 1 << 28  # of all rows behind the front, kept from epoch to epoch
_CHUNK = 1024  # rows encoded at once: words as Python objects take ten times the memory of their indices


class Encoded(NamedTuple):
    """A batch of inputs behind the front: the tensors that the rest of the model starts from."""

    tensors: tuple[Tensor, ...]


class Front:
    """How a model's host layers run.

    ``takes_text``: whether there are any, so that inputs may be text.  ``eager``: why no step can be captured, None
    where one can.  `encode` and `run` are for a model whose host layers all stand at its front, as ``splits`` tells.
    """

    def __init__(self, model: nn.Module, program: Program | None) -> None:
        self.program = program
        hosts = [module for module in model.modules() if getattr(module, "on_host", False)]
        self.takes_text = bool(hosts)
        self.eager: str | None = None
        self.splits = False
        if not hosts:
            return
        name = getattr(hosts[0], "name", type(hosts[0]).__name__)
        if program is None:
            self.eager = f"layer {name!r} works in Python, and only a model made of Inputs tells what comes before it"
            return
        ahead = _ahead(program.nodes, [*program.flat_inputs])
        behind = [node for node in program.nodes if id(node) not in ahead]
        late = next((node.target for node in behind if _touches_host(node.target)), None)
        if late is not None:
            self.eager = f"layer {late.name!r} works in Python and takes what other layers make; put it at the front"
            return
        used = {id(symbol) for node in behind for symbol in node.inputs()} | {id(s) for s in program.flat_outputs}
        made = [*program.flat_inputs, *(s for node in program.nodes if id(node) in ahead for s in leaves(node.outputs))]
        between = [symbol for symbol in made if id(symbol) in used]
        if any(symbol.dtype is STRING for symbol in between):
            self.eager = "text passes through it to its end"
            return
        self._first, self._rest = Program(program.inputs, between), Program(between, program.outputs)
        self._rest.constants = program.constants  # by the names under which the model holds them
        self.splits = True
        repeatable = all(getattr(module, "repeatable", True) for module in hosts)
        self._row_bytes = sum(map(_bytes_a_row, between)) if repeatable else math.inf

    def encode(self, model: Any, x: Any) -> Any:
        """A batch of the model's inputs as it is behind the front, on the model's device; unchanged without a front."""
        if not self.splits or type(x) is Encoded:
            return x
        model.check_inputs(x)
        made = self._first.run(model, model._flat_inputs(self.program, x))
        return Encoded(tuple(leaf.to(model.device) for leaf in made))

    def encode_all(self, model: Any, x: Any, y: Any) -> Any:
        """All rows behind the front at once, where that gives what batches would and fits into memory; else ``x``."""
        if not self.splits or self.program is None or self._row_bytes == math.inf:
            return x
        arrays = text_arrays(x, self.program.flat_inputs)
        flat = list(leaves(arrays))
        if not all(isinstance(leaf, np.ndarray | Tensor) and leaf.ndim for leaf in flat):
            return x
        rows = {len(leaf) for leaf in (*flat, *leaves(y)) if getattr(leaf, "ndim", 0)}
        if len(rows) != 1 or not 0 < max(rows) * self._row_bytes <= _MOST_BYTES:
            return x
        arrays = to_tensors(arrays, "x", model.data_dtype, text=True)
        slices = [slice(start, start + _CHUNK) for start in range(0, max(rows), _CHUNK)]
        parts = [self.encode(model, map_leaves(operator.itemgetter(some), arrays)).tensors for some in slices]
        return Encoded(tuple(map(torch.cat, zip(*parts))))

    def run(self, model: Any, batch: Encoded) -> Any:
        """The model's outputs for a batch behind the front."""
        return self._rest.run(model, batch.tensors)


def _bytes_a_row(symbol: Symbol) -> float:
    """The memory of one row; infinite where its size differs from batch to batch."""
    sizes = symbol.shape[1:]
    known = len(symbol.shape) > 0 and None not in sizes and symbol.dtype is not STRING
    return math.prod(sizes) * symbol.dtype.itemsize if known else math.inf  # type: ignore[arg-type]


def _ahead(nodes: Sequence[Node], known: list[Any]) -> set[int]:
    """The nodes that apply host layers to inputs, or to what such layers make of them."""
    ready, found = {id(symbol) for symbol in known}, set()
    for node in nodes:
        if _works_on_host(node.target) and all(id(symbol) in ready for symbol in node.inputs()):
            found.add(id(node))
            ready |= {id(symbol) for symbol in leaves(node.outputs)}
    return found


def _works_on_host(target: Any) -> bool:
    """Whether a layer, or every layer of one made of layers, works on the host."""
    if not isinstance(target, Layer) or any(True for _ in target.parameters()):
        return False
    if getattr(target, "on_host", False):
        return True
    below = [layer for layer in target.modules() if isinstance(layer, Layer) and not _holds_layers(layer)]
    return _holds_layers(target) and all(getattr(layer, "on_host", False) for layer in below)


def _holds_layers(layer: Layer) -> bool:
    inner = (module for module in layer.modules() if module is not layer)
    return not getattr(layer, "on_host", False) and any(isinstance(module, Layer) for module in inner)


def _touches_host(target: Any) -> bool:
    return isinstance(target, nn.Module) and any(getattr(module, "on_host", False) for module in target.modules())


def text_arrays(inputs: Any, wanted: Sequence[Symbol]) -> Any:
    """The inputs with strings, in lists for instance, as arrays, where a model wants text at all."""
    if not any(symbol.dtype is STRING for symbol in wanted):
        return inputs
    if is_text(inputs):
        return as_text(inputs)
    if isinstance(inputs, list | tuple) and not hasattr(inputs, "_fields"):
        return [text_arrays(item, wanted) for item in inputs]
    if isinstance(inputs, dict):
        return {key: text_arrays(item, wanted) for key, item in inputs.items()}
    return inputs


def declared_text(given: Any, wanted: Symbol) -> Any:
    """Text with the axes that the model declares: a last one of length 1 comes or goes.

    Raises: DataError for text where the model wants numbers, or numbers where it wants text.
    """
    if isinstance(given, Symbol) or not (is_text(given) or wanted.dtype is STRING):
        return given
    if wanted.dtype is not STRING:
        raise DataError(
            f"input {wanted.name!r} takes {str(wanted.dtype).removeprefix('torch.')} numbers but received text; declare"
            " it as dg.Input(…, dtype='string') and begin with a TextVectorization or StringLookup layer"
        )
    text = as_text(given, f"input {wanted.name!r}")
    if text.ndim + 1 == len(wanted.shape) and wanted.shape[-1] == 1:
        return text[..., None]
    return text[..., 0] if text.ndim == len(wanted.shape) + 1 and text.shape[-1] == 1 else text
