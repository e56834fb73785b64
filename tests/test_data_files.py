"""Readers of tables, idx and npz files, on real files where they are at hand and on damaged ones written here."""

from __future__ import annotations

import gzip
import struct
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from closeness import close
from dougong.core.errors import ConfigError, DataError
from dougong.data import Column, encode_columns, open_data, read_frame
from dougong.data.delimited import find_layout
from dougong.data.idx import read_idx

REAL = Path(__file__).parents[2] / "shared" / "data"
real = pytest.mark.skipif(not REAL.is_dir(), reason="the real files beside the project are absent")


def table(folder, text, name="data.csv"):
    path = folder / name
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


# ---- tables


@real
def test_iris_without_a_header():
    data = open_data(REAL / "tabular/iris.csv")
    assert (data.task, data.inputs.shape, data.class_counts()) == (
        "classification", (150, 4), {"Iris-setosa": 50, "Iris-versicolor": 50, "Iris-virginica": 50},
    )  # fmt: skip
    close(data.inputs[0], [5.1, 3.5, 1.4, 0.2], because="first line")
    assert "column_4" in data.notes[1]


@real
def test_blank_separated_housing():
    data = open_data(REAL / "tabular/housing.data")
    want = np.loadtxt(REAL / "tabular/housing.data", dtype=np.float32)
    assert (data.task, data.target_names) == ("regression", ("column_13",))
    close(data.inputs, want[:, :13], because="inputs")
    close(data.targets, want[:, 13:], because="prices")


@real
def test_penguins_with_text_and_missing_values():
    path = REAL / "tabular/penguins.csv"
    with pytest.raises(DataError, match=r"line 5, column 'bill_length_mm' is missing; 11 of 344 rows.*skip_bad=True"):
        open_data(path)
    data = open_data(path, target="species", skip_bad=True)
    assert (len(data), data.class_names) == (333, ("Adelie", "Chinstrap", "Gentoo"))
    assert data.columns[0] == Column("island", ("Biscoe", "Dream", "Torgersen"))
    assert data.input_names[-2:] == ("sex=FEMALE", "sex=MALE")
    close(data.inputs[0], [0, 0, 1, 39.1, 18.7, 181, 3750, 0, 1], because="first line, one input per category")
    assert any("11 of 344 rows" in note for note in data.notes)
    assert open_data(path, target=["bill_depth_mm", -2], skip_bad=True).target_names == ("bill_depth_mm", "body_mass_g")


@real
@pytest.mark.parametrize(
    "name, task, shape",
    [
        ("tabular/abalone.csv", "regression", (4177, 10)),
        ("tabular/sonar.csv", "classification", (208, 60)),
        ("tabular/wheat-seeds.csv", "classification", (210, 7)),
        ("tabular/pima-indians-diabetes.csv", "classification", (768, 8)),
        ("spectra/gasoline.csv", "regression", (60, 401)),
    ],
)
def test_real_tables(name, task, shape):
    data = open_data(REAL / name)
    assert (data.task, data.inputs.shape) == (task, shape)


@real
def test_columns_that_cannot_be_inputs_are_named():
    with pytest.raises(DataError, match=r"'Month' holds text with 144 different values.*ignore=\['Month'\]"):
        open_data(REAL / "tabular/monthly-airline-passengers.csv")
    data = open_data(REAL / "tabular/mpg.csv", target=0, ignore=["name"], skip_bad=True)
    assert (data.target_names, data.inputs.shape) == (("mpg",), (392, 9))


def test_european_table(tmp_path):
    data = open_data(table(tmp_path, "Länge;Breite;Preis\n1,5;2;3,25\n2,5;4;6,5\n", "maße.csv"))
    assert data.input_names == ("Länge", "Breite")
    close(data.inputs, [[1.5, 2.0], [2.5, 4.0]], because="decimal commas")
    close(data.targets, [[3.25], [6.5]], because="decimal commas")
    assert "semicolon-separated" in data.notes[0]


@pytest.mark.parametrize(
    "text, delimiter, header",
    [
        ("1,2\n3,4\n", ",", False),
        ("a,b\n3,4\n", ",", True),
        ("a\tb c\n1\t2\n", "\t", True),
        ("  1  2\n 3  4\n", r"\s+", False),
        ("a|b\nx|y\n", "|", True),
        ("x,y\nx,y\nz,y\n", ",", False),
        ('"a, or b",c\n1,2\n', ",", True),
        ("1 2 3\n4 5 6\n7 8\n9 9 9\n", r"\s+", False),
        ("word\n" * 3, ",", False),
        ("1,2\n,4\n", ",", False),
    ],
)
def test_layouts_are_found(text, delimiter, header):
    layout = find_layout(text)
    assert (layout.delimiter, layout.header) == (delimiter, header)


