"""Callbacks: listeners to a running fit, with Keras's names and meanings."""

from typing import NoReturn

from dougong.core.errors import no_attribute
from dougong.training.callbacks.backup import BackupAndRestore
from dougong.training.callbacks.callback import Callback, History, LambdaCallback
from dougong.training.callbacks.callback_list import CallbackList
from dougong.training.callbacks.checkpoint import ModelCheckpoint
from dougong.training.callbacks.ema import SwapEMAWeights
from dougong.training.callbacks.logs import CSVLogger, TensorBoard
from dougong.training.callbacks.progress_bar import ProgbarLogger
from dougong.training.callbacks.rates import LearningRateScheduler, ReduceLROnPlateau
from dougong.training.callbacks.remote import RemoteMonitor
from dougong.training.callbacks.stopping import EarlyStopping, TerminateOnNaN

__all__ = [
    "BackupAndRestore",
    "CSVLogger",
    "Callback",
    "CallbackList",
    "EarlyStopping",
    "History",
    "LambdaCallback",
    "LearningRateScheduler",
    "ModelCheckpoint",
    "ProgbarLogger",
    "ReduceLROnPlateau",
    "RemoteMonitor",
    "SwapEMAWeights",
    "TensorBoard",
    "TerminateOnNaN",
]


def __getattr__(name: str) -> NoReturn:
    raise no_attribute("dg.callbacks", name, __all__)
