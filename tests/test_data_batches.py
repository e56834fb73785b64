"""What fit accepts: arrays of every kind, structures, dtypes, weights, splits; compared with the real Keras."""

from __future__ import annotations

import jax.numpy as jnp
import keras
import numpy as np
import pandas as pd
import pytest
import scipy.sparse
import torch

from closeness import close
from dougong.core.errors import ConfigError, DataError
from dougong.data import as_source, check_lengths, split_validation, unpack_batch, unpack_validation
from dougong.data.weights import class_weights

RNG = np.random.default_rng(0)


def first(*args, **options):
    return next(iter(as_source(*args, **options).epoch(0)))


def keras_batches(x, y=None, sample_weight=None, batch_size=4, class_weight=None):
    """What the real Keras hands to its torch trainer, unshuffled."""
    from keras.src.trainers.data_adapters import get_data_adapter

    adapter = get_data_adapter(x, y, sample_weight, batch_size=batch_size, class_weight=class_weight)
    return [unpack_batch(batch) for batch in adapter.get_torch_dataloader()]


def same(got, want, because):
    if want is None:
        assert got is None, because
    elif isinstance(want, dict):
        assert got.keys() == want.keys(), because
        for key in want:
            same(got[key], want[key], because)
    elif isinstance(want, list | tuple):
        assert len(got) == len(want), because
        for a, b in zip(got, want):
            same(a, b, because)
    else:
        assert got.dtype == want.dtype, f"{because}: {got.dtype}, want {want.dtype}"
        close(got, want.cpu(), because=because, tolerance=0.0)


ARRAYS = {
    "float32": RNG.random((10, 3), dtype=np.float32),
    "float64": RNG.random((10, 3)),
    "float16": RNG.random((10, 3)).astype(np.float16),
    "int64": RNG.integers(0, 5, (10, 3)),
    "int32": RNG.integers(0, 5, (10, 3), dtype=np.int32),
    "uint8": RNG.integers(0, 5, (10, 3), dtype=np.uint8),
    "bool": RNG.random((10, 3)) > 0.5,
    "fortran": np.asfortranarray(RNG.random((10, 3))),
    "reversed": RNG.random((10, 3), dtype=np.float32)[::-1],
    "strided": RNG.random((20, 6), dtype=np.float32)[::2, ::2],
    "torch64": torch.rand(10, 3, dtype=torch.float64),
    "torch16": torch.rand(10, 3).to(torch.bfloat16),
    "torch int": torch.arange(30).reshape(10, 3),
    "frame": pd.DataFrame(RNG.random((10, 3)), columns=["a", "b", "c"]),
    "frame of ints": pd.DataFrame(RNG.integers(0, 5, (10, 3))),
    "mixed frame": pd.DataFrame({"a": RNG.random(10), "b": np.arange(10)}),
    "series": pd.Series(RNG.random(10)),
    "int series": pd.Series(np.arange(10)),
    "vector": RNG.random(10),
}


@pytest.mark.parametrize("kind", ARRAYS)
def test_arrays_become_what_keras_makes_of_them(kind):
    x = ARRAYS[kind]
    for number, (got, want) in enumerate(zip(as_source(x, x, batch_size=4).epoch(0), keras_batches(x, x), strict=True)):
        same(got, want, f"{kind}, batch {number}")


@pytest.mark.parametrize(
    "x, y",
    [
        ([ARRAYS["float64"], ARRAYS["int64"]], ARRAYS["vector"]),
        ((ARRAYS["float64"], ARRAYS["uint8"]), [ARRAYS["vector"], ARRAYS["int64"]]),
        ({"a": ARRAYS["float32"], "b": [ARRAYS["vector"], ARRAYS["bool"]]}, {"out": ARRAYS["int64"]}),
    ],
)
def test_structures_are_kept_as_keras_keeps_them(x, y):
    weights = np.arange(10.0)
    for got, want in zip(as_source(x, y, weights, batch_size=4).epoch(0), keras_batches(x, y, weights), strict=True):
        same(got, want, "nested")


@pytest.mark.parametrize("kind", ["reversed", "strided", "fortran", "frame", "float64"])
def test_shuffling_gathers_any_layout(kind):
    x = ARRAYS[kind]
    plain = np.asarray(x, dtype=np.float32)
    source = as_source(x, np.arange(10), batch_size=4, shuffle=True, seed=1)
    for got, rows, _ in source.epoch(0):
        close(got, plain[rows.numpy()], because=kind, tolerance=0.0)


