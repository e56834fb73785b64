"""`KerasFileEditor`: what a weight file holds, how it differs from a model, and the file with another content."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch

from dougong.core.errors import ConfigError, UnknownNameError
from dougong.formats import keras_v3
from dougong.formats.bundle import Bundle
from dougong.models.bundles import module_paths, weight_paths
from dougong.models.own_state import own_variables

__all__ = ["KerasFileEditor"]

Tree = dict[str, Any]  # object or weight by name; an object is a tree, a weight an array

_VARS = "vars"  # the folder of an object's own weights in a file; not shown


class KerasFileEditor:
    """Shows a ``.keras`` or ``.weights.h5`` file, and writes it anew with objects renamed, added or taken away.

    An object is a layer, a model or an optimizer.  It is called by its path, ``layers/dense_1``, or by the last part
    alone where that is unique.  Its own weights are ``0``, ``1`` …, as `weights_dict` has them.  What is to be shown
    goes line by line to ``print_fn``, or to standard output.
    Raises: ModelFormatError for a file that cannot be read, ConfigError for another ending.
    Keras: equals its namesake, but layers within layers (an LSTM's cell, a nested model) are kept, which Keras loses;
    mismatches are counted once, and an optimizer's state is compared only where file and model both have one.

    >>> from dougong.models import Sequential
    >>> from dougong.core.symbol import Input
    >>> from dougong.layers.dense import Dense
    >>> from tempfile import TemporaryDirectory
    >>> with TemporaryDirectory() as folder:
    ...     Sequential([Input((2,)), Dense(3)]).save_weights(f"{folder}/net.weights.h5")
    ...     editor = KerasFileEditor(f"{folder}/net.weights.h5", print_fn=lambda line: None)
    >>> editor.rename_object("dense", "last")
    >>> editor.summary(print_fn=print)
    Weights structure
      > layers
          └─ last
              ├─ 0: shape=(2, 3), dtype=float32
              └─ 1: shape=(3,), dtype=float32
    """

    def __init__(self, filepath: str | os.PathLike[str], *, print_fn: Callable[[str], Any] | None = None) -> None:
        self.filepath = os.fspath(filepath)
        self._print = print_fn or _to_standard_output
        if self.filepath.endswith(".keras"):
            bundle = keras_v3.read(self.filepath)
        elif self.filepath.endswith(".weights.h5"):
            bundle = keras_v3.read_weights(self.filepath)
        else:
            raise ConfigError(f"KerasFileEditor wants a .keras or .weights.h5 file, got {self.filepath!r}")
        optimizer = {f"optimizer/{name}": array for name, array in bundle.optimizer.items()}
        self.config: Mapping[str, Any] | None = bundle.config or None
        self.metadata: Mapping[str, Any] | None = bundle.metadata or None
        self.model = None
        self.weights_dict: Tree = _tree({**bundle.weights, **optimizer})
        self.object_metadata = {path: {"name": name} for path, name in bundle.names.items()}
        self._print(f"Keras model file '{self.filepath}'")
        if self.metadata is not None:
            version, date = (self.metadata.get(key, "?") for key in ("keras_version", "date_saved"))
            self._print(f"Saved with Keras {version} - date: {date}")

    # ── Looking ─────────────────────────────────────────────────────────────────────────────────────────────────────

    def summary(self, print_fn: Callable[[str], Any] | None = None) -> None:
        """Show every object, and every weight's shape and dtype."""
        show = print_fn or self._print
        show("Weights structure")
        for line in self._lines(self.weights_dict, "  ", ""):
            show(line)

    def _lines(self, tree: Tree, prefix: str, path: str) -> Iterator[str]:
        for index, (name, value) in enumerate(tree.items()):
            last = index == len(tree) - 1
            connector = "> " if not path and index == 0 else "└─ " if last else "├─ "
            if not isinstance(value, dict):
                yield f"{prefix}{connector}{name}: shape={value.shape}, dtype={value.dtype}"
                continue
            place = f"{path}{name}"
            called = self.object_metadata.get(place, {}).get("name")
            yield f"{prefix}{connector}{name}" + (f" ('{called}')" if called else "")
            yield from self._lines(value, prefix + ("    " if last else "│   "), f"{place}/")

    def compare(self, reference_model: Any) -> dict[str, Any]:
        """Show where the file and a model differ.

        Returns ``status`` (``"success"`` or ``"error"``), ``error_count`` and ``match_count``, the number of weights
        that are in both with one shape.
        """
        self._print("Running comparison")
        wanted, own = _spec(reference_model), self.weights_dict
        if not ("optimizer" in wanted and "optimizer" in own):
            wanted, own = ({k: v for k, v in tree.items() if k != "optimizer"} for tree in (wanted, own))
        problems = list(_differences(own, wanted, ""))
        for problem in problems:
            self._print(problem)
        matches = sum(1 for _ in _matches(own, wanted))
        self._print("─" * 21)
        if problems:
            self._print(
                f"Found {_counted(len(problems), 'error')}: saved file is not compatible with the reference model"
            )
        else:
            self._print("Comparison successful: saved file is compatible with the reference model")
            self._print(f"    Found {_counted(matches, 'matching weight')}")
        return {
            "status": "error" if problems else "success",
            "error_count": len(problems),
            "match_count": matches,
        }

    # ── Editing ─────────────────────────────────────────────────────────────────────────────────────────────────────

    def rename_object(self, object_name: str, new_name: str) -> None:
        """Give an object another name; ``new_name`` is the last part of its path.

        Raises: UnknownNameError, ConfigError for a path or a name that is taken.
        """
        if "/" in new_name:
            raise ConfigError(f"new_name is a name, not a path; got {new_name!r}")
        holder, name = self._found(object_name)
        if new_name != name and new_name in holder:
            raise ConfigError(
                f"there is an object {new_name!r} beside {object_name!r} already; delete or rename it first"
            )
        items = [(new_name if key == name else key, value) for key, value in holder.items()]
        holder.clear()
        holder.update(items)

    def delete_object(self, object_name: str) -> None:
        """Take an object away, with all its weights."""
        holder, name = self._found(object_name)
        del holder[name]

    def add_object(self, object_path: str, weights: Mapping[str, Any]) -> None:
        """Put a new object, ``{"0": kernel, "1": bias}``, at a path whose folder is there already.

        Raises: UnknownNameError for another folder, ConfigError for weights that are no dict of arrays.
        """
        given = _as_tree(weights)
        folder, _, name = object_path.rpartition("/")
        holder = self._object(folder) if folder else self.weights_dict
        holder[name] = given

    def delete_weight(self, object_name: str, weight_name: str) -> None:
        """Take one weight of an object away.   Raises: UnknownNameError."""
        holder, name = self._found(object_name)
        held = holder[name]
        if not isinstance(held, dict) or weight_name not in held:
            known = held if isinstance(held, dict) else ()
            raise UnknownNameError(f"weight of {object_name!r}", weight_name, known)
        del held[weight_name]

    def add_weights(self, object_name: str, weights: Mapping[str, Any]) -> None:
        """Add weights to an object, or replace some."""
        given = _as_tree(weights)
        holder, name = self._found(object_name)
        if not isinstance(holder[name], dict):
            raise ConfigError(f"{object_name!r} is a weight; weights are added to an object")
        holder[name].update(given)

    def save(self, filepath: str | os.PathLike[str]) -> None:
        """Write what is there now to a ``.weights.h5`` file, atomically.   Raises: ConfigError, SaveError."""
        if not os.fspath(filepath).endswith(".weights.h5"):
            raise ConfigError(f"an edited file is saved as .weights.h5, got {os.fspath(filepath)!r}")
        keras_v3.write_weights(Path(filepath), Bundle({}, dict(_arrays(self.weights_dict, ""))))

    resave_weights = save

    def _found(self, name: str) -> tuple[Tree, str]:
        """The tree that holds the object of a path or a unique name, and its name there."""
        if "/" in name:
            folder, _, last = name.rpartition("/")
            holder = self._object(folder)
            if last not in holder:
                raise UnknownNameError("path in the file", name, _paths(self.weights_dict))
            return holder, last
        places = [path for path in _paths(self.weights_dict) if path.rpartition("/")[2] == name]
        if not places:
            raise UnknownNameError(
                "object in the file", name, (p.rpartition("/")[2] for p in _paths(self.weights_dict))
            )
        if len(places) > 1:
            raise ConfigError(f"{name!r} occurs more than once: give its path, {' or '.join(map(repr, places))}")
        return self._object(places[0].rpartition("/")[0]), name

    def _object(self, path: str) -> Tree:
        tree = self.weights_dict
        for name in path.split("/") if path else ():
            below = tree.get(name)
            if not isinstance(below, dict):
                raise UnknownNameError("path in the file", path, _paths(self.weights_dict))
            tree = below
        return tree


def _to_standard_output(line: str) -> None:
    sys.stdout.write(f"{line}\n")


def _tree(arrays: Mapping[str, Any]) -> Tree:
    """``layers/dense/vars/0`` as a tree of objects, each with its own weights first.

    >>> _tree({"layers/lstm/cell/vars/0": 1, "vars/0": 2})
    {'layers': {'lstm': {'cell': {'0': 1}}}, '0': 2}
    """
    tree: Tree = {}
    for path, array in arrays.items():
        *folders, name = path.split("/")
        place = tree
        for folder in folders[:-1] if folders[-1:] == [_VARS] else folders:
            place = place.setdefault(folder, {})
        place[name] = array
    return tree


def _arrays(tree: Tree, folder: str) -> Iterator[tuple[str, np.ndarray]]:
    """The inverse of `_tree`."""
    for name, value in tree.items():
        if isinstance(value, dict):
            yield from _arrays(value, f"{folder}{name}/")
        else:
            yield f"{folder}{_VARS}/{name}", value


def _paths(tree: Tree, folder: str = "") -> Iterator[str]:
    """The paths of all objects and weights."""
    for name, value in tree.items():
        yield f"{folder}{name}"
        if isinstance(value, dict):
            yield from _paths(value, f"{folder}{name}/")


def _as_tree(weights: Any) -> Tree:
    if not isinstance(weights, Mapping):
        raise ConfigError(f"weights are a dict of arrays by name, such as {{'0': kernel, '1': bias}}; got {weights!r}")
    tree: Tree = {}
    for name, value in weights.items():
        if not isinstance(name, str) or "/" in name:
            raise ConfigError(f"a weight's name is a string without '/', usually '0', '1' …; got {name!r}")
        tree[name] = _as_tree(value) if isinstance(value, Mapping) else _as_array(value, name)
    return tree


def _as_array(value: Any, name: str) -> np.ndarray:
    array = value.detach().cpu().numpy() if isinstance(value, torch.Tensor) else np.asarray(value)
    if array.dtype.kind not in "fiub":
        raise ConfigError(f"weight {name!r} must be an array of numbers, got {value!r}")
    return array


def _spec(model: Any) -> Tree:
    """The weights that a model has, as `_tree` gives those of a file."""
    found: dict[str, Any] = {path: weight.value().detach() for path, weight in weight_paths(model)}
    found |= own_variables(module_paths(model))
    optimizer = getattr(model, "optimizer", None)
    if optimizer is not None and optimizer.built:
        found |= {f"optimizer/vars/{index}": value for index, value in enumerate(optimizer.state().values())}
    return _tree(found)


def _differences(own: Tree, wanted: Tree, path: str) -> Iterator[str]:
    """A line for each object or weight that only one has, or that has two shapes."""
    sides = (("reference model", wanted, own, "saved file"), ("saved file", own, wanted, "reference model"))
    for name in {**wanted, **own}:
        place = f"{path}{name}"
        for here, tree, other, there in sides:
            if name in tree and name not in other:
                yield f"...{_kind(tree[name])} {place} present in {here}, missing from {there}"
        if name not in wanted or name not in own:
            continue
        one, two = own[name], wanted[name]
        if isinstance(one, dict) and isinstance(two, dict):
            yield from _differences(one, two, f"{place}/")
        elif isinstance(one, dict) or isinstance(two, dict):
            yield f"...{place} is an {_kind(two).lower()} in reference model, an {_kind(one).lower()} in saved file"
        elif tuple(one.shape) != tuple(two.shape):
            shapes = f"{tuple(two.shape)} in reference model, {tuple(one.shape)} in saved file"
            yield f"...Weight shape mismatch for {place}: {shapes}"


def _kind(value: Any) -> str:
    return "Object" if isinstance(value, dict) else "Weight"


def _matches(own: Tree, wanted: Tree) -> Iterator[str]:
    for name in own.keys() & wanted.keys():
        one, two = own[name], wanted[name]
        if isinstance(one, dict) and isinstance(two, dict):
            yield from _matches(one, two)
        elif not isinstance(one, dict) and not isinstance(two, dict) and tuple(one.shape) == tuple(two.shape):
            yield name


def _counted(count: int, what: str) -> str:
    return f"{count} {what}" + ("" if count == 1 else "s")
