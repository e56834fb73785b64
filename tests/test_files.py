"""Models in files: what comes back, what is refused, what survives a failure."""

from __future__ import annotations

import errno
import json
import zipfile
from pathlib import Path

import numpy as np
import pytest
import torch

import dougong as dg
from closeness import close
from dougong.core.errors import ConfigError, ModelFormatError, SaveError, UnknownNameError
from dougong.formats import atomic


def data(*shape: int) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(2))


def trained() -> dg.Sequential:
    model = dg.Sequential(
        [dg.Input((4,)), dg.layers.Dense(5, activation="tanh"), dg.layers.BatchNormalization(), dg.layers.Dense(3)]
    )
    model.compile(dg.optimizers.Adam(1e-2), "mse", metrics=["mae"])
    model.fit(data(32, 4), data(32, 3), epochs=3, verbose=0, shuffle=False)
    return model


def test_a_model_comes_back_whole_and_training_goes_on_exactly(tmp_path: Path) -> None:
    model = trained()
    path = tmp_path / "net.keras"
    model.save(path)
    again = dg.models.load_model(path)
    close(again.predict(data(7, 4), verbose=0), model.predict(data(7, 4), verbose=0), because="outputs", tolerance=0)
    for one in (model, again):
        one.fit(data(32, 4), data(32, 3), epochs=2, verbose=0, shuffle=False)
    for got, want in zip(again.get_weights(), model.get_weights()):
        close(got, want, because="two more epochs, optimizer state included", tolerance=0)


