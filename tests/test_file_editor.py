"""The editor of weight files, beside Keras's on the same files."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
import rich.console
import torch

import dougong as dg
from closeness import close
from dougong import keras as dg_keras
from dougong.core.errors import ConfigError, ModelFormatError, UnknownNameError
from dougong.keras.saving import KerasFileEditor

X = np.random.default_rng(0).random((3, 5, 4), dtype=np.float32)


def _flat(k: Any, units: int = 3) -> Any:
    return k.Sequential([k.Input((5, 4)), k.layers.Dense(units, name="a"), k.layers.Dense(2, name="b")])


def _deep(k: Any) -> Any:
    """A layer within a layer, and a model within a model."""
    x = k.Input((5, 4))
    inner = k.Sequential([k.Input((3,)), k.layers.Dense(2)], name="inner")
    return k.Model(x, k.layers.Dense(1, name="last")(inner(k.layers.LSTM(3, name="rec")(x))))


def _editor(path: Path) -> tuple[KerasFileEditor, list[str]]:
    lines: list[str] = []
    return KerasFileEditor(path, print_fn=lines.append), lines


def _keras_editor(path: Path) -> tuple[Any, io.StringIO]:
    editor, shown = keras.saving.KerasFileEditor(str(path)), io.StringIO()
    editor.console = rich.console.Console(file=shown, highlight=False, width=200)
    return editor, shown


def _flattened(tree: Any, folder: str = "") -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name, value in tree.items():
        found |= _flattened(value, f"{folder}{name}/") if isinstance(value, dict) else {f"{folder}{name}": value}
    return found


@pytest.mark.parametrize("ending", [".keras", ".weights.h5"])
def test_a_flat_file_is_shown_as_keras_shows_it(ending: str, tmp_path: Path) -> None:
    path = tmp_path / f"net{ending}"
    model = _flat(keras)
    (model.save if ending == ".keras" else model.save_weights)(path)
    (theirs, shown), (ours, lines) = _keras_editor(path), _editor(path)
    want, got = _flattened(theirs.weights_dict), _flattened(ours.weights_dict)
    assert got.keys() == want.keys()
    for name, value in want.items():
        close(got[name], value, because=name, tolerance=0)
    lines.clear()
    theirs.summary()
    ours.summary()
    assert [line.split(" ('")[0] for line in lines] == [line.rstrip() for line in shown.getvalue().splitlines()]
    assert any(line.endswith("dense ('a')") for line in lines), "names, which Keras means to show"
    assert (ours.config, ours.metadata) == (theirs.config, theirs.metadata)
    for units in (3, 7):
        results = [e.compare(_flat(k, units)) for e, k in ((theirs, keras), (ours, dg_keras))]
        assert results[1]["status"] == results[0]["status"]
    assert results[1] == {"status": "error", "error_count": 3, "match_count": 1}
    assert "...Weight shape mismatch for layers/dense/0: (4, 7) in reference model, (4, 3) in saved file" in lines


def test_editing_is_keras_editing(tmp_path: Path) -> None:
    _flat(keras).save_weights(tmp_path / "net.weights.h5")
    (theirs, _), (ours, _) = _keras_editor(tmp_path / "net.weights.h5"), _editor(tmp_path / "net.weights.h5")
    for editor in (theirs, ours):
        editor.rename_object("layers/dense_1", "renamed")
        editor.add_object("layers/new", {"0": np.ones((2, 3)), "1": np.zeros(3)})
        editor.add_weights("layers/new", {"2": np.full(4, 7.0)})
        editor.delete_weight("layers/new", "1")
        editor.delete_object("layers/dense")
    assert _flattened(ours.weights_dict).keys() == _flattened(theirs.weights_dict).keys()
    for editor, name in ((theirs, "theirs"), (ours, "ours")):
        editor.resave_weights(str(tmp_path / f"{name}.weights.h5"))
    want, got = (_editor(tmp_path / f"{name}.weights.h5")[0].weights_dict for name in ("theirs", "ours"))
    for name, value in _flattened(want).items():
        close(_flattened(got)[name], value, because=name, tolerance=0)


def test_layers_within_layers_are_kept(tmp_path: Path) -> None:
    """Keras's editor takes only the weights of an object that has both, and loses an LSTM."""
    theirs, path = _deep(keras), tmp_path / "deep.keras"
    theirs.save(path)
    editor, _ = _editor(path)
    assert "lstm" in editor.weights_dict["layers"]
    assert "lstm" not in _keras_editor(path)[0].weights_dict["layers"], "Keras's editor has been corrected"
    assert editor.compare(_deep(dg_keras)) == {"status": "success", "error_count": 0, "match_count": 7}
    editor.save(tmp_path / "again.weights.h5")
    for k in (keras, dg_keras):
        model = _deep(k)
        model.load_weights(tmp_path / "again.weights.h5")
        close(model.predict(X, verbose=0), theirs.predict(X, verbose=0), because=f"written anew, read by {k.__name__}")


