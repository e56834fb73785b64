"""Folders of pictures, texts and sounds as data sets: files, labels and pixels of the real Keras."""

from __future__ import annotations

import os
import sys
import wave
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from keras.src.utils import dataset_utils, image_dataset_utils
from PIL import Image

import dougong as dg
from closeness import close
from dougong.core.errors import ConfigError, DataError, UnknownNameError
from dougong.data.audio_folders import audio_dataset_from_directory
from dougong.data.picture_folders import image_dataset_from_directory
from dougong.data.sound_files import read_wave, resampled
from dougong.data.text_folders import text_dataset_from_directory

PICTURES = (".bmp", ".gif", ".jpeg", ".jpg", ".png")
REAL = Path(__file__).parents[2] / "shared" / "data" / "cifar10_jpg"


def save(path: Path, height: int, width: int, mode: str = "RGB", seed: int = 0) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    channels = {"L": 1, "RGB": 3, "RGBA": 4, "CMYK": 4}[mode]
    pixels = np.random.default_rng(seed).integers(0, 256, (height, width, channels), dtype=np.uint8)
    Image.fromarray(pixels.squeeze(), mode=None if mode != "CMYK" else "CMYK").save(path)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three classes, pictures of many sizes and modes, some in folders below; other files between them."""
    found = tmp_path_factory.mktemp("pictures")
    for name in ("cat", "dog", "emu"):
        for i in range(5):
            mode = ("L", "RGB", "RGBA")[i % 3]
            save(
                found / name / ("deep" if i == 2 else "") / f"p{i}.{'png' if i % 2 else 'bmp'}",
                20 + 7 * i,
                50 - 6 * i,
                mode,
                i,
            )
        (found / name / "notes.md").write_text("no picture")
    (found / ".hidden").mkdir()
    save(found / "loose.PNG", 9, 9)
    (found / "elsewhere.jpg").symlink_to(found / "loose.PNG")
    return found


def listed(folder: Path, **options: Any) -> Any:
    return dataset_utils.index_directory(str(folder), formats=PICTURES, verbose=False, **options)


@pytest.mark.parametrize(
    "options",
    [
        {"shuffle": False},
        {"seed": 3},
        {"seed": 4, "class_names": ["emu", "cat"]},
        {"shuffle": False, "labels": None},
        {"seed": 1, "labels": tuple(range(17, 0, -1))},
    ],
    ids=str,
)
def test_files_labels_and_their_order_are_keras(folder: Path, options: dict[str, Any]) -> None:
    given = options.get("labels", "inferred")
    given = list(given) if isinstance(given, tuple) else given  # Keras shuffles the very list
    paths, labels, names = listed(folder, **{**options, "labels": given})
    ours = image_dataset_from_directory(folder, image_size=8, verbose=False, batch_size=None, **options)
    assert ours.file_paths == paths
    assert ours.class_names == names
    if labels is not None:
        found = ours.map(lambda x, y: y)
        found.shuffle = False
        assert [int(y) for y in found] == [int(label) for label in labels]


@pytest.mark.parametrize("subset", ["training", "validation", "both"])
def test_the_parts_are_keras_parts_and_share_no_file(folder: Path, subset: str) -> None:
    paths, labels, _ = listed(folder, labels="inferred", seed=7)
    options = {"image_size": 8, "verbose": False, "seed": 7, "validation_split": 0.3}
    found = image_dataset_from_directory(folder, subset=subset, **options)
    parts = found if subset == "both" else [found]
    names = ["training", "validation"] if subset == "both" else [subset]
    for part, name in zip(parts, names, strict=True):
        assert part.file_paths == dataset_utils.get_training_or_validation_split(paths, labels, 0.3, name)[0]
    if subset == "both":
        assert not set(parts[0].file_paths) & set(parts[1].file_paths)
        assert not parts[1].shuffle


@pytest.mark.parametrize("color_mode", ["rgb", "grayscale", "rgba"])
@pytest.mark.parametrize(
    "options",
    [
        {},
        {"interpolation": "nearest", "image_size": (40, 12)},
        {"interpolation": "bicubic", "crop_to_aspect_ratio": True, "image_size": (16, 40)},
        {"pad_to_aspect_ratio": True, "image_size": (40, 16)},
        {"data_format": "channels_first"},
    ],
    ids=str,
)
def test_pixels_are_those_of_keras(folder: Path, color_mode: str, options: dict[str, Any]) -> None:
    options = {"image_size": (16, 16), **options}
    ours = image_dataset_from_directory(
        folder, shuffle=False, verbose=False, batch_size=None, color_mode=color_mode, **options
    )
    arguments = {"interpolation": "bilinear", "data_format": "channels_last", **options}
    channels = {"rgb": 3, "grayscale": 1, "rgba": 4}[color_mode]
    for path, (pixels, _) in zip(ours.file_paths, ours, strict=True):
        theirs = image_dataset_utils._load_image_grain(path, num_channels=channels, **arguments)
        assert pixels.dtype == theirs.dtype == torch.float32
        close(pixels, theirs, because=path, tolerance=0)


@pytest.mark.parametrize(
    ("label_mode", "shape", "dtype"), [("int", (15,), torch.int32), ("categorical", (15, 3), torch.float32)]
)
def test_labels_have_keras_shapes(folder: Path, label_mode: str, shape: tuple[int, ...], dtype: torch.dtype) -> None:
    ((pictures, labels),) = image_dataset_from_directory(folder, label_mode=label_mode, image_size=8, verbose=False)
    assert (pictures.shape, labels.shape, labels.dtype) == ((15, 8, 8, 3), shape, dtype)
    classes = labels.argmax(1) if label_mode == "categorical" else labels
    assert sorted(classes.tolist()) == [0] * 5 + [1] * 5 + [2] * 5
    (binary,) = image_dataset_from_directory(
        folder, label_mode="binary", class_names=["dog", "emu"], image_size=8, verbose=False
    )
    assert (binary[1].shape, binary[1].dtype) == ((10, 1), torch.float32)
    (alone,) = image_dataset_from_directory(folder, label_mode=None, image_size=8, verbose=False).take(1)
    assert alone.shape == (17, 8, 8, 3)  # with the loose one, and the link to it


def test_what_is_found_is_told_unless_it_shall_not(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    image_dataset_from_directory(folder, image_size=8, seed=1, validation_split=0.2, subset="both")
    assert capsys.readouterr().out == (
        "Found 15 files belonging to 3 classes.\nUsing 12 files for training.\nUsing 3 files for validation.\n"
    )
    image_dataset_from_directory(folder, image_size=8, labels=None, verbose=False)
    assert capsys.readouterr().out == ""


def test_links_are_followed_only_when_asked(tmp_path: Path) -> None:
    save(tmp_path / "away" / "1.png", 4, 4)
    save(tmp_path / "data" / "a" / "2.png", 4, 4)
    (tmp_path / "data" / "a" / "link").symlink_to(tmp_path / "away")
    for follow in (False, True):
        paths, *_ = listed(tmp_path / "data", labels="inferred", follow_links=follow, shuffle=False)
        ours = image_dataset_from_directory(tmp_path / "data", shuffle=False, follow_links=follow, verbose=False)
        assert ours.file_paths == paths
        assert len(paths) == 1 + follow


# ── Batches ─────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_each_pass_has_its_own_order_and_a_seed_repeats_it(folder: Path) -> None:
    passes = []
    for _ in range(2):
        dataset = image_dataset_from_directory(folder, image_size=8, batch_size=4, seed=5, verbose=False)
        assert len(dataset) == 4
        passes.append([torch.cat([x.sum((1, 2, 3)) for x, _ in dataset]).tolist() for _ in range(2)])
    assert passes[0] == passes[1]
    assert passes[0][0] != passes[0][1]
    assert sorted(passes[0][0]) == sorted(passes[0][1])


def test_the_words_of_tf_data(folder: Path) -> None:
    dataset = image_dataset_from_directory(folder, image_size=8, batch_size=4, shuffle=False, verbose=False)
    whole = list(dataset)
    assert [len(y) for _, y in dataset.take(2)] == [4, 4]
    assert [len(y) for _, y in dataset.skip(3)] == [3]
    scaled = dataset.map(lambda x, y: (x / 255, y)).prefetch(2)
    for (x, _), (want, _) in zip(scaled, whole, strict=True):
        close(x, want / 255, because="map", tolerance=0)
    kept = dataset.cache()
    for _ in range(2):
        for (x, y), (want, label) in zip(kept, whole, strict=True):
            close(x, want, because="cache", tolerance=0)
            assert y.tolist() == label.tolist()
    with pytest.raises(ConfigError, match="batch_size"):
        image_dataset_from_directory(folder, batch_size=0, verbose=False)


@pytest.mark.filterwarnings("ignore:os.fork")  # another test in the process may have loaded JAX, which warns
@pytest.mark.skipif(sys.platform != "linux", reason="processes are forked")
def test_worker_processes_give_the_same(folder: Path) -> None:
    dataset = image_dataset_from_directory(folder, image_size=8, batch_size=6, shuffle=False, verbose=False)
    loader = torch.utils.data.DataLoader(dataset, batch_size=None, num_workers=1, multiprocessing_context="fork")
    for (x, _), (want, _) in zip(loader, dataset, strict=True):
        close(x, want, because="loader", tolerance=0)


def test_fit_evaluate_and_predict_take_them(folder: Path) -> None:
    train, held_out = image_dataset_from_directory(
        folder, image_size=8, batch_size=4, seed=2, validation_split=0.2, subset="both", verbose=False
    )
    model = dg.Sequential([dg.Input((8, 8, 3)), dg.layers.Rescaling(1 / 255), dg.layers.Flatten(), dg.layers.Dense(3)])
    loss = dg.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile("adam", loss, metrics=["accuracy"])
    history = model.fit(train, epochs=2, validation_data=held_out, class_weight={0: 1.0, 1: 2.0, 2: 1.0}, verbose=0)
    assert len(history.history["val_accuracy"]) == 2
    assert train.passes == 2
    model.fit(train, epochs=1, verbose=0)
    assert train.passes == 3  # the next fit goes on
    assert model.predict(held_out, verbose=0).shape == (3, 3)
    assert len(model.evaluate(held_out, verbose=0)) == 2
    single = image_dataset_from_directory(folder, image_size=8, batch_size=None, verbose=False)
    assert model.fit(single, batch_size=5, verbose=0).params["steps"] == 3


@pytest.mark.skipif(not REAL.exists(), reason="the real pictures are not here")
def test_real_pictures() -> None:
    dataset = image_dataset_from_directory(REAL, labels=None, image_size=32, batch_size=16, verbose=False)
    x = next(iter(dataset))
    assert x.shape[1:] == (32, 32, 3)
    assert 20 < float(x.mean()) < 235


# ── Wrong input ─────────────────────────────────────────────────────────────────────────────────────────────────────


def test_folders_that_do_not_serve_are_told_with_the_next_step(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "train").mkdir()
    with pytest.raises(DataError, match=r"trian: there is no such folder; did you mean .*train\?"):
        image_dataset_from_directory(tmp_path / "trian")
    with pytest.raises(
        DataError, match=r"train holds neither class folders nor pictures .*put each class into a folder"
    ):
        image_dataset_from_directory(tmp_path / "train")
    save(tmp_path / "train" / "1.png", 4, 4)
    with pytest.raises(DataError, match=r"holds 1 pictures but no class folders with any: .* or pass labels=None"):
        image_dataset_from_directory(tmp_path / "train")
    with pytest.raises(DataError, match=r"1\.png is a file; give the folder"):
        image_dataset_from_directory(tmp_path / "train" / "1.png")
    save(tmp_path / "train" / "cat" / "1.png", 4, 4)
    image_dataset_from_directory(tmp_path / "train", verbose=False)
    assert "holds one class only, 'cat'; where there are no classes pass labels=None" in caplog.text
    with pytest.raises(ConfigError, match=r"has no class folder 'cot'; did you mean 'cat'\?"):
        image_dataset_from_directory(tmp_path / "train", class_names=["cot"])
    with pytest.raises(ConfigError, match=r"needs two classes; .* has 1: cat"):
        image_dataset_from_directory(tmp_path / "train", label_mode="binary", verbose=False)
    with pytest.raises(DataError, match="leaves one part empty"):
        image_dataset_from_directory(tmp_path / "train", validation_split=0.1, subset="training", seed=1, verbose=False)
    with pytest.raises(DataError, match=r"labels has 3 entries, but .* holds 2 pictures"):
        image_dataset_from_directory(tmp_path / "train", labels=[1, 2, 3], verbose=False)


@pytest.mark.parametrize(
    ("wrong", "match"),
    [
        ({"labels": "cat"}, "labels must be"),
        ({"labels": [1], "class_names": ["a"]}, "class_names"),
        ({"label_mode": "onehot"}, "label_mode"),
        ({"color_mode": "bgr"}, "color_mode"),
        ({"image_size": (1, 2, 3)}, "image_size"),
        ({"image_size": (0, 5)}, "image_size"),
        ({"interpolation": "area"}, "interpolation"),
        ({"crop_to_aspect_ratio": True, "pad_to_aspect_ratio": True}, "not both"),
        ({"validation_split": 2.0, "subset": "training"}, "validation_split"),
        ({"validation_split": 0.2}, "go together"),
        ({"validation_split": 0.2, "subset": "test"}, "subset"),
        ({"validation_split": 0.2, "subset": "training"}, "needs a seed"),
        ({"format": "jax"}, "format"),
    ],
)
def test_wrong_arguments(folder: Path, wrong: dict[str, Any], match: str) -> None:
    with pytest.raises((ConfigError, UnknownNameError), match=match):
        image_dataset_from_directory(folder, **wrong)


def test_broken_and_unusual_pictures(tmp_path: Path) -> None:
    save(tmp_path / "a" / "cmyk.jpg", 6, 8, "CMYK")
    deep = (np.arange(48).reshape(6, 8) * 1000).astype("uint16")
    Image.fromarray(deep).save(tmp_path / "a" / "deep.png")
    dataset = image_dataset_from_directory(tmp_path, image_size=(6, 8), shuffle=False, verbose=False, batch_size=None)
    (cmyk, _), (sixteen, _) = dataset
    assert cmyk.shape == (6, 8, 3)
    close(sixteen[..., 0], deep >> 8, because="sixteen bits", tolerance=0)
    (tmp_path / "a" / "broken.png").write_bytes((tmp_path / "a" / "deep.png").read_bytes()[:60])
    (tmp_path / "a" / "text.jpg").write_text("no picture")
    for name in ("broken.png", "text.jpg"):
        with pytest.raises(DataError, match=f"{name} cannot be read as a picture .* replace or delete it"):
            list(image_dataset_from_directory(tmp_path, image_size=6, shuffle=False, verbose=False))
        (tmp_path / "a" / name).unlink()
    (tmp_path / "a" / "deep.png").unlink()
    with pytest.raises(DataError, match="there is no such picture any more"):
        list(dataset)


@pytest.mark.skipif(os.name == "nt" or os.geteuid() == 0, reason="root reads everything")
def test_a_file_that_may_not_be_read(tmp_path: Path) -> None:
    save(tmp_path / "a" / "1.png", 4, 4)
    (tmp_path / "a" / "1.png").chmod(0)
    with pytest.raises(DataError, match="Permission denied"):
        list(image_dataset_from_directory(tmp_path, verbose=False))


# ── Texts ───────────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.fixture
def texts(tmp_path: Path) -> Path:
    for name in ("good", "bad"):
        (tmp_path / name).mkdir()
        for i in range(3):
            (tmp_path / name / f"{i}.txt").write_bytes(f"a {name} text\r\nnumber {i}: é".encode())
    return tmp_path


def test_texts_are_keras_texts(texts: Path) -> None:
    paths, labels, names = dataset_utils.index_directory(str(texts), "inferred", (".txt",), seed=2, verbose=False)
    dataset = text_dataset_from_directory(texts, seed=2, batch_size=4, verbose=False)
    assert (dataset.file_paths, dataset.class_names) == (paths, names)
    found = {text: int(label) for batch, numbers in dataset for text, label in zip(batch, numbers)}
    assert found == {Path(path).read_text(): int(label) for path, label in zip(paths, labels)}
    (batch,) = text_dataset_from_directory(texts, label_mode=None, max_length=5, shuffle=False, verbose=False)
    assert isinstance(batch, np.ndarray)
    assert batch.tolist() == ["a bad"] * 3 + ["a goo"] * 3
    single = next(iter(text_dataset_from_directory(texts, batch_size=None, shuffle=False, verbose=False)))
    assert single[0].startswith("a bad text\nnumber 0")


def test_text_that_is_none(texts: Path) -> None:
    (texts / "good" / "9.txt").write_bytes(b"caf\xe9")
    with pytest.raises(DataError, match=r"9\.txt is not UTF-8 text .*at byte 3\); convert or delete it"):
        list(text_dataset_from_directory(texts, verbose=False))


# ── Sounds ──────────────────────────────────────────────────────────────────────────────────────────────────────────


def save_wave(path: Path, values: np.ndarray, width: int = 2, rate: int = 8000) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    scaled = np.round(values * 2 ** (8 * width - 1)).astype("int64")
    data = (scaled + 128).astype("uint8").tobytes() if width == 1 else b"".join(
        int(v).to_bytes(width, "little", signed=True) for v in scaled.ravel()
    )  # fmt: skip
    with wave.open(str(path), "wb") as file:
        file.setnchannels(values.shape[1])
        file.setsampwidth(width)
        file.setframerate(rate)
        file.writeframes(data)


@pytest.mark.parametrize("width", [1, 2, 3, 4])
@pytest.mark.parametrize("channels", [1, 2])
def test_waves_of_every_width(width: int, channels: int, tmp_path: Path) -> None:
    values = np.random.default_rng(1).uniform(-1, 0.99, (50, channels))
    values[0] = -1.0
    save_wave(tmp_path / "a.wav", values, width, 44100)
    sound, rate = read_wave(tmp_path / "a.wav")
    assert (rate, sound.dtype, float(sound.min())) == (44100, torch.float32, -1.0)
    close(sound, values, because="samples", tolerance=2.0 ** (1 - 8 * min(width, 3)))


def test_sounds_are_padded_cut_and_labelled(tmp_path: Path) -> None:
    lengths = {"high": (30, 50), "low": (40,)}
    for name, counts in lengths.items():
        for i, count in enumerate(counts):
            save_wave(tmp_path / name / f"{i}.wav", np.full((count, 1), 0.5))
    ((sounds, labels),) = audio_dataset_from_directory(tmp_path, shuffle=False, verbose=False)
    assert (sounds.shape, labels.tolist()) == ((3, 50, 1), [0, 0, 1])
    assert [int((sound != 0).sum()) for sound in sounds] == [30, 50, 40]
    ((sounds, _),) = audio_dataset_from_directory(tmp_path, output_sequence_length=35, shuffle=False, verbose=False)
    assert [int((sound != 0).sum()) for sound in sounds] == [30, 35, 35]
    ((sounds, _),) = audio_dataset_from_directory(tmp_path, sampling_rate=16000, shuffle=False, verbose=False)
    assert sounds.shape == (3, 100, 1)
    one, _ = next(iter(audio_dataset_from_directory(tmp_path, batch_size=None, shuffle=False, verbose=False)))
    assert one.shape == (30, 1)


def test_wrong_sounds(tmp_path: Path) -> None:
    save_wave(tmp_path / "a" / "1.wav", np.zeros((9, 1)))
    save_wave(tmp_path / "a" / "2.wav", np.zeros((9, 2)))
    with pytest.raises(DataError, match=r"1\.wav has 1 channels, .*2\.wav has 2"):
        list(audio_dataset_from_directory(tmp_path, shuffle=False, verbose=False))
    (tmp_path / "a" / "1.wav").write_bytes(b"RIFF")
    with pytest.raises(DataError, match=r"1\.wav cannot be read as WAV \(it ends too early\); save it as plain PCM"):
        list(audio_dataset_from_directory(tmp_path, shuffle=False, verbose=False))
    with pytest.raises(ConfigError, match="torch has no ragged"):
        audio_dataset_from_directory(tmp_path, ragged=True)
    with pytest.raises(ConfigError, match="sampling_rate"):
        audio_dataset_from_directory(tmp_path, sampling_rate=0)
    with pytest.raises(DataError, match="there is no such sound"):
        read_wave(tmp_path / "none.wav")


@pytest.mark.parametrize(("rate", "new_rate"), [(8000, 16000), (16000, 8000), (44100, 16000), (8000, 11025)])
def test_a_tone_stays_the_tone_at_another_rate(rate: int, new_rate: int) -> None:
    seconds, pitch = 0.25, 440.0
    before = torch.sin(2 * torch.pi * pitch * torch.arange(int(seconds * rate)) / rate)[:, None]
    after = resampled(torch.cat([before, -before], 1), rate, new_rate)
    want = torch.sin(2 * torch.pi * pitch * torch.arange(len(after)) / new_rate)
    middle = slice(len(after) // 8, -len(after) // 8)  # silence before and after rounds the ends off
    close(after[middle, 0], want[middle], because="tone", tolerance=2e-3)
    close(after[middle, 1], -want[middle], because="second channel", tolerance=2e-3)


def test_what_a_lower_rate_cannot_hold_is_taken_away() -> None:
    high = torch.sin(2 * torch.pi * 7000 * torch.arange(4000) / 16000)[:, None]
    assert resampled(high, 16000, 8000)[200:-200].abs().max() < 2e-3
