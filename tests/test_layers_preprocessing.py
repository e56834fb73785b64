"""Layers for text and categories beside what Keras on TensorFlow gave (golden/), or beside Keras where it runs."""

from __future__ import annotations

import copy
import json
import pickle
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given as given_text
from hypothesis import strategies as st
from torch.utils.data import DataLoader, Dataset, TensorDataset

import dougong as dg
from closeness import close
from dougong.core.config import register_serializable
from dougong.core.errors import ConfigError, DataError, DougongError
from dougong.layers.category_encoding import CategoryEncoding
from dougong.layers.discretization import Discretization
from dougong.layers.fingerprints import farmhash64, siphash64
from dougong.layers.hashing import Hashing
from dougong.layers.integer_lookup import IntegerLookup
from dougong.layers.pipeline import Pipeline
from dougong.layers.preprocessing import Normalization, Rescaling
from dougong.layers.string_lookup import StringLookup
from dougong.layers.text_vectorization import TextVectorization

GOLDEN = json.loads(Path(__file__).with_name("golden").joinpath("preprocessing.json").read_text())
LAYERS = {cls.__name__: cls for cls in (Hashing, IntegerLookup, StringLookup, TextVectorization)}


def named(case: dict[str, Any]) -> str:
    words = [f"{key}={value}" for key, value in case["config"].items()]
    return f"{case['layer']}({', '.join(words)})"


def made(case: dict[str, Any], folder: Path) -> Any:
    config = dict(case["config"])
    if "ngrams" in config and isinstance(config["ngrams"], list):
        config["ngrams"] = tuple(config["ngrams"])
    if "vocabulary_file" in config:
        path = folder / "words.txt"
        path.write_bytes(config.pop("vocabulary_file").encode())
        config["vocabulary"] = str(path)
    layer = LAYERS[case["layer"]](**config)
    if case["adapt"] is not None:
        layer.adapt(np.array(case["adapt"], dtype=case["input_dtype"] or str))
    return layer


def given(case: dict[str, Any]) -> np.ndarray:
    return np.array(case["input"], dtype=case["input_dtype"] or object)


@pytest.mark.parametrize("case", GOLDEN, ids=named)
def test_golden(case: dict[str, Any], tmp_path: Path) -> None:
    layer, want = made(case, tmp_path), case["want"]
    if "vocabulary" in want:
        assert layer.get_vocabulary() == want["vocabulary"]
        assert layer.vocabulary_size() == len(want["vocabulary"])
    got = layer(given(case))
    assert list(got.shape) == want["shape"]
    if want["dtype"] == "object":
        assert got.tolist() == want["output"]
        return
    assert str(got.dtype).removeprefix("torch.") == want["dtype"]
    if want["dtype"] == "int64":
        assert got.tolist() == want["output"]
    else:
        close(got, np.array(want["output"], "float32").reshape(want["shape"]), because=named(case), tolerance=1e-6)


@pytest.mark.parametrize("case", GOLDEN, ids=named)
def test_configs_are_those_of_keras_and_make_the_same_layer(case: dict[str, Any], tmp_path: Path) -> None:
    layer, want = made(case, tmp_path), dict(case["want"]["config"])
    config = json.loads(json.dumps(layer.get_config()))
    shown = {key: value for key, value in config.items() if key not in ("name", "dtype")}
    if "has_input_vocabulary" in shown:  # words that Keras's own file of lines would lose are kept in the config
        assert shown.pop("has_input_vocabulary") is False
        assert shown["vocabulary"] == layer.get_vocabulary() and want["vocabulary"] is None
        shown |= {"vocabulary": None, "idf_weights": None}
    assert shown == want
    again = type(layer).from_config(config)
    if hasattr(layer, "save_assets"):
        store: dict[str, Any] = {}
        layer.save_own_variables(store)
        layer.save_assets(tmp_path)
        again.load_own_variables(store)
        again.load_assets(tmp_path)
        assert again.get_vocabulary() == layer.get_vocabulary()
    assert again.get_config() == layer.get_config()
    same(again(given(case)), layer(given(case)))


