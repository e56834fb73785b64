"""Reading idx files, the format of MNIST, plain or gzipped.

Layout: two zero bytes, a type byte, the number of dimensions, each dimension as big-endian uint32, then the values,
big-endian, last axis fastest.   Ref: LeCun, Cortes, Burges, "The MNIST database", section "the IDX file format".
"""

from __future__ import annotations

import gzip
import re
import struct
import zlib
from dataclasses import replace
from pathlib import Path
from typing import BinaryIO

import numpy as np

from dougong.core.errors import DataError
from dougong.data.checks import check_labels
from dougong.data.dataset import Dataset
from dougong.data.limits import MAX_BYTES, check_size

__all__ = ["is_idx", "read_idx", "read_idx_folder", "read_idx_pair"]

_DTYPES = {0x08: ">u1", 0x09: ">i1", 0x0B: ">i2", 0x0C: ">i4", 0x0D: ">f4", 0x0E: ">f8"}
# Deflate cannot shrink data further than this: a smaller file cannot hold what its header declares.
_GZIP_RATIO = 1032
_IMAGES = re.compile(r"images(.)idx\d", re.IGNORECASE)


def is_idx(path: Path) -> bool:
    """Whether the file is named as idx files are: ``train-images-idx3-ubyte.gz``, ``labels.idx`` …"""
    name = path.name.lower().removesuffix(".gz")
    return re.search(r"[-.]idx\d?(-[a-z]+)?$", name) is not None


def read_idx(path: Path | str, *, max_bytes: int = MAX_BYTES) -> np.ndarray:
    """The array in an idx file, in the machine's byte order.

    Raises: DataError for a file that is no idx file, holds less or more than its header declares, or is too large.
    """
    path = Path(path)
    try:
        if path.suffix == ".gz":
            with gzip.open(path, "rb") as file:
                return _read(file, path, max_bytes, path.stat().st_size * _GZIP_RATIO)
        with path.open("rb") as file:
            return _read(file, path, max_bytes, path.stat().st_size)
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise DataError(f"{path} is damaged: {error}. Download it again.") from error


def _read(file: BinaryIO | gzip.GzipFile, path: Path, max_bytes: int, most_held: int) -> np.ndarray:
    head = file.read(4)
    if len(head) < 4 or head[:2] != b"\0\0" or head[2] not in _DTYPES or not 1 <= head[3] <= 8:
        raise DataError(f"{path} is no idx file: it begins with {head!r}, not with two zero bytes, a type and a rank.")
    dtype, rank = np.dtype(_DTYPES[head[2]]), head[3]
    sizes = file.read(4 * rank)
    if len(sizes) < 4 * rank:
        raise DataError(f"{path} ends within its header. Download it again.")
    shape = struct.unpack(f">{rank}I", sizes)
    size = check_size(path, shape, dtype.itemsize, max_bytes)
    if size > most_held:
        raise DataError(f"{path} is cut off: its header declares {size:,} bytes. Download it again.")
    array = np.empty(shape, dtype)
    held = _fill(file, array.reshape(-1).view(np.uint8))
    if held < size:
        raise DataError(f"{path} is cut off: its header declares {size:,} bytes, it holds {held:,}. Download it again.")
    if file.read(1):
        raise DataError(f"{path} holds more than the {size:,} bytes that its header declares. Download it again.")
    return array.astype(dtype.newbyteorder("="), copy=False)


def _fill(file: BinaryIO | gzip.GzipFile, buffer: np.ndarray) -> int:
    held = 0
    while held < len(buffer):
        chunk = file.read(min(len(buffer) - held, 2**20))
        if not chunk:
            break
        buffer[held : held + len(chunk)] = np.frombuffer(chunk, np.uint8)
        held += len(chunk)
    return held


def read_idx_pair(path: Path, *, max_bytes: int = MAX_BYTES) -> Dataset:
    """The data set of an images file and the labels file beside it, which is found by its name."""
    labels_path = _partner(path)
    images, labels = read_idx(path, max_bytes=max_bytes), read_idx(labels_path, max_bytes=max_bytes)
    if labels.ndim != 1 or images.ndim < 2:
        raise DataError(
            f"{path.name} has shape {images.shape} and {labels_path.name} {labels.shape}; "
            "expected pictures (N, H, W) and labels (N,)."
        )
    if len(images) != len(labels):
        raise DataError(
            f"{path.name} holds {len(images)} pictures but {labels_path.name} {len(labels)} labels; they are no pair."
        )
    if not len(labels):
        raise DataError(f"{path} holds no pictures.")
    num_classes = int(labels.max()) + 1
    check_labels(labels, max(num_classes, 1), labels_path.name)
    return Dataset(
        inputs=images[..., None] if images.ndim == 3 else images,
        targets=labels.astype(np.int64),
        task="classification",
        source=str(path),
        class_names=tuple(str(label) for label in range(num_classes)),
        target_names=("label",),
        input_range=(0.0, 255.0) if images.dtype == np.uint8 else None,
        notes=(f"The labels were taken from {labels_path.name}.",),
    )


def _partner(path: Path) -> Path:
    """The labels file: "images" becomes "labels", "idx3" becomes "idx1", with or without .gz."""
    if "label" in path.name.lower():
        raise DataError(f"{path} holds labels; give the images file beside it.")
    if not _IMAGES.search(path.name):
        raise DataError(
            f"{path.name} does not say which labels belong to it; name the two files as MNIST does: "
            "train-images-idx3-ubyte.gz and train-labels-idx1-ubyte.gz."
        )
    name = _IMAGES.sub(r"labels\1idx1", path.name)
    plain = name.removesuffix(".gz")
    for candidate in (name, plain, plain + ".gz"):
        if (path.parent / candidate).is_file():
            return path.parent / candidate
    raise DataError(f"the labels of {path} are missing: {path.parent / name} does not exist. Put it beside the images.")


def read_idx_folder(folder: Path, *, max_bytes: int = MAX_BYTES) -> Dataset:
    """The pairs in a folder: that named train… is the data set, that named t10k… or test… its test part."""
    found = sorted(path for path in folder.iterdir() if is_idx(path) and _IMAGES.search(path.name))
    tests = [path for path in found if path.name.lower().startswith(("t10k", "test"))]
    trains = [path for path in found if path not in tests]
    if len(trains) != 1 or len(tests) > 1:
        listed = ", ".join(path.name for path in found) or "none"
        raise DataError(f"{folder} needs one pair of training files; found: {listed}. Give the images file itself.")
    train = read_idx_pair(trains[0], max_bytes=max_bytes)
    if not tests:
        return train
    test = read_idx_pair(tests[0], max_bytes=max_bytes)
    if test.input_shape != train.input_shape or test.num_classes > train.num_classes:
        raise DataError(
            f"{tests[0].name} ({test.input_shape}, {test.num_classes} classes) does not fit {trains[0].name} "
            f"({train.input_shape}, {train.num_classes} classes)."
        )
    notes = (*train.notes, f"{tests[0].name} was taken as the test part.")
    return replace(train, source=str(folder), notes=notes, test=replace(test, class_names=train.class_names))
