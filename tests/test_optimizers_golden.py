"""Ten steps of every optimizer through our layers against stored runs of the real Keras (golden/make_optimizers.py)."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from closeness import close
from dougong import layers, optimizers
from dougong.core.variable import stored
from optimizer_golden_cases import CASES, gradients_of, layers_of, make, values_of

GOLDEN = np.load(Path(__file__).parent / "golden" / "optimizers.npz")


def run(case, *, plain=False):
    """A finished run: the optimizer and its variables."""
    made = layers_of(layers)
    values_of(made)
    variables = [variable for layer in made for variable in layer.trainable_variables]
    optimizer = make(case, optimizers)
    optimizer.build(variables)
    for gradients in gradients_of(made, case):
        tensors = [torch.tensor(gradient) for gradient in gradients]
        if plain:  # the parameters themselves, with gradients in torch's layout
            tensors = [stored(variable)[1].from_keras(one) for variable, one in zip(variables, tensors)]
            optimizer.apply(tensors, [stored(variable)[0] for variable in variables])
        else:
            optimizer.apply(tensors, variables)
    return optimizer, [variable for layer in made for variable in layer.trainable_variables]


@pytest.mark.parametrize("case", CASES)
def test_ten_steps_equal_keras_in_its_layout(case):
    optimizer, variables = run(case)
    for i, variable in enumerate(variables):
        want = GOLDEN[f"{case}/weight/{i}"]
        close(variable.numpy(), want, because=f"{case}: {variable.path}", tolerance=1e-5 * max(1, np.abs(want).max()))
    state = optimizer.variables
    assert len(state) == sum(name.startswith(f"{case}/state/") for name in GOLDEN)
    for i, variable in enumerate(state):
        want = GOLDEN[f"{case}/state/{i}"]
        scale = max(1.0, float(np.abs(want).max())) if want.size else 1.0
        close(variable.numpy(), want, because=f"{case}: state {variable.path}", tolerance=1e-5 * scale)


@pytest.mark.parametrize("case", ["adafactor", "muon", "lamb", "loss_scale", "multi", "own"])
def test_gradients_of_plain_parameters_are_in_torch_layout(case):
    _, variables = run(case, plain=True)
    for i, variable in enumerate(variables):
        close(variable.numpy(), GOLDEN[f"{case}/weight/{i}"], because=f"{case}: {variable.path}", tolerance=1e-5)
