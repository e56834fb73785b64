"""Files in folders, one folder a class: which files there are, their labels, and the parts for training and validation.

The order of the files, and of a shuffle by seed, is Keras's.
"""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from dougong.core.errors import ConfigError, DataError, near_names
from dougong.core.settings import SETTINGS
from dougong.data.batched_samples import BatchedSamples

__all__ = ["FolderOptions", "LabelledFiles", "datasets_of"]

_log = logging.getLogger("dougong")
_LABEL_MODES = ("int", "categorical", "binary", None)
_SUBSETS = ("training", "validation", "both", None)


@dataclass(frozen=True)
class FolderOptions:
    """The arguments that pictures, texts and sounds share; ``kind`` and ``suffixes`` say which files are meant."""

    kind: str
    suffixes: tuple[str, ...]
    directory: str | os.PathLike[str]
    labels: Any
    label_mode: str | None
    class_names: Sequence[str] | None
    batch_size: int | None
    shuffle: bool
    seed: int | None
    validation_split: float | None
    subset: str | None
    follow_links: bool
    verbose: bool

    def __post_init__(self) -> None:
        if self.labels not in ("inferred", None) and not isinstance(self.labels, list | tuple):
            raise ConfigError(
                "labels must be 'inferred' (one folder a class), None, or a list with a whole number for each file in"
                f" the order of their paths; got {self.labels!r}"
            )
        if self.class_names and self.labels != "inferred":
            raise ConfigError("class_names names the class folders, so it goes with labels='inferred' only")
        if self.label_mode not in _LABEL_MODES:
            raise ConfigError(f"label_mode must be 'int', 'categorical', 'binary' or None, got {self.label_mode!r}")
        split, subset = self.validation_split, self.subset
        if split and not 0 < split < 1:
            raise ConfigError(f"validation_split must lie between 0 and 1, got {split}")
        if bool(split) is not bool(subset):
            raise ConfigError("validation_split and subset go together: give both or neither")
        if subset not in _SUBSETS:
            raise ConfigError(f"subset must be 'training', 'validation' or 'both', got {subset!r}")
        if split and self.shuffle and self.seed is None:
            raise ConfigError(
                "validation_split with shuffle=True needs a seed, so that the two parts share no file: seed=1, say"
            )


@dataclass(frozen=True)
class LabelledFiles:
    """Paths, a class number for each (None where there are no labels), and the names of the classes."""

    paths: list[str]
    labels: Any
    class_names: list[str] | None

    def part(self, rows: slice) -> LabelledFiles:
        return LabelledFiles(self.paths[rows], None if self.labels is None else self.labels[rows], self.class_names)


def datasets_of(options: FolderOptions, read: Callable[[list[str]], Any], workers: int) -> Any:
    """The data set of a folder, or the list of both for ``subset="both"``; ``read(paths)`` gives stacked samples."""
    seed = int(np.random.randint(10**6)) if options.seed is None else options.seed  # as Keras draws it
    files = _shuffled(_listed(options), seed) if options.shuffle else _listed(options)
    if options.label_mode == "binary" and files.class_names is not None and len(files.class_names) != 2:
        raise ConfigError(
            f"label_mode='binary' needs two classes; {options.directory} has {len(files.class_names)}:"
            f" {', '.join(files.class_names[:8])}. Use label_mode='int' or 'categorical'."
        )
    found = []
    for part in ("training", "validation") if options.subset == "both" else (options.subset,):
        chosen = _part(files, part, options)
        found.append(
            BatchedSamples(
                _reader(read, chosen, options.label_mode),
                len(chosen.paths),
                batch_size=options.batch_size,
                # The validation part of both keeps its order, as in Keras.
                shuffle=options.shuffle and not (options.subset == "both" and part == "validation"),
                seed=seed,
                workers=workers,
                class_names=files.class_names,
                file_paths=chosen.paths,
            )
        )
    return found if options.subset == "both" else found[0]


def _reader(
    read: Callable[[list[str]], Any], files: LabelledFiles, label_mode: str | None
) -> Callable[[list[int]], Any]:
    if files.labels is None:
        return lambda rows: read([files.paths[row] for row in rows])
    labels = _encoded(files, label_mode)
    return lambda rows: (read([files.paths[row] for row in rows]), labels[rows])


def _encoded(files: LabelledFiles, label_mode: str | None) -> Tensor:
    """Labels as batches hold them: ``[N]`` int32, ``[N, 1]`` float32 or ``[N, classes]`` float32."""
    numbers = torch.from_numpy(np.asarray(files.labels, dtype=np.int32))
    if label_mode == "binary":
        return numbers[:, None].float()
    if label_mode == "categorical":
        count = len(files.class_names or ())
        if len(numbers) and not 0 <= int(numbers.min()) <= int(numbers.max()) < count:
            raise DataError(f"categorical labels of {count} classes run from 0 to {count - 1}; number them so")
        return torch.nn.functional.one_hot(numbers.long(), count).float()
    return numbers


# ── Finding files ───────────────────────────────────────────────────────────────────────────────────────────────────


