"""``keras.datasets``: refused by name until data sets are read from local folders."""

from dougong.keras.facade import Facade

_WHY = "Dougong downloads nothing; give your own files to dougong.data.open_data, or use dougong.data.load_sample"
_NAMES = "boston_housing california_housing cifar10 cifar100 fashion_mnist imdb mnist reuters".split()

__all__, __getattr__, __dir__ = Facade("keras.datasets", refused=dict.fromkeys(_NAMES, _WHY)).of()
