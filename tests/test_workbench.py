"""The use cases: train, evaluate, predict, summarise; the networks they open, the records they leave."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import dougong as dg
from closeness import close
from dougong import workbench
from dougong.core.errors import ConfigError, DataError, DougongError, ModelFormatError, ShapeError, UnknownNameError
from dougong.data import Column, Dataset, open_data
from dougong.workbench import TrainRequest, builtin, networks
from dougong.workbench.describe import summary_text
from dougong.workbench.runs import Record, find_record

FILES = Path(__file__).resolve().parents[1].parent / "shared" / "data"


def _file(name: str) -> str:
    if not (FILES / name).exists():
        pytest.skip(f"the real file {name} is not beside the project")
    return str(FILES / name)


def _train(folder: Path, model: str, data: str, **options: Any) -> workbench.TrainResult:
    return workbench.train(TrainRequest(model, data, out=str(folder), **({"epochs": 3} | options)))


@pytest.fixture(scope="module")
def table(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Weights of parts: two numbers, a text column, and a target that follows from them."""
    random = np.random.default_rng(0)
    length, width = random.uniform(1, 9, 150), random.uniform(1, 3, 150)
    kind = random.choice(["bolt", "nut"], 150)
    weight = 100 * length * width + np.where(kind == "nut", 500, 0)
    path = tmp_path_factory.mktemp("table") / "parts.csv"
    lines = [f"{a:.4f},{k},{b:.4f},{w:.3f}" for a, k, b, w in zip(length, kind, width, weight)]
    path.write_text("\n".join(["length,kind,width,weight", *lines]) + "\n")
    return path


@pytest.fixture(scope="module")
def weighed(table: Path, tmp_path_factory: pytest.TempPathFactory) -> workbench.TrainResult:
    return _train(tmp_path_factory.mktemp("runs") / "weighed", "mlp", str(table), epochs=120)


@pytest.fixture(scope="module")
def irises(tmp_path_factory: pytest.TempPathFactory) -> workbench.TrainResult:
    return _train(tmp_path_factory.mktemp("runs") / "irises", "mlp", "iris", epochs=60)


# ── Training ────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_run_leaves_everything(irises: workbench.TrainResult) -> None:
    names = sorted(path.name for path in irises.folder.iterdir())
    assert names == ["history.csv", "model.keras", "report.html", "run.json"]
    lines = (irises.folder / "history.csv").read_text().splitlines()
    assert lines[0] == "epoch,loss,accuracy,val_loss,val_accuracy" and len(lines) == 61
    run = json.loads((irises.folder / "run.json").read_text())
    assert run["data"]["sha256"] == open_data("iris").sha256
    assert run["environment"].keys() >= {"dougong", "python", "torch", "device", "threads", "platform"}
    assert run["data"]["parts"] == {"train": 105, "validation": 15, "test": 30}
    assert run["class_names"] == ["setosa", "versicolor", "virginica"] and len(run["columns"]) == 4
    assert run["arguments"]["epochs"] == 60 and run["seed"] == 0


def test_what_is_reported_is_what_the_file_does(irises: workbench.TrainResult) -> None:
    test = open_data("iris").parts(val=0.1, test=0.2, seed=0).test
    model = dg.models.load_model(str(irises.folder / "model.keras"))
    probabilities = model.predict(test.inputs, verbose=0)
    close(irises.verdict.y_pred, probabilities, because="the verdict is on the file's outputs")
    close(irises.record.metrics["accuracy"], (probabilities.argmax(1) == test.targets).mean(), because="accuracy")
    assert irises.verdict.difference == 0.0
    assert irises.headline == f"test accuracy {100 * irises.record.metrics['accuracy']:.1f} %"
    assert irises.record.metrics["accuracy"] > 0.85


def test_the_kept_weights_are_those_of_the_best_epoch(irises: workbench.TrainResult) -> None:
    rows = (irises.folder / "history.csv").read_text().splitlines()[1:]
    losses = [float(row.split(",")[3]) for row in rows]
    assert irises.record.best_epoch == int(np.argmin(losses)) + 1
    held_out = open_data("iris").parts(val=0.1, test=0.2, seed=0).val
    smoothing = builtin.BUILT_IN["mlp"].label_smoothing
    loss = dg.losses.CategoricalCrossentropy(label_smoothing=smoothing)
    found = loss(np.eye(3, dtype="float32")[held_out.targets], irises.model.predict(held_out.inputs, verbose=0))
    close(found, min(losses), because="the model has the best epoch's weights", tolerance=1e-4)


