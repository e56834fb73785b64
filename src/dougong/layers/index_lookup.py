"""The vocabulary that StringLookup and IntegerLookup share: learned or given, looked up, encoded and kept in files.

An index is 0 for the mask (if there is one, in "int" mode), then come ``num_oov_indices`` for words out of the
vocabulary, then the vocabulary's tokens.  A *key* is a token as it is looked up: UTF-8 bytes, or a whole number.
Ref: Keras 3 semantics.
"""

from __future__ import annotations

from abc import abstractmethod
from collections import Counter
from collections.abc import Hashable, Iterable, Mapping, Sequence
from itertools import chain
from pathlib import Path
from typing import Any, ClassVar, Self, Unpack

import numpy as np
import torch
from torch import Tensor

from dougong.core import device
from dougong.core.dtypes import torch_dtype
from dougong.core.errors import BuildError, ConfigError, DataError
from dougong.core.symbol import Shape
from dougong.layers.adapting import batches_of
from dougong.layers.category_encoding import check_output_mode, encoded, encoded_shape
from dougong.layers.hashing import as_salt
from dougong.layers.host import HostLayer
from dougong.layers.layer import LayerOptions

__all__ = ["LEFT_OUT", "IndexLookup"]

LEFT_OUT = -2  # the index of a mask in encoded modes
_MODES = ("int", "one_hot", "multi_hot", "count", "tf_idf")
_ASSET = "vocabulary.txt"


