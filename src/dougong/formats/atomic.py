"""Files appear whole or not at all: written under a temporary name in the same folder, synced, then renamed."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from dougong.core.errors import SaveError

__all__ = ["replacing"]


@contextmanager
def replacing(path: str | os.PathLike[str]) -> Iterator[Path]:
    """Give a temporary path to write to; on success it becomes ``path``, else ``path`` is as it was.

    Raises: SaveError with the reason and what to do, for a full disk or a folder that cannot be written.
    """
    target = Path(path)
    if not target.parent.is_dir():
        raise SaveError(f"cannot save {target}: the folder {target.parent} does not exist; create it first")
    temporary: Path | None = None
    try:
        handle, name = tempfile.mkstemp(prefix=f".{target.name}.", suffix=".part", dir=target.parent)
        temporary = Path(name)
        os.close(handle)
        yield temporary
        _sync(temporary)
        _keep_mode(temporary, target)
        temporary.replace(target)
        temporary = None
        _sync(target.parent)
    except OSError as error:
        if isinstance(error, SaveError):
            raise
        kept = "; the previous file is unchanged" if target.exists() else ""
        raise SaveError(
            f"cannot save {target}: {error.strerror or error}{kept}. Free some space or choose another folder."
        ) from error
    finally:
        if temporary is not None:
            with suppress(OSError):
                temporary.unlink()


def _keep_mode(temporary: Path, target: Path) -> None:
    """The mode of the file that is replaced, or what a new file gets."""
    if target.exists():
        mode = target.stat().st_mode & 0o777
    else:
        mask = os.umask(0)
        os.umask(mask)
        mode = 0o666 & ~mask
    temporary.chmod(mode)


def _sync(path: Path) -> None:
    if os.name == "nt" and path.is_dir():
        return
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
