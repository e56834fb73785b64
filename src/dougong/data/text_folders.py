"""A folder of texts as batches."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any

import numpy as np

from dougong.core.errors import ConfigError, DataError
from dougong.data.class_folders import FolderOptions, datasets_of
from dougong.data.picture_folders import check_format

__all__ = ["text_dataset_from_directory"]


def text_dataset_from_directory(
    directory: str | os.PathLike[str],
    labels: Any = "inferred",
    label_mode: str | None = "int",
    class_names: Sequence[str] | None = None,
    batch_size: int | None = 32,
    max_length: int | None = None,
    shuffle: bool = True,
    seed: int | None = None,
    validation_split: float | None = None,
    subset: str | None = None,
    follow_links: bool = False,
    format: str = "tf",
    verbose: bool = True,
) -> Any:
    """Texts (.txt, UTF-8) in one folder a class as batches ``(texts, labels)``; see `BatchedSamples`.

    ``texts`` is a NumPy array of strings ``[N]``, each cut to ``max_length`` characters; the other arguments are those
    of `image_dataset_from_directory`.
    Raises: DataError for a missing or empty folder, or a file that is no UTF-8, naming it; ConfigError.
    Keras: files, labels and texts equal ``keras.utils.text_dataset_from_directory(format="grain")``, the order of each
    pass apart.
    """
    if max_length is not None and max_length < 0:
        raise ConfigError(f"max_length must not be negative, got {max_length}")
    check_format(format)
    options = FolderOptions(
        "text", (".txt",), directory, labels, label_mode, class_names, batch_size, shuffle, seed, validation_split,
        subset, follow_links, verbose,
    )  # fmt: skip
    return datasets_of(options, lambda paths: _stacked([_text(path)[:max_length] for path in paths]), workers=1)


def _text(path: str) -> str:
    try:
        with open(path, encoding="utf-8") as file:
            return file.read()
    except UnicodeDecodeError as error:
        place = f"{error.reason} at byte {error.start}"
        raise DataError(f"{path} is not UTF-8 text ({place}); convert or delete it") from error
    except OSError as error:
        raise DataError(f"{path} cannot be read ({error.strerror}); check its permissions") from error


def _stacked(texts: Sequence[str]) -> np.ndarray:
    found = np.empty(len(texts), dtype=object)
    found[:] = texts
    return found
