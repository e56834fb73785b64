"""The file of a run that may be taken up again: arrays with a checksum each, and plain notes.   Atomic."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from dougong.core.errors import ModelFormatError
from dougong.formats import keras_v3
from dougong.formats.bundle import Bundle

__all__ = ["load_run", "save_run"]


def save_run(path: str | os.PathLike[str], arrays: Mapping[str, np.ndarray], notes: Mapping[str, Any]) -> None:
    """Write ``arrays`` and JSON-able ``notes``, atomically.   Raises: SaveError."""
    keras_v3.write(path, Bundle({}, arrays, {}, {"run": dict(notes)}))


def load_run(path: str | os.PathLike[str]) -> tuple[Mapping[str, np.ndarray], Mapping[str, Any]]:
    """What `save_run` wrote.   Raises: ModelFormatError for a file that is damaged, or is none."""
    bundle = keras_v3.read(path)
    notes = bundle.metadata.get("run")
    if not isinstance(notes, dict):
        raise ModelFormatError(f"{Path(path)}: it is no backup of a run")
    return bundle.weights, notes
