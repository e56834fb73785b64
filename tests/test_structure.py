"""The shape of the code: sizes, names, start-up, frames."""

from __future__ import annotations

import ast
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

import dougong as dg

ROOT = Path(__file__).parents[1]
SOURCES = sorted((ROOT / "src").rglob("*.py"))


def test_no_file_is_over_500_lines() -> None:
    folders = ("src", "tests", "benchmarks", "examples")
    checked = [path for folder in folders for path in (ROOT / folder).rglob("*.py")]
    long = {path.relative_to(ROOT): n for path in checked if (n := len(path.read_text().splitlines())) > 500}
    assert not long


def test_no_function_is_over_40_statements() -> None:
    long = []
    for path in SOURCES:
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.FunctionDef):
                statements = sum(isinstance(inner, ast.stmt) for inner in ast.walk(node)) - 1
                if statements > 40:
                    long.append(f"{path.relative_to(ROOT)}:{node.lineno} {node.name} {statements}")
    assert not long


def test_every_module_says_what_it_is_and_what_it_offers() -> None:
    silent = []
    for path in SOURCES:
        tree = ast.parse(path.read_text())
        targets = [target for n in tree.body if isinstance(n, ast.Assign) for target in n.targets]
        names = [name.id for target in targets for name in ast.walk(target) if isinstance(name, ast.Name)]
        if not ast.get_docstring(tree) or (
            "__all__" not in names and len(tree.body) > 1 and path.name != "__main__.py"
        ):
            silent.append(str(path.relative_to(ROOT)))
    assert not silent


def test_no_package_has_a_name_that_says_nothing() -> None:
    vague = {"utils", "common", "helpers", "misc"}
    # dougong.keras.utils carries Keras's own name.
    assert not [p for p in SOURCES if p.stem in vague and "keras" not in p.parts]


@pytest.mark.parametrize("command", [["-c", "import dougong"], ["-m", "dougong", "--help"]])
def test_start_up_is_fast_and_loads_no_torch(command: list[str]) -> None:
    code = [sys.executable, "-X", "importtime", *command]
    best = float("inf")
    for _ in range(3):
        before = os.times()
        done = subprocess.run([sys.executable, *command], capture_output=True, text=True, check=True)
        after = os.times()
        # Processor time: what the command costs however busy the machine is.
        spent = after.children_user + after.children_system - before.children_user - before.children_system
        best = min(best, spent)
    loaded = subprocess.run(code, capture_output=True, text=True, check=True).stderr
    assert "torch" not in {line.rpartition("|")[2].strip() for line in loaded.splitlines()}
    assert best < 0.3, f"{' '.join(command)} took {best:.2f} s: {done.stdout[:80]}"


def test_at_most_five_python_frames_lie_between_a_layer_and_its_kernel() -> None:
    picture, sequence = torch.randn(2, 8, 8, 3), torch.randn(2, 5, 3)
    cases = {
        dg.layers.Dense(3, activation="relu"): (torch.randn(2, 4), "linear"),
        dg.layers.Conv2D(3, 3, padding="same"): (picture, "conv2d"),
        dg.layers.MaxPooling2D(): (picture, "max_pool2d"),
        dg.layers.LSTM(4): (sequence, "lstm"),
        dg.layers.BatchNormalization(): (sequence, "batch_norm"),
        dg.layers.Embedding(5, 3): (torch.tensor([[1, 2]]), "embedding"),
        dg.layers.LayerNormalization(): (sequence, "layer_norm"),
    }
    for layer, (x, kernel) in cases.items():
        layer(x)
        depth = _depth_of(kernel, lambda layer=layer, x=x: layer(x))
        assert depth is not None, f"{type(layer).__name__} did not call {kernel}"
        assert depth <= 5, f"{type(layer).__name__}: {depth} frames to {kernel}"


def _depth_of(kernel: str, call) -> int | None:
    """How many Python frames stand between ``call`` and torch's ``kernel``."""
    depth, found = 0, None

    def watch(frame, event, argument) -> None:
        nonlocal depth, found
        if event == "c_call" and kernel in argument.__name__ and found is None:
            found = depth - 1  # without the lambda itself
        depth += (event == "call") - (event == "return")

    sys.setprofile(watch)
    try:
        call()
    finally:
        sys.setprofile(None)
    return found


def test_the_readme_and_changelog_are_there() -> None:
    for name in ("README.md", "CHANGELOG.md", "CONTRIBUTING.md", "LICENSE", "constraints.txt"):
        assert (ROOT / name).is_file(), name
