"""The table of Keras's public names in docs/keras-names.md: what is done, what is refused and why, how it is compared.

Made anew with ``python tests/keras_table.py``; a test compares its verdicts with the code.
"""

from __future__ import annotations

import ast
import importlib
import os
import re
import subprocess
import sys
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType

os.environ.setdefault("KERAS_BACKEND", "torch")

import keras

from dougong.core.errors import NotOfferedError

__all__ = ["MODULES", "Row", "rows", "shares"]

ROOT = Path(__file__).parents[1]
PAGE = ROOT / "docs" / "keras-names.md"


@dataclass(frozen=True)
class Compared:
    """How a module's names are compared with the real Keras."""

    tests: str  # files below tests/, by pattern
    how: str
    tolerance: str


_OPS = Compared("test_ops_* test_picture_* test_random*", "live: values, dtypes, gradients, symbols", "1e-5")
_FACADE = Compared(
    "test_keras_facade* test_keras_words* test_models* test_wrong_input* test_same_seed*",
    "live: names, results",
    "equal",
)

# Keras's module -> how it is compared.
MODULES = {
    "keras": _FACADE,
    "keras.activations": Compared("test_activations* contract/*", "live: values, gradients", "1e-6"),
    "keras.applications": _FACADE,
    "keras.backend": _FACADE,
    "keras.callbacks": Compared("test_callback*", "live: hooks, files, effects", "equal"),
    "keras.config": _FACADE,
    "keras.constraints": Compared("test_regularizers_constraints* contract/*", "live", "1e-6"),
    "keras.datasets": _FACADE,
    "keras.distillation": Compared("test_distillation*", "live: losses, training", "1e-5"),
    "keras.distribution": _FACADE,
    "keras.dtype_policies": _FACADE,
    "keras.export": _FACADE,
    "keras.initializers": Compared("test_initializers* contract/*", "live: the same numbers for a seed", "1e-6"),
    "keras.layers": Compared(
        "contract/* test_layers_* test_picture_* test_properties*",
        "live, text layers golden: outputs, gradients, weights, one step, files",
        "1e-5",
    ),
    "keras.legacy.saving": _FACADE,
    "keras.losses": Compared("test_losses* contract/*", "live: values, gradients, masks, weights", "1e-6"),
    "keras.metrics": Compared("test_metric* test_losses* contract/*", "live: results, weights, merging", "1e-6"),
    "keras.mixed_precision": _FACADE,
    "keras.models": Compared("test_models* test_files* test_keras_* test_cloning*", "live", "1e-5"),
    "keras.ops": _OPS,
    "keras.ops.image": _OPS,
    "keras.ops.linalg": _OPS,
    "keras.ops.nn": _OPS,
    "keras.ops.numpy": _OPS,
    "keras.optimizers": Compared("test_optimizers* contract/*", "golden and live: 10 steps, states", "1e-5"),
    "keras.optimizers.legacy": _FACADE,
    "keras.optimizers.schedules": Compared("test_schedules* contract/*", "live: rates", "1e-6"),
    "keras.preprocessing": Compared("test_keras_* test_folders*", "live", "equal"),
    "keras.preprocessing.image": Compared("test_keras_*", "live", "equal"),
    "keras.preprocessing.sequence": Compared("test_keras_*", "live", "equal"),
    "keras.quantizers": _FACADE,
    "keras.random": Compared("test_random*", "live and statistical: the same numbers for a seed", "1e-6"),
    "keras.regularizers": Compared("test_regularizers_constraints* contract/*", "live", "1e-6"),
    "keras.saving": Compared("test_keras_facade* test_files* test_file_editor* test_layers_in_files*", "live", "equal"),
    "keras.tree": Compared("test_tree*", "live, random structures", "equal"),
    "keras.utils": Compared(
        "test_keras_* test_folders* test_plot* test_picture* test_progbar* test_data_*", "live", "equal"
    ),
    "keras.utils.bounding_boxes": Compared("test_keras_* test_bounding*", "live", "1e-5"),
    "keras.utils.legacy": _FACADE,
    "keras.visualization": Compared("test_visual* test_keras_*", "pictures are drawn", "-"),
    "keras.wrappers": Compared("test_sklearn*", "live: outputs after training", "1e-4"),
}

# Left out on purpose: by the plan of the project, and so no part of the shares asked for.
LEFT_OUT = frozenset(
    """
FlaxLayer HashedCrossing JaxLayer MaxNumBoundingBoxes MelSpectrogram STFTSpectrogram TFSMLayer FeatureSpace
OrbaxCheckpoint legacy
""".split()
)


@dataclass(frozen=True)
class Row:
    """One public name: ``verdict`` is done, alias, refused or missing."""

    module: str
    name: str
    verdict: str
    why: str = ""


