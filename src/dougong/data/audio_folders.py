"""A folder of sounds as batches.   Letters: N sounds, T samples in time, C channels."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from dougong.core.errors import ConfigError, DataError
from dougong.data.batched_samples import threads_that_pay
from dougong.data.class_folders import FolderOptions, datasets_of
from dougong.data.sound_files import read_wave, resampled

__all__ = ["audio_dataset_from_directory"]


def audio_dataset_from_directory(
    directory: str | os.PathLike[str],
    labels: Any = "inferred",
    label_mode: str | None = "int",
    class_names: Sequence[str] | None = None,
    batch_size: int | None = 32,
    sampling_rate: int | None = None,
    output_sequence_length: int | None = None,
    ragged: bool = False,
    shuffle: bool = True,
    seed: int | None = None,
    validation_split: float | None = None,
    subset: str | None = None,
    follow_links: bool = False,
    verbose: bool = True,
) -> Any:
    """Sounds (.wav) in one folder a class as batches ``(sounds, labels)``; see `BatchedSamples`.

    ``sounds`` are float32 ``[N, T, C]`` in [-1, 1); T is ``output_sequence_length``, for which sounds are cut or
    followed by silence, or that of the longest of the batch.  ``sampling_rate`` resamples all to this rate.  The other
    arguments are those of `image_dataset_from_directory`.
    Raises: DataError for a missing or empty folder, or a file that cannot be read, naming it; ConfigError.
    Keras: ``keras.utils.audio_dataset_from_directory``, which runs on TensorFlow only and reads 16 bits only; ragged
    batches, which torch lacks, are refused.
    """
    if ragged:
        raise ConfigError(
            "torch has no ragged batches: leave ragged out, and sounds are padded; or give batch_size=None"
        )
    for name, value in (("sampling_rate", sampling_rate), ("output_sequence_length", output_sequence_length)):
        if value is not None and (isinstance(value, bool) or not isinstance(value, int) or value < 1):
            raise ConfigError(f"{name} must be a whole number of at least 1, or None; got {value!r}")
    options = FolderOptions(
        "sound", (".wav",), directory, labels, label_mode, class_names, batch_size, shuffle, seed, validation_split,
        subset, follow_links, verbose,
    )  # fmt: skip

    def read(path: str) -> Tensor:
        sound, rate = read_wave(path)
        sound = sound if sampling_rate is None else resampled(sound, rate, sampling_rate)
        return sound if output_sequence_length is None else _of_length(sound, output_sequence_length)

    return datasets_of(options, lambda paths: _stacked(paths, [read(path) for path in paths]), threads_that_pay())


def _of_length(sound: Tensor, length: int) -> Tensor:
    return F.pad(sound[:length], (0, 0, 0, max(0, length - len(sound))))


def _stacked(paths: Sequence[str], sounds: Sequence[Tensor]) -> Tensor:
    """Sounds of one length ``[N, T, C]``; shorter ones end in silence."""
    channels = {sound.shape[1]: path for sound, path in zip(sounds, paths)}
    if len(channels) > 1:
        (one, path), (other, second), *_ = channels.items()
        raise DataError(f"{path} has {one} channels, {second} has {other}; a batch needs one number: convert them")
    longest = max(len(sound) for sound in sounds)
    return torch.stack([_of_length(sound, longest) for sound in sounds])
