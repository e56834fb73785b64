"""``keras.utils`` and ``keras.preprocessing`` against the real Keras."""

from __future__ import annotations

import importlib
import inspect
import io
import types
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
import torch
from PIL import Image

import dougong as dg
import dougong.keras.preprocessing as preprocessing
import dougong.keras.utils as utils
from closeness import close
from dougong.core.errors import BuildError, ConfigError, DataError, NotOfferedError, ShapeError, UnknownNameError

MODULES = [
    "utils",
    "utils.bounding_boxes",
    "preprocessing",
    "preprocessing.image",
    "preprocessing.sequence",
    "visualization",
]
REFUSED = {"FeatureSpace"}
# Where the words differ on purpose: Keras's `backend_module` is its own affair.
OTHER_ARGUMENTS = {"deserialize_keras_object", "serialize_keras_object", "CustomObjectScope", "custom_object_scope"}


@pytest.mark.parametrize("module", MODULES)
def test_every_public_name_is_there_with_keras_arguments(module: str) -> None:
    theirs, ours = (importlib.import_module(f"{root}.{module}") for root in ("keras", "dougong.keras"))
    for name in (name for name in dir(theirs) if not name.startswith("_") and name not in REFUSED):
        assert name in ours.__all__, f"{module}.{name}"
        one, other = getattr(theirs, name), getattr(ours, name)
        if isinstance(one, types.ModuleType) or name in OTHER_ARGUMENTS:
            continue
        rest = inspect.Parameter.VAR_KEYWORD
        want, got = (
            [(p.name, p.default) for p in inspect.signature(f).parameters.values() if p.kind is not rest]
            for f in (one, other)
        )
        assert got == want, f"{module}.{name}"


def test_what_is_refused_says_why() -> None:
    with pytest.raises(NotOfferedError, match="preprocessing layers"):
        _ = utils.FeatureSpace
    with pytest.raises(AttributeError, match="did you mean 'to_categorical'"):
        _ = utils.to_categorial


# ── Sequences ───────────────────────────────────────────────────────────────────────────────────────────────────────

RAGGED = [[1], [2, 3], [], [4, 5, 6, 7]]


@pytest.mark.parametrize("padding", ["pre", "post"])
@pytest.mark.parametrize("truncating", ["pre", "post"])
@pytest.mark.parametrize("maxlen", [None, 1, 3, 6])
def test_padding_equals_keras(padding: str, truncating: str, maxlen: int | None) -> None:
    options = {"padding": padding, "truncating": truncating, "maxlen": maxlen}
    vectors = [np.arange(2 * n).reshape(n, 2) for n in (1, 3, 2)]
    for sequences, more in (
        (RAGGED, {}),
        (RAGGED, {"value": -1.5, "dtype": "float32"}),
        (vectors, {}),
        ([["a"], ["b", "c"]], {"dtype": object, "value": "-"}),
        ([], {"maxlen": 2}),
    ):
        arguments = options | more
        ours, theirs = (k.pad_sequences(sequences, **arguments) for k in (utils, keras.utils))
        assert ours.dtype == theirs.dtype
        assert ours.tolist() == theirs.tolist()


def test_wrong_sequences() -> None:
    with pytest.raises(DataError, match="sequence 1 is 5, which is no sequence"):
        utils.pad_sequences([[1], 5])
    with pytest.raises(DataError, match="make a list of it"):
        utils.pad_sequences(iter([[1]]))
    with pytest.raises(DataError, match=r"items of sequence 1 have shape \(3,\), those before \(2,\)"):
        utils.pad_sequences([np.zeros((1, 2)), np.zeros((1, 3))])
    with pytest.raises(UnknownNameError, match="did you mean 'pre'"):
        utils.pad_sequences(RAGGED, padding="prae")
    with pytest.raises(ConfigError, match="dtype=object"):
        utils.pad_sequences([["a"]], value="-")


def windows_by_hand(data: np.ndarray, length: int, stride: int, rate: int, start: int, end: int) -> list[np.ndarray]:
    part = data[start:end]
    count = len(part) - (length - 1) * rate
    return [part[first : first + (length - 1) * rate + 1 : rate] for first in range(0, count, stride)]


