"""Text among whole arrays: its rows are shuffled and cut into batches by number, and put back in each batch."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

from dougong.core.nested import leaves, map_leaves, pack
from dougong.data.source import Batch, MappedSource, Source

__all__ = ["text_as_rows", "with_text"]


def text_as_rows(inputs: Any) -> Any:
    """The structure of inputs with the numbers of its rows in place of each array of text.

    >>> text_as_rows({"word": np.array(["a", "b"]), "size": torch.ones(2)})
    {'word': tensor([0, 1]), 'size': tensor([1., 1.])}
    """
    return map_leaves(lambda leaf: torch.arange(len(leaf)) if isinstance(leaf, np.ndarray) else leaf, inputs)


def with_text(source: Source, inputs: Any) -> Source:
    """``source``, whose inputs come from `text_as_rows`, with the text of ``inputs`` in its batches."""
    texts = [leaf if isinstance(leaf, np.ndarray) else None for leaf in leaves(inputs)]

    def put_back(batch: Batch) -> Batch:
        x, y, sample_weight = batch
        found = [leaf if text is None else text[leaf.cpu().numpy()] for leaf, text in zip(leaves(x), texts)]
        return pack(x, found), y, sample_weight

    arrays = None if source.arrays is None else (inputs, *source.arrays[1:])
    return MappedSource(source, put_back, arrays)