def rows() -> list[Row]:
    """Every public name of the modules, with its verdict."""
    found = []
    for module in MODULES:
        theirs = _module(keras, module)
        try:
            ours = importlib.import_module(f"dougong.{module}")
        except ImportError as error:
            found += [Row(module, name, "missing", str(error)) for name in _names(theirs)]
            continue
        found += [_row(module, name, ours, theirs) for name in _names(theirs)]
    return found


def _module(root: ModuleType, path: str) -> ModuleType:
    found = root
    for part in path.split(".")[1:]:
        found = getattr(found, part)
    return found


def _names(module: ModuleType) -> list[str]:
    return [name for name in dir(module) if not name.startswith("_") and name != "src"]


def _row(module: str, name: str, ours: ModuleType, theirs: ModuleType) -> Row:
    try:
        getattr(ours, name)
    except NotOfferedError as error:
        return Row(module, name, "refused", str(error).partition(": ")[2])
    except AttributeError as error:
        return Row(module, name, "missing", str(error))
    own = getattr(getattr(theirs, name), "__name__", name)
    alias = own != name and own in dir(theirs) and getattr(theirs, own) is getattr(theirs, name)
    return Row(module, name, "alias" if alias else "done", f"of {own}" if alias else "")


def shares(table: list[Row]) -> dict[str, tuple[int, int]]:
    """For each module how many of its names are there, of how many that are not left out by plan."""
    counted: dict[str, tuple[int, int]] = {}
    for module in MODULES:
        own = [row for row in table if row.module == module and row.name not in LEFT_OUT]
        counted[module] = (sum(row.verdict in ("done", "alias") for row in own), len(own))
    return counted


def _cases() -> dict[str, Counter[str]]:
    """How many tests of each file mention a word in their name or parameters."""
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "--collect-only", "-q", "tests", "-p", "no:xdist"],
        cwd=ROOT, capture_output=True, text=True, check=True,
    )  # fmt: skip
    found: dict[str, Counter[str]] = {}
    for line in done.stdout.splitlines():
        path, _, test = line.partition("::")
        if test:
            words = found.setdefault(path.removeprefix("tests/"), Counter())
            words.update(set(re.findall(r"[A-Za-z0-9_]+", test)))
    return found


def _mentions() -> dict[str, Counter[str]]:
    """How many test functions of each file have a word in their text."""
    found: dict[str, Counter[str]] = {}
    for path in (ROOT / "tests").rglob("test_*.py"):
        text = path.read_text()
        counted = found.setdefault(str(path.relative_to(ROOT / "tests")), Counter())
        for node in ast.walk(ast.parse(text)):
            if isinstance(node, ast.FunctionDef) and node.name.startswith("test"):
                counted.update(set(re.findall(r"[A-Za-z0-9_]+", ast.get_source_segment(text, node) or "")))
    return found


def _count(cases: dict[str, Counter[str]], mentions: dict[str, Counter[str]], patterns: str, name: str) -> int:
    """The tests that carry the name or, where none does, those that speak of it."""

    def total(counted: dict[str, Counter[str]]) -> int:
        files = {path for path in counted for pattern in patterns.split() if Path(path).match(pattern)}
        return sum(counted[path][name] for path in files)

    return total(cases) or total(mentions)


def page() -> str:
    """The whole page."""
    table, cases, mentions = rows(), _cases(), _mentions()
    lines = [
        "# Keras's public names in Dougong",
        "",
        f"Every public name of Keras {keras.__version__} under `dougong.keras`, by `python tests/keras_table.py`.",
        "*done*: there, compared with the real Keras as the module says; *cases* counts the tests that carry the name",
        "or, where none does, the test functions that use it.  *refused*: raises `NotOfferedError` with the reason.",
        "",
        "| module | there | of | share | refused | how it is compared | tolerance |",
        "|---|--:|--:|--:|--:|---|---|",
    ]
    for module, (there, of) in shares(table).items():
        refused = sum(row.module == module and row.verdict == "refused" for row in table)
        how, share = MODULES[module], f"{there / of:.1%}" if of else "-"
        lines.append(f"| `{module}` | {there} | {of} | {share} | {refused} | {how.how} | {how.tolerance} |")
    lines += ["", "Names left out by plan are not counted in *of*: " + ", ".join(sorted(LEFT_OUT)) + ".", ""]
    for module, how in MODULES.items():
        lines += [f"## `{module}`", "", "| name | verdict | cases |", "|---|---|--:|"]
        for row in table:
            if row.module == module:
                said = row.verdict + (f": {row.why}" if row.verdict == "refused" else f" {row.why}".rstrip())
                count = _count(cases, mentions, how.tests, row.name) if row.verdict in ("done", "alias") else ""
                lines.append(f"| `{row.name}` | {said} | {count or ''} |")
        lines.append("")
    return "\n".join(lines)


if __name__ == "__main__":
    PAGE.write_text(page())
