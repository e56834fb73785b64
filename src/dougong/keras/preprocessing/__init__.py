"""``keras.preprocessing``."""

from dougong.data import image_dataset_from_directory, text_dataset_from_directory, timeseries_dataset_from_array
from dougong.keras.preprocessing import image, sequence

__all__ = [
    "image",
    "image_dataset_from_directory",
    "sequence",
    "text_dataset_from_directory",
    "timeseries_dataset_from_array",
]