@pytest.mark.parametrize("dtype", [np.uint16, np.uint32, np.uint64, ">i4", ">f4", np.longdouble])
def test_dtypes_torch_lacks_keep_their_values(dtype):
    x = np.arange(6).reshape(3, 2).astype(dtype)
    got = first(x)[0]
    close(got, x.astype(np.float64), because=str(dtype), tolerance=0.0)
    assert got.is_floating_point() == (np.dtype(dtype).kind == "f")


def test_floats_become_the_dtype_asked_for():
    assert first(ARRAYS["float32"], dtype=torch.float64)[0].dtype == torch.float64
    assert first(ARRAYS["float64"], dtype=None)[0].dtype == torch.float64
    assert first(ARRAYS["float64"], ARRAYS["int64"], dtype=torch.float64)[1].dtype == torch.int64


def test_other_array_types_and_plain_numbers():
    close(first(jnp.arange(6.0).reshape(3, 2))[0], np.arange(6).reshape(3, 2), because="jax")
    x, y, _ = first([[0.0, 1.0], [1.0, 0.0]], [1, 0])
    assert (x.tolist(), y.tolist()) == ([[0.0, 1.0], [1.0, 0.0]], [1, 0])
    assert first([1, 2, 3])[0].tolist() == [1, 2, 3]


def test_nullable_and_boolean_columns():
    frame = pd.DataFrame({"a": pd.array([1, None, 3], dtype="Int64"), "b": [True, False, True]})
    close(first(frame)[0], [[1.0, 1.0], [np.nan, 0.0], [3.0, 1.0]], because="nullable integers and booleans")


def test_read_only_arrays_are_not_shared():
    x = np.ones((4, 2), dtype=np.float32)
    x.flags.writeable = False
    assert first(x, batch_size=4)[0].data_ptr() != x.ctypes.data


def test_a_mapped_file_is_shared(tmp_path):
    np.save(tmp_path / "x.npy", np.arange(8, dtype=np.float32).reshape(4, 2))
    x = np.load(tmp_path / "x.npy", mmap_mode="r")
    assert first(x, batch_size=4)[0].data_ptr() == x.ctypes.data


def test_tensors_with_gradients_come_without():
    assert not first(torch.ones(2, 2, requires_grad=True))[0].requires_grad


@pytest.mark.parametrize(
    "x, message",
    [
        ("abc", "x is a str; give a NumPy array"),
        (None, "x is None; give"),
        (3, "x is a int; give"),
        ([], "x is an empty list"),
        ({"a": "text"}, r"x\['a'\] is a str"),
        (np.array(["a", "b"]), "x holds text .*'a'.*return_inverse"),
        (np.array([[1], [1, 2]], dtype=object), "Python objects.*differ in shape"),
        (np.array([1, None], dtype=object), r"NoneType.*astype\('float32'\)"),
        (np.zeros((0, 3)), "x has no rows"),
        (np.float32(3.0), "x is a single number"),
        (np.array(["2020-01-01"], dtype="datetime64[D]"), "datetime64"),
        (pd.DataFrame({"a": [1], "name": ["x"]}), r"not numbers: 'name'"),
        (scipy.sparse.eye(3).tocsr(), r"sparse matrix.*x\.toarray\(\)"),
        (torch.eye(3).to_sparse(), r"sparse tensor.*x\.to_dense\(\)"),
        (np.array([2**64 - 1], dtype=np.uint64), "torch cannot hold"),
        ([[1.0, 2.0], [3.0]], "rows of different length"),
    ],
)
def test_refusals_say_what_came_and_what_to_do(x, message):
    with pytest.raises(DataError, match=message):
        as_source(x)


def test_lengths_that_differ_are_listed():
    with pytest.raises(DataError, match=r"x\['a'\] has 4 rows, x\['b'\] has 4 rows, y has 3 rows"):
        as_source({"a": np.zeros(4), "b": np.zeros(4)}, np.zeros(3))
    with pytest.raises(DataError, match="sample_weight has 5 rows"):
        as_source(np.zeros(4), np.zeros(4), np.zeros(5))
    assert check_lengths(np.zeros((7, 2)), None, None) == 7


@pytest.mark.parametrize(
    "options", [{"batch_size": 0}, {"batch_size": 2.5}, {"steps_per_epoch": -1}, {"batch_size": True}]
)
def test_counts_are_checked(options):
    with pytest.raises(ConfigError, match="whole number of at least 1"):
        as_source(np.zeros((4, 1)), **options)