class IndexLookup(HostLayer):
    """The base of the lookups; see StringLookup for what the arguments mean.   Abstract."""

    vocabulary_dtype: str
    idf_weights: Tensor | None
    _kind: ClassVar[str]  # "words" or "whole numbers", for messages

    def __init__(
        self,
        max_tokens: int | None,
        num_oov_indices: int,
        mask_token: Any,
        oov_token: Any,
        vocabulary: Any = None,
        idf_weights: Any = None,
        invert: bool = False,
        output_mode: str = "int",
        sparse: bool = False,
        pad_to_max_tokens: bool = False,
        salt: Any = None,
        oov_method: str = "floormod",
        vocabulary_size: int | None = None,
        has_input_vocabulary: bool | None = None,
        **options: Unpack[LayerOptions],
    ) -> None:
        super().__init__(**options)
        self.max_tokens, self.num_oov_indices, self.pad_to_max_tokens = max_tokens, num_oov_indices, pad_to_max_tokens
        self.mask_token, self.oov_token, self.invert, self.sparse = mask_token, oov_token, invert, sparse
        self.output_mode = check_output_mode(type(self).__name__, output_mode, _MODES, sparse=sparse)
        self.oov_method, self.salt = oov_method, as_salt(self._label, salt)
        self._check_arguments(idf_weights)
        self.input_idf_weights = idf_weights
        self._fixed = vocabulary is not None if has_input_vocabulary is None else has_input_vocabulary
        self._size = vocabulary_size  # what downstream layers were built for
        self._tokens: list[Any] | None = None
        self.register_buffer("idf_weights", None, persistent=False)
        self.reset_state()
        if vocabulary is not None:
            if self.output_mode == "tf_idf" and idf_weights is None:
                raise ConfigError(f"{self._label} with output_mode='tf_idf' needs idf_weights beside its vocabulary")
            self.set_vocabulary(vocabulary, idf_weights)
        # A vocabulary given as a list goes into the config; one learned, set later or read from a file is an asset.
        self.input_vocabulary = None if isinstance(vocabulary, str | Path) else vocabulary

    def _check_arguments(self, idf_weights: Any) -> None:
        problem = None
        if self.max_tokens is not None and self.max_tokens <= 1:
            problem = f"max_tokens must be above 1, or None for no limit; got {self.max_tokens}"
        elif self.pad_to_max_tokens and self.max_tokens is None:
            problem = "pad_to_max_tokens=True needs max_tokens"
        elif self.num_oov_indices < 0:
            problem = f"num_oov_indices must be 0 or more, got {self.num_oov_indices}"
        elif self.oov_method not in ("floormod", "farmhash"):
            problem = f"oov_method must be 'floormod' or 'farmhash', got {self.oov_method!r}"
        elif self.invert and self.output_mode != "int":
            problem = f"invert=True gives tokens, so output_mode must be 'int', not {self.output_mode!r}"
        elif idf_weights is not None and self.output_mode != "tf_idf":
            problem = f"idf_weights belong to output_mode='tf_idf', not to {self.output_mode!r}"
        if problem:
            raise ConfigError(f"{self._label}: {problem}")

    # ── What subclasses say ─────────────────────────────────────────────────────────────────────────────────────────

    @abstractmethod
    def _keys(self, values: Any) -> list[Any]:
        """Any array or list of tokens as keys, in order."""

    @abstractmethod
    def _shape(self, values: Any) -> tuple[int, ...]:
        """The shape of such an array or list."""

    @abstractmethod
    def _token(self, key: Any) -> Any:
        """A key as the user writes it."""

    @abstractmethod
    def _make_table(self, keys: Sequence[Any]) -> None:
        """Make what `call` looks up in."""

    # ── The vocabulary ──────────────────────────────────────────────────────────────────────────────────────────────

    @property
    def _oov_start(self) -> int:
        return 1 if self.mask_token is not None and self.output_mode == "int" else 0

    @property
    def _token_start(self) -> int:
        return self._oov_start + self.num_oov_indices

    def _special(self) -> list[Any]:
        return [self.mask_token] * self._oov_start + [self.oov_token] * self.num_oov_indices

    def get_vocabulary(self, include_special_tokens: bool = True) -> list[Any]:
        """The tokens in order of their index; with mask and out-of-vocabulary tokens the index is the position."""
        tokens = [self._token(key) for key in self._tokens or ()]
        return self._special() + tokens if include_special_tokens else tokens

    def vocabulary_size(self) -> int:
        """How many indices there are, those of mask and out-of-vocabulary tokens included."""
        return self._token_start + len(self._tokens or ())

    def set_vocabulary(self, vocabulary: Any, idf_weights: Any = None) -> None:
        """Replace the vocabulary: tokens in a list, array or tensor, or a path to a file with one on each line.

        Mask and out-of-vocabulary tokens may stand at the start of a list.  ``idf_weights``, for "tf_idf" only, has a
        weight for each item of the list; those of tokens not in it are their mean.
        Raises: ConfigError for a vocabulary that repeats or misplaces tokens, is empty or too long.
        """
        if (self.output_mode == "tf_idf") != (idf_weights is not None):
            raise ConfigError(f"{self._label}: idf_weights are needed with output_mode='tf_idf', and only with it")
        if isinstance(vocabulary, str | Path):
            keys, found_special = self._read(Path(vocabulary)), False
        else:
            keys = self._keys(vocabulary)
            special = self._keys([token for token in self._special() if token is not None])
            found_special = len(special) == self._token_start and keys[: self._token_start] == special
        if not keys:
            raise ConfigError(f"{self._label} cannot take an empty vocabulary")
        tokens = keys[self._token_start :] if found_special else keys
        self._check_tokens(tokens, limited=not isinstance(vocabulary, str | Path))
        weights = None
        if idf_weights is not None:
            weights = np.asarray(idf_weights, "float64")
            if weights.shape != (len(keys),):
                raise ConfigError(
                    f"{self._label}: idf_weights of shape {weights.shape} do not fit {len(keys)} tokens; give one each"
                )
        self._take(tokens)
        if weights is not None:
            front = 0 if found_special else self._token_start
            self._take_weights(np.concatenate([np.full(front, weights.mean()), weights]))

    def _check_tokens(self, tokens: Sequence[Any], *, limited: bool) -> None:
        repeated = [self._token(key) for key, count in Counter(tokens).items() if count > 1]
        if repeated:
            raise ConfigError(f"{self._label}: the vocabulary repeats {repeated[:8]}; leave each in once")
        reserved = [self.mask_token] + [self.oov_token] * self.invert
        for key in self._keys([token for token in reserved if token is not None]):
            if key in tokens:
                raise ConfigError(
                    f"{self._label}: the vocabulary holds {self._token(key)!r}, which is reserved; leave it out, or"
                    f" begin the vocabulary with {self._special()}"
                )
        size = self._token_start + len(tokens)
        if limited and self.max_tokens is not None and size > self.max_tokens:
            raise ConfigError(
                f"{self._label}: a vocabulary of {size}, mask and unknown tokens included, is more than max_tokens="
                f"{self.max_tokens}; shorten it or raise max_tokens"
            )

    def _read(self, path: Path) -> list[Any]:
        """The lines of a vocabulary file."""
        if self.output_mode == "tf_idf":
            raise ConfigError(f"{self._label}: a vocabulary file has no idf_weights; give both as lists")
        if not path.is_file():
            raise ConfigError(f"{self._label}: there is no vocabulary file {str(path)!r}")
        lines = path.read_bytes().replace(b"\r", b"").split(b"\n")
        lines = lines[:-1] if lines[-1] == b"" else lines
        if b"" in lines:
            raise ConfigError(f"{self._label}: line {lines.index(b'') + 1} of {str(path)!r} is empty; take it out")
        return self._keys_of_lines(lines)

    def _keys_of_lines(self, lines: list[bytes]) -> list[Any]:
        try:
            return self._keys([line.decode() if self.vocabulary_dtype == "string" else int(line) for line in lines])
        except ValueError as error:
            raise ConfigError(f"{self._label}: its vocabulary file has a line that is no token: {error}") from error

    def _take(self, tokens: Sequence[Any]) -> None:
        size = self._token_start + len(tokens)
        lasting = self.output_mode != "int" and not self.pad_to_max_tokens
        if lasting and self._size is not None and size != self._size:
            raise ConfigError(
                f"{self._label} gives vectors of length {self._size}, which other layers may rely on; a vocabulary of"
                f" {size} would change that: make a new layer, or use max_tokens and pad_to_max_tokens=True"
            )
        self._tokens, self._size, self.input_vocabulary = list(tokens), size, None
        self._make_table(self._tokens)

    def _take_weights(self, weights: np.ndarray) -> None:
        if self.pad_to_max_tokens and self.max_tokens is not None:
            weights = np.pad(weights, (0, self.max_tokens - len(weights)))
        self.idf_weights = torch.as_tensor(weights, dtype=torch_dtype(None)).to(device.default())

    # ── Learning it ─────────────────────────────────────────────────────────────────────────────────────────────────

    def adapt(self, data: Any, steps: int | None = None) -> None:
        """Learn the vocabulary: the most frequent tokens first, of equal ones the last in order.

        Data: a list, array or column of tokens, or what yields batches (of which ``steps`` are taken).  For "tf_idf" a
        row is a document.   Raises: ConfigError where a vocabulary was given.
        """
        self.reset_state()
        for batch in batches_of(data, steps, lists_are_data=True):
            single = len(self._shape(batch)) == 1 and batch is data
            self.update_state(np.asarray(batch, dtype=object)[:, None] if single else batch)
        self.finalize_state()

    def update_state(self, data: Any) -> None:
        """Count the tokens of a batch; its rows are documents, and one axis alone is one document."""
        keys, shape = self._keys(data), self._shape(data)
        rows = shape[0] if len(shape) > 1 else 1
        width = len(keys) // max(1, rows)
        self.count_tokens([keys[row * width : (row + 1) * width] for row in range(rows)])

    def count_tokens(self, documents: Iterable[Sequence[Hashable]]) -> None:
        """Count keys, document by document."""
        if self._fixed:
            raise ConfigError(f"{self._label} was given its vocabulary; make one without, to adapt it")
        documents = list(documents)
        self._counts.update(chain.from_iterable(documents))
        if self.output_mode == "tf_idf":
            self._document_counts.update(chain.from_iterable(map(set, documents)))
            self._num_documents += len(documents)

    def finalize_state(self) -> None:
        """Make the vocabulary of what was counted; without any, it stays as it is."""
        if self._fixed or not self._counts:
            return
        for key in self._keys([token for token in (self.mask_token, self.oov_token) if token is not None]):
            self._counts.pop(key, None)
        ranked = sorted(self._counts, reverse=True)
        ranked.sort(key=self._counts.__getitem__, reverse=True)  # equal counts stay as they are
        most = None if self.max_tokens is None else max(0, self.max_tokens - self._token_start)
        tokens = ranked[:most]
        self._take(tokens)
        if self.output_mode == "tf_idf":
            documents = np.array([self._document_counts[key] for key in tokens], "float64")
            weights = np.log(1 + self._num_documents / (1 + documents)).astype("float32")
            mean = weights.mean() if tokens else 0.0
            self._take_weights(np.concatenate([np.full(self._token_start, mean), weights]))
        self.reset_state()

    def reset_state(self) -> None:
        """Forget the counts, not the vocabulary."""
        self._counts: Counter[Any] = Counter()
        self._document_counts: Counter[Any] = Counter()
        self._num_documents = 0

    # ── Encoding ────────────────────────────────────────────────────────────────────────────────────────────────────

    @property
    def output_dtype(self) -> Any:
        return torch_dtype(None) if self.output_mode == "tf_idf" else torch.int64

    @property
    def depth(self) -> int:
        """The length of encoded vectors.   Raises: BuildError before there is a vocabulary."""
        depth = self.max_tokens if self.pad_to_max_tokens else self._size
        if depth is None:
            raise BuildError(f"{self._label} {_NO_VOCABULARY}")
        return depth

    def _ready(self) -> None:
        if self._tokens is None:
            raise BuildError(f"{self._label} {_NO_VOCABULARY}")

    def _unseen(self, tokens: Sequence[Any]) -> DataError:
        shown = ", ".join(repr(self._token(key)) for key in list(dict.fromkeys(tokens))[:5])
        return DataError(
            f"{self._label} received {self._kind} that are not in its vocabulary: {shown}; with num_oov_indices=0 none"
            " may be, with num_oov_indices=1 they share an index"
        )

    def encode(self, indices: Tensor) -> Tensor:
        """Indices as the output mode wants them; negative ones are left out of vectors."""
        if self.output_mode == "int":
            return indices
        if self.output_mode != "tf_idf":
            return encoded(indices, self.output_mode, self.depth, torch.int64)
        counts = encoded(indices, "count", self.depth, self.output_dtype)
        if self.idf_weights is None:
            raise BuildError(f"{self._label} {_NO_VOCABULARY}")
        return counts.mul_(self.idf_weights.to(counts.device))

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        if self.output_mode == "int":
            return tuple(input_shape)
        mode = "count" if self.output_mode == "tf_idf" else self.output_mode
        return encoded_shape(tuple(input_shape), mode, self.depth)

    # ── Files ───────────────────────────────────────────────────────────────────────────────────────────────────────

    def get_config(self) -> dict[str, Any]:
        config = super().get_config()
        for name in ("vocabulary", "idf_weights", "has_input_vocabulary"):
            config.pop(name, None)
        return config | self._kept_in_config() | {"vocabulary_size": self._size}

    def _kept_in_config(self) -> dict[str, Any]:
        """The vocabulary where the config holds it: given as a list, or of words that a file of lines cannot hold."""
        if self.input_vocabulary is not None:
            tokens = [self._token(key) for key in self._keys(self.input_vocabulary)]
            weights = None if self.input_idf_weights is None else np.asarray(self.input_idf_weights).tolist()
        else:
            tokens = self.get_vocabulary()
            if self.vocabulary_dtype != "string" or not _breaks_lines(tokens):
                return {"vocabulary": None, "idf_weights": None}
            weights = None if self.idf_weights is None else self.idf_weights[: len(tokens)].tolist()
        kept = {"vocabulary": tokens, "idf_weights": weights}
        return kept if self._fixed else kept | {"has_input_vocabulary": False}

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> Self:
        """Rebuild.   Raises: ConfigError for a vocabulary that is a path: a config names no files to be read."""
        if isinstance(config.get("vocabulary"), str):
            raise ConfigError(
                f"a config must not name a file to read: {config['vocabulary']!r}; read it with set_vocabulary()"
            )
        return super().from_config(config)

    def save_own_variables(self, store: dict[str, Any]) -> None:
        """Put the idf weights, if there are such, into ``store``."""
        if self.idf_weights is not None:
            store["idf_weights"] = self.idf_weights.cpu().numpy()

    def load_own_variables(self, store: Mapping[str, Any]) -> None:
        """Take the idf weights from ``store``; `load_assets` comes next."""
        if self.output_mode == "tf_idf" and "idf_weights" in store:
            self.idf_weights = torch.as_tensor(np.asarray(store["idf_weights"])).to(device.default())

    def save_assets(self, dir_path: Any) -> None:
        """Write ``vocabulary.txt`` into a folder, special tokens included, unless the config holds the vocabulary."""
        if self._kept_in_config()["vocabulary"] is None:
            lines = [str(token) for token in self.get_vocabulary()]
            Path(dir_path, _ASSET).write_bytes("\n".join(lines).encode())

    def load_assets(self, dir_path: Any) -> None:
        """Read what `save_assets` wrote.   Raises: ConfigError for a file that is missing or holds no vocabulary."""
        if self.input_vocabulary is not None:
            return
        path = Path(dir_path, _ASSET)
        if not path.is_file():
            raise ConfigError(f"{self._label}: its folder has no {_ASSET}")
        keys = self._keys_of_lines(path.read_bytes().split(b"\n"))
        if keys == self._keys([token for token in self._special() if token is not None]):
            return  # it was saved before it had one
        weights = None if self.idf_weights is None else self.idf_weights[: len(keys)].cpu().numpy()
        self.set_vocabulary([self._token(key) for key in keys], weights)


_NO_VOCABULARY = "has no vocabulary yet: call adapt(data) or set_vocabulary([…]) first, or give it vocabulary=[…]"


def _breaks_lines(tokens: list[Any]) -> bool:
    """Whether a file with a token on each line would be read as other tokens, by Keras or here."""
    words = list(map(str, tokens))
    return "\n".join(words).splitlines() != words or (len(words) > 1 and words[-1] == "")
