"""Data: the samples, the readers, and batches for training."""

from __future__ import annotations

from dougong.data.batches import as_source, split_validation, unpack_validation
from dougong.data.checks import check_finite, check_labels, check_lengths
from dougong.data.dataset import Column, Dataset, Parts
from dougong.data.order import permutation
from dougong.data.pictures import read_pictures
from dougong.data.py_dataset import PyDataset
from dougong.data.reading import READABLE, open_data
from dougong.data.samples import SampleInfo, load_sample, samples
from dougong.data.source import Source, unpack_batch
from dougong.data.tables import encode_columns, read_frame

__all__ = [
    "READABLE",
    "Column",
    "Dataset",
    "Parts",
    "PyDataset",
    "SampleInfo",
    "Source",
    "as_source",
    "check_finite",
    "check_labels",
    "check_lengths",
    "encode_columns",
    "load_sample",
    "open_data",
    "permutation",
    "read_frame",
    "read_pictures",
    "samples",
    "split_validation",
    "unpack_batch",
    "unpack_validation",
]
