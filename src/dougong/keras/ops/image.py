"""``keras.ops.image``."""

from dougong.keras.facade import Facade
from dougong.ops import colors, framing, interpolation, patches, picture_filters, resizing, warping

__all__, __getattr__, __dir__ = Facade(
    "keras.ops.image", colors, framing, interpolation, patches, picture_filters, resizing, warping, without=("psnr",)
).of()
