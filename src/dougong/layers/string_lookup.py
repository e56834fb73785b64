"""Words into whole numbers by a vocabulary, and back.   Ref: Keras 3 semantics."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import repeat
from typing import Any

import numpy as np

from dougong.core.errors import DataError
from dougong.core.symbol import Shape, Symbol
from dougong.core.text import STRING, as_text, is_text, utf8
from dougong.layers.adapting import numbers
from dougong.layers.fingerprints import buckets
from dougong.layers.host import on_device
from dougong.layers.index_lookup import LEFT_OUT, IndexLookup

__all__ = ["StringLookup"]

_NOT_FOUND = -1


class StringLookup(IndexLookup):
    """The index of each word in a vocabulary, or, with ``invert``, the word of each index.

    ``vocabulary`` is a list or a file with a word on each line; without it `adapt` learns one, of at most
    ``max_tokens`` indices.  ``mask_token`` gets index 0 and counts nowhere; the next ``num_oov_indices`` are for words
    out of the vocabulary, which a hash (under ``salt``) spreads over them; with 0 of them such a word is an error.
    ``output_mode``: "int", or vectors as in `encoded`, or "tf_idf", counts times ``idf_weights``; ``pad_to_max_tokens``
    makes vectors of length ``max_tokens``.  ``encoding`` is that of input bytes.
    Shapes: any.   Output: int64, float for "tf_idf"; with ``invert`` a NumPy array of strings, as torch has none.
    Raises: ConfigError for arguments that cannot be, BuildError without a vocabulary, DataError for what is no text.
    Keras: equals ``keras.layers.StringLookup``, without TensorFlow; inverted, Keras on torch gives a list.

    >>> layer = StringLookup(); layer.adapt([["a", "c", "d"], ["d", "z", "b"]]); layer.get_vocabulary()
    ['[UNK]', 'd', 'z', 'c', 'b', 'a']
    >>> layer([["a", "new"]])
    tensor([[5, 0]])
    >>> StringLookup(vocabulary=layer.get_vocabulary(), invert=True)([1, 9])
    array(['d', '[UNK]'], dtype=object)
    """

    vocabulary_dtype = "string"
    _kind = "words"

    def __init__(
        self,
        max_tokens: int | None = None,
        num_oov_indices: int = 1,
        mask_token: str | None = None,
        oov_token: str | None = "[UNK]",
        vocabulary: Any = None,
        idf_weights: Any = None,
        invert: bool = False,
        output_mode: str = "int",
        pad_to_max_tokens: bool = False,
        sparse: bool = False,
        encoding: str = "utf-8",
        name: str | None = None,
        salt: int | Sequence[int] | None = None,
        **options: Any,
    ) -> None:
        self.encoding = encoding  # before the vocabulary is read
        super().__init__(
            max_tokens, num_oov_indices, mask_token, oov_token, vocabulary, idf_weights, invert, output_mode, sparse,
            pad_to_max_tokens, salt, name=name, **options,
        )  # fmt: skip

    def _keys(self, values: Any) -> list[bytes]:
        return utf8(as_text(values, self._label), self.encoding, self._label)

    def _shape(self, values: Any) -> tuple[int, ...]:
        return as_text(values, self._label).shape

    def _token(self, key: bytes) -> str:
        return key.decode(errors="replace")

    def _make_table(self, keys: Sequence[bytes]) -> None:
        self._table = dict(zip(keys, range(self._token_start, self._token_start + len(keys))))
        if self.mask_token is not None:
            self._table[self.mask_token.encode()] = 0 if self.output_mode == "int" else LEFT_OUT

    def call(self, inputs: Any) -> Any:
        self._ready()
        if self.invert:
            return self._words(inputs)
        words = as_text(inputs, self._label)
        return self.encode(on_device(self.indices(utf8(words, self.encoding, self._label)).reshape(words.shape)))

    def indices(self, keys: Sequence[bytes]) -> np.ndarray:
        """The index of each word, given as UTF-8; int64.   Raises: DataError for words that have none."""
        missing = self._oov_start if self.num_oov_indices == 1 else _NOT_FOUND
        found = np.fromiter(map(self._table.get, keys, repeat(missing)), np.int64, len(keys))
        if self.num_oov_indices == 1:
            return found
        places = np.flatnonzero(found == _NOT_FOUND)
        unseen = [keys[place] for place in places.tolist()]
        if unseen and self.num_oov_indices == 0:
            raise self._unseen(unseen)
        if unseen:
            found[places] = buckets(unseen, self.num_oov_indices, self.salt) + self._oov_start
        return found

    def _words(self, inputs: Any) -> np.ndarray:
        if is_text(inputs):
            raise DataError(f"{self._label} with invert=True takes indices, not text")
        indices = numbers(inputs, self._label).astype(np.int64)
        words = np.array([*self.get_vocabulary(), self.oov_token], dtype=object)
        size = len(words) - 1
        words[self._oov_start : self._token_start] = self.oov_token
        return words[np.where((indices < 0) | (indices >= size), size, indices)]

    @property
    def output_dtype(self) -> Any:
        return STRING if self.invert else super().output_dtype

    def compute_output_spec(self, inputs: Symbol) -> Symbol:
        return Symbol(self.compute_output_shape(inputs.shape), self.output_dtype)

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        return super().compute_output_shape(input_shape)
