"""Opening data by one word: a sample's name, a folder of pictures, or a file."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from dougong.core.errors import ConfigError, DataError, near_names
from dougong.data.dataset import Dataset, Task
from dougong.data.idx import is_idx, read_idx_folder, read_idx_pair
from dougong.data.limits import MAX_BYTES
from dougong.data.npz import read_npz
from dougong.data.pictures import SUFFIXES, read_picture_folder
from dougong.data.samples import load_sample, samples
from dougong.data.tables import read_table

__all__ = ["READABLE", "open_data"]

_TABLES = (".csv", ".tsv", ".txt", ".data", ".tab")
READABLE = (
    "a sample's name",
    "a folder with one folder of pictures per class",
    "an idx file or a folder of such (MNIST)",
    "a .npz file",
    f"a table ({', '.join(_TABLES)})",
)


def open_data(
    spec: str | os.PathLike[str],
    *,
    target: str | int | Sequence[str | int] | None = None,
    ignore: Sequence[str | int] = (),
    task: Task | None = None,
    size: tuple[int, int] | None = None,
    delimiter: str | None = None,
    header: bool | None = None,
    skip_bad: bool = False,
    max_bytes: int = MAX_BYTES,
) -> Dataset:
    """The data set that ``spec`` means: a path if there is one, else a sample's name.

    ``target``, ``ignore``, ``delimiter``, ``header`` are for tables (``target`` for .npz too), ``size`` for pictures;
    ``task`` settles whether numbers are classes.  ``skip_bad`` leaves out unreadable pictures and incomplete rows.
    Raises: DataError for what cannot be found or used as it is; ConfigError for an option that does not apply.

    >>> data = open_data("iris")
    >>> data, data.input_names[0]
    (Dataset('iris': 150 x (4,) float32, 3 classes), 'sepal length (cm)')
    """
    path = Path(spec).expanduser()
    names = [info.name for info in samples()]
    if not path.exists():
        if str(spec) not in names:
            raise DataError(_not_found(path, names))
        _refuse("a sample", target=target, ignore=ignore or None, size=size, delimiter=delimiter, header=header)
        return load_sample(str(spec))
    try:
        if path.is_dir():
            _refuse("a folder", target=target, ignore=ignore or None, delimiter=delimiter, header=header)
            if any(is_idx(file) for file in path.iterdir()):
                return read_idx_folder(path, max_bytes=max_bytes)
            return read_picture_folder(path, size=size, skip_bad=skip_bad, max_bytes=max_bytes)
        if is_idx(path):
            return read_idx_pair(path, max_bytes=max_bytes)
        if path.suffix.lower() == ".npz":
            _refuse("a .npz file", ignore=ignore or None, size=size, delimiter=delimiter, header=header)
            if target is not None and not isinstance(target, str):
                raise ConfigError(f"target must be the name of an array in {path.name}, got {target!r}.")
            return read_npz(path, target=target, task=task, max_bytes=max_bytes)
        if path.suffix.lower() in _TABLES:
            _refuse("a table", size=size)
            return read_table(
                path, target=target, ignore=ignore, task=task, delimiter=delimiter, header=header, skip_bad=skip_bad,
                max_bytes=max_bytes,
            )  # fmt: skip
    except PermissionError as error:
        raise DataError(f"{path} must not be read by you: {error.strerror}.") from error
    raise DataError(_unknown_type(path))


def _refuse(what: str, **options: object) -> None:
    given = [name for name, value in options.items() if value is not None]
    if given:
        raise ConfigError(f"{' and '.join(given)} cannot be given for {what}.")


def _not_found(path: Path, names: Sequence[str]) -> str:
    folder = path.parent
    beside = sorted(entry.name for entry in folder.iterdir()) if folder.is_dir() else []
    near = [str(folder / name) if str(folder) != "." else name for name in near_names(path.name, beside)]
    near += near_names(str(path), names)
    hint = f" Did you mean {' or '.join(map(repr, near))}?" if near else ""
    place = "" if folder.is_dir() else f" The folder {folder} does not exist either."
    return f"{path} does not exist.{place}{hint} Samples: {', '.join(names)}."


def _unknown_type(path: Path) -> str:
    advice = {
        ".xlsx": "Save the sheet as CSV.",
        ".xls": "Save the sheet as CSV.",
        ".npy": "Put inputs and targets into one file: np.savez(path, x=..., y=...).",
        ".zip": "Unpack it first.",
        ".gz": "Unpack it first.",
    }.get(path.suffix.lower(), "")
    if path.suffix.lower() in SUFFIXES:
        advice = "Give the folder that holds the class folders."
    kind = path.suffix or "no suffix"
    return f"{path} is of a type that cannot be read ({kind}). Can be read: {'; '.join(READABLE)}. {advice}".strip()
