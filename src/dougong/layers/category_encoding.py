"""Whole numbers as one-hot, multi-hot or counted vectors: the layer, and the function that its relatives share.

Shapes: N batch, T items of a sample, D depth (how many categories there are).   Ref: Keras 3 semantics.
"""

from __future__ import annotations

from typing import Any, Unpack

import torch
from torch import Tensor

from dougong.core.errors import ConfigError, DataError, UnknownNameError
from dougong.core.symbol import Shape
from dougong.layers.layer import Layer, LayerOptions
from dougong.ops.op import tensor

__all__ = ["CategoryEncoding", "check_output_mode", "encoded", "encoded_shape"]

_OLD_NAMES = {"binary": "multi_hot", "tf-idf": "tf_idf"}


def check_output_mode(owner: str, mode: str, known: tuple[str, ...], *, sparse: bool = False) -> str:
    """The output mode by its present name.   Raises: UnknownNameError, and ConfigError for ``sparse``.

    >>> check_output_mode("Hashing", "binary", ("int", "multi_hot"))
    'multi_hot'
    """
    if sparse:
        raise ConfigError(f"{owner} gives dense tensors; leave sparse=True out, and use Embedding for many categories")
    mode = _OLD_NAMES.get(mode, mode)
    if mode not in known:
        raise UnknownNameError(f"output_mode of {owner}", mode, known)
    return mode


def encoded(indices: Tensor, mode: str, depth: int, dtype: torch.dtype, weights: Tensor | None = None) -> Tensor:
    """Categories as vectors of length ``depth``; negative ones are left out.

    ``one_hot``: a vector an item, ``[..., T] -> [..., T, D]``, or ``[..., 1] -> [..., D]``.
    ``multi_hot`` (1 where the category occurs), ``count`` (how often, or the sum of its ``weights``): a vector a
    sample, ``[N, T] -> [N, D]``, ``[T] -> [D]``; of more axes the second is the one summed over, as Keras does.
    Raises: RuntimeError (torch's) for a category of ``depth`` or more.

    >>> encoded(torch.tensor([[0, 2, 2]]), "count", 4, torch.int64)
    tensor([[1, 0, 2, 0]])
    """
    if indices.ndim == 0:
        indices = indices[None]
    # Slot 0 takes the negative ones; scattering costs N·(T + D), comparing with every category N·T·D.
    slots = indices.to(torch.int64).clamp_min(-1) + 1
    if mode == "one_hot":
        slots = slots if slots.ndim > 1 and slots.shape[-1] == 1 else slots.unsqueeze(-1)
    elif slots.ndim > 2:
        slots = slots.movedim(1, -1)
    empty = torch.zeros((*slots.shape[:-1], depth + 1), dtype=dtype, device=slots.device)
    if mode != "count":
        return empty.scatter_(-1, slots, 1)[..., 1:]
    added = torch.ones(slots.shape, dtype=dtype, device=slots.device) if weights is None else weights.to(dtype)
    if weights is not None:
        added = added.movedim(1, -1) if added.ndim > 2 else added.reshape(slots.shape)
    return empty.scatter_add_(-1, slots, added)[..., 1:]


def encoded_shape(shape: Shape, mode: str, depth: int) -> Shape:
    """The shape of `encoded`'s result for indices of ``shape``.

    >>> encoded_shape((None, 5), "one_hot", 3), encoded_shape((None, 5), "count", 3)
    ((None, 5, 3), (None, 3))
    """
    if mode == "one_hot":
        return (*shape[:-1], depth) if len(shape) > 1 and shape[-1] == 1 else (*(shape or (1,)), depth)
    return (*shape[:1], *shape[2:], depth) if len(shape) > 1 else (depth,)


class CategoryEncoding(Layer):
    """Encodes whole numbers below ``num_tokens`` as vectors of that length; see `encoded` for the modes.

    Negative numbers, such as padding by -1, are left out.   Shapes: ``[N, T] -> [N, D]``; one_hot ``[N, 1] -> [N, D]``.
    Raises: DataError for numbers of ``num_tokens`` or more; ConfigError for arguments that cannot be.
    Keras: equals ``keras.layers.CategoryEncoding``.

    >>> CategoryEncoding(4)([[0, 1], [3, 3]])
    tensor([[1., 1., 0., 0.],
            [0., 0., 0., 1.]])
    >>> CategoryEncoding(3, output_mode="count")([[0, 2]], count_weights=[[0.5, 2.0]])
    tensor([[0.5000, 0.0000, 2.0000]])
    """

    def __init__(
        self,
        num_tokens: int | None = None,
        output_mode: str = "multi_hot",
        sparse: bool = False,
        **options: Unpack[LayerOptions],
    ) -> None:
        super().__init__(**options)
        if num_tokens is None or num_tokens < 1:
            raise ConfigError(
                f"CategoryEncoding {self.name!r} needs num_tokens, a whole number of at least 1, got {num_tokens};"
                " IntegerLookup finds out by itself which numbers there are"
            )
        self.num_tokens = num_tokens
        self.output_mode = check_output_mode(
            type(self).__name__, output_mode, ("one_hot", "multi_hot", "count"), sparse=sparse
        )
        self.sparse = sparse

    def call(self, inputs: Any, count_weights: Any = None) -> Tensor:
        kind = self.dtype_policy.weights
        if count_weights is not None:
            if self.output_mode != "count":
                raise ConfigError(f"CategoryEncoding {self.name!r} takes count_weights only with output_mode='count'")
            count_weights = tensor(count_weights, kind)
        indices = tensor(inputs)
        try:
            return encoded(indices, self.output_mode, self.num_tokens, kind, count_weights)
        except (RuntimeError, IndexError) as error:
            if indices.numel() and int(indices.max()) >= self.num_tokens:
                raise DataError(
                    f"CategoryEncoding {self.name!r} received {int(indices.max())}, but with num_tokens="
                    f"{self.num_tokens} the largest is {self.num_tokens - 1}; give num_tokens={int(indices.max()) + 1}"
                ) from error
            raise

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        return encoded_shape(tuple(input_shape), self.output_mode, self.num_tokens)

    def get_config(self) -> dict[str, Any]:
        config = super().get_config()
        del config["sparse"]  # Keras's has none
        return config
