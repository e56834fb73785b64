"""Data: the samples, the readers, and batches for training."""

from __future__ import annotations

from dougong.data.audio_folders import audio_dataset_from_directory
from dougong.data.batched_samples import BatchedSamples
from dougong.data.batches import as_source, split_validation, unpack_validation
from dougong.data.cached_files import get_file
from dougong.data.checks import check_finite, check_labels, check_lengths
from dougong.data.dataset import Column, Dataset, Parts
from dougong.data.drawing import draw_bounding_boxes, draw_segmentation_masks
from dougong.data.encoding import normalize, to_categorical
from dougong.data.galleries import plot_bounding_box_gallery, plot_image_gallery, plot_segmentation_mask_gallery
from dougong.data.named_values import Config
from dougong.data.order import permutation
from dougong.data.packing import pack_x_y_sample_weight, unpack_x_y_sample_weight
from dougong.data.picture_folders import image_dataset_from_directory
from dougong.data.pictures import read_pictures
from dougong.data.pictures_io import array_to_img, img_to_array, load_img, save_img, smart_resize
from dougong.data.py_dataset import PyDataset
from dougong.data.reading import READABLE, open_data
from dougong.data.samples import SampleInfo, load_sample, samples
from dougong.data.sequences import pad_sequences
from dougong.data.source import Source, unpack_batch
from dougong.data.splitting import split_dataset
from dougong.data.tables import encode_columns, read_frame
from dougong.data.text_folders import text_dataset_from_directory
from dougong.data.windows import timeseries_dataset_from_array

__all__ = [
    "READABLE",
    "BatchedSamples",
    "Column",
    "Config",
    "Dataset",
    "Parts",
    "PyDataset",
    "SampleInfo",
    "Source",
    "array_to_img",
    "as_source",
    "audio_dataset_from_directory",
    "check_finite",
    "check_labels",
    "check_lengths",
    "draw_bounding_boxes",
    "draw_segmentation_masks",
    "encode_columns",
    "get_file",
    "image_dataset_from_directory",
    "img_to_array",
    "load_img",
    "load_sample",
    "normalize",
    "open_data",
    "pack_x_y_sample_weight",
    "pad_sequences",
    "permutation",
    "plot_bounding_box_gallery",
    "plot_image_gallery",
    "plot_segmentation_mask_gallery",
    "read_frame",
    "read_pictures",
    "samples",
    "save_img",
    "smart_resize",
    "split_dataset",
    "split_validation",
    "text_dataset_from_directory",
    "timeseries_dataset_from_array",
    "to_categorical",
    "unpack_batch",
    "unpack_validation",
    "unpack_x_y_sample_weight",
]
