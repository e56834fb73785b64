"""``keras.preprocessing.sequence``."""

from dougong.data.sequences import pad_sequences

__all__ = ["pad_sequences"]