def test_same_seed_same_result_another_seed_another(tmp_path: Path) -> None:
    one, two, other = (_train(tmp_path / "run", "mlp", "wine", seed=seed) for seed in (4, 4, 5))
    assert [run.folder.name for run in (one, two, other)] == ["run", "run-2", "run-3"]
    close(one.verdict.y_pred, two.verdict.y_pred, because="the same seed", tolerance=0.0)
    assert np.abs(one.verdict.y_pred - other.verdict.y_pred).max() > 1e-3


def test_regression_takes_and_gives_raw_units(weighed: workbench.TrainResult, table: Path) -> None:
    assert weighed.record.metrics["r2"] > 0.9
    model = dg.models.load_model(str(weighed.folder / "model.keras"))
    assert 0 < weighed.record.metrics["mae"] < 200
    assert model.predict(np.array([[5.0, 1.0, 0.0, 2.0]], "float32"), verbose=0).item() == pytest.approx(1000, rel=0.3)
    names = [name for column in weighed.record.data_columns() for name in column.input_names]
    assert names == ["length", "kind=bolt", "kind=nut", "width"]


def test_several_targets_weigh_alike(tmp_path: Path) -> None:
    x = np.random.default_rng(0).normal(size=(200, 2)).astype("float32")
    y = np.stack([1e5 * x[:, 0], 1e-3 * x[:, 1]], axis=1)
    np.savez(tmp_path / "two.npz", x=x, y=y)
    result = _train(tmp_path / "run", "mlp", str(tmp_path / "two.npz"), epochs=60)
    error = np.abs(result.verdict.y_pred - open_data(tmp_path / "two.npz").parts(0.1, 0.2, 0).test.targets).mean(axis=0)
    assert error[0] < 2e4 and error[1] < 2e-4, "the small target is learned as well as the large one"


def test_all_is_told(tmp_path: Path) -> None:
    lines: list[str] = []
    workbench.train(TrainRequest("mlp", "iris", out=str(tmp_path / "r"), epochs=1), lines.append)
    assert lines[0] == "iris: inputs of 4, 3 classes; samples: 105 train, 15 validation, 30 test"
    assert lines[1].startswith("mlp: 259 parameters, on ")


