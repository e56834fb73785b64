"""The lessons under examples/: they run, and the numbers they show are right."""

from __future__ import annotations

import importlib
import math
import re
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
import torch
from PIL import Image

import dougong as dg
from closeness import close

EXAMPLES = Path(__file__).resolve().parent.parent / "examples"
MNIST = EXAMPLES.parent.parent / "shared" / "data" / "mnist"
LESSONS = (
    "activations_compared",
    "backprop_by_hand",
    "mnist_train",
    "mnist_evaluate",
    "neuron",
    "three_ways",
    "torch_and_dougong",
    "xor",
)


@pytest.fixture
def lesson(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Callable[[str], Any]]:
    """Imports a lesson as `python examples/…` would find it; what it writes by default lands in a temporary folder."""
    monkeypatch.syspath_prepend(EXAMPLES)
    monkeypatch.chdir(tmp_path)
    threads = torch.get_num_threads()
    yield importlib.import_module
    torch.set_num_threads(threads)


def test_xor_shows_the_figures_of_the_classic_lesson(lesson: Callable[[str], Any], tmp_path: Path, capsys) -> None:
    dg.utils.set_random_seed(0)  # the bounds below are those of usual starting weights, not of all
    result = lesson("xor").main(tmp_path)
    assert result.parameters == 41
    assert np.abs(result.untrained - 0.5).max() < 0.35
    assert abs(result.losses[0] - math.log(2)) < 0.15
    assert 0.55 < result.losses[99] < 0.72
    close(result.trained.ravel(), [0.004, 0.991, 0.993, 0.009], because="the truth table", tolerance=0.01)
    assert np.array_equal(result.trained, result.reloaded)
    assert "41 parameters" in capsys.readouterr().out


def test_xor_keeps_structure_and_weights_apart(lesson: Callable[[str], Any], tmp_path: Path) -> None:
    trained = lesson("xor").main(tmp_path).trained
    structure = (tmp_path / "xor.json").read_text(encoding="utf-8")
    fresh = dg.models.model_from_json(structure)
    assert np.abs(fresh.predict(lesson("xor").X, verbose=0) - trained).max() > 0.1, "the structure holds no weights"
    shapes: list[tuple[int, ...]] = []
    with h5py.File(tmp_path / "xor.weights.h5") as file:
        file.visititems(lambda _, item: shapes.append(item.shape) if isinstance(item, h5py.Dataset) else None)
    assert sorted(shapes) == [(1,), (2, 10), (10,), (10, 1)]


def test_xor_tries_other_starting_weights(lesson: Callable[[str], Any], monkeypatch, capsys) -> None:
    module = lesson("xor")
    monkeypatch.setattr(module, "GOAL", 0.0)  # never met, so every attempt is used up
    _, _, losses, attempts = module.train(attempts=2)
    assert attempts == 2
    assert len(losses) >= 10_000, "it was fitted longer first"
    assert capsys.readouterr().out.count("try other starting weights") == 2


def test_backprop_by_hand_equals_autograd_and_the_model(lesson: Callable[[str], Any], capsys) -> None:
    module = lesson("backprop_by_hand")
    by_hand, by_autograd, losses, model_losses = module.main()
    assert list(by_hand) == [f"w{n}" for n in range(1, 13)]
    names = list(by_hand)
    hand, auto = ([table[name] for name in names] for table in (by_hand, by_autograd))
    close(hand, auto, because="the chain rule by hand", tolerance=1e-12)
    close(model_losses, losses, because="every loss until it fits", tolerance=1e-12)
    assert losses[-1] <= 1e-6 < losses[-2]
    # M. Mazur, "A Step by Step Backpropagation Example", 2015: as printed there.
    published = {"w1": 0.149780716, "w2": 0.19956143, "w3": 0.24975114, "w4": 0.29950229}
    published |= {"w5": 0.35891648, "w6": 0.408666186, "w7": 0.511301270, "w8": 0.561370121}
    after = module.updated(module.START)
    close([after[w] for w in published], list(published.values()), because="the published update", tolerance=1e-8)
    close(losses[0], 0.298371109, because="the published loss", tolerance=1e-9)
    printed = capsys.readouterr().out
    assert "(δo1 w5 + δo2 w7) · h1 (1 - h1)" in printed


