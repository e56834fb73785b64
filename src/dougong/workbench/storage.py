"""Files of a run: a folder that is never overwritten, and small files written whole or not at all."""

from __future__ import annotations

import itertools
from pathlib import Path

from dougong.core.errors import SaveError
from dougong.formats.atomic import replacing

__all__ = ["new_folder", "write_text"]


def new_folder(wanted: Path) -> Path:
    """Make the folder; where it exists and holds something, its first free sibling ``name-2``, ``name-3`` …

    Raises: SaveError if a file stands in the way, or the folder cannot be made.
    """
    for number in itertools.count(1):
        folder = wanted if number == 1 else wanted.with_name(f"{wanted.name}-{number}")
        if not folder.exists() or (number == 1 and folder.is_dir() and not any(folder.iterdir())):
            break
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise SaveError(f"cannot make the folder {folder}: {error.strerror}; choose another with --out.") from error
    return folder


def write_text(path: Path, text: str) -> None:
    """Write a text file whole or not at all.   Raises: SaveError if it cannot be written."""
    with replacing(path) as temporary:
        temporary.write_text(text, encoding="utf-8", newline="")
