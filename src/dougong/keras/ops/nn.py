"""``keras.ops.nn``."""

from dougong.keras.facade import Facade
from dougong.ops import (
    connectionist,
    image_blocks,
    nn_activations,
    nn_attention,
    nn_convolution,
    nn_normalization,
    nn_pooling,
    nn_targets,
)

__all__, __getattr__, __dir__ = Facade(
    "keras.ops.nn",
    connectionist,
    image_blocks,
    nn_activations,
    nn_attention,
    nn_convolution,
    nn_normalization,
    nn_pooling,
    nn_targets,
    also={"polar": "dougong.ops.conversion:polar", "psnr": "dougong.ops.picture_filters:psnr"},
).of()
