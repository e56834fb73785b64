"""Callbacks that write files: the names and contents of Keras's."""

from __future__ import annotations

import csv
import re
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest

import dougong as dg
from callback_cases import SEQUENCES, Script, X, Y, network
from closeness import close
from dougong.core.errors import ConfigError


def names_of(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


@pytest.mark.parametrize(
    ("pattern", "options"),
    [
        ("{epoch:02d}.keras", {}),
        ("{epoch:02d}.weights.h5", {"save_weights_only": True}),
        ("e{epoch}-b{batch}.weights.h5", {"save_weights_only": True, "save_freq": 2}),
        ("e{epoch}-b{batch}.weights.h5", {"save_weights_only": True, "save_freq": 4}),
        ("e{epoch}.weights.h5", {"save_weights_only": True, "save_freq": 1}),
        ("best.weights.h5", {"save_weights_only": True, "save_best_only": True, "monitor": "loss"}),
    ],
)
def test_checkpoints_have_keras_names(pattern: str, options: dict[str, Any], tmp_path: Path) -> None:
    for k in (keras, dg):
        folder = tmp_path / k.__name__
        folder.mkdir()
        callback = k.callbacks.ModelCheckpoint(str(folder / pattern), **options)
        network(k).fit(X, Y, batch_size=8, epochs=3, verbose=0, callbacks=[callback])
    assert names_of(tmp_path / "dougong") == names_of(tmp_path / "keras")


@pytest.mark.parametrize("values", SEQUENCES.values(), ids=SEQUENCES)
@pytest.mark.parametrize("options", [{}, {"mode": "max"}, {"initial_value_threshold": 2.3}])
def test_only_the_best_is_saved_at_the_same_epochs_as_in_keras(
    values: list[float], options: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    saved: list[list[str]] = []
    for k in (keras, dg):
        script, files = Script(k), []
        monkeypatch.setattr(
            script.inner, "save", lambda path, files=files, **_: files.append(Path(path).name), raising=False
        )
        callback = k.callbacks.ModelCheckpoint("of-{epoch}.keras", save_best_only=True, **options)
        if k is keras:
            callback._set_model = callback.set_model
            callback.set_model(script.inner)
            callback._set_monitor_op()
        script.run(callback, "val_loss", values)
        saved.append(files)
    assert saved[1] == saved[0]


def test_a_checkpoint_is_the_model_at_that_epoch(tmp_path: Path) -> None:
    model = network(dg)
    weights: list[Any] = []
    model.fit(
        X, Y, epochs=3, verbose=0, validation_data=(X, Y),
        callbacks=[
            dg.callbacks.ModelCheckpoint(tmp_path / "new" / "net-{epoch}-{val_loss:.3f}.keras"),
            dg.callbacks.LambdaCallback(on_epoch_end=lambda epoch, logs: weights.append(model.get_weights())),
        ],
    )  # fmt: skip
    for epoch, want in enumerate(weights):
        (path,) = (tmp_path / "new").glob(f"net-{epoch + 1}-*.keras")
        for mine, theirs in zip(dg.models.load_model(path).get_weights(), want, strict=True):
            close(mine, theirs, because=f"epoch {epoch + 1}", tolerance=0)


def test_wrong_checkpoints_are_refused_at_once(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"\.keras"):
        dg.callbacks.ModelCheckpoint(tmp_path / "net.pt")
    with pytest.raises(ConfigError, match=r"\.weights\.h5"):
        dg.callbacks.ModelCheckpoint(tmp_path / "net.keras", save_weights_only=True)
    with pytest.raises(ConfigError, match="save_freq"):
        dg.callbacks.ModelCheckpoint(tmp_path / "net.keras", save_freq="batch")
    with pytest.raises(ConfigError, match="'val_acc', which is not logged; there are"):
        network(dg).fit(X, Y, verbose=0, callbacks=[dg.callbacks.ModelCheckpoint(tmp_path / "{val_acc}.keras")])


@pytest.mark.parametrize("validation", [None, (X, Y)])
@pytest.mark.parametrize("separator", [",", ";"])
def test_the_csv_file_is_keras_file(validation: Any, separator: str, tmp_path: Path) -> None:
    texts = []
    for k in (keras, dg):
        path = tmp_path / f"{k.__name__}.csv"
        logger = k.callbacks.CSVLogger(str(path), separator=separator)
        network(k).fit(X, Y, epochs=3, verbose=0, validation_data=validation, callbacks=[logger])
        texts.append(path.read_bytes().decode())
    # The same but for the digits of the numbers.
    theirs, ours = (re.sub(r"\d+\.\d+(e-?\d+)?", "#", text) for text in texts)
    assert ours == theirs
    with (tmp_path / "dougong.csv").open(newline="") as file:
        rows = list(csv.DictReader(file, delimiter=separator))
    assert [row["epoch"] for row in rows] == ["0", "1", "2"]
    assert all(0 < float(row["loss"]) < 10 for row in rows)


def test_the_csv_logger_writes_arrays_as_keras_does_and_appends(tmp_path: Path) -> None:
    for k in (keras, dg):
        path = tmp_path / f"{k.__name__}.csv"
        for append in (False, True):
            logger = k.callbacks.CSVLogger(str(path), append=append)
            logger.set_model(network(k))
            logger.on_train_begin()
            logger.on_epoch_end(0, {"b": 1.5, "a": np.array([0.5, 2.0]), "val_c": 3})
            logger.on_epoch_end(1, {"b": 2.5, "a": np.array(7.0)})
            logger.on_train_end()
    assert (tmp_path / "dougong.csv").read_bytes() == (tmp_path / "keras.csv").read_bytes()


def test_tensorboard_files_are_read_by_tensorboard(tmp_path: Path) -> None:
    pytest.importorskip("tensorboard", reason="the tensorboard extra is not installed")
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    model = network(dg)
    board = dg.callbacks.TensorBoard(tmp_path, histogram_freq=1, update_freq=1, write_steps_per_second=True)
    history = model.fit(X, Y, batch_size=8, epochs=3, verbose=0, validation_data=(X, Y), callbacks=[board]).history
    train = EventAccumulator(str(tmp_path / "train")).Reload()
    held_out = EventAccumulator(str(tmp_path / "validation")).Reload()
    scalars = {
        "epoch_loss",
        "epoch_accuracy",
        "epoch_learning_rate",
        "epoch_steps_per_second",
        "batch_loss",
        "batch_accuracy",
    }
    assert set(train.Tags()["scalars"]) == scalars
    assert set(held_out.Tags()["scalars"]) == {
        "epoch_loss", "epoch_accuracy", "evaluation_loss_vs_iterations", "evaluation_accuracy_vs_iterations",
    }  # fmt: skip
    events = train.Scalars("epoch_loss")
    assert [event.step for event in events] == [0, 1, 2]
    close([event.value for event in events], history["loss"], because="epoch_loss")
    close([e.value for e in held_out.Scalars("epoch_loss")], history["val_loss"], because="validation")
    assert [event.step for event in train.Scalars("batch_loss")] == list(range(1, 10))
    assert [event.step for event in held_out.Scalars("evaluation_loss_vs_iterations")] == [3, 6, 9]
    assert len(train.Tags()["histograms"]) == 2


def test_tensorboard_refuses_what_it_does_not_write() -> None:
    for options in ({"write_images": True}, {"profile_batch": 2}, {"embeddings_freq": 1}):
        with pytest.raises(ConfigError, match="scalars and histograms"):
            dg.callbacks.TensorBoard(**options)
    with pytest.raises(ConfigError, match="update_freq"):
        dg.callbacks.TensorBoard(update_freq="step")
