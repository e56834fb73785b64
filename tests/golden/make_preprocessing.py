"""Makes preprocessing.json: what Keras's layers for text and categories, which need TensorFlow, give.

Run once, apart from the tests, in an environment of its own:

    python -m venv /somewhere && /somewhere/bin/pip install tensorflow-cpu==2.21.0 keras==3.15.1
    KERAS_BACKEND=tensorflow /somewhere/bin/python tests/golden/make_preprocessing.py

A case is a layer, its config, what it is adapted to, and its inputs; Keras adds output, dtype, vocabulary and config.
"""

from __future__ import annotations

import json
import os
import tempfile
from pathlib import Path
from typing import Any

os.environ.setdefault("KERAS_BACKEND", "tensorflow")

import keras
import numpy as np
import tensorflow as tf

TEXTS = [
    "The quick brown fox; jumps over the lazy dog!",
    "  Leading, and\ttrailing\nwhite   space  ",
    "",
    "Ünïcödé ÉTÉ été 中文 文 😀 naïve",
    "non\u00a0breaking\u2003space and\x1cseparator\x0bvertical\x85next",
    "it's a state-of-the-art e-mail@example.com #1 $5 100% [x] {y} <z> ~ ` | \\ ^ _ = + *",
    "the the THE a a b",
]
WORDS = [["a", "c", "d", ""], ["d", "z", "b", "É"], ["a", "é", "中", "a"]]
UNSEEN = [["a", "new", "z", ""], ["中文", "É", "😀", "[UNK]"]]
NUMBERS = [[12, 1138, 42, 0], [42, 1000, 36, -7], [12, 12, 2**62, -(2**63)]]
OTHERS = [[12, 7, 0, -1], [2**63 - 1, -7, 1001, -(2**63)]]


def cases() -> list[dict[str, Any]]:
    return [*hashing(), *strings(), *integers(), *texts(), *files()]


def case(layer: str, inputs: Any, *, adapt: Any = None, dtype: str = "", **config: Any) -> dict[str, Any]:
    return {"layer": layer, "config": config, "adapt": adapt, "input": inputs, "input_dtype": dtype}


def hashing() -> list[dict[str, Any]]:
    words = [["A", "B", "", "C", "é", "中文", "a word of more than sixteen bytes", "x" * 50, "y" * 200]]
    whole = [[0, 1, -1, 42, 2**31, -(2**63), 2**63 - 1]]
    return [
        case("Hashing", words, num_bins=3),
        case("Hashing", words, num_bins=1000),
        case("Hashing", words, num_bins=10, mask_value=""),
        case("Hashing", words, num_bins=1, mask_value=""),
        case("Hashing", words, num_bins=10, mask_value="absent"),
        case("Hashing", words, num_bins=97, salt=[133, 137]),
        case("Hashing", words, num_bins=97, salt=133),
        case("Hashing", words, num_bins=97, salt=[-1, 2**63 - 1], mask_value="C"),
        case("Hashing", whole, num_bins=97, dtype="int64"),
        case("Hashing", whole, num_bins=97, dtype="int64", mask_value=42),
        case("Hashing", whole, num_bins=97, dtype="int64", salt=5),
        case("Hashing", [[1, 2, 3]], num_bins=5, dtype="int32"),
        case("Hashing", [[1.9, -2.9, 0.0, 1e6]], num_bins=97, dtype="float32"),
        case("Hashing", [["A"], ["B"], ["C"]], num_bins=4, output_mode="one_hot"),
        case("Hashing", [["A", "B"], ["C", "A"]], num_bins=4, output_mode="one_hot"),
        case("Hashing", [["A", "B"], ["C", "A"]], num_bins=4, output_mode="multi_hot"),
        case("Hashing", [["A", "B"], ["A", "A"]], num_bins=4, output_mode="count"),
        case("Hashing", ["A", "B", "A"], num_bins=4, output_mode="count"),
        case("Hashing", ["A", "B"], num_bins=4),
        case("Hashing", "A", num_bins=4),
        case("Hashing", [[["A"], ["B"]]], num_bins=4),
    ]


