"""``keras.ops.numpy``."""

from importlib import import_module

from dougong.keras.facade import Facade

_FAMILIES = """
arithmetic bits comparison counting creation cumulative diagonals elementwise exponentials indexing joining
nan_reductions padding products reductions shaping sorting spacing statistics trigonometry vectorizing windows
""".split()

__all__, __getattr__, __dir__ = Facade(
    "keras.ops.numpy",
    *(import_module(f"dougong.ops.{family}") for family in _FAMILIES),
    without=("merged", "over", "quantiles", "restored", "summed_dtype"),
).of()
