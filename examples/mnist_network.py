"""What the two digit programs share: the data, and one network with one forward pass.

`mnist_train.py` and `mnist_evaluate.py` both import it.  A network written twice would sooner or later differ in some
detail (a scaling, an activation), and the evaluation would be of another network than the one that was trained.
"""

from __future__ import annotations

from pathlib import Path

import torch

import dougong as dg

CHECKPOINT = "checkpoint.keras"


class DigitNetwork(dg.Model):
    """Two layers: ReLU units, then a score for each digit.

    ``largest`` is the value of a white pixel.  Scaling belongs to the network, so that its users give raw pixels.
    """

    def __init__(self, largest: float, hidden: int = 500, classes: int = 10, l2: float = 5e-5) -> None:
        super().__init__()
        self.largest, self.hidden, self.classes, self.l2 = largest, hidden, classes, l2
        # L2 keeps the weights small: a weight has to be worth, in loss, what its square costs.  Biases go free, since
        # they move a decision without making it steeper.
        penalty = dg.regularizers.L2(l2)
        self.scale = dg.layers.Rescaling(1.0 / largest)
        self.flatten = dg.layers.Flatten()
        self.features = dg.layers.Dense(hidden, activation="relu", kernel_regularizer=penalty)
        self.scores = dg.layers.Dense(classes, kernel_regularizer=penalty)

    def call(self, inputs: torch.Tensor) -> torch.Tensor:
        """The forward pass, the only one."""
        return self.scores(self.features(self.flatten(self.scale(inputs))))


def read_data(source: str | Path) -> dg.data.Parts:
    """Train, validation and test part of a folder with MNIST's idx files, or of a sample's name such as "digits"."""
    return dg.data.open_data(source).parts(val=0.1, test=0.2)


def load(folder: str | Path, *, compile: bool = True) -> dg.Model:
    """The network in a folder's checkpoint.  A file holds no code, so the class is handed over here."""
    path = Path(folder) / CHECKPOINT
    return dg.models.load_model(path, custom_objects={"DigitNetwork": DigitNetwork}, compile=compile)
