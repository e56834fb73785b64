"""`get_file`: files by address in the user's cache, checked and unpacked.  Nothing is loaded from the network."""

from __future__ import annotations

import hashlib
import os
import shutil
import stat
import tarfile
import tempfile
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from typing import IO
from urllib.parse import unquote, urlsplit
from urllib.request import url2pathname

from dougong.core.errors import ConfigError, DataError, UnknownNameError

__all__ = ["get_file"]

_ALGORITHMS = ("auto", "sha256", "md5")
_FORMATS = {"auto": ("tar", "zip"), "tar": ("tar",), "zip": ("zip",)}
_CHUNK = 1 << 20
_MOST_INFLATION, _FREE_BYTES = 200, 1 << 30  # an archive may unpack to 1 GiB, or to 200 times its size


def get_file(
    fname: str | os.PathLike[str] | None = None,
    origin: str | os.PathLike[str] | None = None,
    untar: bool = False,
    md5_hash: str | None = None,
    file_hash: str | None = None,
    cache_subdir: str = "datasets",
    hash_algorithm: str = "auto",
    extract: bool = False,
    archive_format: str | None = "auto",
    cache_dir: str | os.PathLike[str] | None = None,
    force_download: bool = False,
) -> str:
    """The path of a file in the cache, copied there from ``origin``: a path or a ``file:`` address.

    It stands in ``cache_dir`` (by default ``$KERAS_HOME`` or ``~/.keras``), in ``cache_subdir``, as ``fname`` or under
    its own name.  ``file_hash`` is its SHA-256 or MD5.  With ``extract`` a zip or tar file is unpacked and the path is
    that of the folder; an archive with a member that leads out of it, or is a link, is refused whole.
    For an ``http`` address the file must be in the cache already; the error says under which name.
    Raises: DataError for a missing file, another hash or a bad archive; ConfigError for wrong arguments.
    Keras: the same places and names; there ``http`` addresses are loaded.
    """
    if origin is None:
        raise ConfigError("get_file needs origin=: a path, or a file: address")
    if hash_algorithm not in _ALGORITHMS:
        raise UnknownNameError("hash_algorithm", hash_algorithm, _ALGORITHMS)
    if md5_hash is not None and file_hash is None:
        file_hash, hash_algorithm = md5_hash, "md5"
    folder = _cache(cache_dir) / cache_subdir
    folder.mkdir(parents=True, exist_ok=True)
    target, unpacked = _places(folder, fname, str(origin), extract or untar)
    wanted = (hash_algorithm, file_hash)
    if force_download or not target.exists() or (file_hash and _digest(target, *wanted) != file_hash.lower()):
        _fetch(str(origin), target, wanted)
    if not (extract or untar):
        return str(target)
    _unpack(target, unpacked, "tar" if untar else archive_format)
    return str(unpacked)


def _cache(cache_dir: str | os.PathLike[str] | None) -> Path:
    base = Path(cache_dir or os.environ.get("KERAS_HOME") or "~/.keras").expanduser()
    try:
        base.mkdir(parents=True, exist_ok=True)
    except OSError:
        return Path(tempfile.gettempdir()) / ".keras"
    return base if os.access(base, os.W_OK) else Path(tempfile.gettempdir()) / ".keras"


def _places(folder: Path, fname: str | os.PathLike[str] | None, origin: str, extract: bool) -> tuple[Path, Path]:
    """Where the file goes, and where it is unpacked to; the names are Keras's."""
    given = None if fname is None else os.fspath(fname)
    name = given or os.path.basename(unquote(urlsplit(origin).path) if "://" in origin else origin)
    if not name or name in (".", ".."):
        raise ConfigError(f"{origin!r} does not end in a file name; give fname=")
    if "/" in name or os.sep in name:
        raise ConfigError(f"fname is a name, not a path; put the folder into cache_dir and cache_subdir: got {name!r}")
    if not extract:
        return folder / name, folder / name
    if given and "." in given:
        return folder / name, folder / f"{name.partition('.')[0]}_extracted"
    return folder / f"{name}_archive", folder / name


