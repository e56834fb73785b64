"""What happens when a loss or gradient is not finite: the first bad value is found and named."""

from __future__ import annotations

import math
from collections.abc import Iterable
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from dougong.core.errors import DataError, NonFiniteError
from dougong.core.nested import leaves, named_leaves
from dougong.data import check_finite

__all__ = ["diagnose"]

_PARTS = ("x", "y", "sample_weight")
_ADVICE = (
    " Try a smaller learning rate, clipnorm=1.0 in the optimizer, scaled inputs (a Normalization layer), or"
    " from_logits=True with a linear last layer."
)


def diagnose(step: Any, batch: tuple[Any, Any, Any], loss: float) -> NonFiniteError:
    """Run the bad step again, watching every layer, and say where the first NaN or Inf comes from.

    The step's state changes once more by that; the caller puts it back.
    """
    if math.isfinite(loss):
        what = "a gradient is not finite"
        where = _bad_gradient(step, batch)
    else:
        what = f"the loss is {loss}"
        where = (
            _bad_weight(step.model) or _bad_output(step, batch) or _bad_data(step.data, batch, ("y", "sample_weight"))
        )
        where = where or "the loss function gave it for finite outputs and targets"
    advice = "" if isinstance(where, _InData) else _ADVICE
    return NonFiniteError(f"{what}: {where}. The weights are those before this step.{advice}")


class _InData(str):
    """A cause that lies in the data; it says itself what to do."""

    __slots__ = ()


def _finite(tensor: Tensor) -> bool:
    return not tensor.is_floating_point() or bool(torch.isfinite(tensor).all())


def _all_finite(structure: Any) -> bool:
    return all(_finite(leaf) for leaf in leaves(structure) if isinstance(leaf, Tensor))


def _bad_data(whole: Any, batch: tuple[Any, Any, Any], parts: Iterable[str] = _PARTS) -> str | None:
    """The first value that is not finite: in the whole arrays, where there are such, else in the batch."""
    for structure, place in ((whole, ""), (batch, " of the batch")):
        for name, part in zip(_PARTS, structure or ()):
            if name not in parts:
                continue
            for label, leaf in named_leaves(part, name):
                try:
                    check_finite(leaf, label)
                except DataError as error:
                    return _InData(f"{str(error).rstrip('.')}{f' (rows{place})' if place else ''}")
    return None


def _bad_weight(model: nn.Module) -> str | None:
    for name, parameter in model.named_parameters():
        if not _finite(parameter):
            return f"weight {name!r} was not finite before the step"
    return None


def _bad_output(step: Any, batch: tuple[Any, Any, Any]) -> str | None:
    """The first layer, in order of execution, whose output is not finite; the data, if its inputs were not either."""
    found: list[str] = []

    def watch(module: nn.Module, inputs: Any, output: Any) -> None:
        if found or _all_finite(output):
            return
        layer = f"layer {getattr(module, 'name', type(module).__name__)!r} ({type(module).__name__})"
        if _all_finite(inputs):
            found.append(f"{layer} is the first to give NaN or Inf")
        else:
            data = _bad_data(step.data, batch, ("x",))
            found.append(data or f"{layer} is the first to see NaN or Inf; what feeds it made them")

    inner = [m for m in step.model.modules() if m is not step.model and not list(m.children())]
    hooks = [module.register_forward_hook(watch) for module in inner]
    try:
        with torch.no_grad():
            y_pred = step.model(batch[0])
    finally:
        for hook in hooks:
            hook.remove()
    if found or _all_finite(y_pred):
        return found[0] if found else None
    return (
        _bad_data(step.data, batch, ("x",))
        or "the model's call gives NaN or Inf, though every layer's output is finite"
    )


def _bad_gradient(step: Any, batch: tuple[Any, Any, Any]) -> str:
    """The weight whose gradient is not finite, and the function whose derivative made it so."""
    names = {id(parameter): name for name, parameter in step.model.named_parameters()}
    where = "they overflow when summed"
    for parameter, gradient in zip(step.parameters, step.optimizer.gradients):
        if not _finite(gradient):
            where = f"that of weight {names.get(id(parameter), '?')!r} is the first that is not"
            break
    operation = _bad_backward(step, batch)
    return f"{where}{operation}"


def _bad_backward(step: Any, batch: tuple[Any, Any, Any]) -> str:
    """The first function of the backward pass that made NaN or Inf of finite gradients; empty if there is none."""
    found: list[str] = []

    def watch(name: str, made: Any, given: Any) -> None:
        if not found and _all_finite(given) and not _all_finite(made):
            found.append(name.partition("Backward")[0].lower())

    with torch.enable_grad():
        loss = step.function(batch)[0]
        for node in _backward_nodes(loss.grad_fn):
            node.register_hook(partial(watch, node.name()))
        torch.autograd.grad(loss, step.parameters, allow_unused=True)
    if not found:
        return ""
    return f"; {found[0]} has no finite derivative there (as sqrt has none at 0): add a small number to its argument"


def _backward_nodes(start: Any) -> list[Any]:
    """Every node of the backward graph, once."""
    nodes: dict[int, Any] = {}
    waiting = [start]
    while waiting:
        node = waiting.pop()
        if node is not None and id(node) not in nodes:
            nodes[id(node)] = node
            waiting += [following for following, _ in node.next_functions]
    return list(nodes.values())