def test_ctrl_c_keeps_the_best_weights(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fit = dg.Sequential.fit

    def stopped(self: Any, *args: Any, **options: Any) -> Any:
        history = fit(self, *args, **options)
        history.stopped = "stopped by Ctrl-C after epoch 3"
        return history

    monkeypatch.setattr(dg.Sequential, "fit", stopped)
    result = _train(tmp_path / "run", "mlp", "iris")
    assert result.interrupted and (result.folder / "report.html").is_file()
    assert json.loads((result.folder / "run.json").read_text())["stopped"] == "stopped by Ctrl-C after epoch 3"


@pytest.mark.parametrize(
    ("options", "error", "words"),
    [
        ({"model": "lenet"}, UnknownNameError, "did you mean 'lenet5'"),
        ({"model": "absent/net.keras"}, ModelFormatError, "there is no model file"),
        ({"model": "lenet5"}, ShapeError, "for tables use mlp"),
        ({"data": "irsi"}, DataError, "'iris'"),
        ({"optimizer": "adma"}, UnknownNameError, "did you mean 'Adam"),
        ({"learning_rate": 0.0}, ConfigError, "learning rate"),
        ({"learning_rate": math.nan}, ConfigError, "learning rate"),
        ({"epochs": 0}, ConfigError, "at least 1"),
        ({"batch_size": 0}, ConfigError, "at least 1"),
        ({"test": 0.0}, ConfigError, "together below 1"),
        ({"test": 0.6, "validation": 0.5}, ConfigError, "together below 1"),
        ({"device": "gpu"}, DougongError, "gpu"),
        ({"target": "species"}, ConfigError, "target"),
    ],
)
def test_refusals_write_nothing(tmp_path: Path, options: dict[str, Any], error: type[Exception], words: str) -> None:
    request = TrainRequest(**({"model": "mlp", "data": "iris", "out": str(tmp_path / "run"), "epochs": 1} | options))
    with pytest.raises(error) as caught:
        workbench.train(request)
    assert words in str(caught.value)
    assert not (tmp_path / "run").exists()


# ── Networks ────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_lenet5_has_the_papers_layers() -> None:
    model = builtin.lenet5((32, 32, 1), 10)
    counts = {layer.name: layer.count_params() for layer in model.layers}
    assert (counts["c1"], counts["c5"], counts["f6"], counts["predictions"]) == (156, 48_120, 10_164, 850)
    close(model.predict(np.zeros((2, 32, 32, 1)), verbose=0).sum(axis=1), [1, 1], because="softmax")


@pytest.mark.parametrize(
    "shape", [(8, 8, 1), (28, 28, 1), (32, 32, 3), (20, 12, 1), (48, 64, 3), (33, 33, 1), (1, 1, 1)]
)
def test_lenet5_sees_32_pixels_of_any_picture(shape: tuple[int, ...]) -> None:
    model = builtin.lenet5(shape, 5)
    assert model.get_layer("f6").count_params() == 10_164, "C5 gives 1x1 pixels, as it does for an input of 32x32"
    assert model.output_shape == (None, 5)


def test_pictures_of_bytes_or_floats_are_brought_to_one(tmp_path: Path) -> None:
    pictures = np.random.default_rng(0).integers(0, 256, (60, 12, 12, 1))
    labels = np.arange(60) % 2
    for name, x in (("bytes", pictures.astype("uint8")), ("floats", pictures.astype("float32"))):
        data = Dataset(x, labels, "classification", name, class_names=("a", "b"), input_range=None)
        scale = networks.open_network("lenet5", data).get_layer("scale").scale
        close(scale, 1 / pictures.max(), because=name)


def test_constant_inputs_do_not_divide_by_zero(tmp_path: Path) -> None:
    x = np.ones((60, 3), "float32")
    np.savez(tmp_path / "flat.npz", x=x, y=np.arange(60) % 2)
    assert np.isfinite(_train(tmp_path / "run", "mlp", str(tmp_path / "flat.npz")).verdict.y_pred).all()


LOGITS = "import dougong as dg\ndef build(shape, n): return dg.Sequential([dg.Input(shape), dg.layers.Dense(n)])\n"
SIGMOID = LOGITS.replace("Dense(n)", "Dense(1, activation='sigmoid')")
OWN = """
import dougong as dg
model = dg.Sequential([dg.Input((4,)), dg.layers.Dense(3, activation="softmax")])
model.compile(optimizer=dg.optimizers.SGD(0.125), loss="sparse_categorical_crossentropy", metrics=["accuracy"])
"""


def test_a_program_is_run_and_kept(tmp_path: Path) -> None:
    (tmp_path / "net.py").write_text(LOGITS)
    result = _train(tmp_path / "run", str(tmp_path / "net.py"), "iris")
    assert (result.folder / "model.py").read_text() == LOGITS
    close(result.verdict.y_pred.sum(axis=1), np.ones(30), because="logits are judged as probabilities")
    assert result.model.loss.get_config()["from_logits"] is True


def test_one_sigmoid_unit_for_two_classes(tmp_path: Path) -> None:
    (tmp_path / "net.py").write_text(SIGMOID)
    result = _train(tmp_path / "run", str(tmp_path / "net.py"), "breast_cancer")
    assert result.verdict.y_pred.shape == (114, 2) and result.model.loss.get_config()["from_logits"] is False
    found = workbench.evaluate(str(result.folder / "model.keras"), "breast_cancer")
    assert found.num_samples == 569 and 0 <= found.scores["accuracy"] <= 1


def test_a_program_keeps_its_own_compile_unless_told_otherwise(tmp_path: Path) -> None:
    (tmp_path / "net.py").write_text(OWN)
    kept = _train(tmp_path / "run", str(tmp_path / "net.py"), "iris").model.optimizer
    assert float(kept.learning_rate) == 0.125
    told = _train(tmp_path / "run", str(tmp_path / "net.py"), "iris", optimizer="rmsprop").model.optimizer
    assert type(told).__name__ == "RMSprop"


@pytest.mark.parametrize(
    ("program", "data", "error", "words"),
    [
        ("x = 1\n", "iris", ConfigError, "defines no network"),
        (OWN, "wine", DougongError, "13"),
        (OWN, "breast_cancer", DougongError, "30"),
        (LOGITS.replace("Dense(n)", "Dense(7)"), "iris", ShapeError, "give its last layer 3 units"),
        (LOGITS.replace("Dense(n)", "Dense(7)"), "diabetes", ShapeError, "7 numbers"),
        ("1 / 0\n", "iris", ZeroDivisionError, "division"),
    ],
)
def test_programs_that_do_not_fit(tmp_path: Path, program: str, data: str, error: type[Exception], words: str) -> None:
    (tmp_path / "net.py").write_text(program)
    with pytest.raises(error, match=words):
        _train(tmp_path / "run", str(tmp_path / "net.py"), data)


def test_an_error_in_a_program_names_its_line(tmp_path: Path) -> None:
    (tmp_path / "net.py").write_text("import dougong as dg\n\nmodel = dg.layers.Dense(3, activation='rleu')\n")
    with pytest.raises(UnknownNameError) as caught:
        _train(tmp_path / "run", str(tmp_path / "net.py"), "iris")
    assert caught.value.__notes__ == [f"in {tmp_path / 'net.py'}, line 3"]


def test_files_of_models_are_trained_on(tmp_path: Path, irises: workbench.TrainResult) -> None:
    again = _train(tmp_path / "run", str(irises.folder / "model.keras"), "iris")
    assert again.record.metrics["accuracy"] >= irises.record.metrics["accuracy"] - 0.1, "it starts from the weights"
    (tmp_path / "net.json").write_text(irises.model.to_json())
    assert _train(tmp_path / "run", str(tmp_path / "net.json"), "iris").record.model["parameters"] == 259


@pytest.mark.parametrize("text", ["", "{", '{"a": 1}', "[]", "\x00\xff"])
def test_damaged_json_is_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / "net.json").write_bytes(text.encode("latin-1"))
    with pytest.raises(DougongError):
        _train(tmp_path / "run", str(tmp_path / "net.json"), "iris")


