"""Whole numbers into indices by a vocabulary, and back.   Ref: Keras 3 semantics."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from dougong.core import device
from dougong.core.errors import ConfigError
from dougong.layers.adapting import numbers
from dougong.layers.fingerprints import buckets
from dougong.layers.index_lookup import LEFT_OUT, IndexLookup

__all__ = ["IntegerLookup"]


class IntegerLookup(IndexLookup):
    """The index of each whole number in a vocabulary, or, with ``invert``, the number of each index.

    Arguments as in StringLookup.  Of several out-of-vocabulary indices a number gets the one of its remainder
    (``oov_method="floormod"``), or of the hash of its decimal text ("farmhash", where ``salt`` may be given).
    The search is torch's, on the inputs' device, and part of a captured step, except with "farmhash" or without
    out-of-vocabulary indices.
    Shapes: any.   Output: int64, float for "tf_idf".
    Raises: ConfigError for arguments that cannot be, BuildError without a vocabulary, DataError for text.
    Keras: equals ``keras.layers.IntegerLookup``, without TensorFlow.

    >>> layer = IntegerLookup(); layer.adapt([[12, 1138, 42], [42, 1000, 36]]); layer.get_vocabulary()
    [-1, 42, 1138, 1000, 36, 12]
    >>> layer([[12, 7]])
    tensor([[5, 0]])
    >>> IntegerLookup(vocabulary=[12, 36], invert=True)([2, 0])
    tensor([36, -1])
    """

    vocabulary_dtype = "int64"
    _kind = "numbers"
    _sorted: Tensor
    _places: Tensor
    _numbers: Tensor

    def __init__(
        self,
        max_tokens: int | None = None,
        num_oov_indices: int = 1,
        mask_token: int | None = None,
        oov_token: int | None = -1,
        vocabulary: Any = None,
        vocabulary_dtype: str = "int64",
        idf_weights: Any = None,
        invert: bool = False,
        output_mode: str = "int",
        sparse: bool = False,
        pad_to_max_tokens: bool = False,
        oov_method: str = "floormod",
        salt: int | Sequence[int] | None = None,
        name: str | None = None,
        **options: Any,
    ) -> None:
        if vocabulary_dtype != "int64":
            raise ConfigError(f"IntegerLookup takes vocabulary_dtype='int64' only, got {vocabulary_dtype!r}")
        if salt is not None and oov_method != "farmhash":
            raise ConfigError("IntegerLookup takes a salt only with oov_method='farmhash'")
        super().__init__(
            max_tokens, num_oov_indices, mask_token, oov_token, vocabulary, idf_weights, invert, output_mode, sparse,
            pad_to_max_tokens, salt, oov_method, name=name, **options,
        )  # fmt: skip
        self.on_host = not invert and (num_oov_indices == 0 or (num_oov_indices > 1 and oov_method == "farmhash"))

    def _keys(self, values: Any) -> list[int]:
        return self._whole(values).ravel().tolist()

    def _shape(self, values: Any) -> tuple[int, ...]:
        return self._whole(values).shape

    def _whole(self, values: Any) -> np.ndarray:
        """Numbers as int64, fractions cut off."""
        array = values if isinstance(values, Tensor) else np.asarray(values)
        if isinstance(array, np.ndarray) and array.dtype == object:  # numbers in a list of an object array
            array = np.array(array.tolist())
        with np.errstate(invalid="ignore"):
            return numbers(array, self._label).astype(np.int64)

    def _token(self, key: int) -> int:
        return key

    def _make_table(self, keys: Sequence[int]) -> None:
        """Buffers: the tokens in order and where they stood, and for `invert` the number of each index."""
        tokens = np.array(keys, dtype=np.int64)
        order = np.argsort(tokens)
        special = [0 if token is None else token for token in self._special()]
        numbers_by_index = [*special, *tokens, 0 if self.oov_token is None else self.oov_token]
        for name, array in (
            ("_sorted", tokens[order] if len(keys) else np.zeros(1, np.int64)),
            ("_places", order + self._token_start if len(keys) else np.full(1, -1)),
            ("_numbers", np.array(numbers_by_index, dtype=np.int64)),
        ):
            self.register_buffer(name, torch.from_numpy(array).to(device.default()), persistent=False)

    def call(self, inputs: Any) -> Tensor:
        self._ready()
        values = inputs if isinstance(inputs, Tensor) else torch.from_numpy(self._whole(inputs)).to(device.default())
        values = values.to(torch.int64)
        if self.invert:
            last = len(self._numbers) - 1
            return self._numbers.to(values.device)[torch.where((values < 0) | (values > last), last, values)]
        tokens, places = self._sorted.to(values.device), self._places.to(values.device)
        nearest = torch.searchsorted(tokens, values).clamp_max(len(tokens) - 1)
        # Without any token there is a stand-in whose place says that it is none.
        known = (tokens[nearest] == values) & (places[nearest] >= 0)
        found = torch.where(known, places[nearest], self._unknown(values, known))
        if self.mask_token is not None:
            masked = 0 if self.output_mode == "int" else LEFT_OUT
            found = torch.where(values == self.mask_token, masked, found)
        return self.encode(found)

    def _unknown(self, values: Tensor, known: Tensor) -> Tensor:
        """The index of each number if it is not in the vocabulary."""
        count, start = self.num_oov_indices, self._oov_start
        if count == 1:
            return torch.full_like(values, start)
        if count > 1 and self.oov_method == "floormod":
            return torch.remainder(values, count) + start
        if self.mask_token is not None:
            known = known | (values == self.mask_token)
        unseen = values[~known].tolist()
        if count == 0 and unseen:
            raise self._unseen(unseen)
        found = torch.zeros_like(values)
        if unseen:
            hashed = buckets([b"%d" % value for value in unseen], count, self.salt) + start
            found[~known] = torch.from_numpy(hashed).to(values.device)
        return found