def test_saving_changes_nothing_and_keeps_the_previous_file_when_the_disk_is_full(tmp_path, monkeypatch) -> None:
    model = trained()
    path = tmp_path / "net.keras"
    model.save(path)
    good = path.read_bytes()

    def full(handle: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(atomic.os, "fsync", full)
    with pytest.raises(SaveError, match=r"No space left on device; the previous file is unchanged"):
        model.save(path)
    assert path.read_bytes() == good
    assert [p.name for p in tmp_path.iterdir()] == ["net.keras"]


def test_functional_models_with_torch_functions_come_back(tmp_path: Path) -> None:
    a, b = dg.Input((4,), name="a"), dg.Input((4,), name="b")
    hidden = torch.relu(dg.layers.Dense(6)(a) * 2 + 1)
    joined = torch.cat([hidden, b[:, 1:3]], dim=-1)
    model = dg.Model({"a": a, "b": b}, {"y": dg.layers.Dense(2)(joined), "m": joined.mean(1)})
    path = tmp_path / "graph.keras"
    model.save(path)
    again = dg.models.load_model(path)
    x = {"a": data(3, 4), "b": data(3, 4)}
    for key in ("y", "m"):
        close(again(x)[key], model(x)[key], because=key, tolerance=0)


@dg.saving.register_keras_serializable(package="tests")
class Halve(dg.layers.Layer):
    def __init__(self, by: float = 2.0, **kwargs) -> None:
        super().__init__(**kwargs)
        self.by = by

    def build(self, input_shape) -> None:
        self.w = self.add_weight(shape=(input_shape[-1],), initializer="ones", name="w")

    def call(self, inputs):
        return inputs / self.by * self.w


def test_own_layers_need_registration(tmp_path: Path) -> None:
    class Secret(dg.layers.Layer):
        def call(self, inputs):
            return inputs

    model = dg.Sequential([dg.Input((4,)), Halve(4.0)])
    model.save(tmp_path / "own.keras")
    again = dg.models.load_model(tmp_path / "own.keras")
    close(again(data(2, 4)), data(2, 4) / 4, because="registered layers")
    dg.Sequential([dg.Input((4,)), Secret()]).save(tmp_path / "secret.keras")
    with pytest.raises(UnknownNameError, match="custom_objects"):
        dg.models.load_model(tmp_path / "secret.keras")
    assert dg.models.load_model(tmp_path / "secret.keras", custom_objects={"Secret": Secret})


def test_weights_alone(tmp_path: Path) -> None:
    model, other = trained(), trained()
    other.set_weights([np.zeros_like(w) for w in other.get_weights()])
    model.save_weights(tmp_path / "w.weights.h5")
    other.load_weights(tmp_path / "w.weights.h5")
    close(other(data(2, 4)), model(data(2, 4)), because="weights")
    wrong = dg.Sequential([dg.Input((4,)), dg.layers.Dense(6)])
    before = wrong.get_weights()[0]
    with pytest.raises(ModelFormatError, match=r"no place for|has shape|has no array"):
        wrong.load_weights(tmp_path / "w.weights.h5")
    close(wrong.get_weights()[0], before, because="a refused file leaves the model as it was", tolerance=0)


def _rewrite(path: Path, name: str, change) -> None:
    with zipfile.ZipFile(path) as archive:
        members = {n: archive.read(n) for n in archive.namelist()}
    members[name] = change(members[name])
    with zipfile.ZipFile(path, "w") as archive:
        for member, content in members.items():
            archive.writestr(member, content)


@pytest.mark.parametrize(
    ("damage", "words"),
    [
        (lambda p: p.write_bytes(b"hello"), "no .keras file"),
        (lambda p: p.write_bytes(p.read_bytes()[:500]), "no .keras file"),
        (lambda p: p.unlink(), "no such file"),
        (lambda p: _rewrite(p, "config.json", lambda c: b"{"), "no JSON"),
        (lambda p: _rewrite(p, "config.json", lambda c: b"[]"), "names no class"),
        (lambda p: _rewrite(p, "config.json", lambda c: c.replace(b'"Dense"', b'"Dens"')), "did you mean 'Dense'"),
        (lambda p: _rewrite(p, "model.weights.h5", lambda c: c[:700]), "damaged|no HDF5"),
    ],
)
def test_damaged_files_are_refused_with_the_reason(tmp_path: Path, damage, words) -> None:
    path = tmp_path / "net.keras"
    trained().save(path)
    damage(path)
    with pytest.raises((ModelFormatError, UnknownNameError), match=words):
        dg.models.load_model(path)


def test_a_flipped_bit_in_a_weight_is_found(tmp_path: Path) -> None:
    path = tmp_path / "net.keras"
    model = trained()
    model.save(path)
    kernel = model.get_weights()[0].tobytes()

    def flipped(content: bytes) -> bytes:
        at = content.index(kernel)
        return content[:at] + bytes([content[at] ^ 1]) + content[at + 1 :]

    _rewrite(path, "model.weights.h5", flipped)
    with pytest.raises(ModelFormatError, match=r"layers/dense/vars/0 is damaged: its checksum"):
        dg.models.load_model(path)


def test_every_array_has_a_checksum(tmp_path: Path) -> None:
    path = tmp_path / "net.keras"
    model = trained()
    model.save(path)
    with zipfile.ZipFile(path) as archive:
        assert archive.namelist() == ["metadata.json", "config.json", "model.weights.h5"]
        sums = json.loads(archive.read("metadata.json"))["checksums"]
    assert len([name for name in sums if not name.startswith("optimizer/")]) == len(model.weights)


def test_names_are_checked() -> None:
    with pytest.raises(ConfigError, match=r"'\.keras'"):
        trained().save("net.pkl")


def test_structure_and_weights_apart(tmp_path: Path) -> None:
    model = trained()
    text = model.to_json()
    again = dg.models.model_from_json(text)
    model.save_weights(tmp_path / "x.weights.h5")
    again.load_weights(tmp_path / "x.weights.h5")
    close(again(data(2, 4)), model(data(2, 4)), because="JSON and weights")
    with pytest.raises(ModelFormatError, match="no JSON"):
        dg.models.model_from_json("{")


def test_a_subclassed_model_is_rebuilt_by_its_registered_class(tmp_path: Path) -> None:
    @dg.saving.register_keras_serializable(package="tests")
    class Two(dg.Model):
        def __init__(self, units: int = 3, **kwargs) -> None:
            super().__init__(**kwargs)
            self.units = units
            self.first, self.second = dg.layers.Dense(units), dg.layers.Dense(1)

        def call(self, inputs):
            return self.second(torch.relu(self.first(inputs)))

    model = Two(7)
    model.compile("adam", "mse")
    model.fit(data(8, 4), data(8, 1), verbose=0)
    model.save(tmp_path / "two.keras")
    again = dg.models.load_model(tmp_path / "two.keras")
    close(again(data(3, 4)), model(data(3, 4)), because="subclassed models", tolerance=0)