def test_what_is_given_is_not_guessed(tmp_path):
    data = open_data(table(tmp_path, "1,2\n3,4\n5,6\n"), header=True, target=-1, task="regression")
    assert (data.input_names, len(data)) == (("1",), 2)
    with pytest.raises(DataError, match="no columns beside the target"):
        open_data(table(tmp_path, "1,2\n3,4\n"), delimiter="|")


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16"])
def test_byte_order_marks(tmp_path, encoding):
    data = open_data(table(tmp_path, "größe,y\n1,0.5\n2,1.5\n".encode(encoding)))
    assert data.input_names == ("größe",)


def test_targets_are_guessed_and_the_guess_is_noted(tmp_path):
    rows = "".join(f"{i / 7},{i % 3}\n" for i in range(30))
    classes = open_data(table(tmp_path, "a,b\n" + rows))
    assert (classes.task, classes.class_names) == ("classification", ("0", "1", "2"))
    assert "say task='regression'" in classes.notes[-1]
    assert open_data(table(tmp_path, "a,b\n" + rows), task="regression").targets.shape == (30, 1)
    ones = open_data(table(tmp_path, "a,b\n" + "".join(f"{i / 7},{i % 2 + 1}\n" for i in range(30))))
    assert (ones.class_names, ones.targets[:2].tolist()) == (("1", "2"), [0, 1])
    named = open_data(table(tmp_path, "label,b\n" + "".join(f"{'xy'[i % 2]},{i}\n" for i in range(30))))
    assert named.class_names == ("x", "y")


@pytest.mark.parametrize(
    "text, options, message",
    [
        ("", {}, "is empty"),
        ("a,b\n", {}, "a header but no rows"),
        ("a\n1\n2\n", {}, "no columns beside the target"),
        ("a,b\n1,2\n3\n", {}, "line 3, column 'b' is missing"),
        ("a,b\n1,2\n\n3,inf\n", {}, "line 4, column 'b' is infinite"),
        ("a,b\n1,2\n3,4,5\n6,7\n", {}, "line 3"),
        ("a,b\n1,2\n3,?\n", {}, "line 3, column 'b' is missing"),
        ("a,b\n,2\n,3\n", {"skip_bad": True}, "every row has a missing value"),
        ("size,price\n1,2\n3,4\n", {"target": "prize"}, "no column 'prize'.*size, price. Did you mean 'price'"),
        ("size,price\n1,2\n3,4\n", {"target": 7}, "no column '7'"),
        ("size,price\n1,2\n3,4\n", {"ignore": ["weight"]}, r"no column 'weight' \(ignore\)"),
        ("a,b\n1,2\n1k,3\n2,4\n3,4\n", {}, "column 'a' holds '1k' in line 3, which is no number; 1 of 4"),
        ("a,b\n1,x\n2,x\n", {}, "holds one class only, 'x'"),
        ("a,b\n1,x\n2,y\n3,z\n4,w\n5,v\n", {}, "5 different texts in 5 rows"),
        ("a,b\n1,x\n2,y\n", {"task": "regression"}, "'b' holds 'x' in line 2, which is no number"),
        ("a,b,c\n1,x,1\n2,y,2\n", {"target": ["b", "c"]}, "several targets must be numbers"),
        (b"a,b\n1,2\n\xff,3\n", {}, r"not UTF-8 text \(byte 0xff in line 3\)"),
        ("a,b\n1,2\n", {"max_bytes": 10}, "raise max_bytes"),
        ("1 2 3\n4 5 6\n7 8\n9 9 9\n", {}, "line 3, column 'column_2' is missing"),
        ("a,b\n1,2\n" + "x" * 200_000 + ",4\n5,6\n7,8\n", {}, r"'x{37}\.\.\.' in line 3"),
    ],
)
def test_tables_that_cannot_be_used(tmp_path, text, options, message):
    with pytest.raises(DataError, match=message):
        open_data(table(tmp_path, text), **options)


def test_new_rows_are_encoded_as_in_training(tmp_path):
    frame, _ = read_frame(table(tmp_path, "y,kind,size\n0,b,1.5\n1,a,2.5\n"))
    columns = (Column("size"), Column("kind", ("a", "b", "c")))
    close(encode_columns(frame, columns), [[1.5, 0, 1, 0], [2.5, 1, 0, 0]], because="order of the columns")
    with pytest.raises(DataError, match="'kind' holds 'b' in line 2, which was not in the training data; known: a"):
        encode_columns(frame, (Column("kind", ("a",)),))
    with pytest.raises(DataError, match="no column 'colour'"):
        encode_columns(frame, (Column("colour"),))
    with pytest.raises(DataError, match="must hold numbers"):
        encode_columns(pd.DataFrame({"a": ["x"]}), (Column("a"),))


# ---- idx


