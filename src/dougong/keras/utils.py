"""``keras.utils``: the small helpers that Keras users call."""

from dougong.core.seeds import set_random_seed
from dougong.data import PyDataset
from dougong.data.encoding import normalize, to_categorical

Sequence = PyDataset  # the historic name

__all__ = ["PyDataset", "Sequence", "normalize", "set_random_seed", "to_categorical"]
