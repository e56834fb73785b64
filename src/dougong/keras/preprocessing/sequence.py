"""``keras.preprocessing.sequence``."""

from dougong.data import pad_sequences

__all__ = ["pad_sequences"]
