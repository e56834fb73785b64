"""What layers keep in files beside plain weights: arrays and files of their own, such as a vocabulary.

Keras's contract: a layer may write ``save_own_variables(store)`` and ``save_assets(folder)``, and their opposites.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
from torch import nn

from dougong.core.errors import ConfigError, ModelFormatError
from dougong.layers.keras_words import KerasWords

__all__ = ["assets_of", "keeps_own_variables", "load_assets", "load_own_variables", "own_variables"]

Paths = Iterable[tuple[str, nn.Module]]


def keeps_own_variables(module: nn.Module) -> bool:
    """Whether the module's class says itself how its own variables are written."""
    return isinstance(module, KerasWords) and type(module).save_own_variables is not KerasWords.save_own_variables


def own_variables(paths: Paths) -> dict[str, np.ndarray]:
    """The arrays of such modules, by their path in a weight file: ``layers/string_lookup/vars/idf_weights``."""
    found: dict[str, np.ndarray] = {}
    for path, module in paths:
        if isinstance(module, KerasWords) and keeps_own_variables(module):
            store: dict[str, Any] = {}
            module.save_own_variables(store)
            found |= {f"{path}vars/{name}": np.asarray(value) for name, value in store.items()}
    return found


def load_own_variables(paths: Paths, arrays: Mapping[str, np.ndarray]) -> None:
    """Hand such modules their arrays."""
    for path, module in paths:
        if isinstance(module, KerasWords) and keeps_own_variables(module):
            prefix = f"{path}vars/"
            store = {name.removeprefix(prefix): array for name, array in arrays.items() if name.startswith(prefix)}
            module.load_own_variables(store)


def assets_of(paths: Paths) -> dict[str, bytes]:
    """The files that layers write, by their path: ``layers/string_lookup/vocabulary.txt``."""
    found: dict[str, bytes] = {}
    for path, module in paths:
        save: Any = getattr(module, "save_assets", None)
        if save is not None:
            with TemporaryDirectory() as folder:
                save(folder)
                written = sorted(file for file in Path(folder).rglob("*") if file.is_file())
                found |= {path + file.relative_to(folder).as_posix(): file.read_bytes() for file in written}
    return found


def load_assets(paths: Paths, assets: Mapping[str, bytes], source: str) -> None:
    """Hand layers their files.   Raises: ModelFormatError for files that a layer refuses, or that leave its folder."""
    for name in assets:
        if name.startswith("/") or "\\" in name or ":" in name or ".." in name.split("/"):
            raise ModelFormatError(f"{source}: the asset {name!r} leaves its folder; refused")
    for path, module in paths:
        load: Any = getattr(module, "load_assets", None)
        if load is None:
            continue
        with TemporaryDirectory() as folder:
            for name, data in assets.items():
                if name.startswith(path):
                    file = Path(folder, name.removeprefix(path))
                    file.parent.mkdir(parents=True, exist_ok=True)
                    file.write_bytes(data)
            try:
                load(folder)
            except (ConfigError, OSError, UnicodeError) as error:
                raise ModelFormatError(f"{source}: assets/{path}: {error}") from error
