"""``keras.ops.nn``."""

from importlib import import_module

from dougong.keras.facade import Facade

_FAMILIES = """
connectionist image_blocks nn_activations nn_attention nn_convolution nn_normalization nn_pooling nn_targets
""".split()

__all__, __getattr__, __dir__ = Facade(
    "keras.ops.nn",
    *(import_module(f"dougong.ops.{family}") for family in _FAMILIES),
    also={"polar": "dougong.ops.conversion:polar", "psnr": "dougong.ops.picture_filters:psnr"},
).of()
