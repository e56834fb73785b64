"""Text into tokens: standardized, split, joined to n-grams.   Text and tokens are UTF-8 bytes.

TensorFlow's rules: only ASCII letters have a case, only ASCII punctuation is taken away, only ASCII white space parts.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import chain
from typing import Any

import numpy as np

from dougong.core.errors import DataError

__all__ = [
    "SPLITS",
    "STANDARDS",
    "flat",
    "joined_tokens",
    "padded",
    "split_by",
    "split_texts",
    "standardize_by",
    "standardized",
]

_PUNCTUATION = b"!\"#$%&()*+,-./:;<=>?@[\\]^_`{|}~'"
_LOWER = bytes(range(256)).lower()

# How `standardize` names what is done: a table of bytes, and the bytes that go.
STANDARDS: dict[str, tuple[bytes | None, bytes]] = {
    "lower_and_strip_punctuation": (_LOWER, _PUNCTUATION),
    "lower": (_LOWER, b""),
    "strip_punctuation": (None, _PUNCTUATION),
}


def _characters(text: bytes) -> list[bytes]:
    return [character.encode() for character in text.decode()]


SPLITS: dict[str, Callable[[bytes], list[bytes]]] = {"whitespace": bytes.split, "character": _characters}


def standardized(texts: Sequence[bytes], name: str) -> list[bytes]:
    """Texts in the standard of this name.

    >>> standardized([b"It's HERE, \\xc3\\x89!"], "lower_and_strip_punctuation")
    [b'its here \\xc3\\x89']
    """
    table, gone = STANDARDS[name]
    return [text.translate(table, gone) for text in texts]


def standardize_by(function: Callable[[Any], Any], array: np.ndarray, owner: str) -> np.ndarray:
    """The user's function of a NumPy array of strings.   Raises: DataError if its result has another shape."""
    strings = _strings(array)
    found = np.asarray(function(strings))
    if found.shape != array.shape:
        raise DataError(
            f"{owner}: standardize gave shape {found.shape} for text of shape {array.shape}; it must keep the shape"
        )
    return found


def split_texts(texts: Sequence[bytes], name: str) -> list[list[bytes]]:
    """The tokens of each text.

    >>> split_texts([b" a  b\\n", b""], "whitespace")
    [[b'a', b'b'], []]
    """
    return list(map(SPLITS[name], texts))


def split_by(function: Callable[[Any], Any], array: np.ndarray, owner: str) -> list[list[bytes]]:
    """What the user's function makes of a flat NumPy array of strings: a list of tokens for each.

    Raises: DataError if it gives another number of rows, or rows that are not lists of strings.
    """
    rows = function(_strings(array))
    rows = rows.tolist() if isinstance(rows, np.ndarray) else list(rows)
    if len(rows) != array.size:
        raise DataError(f"{owner}: split gave {len(rows)} rows for {array.size} texts; give a list of tokens for each")
    try:
        return [[token if isinstance(token, bytes) else str.encode(token) for token in row] for row in rows]
    except TypeError as error:
        raise DataError(f"{owner}: split must give lists of strings: {error}") from error


def _strings(array: np.ndarray) -> np.ndarray:
    """An array of unicode strings, as `numpy.strings` wants."""
    flat = [item.decode() if isinstance(item, bytes) else item for item in array.ravel().tolist()]
    return np.array(flat, dtype=str).reshape(array.shape)


def joined_tokens(rows: Sequence[Sequence[bytes]], widths: Sequence[int]) -> list[list[bytes]]:
    """The n-grams of each row: all of the first width, then all of the next.

    >>> joined_tokens([[b"a", b"b", b"c"]], (1, 2))
    [[b'a', b'b', b'c', b'a b', b'b c']]
    """
    found = []
    for row in rows:
        shifted = [row[start:] for start in range(max(widths))]
        grams = (row if width == 1 else map(b" ".join, zip(*shifted[:width])) for width in widths)
        found.append(list(chain.from_iterable(grams)))
    return found


def padded(indices: np.ndarray, lengths: np.ndarray, filling: int, length: int | None) -> np.ndarray:
    """Rows of ``lengths``, given one after the other, as a matrix, cut or filled up to ``length`` (None: the longest).

    >>> padded(np.array([1, 2, 3]), np.array([2, 1]), 0, None)
    array([[1, 2],
           [3, 0]])
    """
    longest = int(lengths.max(initial=0))
    matrix = np.full((len(lengths), longest), filling, np.int64)
    matrix[np.arange(longest) < lengths[:, None]] = indices
    if length is None or length == longest:
        return matrix
    if length < longest:
        return np.ascontiguousarray(matrix[:, :length])
    return np.pad(matrix, ((0, 0), (0, length - longest)), constant_values=filling)


def flat(rows: Sequence[Sequence[bytes]]) -> list[bytes]:
    """All tokens, row by row."""
    return list(chain.from_iterable(rows))
