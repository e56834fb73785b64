"""Cases of the convolutional recurrent layers, and of the normalizations without a mean."""

from __future__ import annotations

from typing import Any

from contract.layer_case import PICTURE, SEQUENCE, VECTOR, LayerCase

__all__ = ["CASES"]

_SPACES: dict[int, tuple[int, ...]] = {1: (3, 6, 2), 2: (3, 5, 6, 2), 3: (3, 4, 5, 4, 2)}


def _recurrent() -> list[LayerCase]:
    found: list[LayerCase] = []
    for rank, on in _SPACES.items():
        kind, wrong = f"ConvLSTM{rank}D", (2, *on[:-1], 5)
        both: Any = {"on": (on,), "wrong": wrong, "expected": "2 channels", "free": (1,)}
        plain = {"filters": 3, "kernel_size": 2}
        found += [
            LayerCase(kind, plain, **both),
            LayerCase(kind, plain | {"padding": "same", "return_sequences": True, "return_state": True}, note="states",
                      **both),
            LayerCase(kind, plain | {"strides": 2, "go_backwards": True, "activation": "relu", "use_bias": False},
                      note="strides", **both),
        ]  # fmt: skip
    first = {"filters": 3, "kernel_size": 3, "padding": "same", "data_format": "channels_first", "dilation_rate": 2}
    dropped = {"filters": 3, "kernel_size": 2, "dropout": 0.4, "recurrent_dropout": 0.3, "seed": 2}

    def both_ways(layers: Any) -> dict[str, Any]:
        return {"layer": layers.ConvLSTM1D(3, 2, return_sequences=True)}

    return [
        *found,
        LayerCase("ConvLSTM2D", first, ((3, 2, 5, 6),), "first", free=(1,), wrong=(2, 3, 5, 5, 6),
                  expected="2 channels"),
        LayerCase("ConvLSTM2D", dropped, ((3, 5, 6, 2),), "dropout", random=True),
        LayerCase("Bidirectional", both_ways, ((3, 6, 2),), "convolutional", free=(1,), wrong=(2, 3, 6, 5),
                  expected="2 channels"),
    ]  # fmt: skip


def _norms() -> list[LayerCase]:
    return [
        LayerCase("RMSNormalization", {}, (SEQUENCE,), free=(1,), wrong=(2, 6, 5), expected="4"),
        LayerCase("RMSNormalization", {"axis": [-2, -1]}, (PICTURE,), "two axes", free=(1,), wrong=(2, 6, 7, 5),
                  expected="7 x 4"),
        LayerCase("RMSNormalization", {"axis": 1}, (PICTURE,), "axis 1", free=(2,), wrong=(2, 5, 7, 4), expected="6",
                  keras="Keras's fails on torch"),
        LayerCase("UnitNormalization", {}, (SEQUENCE,), free=(1, 2), wrong=(2, 6), expected="3 axes"),
        LayerCase("UnitNormalization", {"axis": [1, 3]}, (PICTURE,), "two axes", free=(1, 2, 3)),
        LayerCase("SpectralNormalization", lambda layers: {"layer": layers.Dense(3)}, (VECTOR,), wrong=(2, 6),
                  expected="5 features", trains=True, smooth=False),
        LayerCase("SpectralNormalization", lambda layers: {"layer": layers.Conv2D(3, 2), "power_iterations": 2},
                  (PICTURE,), "convolution", free=(1, 2), wrong=(2, 6, 7, 5), expected="4", trains=True, smooth=False),
    ]  # fmt: skip


CASES: tuple[LayerCase, ...] = (*_recurrent(), *_norms())
