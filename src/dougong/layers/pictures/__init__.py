"""Layers that change pictures: resizing, cropping, random geometry, colour and mixing."""

from dougong.layers.pictures.affine import RandomRotation, RandomShear, RandomTranslation, RandomZoom
from dougong.layers.pictures.base import PictureLayer
from dougong.layers.pictures.color import (
    RandomColorDegeneration,
    RandomColorJitter,
    RandomGrayscale,
    RandomHue,
    RandomSaturation,
)
from dougong.layers.pictures.distortion import RandomElasticTransform, RandomPerspective
from dougong.layers.pictures.erasing import RandomErasing
from dougong.layers.pictures.filters import RandomGaussianBlur, RandomSharpness
from dougong.layers.pictures.flipping import RandomFlip
from dougong.layers.pictures.histograms import ContrastLimitedAdaptiveHistogramEqualization, Equalization
from dougong.layers.pictures.mixing import CutMix, MixUp
from dougong.layers.pictures.policies import AugMix, RandAugment
from dougong.layers.pictures.resizing import CenterCrop, RandomCrop, Resizing
from dougong.layers.pictures.tone import (
    AutoContrast,
    RandomBrightness,
    RandomContrast,
    RandomInvert,
    RandomPosterization,
    Solarization,
)

__all__ = [
    "AugMix",
    "AutoContrast",
    "CenterCrop",
    "ContrastLimitedAdaptiveHistogramEqualization",
    "CutMix",
    "Equalization",
    "MixUp",
    "PictureLayer",
    "RandAugment",
    "RandomBrightness",
    "RandomColorDegeneration",
    "RandomColorJitter",
    "RandomContrast",
    "RandomCrop",
    "RandomElasticTransform",
    "RandomErasing",
    "RandomFlip",
    "RandomGaussianBlur",
    "RandomGrayscale",
    "RandomHue",
    "RandomInvert",
    "RandomPerspective",
    "RandomPosterization",
    "RandomRotation",
    "RandomSaturation",
    "RandomSharpness",
    "RandomShear",
    "RandomTranslation",
    "RandomZoom",
    "Resizing",
    "Solarization",
]