@pytest.mark.parametrize("length", [1, 3, 7])
@pytest.mark.parametrize(("stride", "rate"), [(1, 1), (3, 2)])
@pytest.mark.parametrize(("start", "end"), [(None, None), (2, None), (0, 20), (3, 20)])
def test_windows_over_a_series(length: int, stride: int, rate: int, start: int | None, end: int | None) -> None:
    data, targets = np.arange(50.0).reshape(25, 2), np.arange(100, 125)
    options = {"sequence_length": length, "sequence_stride": stride, "sampling_rate": rate}
    dataset = utils.timeseries_dataset_from_array(
        data, targets, **options, batch_size=4, start_index=start, end_index=end
    )
    want = windows_by_hand(data, length, stride, rate, start or 0, end or 25)
    batches = list(dataset)
    assert len(dataset) == len(batches) == -(-len(want) // 4)
    close(torch.cat([x for x, _ in batches]), np.array(want), because="windows", tolerance=0)
    answers = torch.cat([y for _, y in batches])
    assert answers.tolist() == [int(window[0, 0]) // 2 + 100 for window in want]
    alone = list(utils.timeseries_dataset_from_array(data, None, **options, batch_size=None))
    assert alone[0].shape == (length, 2)


def test_windows_train_and_shuffle_by_seed() -> None:
    series = np.sin(np.arange(60) / 3).astype("float32")
    options = {"sequence_length": 8, "batch_size": 16, "shuffle": True, "seed": 4}
    first, second = (utils.timeseries_dataset_from_array(series[:-1, None], series[8:], **options) for _ in range(2))
    for (x, y), (again, same) in zip(first, second, strict=True):
        assert torch.equal(x, again)
        assert torch.equal(y, same)
    model = dg.Sequential([dg.Input((8, 1)), dg.layers.Flatten(), dg.layers.Dense(1)])
    model.compile("adam", "mse")
    losses = model.fit(first, epochs=8, verbose=0).history["loss"]
    assert losses[-1] < losses[0]


@pytest.mark.parametrize(
    ("wrong", "match"),
    [
        ({"start_index": -1}, "start_index must be from 0 to 9"),
        ({"end_index": 10}, "end_index"),
        ({"start_index": 5, "end_index": 5}, "end_index must be from 6"),
        ({"sampling_rate": 0}, "sampling_rate must be from 1"),
        ({"sequence_stride": 10}, "sequence_stride"),
        (
            {"sequence_length": 11},
            "no window fits: sequence_length=11 at sampling_rate=1 takes 11 steps, and there are 10",
        ),
    ],
)
def test_windows_that_do_not_fit(wrong: dict[str, Any], match: str) -> None:
    with pytest.raises(ConfigError, match=match):
        utils.timeseries_dataset_from_array(np.arange(10), None, **{"sequence_length": 2} | wrong)


# ── Parts ───────────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    "sizes",
    [(0.8, None), (None, 0.3), (3, None), (None, 4), (0.85, 0.15), (0.33, None)],
)
def test_parts_have_keras_sizes(sizes: tuple[Any, Any]) -> None:
    x, y = np.arange(20.0).reshape(10, 2), np.arange(10)
    for data in (x, [x, y], (x, y), torch.utils.data.TensorDataset(torch.from_numpy(x))):
        ours, theirs = (k.split_dataset(data, *sizes) for k in (utils, keras.utils))
        assert [len(part) for part in ours] == [len(part) for part in theirs]
        assert len(ours[0][0]) == len(theirs[0][0])
    left, right = utils.split_dataset([x, y], *sizes)
    assert [int(sample[1]) for sample in left] == list(range(len(left)))  # Keras shuffles even so
    assert [int(sample[1]) for sample in right] == list(range(10 - len(right), 10))


def test_parts_may_leave_samples_out() -> None:  # Keras on torch cannot
    left, right = utils.split_dataset(np.arange(10), 0.5, 0.2)
    assert [int(v) for (v,) in left] == [0, 1, 2, 3, 4]
    assert [int(v) for (v,) in right] == [8, 9]


def test_parts_of_shuffled_data_are_disjoint_and_repeat() -> None:
    y = np.arange(10)
    one, two = (utils.split_dataset(y, 0.6, shuffle=True, seed=3) for _ in range(2))
    assert [int(v) for (v,) in one[0]] == [int(v) for (v,) in two[0]]
    assert sorted(int(v) for part in one for (v,) in part) == list(range(10))
    assert [int(v) for (v,) in one[0]] != list(range(6))


def test_parts_of_batches_stay_batches() -> None:
    windows = utils.timeseries_dataset_from_array(np.arange(30), np.arange(30), 3, batch_size=5)
    left, right = utils.split_dataset(windows, left_size=0.75)
    assert [y.tolist() for _, y in right] == [[21, 22, 23, 24, 25], [26, 27]]
    assert (len(left), left.num_samples) == (5, 21)
    model = dg.Sequential([dg.Input((3,)), dg.layers.Dense(1)])
    model.compile("sgd", "mse")
    model.evaluate(utils.split_dataset([np.ones((9, 3), "float32"), np.ones(9, "float32")], 0.5)[0], verbose=0)


@pytest.mark.parametrize(
    "sizes",
    [(None, None), (0, 0), (1.5, None), (None, -2), (11, None), (0.8, 0.5), (8, 5), ("half", None), (0.01, None)],
)
def test_sizes_that_do_not_fit(sizes: tuple[Any, Any]) -> None:
    for k in (utils, keras.utils):
        with pytest.raises((ValueError, TypeError)):
            k.split_dataset(np.arange(10), *sizes)
    with pytest.raises(DataError, match="takes an array"):
        utils.split_dataset("text", 0.5)
    with pytest.raises(ConfigError, match="tensorflow"):
        utils.split_dataset(np.arange(10), 0.5, preferred_backend="tensorflow")


# ── Pictures ────────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("channels", [1, 3, 4])
@pytest.mark.parametrize("scale", [True, False])
@pytest.mark.parametrize("data_format", ["channels_last", "channels_first"])
def test_arrays_and_pictures_equal_keras(channels: int, scale: bool, data_format: str) -> None:
    x = np.random.default_rng(0).uniform(0, 200, (4, 5, channels))
    x = x.transpose(2, 0, 1) if data_format == "channels_first" else x
    ours, theirs = (k.array_to_img(x, data_format, scale) for k in (utils, keras.utils))
    assert ours.mode == theirs.mode
    assert np.array_equal(np.asarray(ours), np.asarray(theirs))
    for dtype in (None, "uint8"):
        back, want = (k.img_to_array(theirs, data_format, dtype) for k in (utils, keras.utils))
        assert back.dtype == want.dtype
        close(back, want, because="img_to_array", tolerance=0)
    assert utils.array_to_img(np.full((2, 2, 1), 300.0), scale=False).mode == "I"


@pytest.fixture
def pictures(tmp_path: Path) -> Path:
    pixels = np.random.default_rng(0).integers(0, 256, (12, 20, 4), dtype=np.uint8)
    Image.fromarray(pixels[..., :3]).save(tmp_path / "rgb.png")
    Image.fromarray(pixels).save(tmp_path / "rgba.png")
    Image.fromarray(pixels[..., 0]).save(tmp_path / "grey.png")
    Image.fromarray(pixels[..., 0].astype("uint16") * 200).save(tmp_path / "deep.png")
    Image.fromarray(pixels[..., :3]).save(tmp_path / "p.gif")
    return tmp_path


@pytest.mark.parametrize("name", ["rgb.png", "rgba.png", "grey.png", "p.gif", "deep.png"])
@pytest.mark.parametrize("color_mode", ["rgb", "rgba", "grayscale"])
@pytest.mark.parametrize(
    "options", [{}, {"target_size": (7, 9)}, {"target_size": (10, 4), "keep_aspect_ratio": True}], ids=str
)
def test_loading_equals_keras(name: str, color_mode: str, options: dict[str, Any], pictures: Path) -> None:
    for interpolation in ("nearest", "bilinear", "lanczos") if options else ("nearest",):
        arguments = {"color_mode": color_mode, "interpolation": interpolation, **options}
        ours = utils.load_img(pictures / name, **arguments)
        if name == "deep.png" and color_mode != "grayscale":
            assert np.asarray(ours)[..., :3].max() < 255  # Keras cuts sixteen bits off at 255; here they are scaled
            continue
        theirs = keras.utils.load_img(pictures / name, **arguments)
        assert ours.mode == theirs.mode
        assert np.array_equal(np.asarray(ours), np.asarray(theirs))
    assert utils.load_img(io.BytesIO((pictures / name).read_bytes())).mode == "RGB"


def test_saving_equals_keras(tmp_path: Path) -> None:
    x = np.random.default_rng(0).uniform(0, 1, (6, 5, 3))
    for name, options in (
        ("a.png", {}),
        ("b.jpg", {"quality": 90}),
        ("c.bin", {"file_format": "bmp"}),
        ("d.png", {"scale": False}),
    ):
        for folder, k in (("ours", utils), ("theirs", keras.utils)):
            (tmp_path / folder).mkdir(exist_ok=True)
            k.save_img(tmp_path / folder / name, x, **options)
        assert (tmp_path / "ours" / name).read_bytes() == (tmp_path / "theirs" / name).read_bytes()
    with pytest.warns(UserWarning, match="JPEG holds no transparency"):
        utils.save_img(tmp_path / "e.jpg", np.zeros((3, 3, 4)))
    with pytest.raises(ConfigError, match="no picture can be written as 'xyz'"):
        utils.save_img(tmp_path / "e.xyz", x)


def test_wrong_pictures(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"none\.png: there is no such picture"):
        utils.load_img(tmp_path / "none.png")
    (tmp_path / "bad.png").write_bytes(b"\x89PNG no")
    with pytest.raises(DataError, match=r"bad\.png cannot be read as a picture .*open and save it anew"):
        utils.load_img(tmp_path / "bad.png")
    with pytest.raises(DataError, match=r"takes a path or io\.BytesIO, got a int"):
        utils.load_img(3)
    with pytest.raises(UnknownNameError, match="color_mode"):
        utils.load_img(tmp_path / "bad.png", color_mode="bgr")
    for wrong in (np.zeros((3, 3)), np.zeros((3, 3, 2)), np.zeros((1, 3, 3, 3))):
        with pytest.raises(ShapeError):
            utils.array_to_img(wrong)
    with pytest.raises(ShapeError, match="two or three axes"):
        utils.img_to_array(np.zeros(3))


@pytest.mark.parametrize("shape", [(20, 30, 3), (2, 31, 17, 1)])
@pytest.mark.parametrize("data_format", ["channels_last", "channels_first"])
@pytest.mark.parametrize("interpolation", ["bilinear", "nearest", "bicubic"])
def test_smart_resize_equals_keras(shape: tuple[int, ...], data_format: str, interpolation: str) -> None:
    x = np.random.default_rng(0).uniform(0, 255, shape).astype("float32")
    x = np.moveaxis(x, -1, -3) if data_format == "channels_first" else x
    arguments = {"size": (11, 13), "interpolation": interpolation, "data_format": data_format}
    ours, theirs = (k.image.smart_resize(x, **arguments) for k in (preprocessing, keras.preprocessing))
    assert isinstance(ours, np.ndarray)
    close(ours, theirs, because="smart_resize", tolerance=1e-5)
    assert isinstance(preprocessing.image.smart_resize(torch.from_numpy(x), **arguments), torch.Tensor)


# ── Small ones ──────────────────────────────────────────────────────────────────────────────────────────────────────


def test_packing_equals_keras() -> None:
    for x in (1, [1, 2], (1,), {"a": 1}):
        for rest in ((), (2,), (2, 3), (None, 3)):
            assert utils.pack_x_y_sample_weight(x, *rest) == keras.utils.pack_x_y_sample_weight(x, *rest)
    for data in (1, (1,), [1, 2], (1, 2, 3), {"a": 1}):
        assert utils.unpack_x_y_sample_weight(data) == keras.utils.unpack_x_y_sample_weight(data)
    with pytest.raises(DataError, match="x, y, sample_weight"):
        utils.unpack_x_y_sample_weight((1, 2, 3, 4))


def test_a_config_behaves_as_keras() -> None:
    seen = []
    for Config in (keras.utils.Config, utils.Config):
        config = Config(b=1, a="x")
        config.c, config["d"] = 3.5, [1]
        del config["b"]
        config.update({"e": None}, f=2)
        found = [
            dict(config.items()), list(config), list(config.keys()), len(config), "a" in config, config.get("none", 7),
            config.pop("f"), config.as_dict(), config.to_json(), repr(config), config.frozen, config.c,
        ]  # fmt: skip
        config.freeze()
        for change in (lambda: config.__setattr__("a", 1), lambda: config.update(a=1), lambda: config.pop("a")):  # noqa: B023
            with pytest.raises(ValueError, match="frozen"):
                change()
        with pytest.raises(AttributeError):
            _ = config.unknown
        config.unfreeze()
        config.a = 2
        seen.append([*found, config.a])
    theirs, ours = seen
    theirs[2], ours[2] = sorted(theirs[2]), sorted(ours[2])
    assert ours == theirs
    with pytest.raises(AttributeError, match="did you mean 'learning_rate'"):
        _ = utils.Config(learning_rate=1).learning_rte


def test_symbols_and_their_inputs() -> None:
    orders = []
    for k in (keras, dg):
        a, b, c = (k.Input((2,), name=name) for name in "abc")
        y = k.layers.Concatenate()([b, k.layers.Dense(2)(a)])
        orders.append([symbol.name for symbol in k.utils.get_source_inputs(y)])
    assert orders[1] == orders[0] == ["b", "a"]
    assert utils.get_source_inputs(c) == [c]
    model = dg.Model([a, b], y)
    assert set(utils.get_source_inputs(model([c, a]))) == {c, a}
    assert utils.is_keras_tensor(y)
    with pytest.raises(BuildError, match="made from no inputs"):
        utils.get_source_inputs(torch.zeros(2))
    for dtype in ("float32", "int64", None, bool, "bfloat16", np.float64):
        assert utils.standardize_dtype(dtype) == keras.utils.standardize_dtype(dtype)


def test_interactive_logging_governs_the_bar() -> None:
    from dougong.training.progress import Bar

    try:
        utils.disable_interactive_logging()
        assert not utils.is_interactive_logging_enabled()
        assert not Bar.for_verbosity("auto", 1)._live
    finally:
        utils.enable_interactive_logging()
    assert utils.is_interactive_logging_enabled()