def test_a_file_is_adapted_to_a_changed_model(tmp_path: Path) -> None:
    before = _flat(dg_keras)
    before.save_weights(tmp_path / "before.weights.h5")
    x = dg.Input((5, 4))
    after = dg.Model(x, dg.layers.EinsumDense("bti,io->bto", (None, 3), bias_axes="o")(x))
    editor, lines = _editor(tmp_path / "before.weights.h5")
    assert editor.compare(after)["error_count"] == 3
    assert "...Object layers/einsum_dense present in reference model, missing from saved file" in lines
    editor.delete_object("dense_1")
    editor.rename_object("dense", "einsum_dense")
    assert editor.compare(after)["status"] == "success"
    assert lines[-2:] == [
        "Comparison successful: saved file is compatible with the reference model",
        "    Found 2 matching weights",
    ]
    editor.save(tmp_path / "after.weights.h5")
    after.load_weights(tmp_path / "after.weights.h5")
    close(after.predict(X, verbose=0), before.layers[0](torch.from_numpy(X)), because="the first layer's output")


def test_optimizers_are_compared_where_both_sides_have_one(tmp_path: Path) -> None:
    models = [_flat(dg_keras), _flat(dg_keras)]
    for model in models:
        model.compile("adam", "mse")
    models[0].fit(X, np.zeros((3, 5, 2)), verbose=0)
    models[0].save(tmp_path / "net.keras")
    editor, _ = _editor(tmp_path / "net.keras")
    assert editor.compare(models[0]) == {"status": "success", "error_count": 0, "match_count": 14}
    assert editor.compare(models[1]) == {"status": "success", "error_count": 0, "match_count": 4}


def test_what_is_refused(tmp_path: Path) -> None:
    _flat(dg_keras).save_weights(tmp_path / "net.weights.h5")
    editor, _ = _editor(tmp_path / "net.weights.h5")
    editor.add_object("other", {"dense": {"0": np.ones(2)}})
    before = _flattened(editor.weights_dict).keys()
    wrong: Any = 3
    for error, match, call in (
        (
            UnknownNameError,
            "unknown object in the file 'dens'; did you mean 'dense'",
            lambda: editor.delete_object("dens"),
        ),
        (UnknownNameError, "did you mean 'layers/dense'", lambda: editor.delete_object("layers/dens")),
        (ConfigError, "'layers/dense' or 'other/dense'", lambda: editor.delete_object("dense")),
        (ConfigError, "a name, not a path", lambda: editor.rename_object("dense_1", "a/b")),
        (ConfigError, "already", lambda: editor.rename_object("dense_1", "dense")),
        (UnknownNameError, "path in the file 'layer'", lambda: editor.add_object("layer/new", {})),
        (ConfigError, "a dict of arrays by name", lambda: editor.add_object("layers/new", wrong)),
        (ConfigError, "without '/'", lambda: editor.add_object("layers/new", {"a/b": np.ones(1)})),
        (ConfigError, "an array of numbers", lambda: editor.add_weights("dense_1", {"0": "text"})),
        (UnknownNameError, "weight of 'dense_1' '7'", lambda: editor.delete_weight("dense_1", "7")),
        (ConfigError, "saved as .weights.h5", lambda: editor.save(tmp_path / "net.keras")),
        (ConfigError, "wants a .keras or .weights.h5", lambda: KerasFileEditor(tmp_path / "net.h5")),
        (ModelFormatError, "no such file", lambda: KerasFileEditor(tmp_path / "absent.keras")),
    ):
        with pytest.raises(error, match=match):
            call()
    assert _flattened(editor.weights_dict).keys() == before


def test_without_a_listener_it_writes_to_standard_output(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    _flat(dg_keras).save_weights(tmp_path / "net.weights.h5")
    KerasFileEditor(str(tmp_path / "net.weights.h5")).summary()
    shown = capsys.readouterr().out.splitlines()
    assert shown[0].startswith("Keras model file '")
    assert shown[1:3] == ["Weights structure", "  > layers"]
