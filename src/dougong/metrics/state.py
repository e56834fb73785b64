"""A metric's state in the words of Keras's variables."""

from __future__ import annotations

from typing import Any, Self

import torch
from torch import Tensor
from torch.utils._pytree import tree_map_only

__all__ = ["State"]


class State(Tensor):
    """A tensor with the words of a Keras variable: `assign`, `assign_add`, `assign_sub`, all in place.

    In everything else it is the plain tensor in ``tensor``, whose memory it shares: operations see that one, because a
    trace takes plain tensors only, and results are plain tensors.

    >>> state = State(torch.tensor(1.0))
    >>> state.assign_add(2.0); state * 2
    tensor(6.)
    """

    tensor: Tensor

    def __new__(cls, data: Tensor) -> Self:
        plain = data.tensor if isinstance(data, State) else data.detach()
        state = plain.as_subclass(cls)
        state.tensor = plain
        return state

    @classmethod
    def __torch_function__(cls, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        args, kwargs = tree_map_only(State, lambda state: state.tensor, (args, kwargs or {}))
        return func(*args, **kwargs)

    def assign(self, value: Any) -> None:
        with torch.no_grad():
            self.tensor.copy_(torch.as_tensor(value))

    def assign_add(self, value: Any) -> None:
        with torch.no_grad():
            self.tensor.add_(torch.as_tensor(value, device=self.tensor.device))

    def assign_sub(self, value: Any) -> None:
        with torch.no_grad():
            self.tensor.sub_(torch.as_tensor(value, device=self.tensor.device))

    def __deepcopy__(self, memo: dict[int, Any]) -> State:
        copied = State(self.tensor.clone())
        memo[id(self)] = copied
        return copied

    def __reduce_ex__(self, protocol: Any) -> tuple[Any, ...]:
        return State, (self.tensor,)
