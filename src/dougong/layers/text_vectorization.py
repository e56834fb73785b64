"""Text into indices of its words, or vectors that count them.   Ref: Keras 3 semantics."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from math import prod
from typing import Any, Self

import numpy as np
from torch import Tensor

from dougong.core.config import resolve
from dougong.core.errors import ConfigError, ShapeError, UnknownNameError
from dougong.core.symbol import Shape
from dougong.core.text import as_text, utf8
from dougong.layers.adapting import batches_of
from dougong.layers.category_encoding import check_output_mode
from dougong.layers.host import HostLayer, on_device
from dougong.layers.index_lookup import LEFT_OUT
from dougong.layers.string_lookup import StringLookup
from dougong.layers.tokens import (
    SPLITS,
    STANDARDS,
    flat,
    joined_tokens,
    padded,
    split_by,
    split_texts,
    standardize_by,
    standardized,
)

__all__ = ["TextVectorization"]

Rows = list[list[bytes]]


class _Words(StringLookup):
    """The lookup within, which speaks in the name of the layer around it."""

    @property
    def _label(self) -> str:
        return f"TextVectorization {self.name!r}"


class TextVectorization(HostLayer):
    """Standardizes texts, splits them into tokens, joins these to n-grams, and looks up each one's index.

    ``standardize``: "lower_and_strip_punctuation", "lower", "strip_punctuation" (of ASCII letters and signs), None, or
    a function of a NumPy array of strings.  ``split``: "whitespace", "character", None, or a function of a flat such
    array that gives a list of tokens for each text.  ``ngrams``: None, the largest number of tokens to join, or a tuple
    of numbers.  Index 0 pads, in "int" mode, and 1 is for words out of the vocabulary; ``output_sequence_length`` cuts
    or pads to a fixed length, else the longest text of the batch decides.  The rest as in StringLookup.
    Shapes: ``[N]`` or ``[N, 1] -> [N, T]``, or ``[N, D]`` where encoded.
    Raises: ConfigError for arguments that cannot be, ShapeError for text of another shape, BuildError without a
    vocabulary, DataError for what is no text.
    Keras: equals ``keras.layers.TextVectorization``, token for token, without TensorFlow.

    >>> layer = TextVectorization(output_sequence_length=4); layer.adapt(["foo bar", "Bar, baz!", "baz bada boom"])
    >>> layer.get_vocabulary()
    ['', '[UNK]', 'baz', 'bar', 'foo', 'boom', 'bada']
    >>> layer(["foo qux bar", "qux baz"])
    tensor([[4, 1, 3, 0],
            [1, 2, 0, 0]])
    """

    def __init__(
        self,
        max_tokens: int | None = None,
        standardize: str | Callable[[Any], Any] | None = "lower_and_strip_punctuation",
        split: str | Callable[[Any], Any] | None = "whitespace",
        ngrams: int | tuple[int, ...] | None = None,
        output_mode: str = "int",
        output_sequence_length: int | None = None,
        pad_to_max_tokens: bool = False,
        vocabulary: Any = None,
        idf_weights: Any = None,
        sparse: bool = False,
        ragged: bool = False,
        encoding: str = "utf-8",
        name: str | None = None,
        vocabulary_size: int | None = None,
        has_input_vocabulary: bool | None = None,
        **options: Any,
    ) -> None:
        super().__init__(name=name, **options)
        modes = ("int", "one_hot", "multi_hot", "count", "tf_idf")
        self.output_mode = check_output_mode(type(self).__name__, output_mode, modes, sparse=sparse)
        self.standardize, self.split, self.ngrams, self.ragged = standardize, split, ngrams, ragged
        self.output_sequence_length = output_sequence_length
        self.repeatable = not (callable(standardize) or callable(split))
        self._check_arguments()
        self._widths = tuple(range(1, ngrams + 1)) if isinstance(ngrams, int) else ngrams
        self._lookup_layer = _Words(
            max_tokens, vocabulary=vocabulary, idf_weights=idf_weights, pad_to_max_tokens=pad_to_max_tokens,
            mask_token="", output_mode=output_mode, encoding=encoding, name=self.name,
            vocabulary_size=vocabulary_size, has_input_vocabulary=has_input_vocabulary,
        )  # fmt: skip

    def _check_arguments(self) -> None:
        for word, value, known in (("standardize", self.standardize, STANDARDS), ("split", self.split, SPLITS)):
            if not (value is None or callable(value) or value in known):
                raise UnknownNameError(f"{word} of TextVectorization", value, known, "A function will do, too.")
        whole = self.ngrams if isinstance(self.ngrams, tuple) else (self.ngrams or 1,)
        length, problem = self.output_sequence_length, None
        if self.ragged:
            problem = "ragged=True has no tensors in torch; leave it out: rows are padded with 0, which Embedding masks"
        elif not all(isinstance(width, int) and width > 0 for width in whole):
            problem = f"ngrams must be None, a whole number or a tuple of them; got {self.ngrams!r}"
        elif length is not None and (self.output_mode != "int" or not isinstance(length, int)):
            problem = f"output_sequence_length is a whole number, for output_mode='int' only; got {length!r}"
        if problem:
            raise ConfigError(f"{self._label}: {problem}")

    # ── The vocabulary ──────────────────────────────────────────────────────────────────────────────────────────────

    def adapt(self, data: Any, batch_size: int | None = None, steps: int | None = None) -> None:
        """Learn the vocabulary from texts: a list, array or column, or what yields batches of them (``steps`` of it).

        The most frequent tokens come first, of equal ones the last in order.  ``batch_size`` changes nothing.
        """
        self.reset_state()
        for batch in batches_of(data, steps, lists_are_data=True):
            self.update_state(batch)
        self.finalize_state()

    def update_state(self, data: Any) -> None:
        """Count the tokens of a batch of texts."""
        _, rows = self._tokens(data)
        self._lookup_layer.count_tokens(rows)

    def finalize_state(self) -> None:
        """Make the vocabulary of what was counted."""
        self._lookup_layer.finalize_state()

    def reset_state(self) -> None:
        """Forget the counts, not the vocabulary."""
        self._lookup_layer.reset_state()

    def get_vocabulary(self, include_special_tokens: bool = True) -> list[str]:
        """The tokens in order of their index, with or without those for padding and unknown words."""
        return self._lookup_layer.get_vocabulary(include_special_tokens)

    def vocabulary_size(self) -> int:
        """How many indices there are, those for padding and unknown words included."""
        return self._lookup_layer.vocabulary_size()

    def set_vocabulary(self, vocabulary: Any, idf_weights: Any = None) -> None:
        """Replace the vocabulary; see StringLookup."""
        self._lookup_layer.set_vocabulary(vocabulary, idf_weights)

    # ── Running ─────────────────────────────────────────────────────────────────────────────────────────────────────

    def build(self, input_shape: Any) -> None:
        self._lookup_layer.build(input_shape)

    def call(self, inputs: Any) -> Tensor:
        self._lookup_layer._ready()
        leading, rows = self._tokens(inputs)
        encodes = self.output_mode != "int"
        if encodes and len(leading) > 1:
            raise ShapeError(
                f"{self._label} encodes texts of shape (batch,) or (batch, 1) but received {len(leading)} axes of them;"
                " flatten them first"
            )
        lengths = np.fromiter(map(len, rows), np.int64, len(rows))
        indices = self._lookup_layer.indices(flat(rows))
        found = padded(indices, lengths, LEFT_OUT if encodes else 0, self.output_sequence_length)
        return self._lookup_layer.encode(on_device(found.reshape(*leading, found.shape[-1])))

    def _tokens(self, inputs: Any) -> tuple[tuple[int, ...], Rows]:
        """The shape in which texts stand, and the tokens of each, in order."""
        array = as_text(inputs, self._label)
        if callable(self.standardize):
            array = standardize_by(self.standardize, array, self._label)
        leading = self._leading(array.shape)
        texts: list[bytes] = []
        if not callable(self.split):
            texts = utf8(array, self.encoding, self._label)
            if isinstance(self.standardize, str):
                texts = standardized(texts, self.standardize)
        if self.split is None:
            width = array.shape[-1] if array.ndim else 1
            rows = [texts[row * width : (row + 1) * width] for row in range(prod(leading))]
        elif callable(self.split):
            if isinstance(self.standardize, str):
                plain = standardized(utf8(array, self.encoding, self._label), self.standardize)
                array = np.array([text.decode() for text in plain], dtype=object)
            rows = split_by(self.split, array.ravel(), self._label)
        else:
            rows = split_texts(texts, self.split)
        return leading, rows if self._widths is None else joined_tokens(rows, self._widths)

    def _leading(self, shape: Shape) -> Any:
        """The axes that texts stand in: without the last one where that is 1, or where it holds tokens already."""
        if self.split is not None and len(shape) > 1 and shape[-1] != 1:
            raise ShapeError(
                f"{self._label} splits texts of shape (batch,) or (batch, 1) but received shape {tuple(shape)};"
                " give one text a row, or split=None for tokens"
            )
        return tuple(shape[:-1]) if len(shape) > 1 or self.split is None else tuple(shape)

    @property
    def output_dtype(self) -> Any:
        return self._lookup_layer.output_dtype

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        leading = self._leading(input_shape)
        if self.output_mode != "int":
            return self._lookup_layer.compute_output_shape((*leading, None))
        unchanged = self.split is None and self.ngrams is None and self.output_sequence_length is None
        return (*leading, input_shape[-1] if unchanged and input_shape else self.output_sequence_length)

    # ── Files ───────────────────────────────────────────────────────────────────────────────────────────────────────

    @property
    def encoding(self) -> str:
        return self._lookup_layer.encoding

    def get_config(self) -> dict[str, Any]:
        config, inner = super().get_config(), self._lookup_layer.get_config()
        del config["has_input_vocabulary"]
        shared = {"max_tokens", "pad_to_max_tokens", "sparse", "vocabulary", "idf_weights", "encoding"}
        shared |= {"has_input_vocabulary"} & inner.keys()
        return config | {word: inner[word] for word in shared} | {"vocabulary_size": self.vocabulary_size()}

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> Self:
        """Rebuild around registered functions.   Raises: ConfigError for a vocabulary that is a path."""
        config = dict(config)
        if isinstance(config.get("vocabulary"), str):
            raise ConfigError(
                f"a config must not name a file to read: {config['vocabulary']!r}; read it with set_vocabulary()"
            )
        for word in ("standardize", "split"):
            if isinstance(config.get(word), Mapping):
                config[word] = resolve(config[word], {}, "function")
        if isinstance(config.get("ngrams"), Sequence):
            config["ngrams"] = tuple(config["ngrams"])
        return super().from_config(config)

    def save_own_variables(self, store: dict[str, Any]) -> None:
        """Put the idf weights, if there are such, into ``store``."""
        self._lookup_layer.save_own_variables(store)

    def load_own_variables(self, store: Mapping[str, Any]) -> None:
        """Take the idf weights from ``store``; `load_assets` comes next."""
        self._lookup_layer.load_own_variables(store)

    def save_assets(self, dir_path: Any) -> None:
        """Write ``vocabulary.txt`` into a folder."""
        self._lookup_layer.save_assets(dir_path)

    def load_assets(self, dir_path: Any) -> None:
        """Read what `save_assets` wrote."""
        self._lookup_layer.load_assets(dir_path)
