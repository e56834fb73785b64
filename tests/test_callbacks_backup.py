"""A run that is killed and started again ends with the bits of one that was never killed."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import dougong as dg
from dougong.core.errors import ConfigError, ModelFormatError

SCRIPT = """
import json, os, signal, sys
from pathlib import Path
import numpy as np, torch
import dougong as dg

folder, save_freq, kill, option = Path(sys.argv[1]), json.loads(sys.argv[2]), json.loads(sys.argv[3]), sys.argv[4]
started = folder / "started"
first, _ = not started.exists(), started.touch()


def die_at(batch, logs):
    if first and kill[0] == "step" and int(model.optimizer.iterations) == kill[1]:
        os.kill(os.getpid(), signal.SIGKILL)


saves, write = [0], Path.replace


def replace(self, target):
    saves[0] += 1
    if first and kill[0] == "save" and saves[0] == kill[1]:
        os.kill(os.getpid(), signal.SIGKILL)  # the file is written, but does not stand in its place
    return write(self, target)


Path.replace = replace
dg.utils.set_random_seed(7)
x = np.random.randn(50, 6).astype("float32")
y = (x[:, 0] * x[:, 1] > 0).astype("int64")
layers = dg.layers
model = dg.Sequential([
    dg.Input((6,)), layers.Dense(16, activation="relu"), layers.BatchNormalization(), layers.Dropout(0.3),
    layers.Dropout(0.2, seed=3), layers.Dense(2),
])
loss = dg.losses.SparseCategoricalCrossentropy(from_logits=True)
model.compile(dg.optimizers.Adam(0.05, use_ema=True, ema_momentum=0.9), loss, metrics=["accuracy"])
history = model.fit(
    x, y, batch_size=8, epochs=6, verbose=0, validation_split=0.2,
    callbacks=[
        dg.callbacks.BackupAndRestore(folder / "backup", save_freq, double_checkpoint=option == "double"),
        dg.callbacks.ReduceLROnPlateau(patience=1, min_delta=0.05, factor=0.5),
        dg.callbacks.EarlyStopping(patience=5, restore_best_weights=True),
        dg.callbacks.LearningRateScheduler(lambda epoch, rate: rate * 0.9),
        dg.callbacks.LambdaCallback(on_train_batch_end=die_at),
    ],
)
arrays = {name: tensor.detach().numpy() for name, tensor in model.state_dict().items()}
arrays |= {f"optimizer/{name}": value for name, value in model.optimizer.state().items()}
np.savez(folder / "end.npz", loss=history.history["loss"][-1], rate=model.optimizer.learning_rate,
         next=torch.rand(3).numpy(), epochs=len(history.epoch), **arrays)