def test_a_damaged_model_is_refused(tmp_path: Path, irises: workbench.TrainResult) -> None:
    whole = (irises.folder / "model.keras").read_bytes()
    for size in (0, 100, len(whole) // 2, len(whole) - 10):
        (tmp_path / "cut.keras").write_bytes(whole[:size])
        with pytest.raises(ModelFormatError, match=r"cut\.keras"):
            workbench.summary(str(tmp_path / "cut.keras"))


# ── Using ───────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_evaluate_agrees_with_training(weighed: workbench.TrainResult, table: Path) -> None:
    found = workbench.evaluate(str(weighed.folder / "model.keras"), str(table))
    assert found.num_samples == 150 and found.part == "all samples"
    model, data = weighed.model, open_data(table)
    error = model.predict(data.inputs, verbose=0) - data.targets
    close(found.scores["mse"], (error**2).mean(), because="MSE over the table", tolerance=1e-4)


def test_columns_are_matched_by_name(weighed: workbench.TrainResult, table: Path, tmp_path: Path) -> None:
    import pandas as pd

    frame = pd.read_csv(table)
    model = str(weighed.folder / "model.keras")
    whole = workbench.predict(model, str(table))
    frame[["width", "kind", "length"]].assign(note="text", serial=range(150)).to_csv(tmp_path / "new.csv", index=False)
    assert workbench.predict(model, str(tmp_path / "new.csv")).rows == whole.rows
    assert whole.header[:2] == ["line", "weight"] and whole.rows[0][0] == "2"
    values = [float(row[1]) for row in whole.rows]
    close(
        values, weighed.model.predict(open_data(table).inputs, verbose=0)[:, 0], because="values in the target's unit"
    )
    shuffled = frame.assign(note="x")[["weight", "note", "width", "kind", "length"]]
    shuffled.to_csv(tmp_path / "again.csv", index=False)
    first, second = (workbench.evaluate(model, str(path)) for path in (table, tmp_path / "again.csv"))
    close(second.scores["mse"], first.scores["mse"], because="the order of columns does not matter")


def test_a_missing_column_is_named_with_near_names(weighed: workbench.TrainResult, table: Path, tmp_path: Path) -> None:
    (tmp_path / "new.csv").write_text(table.read_text().replace("length,", "lenght,", 1))
    for use in (workbench.predict, workbench.evaluate):
        with pytest.raises(DataError, match=r"lacks the column 'length'.* Did you mean 'lenght'\?"):
            use(str(weighed.folder / "model.keras"), str(tmp_path / "new.csv"))


def test_an_unseen_category_is_named(weighed: workbench.TrainResult, tmp_path: Path) -> None:
    (tmp_path / "new.csv").write_text("length,kind,width\n2.0,bolt,1.0\n2.0,rivet,1.0\n")
    with pytest.raises(DataError, match="'rivet' in line 3"):
        workbench.predict(str(weighed.folder / "model.keras"), str(tmp_path / "new.csv"))


def test_a_missing_value_is_named_or_left_out(weighed: workbench.TrainResult, tmp_path: Path) -> None:
    (tmp_path / "new.csv").write_text("length,kind,width\n2.0,bolt,1.0\n,bolt,1.0\n3.0,nut,1.0\n")
    model = str(weighed.folder / "model.keras")
    with pytest.raises(DataError, match="line 3, column 'length' is missing"):
        workbench.predict(model, str(tmp_path / "new.csv"))
    assert [row[0] for row in workbench.predict(model, str(tmp_path / "new.csv"), skip_bad=True).rows] == ["2", "4"]


def test_inputs_outside_the_training_range_are_flagged(weighed: workbench.TrainResult, tmp_path: Path) -> None:
    (tmp_path / "new.csv").write_text("length,kind,width\n2.0,bolt,2.0\n90.0,nut,2.0\n")
    found = workbench.predict(str(weighed.folder / "model.keras"), str(tmp_path / "new.csv"))
    assert [row[-1] for row in found.rows] == ["", "length"] and "1 of 2 rows" in found.notes[0]


def test_predictions_are_written(irises: workbench.TrainResult, tmp_path: Path) -> None:
    found = workbench.predict(str(irises.folder / "model.keras"), "iris", str(tmp_path / "p.csv"))
    columns = ["sample", "class", "probability", "p(setosa)", "p(versicolor)", "p(virginica)"]
    assert found.header == [*columns, "outside training range"], "the test part goes a little beyond the training part"
    rows = [line.split(",") for line in (tmp_path / "p.csv").read_text().splitlines()[1:]]
    probabilities = irises.model.predict(open_data("iris").inputs, verbose=0)
    close([[float(v) for v in row[3:6]] for row in rows], probabilities, because="probabilities", tolerance=1e-6)
    names = np.array(irises.record.class_names)
    assert [row[1] for row in rows] == names[probabilities.argmax(1)].tolist()
    with pytest.raises(DataError, match="does not exist"):
        workbench.predict(str(irises.folder / "model.keras"), "iris", str(tmp_path / "absent" / "p.csv"))


def test_classes_are_matched_by_name(tmp_path: Path) -> None:
    random = np.random.default_rng(0)
    lines = [f"{v:.3f},{'high' if v > 0.5 else 'a low'}" for v in random.uniform(0, 1, 80)]
    (tmp_path / "train.csv").write_text("\n".join(["v,class", *lines]))
    model = str(_train(tmp_path / "run", "mlp", str(tmp_path / "train.csv"), epochs=100).folder / "model.keras")
    (tmp_path / "new.csv").write_text("v,class\n0.9,high\n0.1,zero\n0.95,high\n")
    with pytest.raises(DataError, match="does not know: 'zero'"):
        workbench.evaluate(model, str(tmp_path / "new.csv"))
    (tmp_path / "new.csv").write_text("class,v\nhigh,0.97\na low,0.03\nhigh,0.98\n")
    assert workbench.evaluate(model, str(tmp_path / "new.csv")).scores["accuracy"] == 1.0


def test_without_a_record_inputs_are_taken_as_they_stand(irises: workbench.TrainResult, tmp_path: Path) -> None:
    alone = tmp_path / "alone.keras"
    alone.write_bytes((irises.folder / "model.keras").read_bytes())
    assert workbench.predict(str(alone), "iris").header == ["sample", "output_0", "output_1", "output_2"]
    with pytest.raises(ShapeError, match=r"\(4,\)"):
        workbench.predict(str(alone), "wine")


def test_other_data_are_refused(irises: workbench.TrainResult) -> None:
    model = str(irises.folder / "model.keras")
    for use in (workbench.evaluate, workbench.predict):
        with pytest.raises(DougongError):
            use(model, "digits")
        with pytest.raises(DataError, match="lacks the columns 'sepal length"):
            use(model, "wine")


def test_summary_says_what_it_was_trained_on(irises: workbench.TrainResult) -> None:
    text = workbench.summary(str(irises.folder / "model.keras"))
    assert "hidden_1" in text and "259" in text and "trained on iris" in text and "inputs: sepal length (cm)" in text
    assert "\x1b" not in summary_text(irises.model)


def test_a_damaged_record_is_named(irises: workbench.TrainResult, tmp_path: Path) -> None:
    (tmp_path / "run.json").write_text("{")
    with pytest.raises(DataError, match=r"run.json is damaged"):
        find_record(tmp_path / "model.keras")
    assert find_record(tmp_path / "absent" / "model.keras") is None
    record = find_record(irises.folder / "model.keras")
    assert isinstance(record, Record) and record.data_columns()[0] == Column("sepal length (cm)")


# ── Real files ──────────────────────────────────────────────────────────────────────────────────────────────────────


def test_pictures_of_a_folder(tmp_path: Path) -> None:
    folder = Path(_file("cifar10_jpg"))
    for name in ("cat", "ship"):
        (tmp_path / "few" / name).mkdir(parents=True)
        for path in sorted((folder / "test" / name).iterdir())[:30]:
            (tmp_path / "few" / name / path.name).write_bytes(path.read_bytes())
    result = _train(tmp_path / "run", "lenet5", str(tmp_path / "few"), epochs=2, image_size=(16, 16))
    model = str(result.folder / "model.keras")
    assert result.model.input_shape == (None, 16, 16, 3)
    assert workbench.evaluate(model, str(tmp_path / "few")).num_samples == 60
    loose = workbench.predict(model, str(tmp_path / "few" / "cat"))
    assert len(loose.rows) == 30 and loose.rows[0][0] == "0000.jpg" and loose.rows[0][1] in ("cat", "ship")
    assert len(workbench.predict(model, _file("pictures/cat.jpg")).rows) == 1
    (tmp_path / "few" / "cat" / "0000.jpg").write_bytes(b"no picture")
    with pytest.raises(DataError, match=r"0000\.jpg"):
        workbench.predict(model, str(tmp_path / "few" / "cat"))


def test_a_table_with_missing_values_and_text(tmp_path: Path) -> None:
    path = _file("tabular/mpg.csv")
    with pytest.raises(DataError, match="skip_bad"):
        _train(tmp_path / "run", "mlp", path, target="mpg")
    result = _train(tmp_path / "run", "mlp", path, target="mpg", skip_bad=True, ignore=("name",), epochs=60)
    assert result.record.metrics["r2"] > 0.75
    assert workbench.evaluate(str(result.folder / "model.keras"), path, skip_bad=True).num_samples == 392


@pytest.mark.slow
def test_lenet5_reads_at_least_98_of_100_digits(tmp_path: Path) -> None:
    result = workbench.train(TrainRequest("lenet5", "digits", out=str(tmp_path / "run")))
    assert result.record.metrics["accuracy"] >= 0.98
    assert result.record.data["parts"]["test"] == 359


@pytest.mark.slow
def test_mnist_as_idx_files(tmp_path: Path) -> None:
    result = workbench.train(TrainRequest("lenet5", _file("mnist"), out=str(tmp_path / "run"), epochs=3))
    assert result.record.data["parts"]["test"] == 10_000 and result.record.metrics["accuracy"] > 0.96
