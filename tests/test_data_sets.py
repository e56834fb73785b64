"""The data set record, its splits, the samples, and the checks of values."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from sklearn import datasets

from closeness import close
from dougong.core.errors import ConfigError, DataError, UnknownNameError
from dougong.data import Column, Dataset, check_finite, check_labels, load_sample, open_data, samples


def labelled(labels):
    labels = np.asarray(labels, dtype=np.int64)
    names = tuple(map(str, range(int(labels.max()) + 1)))
    inputs = np.arange(len(labels), dtype=np.float32)[:, None]
    return Dataset(inputs, labels, "classification", "test", columns=(Column("row"),), class_names=names)


@pytest.mark.parametrize("info", samples(), ids=lambda info: info.name)
def test_samples_are_what_the_list_says(info):
    data = load_sample(info.name)
    assert (len(data), data.input_shape, data.num_classes, data.task) == (
        info.size, info.shape, info.num_classes, info.task,
    )  # fmt: skip
    assert data.targets.dtype == (np.int64 if info.num_classes else np.float32)
    assert data.targets.shape == ((len(data),) if info.num_classes else (len(data), 1))
    check_finite(data.inputs)
    if data.inputs.ndim == 2:
        assert len(data.input_names) == data.input_shape[0]


def test_samples_hold_scikit_learn_s_numbers():
    digits = load_sample("digits")
    close(digits.inputs[..., 0], datasets.load_digits().images, because="digits", tolerance=0.0)
    assert (digits.inputs.dtype, digits.inputs.max(), digits.input_range) == (np.uint8, 16, (0.0, 16.0))
    close(load_sample("wine").inputs, datasets.load_wine().data, because="wine")
    close(load_sample("diabetes").inputs[:, 0].max(), 79.0, because="ages are in years, not scaled")


def test_unknown_sample():
    with pytest.raises(UnknownNameError, match="did you mean 'digits'"):
        load_sample("digit")


@given(st.lists(st.integers(0, 4), min_size=2, max_size=80), st.floats(0.05, 0.95), st.integers(0, 2**31))
def test_split_is_a_stratified_partition(labels, fraction, seed):
    data = labelled(labels)
    size = round(len(data) * fraction)
    if size in (0, len(data)):
        with pytest.raises(DataError, match="too few"):
            data.split(fraction, seed)
        return
    one, other = data.split(fraction, seed)
    together = np.concatenate([one.inputs, other.inputs])[:, 0]
    assert sorted(together) == list(range(len(data)))
    assert len(one) == size
    assert np.all(np.diff(one.inputs[:, 0]) > 0), "each part keeps the order of the whole"
    for label, count in zip(*np.unique(labels, return_counts=True)):
        assert abs(np.sum(one.targets == label) - count * fraction) < 1.0
    again, _ = data.split(fraction, seed)
    assert again.sha256 == one.sha256


def test_split_depends_on_the_seed():
    data = load_sample("iris")
    assert data.split(0.5, 0)[0].sha256 != data.split(0.5, 1)[0].sha256


def test_parts_are_three_and_disjoint():
    data = labelled([0, 1] * 50)
    parts = data.parts(val=0.2, test=0.1, seed=3)
    assert [len(part) for part in parts] == [70, 20, 10]
    assert sorted(np.concatenate([part.inputs for part in parts])[:, 0]) == list(range(100))
    assert parts.val.class_counts() == {"0": 10, "1": 10}


def test_parts_take_the_source_s_own_test_part():
    test = labelled([0, 1])
    data = labelled([0, 1] * 10)
    data = Dataset(data.inputs, data.targets, "classification", "test", class_names=("0", "1"), test=test)
    parts = data.parts(val=0.25)
    assert parts.test is test
    assert (len(parts.train), len(parts.val)) == (15, 5)


@pytest.mark.parametrize("fraction", [0.0, 1.0, -1.0, 2.0, float("nan")])
def test_fractions_lie_between_0_and_1(fraction):
    with pytest.raises(ConfigError, match="between 0 and 1"):
        labelled([0, 1]).split(fraction)
    with pytest.raises(ConfigError, match="above 0"):
        labelled([0, 1]).parts(val=fraction)


def test_regression_splits_too():
    one, other = load_sample("diabetes").split(0.25, 0)
    assert (len(one), len(other), one.class_counts()) == (110, 332, {})


def test_digest_depends_on_values_shape_and_dtype():
    data = labelled([0, 1, 1])
    assert data.sha256 == labelled([0, 1, 1]).sha256
    reshaped = Dataset(data.inputs.reshape(3, 1, 1), data.targets, "classification", "")
    different = [labelled([0, 1, 0]), data.select([0, 1]), reshaped]
    assert len({data.sha256, *(other.sha256 for other in different)}) == 4
    swapped = Dataset(data.inputs.astype(">f4"), data.targets, "classification", "")
    assert swapped.sha256 == data.sha256


def test_lengths_must_agree():
    with pytest.raises(DataError, match="2 inputs but 3 targets"):
        Dataset(np.zeros((2, 1)), np.zeros(3), "regression", "here")


BAD = float("nan"), float("inf"), -float("inf")


@given(st.sampled_from(BAD), st.integers(0, 4), st.integers(0, 2), st.sampled_from(["numpy", "torch", "frame", "half"]))
def test_one_bad_value_is_named(value, row, column, kind):
    array = np.zeros((5, 3))
    array[row, column] = value
    given_array = {
        "numpy": array,
        "torch": torch.from_numpy(array),
        "frame": pd.DataFrame(array, columns=list("abc")),
        "half": array.astype(np.float16),
    }[kind]
    place = f"column '{'abc'[column]}'" if kind == "frame" else f"column {column}"
    with pytest.raises(DataError, match=rf"data\[{row}, {column}\] is -?(nan|inf) \(row {row}, {place}\): 1 of 15"):
        check_finite(given_array, "data")


@pytest.mark.parametrize(
    "array",
    [
        np.zeros((0, 3)),
        np.full((4, 4), np.finfo(np.float32).max, dtype=np.float32),  # its sum is infinite, its values are not
        np.full(4, 6e4, dtype=np.float16),
        np.array([1, 2]),
        np.array([True]),
        pd.DataFrame({"a": [1.0], "b": ["text"]}),
        pd.Series([1.0, 2.0], name="s"),
        torch.ones(3, dtype=torch.bfloat16),
        torch.ones(3, dtype=torch.int64),
    ],
)
def test_finite_values_pass(array):
    check_finite(array)


def test_opposite_infinities_do_not_cancel():
    with pytest.raises(DataError, match=r"x\[0\] is inf \(row 0\): 2 of 2 values in 2 of 2 rows are not finite"):
        check_finite(np.array([np.inf, -np.inf]))
    with pytest.raises(DataError, match=r"column 's'"):
        check_finite(pd.Series([np.nan], name="s"))


@pytest.mark.parametrize(
    "labels, message",
    [
        ([0, 1, 5, 2], r"y\[2\] is 5, but with 3 classes labels run from 0 to 2: 1 of 4 labels is .* 6 units"),
        ([[0], [-1]], r"y\[1, 0\] is -1.*Number the classes from 0"),
        ([0.0, 1.5], r"y\[1\] is 1.5, which is no class number.*'mse'"),
        ([0.0, np.nan], r"y\[1\] is nan"),
        (["a"], "<U1 values"),
    ],
)
def test_labels_out_of_range_are_named(labels, message):
    with pytest.raises(DataError, match=message):
        check_labels(np.array(labels), 3)


@pytest.mark.parametrize("labels", [[0, 2], [[0.0], [2.0]], [], [True, False], np.array([2], dtype=np.uint8)])
def test_labels_in_range_pass(labels):
    check_labels(np.array(labels), 3)
    check_labels(torch.as_tensor(np.array(labels)), 3)


def test_open_data_knows_samples_and_near_names(tmp_path, monkeypatch):
    assert open_data("digits").source == "digits"
    monkeypatch.chdir(tmp_path)
    (tmp_path / "houses.csv").write_text("a,b\n1,2\n")
    with pytest.raises(
        DataError, match=r"house\.csv does not exist\. Did you mean 'houses\.csv'.*Samples: digits, iris"
    ):
        open_data("house.csv")
    with pytest.raises(DataError, match="folder nowhere does not exist either"):
        open_data("nowhere/house.csv")
    with pytest.raises(ConfigError, match="target and size cannot be given for a sample"):
        open_data("iris", target="x", size=(8, 8))


@pytest.mark.parametrize(
    "name, message",
    [
        ("a.xlsx", "Save the sheet as CSV"),
        ("a.bin", r"\(.bin\). Can be read: a sample"),
        ("a.png", "class folders"),
        ("a", "no suffix"),
    ],
)
def test_unknown_types_list_what_can_be_read(tmp_path, name, message):
    (tmp_path / name).write_bytes(b"")
    with pytest.raises(DataError, match=message):
        open_data(tmp_path / name)