def idx(array, code=0x08):
    return bytes([0, 0, code, array.ndim]) + struct.pack(f">{array.ndim}I", *array.shape) + array.tobytes()


PICTURES = np.arange(3 * 4 * 5, dtype=np.uint8).reshape(3, 4, 5)


def write_pair(folder, images=PICTURES, labels=(2, 0, 1), prefix="train", zipped=True):
    suffix, pack = (".gz", gzip.compress) if zipped else ("", bytes)
    (folder / f"{prefix}-images-idx3-ubyte{suffix}").write_bytes(pack(idx(images)))
    (folder / f"{prefix}-labels-idx1-ubyte{suffix}").write_bytes(pack(idx(np.array(labels, np.uint8))))
    return folder / f"{prefix}-images-idx3-ubyte{suffix}"


@real
def test_mnist():
    data = open_data(REAL / "mnist")
    assert (data.inputs.shape, data.inputs.dtype, data.num_classes) == ((10000, 28, 28, 1), np.uint8, 10)
    assert data.test is not None
    # The official test set begins 7 2 1 0 4 and has 980 zeros.
    assert data.test.targets[:5].tolist() == [7, 2, 1, 0, 4]
    assert data.test.class_counts()["0"] == 980
    assert data.parts(val=0.1).test is data.test


@pytest.mark.parametrize("zipped", [True, False])
def test_idx_pair(tmp_path, zipped):
    data = open_data(write_pair(tmp_path, zipped=zipped))
    close(data.inputs[..., 0], PICTURES, because="pictures", tolerance=0.0)
    assert (data.targets.tolist(), data.class_names, data.input_range) == ([2, 0, 1], ("0", "1", "2"), (0.0, 255.0))


def test_idx_folder_with_a_test_part(tmp_path):
    write_pair(tmp_path)
    write_pair(tmp_path, prefix="t10k", labels=(0, 1, 1))
    data = open_data(tmp_path)
    assert data.test is not None
    assert (data.test.targets.tolist(), data.test.class_names) == ([0, 1, 1], ("0", "1", "2"))


@pytest.mark.parametrize("code, dtype", [(0x09, ">i1"), (0x0B, ">i2"), (0x0C, ">i4"), (0x0D, ">f4"), (0x0E, ">f8")])
def test_idx_number_types(tmp_path, code, dtype):
    array = np.array([[1, -2], [3, 4]], dtype=dtype)
    path = table(tmp_path, idx(array, code), "x.idx")
    got = read_idx(path)
    close(got, array, because=dtype, tolerance=0.0)
    assert got.dtype.isnative


@pytest.mark.parametrize(
    "raw, message",
    [
        (b"", "no idx file"),
        (b"\x89PNG", "no idx file"),
        (idx(PICTURES)[:10], "ends within its header"),
        (idx(PICTURES)[:-1], r"cut off: its header declares 60 bytes"),
        (idx(PICTURES) + b"x", "more than the 60 bytes"),
        (bytes([0, 0, 8, 3]) + struct.pack(">3I", 60000, 4000, 4000), "GiB"),
        (bytes([0, 0, 8, 1]) + struct.pack(">I", 2**30), "cut off"),
        (bytes([0, 0, 8, 3]) + struct.pack(">3I", 0, 2**32 - 1, 2**32 - 1), "GiB"),
    ],
)
@pytest.mark.parametrize("zipped", [True, False])
def test_damaged_idx_files(tmp_path, raw, message, zipped):
    path = table(tmp_path, gzip.compress(raw) if zipped else raw, "a-images-idx3-ubyte" + ".gz" * zipped)
    with pytest.raises(DataError, match=message):
        read_idx(path)


def test_damaged_gzip(tmp_path):
    packed = gzip.compress(idx(np.random.default_rng(0).integers(0, 255, (50, 50), dtype=np.uint8)))
    for raw in (packed[:-20], packed[:100] + b"\0" * 50 + packed[150:], b"no gzip at all"):
        with pytest.raises(DataError, match=r"damaged|cut off"):
            read_idx(table(tmp_path, raw, "a.idx.gz"))


def test_idx_files_that_are_no_pair(tmp_path):
    path = write_pair(tmp_path, labels=(0, 1))
    with pytest.raises(DataError, match=r"3 pictures but .* 2 labels"):
        open_data(path)
    (tmp_path / "train-labels-idx1-ubyte.gz").unlink()
    with pytest.raises(DataError, match=r"labels of .* are missing: .*train-labels-idx1-ubyte\.gz does not exist"):
        open_data(path)
    with pytest.raises(DataError, match="holds labels; give the images file"):
        open_data(table(tmp_path, b"", "train-labels-idx1-ubyte"))
    with pytest.raises(DataError, match="does not say which labels"):
        open_data(table(tmp_path, b"", "digits.idx"))