def same(got: Any, want: Any) -> None:
    assert got.shape == want.shape and got.dtype == want.dtype
    assert got.tolist() == want.tolist()


@pytest.mark.parametrize("case", GOLDEN, ids=named)
def test_symbols_have_the_shape_and_dtype_of_the_call(case: dict[str, Any], tmp_path: Path) -> None:
    inputs = given(case)
    if inputs.ndim == 0:
        return
    layer = made(case, tmp_path)
    symbol = layer(dg.Input(batch_shape=(None, *inputs.shape[1:]), dtype=case["input_dtype"] or "string"))
    output = layer(inputs)
    assert len(symbol.shape) == output.ndim
    assert all(size in (None, known) for size, known in zip(symbol.shape, output.shape))
    assert str(symbol.dtype) == ("string" if output.dtype == object else str(output.dtype))


@pytest.mark.parametrize("case", GOLDEN, ids=named)
def test_any_array_of_text_is_taken(case: dict[str, Any], tmp_path: Path) -> None:
    if case["input_dtype"]:
        return
    layer, words = made(case, tmp_path), given(case)
    want = layer(words)
    same(layer(case["input"]), want)
    same(layer(np.array(case["input"], dtype=str)), want)
    same(layer(np.array([word.encode() for word in words.ravel()], object).reshape(words.shape)), want)
    if words.ndim == 1:
        same(layer(pd.Series(words, dtype=object)), want)
    if words.ndim == 2:
        same(layer(pd.DataFrame(words, dtype=object)), want)


# ── Beside Keras, where it needs no TensorFlow ──────────────────────────────────────────────────────────────────────

MODES = ("int", "one_hot", "multi_hot", "count")
VALUES = np.array([[-1.5, 1.0, 3.4, 0.5], [0.0, np.nan, np.inf, -np.inf], [2.0, 1e30, -0.0, 1.999999]], "float32")


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("inputs", [VALUES, VALUES[:, :1], VALUES[0], VALUES[:0], VALUES[None], VALUES[0, 0]])
def test_discretization(mode: str, inputs: np.ndarray) -> None:
    options = {"bin_boundaries": [0.0, 1.0, 2.0], "output_mode": mode}
    compare(Discretization(**options), keras.layers.Discretization(**options), inputs)


def compare(ours: Any, theirs: Any, *inputs: Any, **call: Any) -> None:
    got, want = ours(*inputs, **call), theirs(*inputs, **call)
    assert got.dtype == want.dtype
    close(got, want, because=type(ours).__name__, tolerance=1e-6)
    if np.ndim(inputs[0]):
        shape = ours.compute_output_shape(np.shape(inputs[0]))
        assert tuple(shape) == tuple(got.shape)


@pytest.mark.parametrize("bins", [1, 2, 5, 200])
@pytest.mark.parametrize("epsilon", [0.01, 0.1])
@pytest.mark.parametrize("size", [1, 7, 1000])
def test_discretization_learns_keras_s_bins(bins: int, epsilon: float, size: int) -> None:
    draw = np.random.default_rng(size)
    data, more = draw.normal(size=(size, 3)).astype("float32"), draw.integers(0, 4, size=(size, 2))
    for batches in (data, [data, more], iter([data, data * 2, more])):
        batches = list(batches) if not isinstance(batches, np.ndarray) else batches
        ours, theirs = (cls(num_bins=bins, epsilon=epsilon) for cls in (Discretization, keras.layers.Discretization))
        ours.adapt(batches)
        for batch in [batches] if isinstance(batches, np.ndarray) else batches:  # Keras's adapt asks TensorFlow
            theirs.update_state(batch)
        theirs.finalize_state()
        close(ours.bin_boundaries, np.array(theirs.bin_boundaries), because="boundaries", tolerance=1e-6)
        compare(ours, theirs, data)
        again = Discretization.from_config(json.loads(json.dumps(ours.get_config())))
        assert again.bin_boundaries == ours.bin_boundaries
        assert keras.layers.Discretization.from_config(ours.get_config()).bin_boundaries == ours.bin_boundaries


