"""Folders of pictures: real ones, odd ones, damaged ones."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from closeness import close
from dougong.core.errors import DataError
from dougong.data import open_data, read_pictures

CIFAR = Path(__file__).parents[2] / "shared" / "data" / "cifar10_jpg"


def picture(path, size=(6, 4), mode="RGB", value=100, **options):
    """Write a plain picture; ``size`` is (height, width)."""
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new(mode, (size[1], size[0]), value).save(path, **options)
    return path


@pytest.fixture
def folder(tmp_path):
    for name in ("cat", "dog"):
        for number in range(3):
            picture(tmp_path / name / f"{number}.png", mode="L", value=10 * number)
    return tmp_path


@pytest.mark.skipif(not CIFAR.is_dir(), reason="the real pictures beside the project are absent")
def test_cifar():
    data = open_data(CIFAR)
    assert (data.inputs.shape, data.inputs.dtype, data.num_classes) == ((5000, 32, 32, 3), np.uint8, 10)
    assert data.class_names[:3] == ("airplane", "automobile", "bird")
    assert data.test is not None
    assert set(data.test.class_counts().values()) == {100}
    with Image.open(CIFAR / "train/cat/0003.jpg") as opened:
        close(data.inputs[3 * 500 + 3], np.asarray(opened), because="the fourth cat", tolerance=0.0)
    close(
        read_pictures([CIFAR / "train/cat/0003.jpg"], (32, 32), 3)[0], data.inputs[1503], because="alone", tolerance=0.0
    )


def test_grey_pictures_have_one_channel(folder):
    data = open_data(folder)
    assert (data.inputs.shape, data.class_names, data.targets.tolist()) == (
        (6, 6, 4, 1), ("cat", "dog"), [0, 0, 0, 1, 1, 1],
    )  # fmt: skip
    assert data.inputs[:3, 0, 0, 0].tolist() == [0, 10, 20]
    assert (data.input_range, data.notes) == ((0.0, 255.0), ())


def test_mixed_sizes_and_modes_are_noted(folder):
    picture(folder / "dog/9.png", size=(12, 8), value=(200, 0, 0))
    picture(folder / "dog/transparent.png", mode="RGBA", value=(0, 50, 0, 255))
    picture(folder / "dog/palette.gif", mode="P", value=0)
    data = open_data(folder)
    assert data.inputs.shape == (9, 6, 4, 3)
    notes = " ".join(data.notes)
    assert "1 of 9 pictures were resized to 6x4" in notes
    assert "6 of 9 pictures are grey and became RGB" in notes
    assert "1 RGBA" in notes
    assert (data.inputs[6, 0, 0].tolist(), data.inputs[8, 0, 0].tolist()) == ([200, 0, 0], [0, 50, 0])


def test_size_asked_for(folder):
    data = open_data(folder, size=(2, 3))
    assert data.input_shape == (2, 3, 1)
    assert "6 of 6 pictures were resized to 2x3" in data.notes[0]


def test_sixteen_bits_are_scaled_not_cut(folder):
    Image.fromarray(np.full((6, 4), 0x8040, dtype=np.uint16)).save(folder / "cat/deep.png")
    assert open_data(folder).inputs[3].max() == 0x80


def test_photographs_are_turned_upright(folder):
    exif = Image.Exif()
    exif[0x0112] = 6  # the camera lay on its side
    picture(folder / "cat/turned.jpg", size=(4, 6), mode="L", value=10, exif=exif)
    data = open_data(folder)
    assert (data.input_shape, data.notes) == ((6, 4, 1), ())


def test_bad_pictures_are_all_named_and_left_out_only_on_request(folder):
    whole = picture(folder / "noise.png", size=(30, 30)).read_bytes()
    (folder / "noise.png").unlink()
    Image.effect_noise((64, 64), 50).save(folder / "cat/cut.jpg")
    cut = (folder / "cat/cut.jpg").read_bytes()
    (folder / "cat/cut.jpg").write_bytes(cut[: len(cut) // 2])
    (folder / "cat/empty.png").write_bytes(b"")
    (folder / "dog/text.jpg").write_text("no picture")
    (folder / "dog/broken.png").write_bytes(whole[:20] + b"\xff" * 30)
    (folder / "dog/readme.txt").write_text("not looked at")
    with pytest.raises(DataError, match=r"pictures in .* cannot be read: .*skip_bad=True") as caught:
        open_data(folder)
    for name in ("cat/empty.png", "dog/text.jpg", "dog/broken.png"):
        assert name in str(caught.value)
    data = open_data(folder, skip_bad=True)
    assert len(data) == 6
    assert "4 pictures that cannot be read were left out" in data.notes[0]
    assert "cat/cut.jpg" in data.notes[0]


def test_a_truncated_picture_is_found_when_its_pixels_are_read(folder):
    Image.effect_noise((64, 64), 50).save(folder / "cat/cut.jpg")
    raw = (folder / "cat/cut.jpg").read_bytes()
    (folder / "cat/cut.jpg").write_bytes(raw[: len(raw) // 2])
    with pytest.raises(DataError, match=r"1 pictures .*cat/cut\.jpg \(image file is truncated"):
        open_data(folder)


def test_at_most_twenty_are_named(folder):
    for number in range(25):
        (folder / f"cat/bad{number:02}.png").write_bytes(b"")
    with pytest.raises(DataError, match=r"^25 pictures .*bad19\.png \([^)]*\); and 5 more\. Replace"):
        open_data(folder)


def test_pictures_that_would_fill_the_memory(folder, monkeypatch):
    with pytest.raises(DataError, match="raise max_bytes"):
        open_data(folder, max_bytes=50)
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 10)
    with pytest.raises(DataError, match=r"6 pictures .* cannot be read: .*decompression bomb"):
        open_data(folder)


def test_train_and_test_folders(folder, tmp_path_factory):
    root = tmp_path_factory.mktemp("root")
    folder.rename(root / "train")
    picture(root / "test/dog/0.png", size=(9, 9))
    data = open_data(root)
    assert data.test is not None
    assert (data.test.targets.tolist(), data.test.input_shape) == ([1], data.input_shape)
    assert any("test/ was taken as the test part" in note for note in data.notes)
    picture(root / "val/dog/0.png")
    assert any("val/ was left out" in note for note in open_data(root).notes)
    picture(root / "test/horse/0.png")
    with pytest.raises(DataError, match="classes that the training part does not have: horse"):
        open_data(root)


def test_folders_that_are_no_data_set(tmp_path):
    with pytest.raises(DataError, match="holds no pictures"):
        open_data(tmp_path)
    picture(tmp_path / "0.png")
    with pytest.raises(DataError, match="1 pictures but no class folders; put the pictures of each class"):
        open_data(tmp_path)
    picture(tmp_path / "cat/0.png")
    with pytest.raises(DataError, match="one class only, 'cat'"):
        open_data(tmp_path)
    (tmp_path / "dog").mkdir()
    (tmp_path / "dog/0.png").write_bytes(b"")
    with pytest.raises(DataError, match="holds 1 readable pictures; at least two"):
        open_data(tmp_path, skip_bad=True)


def test_what_is_passed_over_is_noted(folder):
    (folder / "empty").mkdir()
    (folder / ".cache").mkdir()
    picture(folder / "loose.png")
    assert open_data(folder).notes == (
        "The folder empty/ holds no pictures and was left out.",
        "1 pictures beside the class folders were left out.",
    )


def test_single_pictures(tmp_path):
    paths = [picture(tmp_path / "a.png", value=(1, 2, 3)), picture(tmp_path / "b.png", mode="L", value=9)]
    pictures = read_pictures(paths, (2, 2), 3)
    assert (pictures.shape, pictures[1, 0, 0].tolist()) == ((2, 2, 2, 3), [9, 9, 9])
    with pytest.raises(DataError, match=r"missing\.png"):
        read_pictures([*paths, tmp_path / "missing.png"], (2, 2), 3)
    with pytest.raises(DataError, match="no pictures were given"):
        read_pictures([], (2, 2), 3)
