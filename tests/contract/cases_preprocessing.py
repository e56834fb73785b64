"""Cases of the layers for categories that take numbers; those of text are compared in test_layers_preprocessing.py."""

from __future__ import annotations

from typing import Any

from contract.layer_case import VECTOR, LayerCase

__all__ = ["CASES", "WITHOUT_CASE"]

_TENSORFLOW = "Keras's needs TensorFlow; tests/golden has its numbers"


def _categories() -> list[LayerCase]:
    whole: dict[str, Any] = {"on": ((4,),), "classes": 7, "smooth": False}
    bins = {"bin_boundaries": [-0.5, 0.0, 0.5]}
    return [
        LayerCase("CategoryEncoding", {"num_tokens": 7}, **whole),
        LayerCase("CategoryEncoding", {"num_tokens": 7, "output_mode": "one_hot"}, note="one_hot", free=(1,), **whole),
        LayerCase("CategoryEncoding", {"num_tokens": 7, "output_mode": "count"}, note="count", **whole),
        LayerCase("Discretization", bins | {"output_mode": "one_hot"}, (VECTOR,), smooth=False, free=(1,)),
        LayerCase("Discretization", bins | {"output_mode": "multi_hot"}, (VECTOR,), "multi_hot", smooth=False),
        LayerCase("Hashing", {"num_bins": 5, "output_mode": "count"}, **whole, keras=_TENSORFLOW),
    ]


CASES: tuple[LayerCase, ...] = tuple(_categories())

_ELSEWHERE = "test_layers_preprocessing.py compares it"
WITHOUT_CASE = {
    "IntegerLookup": f"gives whole numbers: {_ELSEWHERE}",
    "Pipeline": f"has no dtype of its own: {_ELSEWHERE}",
    "StringLookup": f"takes text: {_ELSEWHERE}",
    "TextVectorization": f"takes text: {_ELSEWHERE}",
}