def test_discretization_of_whole_numbers_is_exact() -> None:
    layer = Discretization([0.0, 2.0**24, 2.0**40])
    assert layer(np.array([-1, 0, 2**24 - 1, 2**24, 2**40 + 1])).tolist() == [0, 1, 1, 2, 3]
    assert layer([1, 2]).tolist() == [1, 1]


@pytest.mark.parametrize("mode", MODES[1:])
@pytest.mark.parametrize("inputs", [[[0, 1], [3, 3]], [[1], [2]], [0, 3, 3], [[[0, 1], [1, 1]]], [[-1, 2], [0, -5]]])
def test_category_encoding(mode: str, inputs: list[Any]) -> None:
    array = np.array(inputs)
    ours, theirs = CategoryEncoding(4, mode), keras.layers.CategoryEncoding(4, mode)
    compare(ours, theirs, array)
    same(ours(inputs), ours(array))
    assert ours.get_config().keys() == theirs.get_config().keys()
    if mode == "count":
        compare(ours, theirs, array, count_weights=np.linspace(0.5, 2.0, array.size).reshape(array.shape))


def test_category_encoding_of_one_number_and_of_none() -> None:
    assert CategoryEncoding(3)(2).tolist() == [0.0, 0.0, 1.0]
    assert CategoryEncoding(3)(np.zeros((0, 2), int)).shape == (0, 3)
    assert CategoryEncoding(3)(np.zeros((2, 0), int)).tolist() == [[0.0] * 3] * 2


@pytest.mark.parametrize("axis", [-1, None, (1, 2)])
def test_normalization_learns_from_whatever_yields_batches(axis: Any) -> None:
    data = np.random.default_rng(0).normal(2.0, 3.0, size=(40, 3, 2)).astype("float32")
    want = keras.layers.Normalization(axis=axis)
    want.adapt(data)
    tensors = torch.from_numpy(data)
    pairs = TensorDataset(tensors, torch.zeros(40))
    sources = [data, tensors, [data[:30], data[30:]], ((data[i : i + 7], 0) for i in range(0, 40, 7)), pairs,
               DataLoader(pairs, batch_size=16), DataLoader(TensorDataset(tensors), batch_size=9)]  # fmt: skip
    for source in sources:
        layer = Normalization(axis=axis)
        layer.adapt(source)
        close(layer.mean, want.mean, because="mean", tolerance=1e-6)
        close(layer.variance, want.variance, because="variance", tolerance=1e-5)
        close(layer(data), want(data), because="output", tolerance=1e-5)


def test_rescaling_reads_keras_s_config() -> None:
    theirs = keras.layers.Rescaling(np.array([1.0, 2.0]), [3, 4])
    ours = Rescaling.from_config(json.loads(json.dumps(keras.saving.serialize_keras_object(theirs)["config"])))
    close(ours(np.ones((1, 2))), theirs(np.ones((1, 2))), because="output")


# ── Learning ────────────────────────────────────────────────────────────────────────────────────────────────────────

TEXTS = ["a b b", "c b", "c a b"]


class Reviews(Dataset[Any]):
    def __len__(self) -> int:
        return len(TEXTS)

    def __getitem__(self, row: int) -> Any:
        return TEXTS[row], row


@pytest.mark.parametrize("data", [
    TEXTS, tuple(TEXTS), np.array(TEXTS), np.array([[text] for text in TEXTS], object), pd.Series(TEXTS),
    iter([TEXTS[:2], TEXTS[2:]]), iter([np.array(TEXTS[:1]), np.array(TEXTS[1:])]), Reviews(),
    DataLoader(Reviews(), batch_size=2), iter([(np.array(TEXTS), np.zeros(3))]),
])  # fmt: skip
def test_text_is_learned_from_whatever_yields_it(data: Any) -> None:
    layer = TextVectorization()
    layer.adapt(data)
    assert layer.get_vocabulary() == ["", "[UNK]", "b", "c", "a"]


def test_steps_limit_the_batches() -> None:
    layer = StringLookup()
    layer.adapt(iter([["a"], ["b"], ["c"]]), steps=2)
    assert layer.get_vocabulary(include_special_tokens=False) == ["b", "a"]
    with pytest.raises(ConfigError, match="steps only with data that come in batches"):
        layer.adapt(["a"], steps=1)