def _fetch(origin: str, target: Path, wanted: tuple[str, str | None]) -> None:
    address = urlsplit(origin)
    if address.scheme in ("http", "https", "ftp"):
        state = f"{target} has another hash than the one given" if target.exists() else "Dougong loads nothing"
        raise DataError(
            f"{state}: load {origin} by yourself, save it as {target}, and call again; "
            "or pass the path of your copy as origin="
        )
    source = Path(url2pathname(address.path)) if address.scheme == "file" else Path(origin)
    if not source.is_file():
        raise DataError(f"{source}: there is no such file; origin takes a path or a file: address")
    with _beside(target) as temporary:
        shutil.copyfile(source, temporary)
        found = _digest(temporary, *wanted) if wanted[1] else None
        if wanted[1] and found != wanted[1].lower():
            raise DataError(f"{source} has the hash {found}, not {wanted[1]}; it is another file, or damaged")
        temporary.replace(target)


@contextmanager
def _beside(target: Path) -> Iterator[Path]:
    """A temporary place in the same folder, gone afterwards unless it was moved."""
    temporary = target.with_name(f".{target.name}.{os.getpid()}.part")
    try:
        yield temporary
    finally:
        if temporary.is_dir():
            shutil.rmtree(temporary)
        temporary.unlink(missing_ok=True)


def _digest(path: Path, algorithm: str, file_hash: str | None) -> str:
    sha256 = algorithm == "sha256" or (algorithm == "auto" and file_hash is not None and len(file_hash) == 64)
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256" if sha256 else "md5").hexdigest()


# ── Archives ────────────────────────────────────────────────────────────────────────────────────────────────────────


def _unpack(archive: Path, folder: Path, archive_format: str | None) -> None:
    """Unpack ``archive`` into ``folder``, all of it or nothing.   Raises: DataError."""
    kinds = _FORMATS.get(archive_format or "auto")
    if kinds is None:
        raise UnknownNameError("archive_format", archive_format, _FORMATS)
    with _beside(folder) as temporary:
        temporary.mkdir()
        try:
            if "tar" in kinds and tarfile.is_tarfile(archive):
                with tarfile.open(archive) as tar:
                    _write_all(archive, temporary, _tar_members(archive, tar))
            elif "zip" in kinds and zipfile.is_zipfile(archive):
                with zipfile.ZipFile(archive) as whole:
                    _write_all(archive, temporary, _zip_members(archive, whole))
            else:
                raise DataError(f"{archive} is no {' or '.join(kinds)} file; leave extract out to use it as it is")
        except (tarfile.TarError, zipfile.BadZipFile, zlib.error, EOFError, RuntimeError, OSError) as error:
            raise DataError(f"{archive} cannot be unpacked ({error}): it is damaged; fetch it anew") from error
        if folder.exists():
            shutil.copytree(temporary, folder, dirs_exist_ok=True)
        else:
            temporary.replace(folder)


_Member = tuple[str, "IO[bytes] | None"]  # the name, and what to read; None for a folder


def _tar_members(archive: Path, tar: tarfile.TarFile) -> Iterator[_Member]:
    for member in tar:
        if not (member.isfile() or member.isdir()):
            raise DataError(_refused(archive, member.name, "is a link or a device"))
        yield member.name, None if member.isdir() else tar.extractfile(member)


def _zip_members(archive: Path, whole: zipfile.ZipFile) -> Iterator[_Member]:
    for member in whole.infolist():
        if stat.S_ISLNK(member.external_attr >> 16):
            raise DataError(_refused(archive, member.filename, "is a link"))
        if member.is_dir():
            yield member.filename, None
        else:
            with whole.open(member) as stream:
                yield member.filename, stream


def _write_all(archive: Path, folder: Path, members: Iterator[_Member]) -> None:
    room = max(_FREE_BYTES, _MOST_INFLATION * archive.stat().st_size)
    for name, stream in members:
        parts = PurePosixPath(name.replace("\\", "/"))
        if parts.is_absolute() or ".." in parts.parts or any(":" in part for part in parts.parts):
            raise DataError(_refused(archive, name, "leads out of the archive"))
        place = folder.joinpath(*parts.parts)
        if stream is None:
            place.mkdir(parents=True, exist_ok=True)
            continue
        place.parent.mkdir(parents=True, exist_ok=True)
        with place.open("wb") as file:
            while chunk := stream.read(_CHUNK):
                room -= len(chunk)
                if room < 0:
                    raise DataError(f"{archive} grows more than {_MOST_INFLATION} times; unpack it by hand")
                file.write(chunk)


def _refused(archive: Path, name: str, why: str) -> str:
    return f"{archive}: its member {name!r} {why}; nothing was unpacked. Do so by hand if you trust it."
