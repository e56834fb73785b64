"""What happens when a loss or gradient is not finite: the first bad tensor is found and named."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor, nn

from dougong.core.errors import NonFiniteError
from dougong.core.graph import leaves

__all__ = ["diagnose"]


def diagnose(step: Any, batch: tuple[Any, Any, Any], loss: float) -> NonFiniteError:
    """Run the bad step again, watching every layer, and say where the first NaN or Inf comes from."""
    where = _bad_data(batch) or _bad_weight(step.model) or _bad_layer(step, batch)
    if where is None:
        where = "the loss function gave it" if not math.isfinite(loss) else _bad_gradient(step)
    what = f"the loss is {loss}" if not math.isfinite(loss) else "a gradient is not finite"
    return NonFiniteError(
        f"{what}: {where}. The weights are those before this step. Try a smaller learning rate, clipnorm=1.0 in the"
        " optimizer, scaled inputs (a Normalization layer), or from_logits=True with a linear last layer."
    )


def _finite(tensor: Tensor) -> bool:
    return not tensor.is_floating_point() or bool(torch.isfinite(tensor).all())


def _bad_data(batch: tuple[Any, Any, Any]) -> str | None:
    for name, part in zip(("x", "y", "sample_weight"), batch):
        for leaf in leaves(part):
            if isinstance(leaf, Tensor) and not _finite(leaf):
                index = tuple(int(i) for i in torch.nonzero(~torch.isfinite(leaf))[0])
                return f"{name} holds {leaf[index].item()} at row {index[0]} of the batch, position {index[1:]}"
    return None


def _bad_weight(model: nn.Module) -> str | None:
    for name, parameter in model.named_parameters():
        if not _finite(parameter):
            return f"weight {name!r} was not finite before the step"
    return None


def _bad_layer(step: Any, batch: tuple[Any, Any, Any]) -> str | None:
    """The first layer, in order of execution, whose output is not finite though its inputs are."""
    found: list[str] = []

    def watch(module: nn.Module, inputs: Any, output: Any) -> None:
        if not found and not all(_finite(t) for t in leaves(output) if isinstance(t, Tensor)):
            name = getattr(module, "name", type(module).__name__)
            found.append(f"layer {name!r} ({type(module).__name__}) is the first to give NaN or Inf")

    hooks = [
        module.register_forward_hook(watch)
        for module in step.model.modules()
        if module is not step.model and not list(module.children())
    ]
    try:
        with torch.no_grad():
            step.model(batch[0])
    finally:
        for hook in hooks:
            hook.remove()
    return found[0] if found else None


def _bad_gradient(step: Any) -> str:
    names = {id(parameter): name for name, parameter in step.model.named_parameters()}
    for parameter, gradient in zip(step.parameters, step.optimizer.gradients):
        if not _finite(gradient):
            return f"the gradient of weight {names.get(id(parameter), '?')!r} is the first that is not"
    return "the gradients overflow when summed"