def test_learning_in_parts_and_anew() -> None:
    layer = IntegerLookup()
    layer.update_state([3, 3, 5])
    layer.update_state(torch.tensor([[5, 5]]))
    layer.finalize_state()
    assert layer.get_vocabulary() == [-1, 5, 3]
    layer.adapt([9])
    assert layer.get_vocabulary() == [-1, 9]
    layer.reset_state()
    layer.finalize_state()
    assert layer([9, 3]).tolist() == [1, 0]


def test_functions_standardize_and_split() -> None:
    seen = []

    def standardize(texts: np.ndarray) -> np.ndarray:
        seen.append((texts.dtype.kind, texts.shape))
        return np.char.upper(texts)

    layer = TextVectorization(standardize=standardize, split=lambda texts: [text.split("-") for text in texts])
    layer.adapt(["a-b", "É"])
    assert layer.get_vocabulary(False) == ["É", "B", "A"] and seen == [("U", (2,))]
    assert layer([["é-x"]]).tolist() == [[2, 1]]
    layer = TextVectorization(split=lambda texts: np.char.partition(texts, "_"), vocabulary=["a", "b"])
    assert layer(["A_B!"]).tolist() == [[1, 0, 0]], "the punctuation went before the split, and '' is padding"


def test_registered_functions_come_back() -> None:
    @register_serializable(package="words")
    def shout(texts: np.ndarray) -> np.ndarray:
        return np.char.upper(texts)

    layer = TextVectorization(standardize=shout, ngrams=(1, 2), vocabulary=["A"])
    again = TextVectorization.from_config(json.loads(json.dumps(layer.get_config())))
    assert again.standardize is shout and again.ngrams == (1, 2)
    with pytest.raises(ConfigError, match="cannot be saved by name"):
        TextVectorization(standardize=lambda texts: texts).get_config()


def test_encoding_is_that_of_bytes() -> None:
    layer = TextVectorization(vocabulary=["é"], encoding="latin-1", standardize=None)
    assert layer(np.array(["é".encode("latin-1"), b"e"], object)).tolist() == [[2], [1]]
    with pytest.raises(DataError, match="not in utf-8"):
        TextVectorization(vocabulary=["é"], split="character")(np.array(["é".encode("latin-1")], object))


@pytest.mark.parametrize("word", ["line\nbreak", "\x85", "\u2028"])
def test_words_that_a_file_of_lines_cannot_hold_survive(word: str, tmp_path: Path) -> None:
    layer = StringLookup()
    layer.adapt([word, "b", "b"])
    layer.save_assets(tmp_path)
    assert not list(tmp_path.iterdir()), "the config holds the vocabulary"
    again = StringLookup.from_config(json.loads(json.dumps(layer.get_config())))
    again.load_assets(tmp_path)
    assert again.get_vocabulary() == ["[UNK]", "b", word]
    again.adapt(["new"])
    assert again.get_vocabulary() == ["[UNK]", "new"], "it may be adapted as before"


def test_a_vocabulary_set_later_is_the_one_that_is_kept(tmp_path: Path) -> None:
    layer = StringLookup(vocabulary=["a"])
    layer.set_vocabulary(["b", "c"])
    layer.save_assets(tmp_path)
    again = StringLookup.from_config(layer.get_config())
    again.load_assets(tmp_path)
    assert again.get_vocabulary() == ["[UNK]", "b", "c"]


def test_copies_are_equal() -> None:
    layer = TextVectorization(output_mode="tf_idf")
    layer.adapt(TEXTS)
    for twin in (copy.deepcopy(layer), pickle.loads(pickle.dumps(layer))):
        same(twin(TEXTS), layer(TEXTS))


# ── Refusals ────────────────────────────────────────────────────────────────────────────────────────────────────────


def adapted_to(layer: Any, data: Any) -> Any:
    layer.adapt(data)
    return layer