def _listed(options: FolderOptions) -> LabelledFiles:
    folder = os.fspath(options.directory)
    if not os.path.isdir(folder):
        raise DataError(_missing(Path(folder)))
    given: list[Any] = list(options.labels) if isinstance(options.labels, list | tuple) else []
    without = options.labels is None or options.label_mode is None
    inferred = options.labels == "inferred" and not without
    names = _classes(folder, options.class_names) if inferred else [""]
    by_class = [_files_below(os.path.join(folder, name), options) for name in names]
    paths = [path for found in by_class for path in found]
    if not paths:
        raise DataError(_nothing(folder, names if inferred else None, options))
    if without:
        files = LabelledFiles(paths, None, None)
    elif inferred:
        numbers = np.repeat(np.arange(len(names), dtype=np.int32), [len(found) for found in by_class])
        files = LabelledFiles(paths, numbers, list(names))
        _tell_of_poor_classes(folder, names, by_class)
    elif len(given) != len(paths):
        raise DataError(f"labels has {len(given)} entries, but {folder} holds {len(paths)} {options.kind}s")
    else:
        files = LabelledFiles(paths, given, [str(label) for label in sorted(set(given))])
    if options.verbose:
        classes = "" if files.class_names is None else f" belonging to {len(files.class_names)} classes"
        _tell(f"Found {len(paths)} files{classes}.")
    return files


def _classes(folder: str, class_names: Sequence[str] | None) -> list[str]:
    found = sorted(
        entry.name for entry in os.scandir(folder) if entry.is_dir() and not entry.name.startswith(".")
    )  # fmt: skip
    if class_names is None:
        return found
    unknown = [name for name in class_names if name not in found]
    if unknown:
        near = near_names(unknown[0], found)
        hint = f"did you mean {near[0]!r}?" if near else f"there are {', '.join(found[:8])}"
        raise ConfigError(f"{folder} has no class folder {unknown[0]!r}; {hint}")
    return list(class_names)


def _files_below(folder: str, options: FolderOptions) -> list[str]:
    walked = sorted(os.walk(folder, followlinks=options.follow_links), key=lambda place: place[0])
    return [
        os.path.join(place, name)
        for place, _, names in walked
        for name in sorted(names)
        if name.lower().endswith(options.suffixes)
    ]


def _missing(folder: Path) -> str:
    if folder.is_file():
        return f"{folder} is a file; give the folder that holds the class folders"
    near = near_names(folder.name, [path.name for path in folder.parent.iterdir()]) if folder.parent.is_dir() else []
    return f"{folder}: there is no such folder" + (f"; did you mean {folder.parent / near[0]}?" if near else "")


def _nothing(folder: str, names: Sequence[str] | None, options: FolderOptions) -> str:
    known = f"{options.kind}s ({', '.join(options.suffixes)})"
    loose = sum(name.lower().endswith(options.suffixes) for name in os.listdir(folder))
    if names is None:
        return f"{folder} holds no {known}; check the path"
    example = os.path.join(folder, "cat", f"1{options.suffixes[-1]}")
    layout = f"put each class into a folder of its own, such as {example}"
    if loose:
        return f"{folder} holds {loose} {options.kind}s but no class folders with any: {layout}, or pass labels=None"
    what = f"{len(names)} class folders without {known}" if names else f"neither class folders nor {known}"
    return f"{folder} holds {what}; {layout}"


def _tell_of_poor_classes(folder: str, names: Sequence[str], by_class: Sequence[Sequence[str]]) -> None:
    empty = [name for name, found in zip(names, by_class) if not found]
    if empty:
        _log.warning("%s: class folders without files keep their numbers: %s", folder, ", ".join(empty[:8]))
    if len(names) == 1:
        _log.warning("%s holds one class only, %r; where there are no classes pass labels=None", folder, names[0])


def _tell(line: str) -> None:
    if SETTINGS.interactive:
        sys.stdout.write(line + "\n")
    else:
        _log.info(line)


# ── Order and parts ─────────────────────────────────────────────────────────────────────────────────────────────────


def _shuffled(files: LabelledFiles, seed: int) -> LabelledFiles:
    """The order that Keras gives for this seed."""
    paths, labels = list(files.paths), None if files.labels is None else files.labels.copy()
    np.random.RandomState(seed).shuffle(paths)
    if labels is not None:
        np.random.RandomState(seed).shuffle(labels)
    return LabelledFiles(paths, labels, files.class_names)


def _part(files: LabelledFiles, part: str | None, options: FolderOptions) -> LabelledFiles:
    if part is None:
        return files
    held_out = int((options.validation_split or 0) * len(files.paths))
    count = len(files.paths) - held_out if part == "training" else held_out
    if not held_out or not count:
        raise DataError(
            f"validation_split={options.validation_split} of the {len(files.paths)} {options.kind}s in"
            f" {options.directory} leaves one part empty; add files or choose another split"
        )
    if options.verbose:
        _tell(f"Using {count} files for {part}.")
    return files.part(slice(None, -held_out) if part == "training" else slice(-held_out, None))
