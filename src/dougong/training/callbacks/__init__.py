"""Callbacks: listeners to a running fit, with Keras's names and meanings."""

from typing import NoReturn

from dougong.core.errors import no_attribute
from dougong.training.callbacks.callback import Callback, CallbackList, History, LambdaCallback
from dougong.training.callbacks.checkpoint import ModelCheckpoint
from dougong.training.callbacks.logs import CSVLogger, TensorBoard
from dougong.training.callbacks.rates import LearningRateScheduler, ReduceLROnPlateau
from dougong.training.callbacks.stopping import EarlyStopping, TerminateOnNaN

__all__ = [
    "CSVLogger",
    "Callback",
    "CallbackList",
    "EarlyStopping",
    "History",
    "LambdaCallback",
    "LearningRateScheduler",
    "ModelCheckpoint",
    "ReduceLROnPlateau",
    "TensorBoard",
    "TerminateOnNaN",
]


def __getattr__(name: str) -> NoReturn:
    raise no_attribute("dg.callbacks", name, __all__)
