"""Reading pictures: a folder with one folder per class, or single files.

Shapes: N pictures, H height, W width, C channels (1 grey, 3 red-green-blue).   Values: uint8, 0 to 255.
"""

from __future__ import annotations

import os
import struct
import warnings
from collections import Counter
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

from dougong.core.errors import DataError
from dougong.data.dataset import Dataset
from dougong.data.limits import MAX_BYTES, check_size

__all__ = ["SUFFIXES", "read_picture_folder", "read_pictures"]

SUFFIXES = (".bmp", ".gif", ".jpeg", ".jpg", ".pgm", ".png", ".ppm", ".tif", ".tiff", ".webp")
_GREY = frozenset({"1", "L", "LA", "La", "I", "I;16", "I;16L", "I;16B", "F"})
_ROTATION, _SIDEWAYS = 0x0112, (5, 6, 7, 8)  # EXIF: how the camera was held
_TRAIN, _TEST = ("train", "training"), ("test", "testing", "val", "valid", "validation")  # tests, best first
_NAMED = 20
_Result = TypeVar("_Result")


def read_picture_folder(
    folder: Path,
    *,
    size: tuple[int, int] | None = None,
    skip_bad: bool = False,
    max_bytes: int = MAX_BYTES,
) -> Dataset:
    """The data set in a folder with one folder of pictures per class, or with such folders in ``train`` and ``test``.

    ``size`` is (height, width); without it, the most common one.  Other pictures are resized to it, without keeping
    proportions.  Pictures are grey if all are, else RGB.  ``skip_bad``: leave out what cannot be read.
    Raises: DataError naming the folder or all pictures that cannot be used, and what to do.
    """
    parts = {path.name.lower(): path for path in _folders(folder)}
    train = next((parts[name] for name in _TRAIN if name in parts), None)
    tests = [parts[name] for name in _TEST if name in parts]
    if train is None or len(parts) != 1 + len(tests):
        return _read(folder, size, None, None, skip_bad, max_bytes)
    dataset = replace(_read(train, size, None, None, skip_bad, max_bytes), source=str(folder))
    if not tests:
        return dataset
    height, width, channels = dataset.input_shape
    held_out = _read(tests[0], (height, width), channels, dataset.class_names, skip_bad, max_bytes)
    notes = [*dataset.notes, f"{tests[0].name}/ was taken as the test part.", *held_out.notes]
    notes += [f"{path.name}/ was left out: samples for validation are drawn from {train.name}/." for path in tests[1:]]
    return replace(dataset, test=held_out, notes=tuple(notes))


def _read(
    folder: Path,
    size: tuple[int, int] | None,
    channels: int | None,
    class_names: tuple[str, ...] | None,
    skip_bad: bool,
    max_bytes: int,
) -> Dataset:
    by_class, notes = _find(folder, class_names)
    names = class_names or tuple(by_class)
    paths = [path for found in by_class.values() for path in found]
    labels = np.repeat([names.index(name) for name in by_class], [len(found) for found in by_class.values()])
    heads, bad = _each(_head, paths)
    if bad and not skip_bad:
        raise DataError(_unreadable(folder, bad))
    if size is None:
        size = Counter(head[0] for head in heads.values()).most_common(1)[0][0] if heads else (1, 1)
    if channels is None:
        channels = 1 if all(head[1] in _GREY for head in heads.values()) else 3
    paths = [path for path in paths if path in heads]
    check_size(folder, (len(paths), *size, channels), 1, max_bytes)
    pictures, damaged = _each(lambda path: _picture(path, size, channels), paths)
    bad = {**bad, **damaged}
    if bad and not skip_bad:
        raise DataError(_unreadable(folder, bad))
    kept = np.array([path in pictures for found in by_class.values() for path in found])
    if kept.sum() < (2 if class_names is None else 1):
        raise DataError(f"{folder} holds {kept.sum()} readable pictures; at least two are needed.")
    if bad:
        notes = [*notes, f"{len(bad)} pictures that cannot be read were left out: {_list(bad)}."]
    return Dataset(
        inputs=np.stack(list(pictures.values())),
        targets=labels[kept].astype(np.int64),
        task="classification",
        source=str(folder),
        class_names=names,
        target_names=("class",),
        input_range=(0.0, 255.0),
        notes=(*notes, *_changes({path: heads[path] for path in pictures}, size, channels)),
    )


def _find(folder: Path, class_names: tuple[str, ...] | None) -> tuple[dict[str, list[Path]], list[str]]:
    """The pictures of each class, sorted, and notes on what was passed over."""
    classes = {path.name: _pictures_under(path) for path in _folders(folder)}
    notes = [f"The folder {name}/ holds no pictures and was left out." for name, found in classes.items() if not found]
    classes = {name: found for name, found in classes.items() if found}
    layout = (
        f"put the pictures of each class into a folder of its own: {folder.name}/cat/1.jpg, {folder.name}/dog/1.jpg"
    )
    if not classes:
        loose = len(_pictures_under(folder))
        what = f"{loose} pictures but no class folders" if loose else f"no pictures ({', '.join(SUFFIXES)})"
        raise DataError(f"{folder} holds {what}; {layout}.")
    if class_names is None and len(classes) < 2:
        raise DataError(f"{folder} holds one class only, {next(iter(classes))!r}; {layout}.")
    unknown = [name for name in classes if class_names is not None and name not in class_names]
    if unknown:
        raise DataError(f"{folder} holds classes that the training part does not have: {', '.join(unknown[:_NAMED])}.")
    loose = sum(path.is_file() and path.suffix.lower() in SUFFIXES for path in folder.iterdir())
    if loose:
        notes.append(f"{loose} pictures beside the class folders were left out.")
    return classes, notes