REFUSED = {
    "given a vocabulary": (lambda: adapted_to(StringLookup(vocabulary=["a"]), ["b"]), "was given its vocabulary"),
    "repeated": (lambda: StringLookup(vocabulary=["a", "b", "a"]), r"repeats \['a'\]; leave each in once"),
    "mask inside": (lambda: StringLookup(vocabulary=["a", ""], mask_token=""), "holds '', which is reserved"),
    "empty": (lambda: StringLookup(vocabulary=[]), "empty vocabulary"),
    "too long": (lambda: IntegerLookup(max_tokens=3, vocabulary=[1, 2, 3]), "a vocabulary of 4, .* max_tokens=3"),
    "no file": (lambda: StringLookup(vocabulary="nowhere.txt"), "no vocabulary file 'nowhere.txt'"),
    "weights": (lambda: StringLookup(vocabulary=["a"], idf_weights=[1.0]), "belong to output_mode='tf_idf'"),
    "no weights": (lambda: StringLookup(vocabulary=["a"], output_mode="tf_idf"), "needs idf_weights"),
    "few weights": (lambda: StringLookup(vocabulary=["a", "b"], output_mode="tf_idf", idf_weights=[1.0]), "do not fit"),
    "one token": (lambda: StringLookup(max_tokens=1), "max_tokens must be above 1"),
    "pad": (lambda: StringLookup(pad_to_max_tokens=True), "needs max_tokens"),
    "invert": (lambda: StringLookup(invert=True, output_mode="count"), "output_mode must be 'int'"),
    "mode": (lambda: StringLookup(output_mode="multihot"), "did you mean 'multi_hot'"),
    "sparse": (lambda: Hashing(3, output_mode="count", sparse=True), "gives dense tensors; leave sparse=True out"),
    "ragged": (lambda: TextVectorization(ragged=True), "ragged=True has no tensors in torch"),
    "ngrams": (lambda: TextVectorization(ngrams=0.5), "ngrams must be None, a whole number"),
    "length": (lambda: TextVectorization(output_mode="count", output_sequence_length=3), "for output_mode='int' only"),
    "standard": (lambda: TextVectorization(standardize="lowr"), "did you mean 'lower'.*A function will do"),
    "no vocabulary": (lambda: TextVectorization()(["a"]), "TextVectorization '.*' has no vocabulary yet: call adapt"),
    "no depth": (lambda: StringLookup(output_mode="count")(dg.Input((2,), dtype="string")), "no vocabulary yet"),
    "rank": (lambda: TextVectorization(vocabulary=["a"])([["a", "b"]]), r"shape \(1, 2\); give one text a row"),
    "unseen": (lambda: StringLookup(vocabulary=["a"], num_oov_indices=0)(["b", "c"]), "its vocabulary: 'b', 'c'"),
    "unseen number": (lambda: IntegerLookup(vocabulary=[1], num_oov_indices=0)([7]), "not in its vocabulary: 7"),
    "numbers": (lambda: TextVectorization(vocabulary=["a"])(np.zeros(2)), "received float64 numbers; give strings"),
    "tensor": (lambda: StringLookup(vocabulary=["a"])(torch.zeros(2)), "received a tensor of float32 numbers"),
    "text": (lambda: IntegerLookup(vocabulary=[1])(["a"]), "needs numbers"),
    "missing": (lambda: StringLookup(vocabulary=["a"])(np.array([["a", None]], object)), r"item \(0, 1\) is None"),
    "nan": (lambda: StringLookup(vocabulary=["a"])(pd.Series(["a", np.nan])), "item 1 is nan; fill what is missing"),
    "uneven": (lambda: StringLookup(vocabulary=["a"])([["a"], ["a", "b"]]), "rows of different length; pad them"),
    "bins": (lambda: Hashing(0), "needs num_bins"),
    "salt": (lambda: Hashing(3, salt=[1, 2, 3]), "salt must be a whole number or two"),
    "integer salt": (lambda: IntegerLookup(salt=3), "only with oov_method='farmhash'"),
    "hash dtype": (lambda: Hashing(3, dtype="float32"), "dtype must be 'int64' or 'int32'"),
    "two ways": (lambda: Discretization([1.0], num_bins=2), "either bin_boundaries"),
    "order": (lambda: Discretization([2.0, 1.0]), "ascending order; sort them"),
    "no bins": (lambda: Discretization(num_bins=3)([1.0]), "has no boundaries yet: call adapt"),
    "bins of NaN": (lambda: adapted_to(Discretization(num_bins=3), np.array([np.nan])), "cannot learn bins from NaN"),
    "no data": (lambda: adapted_to(Discretization(num_bins=3), np.zeros(0)), "received no data"),
    "too large": (lambda: CategoryEncoding(4)([[4]]), "received 4, but with num_tokens=4 the largest is 3"),
    "no tokens": (CategoryEncoding, "needs num_tokens"),
    "counted": (lambda: CategoryEncoding(4)([[1]], count_weights=[[1.0]]), "only with output_mode='count'"),
    "a path in a config": (lambda: StringLookup.from_config({"vocabulary": "/etc/passwd"}), "must not name a file"),
    "a path in a text config": (lambda: TextVectorization.from_config({"vocabulary": "x"}), "must not name a file"),
    "no layer": (lambda: Pipeline([abs]), "Pipeline takes layers"),
}  # fmt: skip