# ---- npz


def npz(folder, **arrays):
    np.savez(folder / "data.npz", **arrays)
    return folder / "data.npz"


def test_npz_with_test_part(tmp_path):
    x, y = np.arange(24, dtype=np.uint8).reshape(6, 2, 2), np.array([0, 1, 2, 0, 1, 2])
    data = open_data(npz(tmp_path, x_train=x, y_train=y, x_test=x[:2], y_test=y[:2]), task="classification")
    assert (data.input_shape, data.inputs.dtype, data.num_classes, data.input_range) == (
        (2, 2, 1),
        np.uint8,
        3,
        (0, 255),
    )
    assert data.test is not None
    assert (len(data.test), data.test.class_names) == (2, data.class_names)


@pytest.mark.parametrize("names", [("x", "y"), ("X", "Y"), ("inputs", "targets"), ("images", "labels"), ("u", "v")])
def test_npz_names(tmp_path, names):
    x, y = np.random.default_rng(0).random((20, 3)), np.random.default_rng(1).random(20)
    data = open_data(npz(tmp_path, **dict(zip(names, (x, y)))))
    assert (data.task, data.target_names) == ("regression", (names[1],))
    close(data.inputs, x, because="inputs")
    close(data.targets[:, 0], y, because="targets")
    assert data.input_names == tuple(f"{names[0]}_{i}" for i in range(3))


def test_npz_targets(tmp_path):
    x = np.zeros((40, 2))
    one_hot = open_data(npz(tmp_path, x=x, y=np.eye(4)[np.arange(40) % 4]))
    assert (one_hot.task, one_hot.targets[:5].tolist()) == ("classification", [0, 1, 2, 3, 0])
    several = open_data(npz(tmp_path, x=x, y=np.ones((40, 2)) * 0.5))
    assert (several.targets.shape, several.target_names) == ((40, 2), ("y_0", "y_1"))
    text = open_data(npz(tmp_path, x=x, y=np.array(["no", "yes"] * 20)))
    assert text.class_names == ("no", "yes")
    named = open_data(npz(tmp_path, x=x, y=np.ones(40), z=np.arange(40) % 2), target="z")
    assert named.target_names == ("z",)


@pytest.mark.parametrize(
    "arrays, options, message",
    [
        ({"x": np.zeros((3, 2)), "y": np.zeros(2)}, {}, r"x has shape \(3, 2\) but y \(2,\)"),
        ({"x": np.array([[1.0], [np.nan]]), "y": np.zeros(2)}, {}, r"data.npz: x\[1, 0\] is nan"),
        ({"x": np.zeros((0, 2)), "y": np.zeros(0)}, {}, "x has no rows"),
        ({"a": np.zeros(2), "b": np.zeros(2), "c": np.zeros(2)}, {}, r"does not say which.*a \(2,\), b \(2,\)"),
        ({"x": np.zeros(2), "label": np.zeros(2)}, {"target": "lable"}, "no array 'lable'.*Did you mean 'label'"),
        ({"x": np.array([[1], [1, 2]], dtype=object), "y": np.zeros(2)}, {}, "'x' holds Python objects"),
        ({"x": np.zeros((100, 100)), "y": np.zeros(100)}, {"max_bytes": 1000}, "more than the 0.0 GiB allowed"),
        ({"x": np.zeros((4, 1)), "y": np.array(["a"] * 4)}, {}, "one class only"),
        (
            {
                "x_train": np.zeros((4, 1)),
                "y_train": np.arange(4) % 2,
                "x_test": np.zeros((1, 1)),
                "y_test": np.array([7]),
            },
            {},
            "holds '7', not among the classes 0, 1",
        ),
    ],
)
def test_npz_that_cannot_be_used(tmp_path, arrays, options, message):
    with pytest.raises(DataError, match=message):
        open_data(npz(tmp_path, **arrays), **options)


def test_damaged_npz(tmp_path):
    path = npz(tmp_path, x=np.random.default_rng(0).random((50, 4)), y=np.zeros(50))
    raw = path.read_bytes()
    for damaged in (b"", raw[:100], raw[:300] + b"\1" * 50 + raw[350:], b"PK" + raw[2:60]):
        path.write_bytes(damaged)
        with pytest.raises(DataError, match=r"cannot be read as an npz file|declares"):
            open_data(path)


def test_npz_header_that_declares_more_than_is_there(tmp_path):
    path = npz(tmp_path, x=np.zeros((4, 4), dtype=np.float32), y=np.zeros(4))
    path.write_bytes(path.read_bytes().replace(b"(4, 4), }", b"(9, 9), }"))
    with pytest.raises(DataError, match=r"declares 324 bytes|cannot be read"):
        open_data(path)
    with pytest.raises(ConfigError, match="name of an array"):
        open_data(path, target=1)