def strings() -> list[dict[str, Any]]:
    vocabulary, weights = ["a", "b", "c", "d"], [0.25, 0.75, 0.6, 0.4]
    modes = ("one_hot", "multi_hot", "count")
    return [
        case("StringLookup", UNSEEN, adapt=WORDS),
        case("StringLookup", UNSEEN, adapt=WORDS, mask_token=""),
        case("StringLookup", UNSEEN, adapt=WORDS, mask_token="", max_tokens=5),
        case("StringLookup", UNSEEN, adapt=WORDS, num_oov_indices=3),
        case("StringLookup", UNSEEN, adapt=WORDS, num_oov_indices=3, salt=[7, 8], mask_token="z"),
        case("StringLookup", UNSEEN, adapt=WORDS, oov_token="a"),
        case("StringLookup", [["a", "b"]], vocabulary=vocabulary, num_oov_indices=0),
        case("StringLookup", ["a", "x"], vocabulary=["[UNK]", *vocabulary]),
        case("StringLookup", ["a", ""], vocabulary=["", "[UNK]", *vocabulary], mask_token=""),
        case("StringLookup", "a", vocabulary=vocabulary),
        case("StringLookup", [], vocabulary=vocabulary),
        case("StringLookup", [[["a"], ["q"]]], vocabulary=vocabulary),
        *(case("StringLookup", [["a", "d", "d", "?"], ["b", "", "", ""]], vocabulary=vocabulary, output_mode=mode,
               mask_token="", num_oov_indices=2) for mode in modes),
        *(case("StringLookup", ["a", "d", "?"], vocabulary=vocabulary, output_mode=mode) for mode in modes),
        case("StringLookup", [["a"], ["?"]], vocabulary=vocabulary, output_mode="one_hot"),
        case("StringLookup", [["a", "b"]], adapt=WORDS, output_mode="multi_hot", max_tokens=12, pad_to_max_tokens=True),
        case("StringLookup", UNSEEN, adapt=WORDS, output_mode="tf_idf"),
        case("StringLookup", UNSEEN, adapt=["a", "b", "a", "a", "c"], output_mode="tf_idf"),
        case("StringLookup", UNSEEN, adapt=WORDS, output_mode="tf_idf", max_tokens=9, pad_to_max_tokens=True),
        case("StringLookup", [["a", "c", "d", "d"], ["d", "z", "b", "z"]], vocabulary=vocabulary, idf_weights=weights,
             output_mode="tf_idf"),
        case("StringLookup", [["a", "z"]], vocabulary=["[UNK]", *vocabulary], idf_weights=[0.9, *weights],
             output_mode="tf_idf"),
        case("StringLookup", [["a", "z"]], vocabulary=vocabulary, idf_weights=weights, output_mode="tf_idf",
             max_tokens=8, pad_to_max_tokens=True),
        case("StringLookup", [[1, 3, 4], [4, 0, 99]], vocabulary=vocabulary, invert=True, dtype="int64"),
        case("StringLookup", [[0, 1, 2, -1]], vocabulary=vocabulary, invert=True, mask_token="m", dtype="int64"),
    ]  # fmt: skip


def integers() -> list[dict[str, Any]]:
    vocabulary, weights = [12, 36, 1138, 42], [0.25, 0.75, 0.6, 0.4]
    modes = ("one_hot", "multi_hot", "count")
    return [
        case("IntegerLookup", OTHERS, adapt=NUMBERS, dtype="int64"),
        case("IntegerLookup", OTHERS, adapt=NUMBERS, mask_token=0, dtype="int64"),
        case("IntegerLookup", OTHERS, adapt=NUMBERS, max_tokens=4, dtype="int64"),
        case("IntegerLookup", OTHERS, adapt=NUMBERS, num_oov_indices=3, mask_token=0, dtype="int64"),
        case("IntegerLookup", OTHERS, adapt=NUMBERS, num_oov_indices=3, oov_method="farmhash", dtype="int64"),
        case("IntegerLookup", OTHERS, adapt=NUMBERS, num_oov_indices=3, oov_method="farmhash", salt=9, dtype="int64"),
        case("IntegerLookup", [[12, 36]], vocabulary=vocabulary, num_oov_indices=0, dtype="int64"),
        case("IntegerLookup", [12, 5], vocabulary=[-1, *vocabulary], dtype="int32"),
        case("IntegerLookup", [12, 0, 5], vocabulary=[0, -1, *vocabulary], mask_token=0, dtype="int64"),
        case("IntegerLookup", [[12.9, -3.0]], vocabulary=vocabulary, dtype="float32"),
        case("IntegerLookup", [], vocabulary=vocabulary, dtype="int64"),
        *(case("IntegerLookup", [[12, 42, 42, 7], [0, 36, 36, 0]], vocabulary=vocabulary, output_mode=mode,
               mask_token=0, dtype="int64") for mode in modes),
        case("IntegerLookup", [[12], [7]], vocabulary=vocabulary, output_mode="one_hot", dtype="int64"),
        case("IntegerLookup", [[12, 1138, 42, 42], [42, 7, 36, 7]], vocabulary=vocabulary, idf_weights=weights,
             output_mode="tf_idf", dtype="int64"),
        case("IntegerLookup", OTHERS, adapt=NUMBERS, output_mode="tf_idf", dtype="int64"),
        case("IntegerLookup", [[1, 3, 4], [4, 0, 99]], vocabulary=vocabulary, invert=True, dtype="int64"),
        case("IntegerLookup", [[0, 1, 2, -5]], vocabulary=vocabulary, invert=True, mask_token=0, oov_token=-9,
             dtype="int64"),
    ]  # fmt: skip


