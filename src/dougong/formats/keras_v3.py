"""The ``.keras`` file: a ZIP of metadata.json, config.json, model.weights.h5 and assets.   Bytes ↔ Bundle.

Nothing in a file is executed.  Sizes are read before memory is taken, and every array has a checksum in the metadata.
"""

from __future__ import annotations

import io
import json
import os
import zipfile
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from dougong.core.errors import ModelFormatError
from dougong.formats.atomic import replacing
from dougong.formats.bundle import Bundle, digest

__all__ = ["read", "read_weights", "write", "write_weights"]

_MOST_JSON = 64 * 2**20  # bytes of a config; real ones have kilobytes
_MOST_MEMBERS = 10_000
_KERAS_VERSION = "3.15.1"  # the version of the format
_WEIGHTS = "model.weights.h5"
_ASSETS = "assets/"


def write(path: str | os.PathLike[str], bundle: Bundle) -> None:
    """Write ``bundle`` as a whole-model file, atomically.   Raises: SaveError."""
    arrays = dict(_all_arrays(bundle))
    assets = {f"{_ASSETS}{name}": data for name, data in bundle.assets.items()}
    metadata = {
        "keras_version": _KERAS_VERSION,
        **bundle.metadata,
        "checksums": {name: digest(array) for name, array in (arrays | _as_arrays(assets)).items()},
    }
    with replacing(path) as temporary, zipfile.ZipFile(temporary, "w", zipfile.ZIP_STORED) as archive:
        archive.writestr("metadata.json", json.dumps(metadata))
        archive.writestr("config.json", json.dumps(bundle.config))
        archive.writestr(_WEIGHTS, _hdf5_bytes(arrays))
        for name, data in assets.items():
            archive.writestr(name, data)


def write_weights(path: str | os.PathLike[str], bundle: Bundle) -> None:
    """Write the arrays alone, as ``.weights.h5``, atomically.   Raises: SaveError."""
    with replacing(path) as temporary:
        temporary.write_bytes(_hdf5_bytes(dict(_all_arrays(bundle))))


def _all_arrays(bundle: Bundle) -> Iterator[tuple[str, np.ndarray]]:
    yield from bundle.weights.items()
    for name, array in bundle.optimizer.items():
        yield f"optimizer/{name}", array


def _hdf5_bytes(arrays: Mapping[str, np.ndarray]) -> bytes:
    import h5py  # lazy: 0.1 s, and only files need it

    buffer = io.BytesIO()
    with h5py.File(buffer, "w") as file:
        for name, array in arrays.items():
            file.create_dataset(name, data=array)
    return buffer.getvalue()


def read(path: str | os.PathLike[str]) -> Bundle:
    """Read a whole-model file.   Raises: ModelFormatError naming file, place and reason; nothing is executed."""
    target = Path(path)
    if not target.is_file():
        near = sorted(p.name for p in target.parent.glob("*.keras")) if target.parent.is_dir() else []
        hint = f"; in that folder: {', '.join(near[:5])}" if near else ""
        raise ModelFormatError(f"{target}: there is no such file{hint}")
    try:
        with zipfile.ZipFile(target) as archive:
            names = archive.namelist()
            if len(names) > _MOST_MEMBERS:
                raise ModelFormatError(f"{target}: {len(names)} members are more than any model has")
            config = _json(archive, "config.json", target)
            metadata = _json(archive, "metadata.json", target) if "metadata.json" in names else {}
            if _WEIGHTS not in names:
                raise ModelFormatError(f"{target}: it has no {_WEIGHTS}; sharded and .npz weights are not read yet")
            data = _member(archive, _WEIGHTS, target)
            arrays, called = _arrays(io.BytesIO(data), target, len(data))
            wanted = [name for name in names if name.startswith(_ASSETS) and not name.endswith("/")]
            assets = {name: _member(archive, name, target) for name in wanted}
    except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, OSError) as error:
        raise ModelFormatError(f"{target}: it is no .keras file, or it is damaged: {error}") from error
    if not isinstance(metadata, dict):
        raise ModelFormatError(f"{target}: metadata.json is no JSON object")
    _check_sums(arrays | _as_arrays(assets), metadata.get("checksums"), target)
    found = {name.removeprefix(_ASSETS): data for name, data in assets.items()}
    return replace(_bundle(config, arrays, metadata), assets=found, names=called)


def _as_arrays(assets: Mapping[str, bytes]) -> dict[str, np.ndarray]:
    return {name: np.frombuffer(data, np.uint8) for name, data in assets.items()}


