"""The layers in `.keras` files: ours read by the real Keras, Keras's read by us, same numbers both ways."""

from __future__ import annotations

import warnings

import keras
import numpy as np
import pytest

import dougong as dg
from closeness import close
from keras_twins import numbers

L, K = dg.layers, keras.layers
TOKENS = np.random.default_rng(0).integers(0, 9, (4, 6))

STACKS = {
    "recurrent": lambda n: [
        n.Embedding(9, 5, mask_zero=True),
        n.Bidirectional(n.LSTM(3, return_sequences=True)),
        n.GRU(4, return_sequences=True, go_backwards=True),
        n.RNN([n.LSTMCell(3), n.GRUCell(2), n.GRUCell(2)], return_sequences=True),
        n.TimeDistributed(n.Dense(2)),
        n.SimpleRNN(3),
    ],
    "normalizing": lambda n: [
        n.Embedding(9, 4),
        n.BatchNormalization(momentum=0.5),
        n.LayerNormalization(),
        n.GroupNormalization(2),
        n.PReLU(shared_axes=[1]),
        n.SpatialDropout1D(0.2),
        n.Rescaling(2.0, 1.0),
        n.Permute((2, 1)),
        n.Reshape((-1,)),
        n.RepeatVector(2),
        n.GaussianNoise(0.1),
    ],
}


def functional(n, model, make_input):
    tokens = make_input((6,), dtype="int32")
    words = n.Embedding(9, 4)(tokens)  # masks are operations in Keras graphs
    seen = n.MultiHeadAttention(2, 3)(words, words, use_causal_mask=True)
    both = n.Add()([words, seen])
    merged = n.Concatenate()([both, n.Multiply()([words, seen])])
    return model(tokens, n.LSTM(3)(merged))


def randomized(model):
    for seed, layer in enumerate(model.layers):
        layer.set_weights([np.abs(numbers(*np.shape(w), seed=seed)) * 0.3 for w in layer.get_weights()])
    return model


@pytest.fixture(autouse=True)
def _quiet():
    with warnings.catch_warnings():  # Keras's own, about masks and NumPy 2
        warnings.simplefilter("ignore")
        yield


def model_of(name, ours):
    words, kind, make_input = (L, dg, dg.Input) if ours else (K, keras, keras.Input)
    if name == "functional":
        return randomized(functional(words, kind.Model, make_input))
    return randomized(kind.Sequential([make_input((6,), dtype="int32"), *STACKS[name](words)]))


@pytest.mark.parametrize("name", [*STACKS, "functional"])
def test_keras_reads_ours(name, tmp_path):
    model = model_of(name, ours=True)
    want = model.predict(TOKENS, verbose=0)
    model.save(tmp_path / "ours.keras")
    close(keras.models.load_model(tmp_path / "ours.keras").predict(TOKENS, verbose=0), want, because="Keras")
    close(dg.models.load_model(tmp_path / "ours.keras").predict(TOKENS, verbose=0), want, because="ourselves")


@pytest.mark.parametrize("name", [*STACKS, "functional"])
def test_we_read_keras(name, tmp_path):
    model = model_of(name, ours=False)
    model.save(tmp_path / "theirs.keras")
    want = model.predict(TOKENS, verbose=0)
    close(dg.models.load_model(tmp_path / "theirs.keras").predict(TOKENS, verbose=0), want, because="read")