def test_backprop_by_hand_agrees_with_finite_differences(lesson: Callable[[str], Any]) -> None:
    module, step = lesson("backprop_by_hand"), 1e-6
    rows = module.derivatives(module.START)
    for name, value in module.START.items():
        up, down = (module.forward({**module.START, name: value + sign * step})[-1] for sign in (1, -1))
        close(rows[name][1], (up - down) / (2 * step), because=f"∂E/∂{name}", tolerance=1e-9)


def test_neuron_needs_its_bias_and_a_smooth_unit(lesson: Callable[[str], Any]) -> None:
    result = lesson("neuron").main()
    assert result.without_bias == {"and": 2, "or": 3, "nand": 3, "nor": 4, "xor": 2}
    assert result.with_bias == {"and": 4, "or": 4, "nand": 4, "nor": 4, "xor": 3}
    assert {gate for gate, right in result.learned.items() if right == 4} == {"and", "or", "nand", "nor"}
    assert set(result.step_changes) == {0.0, -1.0}
    assert all(-0.03 < change < 0 for change in result.sigmoid_changes)


def test_three_ways_give_the_same_numbers(lesson: Callable[[str], Any], tmp_path: Path) -> None:
    results = lesson("three_ways").main(tmp_path)
    first, *others = results.values()
    assert first.parameters == 13 * 16 + 16 + 16 * 3 + 3
    assert len(first.losses) == 40
    assert first.accuracy > 0.9
    for other in others:
        assert (other.parameters, other.losses, other.loss) == (first.parameters, first.losses, first.loss)
        assert np.array_equal(other.predictions, first.predictions)
    for name, result in results.items():
        assert (tmp_path / f"{name}.keras").exists()
        assert np.array_equal(result.reloaded, result.predictions)


def test_torch_and_dougong_train_each_other(lesson: Callable[[str], Any]) -> None:
    result = lesson("torch_and_dougong").main()
    assert result.difference == 0.0
    for before, after in (result.torch_loop, result.fit):
        assert after < 0.05 < before
    assert result.both[0] == pytest.approx(result.fit[1], rel=1e-4)
    assert result.both[1] < 0.01


def test_activations_are_measured_and_drawn(lesson: Callable[[str], Any], tmp_path: Path) -> None:
    module = lesson("activations_compared")
    results = module.main(tmp_path)
    sigmoid, tanh, relu = (results[name] for name in ("sigmoid", "tanh", "relu"))
    assert sigmoid.slopes.max() == pytest.approx(0.25, abs=1e-6)
    assert sigmoid.arriving[0] < 1e-5 < 0.1 < tanh.arriving[0]
    assert module.one_sign(sigmoid.way) == 1.0
    assert 0.3 < module.one_sign(tanh.way) < 0.7
    assert 0 < tanh.steps < sigmoid.steps / 2
    assert relu.dead[-1] > 0.1
    assert relu.dead[-1] > relu.dead[0]
    assert results["leaky_relu"].dead == [0.0] * len(module.RATES)
    assert all(0.01 < result.cost < 1000 for result in results.values())
    for name in ("saturation", "zigzag", "dead_units", "cost"):
        picture = np.asarray(Image.open(tmp_path / f"{name}.png").convert("RGB"))
        assert picture.shape[0] > 400
        assert picture.shape[1] > 1000
        ink = (picture != 255).any(axis=2).mean()
        assert 0.01 < ink < 0.6, f"{name}.png is neither empty nor full"
        assert len(np.unique(picture.reshape(-1, 3), axis=0)) > 50, f"{name}.png has colours"


def weights_and_state(network: dg.Model) -> list[np.ndarray]:
    """All arrays by position: layers are numbered as they are made, so names differ within one process."""
    return [*network.get_weights(), *network.optimizer.state().values()]