def texts() -> list[dict[str, Any]]:
    vocabulary = ["earth", "wind", "and", "fire"]
    weights = [0.1, 0.2, 0.3, 0.4]
    songs = ["Earth, wind AND fire; and rain", "fire", ""]
    kind = "TextVectorization"
    return [
        case(kind, TEXTS, adapt=TEXTS),
        case(kind, TEXTS, adapt=TEXTS, max_tokens=8),
        case(kind, TEXTS, adapt=TEXTS, output_sequence_length=3),
        case(kind, TEXTS, adapt=TEXTS, output_sequence_length=20),
        *(case(kind, TEXTS, adapt=TEXTS, standardize=how) for how in (None, "lower", "strip_punctuation")),
        case(kind, TEXTS, adapt=TEXTS, split="character", output_sequence_length=30),
        case(kind, TEXTS, adapt=TEXTS, split=None),
        case(kind, TEXTS, adapt=TEXTS, ngrams=2),
        case(kind, TEXTS, adapt=TEXTS, ngrams=(1, 3)),
        case(kind, TEXTS, adapt=TEXTS, split="character", ngrams=(2,), standardize=None),
        case(kind, [[text] for text in songs], vocabulary=vocabulary),
        case(kind, "earth rain", vocabulary=vocabulary),
        case(kind, [], vocabulary=vocabulary, output_sequence_length=3),
        case(kind, [["earth", "rain"], ["fire", ""]], vocabulary=vocabulary, split=None),
        case(kind, [["earth", "rain"], ["fire", ""]], vocabulary=vocabulary, split=None, output_sequence_length=3),
        case(kind, [["earth", "wind"], ["fire", ""]], vocabulary=["earth wind", "fire"], split=None, ngrams=(1, 2)),
        case(kind, [[["earth"], ["rain and fire"]]], vocabulary=vocabulary),
        *(case(kind, songs, vocabulary=vocabulary, output_mode=mode) for mode in ("multi_hot", "count")),
        case(kind, songs, vocabulary=vocabulary, output_mode="count", max_tokens=9, pad_to_max_tokens=True),
        case(kind, songs, vocabulary=vocabulary, idf_weights=weights, output_mode="tf_idf"),
        case(kind, TEXTS, adapt=TEXTS, output_mode="tf_idf"),
        case(kind, TEXTS, adapt=TEXTS, output_mode="tf_idf", ngrams=2, max_tokens=12),
        case(kind, TEXTS, adapt=TEXTS, output_mode="tf_idf", max_tokens=70, pad_to_max_tokens=True),
        case(kind, TEXTS, adapt=TEXTS, output_mode="multi_hot", max_tokens=6),
    ]


def files() -> list[dict[str, Any]]:
    """Vocabularies from a file, whose lines are given here."""
    return [
        case("StringLookup", ["a", "b", "é", "q"], vocabulary_file="a\nb\né\n"),
        case("StringLookup", ["a", "b", "[UNK]", ""], vocabulary_file="[UNK]\na\nb", mask_token="m"),
        case("TextVectorization", ["a b q"], vocabulary_file="a\r\nb\r\n"),
        case("IntegerLookup", [5, -7, 1], vocabulary_file="5\n-7\n", dtype="int64"),
    ]


def solved(one: dict[str, Any]) -> dict[str, Any]:
    config = dict(one["config"])
    if "vocabulary_file" in config:
        path = Path(tempfile.mkdtemp(), "vocabulary.txt")
        path.write_bytes(config.pop("vocabulary_file").encode())
        config["vocabulary"] = str(path)
        keras.config.enable_unsafe_deserialization()
    layer = getattr(keras.layers, one["layer"])(**config)
    if one["adapt"] is not None:
        layer.adapt(np.array(one["adapt"], dtype=one["input_dtype"] or str))
    inputs = tf.constant(one["input"], dtype=one["input_dtype"] or "string")
    output = layer(inputs).numpy()
    shown = np.vectorize(bytes.decode, otypes=[object])(output) if output.dtype == object else output
    found = {"output": shown.tolist(), "shape": list(output.shape), "dtype": str(output.dtype)}
    if hasattr(layer, "get_vocabulary"):
        found["vocabulary"] = [item if isinstance(item, str) else int(item) for item in layer.get_vocabulary()]
    found["config"] = {key: value for key, value in layer.get_config().items() if key not in ("name", "dtype")}
    return one | {"want": found}


if __name__ == "__main__":
    lines = [json.dumps(solved(one), ensure_ascii=False) for one in cases()]
    target = Path(__file__).with_name("preprocessing.json")
    target.write_text("[\n" + ",\n".join(lines) + "\n]\n")
    print(f"{len(lines)} cases in {target}")
