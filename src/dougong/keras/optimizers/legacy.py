"""``keras.optimizers.legacy``: Keras 3 has these names only to refuse them, too."""

from dougong.keras.facade import Facade

_WHY = "the old optimizers are gone from Keras 3 as well; use the one of the same name in keras.optimizers"

__all__, __getattr__, __dir__ = Facade(
    "keras.optimizers.legacy",
    refused=dict.fromkeys(("Adagrad", "Adam", "Ftrl", "Optimizer", "RMSprop", "SGD"), _WHY),
).of()