def read_weights(path: str | os.PathLike[str]) -> Bundle:
    """Read a ``.weights.h5`` file; the config is empty.   Raises: ModelFormatError."""
    target = Path(path)
    if not target.is_file():
        raise ModelFormatError(f"{target}: there is no such file")
    with target.open("rb") as stream:
        arrays, called = _arrays(stream, target, target.stat().st_size)
    return replace(_bundle({}, arrays, {}), names=called)


def _bundle(config: Any, arrays: Mapping[str, np.ndarray], metadata: Mapping[str, Any]) -> Bundle:
    weights = {name: array for name, array in arrays.items() if not name.startswith("optimizer/")}
    optimizer = {name.removeprefix("optimizer/"): array for name, array in arrays.items() if name not in weights}
    return Bundle(config, weights, optimizer, metadata)


def _json(archive: zipfile.ZipFile, name: str, target: Path) -> Any:
    try:
        info = archive.getinfo(name)
    except KeyError:
        raise ModelFormatError(f"{target}: it has no {name}, so it is no .keras file") from None
    if info.file_size > _MOST_JSON:
        raise ModelFormatError(f"{target}: {name} of {info.file_size} bytes is larger than any config")
    with archive.open(info) as stream:
        data = stream.read(_MOST_JSON + 1)
    try:
        return json.loads(data)
    except (ValueError, RecursionError) as error:
        raise ModelFormatError(f"{target}: {name} is no JSON: {error}") from error


def _member(archive: zipfile.ZipFile, name: str, target: Path) -> bytes:
    """A member's bytes, its size checked first."""
    info = archive.getinfo(name)
    if info.compress_type == zipfile.ZIP_STORED and info.file_size > target.stat().st_size:
        raise ModelFormatError(f"{target}: {name} claims {info.file_size} bytes, more than the file has")
    if info.compress_type != zipfile.ZIP_STORED and info.file_size > 100 * max(info.compress_size, 1):
        raise ModelFormatError(f"{target}: {name} would inflate to {info.file_size} bytes; refused")
    with archive.open(info) as stream:
        return stream.read(info.file_size + 1)


def _arrays(stream: Any, target: Path, size: int) -> tuple[dict[str, np.ndarray], dict[str, str]]:
    """Every dataset of an HDF5 file, and the names that groups are given; links and outside data are refused."""
    import h5py  # lazy: 0.1 s, and only files need it

    found: dict[str, np.ndarray] = {}
    called: dict[str, str] = {}

    def walk(group: Any, prefix: str) -> None:
        name = group.attrs.get("name")
        if isinstance(name, str):
            called[prefix.removesuffix("vars/").rstrip("/")] = name
        for key in group:
            place = f"{prefix}{key}"
            if not isinstance(group.get(key, getlink=True), h5py.HardLink):
                raise ModelFormatError(f"{target}: {place} is a link; links are refused")
            item = group[key]
            if isinstance(item, h5py.Group):
                walk(item, f"{place}/")
            elif isinstance(item, h5py.Dataset):
                found[place] = _array(item, place, target, size)

    try:
        with h5py.File(stream, "r") as file:
            walk(file, "")
    except (OSError, RuntimeError, KeyError, ValueError, TypeError) as error:
        if isinstance(error, ModelFormatError):
            raise
        raise ModelFormatError(f"{target}: its weights are no HDF5, or damaged: {error}") from error
    return found, called


def _array(dataset: Any, place: str, target: Path, size: int) -> np.ndarray:
    if dataset.is_virtual or dataset.external:
        raise ModelFormatError(f"{target}: {place} takes its data from another file; refused")
    if dataset.dtype.kind not in "fiub":
        raise ModelFormatError(f"{target}: {place} holds {dataset.dtype}, not numbers")
    limit = size if dataset.compression is None else 100 * size
    if dataset.size and dataset.size * dataset.dtype.itemsize > limit:
        raise ModelFormatError(f"{target}: {place} claims shape {dataset.shape}, more than the file holds")
    return np.asarray(dataset[()])


def _check_sums(arrays: Mapping[str, np.ndarray], sums: Any, target: Path) -> None:
    if not isinstance(sums, dict):
        return
    for name in sums:
        if name not in arrays:
            raise ModelFormatError(f"{target}: the array {name} is missing")
    for name, array in arrays.items():
        if name in sums and digest(array) != sums[name]:
            raise ModelFormatError(f"{target}: the array {name} is damaged: its checksum does not match")
