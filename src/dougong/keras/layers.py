"""``keras.layers``."""

from dougong import layers
from dougong.keras.facade import Facade

_SPECTRUM = "Dougong has no audio front ends; compute torch.stft before the model, or in a layer of your own"
_OTHER_ENGINE = "it runs another framework's code; wrap PyTorch modules with TorchModuleWrapper"
_BOXES = "Dougong's picture layers do not carry bounding boxes; move the boxes in the data set"

__all__, __getattr__, __dir__ = Facade(
    "keras.layers",
    layers,
    also={"Input": "dougong.core.symbol:Input", "deserialize": "dougong.models.known:deserialize_layer"},
    refused={
        "FlaxLayer": _OTHER_ENGINE,
        "HashedCrossing": "cross the columns in the data, then use Hashing",
        "JaxLayer": _OTHER_ENGINE,
        "MaxNumBoundingBoxes": _BOXES,
        "MelSpectrogram": _SPECTRUM,
        "STFTSpectrogram": _SPECTRUM,
        "TFSMLayer": _OTHER_ENGINE,
    },
).of()
