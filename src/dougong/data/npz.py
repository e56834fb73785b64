"""Reading ``.npz`` and ``.npy`` files of NumPy arrays.  Headers are read first; nothing is ever unpickled."""

from __future__ import annotations

import re
import zipfile
import zlib
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import IO

import numpy as np

from dougong.core.errors import DataError, near_names
from dougong.data.checks import check_finite
from dougong.data.dataset import Column, Dataset, Task
from dougong.data.limits import MAX_BYTES, check_size
from dougong.data.targets import numeric_targets

__all__ = ["read_npz"]

_PAIRS = (
    ("x_train", "y_train"),
    ("x", "y"),
    ("inputs", "targets"),
    ("images", "labels"),
    ("features", "labels"),
    ("data", "target"),
    ("data", "labels"),
    ("arr_0", "arr_1"),
)


def read_npz(path: Path, *, target: str | None = None, task: Task | None = None, max_bytes: int = MAX_BYTES) -> Dataset:
    """The data set in an npz file with arrays x, y, or x_train, y_train, x_test, y_test, or two of other names.

    ``target`` names the array of targets where the names do not tell.
    Raises: DataError for arrays of objects or text, NaN, lengths that differ, or names that do not tell what is what.
    """
    arrays = _arrays(path, max_bytes)
    x_name, y_name, notes = _roles(path, arrays, target)
    dataset = _dataset(path, arrays[x_name], arrays[y_name], (x_name, y_name), task)
    dataset = replace(dataset, notes=(*notes, *dataset.notes))
    test_x, test_y = (re.sub("train", "test", name) for name in (x_name, y_name))
    if test_x == x_name or test_x not in arrays or test_y not in arrays:
        return dataset
    test = _dataset(path, arrays[test_x], arrays[test_y], (test_x, test_y), dataset.task, dataset.class_names)
    if test.input_shape != dataset.input_shape:
        raise DataError(f"{path}: {test_x} has inputs {test.input_shape}, but {x_name} has {dataset.input_shape}.")
    return replace(dataset, test=test)


def _roles(path: Path, arrays: Mapping[str, np.ndarray], target: str | None) -> tuple[str, str, tuple[str, ...]]:
    """The names of inputs and targets, and notes on a guess."""
    listed = ", ".join(f"{name} {array.shape}" for name, array in arrays.items())
    by_folded = {name.lower(): name for name in arrays}
    if target is not None:
        if target not in arrays:
            near = "".join(f" Did you mean {name!r}?" for name in near_names(target, arrays, most=1))
            raise DataError(f"{path} has no array {target!r}; it holds {listed}.{near}")
        others = [name for name in arrays if name != target]
        inputs = [by_folded[x] for x, _ in _PAIRS if by_folded.get(x, target) != target]
        if inputs or len(others) == 1:
            return (inputs or others)[0], target, ()
    else:
        for x_name, y_name in _PAIRS:
            if x_name in by_folded and y_name in by_folded:
                return by_folded[x_name], by_folded[y_name], ()
        if len(arrays) == 2:
            x_name, y_name = sorted(arrays, key=lambda name: -arrays[name].ndim)
            return x_name, y_name, (f"The array {x_name!r} was taken as inputs and {y_name!r} as targets.",)
    raise DataError(
        f"{path} does not say which array holds inputs and which targets: it holds {listed}. Save them with the names "
        "x and y (np.savez(path, x=..., y=...)), and x_test and y_test beside x_train and y_train."
    )


def _dataset(
    path: Path,
    x: np.ndarray,
    y: np.ndarray,
    names: tuple[str, str],
    task: Task | None,
    class_names: tuple[str, ...] | None = None,
) -> Dataset:
    if x.ndim == 0 or y.ndim == 0 or len(x) != len(y):
        raise DataError(
            f"{path}: {names[0]} has shape {x.shape} but {names[1]} {y.shape}; both need one row per sample."
        )
    if len(x) == 0:
        raise DataError(f"{path}: {names[0]} has no rows.")
    for name, array in zip(names, (x, y)):
        check_finite(array, f"{path.name}: {name}")
    pictures = x.dtype == np.uint8 and x.ndim in (3, 4)
    if pictures:
        x = x[..., None] if x.ndim == 3 else x
    else:
        x = x.astype(np.float32, copy=False)
        x = x[:, None] if x.ndim == 1 else x
    # An array stored as integers holds labels more often than counts, in data sets with up to 1,000 classes.
    most = 1000 if y.dtype.kind in "biu" else 20
    found = numeric_targets(y, names[1], f"{path.name}: {names[1]}", task, class_names, most)
    return Dataset(
        inputs=x,
        targets=found.values,
        task=found.task,
        source=str(path),
        columns=tuple(Column(f"{names[0]}_{i}") for i in range(x.shape[1])) if x.ndim == 2 else (),
        class_names=found.class_names,
        target_names=found.names,
        input_range=(0.0, 255.0) if pictures else None,
        notes=found.notes,
    )


def _arrays(path: Path, max_bytes: int) -> dict[str, np.ndarray]:
    arrays, total = {}, 0
    try:
        with zipfile.ZipFile(path) as archive:
            for info in archive.infolist():
                with archive.open(info) as member:
                    shape, dtype, offset = _header(member, path, info.filename)
                size = check_size(path, shape, dtype.itemsize, max_bytes - total)
                if offset + size != info.file_size:
                    raise DataError(
                        f"{path}: the array {info.filename} declares {size:,} bytes but does not hold them."
                    )
                total += size
            for info in archive.infolist():
                with archive.open(info) as member:
                    arrays[info.filename.removesuffix(".npy")] = np.lib.format.read_array(member, allow_pickle=False)
    except (OSError, zipfile.BadZipFile, zlib.error, EOFError, ValueError, NotImplementedError) as error:
        if isinstance(error, DataError):
            raise
        raise DataError(f"{path} cannot be read as an npz file: {error}") from error
    return arrays


def _header(member: IO[bytes], path: Path, name: str) -> tuple[tuple[int, ...], np.dtype, int]:
    """Shape, dtype and where the values begin."""
    version = np.lib.format.read_magic(member)
    read = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
    shape, _, dtype = read(member)
    if dtype.hasobject:
        raise DataError(
            f"{path}: the array {name.removesuffix('.npy')!r} holds Python objects, which are not read, as they could "
            "run code. Save numbers: array.astype('float32'); rows of different length must be padded to one."
        )
    return shape, dtype, member.tell()