"""


def run(folder: Path, save_freq: Any, kill: Any, option: str = "") -> int:
    arguments = [str(folder), json.dumps(save_freq), json.dumps(kill), option]
    done = subprocess.run([sys.executable, "-c", SCRIPT, *arguments], check=False, capture_output=True, text=True)
    assert done.returncode in (0, -signal.SIGKILL), done.stderr
    return done.returncode


def end(folder: Path) -> dict[str, np.ndarray]:
    with np.load(folder / "end.npz") as file:
        return dict(file)


@pytest.fixture(scope="module")
def unbroken(tmp_path_factory: pytest.TempPathFactory) -> dict[str, np.ndarray]:
    folder = tmp_path_factory.mktemp("unbroken")
    assert run(folder, "epoch", ["never"]) == 0
    assert not (folder / "backup").exists()
    return end(folder)


KILLS = [
    (2, ["step", 14], ""),  # within the third epoch of five steps
    pytest.param("epoch", ["step", 13], "", marks=pytest.mark.slow),
    pytest.param(3, ["step", 16], "double", marks=pytest.mark.slow),
    pytest.param("epoch", ["save", 3], "", marks=pytest.mark.slow),
    pytest.param("epoch", ["save", 4], "double", marks=pytest.mark.slow),
    pytest.param(5, ["step", 30], "", marks=pytest.mark.slow),
    pytest.param(1, ["step", 1], "", marks=pytest.mark.slow),
]


@pytest.mark.parametrize(("save_freq", "kill", "option"), KILLS)
def test_a_killed_process_started_again_ends_bit_identical(
    save_freq: Any, kill: Any, option: str, unbroken: dict[str, np.ndarray], tmp_path: Path
) -> None:
    assert run(tmp_path, save_freq, kill, option) == -signal.SIGKILL
    assert run(tmp_path, save_freq, kill, option) == 0
    assert not (tmp_path / "backup").exists()
    found = end(tmp_path)
    assert found.pop("epochs") < 6 or kill[1] == 1
    assert set(found) | {"epochs"} == set(unbroken)
    for name, value in found.items():
        assert value.dtype == unbroken[name].dtype, name
        assert np.array_equal(value, unbroken[name]), name


# ── Within one process: a run that raises, for every kind of data ───────────────────────────────────────────────────


class Stop(Exception):
    """Stands for whatever ends a run."""


class Shuffled(dg.utils.PyDataset):
    def __init__(self, x: np.ndarray, y: np.ndarray) -> None:
        super().__init__()
        self.x, self.y, self.rows = x, y, np.arange(len(x))

    def __len__(self) -> int:
        return 5

    def __getitem__(self, index: int) -> Any:
        rows = self.rows[8 * index : 8 * index + 8]
        return self.x[rows], self.y[rows]

    def on_epoch_end(self) -> None:
        np.random.shuffle(self.rows)


class Noisy(torch.utils.data.Dataset):
    def __init__(self, x: np.ndarray, y: np.ndarray) -> None:
        self.x, self.y = x, y

    def __len__(self) -> int:
        return len(self.x)

    def __getitem__(self, index: int) -> Any:
        return self.x[index] + 0.1 * torch.randn(6).numpy(), self.y[index]


def endless(x: np.ndarray, y: np.ndarray) -> Any:
    while True:
        rows = np.random.permutation(len(x))[:8]
        yield x[rows], y[rows]


KINDS = {
    "arrays": lambda x, y: {"x": x, "y": y, "batch_size": 8},
    "part of a pass": lambda x, y: {"x": x, "y": y, "batch_size": 8, "steps_per_epoch": 3},
    "PyDataset": lambda x, y: {"x": Shuffled(x, y)},
    "Dataset": lambda x, y: {"x": Noisy(x, y), "batch_size": 8},
    "DataLoader": lambda x, y: {"x": torch.utils.data.DataLoader(Noisy(x, y), batch_size=8, shuffle=True)},
    "generator": lambda x, y: {"x": endless(x, y), "steps_per_epoch": 5},
}


def trained(kind: str, folder: Path, save_freq: Any, stop: int = 0, **options: Any) -> list[np.ndarray]:
    dg.utils.set_random_seed(5)
    x = np.random.randn(40, 6).astype("float32")
    y = x[:, :1] * 2
    model = dg.Sequential([dg.Input((6,)), dg.layers.Dense(8, "tanh"), dg.layers.Dropout(0.5), dg.layers.Dense(1)])
    model.compile("adam", "mse", metrics=["mae"])
    seen: list[int] = []

    def count(batch: int, logs: Any) -> None:
        seen.append(batch)
        if len(seen) == stop:
            raise Stop

    backup = dg.callbacks.BackupAndRestore(folder, save_freq, **options)
    history = model.fit(
        **KINDS[kind](x, y), epochs=4, verbose=0,
        callbacks=[backup, dg.callbacks.LambdaCallback(on_train_batch_end=count)],
    )  # fmt: skip
    logs = [history.history[name][-1] for name in ("loss", "mae")]
    return [*model.get_weights(), *model.optimizer.state().values(), np.array(logs), torch.rand(2).numpy()]


@pytest.mark.parametrize("save_freq", ["epoch", 2])
@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_of_data_goes_on_where_it_was(kind: str, save_freq: Any, tmp_path: Path) -> None:
    whole = trained(kind, tmp_path / "whole", save_freq)
    with pytest.raises(Stop):
        trained(kind, tmp_path / "parts", save_freq, stop=9)
    parts = trained(kind, tmp_path / "parts", save_freq)
    for one, other in zip(parts, whole, strict=True):
        assert np.array_equal(one, other)


def test_a_run_may_be_broken_off_many_times(tmp_path: Path) -> None:
    whole = trained("DataLoader", tmp_path / "whole", 1)
    for _ in range(6):
        with pytest.raises(Stop):
            trained("DataLoader", tmp_path / "parts", 1, stop=3)
    for one, other in zip(trained("DataLoader", tmp_path / "parts", 1), whole, strict=True):
        assert np.array_equal(one, other)


def test_a_damaged_backup_gives_way_to_the_one_before(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    whole = trained("arrays", tmp_path / "whole", "epoch")
    with pytest.raises(Stop):
        trained("arrays", tmp_path / "parts", "epoch", stop=14, double_checkpoint=True)
    latest = tmp_path / "parts" / "latest.run"
    data = bytearray(latest.read_bytes())
    data[len(data) // 2] ^= 0xFF
    latest.write_bytes(data)
    for one, other in zip(trained("arrays", tmp_path / "parts", "epoch", delete_checkpoint=False), whole, strict=True):
        assert np.array_equal(one, other)
    assert "going on with the run" in caplog.text
    assert "epoch 2, step 1" in caplog.text
    latest.write_bytes(data)
    latest.with_name("previous.run").unlink()
    with pytest.raises(ModelFormatError, match=r"latest\.run.*delete .* to begin the run anew"):
        trained("arrays", tmp_path / "parts", "epoch")


def test_what_is_kept_and_what_is_deleted(tmp_path: Path) -> None:
    trained("arrays", tmp_path / "kept", "epoch", delete_checkpoint=False)
    assert sorted(path.name for path in (tmp_path / "kept").iterdir()) == ["latest.run"]
    (tmp_path / "shared").mkdir()
    (tmp_path / "shared" / "mine.txt").touch()
    trained("arrays", tmp_path / "shared", "epoch", double_checkpoint=True)
    assert sorted(path.name for path in (tmp_path / "shared").iterdir()) == ["mine.txt"]
    trained("arrays", tmp_path / "never", False)
    assert not (tmp_path / "never").exists()


def test_a_finished_run_that_kept_its_backup_is_not_trained_again(tmp_path: Path) -> None:
    model = dg.Sequential([dg.Input((2,)), dg.layers.Dense(1)])
    model.compile("sgd", "mse")
    backup = dg.callbacks.BackupAndRestore(tmp_path, delete_checkpoint=False)
    data = np.ones((4, 2), "float32"), np.ones(4, "float32")
    assert len(model.fit(*data, epochs=2, verbose=0, callbacks=[backup]).epoch) == 2
    assert model.fit(*data, epochs=2, verbose=0, callbacks=[backup]).epoch == []
    assert model.fit(*data, epochs=5, verbose=0, callbacks=[backup]).epoch == [2, 3, 4]  # as in Keras: three more


def test_ctrl_c_keeps_the_backup_and_the_next_run_goes_on(tmp_path: Path) -> None:
    whole = trained("arrays", tmp_path / "whole", "epoch")
    before = dg.callbacks.LambdaCallback.on_batch_end
    steps: list[int] = []

    def interrupt(self: Any, batch: int, logs: Any = None) -> None:
        steps.append(batch)
        if len(steps) == 7:
            signal.raise_signal(signal.SIGINT)

    dg.callbacks.LambdaCallback.on_batch_end = interrupt
    try:
        backup = dg.callbacks.BackupAndRestore.on_train_batch_end
        dg.callbacks.BackupAndRestore.on_train_batch_end = interrupt
        trained("arrays", tmp_path / "parts", "epoch")
    finally:
        dg.callbacks.LambdaCallback.on_batch_end = before
        dg.callbacks.BackupAndRestore.on_train_batch_end = backup
    assert (tmp_path / "parts" / "latest.run").exists()
    for one, other in zip(trained("arrays", tmp_path / "parts", "epoch"), whole, strict=True):
        assert np.array_equal(one, other)


def test_the_backup_of_another_model_is_refused(tmp_path: Path) -> None:
    data = np.ones((4, 2), "float32"), np.ones(4, "float32")
    for units in (3, 4):
        model = dg.Sequential([dg.Input((2,)), dg.layers.Dense(units), dg.layers.Dense(1)])
        model.compile("adam", "mse")
        before = model.get_weights()
        backup = dg.callbacks.BackupAndRestore(tmp_path, delete_checkpoint=False)
        if units == 3:
            model.fit(*data, verbose=0, callbacks=[backup])
            continue
        with pytest.raises(
            ConfigError, match=r"backup of another run: in the weights .* has shape \(3, 2\), in this run \(4, 2\)"
        ):
            model.fit(*data, verbose=0, callbacks=[backup])
        assert all(np.array_equal(a, b) for a, b in zip(before, model.get_weights()))


@pytest.mark.parametrize("wrong", [{"backup_dir": ""}, {"save_freq": 0}, {"save_freq": "batch"}])
def test_wrong_arguments_are_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ConfigError, match=next(iter(wrong))):
        dg.callbacks.BackupAndRestore(**{"backup_dir": "here"} | wrong)