@pytest.mark.parametrize("name", REFUSED)
def test_refusals_name_the_layer_and_the_way_out(name: str) -> None:
    attempt, message = REFUSED[name]
    with pytest.raises(DougongError, match=message):
        attempt()


def test_the_length_of_vectors_stays() -> None:
    layer = StringLookup(output_mode="count")
    layer.adapt(["a", "b"])
    with pytest.raises(ConfigError, match="gives vectors of length 3"):
        layer.adapt(["a", "b", "c"])
    padded = StringLookup(output_mode="count", max_tokens=5, pad_to_max_tokens=True)
    padded.adapt(["a"])
    padded.adapt(["a", "b"])
    assert padded(["b"]).shape == (5,)


def test_a_vocabulary_file_with_an_empty_line_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "words.txt"
    path.write_text("a\n\nb\n")
    with pytest.raises(ConfigError, match=r"line 2 .* is empty"):
        StringLookup(vocabulary=path)
    path.write_text("1\nx\n")
    with pytest.raises(ConfigError, match="a line that is no token"):
        IntegerLookup(vocabulary=str(path))


# ── Hashes, and Pipeline ────────────────────────────────────────────────────────────────────────────────────────────


@given_text(st.lists(st.binary(max_size=80), max_size=8), st.integers(0, 2**64 - 1))
def test_hashes_do_not_depend_on_their_neighbours(texts: list[bytes], key: int) -> None:
    for hashed in (farmhash64, lambda some: siphash64(some, (key, 1))):
        together = hashed(texts)
        assert [int(hashed([text])[0]) for text in texts] == together.tolist()


def test_a_pipeline_trains_unless_told_otherwise() -> None:
    pipeline = Pipeline([dg.layers.Dropout(0.5, seed=0), Rescaling(2.0)])
    ones = torch.ones(1000)
    assert (pipeline(ones) == 0).any() and not (pipeline(ones, training=False) == 0).any()
    outer = Pipeline([pipeline])
    assert (outer(ones) == 0).any() and not (outer(ones, training=False) == 0).any()
    model = dg.Model(x := dg.Input((1000,)), pipeline(x))
    assert not (model(ones[None]) == 0).any() and (model(ones[None], training=True) == 0).any()


def test_a_pipeline_equals_keras_s_and_passes_masks_on() -> None:
    entries = [("Rescaling", {"scale": 2.0}), ("Masking", {"mask_value": 0.0}), ("SimpleRNN", {"units": 2})]
    ours = Pipeline([getattr(dg.layers, name)(**config) for name, config in entries])
    theirs = keras.layers.Pipeline([getattr(keras.layers, name)(**config) for name, config in entries])
    x = np.random.default_rng(0).normal(size=(2, 4, 3)).astype("float32")
    x[0, 2:] = 0.0
    ours(x), theirs(x)
    theirs.layers[2].set_weights(ours.layers[2].get_weights())
    close(ours(x, training=False), theirs(x, training=False), because="pipeline", tolerance=1e-5)
    config = ours.get_config()
    assert config.keys() == theirs.get_config().keys()
    assert [type(layer).__name__ for layer in Pipeline.from_config(config).layers] == [name for name, _ in entries]
