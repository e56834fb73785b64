"""Weights of models with their own `call`: where Keras's files keep them, and back."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest

import dougong as dg
from closeness import close
from dougong import keras as dg_keras
from dougong.models.bundles import weight_paths

X = np.random.default_rng(0).random((3, 4), dtype=np.float32)


def _attributes(k: Any) -> Any:
    """Names before and after ``layers``, and a private one."""

    class Net(k.Model):
        def __init__(self) -> None:
            super().__init__()
            self.zed = k.layers.Dense(3)
            self._hidden = k.layers.Dense(5)
            self.alpha = k.layers.Dense(2)

        def call(self, inputs: Any) -> Any:
            return self.alpha(self._hidden(self.zed(inputs)))

    return Net()


def _lists(k: Any) -> Any:
    """Layers in lists, and one of them under a name, too."""

    class Net(k.Model):
        def __init__(self) -> None:
            super().__init__()
            self.blocks = [k.layers.Dense(4), k.layers.Dense(4)]
            self.tops = [k.layers.Dense(3)]
            self.first = self.blocks[0]

        def call(self, inputs: Any) -> Any:
            for layer in (*self.blocks, *self.tops):
                inputs = layer(inputs)
            return inputs

    return Net()


def _nested(k: Any) -> Any:
    """Models within the model, one with a graph."""

    class Net(k.Model):
        def __init__(self) -> None:
            super().__init__()
            self.stem = k.Sequential([k.Input((4,)), k.layers.Dense(4), k.layers.Dense(3)])
            self.body = _attributes(k)

        def call(self, inputs: Any) -> Any:
            return self.body(self.stem(inputs))

    return Net()


@pytest.mark.parametrize("make", [_attributes, _lists, _nested])
@pytest.mark.parametrize("ending", [".weights.h5", ".keras"])
def test_weights_are_where_keras_has_them(make: Any, ending: str, tmp_path: Path) -> None:
    theirs, ours = make(keras), make(dg_keras)
    want = theirs(X).detach().numpy()
    ours(X)
    save = theirs.save if ending == ".keras" else theirs.save_weights
    save(tmp_path / f"theirs{ending}")
    ours.load_weights(tmp_path / f"theirs{ending}")
    close(ours.predict(X, verbose=0), want, because="Keras's weights, read by us")
    ours.save_weights(tmp_path / "ours.weights.h5")
    again = make(keras)
    again(X)
    again.load_weights(tmp_path / "ours.weights.h5")
    close(again.predict(X, verbose=0), want, because="our weights, read by Keras")


def test_a_layer_that_a_graph_holds_stands_in_the_list() -> None:
    class Net(dg.Model):
        def __init__(self) -> None:
            x = dg.Input((4,))
            dense = dg.layers.Dense(2)
            super().__init__(x, dense(x))
            self.dense = dense

    paths = [path for path, _ in weight_paths(Net())]
    assert paths == ["layers/dense/vars/0", "layers/dense/vars/1"]
