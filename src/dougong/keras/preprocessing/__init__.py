"""``keras.preprocessing``."""

from dougong.data.picture_folders import image_dataset_from_directory
from dougong.data.text_folders import text_dataset_from_directory
from dougong.data.windows import timeseries_dataset_from_array
from dougong.keras.preprocessing import image, sequence

__all__ = [
    "image",
    "image_dataset_from_directory",
    "sequence",
    "text_dataset_from_directory",
    "timeseries_dataset_from_array",
]