def _folders(folder: Path) -> list[Path]:
    return sorted(path for path in folder.iterdir() if path.is_dir() and not path.name.startswith("."))


def _pictures_under(folder: Path) -> list[Path]:
    return sorted(
        path
        for path in folder.rglob("*")
        if path.suffix.lower() in SUFFIXES and path.is_file() and not path.name.startswith(".")
    )


def _each(read: Callable[[Path], _Result], paths: Sequence[Path]) -> tuple[dict[Path, _Result], dict[Path, str]]:
    """What ``read`` gives for each path, by several threads, and the reasons of those that failed; both in order."""

    from PIL import Image  # lazy: 0.15 s that only pictures need

    # What Pillow raises on damaged files, besides its own errors, which are OSErrors.
    bombs = (Image.DecompressionBombError, Image.DecompressionBombWarning)
    damaged = (OSError, ValueError, SyntaxError, EOFError, IndexError, TypeError, struct.error, *bombs)

    def attempt(path: Path) -> _Result | str:
        try:
            return read(path)
        except damaged as error:
            return str(error) or type(error).__name__

    with warnings.catch_warnings(), ThreadPoolExecutor(min(8, os.cpu_count() or 1)) as pool:
        warnings.simplefilter("ignore")  # what Pillow says of damaged metadata: the pixels are what counts
        warnings.simplefilter("error", Image.DecompressionBombWarning)
        results = list(zip(paths, pool.map(attempt, paths)))
    good: dict[Path, Any] = {path: result for path, result in results if not isinstance(result, str)}
    return good, {path: result for path, result in results if isinstance(result, str)}


def _head(path: Path) -> tuple[tuple[int, int], str]:
    """((height, width), mode) as the picture is to be seen, without reading its pixels."""
    from PIL import Image  # lazy: as above

    with Image.open(path) as picture:
        width, height = picture.size
        turned = picture.getexif().get(_ROTATION) in _SIDEWAYS
        return ((width, height) if turned else (height, width)), picture.mode


def _picture(path: Path, size: tuple[int, int], channels: int) -> np.ndarray:
    """One picture ``[H, W, C]``, turned upright, in eight bits, resized where needed."""
    from PIL import Image, ImageOps  # lazy: as above

    with Image.open(path) as opened:
        picture: Image.Image = ImageOps.exif_transpose(opened)
        if picture.mode.startswith("I"):  # sixteen bits; convert("L") would cut off, not scale
            high = np.asarray(picture).astype(np.int64) >> 8
            picture = Image.fromarray(np.clip(high, 0, 255).astype(np.uint8))
        picture = picture.convert("L" if channels == 1 else "RGB")
    if picture.size != (size[1], size[0]):
        picture = picture.resize((size[1], size[0]), Image.Resampling.BILINEAR)
    return np.asarray(picture).reshape(*size, channels)


def read_pictures(paths: Sequence[Path | str], size: tuple[int, int], channels: int) -> np.ndarray:
    """Pictures as a model trained on a folder takes them.   Shape: ``[N, H, W, C]`` uint8.

    Raises: DataError naming all that cannot be read.
    """
    found, bad = _each(lambda path: _picture(path, size, channels), [Path(path) for path in paths])
    if bad or not paths:
        raise DataError(_unreadable(None, bad) if bad else "no pictures were given.")
    return np.stack([found[Path(path)] for path in paths])


def _unreadable(folder: Path | None, bad: dict[Path, str]) -> str:
    place = f" in {folder}" if folder else ""
    return f"{len(bad)} pictures{place} cannot be read: {_list(bad)}. Replace them, or pass skip_bad=True."


def _list(bad: dict[Path, str]) -> str:
    named = [f"{path.parent.name}/{path.name} ({reason})" for path, reason in list(bad.items())[:_NAMED]]
    return "; ".join(named) + (f"; and {len(bad) - _NAMED} more" if len(bad) > _NAMED else "")


def _changes(heads: dict[Path, tuple[tuple[int, int], str]], size: tuple[int, int], channels: int) -> list[str]:
    notes = []
    others = [head[0] for head in heads.values() if head[0] != size]
    if others:
        (low, high), target = (min(others), max(others)), f"{size[0]}x{size[1]}"
        notes.append(
            f"{len(others)} of {len(heads)} pictures were resized to {target}; their sizes run from {low[0]}x{low[1]} "
            f"to {high[0]}x{high[1]} (height x width)."
        )
    modes = Counter(head[1] for head in heads.values() if head[1] not in ("RGB", "L"))
    grey = sum(head[1] in _GREY for head in heads.values())
    if channels == 3 and grey:
        notes.append(f"{grey} of {len(heads)} pictures are grey and became RGB.")
    if channels == 1 and grey < len(heads):
        notes.append(f"{len(heads) - grey} of {len(heads)} pictures are coloured and became grey.")
    listed = ", ".join(f"{count} {mode}" for mode, count in modes.most_common())
    if listed:
        notes.append(f"Pictures were converted to {'grey' if channels == 1 else 'RGB'} from: {listed}.")
    return notes