def test_batch_size_follows_from_the_steps():
    source = as_source(np.zeros((10, 1)), steps_per_epoch=4)
    assert (source.batch_size, source.num_batches) == (3, 4)
    assert as_source(np.zeros((100, 1))).batch_size == 32


@pytest.mark.parametrize(
    "y",
    [np.array([0, 1, 2, 1]), np.array([[0], [2], [1], [1]]), np.eye(3)[[0, 2, 2, 1]], np.array([0.0, 1.0, 1.0, 0.0])],
)
def test_class_weights_are_keras_s(y):
    weights = {0: 0.5, 2: 3.0}
    (_, _, want), *_ = keras_batches(np.zeros((4, 1)), y, class_weight=weights)
    got = first(np.zeros((4, 1)), y, class_weight=weights)[2]
    same(got, want, "class weights")


def test_class_weights_multiply_sample_weights():
    got = first(np.zeros((3, 1)), np.array([0, 1, 1]), np.array([1.0, 2.0, 3.0]), class_weight={1: 10.0})[2]
    close(got, [1.0, 20.0, 30.0], because="Keras 2 multiplied the two")
    column = first(np.zeros((3, 1)), np.array([0, 1, 1]), np.ones((3, 1)), class_weight={1: 10.0})[2]
    assert column.shape == (3, 1)


@pytest.mark.parametrize("weights", [[1.0, 2.0], {"a": "b"}, {0: -1.0}, {0: float("nan")}])
def test_class_weights_must_be_a_mapping_of_numbers(weights):
    with pytest.raises(ConfigError, match="class_weight must"):
        as_source(np.zeros((2, 1)), np.zeros(2), class_weight=weights)


def test_class_weights_need_one_output():
    with pytest.raises(DataError, match="one output only"):
        as_source(np.zeros((2, 1)), [np.zeros(2), np.zeros(2)], class_weight={0: 1.0})
    with pytest.raises(DataError, match="no targets"):
        as_source(np.zeros((2, 1)), class_weight={0: 1.0})
    with pytest.raises(DataError, match="one-hot"):
        class_weights(torch.zeros(2, 3, 4), {0: 1.0})


def test_sample_weights_must_match_several_outputs():
    y = [np.zeros(2), np.zeros(2)]
    with pytest.raises(DataError, match="must nest like y"):
        as_source(np.zeros((2, 1)), y, [np.zeros(2)])
    with pytest.raises(DataError, match=r"must have shape \(N,\)"):
        as_source(np.zeros((2, 1)), y, np.zeros((2, 3)))


@pytest.mark.parametrize("fraction", [0.1, 0.25, 0.3, 0.5, 0.8])
@pytest.mark.parametrize("size", [7, 10, 150])
def test_validation_split_is_keras_s(size, fraction):
    from keras.src.trainers.data_adapters.array_slicing import train_validation_split

    x, y = np.arange(size), {"a": np.arange(size) * 2, "b": pd.Series(np.arange(size))}
    want_train, want_val = train_validation_split((x, y["a"]), fraction)
    (train, train_y, _), (val, val_y, _) = split_validation(x, y, None, fraction)
    close(train, want_train[0], because="train")
    close(val, want_val[0], because="val")
    close(val_y["a"], want_val[1], because="targets go with inputs")
    assert (len(train_y["b"]), len(val_y["b"])) == (len(train), len(val))


def test_validation_split_refuses():
    with pytest.raises(DataError, match="leaves one part empty"):
        split_validation(np.zeros(1), None, None, 0.5)
    with pytest.raises(DataError, match="needs arrays"):
        split_validation(iter([]), None, None, 0.5)
    with pytest.raises(ConfigError, match="between 0 and 1"):
        split_validation(np.zeros(4), None, None, 1.0)


def test_unpacking():
    assert unpack_validation((1, 2)) == (1, 2, None)
    assert unpack_validation("source") == ("source", None, None)
    assert unpack_batch([1, 2, 3]) == keras.utils.unpack_x_y_sample_weight([1, 2, 3])
    with pytest.raises(DataError, match="got a tuple of 4"):
        unpack_batch((1, 2, 3, 4))


def test_peek_takes_nothing_away():
    source = as_source(np.arange(5.0), batch_size=2, shuffle=True)
    assert source.peek()[0].tolist() == [0.0, 1.0]
    assert sum(len(x) for x, _, _ in source.epoch(0)) == 5
    assert as_source(source) is source
