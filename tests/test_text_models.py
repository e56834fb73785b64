"""Text through data and models: fit, evaluate, predict, captured steps, files, and what is refused."""

from __future__ import annotations

import copy
import json
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from torch.utils.data import DataLoader, Dataset

import dougong as dg
from closeness import close
from dougong.core.errors import DataError, ModelFormatError, ShapeError
from dougong.core.text import STRING
from dougong.data import PyDataset, as_source
from dougong.layers.hashing import Hashing
from dougong.layers.integer_lookup import IntegerLookup
from dougong.layers.string_lookup import StringLookup
from dougong.layers.text_vectorization import TextVectorization

LAYERS = {cls.__name__: cls for cls in (Hashing, IntegerLookup, StringLookup, TextVectorization)}
GOOD, BAD = ["good", "nice", "fine", "great"], ["bad", "awful", "poor", "dull"]


def reviews(count: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Sentences and whether they praise."""
    draw = np.random.default_rng(seed)
    labels = draw.integers(0, 2, count)
    words = [draw.choice(GOOD if label else BAD, draw.integers(1, 5)) for label in labels]
    return np.array([f"A {' '.join(some)} film!" for some in words], dtype=object), labels


TEXTS, LABELS = reviews(96)


def classifier(shape: tuple[int, ...] = (1,), **options: Any) -> Any:
    layer = TextVectorization(**options)
    layer.adapt(TEXTS)
    torch.manual_seed(0)
    model = dg.Sequential([
        dg.Input(shape, dtype="string"), layer, dg.layers.Embedding(layer.vocabulary_size(), 8),
        dg.layers.GlobalAveragePooling1D(), dg.layers.Dense(1, activation="sigmoid"),
    ])  # fmt: skip
    model.compile(dg.optimizers.Adam(0.03), "binary_crossentropy", metrics=["accuracy"])
    return model


@pytest.mark.parametrize("shape", [(), (1,)])
@pytest.mark.parametrize("length", [None, 4])
def test_text_is_learned_evaluated_and_predicted(shape: tuple[int, ...], length: int | None) -> None:
    model = classifier(shape, output_sequence_length=length)
    assert model.input_shape == (None, *shape) and model.layers[0].output_dtype is torch.int64
    history = model.fit(TEXTS, LABELS, epochs=40, verbose=0, validation_data=reviews(32, seed=1))
    assert history.history["val_accuracy"][-1] > 0.95
    assert model.evaluate(*reviews(32, seed=2), verbose=0)[1] > 0.95
    outputs = model.predict(TEXTS, verbose=0)
    close(outputs, model(TEXTS), because="predict and call", tolerance=1e-5)


def test_steps_behind_the_front_are_captured_and_equal_eager_ones() -> None:
    histories = []
    for eager in (False, True):
        model = classifier(output_sequence_length=6)
        model.compile("adam", "binary_crossentropy", run_eagerly=eager)
        history = model.fit(TEXTS, LABELS, batch_size=8, epochs=5, verbose=0, shuffle=False)
        assert history.plan.startswith("eager" if eager else "captured")
        histories.append(history.history["loss"])
    close(histories[0], np.array(histories[1]), because="losses", tolerance=1e-6)


def test_without_a_fixed_length_a_batch_is_as_long_as_its_longest_text() -> None:
    """Padding counts in an average, so these losses are those of batches padded one by one."""
    model, twin = classifier(), classifier()
    order = [slice(start, start + 8) for start in range(0, 96, 8)]
    history = model.fit(TEXTS, LABELS, batch_size=8, epochs=3, verbose=0, shuffle=False)
    for _ in range(3):
        losses = [twin.train_on_batch(TEXTS[rows], LABELS[rows])[0] for rows in order]
    close(history.history["loss"][-1], np.mean(losses), because="the last epoch", tolerance=1e-6)


class Reviews(Dataset[Any]):
    def __len__(self) -> int:
        return len(TEXTS)

    def __getitem__(self, row: int) -> Any:
        return TEXTS[row], int(LABELS[row])


def batches() -> Iterator[Any]:
    for start in range(0, 96, 32):
        yield list(TEXTS[start : start + 32]), LABELS[start : start + 32]


class Numbered(PyDataset):
    def __len__(self) -> int:
        return 3

    def __getitem__(self, index: int) -> Any:
        return TEXTS[32 * index : 32 * index + 32], LABELS[32 * index : 32 * index + 32]


SOURCES = {
    "array": lambda: (TEXTS, LABELS),
    "column": lambda: (TEXTS[:, None], LABELS),
    "unicode array": lambda: (TEXTS.astype(str), LABELS),
    "bytes": lambda: (np.array([text.encode() for text in TEXTS]), LABELS),
    "list": lambda: (TEXTS.tolist(), LABELS),
    "Series": lambda: (pd.Series(TEXTS), LABELS),
    "DataFrame": lambda: (pd.DataFrame({"review": TEXTS}), LABELS),
    "Dataset": lambda: (Reviews(), None),
    "DataLoader": lambda: (DataLoader(Reviews(), batch_size=32), None),
    "generator": lambda: (batches(), None),
    "PyDataset": lambda: (Numbered(), None),
}


@pytest.mark.parametrize("kind", SOURCES)
def test_text_comes_in_whatever_yields_it(kind: str) -> None:
    model, twin = classifier((1,)), classifier((1,))
    x, y = SOURCES[kind]()
    got = model.fit(x, y, batch_size=32, verbose=0, shuffle=False).history["loss"]
    want = twin.fit(TEXTS, LABELS, batch_size=32, verbose=0, shuffle=False).history["loss"]
    close(got, np.array(want), because=kind, tolerance=1e-6)
    x, y = SOURCES[kind]()
    if y is not None:
        close(model.predict(x, verbose=0), model.predict(TEXTS, verbose=0), because="predict", tolerance=1e-6)


def test_rows_stay_beside_their_targets_when_shuffled() -> None:
    rows = np.array([f"row {number}" for number in range(20)], object)
    source = as_source({"text": rows, "number": np.arange(20.0)}, np.arange(20), batch_size=6, shuffle=True, seed=3,
                       text=True)  # fmt: skip
    seen: list[int] = []
    for epoch in range(2):
        for x, y, _ in source.epoch(epoch):
            assert x["text"].tolist() == [f"row {number}" for number in y.tolist()]
            assert x["number"].tolist() == y.tolist()
            seen += y.tolist()
    assert sorted(seen) == sorted([*range(20)] * 2) and seen[:20] != seen[20:]
    assert source.num_batches == 4 and source.num_samples == 20
    assert source.arrays is not None and source.arrays[0]["text"] is rows


# ── Mixed inputs ────────────────────────────────────────────────────────────────────────────────────────────────────


def mixed() -> Any:
    review, kind = dg.Input((), dtype="string", name="review"), dg.Input((1,), dtype="string", name="kind")
    code, size = dg.Input((1,), dtype="int64", name="code"), dg.Input((3,), name="size")
    text = TextVectorization(output_mode="tf_idf")
    text.adapt(TEXTS)
    word = StringLookup(num_oov_indices=2, output_mode="one_hot")
    word.adapt(["drama", "comedy"])
    parts = [
        dg.layers.Dense(4)(text(review)),
        word(kind),
        IntegerLookup(vocabulary=[5, 7], output_mode="one_hot")(code),
        Hashing(6, output_mode="one_hot", salt=3)(code),
        size,
    ]
    model = dg.Model([review, kind, code, size], dg.layers.Dense(1)(dg.layers.Concatenate()(parts)))
    model.compile("adam", "mse")
    return model


def mixed_data(count: int = 64) -> dict[str, Any]:
    draw = np.random.default_rng(5)
    return {
        "review": np.resize(TEXTS, count),
        "kind": draw.choice(["drama", "comedy", "other", ""], count),
        "code": draw.integers(4, 9, count),
        "size": draw.normal(size=(count, 3)),
    }


def test_text_beside_numbers() -> None:
    model, data = mixed(), mixed_data()
    y = np.arange(64.0)
    history = model.fit(data, y, batch_size=16, epochs=10, verbose=0, validation_split=0.25)
    assert history.plan.startswith("captured") and history.history["loss"][-1] < history.history["loss"][0]
    by_position = model.predict(list(data.values()), verbose=0)
    close(by_position, model.predict(data, verbose=0), because="by name and by position", tolerance=0)
    assert [symbol.dtype for symbol in model.inputs][:2] == [STRING, STRING]
    close(copy.deepcopy(model).predict(data, verbose=0), by_position, because="a copy", tolerance=1e-6)


def test_files_hold_the_vocabulary(tmp_path: Path) -> None:
    model, data, path = mixed(), mixed_data(), tmp_path / "mixed.keras"
    model.fit(data, np.arange(64.0), verbose=0)
    model.save(path)
    again = dg.models.load_model(path, custom_objects=LAYERS)
    close(again.predict(data, verbose=0), model.predict(data, verbose=0), because="loaded", tolerance=0)
    with zipfile.ZipFile(path) as archive:
        words = archive.read("assets/layers/string_lookup/vocabulary.txt")
        assert words == b"[UNK]\n[UNK]\ndrama\ncomedy"
        assert "assets/layers/text_vectorization/_lookup_layer/vocabulary.txt" in archive.namelist()
        inputs = [entry["config"]["dtype"] for entry in json.loads(archive.read("config.json"))["config"]["layers"]
                  if entry["class_name"] == "InputLayer"]  # fmt: skip
    assert sorted(inputs) == ["float32", "int64", "string", "string"]
    weights = tmp_path / "mixed.weights.h5"
    model.save_weights(weights)
    again.load_weights(weights)


@pytest.mark.parametrize("name", ["../evil.txt", "/evil.txt", "a\\b.txt"])
def test_assets_that_leave_their_folder_are_refused(name: str, tmp_path: Path) -> None:
    path, other = tmp_path / "a.keras", tmp_path / "b.keras"
    classifier().save(path)
    rewritten(path, other, {f"assets/{name}": b"x"})
    with pytest.raises(ModelFormatError, match="leaves its folder"):
        dg.models.load_model(other, custom_objects=LAYERS)
    assert not list(tmp_path.parent.glob("evil*"))


def rewritten(path: Path, other: Path, members: dict[str, bytes]) -> None:
    """A copy of a file with some members added or replaced."""
    with zipfile.ZipFile(path) as source, zipfile.ZipFile(other, "w") as target:
        for name in source.namelist():
            if name not in members:
                target.writestr(name, source.read(name))
        for name, data in members.items():
            target.writestr(name, data)


def test_a_damaged_vocabulary_is_refused(tmp_path: Path) -> None:
    path, other = tmp_path / "a.keras", tmp_path / "b.keras"
    classifier().save(path)
    name = "assets/layers/text_vectorization/vocabulary.txt"
    rewritten(path, other, {name: b"\n[UNK]\nother"})
    with pytest.raises(ModelFormatError, match="checksum does not match"):
        dg.models.load_model(other, custom_objects=LAYERS)
    rewritten(path, other, {name: b"\n[UNK]\na\na", "metadata.json": b"{}"})
    with pytest.raises(ModelFormatError, match="repeats"):
        dg.models.load_model(other, custom_objects=LAYERS)


# ── Other models ────────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_stack_without_input_finds_out_that_it_takes_text() -> None:
    layer = TextVectorization(output_sequence_length=5)
    layer.adapt(TEXTS)
    model = dg.Sequential([layer, dg.layers.Embedding(20, 2), dg.layers.Flatten(), dg.layers.Dense(1)])
    model.compile("sgd", "mse")
    assert model.fit(TEXTS, LABELS, batch_size=4, epochs=2, verbose=0).plan.startswith("captured")
    assert dg.Sequential([layer, dg.layers.Embedding(20, 2)])(["good", "bad film"]).shape == (2, 5, 2)


class Own(dg.Model):
    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self.words = TextVectorization(vocabulary=GOOD + BAD, output_sequence_length=4)
        self.table = dg.layers.Embedding(10, 4)
        self.last = dg.layers.Dense(1)

    def call(self, inputs: Any) -> Any:
        return self.last(self.table(self.words(inputs)).mean(1))


def test_a_model_with_its_own_call_runs_eagerly_and_says_why(tmp_path: Path) -> None:
    model = Own()
    model.compile("adam", "mse")
    plan = model.fit(TEXTS, LABELS, batch_size=4, epochs=2, verbose=0).plan
    assert "works in Python, and only a model made of Inputs" in plan
    model.save(tmp_path / "own.keras")
    again = dg.models.load_model(tmp_path / "own.keras", custom_objects={**LAYERS, "Own": Own})
    close(again.predict(TEXTS, verbose=0), model.predict(TEXTS, verbose=0), because="loaded", tolerance=0)


class OwnStep(dg.Sequential):
    def train_step(self, data: Any) -> dict[str, Any]:
        x, _ = data
        assert isinstance(x, np.ndarray), "a step of the user's own sees the text"
        return super().train_step(data)


def test_a_step_of_the_user_s_own_sees_the_text() -> None:
    model = classifier(output_sequence_length=4)
    own = OwnStep([dg.Input((1,), dtype="string"), *model.layers])
    own.compile("adam", "mse")
    assert own.fit(TEXTS, LABELS, verbose=0).plan.startswith("eager")


def test_host_layers_behind_others_run_eagerly_and_say_why() -> None:
    x = dg.Input((3,))
    hashed = Hashing(5, output_mode="count")(dg.layers.Rescaling(10.0)(x))
    model = dg.Model(x, dg.layers.Dense(1)(hashed))
    model.compile("sgd", "mse")
    plan = model.fit(np.ones((64, 3)), np.ones(64), batch_size=2, verbose=0).plan
    assert "'hashing" in plan and "put it at the front" in plan


def test_words_may_come_out() -> None:
    x = dg.Input((), dtype="int64")
    model = dg.Model(x, StringLookup(vocabulary=["a", "b"], invert=True)(x))
    assert model.predict(np.array([2, 0, 1]), verbose=0).tolist() == ["b", "[UNK]", "a"]
    assert model.outputs[0].dtype is STRING


def test_a_model_of_the_front_alone_is_a_layer_of_another() -> None:
    layer = TextVectorization(vocabulary=GOOD, output_sequence_length=3)
    front = dg.Sequential([dg.Input((), dtype="string"), layer])
    assert front.predict(["good fine", "x"], verbose=0).tolist() == [[2, 4, 0], [1, 0, 0]]
    model = dg.Sequential([
        dg.Input((), dtype="string"), front, dg.layers.Embedding(9, 2), dg.layers.Flatten(), dg.layers.Dense(1)
    ])  # fmt: skip
    model.compile("sgd", "mse")
    assert model.fit(TEXTS, LABELS, batch_size=4, epochs=2, verbose=0).plan.startswith("captured")


def test_whole_numbers_are_looked_up_within_the_captured_step() -> None:
    x = dg.Input((2,), dtype="int64")
    model = dg.Model(x, dg.layers.Dense(1)(IntegerLookup(vocabulary=[3, 9], output_mode="count", mask_token=0)(x)))
    model.compile("sgd", "mse")
    draw = np.random.default_rng(0)
    data = draw.choice([0, 3, 9, 77], (64, 2))
    assert model.fit(data, data.sum(1), batch_size=4, epochs=2, verbose=0).plan.startswith("captured")
    assert not model.front.takes_text
    close(model.predict(data, verbose=0), model(torch.tensor(data)), because="captured", tolerance=1e-6)


# ── Refusals ────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_text_where_numbers_are_wanted_and_the_reverse() -> None:
    numeric = dg.Sequential([dg.Input((1,)), dg.layers.Dense(1)])
    with pytest.raises(DataError, match=r"x holds text .* begin the model with a TextVectorization"):
        numeric.predict(np.array([["a"]]))
    model = mixed()
    data = mixed_data()
    with pytest.raises(DataError, match="input 'size' takes float32 numbers but received text"):
        model.predict(data | {"size": data["kind"]})
    with pytest.raises(DataError, match="'review' takes text but received a tensor of float32"):
        model.predict(data | {"review": np.ones(64)})
    with pytest.raises(DataError, match="y holds text"):
        classifier().fit(TEXTS, TEXTS, verbose=0)
    with pytest.raises(DataError, match="item 1 is None"):
        classifier().predict(np.array(["a", None], object))
    with pytest.raises(DataError, match="96 rows, y has 5 rows"):
        classifier().fit(TEXTS, LABELS[:5], verbose=0)
    with pytest.raises(ShapeError, match=r"expects input .* of shape \(None, 1\)"):
        classifier().predict(np.array([["a", "b"]]))


def test_symbols_of_text_take_text_layers_only() -> None:
    symbol = dg.Input((1,), dtype="string", name="words")
    assert repr(symbol) == "<Symbol 'words' shape=(None, 1) dtype=string>"
    for use in (lambda: symbol + 1, lambda: torch.relu(symbol), lambda: dg.layers.Dense(2)(symbol)):
        with pytest.raises(ShapeError, match="'words' is text; apply TextVectorization, StringLookup or Hashing"):
            use()