def killed_after(epoch: int, folder: Path) -> str:
    """Start training in a process of its own and kill it, without warning, once it has reported ``epoch``."""
    command = [sys.executable, str(EXAMPLES / "mnist_train.py"), "--folder", str(folder), "--epochs", "100000"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        seen = ""
        for line in process.stdout:
            seen += line
            if line.split()[:1] == [str(epoch)]:
                process.kill()
                break
        process.wait(timeout=60)
    assert process.returncode == -signal.SIGKILL, seen
    return seen


@pytest.mark.skipif(sys.platform == "win32", reason="no SIGKILL on Windows")
def test_mnist_training_killed_and_started_again_ends_as_if_undisturbed(
    lesson: Callable[[str], Any], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    train, network = lesson("mnist_train"), lesson("mnist_network")
    first = killed_after(3, tmp_path / "killed")
    done = network.load(tmp_path / "killed").optimizer.iterations // 40
    assert done >= 3
    target = int(done) + 4

    train.main(folder=str(tmp_path / "killed"), epochs=target)
    resumed = capsys.readouterr().out
    assert f"has {done} epochs: training continues there" in resumed

    train.main(folder=str(tmp_path / "whole"), epochs=target)
    whole = capsys.readouterr().out
    rows = re.findall(r"^ *\d+ .*$", whole, re.MULTILINE)
    assert len(rows) == target + 1  # the first line says how many pictures there are
    assert re.findall(r"^ *\d+ .*$", resumed, re.MULTILINE) == rows[1 + done :], "the same figures to the last digit"
    assert rows[3] in first

    got, want = (weights_and_state(network.load(tmp_path / name)) for name in ("killed", "whole"))
    assert len(got) == len(want) > 8
    for index, (one, other) in enumerate(zip(got, want)):
        assert np.array_equal(one, other), f"array {index} of the checkpoint"


def test_mnist_evaluation_reads_the_checkpoint(lesson: Callable[[str], Any], tmp_path: Path, capsys) -> None:
    trained = lesson("mnist_train").main(folder=str(tmp_path), epochs=12)
    capsys.readouterr()
    result = lesson("mnist_evaluate").main(folder=str(tmp_path))
    assert result["moving average"] > 0.93
    assert result["predicted"] == pytest.approx(result["moving average"])
    test = lesson("mnist_network").read_data("digits").test
    loss, accuracy = trained.evaluate(test.inputs, test.targets, verbose=0)
    assert accuracy == pytest.approx(result["moving average"])
    assert f"{loss:.4f}" in capsys.readouterr().out, "training ends with the averaged weights"


def test_mnist_network_decays_penalises_and_averages(lesson: Callable[[str], Any]) -> None:
    network = lesson("mnist_train").new_network(largest=16.0, classes=10, steps_per_epoch=10)
    rate = network.optimizer.get_config()["learning_rate"]
    assert rate["class_name"] == "ExponentialDecay"
    assert network.optimizer.use_ema
    x, y = np.zeros((4, 8, 8, 1), dtype="uint8"), np.zeros(4, dtype="int64")
    with_penalty = network.evaluate(x, y, verbose=0)[0]
    weights = network.get_weights()
    penalty = 5e-5 * sum(float(np.square(w).sum()) for w in weights if w.ndim == 2)
    close(with_penalty, math.log(10) + penalty, because="ln 10 for ten equal scores, and L2", tolerance=1e-5)


@pytest.mark.slow
def test_mnist_itself(lesson: Callable[[str], Any], tmp_path: Path) -> None:
    if not MNIST.is_dir():
        pytest.skip(f"{MNIST} is not here")
    lesson("mnist_train").main(data=str(MNIST), folder=str(tmp_path), epochs=2)
    assert lesson("mnist_evaluate").main(data=str(MNIST), folder=str(tmp_path))["moving average"] > 0.92


@pytest.mark.slow
def test_every_lesson_runs_plainly(tmp_path: Path) -> None:
    for name in LESSONS:
        run = subprocess.run(
            [sys.executable, "-W", "error", str(EXAMPLES / f"{name}.py")],
            cwd=tmp_path,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        assert run.returncode == 0, run.stderr
        assert run.stderr == "", name
        assert len(run.stdout.splitlines()) >= 4, name


def test_lessons_are_short_explained_and_public() -> None:
    programs = sorted(EXAMPLES.glob("*.py"))
    assert {path.stem for path in programs} >= set(LESSONS)
    table = (EXAMPLES / "README.md").read_text(encoding="utf-8")
    for path in programs:
        text = path.read_text(encoding="utf-8")
        assert len(text.splitlines()) <= 125, path.name
        assert text.startswith('"""'), path.name
        assert not re.search(r"\w\._[a-z]", text), f"{path.name} uses a private name"
        assert not re.search(r"from dougong\.|import dougong\.", text), f"{path.name} goes past `dougong` itself"
        assert path.name in table
        if path.stem in LESSONS:
            assert f"python examples/{path.name}" in text
