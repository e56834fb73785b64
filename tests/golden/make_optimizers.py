"""Makes ``optimizers.npz``: ten steps of every optimizer of the real Keras, on JAX.

    python tests/golden/make_optimizers.py

JAX, because Keras 3.15 on PyTorch computes ScheduleFreeAdamW wrongly: it overwrites the old momentum before using it.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

os.environ["KERAS_BACKEND"] = "jax"
sys.path.insert(0, str(Path(__file__).parents[1]))

import keras
import numpy as np

from optimizer_golden_cases import CASES, gradients_of, layers_of, make, values_of

__all__ = ["main"]


def main() -> None:
    """Write the weights and the state that every case ends with."""
    arrays = {}
    for case in CASES:
        layers = layers_of(keras.layers)
        values_of(layers)
        variables = [variable for layer in layers for variable in layer.trainable_variables]
        optimizer = make(case, keras.optimizers)
        optimizer.build(variables)
        weights, state = [one.value for one in variables], [one.value for one in optimizer.variables]
        for gradients in gradients_of(layers, case):
            weights, state = optimizer.stateless_apply(state, [keras.ops.array(one) for one in gradients], weights)
        arrays |= {f"{case}/weight/{i}": np.asarray(value) for i, value in enumerate(weights)}
        arrays |= {f"{case}/state/{i}": np.asarray(value) for i, value in enumerate(state)}
    np.savez_compressed(Path(__file__).with_name("optimizers.npz"), **arrays)


if __name__ == "__main__":
    main()
