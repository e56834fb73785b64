"""`summary()` prints what Keras prints, to the letter."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
import pytest

import dougong as dg


def branched(k: Any) -> Any:
    a, b = k.Input((4,), name="a"), k.Input((4,), name="b")
    shared = k.layers.Dense(3, name="h")
    x = k.layers.Concatenate(name="cat")([shared(a), shared(b)])
    x = k.layers.BatchNormalization(name="bn")(x)
    inner = k.Sequential([k.Input((6,)), k.layers.Dense(2, name="q")], name="inner")
    return k.Model([a, b], [inner(x), k.layers.Dense(1, name="o")(x)], name="m")


def stack(k: Any) -> Any:
    layers = [
        k.Input((8, 8, 3)),
        k.layers.Conv2D(40, 3, name="c"),
        k.layers.Flatten(name="f"),
        k.layers.Dense(1000, name="d"),
    ]
    model = k.Sequential(layers, name="s")
    model.get_layer("c").trainable = False
    return model


def compiled(k: Any) -> Any:
    model = k.Sequential([k.Input((4,)), k.layers.Dense(3, name="d"), k.layers.Dropout(0.5, name="x")], name="s")
    model.compile("adam", "mse")
    model.fit(np.zeros((4, 4)), np.zeros((4, 3)), verbose=0)
    return model


def unbuilt(k: Any) -> Any:
    return k.Sequential([k.layers.Dense(3, name="d")], name="s")


@pytest.mark.parametrize("options", [{}, {"show_trainable": True}, {"expand_nested": True}])
@pytest.mark.parametrize("build", [branched, stack, compiled, unbuilt])
def test_the_text_is_keras_text(build, options) -> None:
    texts = []
    for k in (keras, dg):
        lines: list[str] = []
        build(k).summary(print_fn=lambda text, lines=lines: lines.append(text), **options)
        texts.append("\n".join(line.rstrip() for line in "\n".join(lines).splitlines() if line.strip()))
    assert texts[1] == texts[0]
